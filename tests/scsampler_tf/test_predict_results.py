"""The results file under writers that are stopped, full disks and rivals."""

import errno
import json
import multiprocessing
import os

import pytest

from pipelines.errors import UserError
from scsampler_tf.predict_results import open_results

GOOD = {"path": "a.mp4", "label": "left", "probabilities": {"left": 0.75, "right": 0.25}}
BAD = {"path": "ü.mp4", "error": "no video"}


def written(path, *records):
    with open_results(path) as results:
        for record in records:
            results.add(record)
    return path


def test_lines_come_back(tmp_path):
    path = written(tmp_path / "new" / "r.jsonl", GOOD, BAD)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [GOOD, BAD]
    with open_results(path) as results:
        assert results.answers == {"a.mp4": "left"}
        assert results.errors == {"ü.mp4": "no video"}
        assert results.classes == ["left", "right"]


def test_wherever_it_was_cut_whole_lines_stay(tmp_path):
    path = written(tmp_path / "r.jsonl", GOOD, BAD)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with open_results(path) as results:
            assert bool(results.answers) == (cut >= first)
            assert bool(results.errors) == (cut == len(whole))
        assert path.read_bytes() == (whole if cut == len(whole) else whole[: first if cut >= first else 0])


def test_a_torn_line_is_out_of_the_way_of_the_next(tmp_path):
    path = written(tmp_path / "r.jsonl", GOOD)
    path.write_bytes(path.read_bytes() + b'{"path": "b.mp4", "lab')
    written(path, BAD)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [GOOD, BAD]


def test_errors_are_dropped_and_nothing_else(tmp_path):
    other = {**GOOD, "path": "c.mp4"}
    path = written(tmp_path / "r.jsonl", BAD, GOOD, {**BAD, "path": "x.mp4"}, other)
    with open_results(path, ["a.mp4", "ü.mp4"]) as results:
        assert list(results.answers) == ["a.mp4", "c.mp4"]
        assert list(results.errors) == ["x.mp4"]
        results.add(BAD)
    left = [GOOD, {**BAD, "path": "x.mp4"}, other, BAD]
    assert [json.loads(line) for line in path.read_text().splitlines()] == left
    assert [each.name for each in tmp_path.iterdir()] == ["r.jsonl"]


@pytest.mark.parametrize("failing", ["half", "error"])
def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch, failing):
    path = written(tmp_path / "r.jsonl", GOOD)
    before, write = path.read_bytes(), os.write

    def full(handle, data):
        if failing == "error":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data[: len(data) // 2])

    with open_results(path) as results:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(UserError, match=r"r\.jsonl: cannot be written to \(No space left on device\)"):
            results.add(BAD)
        monkeypatch.undo()
    assert path.read_bytes() == before


def test_one_run_at_a_time(tmp_path):
    with (
        open_results(tmp_path / "r.jsonl"),
        pytest.raises(UserError, match="another run is writing here"),
        open_results(tmp_path / "r.jsonl"),
    ):
        pass
    written(tmp_path / "r.jsonl", GOOD)


def test_places_that_cannot_hold_it(tmp_path):
    with pytest.raises(UserError, match="Is a directory"), open_results(tmp_path):
        pass
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match="is a file, a folder is needed"),
        open_results(tmp_path / "file" / "r"),
    ):
        pass


def add_for_ever(path):
    with open_results(path) as results:
        for number in range(10**9):
            results.add({"path": str(number), "error": "x" * 5000})


def test_a_killed_writer_leaves_whole_lines_and_no_lock(tmp_path):
    path = tmp_path / "r.jsonl"
    child = multiprocessing.get_context("spawn").Process(target=add_for_ever, args=(path,), daemon=True)
    child.start()
    while not path.exists() or path.stat().st_size < 100_000:
        assert child.is_alive()
    child.kill()
    child.join()
    with open_results(path) as results:
        names = list(results.errors)
    assert names == [str(number) for number in range(len(names))]
    assert len(names) >= 19
