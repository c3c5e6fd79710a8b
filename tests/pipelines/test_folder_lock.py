import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import folder_lock
from pipelines.errors import UserError
from pipelines.folder_lock import only_writer, writer_in_turn

HOLDER = """
import sys, time
from pathlib import Path
from pipelines.folder_lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_goes_with_its_process(tmp_path):
    root = Path(__file__).parents[2]
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], cwd=root, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another run is writing here; wait until it has ended or choose"):
            enter(tmp_path)
    finally:
        other.kill()
        other.communicate()
    enter(tmp_path)
    enter(tmp_path)


def enter(folder):
    with only_writer(folder):
        pass


def test_folders_do_not_hinder_each_other(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with only_writer(tmp_path / "a"):
        enter(tmp_path / "b")


def test_a_file_system_without_locks_is_written_to_all_the_same(tmp_path, monkeypatch):
    def refusing(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(folder_lock.fcntl, "flock", refusing)
    enter(tmp_path)


def test_a_second_writer_waits_for_its_turn(tmp_path):
    order = []

    def waiting():
        order.append("waits")
        held.close()

    with contextlib.ExitStack() as held:
        held.enter_context(only_writer(tmp_path))
        with writer_in_turn(tmp_path, waiting):
            order.append("writes")
            with pytest.raises(UserError, match="another run is writing here"), only_writer(tmp_path):
                pass
    assert order == ["waits", "writes"]


def test_waiting_can_be_ended(tmp_path):
    def waiting():
        raise KeyboardInterrupt

    with only_writer(tmp_path), pytest.raises(KeyboardInterrupt), writer_in_turn(tmp_path, waiting):
        pass
