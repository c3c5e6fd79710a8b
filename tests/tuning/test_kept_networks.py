"""Which trained networks stay on the disk, and how the others come back."""

import json

import pytest

from pipelines.errors import UserError
from pipelines.files import file_digest
from pipelines.folder_lock import only_writer
from scsampler_tf.found_settings import apply_found, found_in
from scsampler_tf.tables import load_table
from tests.tuning.conftest import change_json
from tests.tuning.searching import read, run_search
from tuning.search import main

pytestmark = pytest.mark.filterwarnings(
    r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning",
)
SAMPLERS = "tuning/samplers"


def on_disk(workdir) -> list:
    return sorted((workdir.path / "tuning" / "samplers").glob("*/network/best.keras"))


def needed(run, *names: str) -> set:
    """The files of networks that these settings files name, of those that a search has trained."""
    return {
        run[0].path / where["folder"] / "best.keras"
        for name in names
        for where in read(run, name)["networks"].values()
        if "folder" in where
    }


def test_only_the_best_networks_are_kept(run, trainings):
    workdir, _ = run
    best = run_search(run, tuner="grid", train=("audio",), max_trials=12, keep=2)
    kept = list((workdir.path / "tuning" / "samplers").glob("*/network/best.keras"))
    assert len(trainings) == 11
    assert len(kept) <= 2
    if "folder" in best["networks"]["audio"]:
        assert workdir.path / best["networks"]["audio"]["folder"] / "best.keras" in kept
    assert len(list((workdir.path / "tuning" / "samplers").glob("*/scores.npz"))) == 11
    again = run_search(run, tuner="grid", train=("audio",), max_trials=12, keep=2)
    assert (again, len(trainings)) == (best, 11)


def test_a_network_that_was_not_kept_is_restored(run, trainings, margins_only, capsys):
    workdir, config = run
    run_search(run, tuner="grid", train=("audio",))
    path = workdir.path / "tuning" / "best.json"
    folder = workdir.path / read(run, "best.json")["networks"]["audio"]["folder"]
    (folder / "best.keras").unlink()
    with pytest.raises(UserError, match="--restore"):
        apply_found(workdir, config, found_in(path), path, networks=True)
    words = ["--workdir", str(workdir.path), "--restore", str(path)]
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == str(folder)
    apply_found(workdir, config, found_in(path), path, networks=True)
    made = len(trainings)
    assert main(words) == 0
    assert len(trainings) == made


@pytest.fixture
def a_combination_wins(margins_only, monkeypatch):
    """Trials change one sampler each, and all schemes need both: only a combination has both good ones."""
    monkeypatch.setattr("tuning.trials.REPORT_EVERY_S", 0.0)
    monkeypatch.setattr("tuning.free.FUSIONS", ("union_list",))


def test_networks_of_a_combination_are_kept(run, trainings, a_combination_wins):
    workdir, _ = run
    best = run_search(run, tuner="grid", max_trials=9, keep=1, objective="val_true_score")
    assert best["found"]["trial"].startswith("mix-")
    assert len(needed(run, "best.json")) == 2
    assert needed(run, "best.json", "knee.json") == set(on_disk(workdir))
    assert len(trainings) == 8


def test_what_an_earlier_run_has_let_go_is_told_with_what_to_do(run, trainings, margins_only, capsys):
    run_search(run, tuner="grid", train=("audio",), quiet=False)
    assert "--restore" not in capsys.readouterr().out
    (file,) = needed(run, "best.json")
    file.unlink()
    run_search(run, tuner="grid", train=("audio",), quiet=False)
    said = capsys.readouterr().out
    assert "of a network of best only the scores were kept" in said
    assert f"--workdir {run[0].path} --restore {run[0].path / 'tuning' / 'best.json'}" in said


