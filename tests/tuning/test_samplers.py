import dataclasses

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.folder_lock import only_writer
from scsampler_tf.evaluate import network_costs
from scsampler_tf.evaluation_set import evaluation_set, load_tables
from scsampler_tf.tables import ScoreTable, load_table, save_table
from tests.tuning.conftest import digest_of
from tuning.cache import assessed, forget_others, name_of
from tuning.free import make_free_space
from tuning.samplers import Diverged, Samplers, own_sampler, place_of, train_and_score
from tuning.tuner import Enough


def make(workdir, config, kind, place):
    return train_and_score(workdir, config, kind, place, 0, True)


def samplers(run, making=make) -> Samplers:
    workdir, config = run
    own = {kind: own_sampler(workdir, kind) for kind in ("md", "audio")}
    return Samplers(workdir, config, load_tables(workdir), own, making)


def test_own_samplers_need_no_training_and_others_one_each(run, trainings):
    _, config = run
    found = samplers(run)
    assert found.table("audio", config.audio).made_by == {"network": digest_of("audio")}
    assert trainings == []
    other = dataclasses.replace(config.audio, margin=0.4)
    first = found.table("audio", other)
    assert first.made_by != {"network": digest_of("audio")}
    assert found.table("audio", other).made_by == first.made_by
    # Another process, or the same command again.
    assert samplers(run).table("audio", other).made_by == first.made_by
    assert trainings == ["audio"]


def test_backups_and_logs_of_a_training_that_is_done_are_removed(run, trainings):
    workdir, config = run
    found, other = samplers(run), dataclasses.replace(config.md, margin=0.4)
    found.table("md", other)
    place = found.place("md", other)
    assert place.folder.as_posix().startswith("tuning/samplers/md-")
    left = sorted(path.name for path in (workdir.path / place.folder).iterdir())
    assert left == ["best.keras", "epochs.txt", "model.json"]
    assert (workdir.path / place.table).exists()


@pytest.mark.parametrize("change", ["made_from", "seed", "precision", "epochs", "K", "kind"])
def test_a_sampler_made_from_something_else_lies_elsewhere(run, change):
    _, config = run
    sampler, kind, made_from = config.audio, "audio", {"network": "a"}
    first = place_of(kind, sampler, config, made_from)
    if change == "epochs":
        sampler = dataclasses.replace(sampler, epochs=sampler.epochs + 1)
    if change in ("seed", "precision"):
        config = dataclasses.replace(config, **{change: {"seed": 1, "precision": "mixed_bfloat16"}[change]})
    if change == "K":
        config = dataclasses.replace(config, selection=dataclasses.replace(config.selection, K=4))
    if change == "kind":
        kind = "md"
    assert place_of(kind, sampler, config, {"network": "b"} if change == "made_from" else made_from) != first


def test_scores_that_lack_videos_are_made_again(run, trainings):
    workdir, config = run
    other = dataclasses.replace(config.md, margin=0.4)
    path = workdir.path / samplers(run).place("md", other).table
    samplers(run).table("md", other)
    table = load_table(path)
    save_table(dataclasses.replace(table, values=dict(list(table.values.items())[1:])), path)
    assert not samplers(run).is_made("md", other)
    assert set(samplers(run).table("md", other).values) == set(table.values)


def test_a_network_that_was_not_kept_is_trained_from_the_beginning(run, trainings):
    workdir, config = run
    other = dataclasses.replace(config.md, margin=0.4)
    samplers(run).table("md", other)
    folder = workdir.path / samplers(run).place("md", other).folder
    (folder / "best.keras").unlink()
    (folder / "left.txt").write_text("of a training that is gone")
    (workdir.path / samplers(run).place("md", other).table).unlink()
    samplers(run).table("md", other)
    assert (folder / "best.keras").exists()
    assert not (folder / "left.txt").exists()


