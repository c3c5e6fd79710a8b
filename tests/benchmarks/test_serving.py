"""The load on the server, briefly, and what is made of it."""

import contextlib
import http.server
import io
import os
import runpy
import threading

import pytest

from benchmarks import serving, serving_lengths, serving_model, serving_sizes
from benchmarks.serving_load import Load, memory_mib, processor_s, run_load
from pipelines.errors import UserError
from tests import media


@pytest.fixture
def in_this_process(monkeypatch):
    """`benchmarks.serving_model` runs where TensorFlow is loaded already, which saves half a minute."""

    def run(task, *words):
        monkeypatch.setattr("sys.argv", ["serving_model", task, *map(str, words)])
        with contextlib.redirect_stdout(io.StringIO()) as said:
            runpy.run_path(serving_model.__file__, run_name="__main__")
        return said.getvalue().splitlines()[-1]

    monkeypatch.setattr(serving, "_own_process", run)


def test_what_fails_in_a_process_of_its_own_is_said(tmp_path):
    with pytest.raises(UserError, match="write: failed: IndexError"):
        serving._own_process("write", tmp_path)  # of which preset?


@pytest.mark.slow
def test_the_command_loads_a_server_and_reports(in_this_process, capsys):
    words = ["--minutes", "0.03", "--clients", "3", "--clips", "2", "--preset", "tiny", "--threads", "1"]
    assert serving.main(words) == 0
    said = capsys.readouterr().out
    assert "Failed requests: none." in said
    rows = {line.split("|")[1].strip(): line for line in said.splitlines() if line.startswith("| ")}
    assert {"sample", "classify", "served", "in process"} <= set(rows)
    assert int(rows["classify"].split("|")[2]) > 0
    assert "Overhead: " in said
    assert "Memory: " in said  # of so short a run it says nothing


def test_memory_that_grows_is_told():
    flat = Load(memory=[(second, 100 + second % 3) for second in range(50)])
    growing = Load(memory=[(second, 100 + second) for second in range(50)])
    assert serving.memory_lines(flat)[-1].startswith("Memory: flat")
    assert serving.memory_lines(growing)[-1] == (
        "Memory: growing, 114 MiB in the second fifth of the time, 144 MiB in the last."
    )  # means of 110..119 and of 140..149


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers one request well, refuses the next, hangs up on the third, gives the fourth an answer without a
    length, and so on."""

    protocol_version = "HTTP/1.1"
    numbers = iter(range(10**9))

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        number = next(self.numbers) % 4
        if number == 2:
            self.close_connection = True
            return
        self.send_response(503 if number == 1 else 200)
        if number != 3:
            self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *words):
        pass


def test_failed_requests_are_counted_by_their_kind():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bodies = {"one": b"{}"}
        load = run_load(
            "127.0.0.1", server.server_port, "/m", bodies, False, clients=1, seconds=1.0, process=os.getpid()
        )
        server.shutdown()
    assert len(load.seconds["one"]) == load.answered > 0
    assert set(load.failures) == {"status 503", "IncompleteReadError", "ValueError"}
    assert abs(load.failures["status 503"] - load.answered) <= 1
    assert load.memory[0][1] > 1


def test_what_a_process_holds_and_has_used():
    assert 1 < memory_mib(os.getpid()) < 100_000
    before = processor_s(os.getpid())
    assert processor_s(os.getpid()) >= before > 0


@pytest.mark.slow
def test_lengths(capsys):
    assert serving_lengths.main(["--preset", "tiny", "--K", "2", "--rounds", "1"]) == 0
    said = capsys.readouterr().out
    assert all(f"| serving_default, L = {length} |" in said for length in (20, 500))


def test_sizes(tmp_path, capsys):
    media.write_video(tmp_path / "v.mp4", media.pan(32, 64, 48), sound=media.tone(32 / media.FPS))
    assert serving_sizes.main([str(tmp_path / "v.mp4"), "--preset", "tiny"]) == 0
    said = capsys.readouterr().out
    assert "| log_mel | 15.6 |" in said  # 40 x 200 numbers of two bytes
    assert "clips, the K = " in said
    assert serving_sizes.main([str(tmp_path / "none.mp4"), "--preset", "tiny"]) == 2
