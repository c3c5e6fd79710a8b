import json
from types import SimpleNamespace

import av
import numpy as np
import pytest

from benchmarks import end_to_end, file_to_label
from benchmarks.end_to_end_figures import Effort, features_alone, file_rows, limits, middle
from benchmarks.end_to_end_report import report
from benchmarks.end_to_end_setups import setups
from benchmarks.file_to_label import Answer, Classifier, SCSampler, Stages, answer
from benchmarks.sound_media import make_with_sound
from pipelines.compressed import CompressedVideo
from pipelines.extraction import clips_with_sound
from pipelines.settings import FeatureSettings
from pipelines.video import iter_clips
from scsampler_tf.config import tiny
from scsampler_tf.cost import Sampler
from tests import media


def taking(seconds, clips=4, **parts):
    """An answer whose classification takes `seconds`, beside `parts`."""
    spent = dict.fromkeys(file_to_label.PARTS, 0.0) | parts | {"classifying": seconds}
    return Answer(np.ones(1), clips, clips, clips, spent, sum(spent.values()) / 2)


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when it is told to, on the clock and on a processor."""
    now = {"clock": 0.0, "processor": 0.0}
    told = SimpleNamespace(perf_counter=lambda: now["clock"], process_time=lambda: now["processor"])
    monkeypatch.setattr(file_to_label, "time", told)

    def passes(seconds, threads=1):
        now["clock"] += seconds
        now["processor"] += seconds * threads

    return passes


@pytest.fixture(scope="module")
def f():
    return Classifier(tiny())


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Seven clips of 16 source frames."""
    path = tmp_path_factory.mktemp("made") / "a.mp4"
    return media.write_video(path, media.noise(112, 80, 64), b_frames=2, sound=media.tone(4.5))


def test_parts_are_all_that_passes(clock):
    spent = Stages()
    clock(1)
    spent.note("features")
    clock(2, threads=2)
    spent.note("sampling")
    clock(4)
    spent.note("features")
    assert spent.clock == {"features": 5, "sampling": 2, "decoding": 0, "classifying": 0}
    assert sum(spent.processor.values()) == 1 + 2 * 2 + 4


def test_what_was_measured_on_some_clips_is_scaled_to_all(clock):
    spent = Stages()
    clock(3)
    spent.note("decoding")
    clock(2, threads=2)
    spent.note("classifying")
    found = answer(np.ones(2), 100, 100, 8, spent)
    assert found.parts == {"features": 0, "sampling": 0, "decoding": 3, "classifying": 25}
    assert found.seconds == 28
    assert found.processor_s == 3 + 4 * 100 / 8
    assert answer(np.ones(2), 100, 10, 10, spent).seconds == 5  # ten chosen clips are ten


def test_the_middle_run_is_one_that_took_place():
    runs = [taking(5.0), taking(1.0), taking(2.0), taking(3.0)]
    assert middle(runs) is runs[2]
    assert middle(runs[:3]) is runs[2]
    assert middle(runs[:1]) is runs[0]


def test_rows_hold_the_ratio_and_the_work(tmp_path):
    order = []

    def way(name, *seconds):
        def run(path, seed):
            order.append(name)
            return taking(seconds[seed], features=1.0)

        return run

    runs = {"dense": way("d", 9.0, 7.0, 8.0), "ours": way("o", 1.0, 3.0, 2.0)}
    samplers = {"ours": [Sampler(2e9, 3)]}
    dense, ours = file_rows(tmp_path / "v.mp4", runs, 5 * 10**9, samplers, Effort(3, 60))
    assert "".join(order) == "do" + "od" + "do"
    assert (dense["seconds"], ours["seconds"], ours["rounds"]) == (9.0, 3.0, 3)
    assert (ours["times_faster"], ours["times_less_processor"]) == (3.0, 3.0)
    assert (dense["gflops"], ours["gflops"]) == (4 * 5, 4 * 5 + 4 * 2 * 3)
    assert [row["file"] for row in (dense, ours)] == ["v.mp4"] * 2
    assert file_rows(tmp_path, runs, 1, samplers, Effort(3, 0))[0]["rounds"] == 1


def test_limits_by_hand():
    parts = {"features": 2.0, "sampling": 3.0, "decoding": 1.0, "classifying": 4.0}
    rows = [
        {"file": "a", "method": "dense", "seconds": 900.0},
        {"file": "b", "method": "dense", "seconds": 100.0},
        {"file": "b", "method": "ours", "seconds": 10.0, "parts": parts},
    ]
    found = limits(rows[2], rows)
    assert (found["endless"], found["free_features"]) == (100 / 5, 100 / 8)
    assert found["free_sampling"] == pytest.approx(100 / 7)


def test_dense_on_some_clips_is_dense_on_all_but_scaled(video, f, monkeypatch):
    clips = list(iter_clips(video, 8, 2, tiny().classifier.resize))
    each = f(clips)
    assert each.shape == (7, 400)
    monkeypatch.setattr(file_to_label, "BATCH", 2)
    whole = file_to_label.dense(video, f)
    assert (whole.clips, whole.classified, whole.measured) == (7, 7, 7)
    np.testing.assert_allclose(whole.probabilities, each.mean(axis=0), atol=1e-6)
    some = file_to_label.dense(video, f, 3)
    assert (some.clips, some.classified, some.measured) == (7, 7, 3)
    np.testing.assert_allclose(some.probabilities, each[[0, 3, 6]].mean(axis=0), atol=1e-6)
    assert file_to_label.dense(video, f, 50).measured == 7


