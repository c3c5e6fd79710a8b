import pytest

from scsampler_tf.config import SelectionConfig
from tuning.spaces import make_space
from tuning.tuner import GridOracle, SettingsTuner, hyperparameters, make_oracle, open_tuner

pytestmark = pytest.mark.filterwarnings(
    r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning",
)
SPACE = make_space(
    SelectionConfig(K=4, K_prime=2), 0.1, visual=True, audio=True, longest=8, clips=(1, 2, 4), max_trainings=1
)


def score(values: dict) -> dict:
    found = SPACE.setting(values)
    return {"objective": found.selection.K + found.selection.alpha - found.selection.stride}


def tried(tuner: SettingsTuner) -> list[dict]:
    return [tuner.oracle.trials[name].hyperparameters.values for name in tuner.oracle.start_order]


def search(kind, folder, trials, run=score, seed=0) -> SettingsTuner:
    tuner = open_tuner(lambda: make_oracle(kind, SPACE, trials, seed), run, folder)
    tuner.search_settings(lambda trial: None)
    return tuner


def interrupted_after(count: int, error):
    calls = []

    def run(values):
        calls.append(values)
        if len(calls) > count:
            raise error
        return score(values)

    return run


def test_parameters_are_active_under_their_schemes_only():
    space = hyperparameters(SPACE)
    assert [each.name for each in space.space] == ["fusion", "K", "stride", "visual_share", "alpha", "margin"]
    active = {}
    for scheme in SPACE.schemes:
        space.values = {**{each.name: each.default for each in space.space}, "fusion": scheme}
        active[scheme] = {each.name for each in space.space if space.is_active(each)} - {
            "fusion",
            "K",
            "stride",
        }
    assert active == {
        "union_list": {"visual_share", "margin"},
        "convex_score": {"alpha", "margin"},
        "convex_list": {"alpha", "margin"},
        "intersect_list": {"margin"},
        "visual": set(),
        "audio": {"margin"},
    }


@pytest.mark.parametrize("kind", ["random", "grid"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("broken")])
def test_interrupted_search_goes_on_as_if_it_had_not_been(tmp_path, kind, error):
    whole = search(kind, tmp_path / "whole", 9)
    with pytest.raises(type(error)):
        search(kind, tmp_path / "parts", 9, interrupted_after(4, error))
    rerun = []
    parts = search(kind, tmp_path / "parts", 9, lambda values: (rerun.append(values), score(values))[1])
    assert len(rerun) == 5  # the interrupted trial and those never begun
    assert tried(parts) == tried(whole)
    assert {trial.status for trial in parts.oracle.trials.values()} == {"COMPLETED"}


@pytest.mark.parametrize("kind", ["random", "grid"])
def test_more_trials_later(tmp_path, kind):
    search(kind, tmp_path / "first", 3)
    longer = search(kind, tmp_path / "first", 12)
    assert tried(longer) == tried(search(kind, tmp_path / "whole", 12))


def test_seeds(tmp_path):
    first, again, other = (
        tried(search("random", tmp_path / name, 5, seed=seed))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again != other


def test_grid_covers_the_space_and_stops(tmp_path):
    space = make_space(SelectionConfig(K=2, K_prime=1), None, visual=True, audio=False, longest=3)
    tuner = open_tuner(
        lambda: make_oracle("grid", space, 100, 0), lambda values: {"objective": 0.0}, tmp_path / "grid"
    )
    tuner.search_settings(lambda trial: None)
    assert isinstance(tuner.oracle, GridOracle)
    assert tried(tuner) == space.grid()
    assert len(space.grid()) == 3 * 2  # K 1, 2, 3 and stride 1, 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_bayesian_tries_nothing_twice_and_covers_a_small_space(tmp_path):
    space = make_space(SelectionConfig(K=2, K_prime=1), None, visual=True, audio=False, longest=3)
    tuner = open_tuner(
        lambda: make_oracle("bayesian", space, 100, 0),
        lambda values: {"objective": float(values["K"])},
        tmp_path / "bayesian",
    )
    tuner.oracle.num_initial_points = 4
    tuner.search_settings(lambda trial: None)
    assert sorted(map(str, tried(tuner))) == sorted(map(str, space.grid()))


@pytest.mark.parametrize("name", ["oracle.json", "trial_1/trial.json"])
def test_torn_notes_begin_the_search_anew(tmp_path, name, capsys):
    whole = tried(search("random", tmp_path / "search", 4))
    torn = tmp_path / "search" / name
    torn.write_text(torn.read_text()[:40])
    assert tried(search("random", tmp_path / "search", 4)) == whole
    assert "computed again" in capsys.readouterr().out


def test_a_trial_unknown_to_the_oracle_begins_the_search_anew(tmp_path, capsys):
    search("random", tmp_path / "search", 4)
    notes = (tmp_path / "search" / "oracle.json").read_text()
    whole = tried(search("random", tmp_path / "search", 5))
    (tmp_path / "search" / "oracle.json").write_text(notes)
    assert tried(search("random", tmp_path / "search", 5)) == whole
    assert "computed again" in capsys.readouterr().out


def test_objective_is_maximised(tmp_path):
    best = search("grid", tmp_path / "grid", 30).oracle.get_best_trials(1)[0]
    assert best.score == max(score(values)["objective"] for values in SPACE.grid()[:30])
