"""Trainings that a broken shard or a full disk ends: one sentence, what was kept stays, and they go on."""

import errno
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UserError
from pipelines.prepare import prepare
from scsampler_tf import train, train_sampler
from scsampler_tf.callbacks import kept
from scsampler_tf.config import tiny
from scsampler_tf.model_folder import is_finished, load_model
from tests.training_set import history, make_training_set

TOLERANCE = 1e-5  # sums run in parallel, in no fixed order
FILE_LIMIT = 600_000  # bytes: between the best network's and the backup's
# Folders of the size that makes a training fail where the name says (KiB), in memory that is theirs alone.
FULL = {"backup": 2200, "best": 1500}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def data(folder):
    return make_training_set(folder)


def at_step(monkeypatch, number, action):
    """Calls `action` when this many batches of a sampler's training, counted on from 0, are made."""
    plain = train_sampler.sampler_videos

    def maybe(count):
        if count == number:
            action()
        return count

    def passed(count, batch):
        with tf.control_dependencies([tf.numpy_function(maybe, [count], tf.int64)]):
            return tf.nest.map_structure(tf.identity, batch)

    monkeypatch.setattr(
        train_sampler, "sampler_videos", lambda *a, **b: plain(*a, **b).enumerate().map(passed)
    )


def flipped(path: Path, record: int = 0):
    """Changes one byte of the data of a shard's record."""
    values, place = bytearray(path.read_bytes()), 0
    for _ in range(record):
        place += 16 + int.from_bytes(values[place : place + 8], "little")
    values[place + 40] ^= 255
    path.write_bytes(values)


def require_kept(folder: Path) -> int:
    """An unfinished training whose best network and backup are whole; its epochs."""
    assert not is_finished(folder)
    (backup,) = (folder / "backup").glob("epoch_*")
    assert json.loads((folder / "best.json").read_text())["epoch"] >= 1
    with np.load(folder / "best.keras", allow_pickle=False) as parts:  # a ZIP file, read to its end
        assert parts.zip.testzip() is None
    assert backup.stat().st_size
    return kept(folder / "backup").epochs


def require_same_networks(left: Path, right: Path):
    one, other = load_model(left).network, load_model(right).network
    for mine, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=TOLERANCE, err_msg=mine.path)


def test_a_record_that_breaks_ends_a_training_which_goes_on_when_it_is_mended(
    data, folder, tmp_path, monkeypatch
):
    settings = {"kind": "md", "batch": 2, "epochs": 12}  # 24 steps: more than are prepared ahead
    shards = [Path(data.index.shard_path(video)) for video in data.index.of_split("train")]
    with monkeypatch.context() as patch:
        at_step(patch, 3, lambda: [flipped(shards[1], record) for record in range(6)])
        with pytest.raises(UserError) as caught:
            data.train_sampler(tmp_path / "broken", **settings)
    assert str(caught.value) == (
        f"{shards[1]}: record 1 is broken; delete it, prepare the features again, and give this command once "
        "more"
    )
    epochs = require_kept(tmp_path / "broken")
    assert 1 <= epochs < 12
    shards[1].unlink()
    prepare(folder / "data" / "manifest.csv", folder / "features", tiny().features, 0, quiet=True)
    data.train_sampler(tmp_path / "broken", **settings)
    assert [int(row["epoch"]) for row in history(tmp_path / "broken")] == list(range(12))
    data.train_sampler(tmp_path / "whole", **settings)
    require_same_networks(tmp_path / "broken", tmp_path / "whole")


def test_a_validation_video_that_breaks_is_named_too(data, tmp_path):
    shard = Path(data.index.shard_path(data.index.of_split("val")[0]))
    before = shard.read_bytes()
    flipped(shard, 2)
    try:
        with pytest.raises(UserError, match="record 3 is broken") as caught:
            data.train_sampler(tmp_path, "md", epochs=1)
    finally:
        shard.write_bytes(before)
    assert str(shard) in str(caught.value)


@pytest.mark.parametrize("what", ["gone", "short"])
def test_a_shard_that_is_gone_or_short_is_said_in_one_line(data, folder, capsys, what):
    shard = Path(data.index.shard_path(data.index.of_split("train")[2]))
    before = shard.read_bytes()
    if what == "gone":
        shard.unlink()
    else:
        shard.write_bytes(before[: 16 + int.from_bytes(before[:8], "little")])
    words = ["sampler", "--kind", "md", "--objective", "ac", "--workdir", str(folder), "--preset", "tiny"]
    try:
        assert train.main([*words, "--out", str(folder / what)]) == 2
    finally:
        shard.write_bytes(before)
    error = capsys.readouterr().err
    assert error.startswith(f"error: {shard}: ")
    assert ("no such file" if what == "gone" else "has 1 records of 6") in error
    assert error.count("\n") == 1


