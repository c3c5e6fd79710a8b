"""The synthetic set as files: what it says about itself, resuming, extending, refusing."""

import csv

import av
import pytest
from av.video.frame import PictureType

from pipelines import synthetic
from pipelines.errors import UserError
from pipelines.files import PART, read_json, write_json
from pipelines.synthetic import make_set, write_video
from pipelines.synthetic_plan import ACTIONS, HEIGHT, WIDTH, Segment, VideoPlan, plan_video


def short_plan(index: int = 0, codec: str = "h264", has_audio: bool = True) -> VideoPlan:
    kinds = (("still", "hum"), ("spin", "spin"), ("pan", "beeps"))
    segments = [
        Segment(12 * i, 12, kind, sound, -20.0, seed=i + 100 * index) for i, (kind, sound) in enumerate(kinds)
    ]
    return VideoPlan(index, "spin", "train", codec, codec == "h264", has_audio, (3, index), tuple(segments))


@pytest.fixture
def short_videos(monkeypatch):
    """Videos of 36 pictures instead of hundreds: every second in MPEG-4, video 2 without sound."""

    def plan(seed: int, index: int) -> VideoPlan:
        long = plan_video(seed, index)
        short = short_plan(index, long.codec, index != 2)
        kinds = [s.kind if s.kind != "spin" else long.label for s in short.segments]
        segments = tuple(
            Segment(s.start, s.frames, kind, s.sound, s.loudness_db, s.seed + seed)
            for s, kind in zip(short.segments, kinds, strict=True)
        )
        return VideoPlan(
            index, long.label, long.split, long.codec, long.b_frames, index != 2, (seed, index), segments
        )

    monkeypatch.setattr(synthetic, "plan_video", plan)


def opened(path) -> tuple[str, int, tuple[int, int], bool, bool]:
    """Codec, decoded pictures, size, B-frames, sound."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        types = [frame.pict_type for frame in container.decode(stream)]
        size = (stream.width, stream.height)
        sound = bool(container.streams.audio)
        return stream.codec_context.name, len(types), size, PictureType.B in types, sound


def test_makes_what_the_manifest_says(tmp_path, short_videos):
    manifest = make_set(tmp_path / "set", 6, seed=3, workers=1, quiet=True)
    with manifest.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert sorted(row["label"] for row in rows) == list(ACTIONS)
    for number, row in enumerate(rows):
        codec, frames, size, b_frames, sound = opened(manifest.parent / row["path"])
        assert (codec == "mpeg4") == (number % 2 == 1)
        assert b_frames == (number % 4 == 0)
        assert frames == int(row["frames"]) == round(float(row["duration_s"]) * float(row["fps"])) == 36
        assert size == (WIDTH, HEIGHT)
        assert sound == bool(int(row["has_audio"])) == (number != 2)
        start, end = map(float, row["action_segments"].split("-"))
        assert (start, end) == (0.8, 1.6)
    assert read_json(tmp_path / "set" / "synthetic.json") == {
        "recipe": synthetic.RECIPE,
        "seed": 3,
        "videos": 6,
    }


def test_same_plan_same_bytes(tmp_path):
    for number, codec in enumerate(("h264", "mpeg4")):
        plan = short_plan(number, codec)
        for name in ("a.mp4", "b.mp4"):
            write_video(plan, tmp_path / name)
        assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_goes_on_after_a_stop_and_extends(tmp_path, short_videos):
    make_set(tmp_path, 6, seed=3, workers=1, quiet=True)
    kept, lost = (tmp_path / "videos" / f"video_0000{n}.mp4" for n in (1, 4))
    before, lost_bytes = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    (tmp_path / "videos" / f"{PART}video_00004-x.mp4").write_bytes(b"cut short")
    manifest = make_set(tmp_path, 7, seed=3, workers=1, quiet=True)
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == lost_bytes
    assert len(manifest.read_text().splitlines()) == 8
    assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == [
        f"video_0000{n}.mp4" for n in range(7)
    ]


def test_another_seed_or_a_smaller_set_is_refused(tmp_path, short_videos):
    make_set(tmp_path, 7, seed=3, workers=1, quiet=True)
    with pytest.raises(UserError, match="made otherwise"):
        make_set(tmp_path, 7, seed=4, workers=1, quiet=True)
    with pytest.raises(UserError, match="holds 7 videos"):
        make_set(tmp_path, 6, seed=3, workers=1, quiet=True)


@pytest.mark.parametrize("about", [[], {"recipe": synthetic.RECIPE, "seed": 3}, {"recipe": 0}])
def test_an_odd_description_is_refused(tmp_path, about):
    write_json(tmp_path / "synthetic.json", about)
    with pytest.raises(UserError, match="holds"):
        make_set(tmp_path, 6, seed=3, quiet=True)


def test_a_foreign_manifest_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_text("path,label,split\n")
    with pytest.raises(UserError, match="not of this command"):
        make_set(tmp_path, 6, seed=3, quiet=True)
    assert (tmp_path / "manifest.csv").read_text() == "path,label,split\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"videos": 5, "seed": 0}, "--videos: 5"),
        ({"videos": 6, "seed": -1}, "--seed: -1"),
        ({"videos": 6, "seed": 0, "workers": 0}, "--workers: 0"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        make_set(tmp_path / "set", **arguments)
    assert not (tmp_path / "set").exists()


def test_command_says_one_sentence(tmp_path, capsys):
    assert synthetic.main(["--out", str(tmp_path / "set"), "--videos", "2"]) == 2
    assert capsys.readouterr().err.startswith("error: --videos: 2")
    (tmp_path / "file").write_text("")
    assert synthetic.main(["--out", str(tmp_path / "file"), "--videos", "6"]) == 2
    assert "is a file" in capsys.readouterr().err


def test_worker_processes_give_the_same_bytes(tmp_path, short_videos):
    for workers in (1, 2):
        make_set(tmp_path / str(workers), 6, seed=3, workers=workers, quiet=True)
    for path in (tmp_path / "1" / "videos").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / "videos" / path.name).read_bytes()