def test_a_training_that_diverges_is_tried_once(run, trainings):
    _, config = run
    wild = dataclasses.replace(config.md, learning_rate=1.0)
    for _ in range(2):
        with pytest.raises(Diverged, match="not a number"):
            samplers(run).table("md", wild)
    assert trainings == ["md"]


def test_nothing_but_notes_is_left_of_a_training_that_diverged(run):
    workdir, config = run
    wild = dataclasses.replace(config.md, learning_rate=1.0)

    def diverges(workdir, config, kind, place):
        (workdir.path / place.folder / "backup").mkdir(parents=True)
        raise UserError("the loss is not a number")

    found = samplers(run, diverges)
    with pytest.raises(Diverged):
        found.table("md", wild)
    left = (workdir.path / found.place("md", wild).folder).parent.iterdir()
    assert sorted(path.name for path in left) == [".lock", "about.json", "failed.json"]


def test_waiting_for_another_process_may_be_ended(run):
    workdir, config = run
    other, over = dataclasses.replace(config.md, margin=0.4), []

    def waiting():
        over.append(True)
        raise Enough("--max-minutes 1 are over")

    own = {kind: own_sampler(workdir, kind) for kind in ("md", "audio")}
    found = Samplers(workdir, config, load_tables(workdir), own, make, waiting)
    folder = (workdir.path / found.place("md", other).table).parent
    folder.mkdir(parents=True)
    with only_writer(folder), pytest.raises(Enough):
        found.table("md", other)
    assert over == [True]


def test_what_can_be_mended_is_told_and_tried_again(run):
    _, config = run
    made = []

    def fails(*args):
        made.append(args)
        raise UserError("no space left")

    for _ in range(2):
        with pytest.raises(UserError, match="no space left"):
            samplers(run, fails).table("md", dataclasses.replace(config.md, margin=0.4))
    assert len(made) == 2


def test_own_sampler_is_what_was_trained_not_what_was_configured(run):
    workdir, config = run
    assert own_sampler(workdir, "audio") == config.audio
    (workdir.model("audio") / "model.json").unlink()
    assert own_sampler(workdir, "audio") is None


def test_an_assessment_is_computed_once_and_anew_for_other_scores(run, tmp_path, monkeypatch):
    workdir, config = run
    tables = load_tables(workdir)
    data = evaluation_set(workdir.index(config), tables, "val")
    settings = make_free_space(config.selection, visual=True, audio=True, longest=12).settings(40)
    costs, folder = network_costs(workdir), tmp_path / "assessed"

    def computed(tables):
        return assessed(folder / name_of(tables, data, settings, costs), data, settings, costs)

    first = computed(tables)
    (path,) = folder.iterdir()
    monkeypatch.setattr("tuning.cache.assess_all", lambda *args: pytest.fail("computed again"))
    again = computed(tables)
    for name, values in vars(first).items():
        np.testing.assert_array_equal(values, getattr(again, name))
    monkeypatch.undo()
    other = {**tables, "md": ScoreTable("md", tables["md"].values, {"network": "md-2"})}
    computed(other)
    assert len(list(folder.iterdir())) == 2
    path.write_bytes(path.read_bytes()[:100])  # torn
    assert computed(tables).accuracy.tolist() == first.accuracy.tolist()
    forget_others(folder, {path.name})
    assert list(folder.iterdir()) == [path]


def test_a_setting_that_changes_nothing_is_no_part_of_the_name(run, monkeypatch):
    _, config = run
    plain = {field.name for field in dataclasses.fields(config.audio)}
    later = dataclasses.make_dataclass(
        "Later", [("added", bool, False)], bases=(type(config.audio),), frozen=True
    )
    monkeypatch.setattr("tuning.samplers.SamplerConfig", later)
    sampler = later(**{name: getattr(config.audio, name) for name in plain})
    assert place_of("audio", sampler, config, {}) == place_of("audio", config.audio, config, {})
    assert place_of("audio", dataclasses.replace(sampler, added=True), config, {}) != place_of(
        "audio", config.audio, config, {}
    )
