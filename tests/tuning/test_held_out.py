import pytest

from scsampler_tf.evaluate import network_costs
from scsampler_tf.evaluation_set import evaluation_set, load_tables
from tests.tuning.searching import read, run_search
from tuning.assess import assess

pytestmark = pytest.mark.filterwarnings(
    r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning",
)


def test_the_test_videos_are_looked_at_once(run, trainings, monkeypatch):
    from tuning import held_out

    run_search(run, train=(), test=False)
    assert not (run[0].path / "tuning" / "test.json").exists()
    run_search(run, train=())
    first = read(run, "test.json")
    assert (first["looks"], first["videos"]) == (1, 6)
    assert list(first["rows"]) == [
        *("best", "knee", "own"),
        *("paper, union_list", "paper, convex_list", "paper, convex_score"),
    ]
    workdir, config = run
    data = evaluation_set(workdir.index(config), load_tables(workdir), "test")
    own = assess(data, config.selection, network_costs(workdir))
    assert first["rows"]["own"]["accuracy"] == own.accuracy
    assert first["rows"]["own"]["gflops_per_video"] == own.gflops_per_video
    assert first["rows"]["best"]["best_against_it"] is None
    with monkeypatch.context() as patched:
        patched.setattr(held_out, "assess_each", lambda *args: pytest.fail("looked again"))
        run_search(run, train=())
    assert read(run, "test.json") == first
    run_search(run, train=(), clips=(4,))
    assert read(run, "test.json")["looks"] == 2


def test_the_search_looks_at_validation_videos_only(run, trainings, monkeypatch):
    from tuning import study

    splits = []
    real = study.evaluation_set
    monkeypatch.setattr(study, "evaluation_set", lambda *args: (splits.append(args[2]), real(*args))[1])
    run_search(run, max_trials=3, test=False)
    assert set(splits) == {"val"}
