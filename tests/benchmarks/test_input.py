"""Arithmetic of the input's figures, and that the command measures what it says."""

import dataclasses
import json
from types import SimpleNamespace

import av
import numpy as np
import pytest

from benchmarks import input as command
from benchmarks import input_clips, input_records, input_steps, timing
from pipelines.decoding import ClipJob
from pipelines.prepare import prepare
from scsampler_tf.config import tiny
from tests import media


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("input")
    lines = ["path,label,split"]
    for number, codec in enumerate((media.H264, media.MPEG4)):
        media.write_video(
            folder / f"{number}.mp4", media.noise(60, seed=number), codec, sound=media.tone(2.4)
        )
        lines.append(f"{number}.mp4,{'ab'[number]},train")
    (folder / "m.csv").write_text("\n".join([*lines, ""]))
    return prepare(folder / "m.csv", folder / "out", tiny().features, workers=0, quiet=True)


def test_shares_of_steps_by_hand():
    """Four steps of 8 examples: 2 seconds of waiting, 6 of work."""
    found = input_steps.shares([0.5, 0.0, 1.0, 0.5], [1.0, 2.0, 1.0, 2.0], 8)
    assert found == {"examples a second": 4.0, "ms a step": 2000.0, "waiting for input": 0.25}


def test_the_loop_measures_what_comes_after_the_first_steps(monkeypatch):
    now = [0.0]

    def data():
        for number in range(100):
            now[0] += 100.0 if number < 3 else 1.0  # seconds until a batch is there
            yield number, number

    def step(inputs, target):
        assert inputs == target
        now[0] += 3.0

    monkeypatch.setattr(input_steps, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    found = input_steps.loop(data(), step, seconds=10.0, batch=2, first=3)
    assert found == {"examples a second": 0.5, "ms a step": 4000.0, "waiting for input": 0.25}


def test_rows_are_over_the_limit_of_the_same_round(monkeypatch, index):
    """A limit of 0.5 s and an input of 1 s for 6 clips, on a machine half as fast in the second round."""
    monkeypatch.setattr(input_clips, "EPOCHS", 1)

    def spent(*seconds):
        return [timing.Spent(value, value) for value in seconds]

    def turns(runs, rounds):
        assert rounds == 3
        return {name: spent(0.5, 1.0, 0.5) if "bare" in name else spent(1.0, 2.0, 1.0) for name in runs}

    monkeypatch.setattr(input_clips, "turns", turns)
    config = dataclasses.replace(tiny().classifier, clips_per_video=3)
    rows = {row["input"]: row for row in input_clips.rows(index, index.videos, config, 3)}
    assert rows[input_clips.LIMIT]["clips a second"] == 12.0
    assert rows[input_clips.LIMIT]["of the limit"] == 1.0
    cached = rows["training input, cached"]
    assert (cached["clips a second"], cached["of the limit"]) == (6.0, 0.5)
    assert list(rows)[2:5] == [f"training input, {n} worker{'s' * (n != 1)}" for n in (0, 1, 2)]


def test_the_bare_decode_reads_each_clip_from_its_key_frame(index):
    """Counted in another way: all frames between the key frame and the clip's last, none of them twice."""
    for video in index.videos:
        with av.open(video.path) as container:
            keys = [number for number, frame in enumerate(container.decode(video=0)) if frame.key_frame]
        wanted = [np.arange(20, 28), np.arange(24, 32), np.arange(50, 58)]
        count, reached = 0, -1
        for clip in wanted:
            key = max(each for each in keys if each <= clip[0])
            count += clip[-1] - max(key - 1, reached)
            reached = clip[-1]
        assert input_clips.bare_decode(ClipJob(video, wanted, 36, 32)) == count


def test_reading_takes_the_drawn_records_alone(index):
    offsets = [input_records.record_offsets(index, video) for video in index.videos]
    sizes = [(index.folder / video.shard).stat().st_size for video in index.videos]
    assert input_records._read(index, index.videos, offsets, 99) == sum(sizes)
    assert 0 < input_records._read(index, index.videos, offsets, 1) < sum(sizes) / 2


def test_no_run_to_measure_is_one_sentence(capsys, tmp_path):
    assert command.main(["--workdir", str(tmp_path)]) == 2
    assert command.main(["--workdir", str(tmp_path), "--minutes", "1"]) == 2
    assert command.main(["--minutes", "0"]) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 3
    assert "not with --workdir" in error


@pytest.mark.slow
def test_every_section_runs(tmp_path, capsys):
    target = tmp_path / "figures.json"
    assert command.main(["--quick", "--json", str(target)]) == 0
    found = json.loads(target.read_text())
    assert [len(found[part]) for part in command.HEADINGS] == [6, 5, 8]
    assert all(row["clips a second"] > 0 for part in ("clips", "records") for row in found[part])
    assert all(0 < row["waiting for input"] < 1 for row in found["steps"])
    out = capsys.readouterr().out
    assert "| training | examples a second | ms a step | waiting for input |" in out
    assert out.count("\n|---|") == 3
