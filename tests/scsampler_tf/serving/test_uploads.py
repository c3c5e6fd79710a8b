"""Videos sent to /upload/MODEL: the answer, refusals, and what is left behind."""

import asyncio
import itertools
import multiprocessing
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scsampler_tf.predict import predict
from scsampler_tf.serving import upload_job
from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.loaded_model import LoadedModel
from scsampler_tf.serving.uploads import PREFIX, UploadLimits
from tests import media
from tests.scsampler_tf.serving import stub_composite
from tests.scsampler_tf.serving.conftest import run_in_thread
from tests.scsampler_tf.serving.stub_composite import PlainModel, StubComposite, stub_base

LIMIT = 400_000


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """90 pictures at 25 a second: clips of 16 make five and a tail, with sound."""
    path = tmp_path_factory.mktemp("videos") / "pan.mp4"
    frames = media.pan(90, 96, 80)
    return media.write_video(path, frames, media.MPEG4, sound=media.tone(3.6)).read_bytes()


@pytest.fixture(autouse=True)
def uploads_folder(tmp_path, monkeypatch):
    """Where uploads are stored, for this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def app(tmp_path):
    """Makes the application with a composite and another model."""

    def make(**limits):
        base = stub_base(tmp_path / "base", scsampler=StubComposite(), plain=PlainModel())
        return create_app(base, threads=2, uploads=UploadLimits(**{"max_bytes": LIMIT, **limits}))

    return make


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One server for all tests that let its child live: a child takes seconds to load."""
    base = stub_base(tmp_path_factory.mktemp("base"), scsampler=StubComposite(), plain=PlainModel())
    with run_in_thread(create_app(base, threads=2, uploads=UploadLimits(max_bytes=LIMIT))) as client:
        client.timeout = 120
        yield client


def test_the_answer(client, video, uploads_folder):
    response = client.post("/upload/scsampler", content=video)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    found = response.json()
    assert found["model"] == {"name": "scsampler", "version": "7"}
    assert (found["video"], found["label"], found["probability"]) == ("upload", "right", 0.75)
    assert found["probabilities"] == {"left": 0.25, "right": 0.75}
    assert (found["clips"], found["has_audio"]) == (6, True)
    assert found["duration_s"] == pytest.approx(90 / 25)
    assert [moment["clip"] for moment in found["moments"]] == [4, 5]
    assert found["moments"][0]["start_s"] == pytest.approx(64 / 25)
    curve = found["saliency"]
    assert [row["start_s"] for row in curve] == pytest.approx([0, 0.64, 1.28, 1.92, 2.56, 3.2])
    assert [row["end_s"] for row in curve] == pytest.approx([0.64, 1.28, 1.92, 2.56, 3.2, 3.6])
    assert [row["visual"] for row in curve] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert [row["saliency"] for row in curve] == [row["visual"] for row in curve]
    assert {row["audio"] for row in curve} == {0.5}
    assert list(uploads_folder.iterdir()) == []


def test_without_sound_the_audio_is_null(client, tmp_path):
    silent = media.write_video(tmp_path / "silent.mp4", media.pan(40, 96, 80), media.MPEG4).read_bytes()
    found = client.post("/upload/scsampler", content=silent).json()
    assert not found["has_audio"]
    assert [row["audio"] for row in found["saliency"]] == [None] * 3


