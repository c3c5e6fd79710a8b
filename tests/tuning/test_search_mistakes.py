import pytest

from tests.tuning.conftest import change_json
from tuning.search import main

pytestmark = pytest.mark.filterwarnings(
    r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning",
)


def no_val(workdir):
    change_json(
        workdir.features / "index.json",
        lambda index: [video.update(split="train") for video in index["videos"]],
    )


def no_samplers(workdir):
    workdir.table("md").unlink()
    workdir.table("audio").unlink()


@pytest.mark.parametrize(
    ("damage", "options", "words"),
    [
        (lambda workdir: workdir.config_file.unlink(), [], "no config.json here"),
        (lambda workdir: workdir.table("classifier").unlink(), [], "no such score table"),
        (no_samplers, [], "no sampler has a score table"),
        (no_val, [], "no scored video in split 'val'"),
        (lambda workdir: (workdir.model("md") / "model.json").unlink(), [], "no trained network"),
        (None, ["--max-trials", "0"], "--max-trials 0: give 1 or more"),
        (None, ["--keep", "0"], "--keep 0: give 1 or more"),
        (None, ["--free-budget", "0"], "--free-budget 0: give 1 or more"),
        (None, ["--clips", "13"], "the longest validation video has 12 clips"),
        (None, ["--max-trainings", "-2"], "--max-trainings -2: give 0 or more"),
        (None, ["--max-minutes", "0"], "--max-minutes 0: give a number above 0"),
        (None, ["--max-gflops", "nan"], "--max-gflops nan: give a number above 0"),
        (None, ["--max-gflops", "0.1"], "--max-gflops 0.1: no setting is that cheap; the cheapest takes"),
        (None, ["--train", "rgb_r"], "--train rgb_r: the run has no scored sampler of that kind"),
        (None, ["--train", "eyes"], "--train eyes: is none of md, rgb_r, audio"),
        (None, ["--seed", "-1"], "--seed -1: give 0 or more"),
        (None, ["--restore", "gone.json"], "gone.json: no such file"),
    ],
)
def test_mistakes_are_one_sentence(run, capsys, damage, options, words):
    workdir, _ = run
    if damage:
        damage(workdir)
    assert main(["--workdir", str(workdir.path), *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (workdir.path / "tuning").exists()


def test_two_searches_at_once_are_refused(run, trainings, capsys):
    from pipelines.folder_lock import only_writer

    workdir, _ = run
    (workdir.path / "tuning").mkdir()
    with only_writer(workdir.path / "tuning"):
        assert main(["--workdir", str(workdir.path), "--max-trials", "2"]) == 2
    assert "another run is writing here" in capsys.readouterr().err
