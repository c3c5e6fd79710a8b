import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.datasets import feature_clips
from pipelines.decoding import decode_all
from pipelines.errors import UserError, VideoError
from pipelines.index import load_index
from pipelines.workers import WorkerCrash
from scsampler_tf import score as score_module
from scsampler_tf import scoring
from scsampler_tf.activations import before_class_layer, clip_activations
from scsampler_tf.config import tiny
from scsampler_tf.model_folder import load_model
from scsampler_tf.score import main, score
from scsampler_tf.tables import ScoreTable, load_table, save_table
from scsampler_tf.workdir import open_workdir

CLIPS = 6


@pytest.fixture(scope="module")
def index(tiny_run):
    return load_index(tiny_run.folder / "features")


def score_md(index, tiny_run, path):
    return score("md", index, tiny_run.folder / "models" / "md", path, workers=0, quiet=True)


def score_classifier(index, tiny_run, path):
    folder = tiny_run.folder / "models" / "classifier"
    resize = tiny().classifier.resize
    return score("classifier", index, folder, path, workers=0, resize=resize, quiet=True)


def same(found: ScoreTable, expected: ScoreTable):
    assert list(found.values) == list(expected.values)
    for name, rows in expected.values.items():
        np.testing.assert_allclose(found.values[name], rows, atol=1e-5)


def test_every_clip_of_every_video_is_scored(tiny_run, index):
    table = load_table(tiny_run.folder / "scores" / "classifier.npz")
    assert list(table.values) == [video.video_id for video in index.videos]
    assert all(rows.shape == (CLIPS, 2) for rows in table.values.values())
    assert all(np.allclose(rows.sum(1), 1, atol=1e-5) for rows in table.values.values())


def test_what_a_clip_took_is_noted_beside_the_scores(tiny_run):
    for kind in ("classifier", "md", "rgb_r", "audio"):
        table = load_table(tiny_run.folder / "scores" / f"{kind}.npz")
        assert 0 < table.timing["seconds_per_clip"] < 60
        # All but those of the first call, a video's.
        assert table.timing["clips"] == (len(table.values) - 1) * CLIPS
        assert "CPU cores" in table.timing["device"]
        assert "seconds" not in str(table.made_by)


