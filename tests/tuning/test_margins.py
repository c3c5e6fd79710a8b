import dataclasses

import numpy as np
import pytest

from pipelines.records import ClipRecord, write_shard
from pipelines.wire import pack_log_mel
from scsampler_tf.config import preset, to_dict
from scsampler_tf.evaluation_set import load_tables
from scsampler_tf.tables import ScoreTable, load_table, save_table
from scsampler_tf.workdir import Workdir
from tests.tuning.conftest import video, write_index
from tuning.margins import AudioSamplers, own_sampler, place_of, train_and_score


def samplers(run, made: list) -> AudioSamplers:
    """Audio samplers whose training only notes its margin and scores every clip with it."""
    workdir, config = run
    tables = load_tables(workdir)

    def make(changed, place):
        made.append(changed.audio.margin)
        margin = np.float32(changed.audio.margin)
        values = {name: np.full(len(rows), margin) for name, rows in tables["audio"].values.items()}
        return ScoreTable("audio", values, {"network": f"audio-{margin}"})

    return AudioSamplers(workdir, config, tables, own_sampler(workdir), make)


def test_own_margin_needs_no_training_and_others_one_each(run):
    made = []
    found = samplers(run, made)
    own = found.validation(0.1)
    assert found.validation(None) is own
    assert made == []
    for margin in (0.2, 0.0, 0.2, 0.1, 0.0):
        expected = own.audio if margin == 0.1 else np.full_like(own.audio, margin)
        np.testing.assert_array_equal(found.validation(margin).audio, expected)
        np.testing.assert_array_equal(found.validation(margin).visual, own.visual)
    assert made == [0.2, 0.0]


def test_places(run):
    _, config = run
    found = samplers(run, [])
    assert found.place(0.1) == found.place(None)
    assert found.place(0.1).folder.as_posix() == "models/audio"
    assert found.place(0.1).table.as_posix() == "scores/audio.npz"
    other = found.place(0.05)
    assert other.folder.as_posix().startswith("tuning/audio-margin-0.05-")
    assert other.table.parent == other.folder
    made_from = {"network": "classifier-1"}
    assert other == place_of(dataclasses.replace(config.audio, margin=0.05), config, made_from)


@pytest.mark.parametrize("change", ["classifier", "seed", "epochs", "K"])
def test_a_sampler_made_from_something_else_lies_elsewhere(run, change):
    _, config = run
    sampler = config.audio
    first = place_of(sampler, config, {"network": "a"})
    if change == "epochs":
        sampler = dataclasses.replace(sampler, epochs=sampler.epochs + 1)
    if change == "seed":
        config = dataclasses.replace(config, seed=1)
    if change == "K":
        config = dataclasses.replace(config, selection=dataclasses.replace(config.selection, K=4))
    assert place_of(sampler, config, {"network": "b" if change == "classifier" else "a"}) != first


def test_the_run_is_what_was_trained_not_what_was_configured(run):
    workdir, config = run
    assert own_sampler(workdir) == config.audio
    (workdir.model("audio") / "model.json").unlink()
    assert own_sampler(workdir) is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_trains_and_scores_a_real_audio_sampler(tmp_path):
    workdir = Workdir(tmp_path / "run")
    config = preset("tiny")
    audio = dataclasses.replace(config.audio, margin=0.2, epochs=1, clips_per_video=2)
    config = dataclasses.replace(config, audio=audio)
    rng = np.random.default_rng(0)
    videos = [
        video(f"v{n}", "ab"[n % 2], split, 3, f"v{n}.tfrecord")
        for n, split in enumerate(["train", "train", "val"])
    ]
    index = write_index(workdir.features, config, videos)
    for each in videos:
        clips = [
            ClipRecord(each.video_id, n, n * 1.0, n + 1.0, b"", b"", b"", pack_log_mel(mel), "direct")
            for n, mel in enumerate(rng.normal(size=(each.clips, 40, 200)))
        ]
        write_shard(index.shard_path(each), clips)
    values = {each.video_id: rng.dirichlet([1, 1], each.clips).astype(np.float32) for each in videos}
    save_table(ScoreTable("classifier", values, {"network": "c"}), workdir.table("classifier"))
    place = place_of(audio, config, {"network": "c"})
    table = train_and_score(workdir, config, place, workers=0, quiet=True)
    assert {name: rows.shape for name, rows in table.values.items()} == {f"v{n}": (3,) for n in range(3)}
    assert (
        own_sampler(workdir.with_network("audio", workdir.path / place.folder, workdir.path / place.table))
        == audio
    )
    before = (workdir.path / place.folder / "best.keras").stat().st_mtime_ns
    again = train_and_score(workdir, config, place, workers=0, quiet=True)
    assert (workdir.path / place.folder / "best.keras").stat().st_mtime_ns == before
    assert again.made_by == load_table(workdir.path / place.table).made_by == table.made_by
    assert to_dict(config)["audio"]["margin"] == 0.2