def test_a_disk_that_takes_no_more_ends_a_training_which_goes_on(data, tmp_path, monkeypatch, capfd):
    """The limit of a file's size stands for the disk: the same calls fail, with another number."""
    settings = {"kind": "md", "batch": 2, "epochs": 12}
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = (FILE_LIMIT, unlimited[1])
    with monkeypatch.context() as patch:
        at_step(patch, 9, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        try:
            with pytest.raises(UserError, match="a file may not become that large") as caught:
                data.train_sampler(tmp_path / "full", **settings)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert str(caught.value).startswith(f"{tmp_path / 'full'}: ")
    capfd.readouterr()
    assert 1 <= require_kept(tmp_path / "full") < 12
    assert not list((tmp_path / "full" / "backup").glob("unfinished*"))  # it takes the room that is lacking
    data.train_sampler(tmp_path / "full", **settings)
    assert is_finished(tmp_path / "full")


IN_A_SMALL_DISK = """
import os, sys
from pathlib import Path
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
from scsampler_tf import train
from tests.scsampler_tf.test_faults import require_kept

workdir, disk, size, logs = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4] == "logs"
def mount(place, *options):
    assert os.system(f"mount -t tmpfs {' '.join(options)} full {place}") == 0
disk.mkdir()
mount(disk, "-o", f"size={size}k")
if logs:
    (disk / "out" / "logs").mkdir(parents=True)
    mount(disk / "out" / "logs", "-o size=4k")
    (disk / "out" / "logs" / "other").write_bytes(bytes(4096))
words = ["sampler", "--kind", "md", "--objective", "ac", "--workdir", str(workdir), "--preset", "tiny"]
words += ["--out", str(disk / "out")]
print("first", train.main(words))
if not logs:
    print("epochs", require_kept(disk / "out"))
    mount(disk, "-o", "remount,size=40m")
print("then", train.main(words))
print("files", sorted(path.name for path in (disk / "out").iterdir()))
"""


def trained_in_a_small_disk(folder: Path, what: str) -> tuple[list[str], str]:
    """The lines that it prints, and stderr."""
    apart = ["unshare", "-rm"]  # mounts of its own, where the system lets everybody have them
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("this system gives nobody mounts of their own (unshare -rm)")
    arguments = [str(folder), str(folder / f"disk_{what}"), str(FULL.get(what, 40_000)), what]
    done = subprocess.run(
        [*apart, sys.executable, "-c", IN_A_SMALL_DISK, *arguments], capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert "then 0" in lines, done.stderr
    assert "model.json" in lines[-1]
    assert "Traceback" not in done.stderr
    return lines, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("what", FULL)
def test_a_disk_that_is_really_full(data, folder, what):
    lines, told = trained_in_a_small_disk(folder, what)
    assert "first 2" in lines
    (sentence,) = [line for line in told.splitlines() if line.startswith("error: ")]
    assert "the disk is full; make room there" in sentence
    assert "epochs 1" in lines


@pytest.mark.slow
def test_a_disk_with_no_room_for_logs_ends_no_training(data, folder):
    lines, told = trained_in_a_small_disk(folder, "logs")
    assert "first 0" in lines
    assert "No space left on device; the training goes on" in told


def test_other_errors_of_files_are_left_as_they_are(tmp_path):
    from pipelines.full_disk import full_disk

    full = full_disk(OSError(errno.ENOSPC, "No space left on device"), tmp_path)
    assert str(full) == (
        f"{tmp_path}: the disk is full; make room there, and give the same command again, which goes on from "
        "here"
    )
    assert full_disk(FileNotFoundError(errno.ENOENT, "no such file"), tmp_path) is None
    assert full_disk(ValueError("wrong"), tmp_path) is None
    exhausted = tf.errors.ResourceExhaustedError(None, None, "/x/events.v2; No space left on device")
    assert "the disk is full" in str(full_disk(exhausted, tmp_path))
    memory = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[8]")
    assert full_disk(memory, tmp_path) is None