def test_the_first_call_of_a_timed_function_is_left_out(monkeypatch):
    clock = iter([0, 10, 20, 22, 30, 33, 40, 40.5])
    monkeypatch.setattr(scoring, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    timed = scoring.Timed(lambda clips: clips * 2)
    np.testing.assert_array_equal(timed(np.arange(4)), [0, 2, 4, 6])
    assert timed.summary() == {}
    for clips in (4, 4, 1):
        timed(np.arange(clips))
    # 2 s and 3 s for 4 clips, 0.5 s for one: the median of 0.5, 0.75 and 0.5.
    summary = timed.summary()
    assert (summary["seconds_per_clip"], summary["clips"]) == (0.5, 9)


def test_motion_that_the_sampler_has_not_met_is_remarked(tiny_run, index, tmp_path, capsys):
    videos = [dataclasses.replace(video, policy="transcode") for video in index.videos[:2]]
    score_md(dataclasses.replace(index, videos=[*videos, *index.videos[2:]]), tiny_run, tmp_path / "md.npz")
    out = capsys.readouterr().out
    assert "md: in 2 videos motion is taken by 'transcode', which the sampler has not met" in out
    score_md(index, tiny_run, tmp_path / "again.npz")
    assert "has not met" not in capsys.readouterr().out


def test_the_classifier_sees_the_clips_of_the_plan(tiny_run, index):
    """The middle of each picture, clip by clip, through the network itself."""
    video = index.videos[3]
    network = load_model(tiny_run.folder / "models" / "classifier").network
    config = tiny().classifier
    ((_, clips),) = decode_all([video], index.settings, config.resize, config.size, workers=0)
    logits = network(clips.astype(np.float32), training=False).numpy()
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = load_table(tiny_run.folder / "scores" / "classifier.npz")
    np.testing.assert_allclose(table.values[video.video_id], expected, atol=1e-5)


def test_an_interrupted_scoring_goes_on_where_it_stopped(tiny_run, index, tmp_path, monkeypatch):
    whole = load_table(tiny_run.folder / "scores" / "md.npz")
    names = list(whole.values)
    part = dataclasses.replace(whole, values={name: whole.values[name] for name in names[:-2]})
    save_table(part, tmp_path / "md.part.npz")
    seen = []
    sampled = score_module._sampled
    monkeypatch.setattr(
        score_module,
        "_sampled",
        lambda index, videos, *network: seen.extend(videos) or sampled(index, videos, *network),
    )
    same(score_md(index, tiny_run, tmp_path / "md.npz"), whole)
    assert [video.video_id for video in seen] == names[-2:]
    assert [path.name for path in tmp_path.iterdir()] == ["md.npz"]
    same(load_table(tmp_path / "md.npz"), whole)
    before = (tmp_path / "md.npz").stat().st_mtime_ns
    same(score_md(index, tiny_run, tmp_path / "md.npz"), whole)
    assert (tmp_path / "md.npz").stat().st_mtime_ns == before
    assert len(seen) == 2


def test_scores_of_another_network_or_of_a_changed_video_are_made_anew(tiny_run, index, tmp_path):
    whole = load_table(tiny_run.folder / "scores" / "md.npz")
    zeros = {name: np.zeros(CLIPS, np.float32) for name in whole.values}
    save_table(ScoreTable("md", zeros, {**whole.made_by, "network": "0"}), tmp_path / "md.npz")
    save_table(whole, tmp_path / "md.part.npz")
    same(score_md(index, tiny_run, tmp_path / "md.npz"), whole)
    same(load_table(tmp_path / "md.npz"), whole)
    first = next(iter(whole.values))
    shorter = {**whole.values, first: np.zeros(CLIPS - 1, np.float32)}
    save_table(dataclasses.replace(whole, values=shorter), tmp_path / "md.npz")
    same(score_md(index, tiny_run, tmp_path / "md.npz"), whole)


@pytest.mark.parametrize("failure", [VideoError("gone: no such file"), WorkerCrash("the decoder crashed")])
def test_a_video_that_cannot_be_decoded_any_more_is_left_out(tiny_run, index, tmp_path, monkeypatch, failure):
    videos = index.videos[:3]
    bad = videos[1].video_id

    def decode(*args, **options):
        for job, clips in decode_all(*args, **options, at_once=4):
            yield job, (failure if job.video.video_id == bad else clips)

    monkeypatch.setattr(score_module, "decode_all", decode)
    table = score_classifier(dataclasses.replace(index, videos=videos), tiny_run, tmp_path / "c.npz")
    whole = load_table(tiny_run.folder / "scores" / "classifier.npz")
    assert list(table.values) == [videos[0].video_id, videos[2].video_id]
    for name, rows in table.values.items():
        np.testing.assert_allclose(rows, whole.values[name], atol=1e-5)


def test_networks_of_other_settings_or_classes_are_refused(tiny_run, index, tmp_path):
    other = dataclasses.replace(index, settings=dataclasses.replace(index.settings, canvas=128))
    with pytest.raises(UserError, match="canvas"):
        score_md(other, tiny_run, tmp_path / "md.npz")
    other = dataclasses.replace(index, labels=["left", "up"])
    with pytest.raises(UserError, match="was trained on other classes"):
        score_md(other, tiny_run, tmp_path / "md.npz")


def test_the_command(tiny_run, tmp_path, capsys):
    assert main(["all", "--workdir", str(tiny_run.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit("/", 1)[1] for line in lines] == [
        f"{kind}.npz: 9 videos, 54 clips" for kind in ("classifier", "md", "rgb_r", "audio")
    ]
    assert main(["all", "--workdir", str(tmp_path / "typo")]) == 2
    assert "no index.json here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_activations_are_stored_on_demand(tiny_run, index, tmp_path, monkeypatch):
    """Of MD, or of RGB-R in a run without; once."""
    workdir, config = open_workdir(tiny_run.folder)
    place = workdir.with_network("activations", tmp_path, tmp_path / "activations.npz")
    table = score_module.score_kind("activations", place, config, workers=0, quiet=True)
    assert list(table.values) == [video.video_id for video in index.videos]
    assert table.made_by["network"] == load_table(workdir.table("md")).made_by["network"]
    video, network = index.videos[0], load_model(workdir.model("md")).network
    trunk = before_class_layer(network)
    frames, mask = next(iter(feature_clips(index, video, "md", 64)))
    expected = clip_activations(trunk, frames, mask)
    found = load_table(tmp_path / "activations.npz").values[video.video_id]
    assert (found.dtype, found.shape) == (np.float16, (CLIPS, trunk.output_shape[-1]))
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)
    monkeypatch.setattr(score_module, "_sampled", lambda *args: pytest.fail("scored again"))
    again = score_module.score_kind("activations", place, config, workers=0, quiet=True)
    np.testing.assert_array_equal(again.values[video.video_id], found)
    assert score_module.networks("activations", workdir) == [("activations", workdir)]
    without = workdir.with_network("md", tmp_path, tmp_path / "none.npz")
    assert score_module._seer(without) == "rgb_r"
    with pytest.raises(UserError, match="a sampler md or rgb_r, and neither has scores"):
        score_module._seer(without.with_network("rgb_r", tmp_path, tmp_path / "none.npz"))
