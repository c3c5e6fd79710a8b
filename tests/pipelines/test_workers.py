import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.workers import KeptPool, LoneWorker, WorkerCrash, run_jobs


def square(number):
    return number * number


def divide(number):
    return 1 // number


def fragile(job):
    """Kills its process (a path: the first time only), or tells which process it ran in."""
    if job == "exit" or (isinstance(job, Path) and not job.exists()):
        if job != "exit":
            job.touch()
        os._exit(3)
    if job == "abort":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return job, os.getpid()


def sleep_and_tell(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def first_sleeps(job):
    """A number of seconds to sleep, or a path: where to tell the process before a long sleep."""
    return sleep_and_tell(job) if isinstance(job, str) else time.sleep(job)


def test_without_workers_everything_runs_here_and_lazily():
    taken = []

    def source():
        for number in range(3):
            taken.append(number)
            yield number

    results = run_jobs(square, source(), workers=0)
    assert next(results) == (0, 0)
    assert taken == [0]
    assert list(results) == [(1, 1), (2, 4)]


def test_results_in_order_and_bounded_in_flight():
    taken = []

    def source():
        for seconds in (0.3, 0.0, 0.1, 0.0, 0.02, 0.0):
            taken.append(seconds)
            yield seconds

    for done, (job, result) in enumerate(run_jobs(time.sleep, source(), workers=2, ahead=2, ordered=True)):
        assert result is None
        assert job == taken[done]
        assert len(taken) <= done + 4
    assert done == 5


def test_without_order_results_come_as_they_are_done():
    jobs = [1.5, 0.0, 0.01]
    assert [job for job, _ in run_jobs(time.sleep, jobs, workers=2)] == [0.0, 0.01, 1.5]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_exception_of_a_job_is_raised_here(workers):
    with pytest.raises(ZeroDivisionError):
        list(run_jobs(divide, [1, 0], workers=workers))


def test_no_jobs():
    assert list(run_jobs(square, [], workers=1)) == []


def test_a_crash_costs_one_job():
    jobs = ["a", "exit", "b", "c", "abort", "d"]
    results = dict(run_jobs(fragile, jobs, workers=2, ordered=True))
    assert list(results) == jobs
    assert {job for job, result in results.items() if isinstance(result, WorkerCrash)} == {"exit", "abort"}
    assert all(results[job] == (job, results[job][1]) for job in jobs if job not in ("exit", "abort"))
    assert os.getpid() not in {results[job][1] for job in "abcd"}


def test_a_job_that_crashed_by_chance_is_done(tmp_path):
    ((job, result),) = run_jobs(fragile, [tmp_path / "marker"], workers=1)
    assert result[0] == job


def test_a_crash_while_a_result_is_being_used():
    results = run_jobs(fragile, ["a", "exit", "b", "c"], workers=1, ahead=2)
    done = [next(results)]
    time.sleep(1)  # the worker dies meanwhile, before the next job is handed to it
    done += results
    assert [job for job, _ in done] == ["a", "exit", "b", "c"]
    assert [isinstance(result, WorkerCrash) for _, result in done] == [False, True, False, False]


def test_workers_end_when_the_main_process_is_killed(tmp_path):
    note = tmp_path / "pid"
    script = (
        "from pipelines.workers import run_jobs; from tests.pipelines.test_workers import sleep_and_tell\n"
        f"if __name__ == '__main__': list(run_jobs(sleep_and_tell, [{str(note)!r}], workers=1))\n"
    )
    (tmp_path / "main.py").write_text(script)
    root = str(Path(__file__).parents[2])
    main = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py")], env={**os.environ, "PYTHONPATH": root}
    )
    try:
        assert _within(60, lambda: note.exists() and note.read_text())
    finally:
        main.kill()
        main.wait()
    worker = int(note.read_text())
    assert _within(60, lambda: not _runs(worker))


def test_closing_ends_the_workers_in_the_middle_of_their_jobs(tmp_path):
    notes = [tmp_path / "a", tmp_path / "b"]
    results = run_jobs(first_sleeps, [0.0, *map(str, notes)], workers=2)
    assert next(results) == (0.0, None)
    assert _within(60, lambda: all(note.exists() and note.read_text() for note in notes))
    results.close()
    assert _within(10, lambda: not any(_runs(int(note.read_text())) for note in notes))


def test_a_worker_of_ones_own_is_kept_and_replaced_when_it_dies(tmp_path):
    worker = LoneWorker()
    first, again = worker.run(fragile, "a")[1], worker.run(fragile, "b")[1]
    assert first == again != os.getpid()
    assert isinstance(worker.run(fragile, "abort"), WorkerCrash)
    by_chance = tmp_path / "marker"
    assert worker.run(fragile, by_chance)[0] == by_chance  # the second try
    assert isinstance(worker.run(fragile, tmp_path / "other", tries=1), WorkerCrash)
    job, pid = worker.run(fragile, "c")
    assert job == "c"
    assert pid != first
    with pytest.raises(ZeroDivisionError):
        worker.run(divide, 0)
    worker.close()
    assert _within(10, lambda: not _runs(pid))


def test_threads_take_turns_with_one_worker():
    worker = LoneWorker()
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda job: worker.run(fragile, job), ["a", "abort", "b", "c", "d"]))
    worker.close()
    assert [isinstance(result, WorkerCrash) for result in results] == [False, True, False, False, False]


def _within(seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone, or going while it is read
        return False


def _number(_):
    return os.getpid()


def test_a_kept_pool_serves_several_runs_with_the_same_workers():
    pool = KeptPool(1)
    runs = [[found for _, found in run_jobs(_number, range(3), 1, pool=pool)] for _ in range(2)]
    assert len({*runs[0], *runs[1]}) == 1
    pool.renew()
    assert run_once(pool) not in runs[0]
    pool.end()


def run_once(pool):
    ((_, found),) = run_jobs(_number, [0], 1, pool=pool)
    return found