def test_chosen_clips_are_those_of_dense_evaluation(video, f):
    each = f(list(iter_clips(video, 8, 2, tiny().classifier.resize)))
    found = file_to_label.uniform(video, f, 3)
    assert (found.clips, found.classified, found.measured) == (7, 3, 3)
    np.testing.assert_allclose(found.probabilities, each[[0, 3, 6]].mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(
        file_to_label.random(video, f, 9, seed=1).probabilities, each.mean(axis=0), atol=1e-3
    )
    assert found.parts["features"] == found.parts["sampling"] == 0
    assert found.seconds == pytest.approx(found.parts["decoding"] + found.parts["classifying"])


def test_scsampler_is_the_prediction_with_every_part_timed(video, f):
    model = SCSampler(f, tiny())
    assert {kind: cost.examples_per_clip for kind, cost in model.costs.items()} == {
        "md": 4,
        "rgb_r": 2,
        "audio": 1,
    }
    found = file_to_label.scsampler(video, model)
    assert (found.clips, found.classified) == (7, 3)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-4)
    assert all(found.parts[part] > 0 for part in file_to_label.PARTS)
    alone = features_alone(video, tiny().features)
    assert (alone["clips"], alone["policy"]) == (7, "transcode")
    assert alone["times_real_time"] == pytest.approx(112 / media.FPS / alone["seconds"])


@pytest.mark.parametrize("name", ["h264_b", "mpeg4"])
def test_made_files_have_their_length_in_picture_and_sound(tmp_path, monkeypatch, name):
    monkeypatch.setattr("benchmarks.sound_media.LOOP_S", 1)  # two and a half turns
    path = make_with_sound(tmp_path, name, 2.5)
    times = file_to_label.scan_times(path)
    assert (times.count, times.seekable) == (75, True)
    assert np.ptp(np.diff(times.pts)) == 0
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.has_b_frames == (name == "h264_b")
    settings = FeatureSettings(canvas=64, residual_size=32)

    heard = [mel for _, mel in clips_with_sound(path, CompressedVideo(path, settings), settings)]
    assert len(heard) == 5  # the tail of 11 frames is one
    assert all(mel is not None and mel.std() > 0.1 for mel in heard)
    assert make_with_sound(tmp_path, name, 2.5) == path


@pytest.mark.slow
def test_the_command_measures_and_writes(tmp_path, capsys):
    target = tmp_path / "figures.json"
    assert end_to_end.main(["--quick", "--K", "2", "--streams", "h264_b", "--json", str(target)]) == 0
    found = json.loads(target.read_text())
    cheap, costly = found["classifiers"]
    assert [row["method"] for row in cheap["rows"]] == ["dense", "SCSampler", "uniform", "random"] * 2
    assert set(costly["samplers"]) == {"SCSampler", "SCSampler, light"}
    for row in cheap["rows"] + costly["rows"]:
        assert row["seconds"] == pytest.approx(sum(row["parts"].values()))
        assert row["classified"] == (row["clips"] if row["method"] == "dense" else 2)
    assert [row["clips"] for row in costly["rows"]] == [6] * 5 + [11] * 5
    assert [row["measured"] for row in costly["rows"][:5]] == [2] * 5
    assert [row["measured"] for row in cheap["rows"][:4]] == [6, 2, 2, 2]
    out = capsys.readouterr().out
    assert "| h264_b_sound_340x256_3s.mp4 | dense | 6 | 6* |" in out
    assert "only 2 clips spread over the video were classified" in out
    assert "| costly | SCSampler, light |" in out
    assert out == report(found) + "\n"


@pytest.mark.slow
def test_own_files_and_settings(video, tmp_path, capsys):
    arguments = ["--quick", "--only", "costly", "--dense-clips", "0", "--video", str(video)]
    arguments += ["--streams", "mpeg4", "--set", "features.residual_frames=1", "--set", "selection.K_prime=1"]
    assert end_to_end.main(arguments) == 0
    out = capsys.readouterr().out
    assert "rgb_r resnet_small 32x32x3 (1 a clip, " in out
    assert "| a.mp4 | SCSampler, as set | 7 | 3 |" in out
    assert "| a.mp4 | dense | 7 | 7 |" in out
    assert "(*)" not in out


def test_k_is_that_of_both_classifiers():
    for setup in setups(False, 24, 3, []):
        assert setup.config.selection.K == 3
        assert {each.selection.K_prime for each in setup.sampled.values()} == {3}
    cheap, costly = setups(False, 24, None, [])
    assert (cheap.config.selection.K, cheap.most) == (5, 0)
    assert (costly.config.selection.K, costly.most) == (10, 24)
    assert costly.config.classifier.arch == "r2plus1d_18"


def test_a_busy_machine_is_told():
    assert not end_to_end.is_busy(0.1, 2.0, cores=2)
    assert end_to_end.is_busy(0.9, 2.0, cores=2)
    assert end_to_end.is_busy(0.1, 3.1, cores=2)
    assert not end_to_end.is_busy(None, None, cores=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--video", "nothing.mp4"], "nothing.mp4: no such file"),
        (["--K", "0"], "--K 0: use 1 or more"),
        (["--dense-clips", "-1"], "--dense-clips -1: use 0 or more"),
        (["--minutes", "0"], "--minutes 0: use a second to a day, in minutes"),
        (["--set", "features.canvas"], "--set features.canvas: write it as part.key=value"),
    ],
)
def test_mistakes_are_told_before_anything_is_measured(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr(end_to_end, "measure", lambda *_: pytest.fail("it measured"))
    assert end_to_end.main([*arguments, "--quick"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {message}")
    assert told.count("\n") == 1


def test_a_file_shorter_than_a_clip_is_told(tmp_path, capsys):
    short = media.write_video(tmp_path / "short.mp4", media.pan(10, 96, 80))
    assert end_to_end.main(["--quick", "--video", str(short)]) == 2
    assert "short.mp4: 10 frames, shorter than one clip" in capsys.readouterr().err