def test_networks_of_an_earlier_search_go_and_those_at_work_stay(run, trainings):
    workdir, _ = run
    run_search(run, tuner="grid", train=("audio",), max_trials=6, keep=5)
    old = on_disk(workdir)
    assert len(old) == 5
    busy = old[0].parent.parent
    with only_writer(busy):
        run_search(run, tuner="grid", train=("md",), max_trials=3, keep=1)
    assert old[0] in on_disk(workdir)
    assert set(on_disk(workdir)) & set(old) == {old[0]}
    assert needed(run, "best.json", "knee.json") <= set(on_disk(workdir))
    assert all((file.parent.parent / "scores.npz").exists() for file in old)


@pytest.fixture
def pruned(run, trainings, margins_only):
    """A search whose best network was not kept: its file of settings, and the network's folder."""
    run_search(run, tuner="grid", train=("audio",))
    path = run[0].path / "tuning" / "best.json"
    (file,) = needed(run, "best.json")
    file.unlink()
    return path, file.parent


def restored(run, path) -> int:
    return main(["--workdir", str(run[0].path), "--restore", str(path)])


def agrees(run, path) -> bool:
    """Whether all networks of a settings file may be run."""
    workdir, config = run
    try:
        apply_found(workdir, config, found_in(path), path, networks=True)
    except UserError:
        return False
    return True


def test_every_settings_file_knows_the_new_network(run, pruned):
    path, folder = pruned
    before = load_table(folder.parent / "scores.npz").made_by["network"]
    assert restored(run, path) == 0
    assert file_digest(folder / "best.keras")[:16] != before
    tuning, seen = path.parent, 0
    for other in [path, tuning / "knee.json", *(tuning / "front").glob("*.json")]:
        where = json.loads(other.read_text())["networks"]["audio"]
        if where.get("folder") == folder.relative_to(run[0].path).as_posix():
            assert agrees(run, other)
            seen += 1
    assert seen >= 2


@pytest.mark.parametrize("moment", ["training", "scoring", "noting"])
def test_killed_at_any_moment_it_is_taken_up_again(run, pruned, monkeypatch, moment):
    path, folder = pruned

    class Killed(BaseException):
        pass

    def killed(*args, **options):
        raise Killed

    with monkeypatch.context() as patched:
        if moment == "training":
            patched.setattr("tests.tuning.stub.write_json", killed)
        elif moment == "scoring":
            patched.setattr("scsampler_tf.score.score", killed)
        else:
            patched.setattr("tuning.restoring.write_json", killed)
        with pytest.raises(Killed):
            restored(run, path)
    assert (folder / "best.keras").exists()
    assert not agrees(run, path)
    assert restored(run, path) == 0
    assert agrees(run, path)


def test_it_is_refused_while_a_search_runs(run, pruned, capsys):
    path, _ = pruned
    with only_writer(path.parent):
        assert restored(run, path) == 2
    assert "another run is writing here" in capsys.readouterr().err


def edit_place(**values):
    return lambda content: content["networks"]["audio"].update(values)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (edit_place(folder="models/audio", table="scores/audio.npz"), "does not lie where"),
        (
            edit_place(folder="tuning/samplers/../network", table="tuning/samplers/../scores.npz"),
            "does not lie",
        ),
        (edit_place(folder=7), "does not lie where"),
        (edit_place(table="scores/audio.npz"), "does not lie where"),
        (edit_place(folder=f"{SAMPLERS}/x/network", table=f"{SAMPLERS}/x/scores.npz"), "is not in this run"),
        (lambda content: content.update(audio=3), "is not in this run"),
        (lambda content: content["audio"].update(speed=1), "unknown setting 'audio.speed'"),
        (lambda content: content["audio"].update(epochs="many"), "audio.epochs"),
    ],
)
def test_settings_files_are_not_trusted(run, pruned, trainings, capsys, edit, words):
    path, _ = pruned
    before = (run[0].model("audio") / "best.keras").read_text()
    change_json(path, edit)
    del trainings[:]
    assert restored(run, path) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert trainings == []
    assert (run[0].model("audio") / "best.keras").read_text() == before