UNUSABLE = {
    "words": b"This is not a video.\n" * 200,
    "random bytes": bytes(range(256)) * 100,
    "a playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "a list of files": b"ffconcat version 1.0\nfile /etc/passwd\n",
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_is_no_video(client, uploads_folder, case):
    response = client.post("/upload/scsampler", content=UNUSABLE[case])
    assert response.status_code == 422
    assert response.json()["error"].startswith("upload: ")
    assert str(uploads_folder) not in response.text
    assert list(uploads_folder.iterdir()) == []


def test_damaged_videos_are_refused_or_read_as_far_as_they_go(client, video):
    half = client.post("/upload/scsampler", content=video[: len(video) // 2])
    assert half.status_code == 422  # the index of this MP4 is at its end
    scratched = bytearray(video)
    scratched[5000:5400] = b"\xff" * 400
    assert client.post("/upload/scsampler", content=bytes(scratched)).status_code in (200, 422)


REFUSED = {
    "empty": (b"", {}, "scsampler", 400, "empty"),
    "too large": (b"x" * (LIMIT + 1), {}, "scsampler", 413, "larger than 400000 bytes"),
    "a form": (b"--x", {"Content-Type": "multipart/form-data; boundary=x"}, "scsampler", 415, "form"),
    "packed": (b"x", {"Content-Encoding": "gzip"}, "scsampler", 415, "Content-Encoding"),
    "no such model": (b"x", {}, "absent", 404, "Servable not found"),
    "no composite": (b"x", {}, "plain", 501, "takes no videos"),
    "a path as name": (b"x", {}, "..%2f..%2fetc%2fpasswd", 404, "Servable not found"),
    "another site": (b"x", {"Origin": "http://elsewhere.example"}, "scsampler", 403, "another site"),
    "a site at another port": (b"x", {"Origin": "http://127.0.0.1:1"}, "scsampler", 403, "another site"),
    "a file of the browser": (b"x", {"Origin": "null"}, "scsampler", 403, "another site"),
    "no address": (b"x", {"Origin": "http://[::1"}, "scsampler", 403, "another site"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(client, uploads_folder, case):
    content, headers, model, status, words = REFUSED[case]
    response = client.post(f"/upload/{model}", content=content, headers=headers)
    assert response.status_code == status
    assert words in response.json()["error"]
    assert list(uploads_folder.iterdir()) == []


def test_a_body_of_unknown_length_is_bounded(client, uploads_folder):
    response = client.post("/upload/scsampler", content=itertools.repeat(b"x" * 1000, LIMIT // 1000 + 1))
    assert response.status_code == 413
    assert list(uploads_folder.iterdir()) == []


def test_the_pages_own_site_is_let_in(client, video):
    headers = {"Origin": str(client.base_url)}
    assert client.post("/upload/scsampler", content=video, headers=headers).status_code == 200


def test_other_sites_cannot_use_the_models_either(client):
    body = b'{"inputs": {"x": [1.0]}}'
    assert client.post("/v1/models/plain:predict", content=body).json() == {"outputs": [2.0]}
    response = client.post("/v1/models/plain:predict", content=body, headers={"Origin": "http://a.example"})
    assert response.status_code == 403


@pytest.mark.parametrize(
    ("child", "status", "words"),
    [
        ("crash", 422, "the decoder crashed"),
        ("babble", 422, "the decoder crashed"),
        ("fail", 500, "internal error"),
        ("hang", 504, "took longer than 1 seconds"),
        ("demand", 501, "no signature 'absent'"),
    ],
)
def test_a_child_that_fails_costs_one_upload(app, running, uploads_folder, monkeypatch, child, status, words):
    with running(app(**({"compute_s": 1.0} if child == "hang" else {}))) as client:
        with monkeypatch.context() as patch:
            patch.setattr(upload_job, "work", getattr(stub_composite, child))
            response = client.post("/upload/scsampler", content=b"x")
        assert response.status_code == status
        assert words in response.json()["error"]
        assert list(uploads_folder.iterdir()) == []
        if child != "hang":
            assert client.post("/upload/scsampler", content=b"words" * 99).status_code == 422


def test_an_idle_child_that_has_died_is_replaced(app, running):
    with running(app()) as client:
        for _ in range(2):
            response = client.post("/upload/scsampler", content=b"words" * 99)
            assert response.json()["error"].startswith("upload: not a readable video")
            for child in multiprocessing.active_children():
                child.kill()
                child.join()


def exchange(app, messages) -> list[dict]:
    """What the application sends for an upload of which `messages` arrive: (seconds before it, message)."""
    sent, coming = [], iter(messages)

    async def receive():
        seconds, message = next(coming, (60, None))
        await asyncio.sleep(seconds)
        return message

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/upload/scsampler", "headers": []}
    asyncio.run(app(scope, receive, send))
    return sent


PART = {"type": "http.request", "body": b"x" * 100, "more_body": True}
LEFT = {"type": "http.disconnect"}


@pytest.mark.parametrize("limits", [{"idle_s": 0.05}, {"arrive_s": 0.05}])
def test_a_slow_upload(app, uploads_folder, limits):
    sent = exchange(app(**limits), [(0, PART), (0.01, PART)])
    assert sent[0]["status"] == 408
    assert list(uploads_folder.iterdir()) == []


def test_a_client_that_leaves_while_it_sends(app, uploads_folder):
    assert exchange(app(), [(0, PART), (0, LEFT)])[0]["status"] == 499
    assert list(uploads_folder.iterdir()) == []


def test_a_client_that_leaves_ends_the_work(app, uploads_folder, monkeypatch):
    monkeypatch.setattr(upload_job, "work", stub_composite.hang)
    ended = threading.Event()
    run = upload_job.UploadJob.run

    def watched(job):
        try:
            return run(job)
        finally:
            ended.set()

    monkeypatch.setattr(upload_job.UploadJob, "run", watched)
    sent = exchange(app(), [(0, {**PART, "more_body": False}), (0.2, LEFT)])
    assert sent[0]["status"] == 499
    assert list(uploads_folder.iterdir()) == []
    assert ended.wait(20)


def test_so_many_at_a_time(app, running, uploads_folder, monkeypatch):
    monkeypatch.setattr(upload_job, "work", stub_composite.hang)
    with running(app(at_once=1, compute_s=3.0)) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/upload/scsampler", content=b"x")
        deadline = time.monotonic() + 20
        while not list(uploads_folder.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        second = client.post("/upload/scsampler", content=b"x")
        assert (second.status_code, second.headers["retry-after"]) == (503, "1")
        assert first.result().status_code == 504
        assert client.post("/upload/absent", content=b"x").status_code == 404


def test_a_full_disk_is_told(client, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(asyncio, "to_thread", full)
    response = client.post("/upload/scsampler", content=b"x")
    assert response.status_code == 507
    assert "No space left" in response.json()["error"]


def test_what_a_killed_server_has_left_is_removed(app, uploads_folder):
    old, new, other = (uploads_folder / name for name in (f"{PREFIX}old", f"{PREFIX}new", "other"))
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, 0))
    app()
    assert sorted(uploads_folder.iterdir()) == sorted([new, other])


@pytest.mark.slow
def test_an_exported_model_answers_as_predict_does(tiny_run, tiny_model, tmp_path):
    path = tiny_run.manifest.parent / "left_3.mp4"
    expected = predict(path, tiny_model)
    base = stub_base(tmp_path / "base", scsampler=LoadedModel(tiny_run.model / "1"))
    with run_in_thread(create_app(base, uploads=UploadLimits())) as client:
        found = client.post("/upload/scsampler", content=path.read_bytes(), timeout=120).json()
    told = {**expected.to_dict(), "video": "upload"}
    assert set(found) == {*told, "saliency", "model"}
    for name in ("video", "label", "clips", "duration_s", "has_audio", "motion", "damage", "remarks"):
        assert found[name] == told[name]
    assert found["probabilities"] == pytest.approx(told["probabilities"], abs=1e-6)
    for moment, other in zip(found["moments"], told["moments"], strict=True):
        assert moment == pytest.approx(other, abs=1e-6)
    assert [row["visual"] for row in found["saliency"]] == pytest.approx(list(expected.visual), abs=1e-6)
    assert [(row["start_s"], row["end_s"]) for row in found["saliency"]] == expected.bounds_s
