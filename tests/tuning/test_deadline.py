import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from tuning.deadline import Deadline
from tuning.tuner import Enough


def test_without_minutes_it_never_comes():
    never = Deadline(None)
    assert not never.over()
    never.check()
    with never.kept():
        pass


def test_it_says_which_minutes_are_over():
    over = Deadline(1e-9)
    with pytest.raises(Enough, match="--max-minutes 1e-09 are over"):
        over.check()


def test_a_share_more_of_the_minutes(monkeypatch):
    now = [10.0]
    # The module's name `time` alone: the event loops of other threads wait by the true clock.
    monkeypatch.setattr("tuning.deadline.time", SimpleNamespace(monotonic=lambda: now[0]))
    ten = Deadline(10)
    expected = {609.0: (False, False), 610.0: (True, False), 669.0: (True, False), 670.0: (True, True)}
    for now[0], over in expected.items():
        assert (ten.over(), ten.over(0.1)) == over


def test_what_runs_when_the_time_is_up_is_ended_and_the_signal_is_as_before():
    before = signal.getsignal(signal.SIGTERM)
    soon = Deadline(0.2 / 60)
    with pytest.raises(Enough), soon.kept():
        time.sleep(60)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_training_takes_the_signal_itself():
    taken = []
    soon = Deadline(0.2 / 60)

    def train():
        ours = signal.signal(signal.SIGTERM, lambda *args: taken.append(args))
        while not taken:
            time.sleep(0.01)
        signal.signal(signal.SIGTERM, ours)
        raise SystemExit(143)

    with pytest.raises(Enough), soon.kept():
        train()


def test_other_ends_are_left_alone():
    with pytest.raises(SystemExit), Deadline(60).kept():
        raise SystemExit(3)
    with pytest.raises(ValueError, match="broken"), Deadline(60).kept():
        raise ValueError("broken")


def test_a_signal_from_elsewhere_ends_the_process():
    program = "\n".join(
        [
            "import os, signal, time",
            "from tuning.deadline import Deadline",
            "with Deadline(60).kept():",
            "    os.kill(os.getpid(), signal.SIGTERM)",
            "    time.sleep(60)",
        ]
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=120)
    assert ended.returncode == -signal.SIGTERM
