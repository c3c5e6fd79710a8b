import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.prepare import main
from tests import media

OPTIONS = ["--clip-frames", "4", "--clip-step", "2", "--canvas", "32", "--residual-frames", "2"]
OPTIONS += ["--residual-size", "16", "--iframe-size", "16"]


def test_the_command(tmp_path, capsys):
    media.write_video(tmp_path / "v.mp4", media.pan(16, 64, 48))
    (tmp_path / "m.csv").write_text("path,label,split\nv.mp4,run,train\nnone.mp4,run,train\n")
    arguments = ["--manifest", tmp_path / "m.csv", "--out", tmp_path / "out", "--workers", "0", *OPTIONS]
    for _ in range(2):
        assert main([str(argument) for argument in arguments]) == 0
        told = capsys.readouterr().out
        assert "1 videos, 2 clips, 1 classes" in told
        assert "refused: none.mp4: " in told


def one_sentence(capsys, arguments):
    code = main([str(argument) for argument in arguments])
    lines = [line for line in capsys.readouterr().err.splitlines() if "features: " not in line]  # the bar
    assert code == 2
    assert len([line for line in lines if line.strip()]) == 1
    return lines[-1]


def test_mistakes_on_the_command_line(tmp_path, capsys):
    (tmp_path / "m.csv").write_text("path,label,split\nv.mp4,run,train\n")
    good = ["--manifest", tmp_path / "m.csv", "--workers", 0]
    (tmp_path / "file").write_text("x")
    told = one_sentence(capsys, [*good, "--out", tmp_path / "file"])
    assert told.endswith("file: is a file, a folder is needed; choose another name")
    told = one_sentence(capsys, [*good, "--out", tmp_path / "file" / "below"])
    assert "below: cannot make this folder" in told
    told = one_sentence(capsys, ["--manifest", tmp_path / "none.csv", "--out", tmp_path / "out"])
    assert told.endswith("none.csv: no such manifest")
    told = one_sentence(capsys, [*good, "--out", tmp_path / "out", "--canvas", 100])
    assert "canvas: 100 is not a multiple of 16" in told
    told = one_sentence(capsys, [*good[:2], "--out", tmp_path / "out", "--workers", -1])
    assert "--workers -1" in told
    assert not (tmp_path / "out").exists()


def test_nothing_usable(tmp_path, capsys):
    media.empty_file(tmp_path / "empty.mp4")
    (tmp_path / "m.csv").write_text("path,label,split\nmissing.mp4,run,train\nempty.mp4,run,train\n")
    arguments = ["--manifest", tmp_path / "m.csv", "--out", tmp_path / "out", "--workers", 0]
    told = one_sentence(capsys, arguments)
    assert "none of its videos is usable; first: " in told
    assert "missing.mp4: no such file" in told
    assert not (tmp_path / "out" / "index.json").exists()


ROOT = Path(__file__).parents[2]


def write_set(folder):
    """Six videos of 400 pictures and a missing one; returns the command that prepares them."""
    frames = media.pan(400, 64, 48)
    names = [f"v{number}.mp4" for number in range(6)]
    for name in names:
        media.write_video(folder / name, frames)
    lines = [f"{name},run,train" for name in names]
    (folder / "m.csv").write_text("\n".join(["path,label,split", *lines, "none.mp4,run,test", ""]))
    command = [sys.executable, "-m", "pipelines.prepare", "--manifest", folder / "m.csv"]
    return [*command, "--out", folder / "out", "--workers", "2", *OPTIONS]


def started(command, out):
    """The command in a session of its own, when its first shard is done."""
    run = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(out.glob("shards/*/v*.tfrecord")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return run


def runs(group):
    """Whether a process of this process group is left."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            if int(fields[2]) == group and fields[0] != "Z":
                return True
    return False


@pytest.mark.slow
def test_interrupted_by_ctrl_c_and_run_again(tmp_path, capsys):
    command = write_set(tmp_path)
    run = started(command, tmp_path / "out")
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does, to the command and its workers
    told = run.communicate(timeout=60)[1]
    assert run.returncode == 130
    assert told.splitlines()[-1] == "interrupted; the same command goes on from here"
    assert "Traceback" not in told
    deadline = time.monotonic() + 20
    while runs(run.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(run.pid)
    assert not (tmp_path / "out" / "index.json").exists()
    assert main([*map(str, command[3:]), "--workers", "0"]) == 0
    assert "6 videos, 300 clips, 1 classes" in capsys.readouterr().out
    assert not list((tmp_path / "out").rglob(".part*"))


@pytest.mark.slow
def test_killed_with_its_workers_and_run_again(tmp_path, capsys):
    command = write_set(tmp_path)
    run = started(command, tmp_path / "out")
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("v*") if path.is_file()}
    assert kept
    assert not (tmp_path / "out" / "index.json").exists()
    assert main([*map(str, command[3:]), "--workers", "0"]) == 0
    finished = capsys.readouterr().out
    assert "6 videos, 300 clips, 1 classes" in finished
    assert "refused: none.mp4: " in finished
    assert not list((tmp_path / "out").rglob(".part*"))
    notes = {json.loads(path.read_text())["status"] for path in (tmp_path / "out" / "videos").rglob("*.json")}
    assert notes == {"ok", "refused"}
    done = {path.stem for path in kept if path.suffix == ".json"}
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items() if path.stem in done)
