"""The guide's calls, the client against the server, and the server as a process of its own."""

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.client import ServingClient
from scsampler_tf.serving.server import main
from tests import media
from tests.scsampler_tf.serving.conftest import run_in_thread
from tests.scsampler_tf.serving.stub_composite import StubComposite, stub_base

DOCS = Path(__file__).parents[3] / "docs" / "serving.md"
MODEL = "/v1/models/scsampler"


def fenced(language: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    return [text for name, text in blocks if name == language]


def test_the_guides_curl_calls_work_as_printed(server):
    calls = [shlex.split(block) for block in fenced("") if block.startswith("curl")]
    assert len(calls) == 4
    for words in calls:
        path = urlsplit(next(word for word in words if word.startswith("http"))).path
        body = words[words.index("-d") + 1] if "-d" in words else None
        response = server.request("POST" if body else "GET", path, content=body)
        assert response.status_code == 200, words
    assert response.json()["predictions"][1]["indices"] == [0, -1]


def test_the_guides_python_call_works_as_printed(server, capsys):
    (example,) = fenced("python")
    exec(example.replace("http://127.0.0.1:8501", str(server.base_url)), {})
    # Scores with sound added where there is some: 0.3, 1.7, 0.3, 0.8.
    assert capsys.readouterr().out.startswith("[[1 3]] [[0.3")


def test_the_guides_call_for_a_video_works_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(media.write_video(tmp_path / "holiday.mp4", media.pan(48, 96, 80)).parent)
    (example,) = [block for block in fenced("py") if "holiday.mp4" in block]
    base = stub_base(tmp_path / "base", scsampler=StubComposite())
    with run_in_thread(create_app(base)) as client:
        exec(example.replace("http://127.0.0.1:8501", str(client.base_url)), {})
    # Three clips of 0.64 seconds at 25 a second, of which the last two are chosen.
    first, *moments = capsys.readouterr().out.splitlines()
    assert first == "right {'left': 0.25, 'right': 0.75}"
    starts, ends, labels, saliency = zip(*(line.split() for line in moments), strict=True)
    assert labels == ("right", "right")
    found = np.array([starts, ends, saliency], float)
    np.testing.assert_allclose(found, [[1.28, 0.64], [1.92, 1.28], [0.2, 0.1]], rtol=1e-6)


def test_the_guides_description_and_bytes_are_what_the_model_takes(tmp_path):
    """The calls of the guide that need a shell: their JSON, sent as it stands, with a picture in it."""
    shell = "".join(fenced("sh"))
    bodies = [text.replace("%s", "") for text in re.findall(r"'(\{.*\})'", shell)]
    base = stub_base(tmp_path, scsampler=StubComposite())
    with run_in_thread(create_app(base)) as client:
        answers = [client.post(f"{MODEL}:predict", content=body).json()["outputs"] for body in bodies]
    assert '"labels"' in answers[0][0]
    assert answers[1]["probabilities"] == [[0.25, 0.75]]


def test_the_client_with_bytes_and_with_a_refusal(server):
    clips = np.array([[b"\xff" * 1000, b""]], object)
    with ServingClient(f"{server.base_url}{MODEL}") as client:
        assert [entry["state"] for entry in client.status()] == ["AVAILABLE"]
        answer = client.predict("images", {"image": clips})
        np.testing.assert_array_equal(answer["image_bytes"], clips)
        np.testing.assert_array_equal(answer["length"], np.array([[1000, 0]], np.int32))
        np.testing.assert_array_equal(client.predict("", {"x": np.float32([1])})["y"], [3.5])
        assert client.predict("mean", {"x": [1.0, 2.0]})["mean"].shape == ()
        with pytest.raises(UserError, match="refused with 413"):
            client.predict("raw", {"image": [b"x" * 100_000]})
        with pytest.raises(UserError, match="Missing named input: b"):
            client.predict("add", {"a": [1.0]})


@pytest.mark.slow
def test_a_process_of_its_own_that_stops_when_told(model_base):
    command = [sys.executable, "-m", "scsampler_tf.serving.server", "--port", "0", "--model-base", model_base]
    config = ["--models-config", Path(__file__).parents[3] / "saved_models" / "models.config"]
    process = subprocess.Popen(command + config, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = process.stdout.readline().split()[-1]
        page = process.stdout.readline().split()[-1]
        assert page == url.removesuffix("v1/models")
        assert "<title>" in httpx.get(page, trust_env=False).text
        with ServingClient(f"{url}/scsampler") as client:
            assert client.predict("", {"x": [1.0]})["y"].tolist() == [3.5]
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        assert process.wait(timeout=20) == 0


def test_command_line_mistakes(tmp_path, monkeypatch, capsys):
    assert main(["--model-base", str(tmp_path / "absent")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert main(["--model-base", str(tmp_path), "--host", "192.0.2.1"]) == 2
    assert "cannot listen" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--model-base", str(tmp_path), "--threads", "0"])
    with pytest.raises(SystemExit):
        main(["--model-base", str(tmp_path), "--max-waiting-mb", "63"])
    assert "must not be less than --max-request-mb" in capsys.readouterr().err
    (tmp_path / "monitoring.config").write_text("prometheus {")
    config = ["--monitoring-config", str(tmp_path / "monitoring.config")]
    assert main(["--model-base", str(tmp_path), *config]) == 2
    assert "not a monitoring config" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["--model-base", str(tmp_path)]) == 2
    assert "pip install" in capsys.readouterr().err
