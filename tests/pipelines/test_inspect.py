import json

import numpy as np
import pytest
from PIL import Image

from pipelines import inspect
from pipelines.frame_features import FrameFeatures
from tests import media


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("inspect")


@pytest.fixture(scope="module")
def video(folder):
    return media.write_video(folder / "a.mp4", media.pan(30, 136, 104, (3, -2)), sound=media.tone(1.2))


@pytest.fixture(scope="module")
def with_b(folder):
    return media.write_video(folder / "b.mp4", media.pan(30, 136, 104, (3, -2)), b_frames=2)


def run(capsys, *arguments):
    code = inspect.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_it_prints_what_the_stream_is(capsys, video):
    code, out, _ = run(capsys, video)
    assert code == 0
    for words in (
        "h264 High, 136x104, yuv420p, progressive, no B-frames",
        "30 in 1.20 s, at 25.000 a second: 27 P, 3 I",
        "GOP      6 to 12 frames, median 12",
        "aac 16000 Hz, 1 channels",
        "motion   direct: I- and P-frames only",
        "damage   none found",
    ):
        assert words in out


def test_the_policy_can_be_forced(capsys, with_b):
    assert "motion   transcode: vectors of a stream with B-frames" in run(capsys, with_b)[1]
    assert "motion   scaled" in run(capsys, with_b, "--mode", "fast")[1]
    code, _, err = run(capsys, with_b, "--mode", "direct")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"error: {with_b}: vectors of a stream with B-frames")


def test_npz_holds_every_frame(capsys, folder, video):
    target = folder / "a.npz"
    assert run(capsys, video, "--npz", target, "--residual", "2")[0] == 0
    with np.load(target) as found:
        assert {name: found[name].shape for name in found} == {
            "md": (30, 7, 9, 2), "frame_type": (30,), "pts_s": (30,), "rgb_r": (30, 52, 68, 3), "policy": ()
        }  # fmt: skip
        assert found["md"].dtype == np.float32
        np.testing.assert_array_equal(
            found["md"], np.concatenate([batch.md for batch in FrameFeatures(video).batches()])
        )
        assert "".join(found["frame_type"]) == ("I" + "P" * 11) * 2 + "I" + "P" * 5
        np.testing.assert_allclose(found["pts_s"], np.arange(30) / 25, atol=1e-9)
        assert found["rgb_r"].dtype == np.uint8
        assert str(found["policy"]) == "direct"


def test_without_residual_there_is_none(capsys, folder, video):
    run(capsys, video, "--npz", folder / "b.npz")
    with np.load(folder / "b.npz") as found:
        assert sorted(found) == ["frame_type", "md", "policy", "pts_s"]


@pytest.mark.parametrize("mode", ["fast", "transcode"])
def test_png_shows_frames_beside_residuals(capsys, folder, with_b, mode):
    target = folder / f"{mode}.png"
    assert run(capsys, with_b, "--png", target, "--mode", mode)[0] == 0
    with Image.open(target) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape[0] > 4 * 200
    left, right = np.split(pixels[:, : pixels.shape[1] // 2 * 2], 2, axis=1)
    red = (left[..., 0] - left[..., 2] > 120) & (left[..., 1] < 130)
    assert red.sum() > 50  # the arrows
    assert (np.abs(right - 128).max(axis=-1) < 40).mean() > 0.3  # residuals are mostly grey


def test_json_holds_the_same(capsys, folder, video, with_b):
    assert run(capsys, video, with_b, "--json", folder / "a.json")[0] == 0
    first, second = json.loads((folder / "a.json").read_text())
    assert first["frames"] == 30
    assert first["gop"] == {"shortest": 6, "median": 12, "longest": 12}
    assert first["motion"]["name"] == "direct"
    assert second["motion"]["name"] == "transcode"
    assert second["sound"] is None


def test_one_bad_file_does_not_stop_the_others(capsys, tmp_path, video):
    bad = media.text_file(tmp_path / "bad.mp4")
    code, out, err = run(capsys, bad, video)
    assert code == 2
    assert f"error: {bad}: " in err
    assert "136x104" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.mp4", "b.mp4", "--png", "c.png"], "--png and --npz take one video"),
        (["a.mp4", "--residual"], "--residual adds to --npz"),
        (["nothing.mp4"], "nothing.mp4: no such file"),
    ],
)
def test_mistakes_are_one_sentence(capsys, arguments, message):
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_change_of_size_cannot_be_one_array(capsys, tmp_path):
    first = media.write_video(tmp_path / "1.264", media.pan(5, 96, 64))
    second = media.write_video(tmp_path / "2.264", media.pan(5, 128, 96))
    both = tmp_path / "both.264"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    code, _, err = run(capsys, both, "--npz", tmp_path / "both.npz")
    assert code == 2
    assert "the size of its pictures changes midway" in err
    assert not (tmp_path / "both.npz").exists()
