import os
import time

from scsampler_tf.board.guard import Guard
from scsampler_tf.board.painter import WAITING, Painter


def where(job):
    """Which process a job is done in; some kill theirs, some fail."""
    if job == "crash":
        os._exit(3)
    if job == "fail":
        raise ValueError("no ink")
    return job, os.getpid()


def test_jobs_are_done_in_order_in_one_other_process():
    done, painter = [], Painter(Guard())
    for job in range(WAITING + 4):
        painter.submit("picture", where, job, done.append)
    painter.close()
    assert [job for job, _ in done] == list(range(WAITING + 4))
    assert len({process for _, process in done} | {os.getpid()}) == 2


def test_a_crash_and_an_error_cost_one_picture_each(capsys):
    done, painter = [], Painter(Guard())
    for job in ("crash", "fail", "fine"):
        painter.submit(f"picture {job}", where, job, done.append)
    painter.close()
    painter.close()
    assert [job for job, _ in done] == ["fine"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1] for line in lines] == [" no picture crash", " no picture fail"]
    assert lines[1].endswith("no ink; the training goes on")


def sleep(seconds):
    time.sleep(seconds)


def test_what_is_abandoned_is_neither_made_nor_told(capsys):
    done, painter = [], Painter(Guard())
    for seconds in (60, 0, 0):
        painter.submit("picture", sleep, seconds, done.append)
    painter.abandon()
    painter.submit("picture", sleep, 0, done.append)
    painter.close()
    assert done == []
    assert capsys.readouterr().err == ""


def test_one_that_takes_too_long_is_the_last(capsys, monkeypatch):
    monkeypatch.setattr("scsampler_tf.board.painter.PATIENCE_S", 0.2)
    done, painter = [], Painter(Guard())
    painter.submit("picture", sleep, 60, done.append)
    painter.close()
    painter.submit("picture", sleep, 0, done.append)
    assert done == []
    assert "no more pictures: one took more than" in capsys.readouterr().err


def test_it_can_begin_again():
    done, painter = [], Painter(Guard())
    for job in range(2):
        painter.submit("picture", where, job, done.append)
        painter.close()
    assert [job for job, _ in done] == [0, 1]


def test_without_a_process_everything_is_done_at_once(capsys):
    done, painter = [], Painter(Guard(), apart=False)
    painter.submit("picture", where, "fail", done.append)
    painter.submit("picture", where, 1, done.append)
    assert done == [(1, os.getpid())]
    assert "no picture: no ink" in capsys.readouterr().err
    painter.close()
