import json
from types import SimpleNamespace

import pytest

from benchmarks import features, per_frame, timing
from tests import media


def test_ratios_are_against_the_base_of_the_same_round(monkeypatch):
    now = 0.0
    pace = iter([1, 1, 10, 10, 2, 2])  # the machine's, in each of three rounds of two runs

    def working(seconds):
        def work():
            nonlocal now
            now += seconds * next(pace)

        return work

    monkeypatch.setattr(timing, "time", SimpleNamespace(process_time=lambda: now))
    base, twice = working(1.0), working(2.0)
    monkeypatch.setattr(timing, "_warm_up", lambda *_: 1.0)
    base_s, found = timing.ratios(base, {"twice": twice}, rounds=3)
    assert base_s == 2.0  # the median of 1, 10 and 2
    assert found == {"twice": 2.0}


@pytest.mark.slow
def test_every_section_runs(tmp_path, capsys):
    target = tmp_path / "figures.json"
    sections = ["frames", "clips", "energy", "memory"]
    assert features.main(["--quick", "--only", *sections, "--json", str(target)]) == 0
    found = json.loads(target.read_text())
    assert [row["stream"] for row in found["frames"]] == [
        f"{stream} {size}{b}"
        for size in ("340x256", "1280x720")
        for stream, b in (("mpeg4", ""), ("h264", ""), ("h264", " with B-frames"))
    ]
    for row in found["frames"]:
        assert row["frames"] == 15
        assert {"MD, fast", "MD + RGB-R full", "MD + RGB-R quarter", "I-frames"} <= set(row["ratios"])
        assert all(ratio > 0 for ratio in row["ratios"].values())
    assert [row["gop"] for row in found["clips"][:2]] == [12, 12]
    mpeg4, plain, with_b = found["energy"]
    assert max(mpeg4["re-coded"], plain["divided, 8x8"]) < 60
    assert with_b["divided, 8x8"] < with_b["as they are"]
    assert [row["frames"] for row in found["memory"]] == [240, 720]
    out = capsys.readouterr().out
    assert out.count("mpeg4_340x256_0.5s.mp4") >= 2
    assert "|---|" in out


# Not with B-frames: there mv-extractor's threads now and then give wrong vectors, several times alike.
@pytest.mark.parametrize(("codec", "name"), [(media.MPEG4, "a.avi"), (media.H264, "a.mp4")])
def test_vectors_are_those_of_mv_extractor(tmp_path, codec, name):
    path = media.write_video(tmp_path / name, media.pan(20, 136, 104, (3, -2)), codec)
    assert sum(map(len, per_frame.own_vectors(path))) > 500
    found = per_frame.comparison(path)
    assert (found["frames"], found["equal"]) == (20, 20)


def test_a_missing_file_is_told(capsys):
    assert features.main(["nothing.mp4"]) == 2
    assert capsys.readouterr().err == "error: nothing.mp4: no such file\n"
