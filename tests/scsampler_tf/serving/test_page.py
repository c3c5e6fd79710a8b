"""The page's files, their headers, and the list of models that it reads."""

import re
from importlib import resources

import pytest

from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.uploads import UploadLimits
from tests.scsampler_tf.serving.stub_composite import PlainModel, StubComposite, stub_base

PAGE = resources.files("scsampler_tf.serving") / "page"


@pytest.fixture
def base(tmp_path):
    return stub_base(tmp_path, scsampler=StubComposite(), plain=PlainModel())


@pytest.fixture
def client(base, running):
    with running(create_app(base, uploads=UploadLimits(max_bytes=1234))) as client:
        yield client


def test_the_page_and_all_that_it_names(client):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert named == ["page/page.css", "page/page.js"]
    imports = re.findall(r'from "\./([^"]+)"', client.get("/page/page.js").text)
    assert imports == ["timeline.js"]
    for path in [*named, "page/timeline.js"]:
        response = client.get(f"/{path}")
        assert response.status_code == 200
        assert response.headers["content-type"].split(";")[0] in ("text/css", "text/javascript")
    assert client.head("/").status_code == 200


def test_the_headers_keep_other_sites_out(client):
    headers = client.get("/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    for path in ("/", "/page/page.js", "/page/models.json"):
        answer = client.get(path, headers={"Origin": "http://elsewhere.example"})
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert client.options("/upload/scsampler").status_code == 404


def test_nothing_in_the_page_needs_what_the_policy_forbids():
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8")
        addresses = set(re.findall(r"https?://[^\s\"']+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, file.name
        assert not re.search(r"\bon\w+=\"|style=\"|innerHTML|eval\(", text), file.name


def test_only_models_that_take_videos_are_offered(client):
    offer = client.get("/page/models.json").json()
    assert offer == {"models": [{"name": "scsampler", "version": "7"}], "max_bytes": 1234}


@pytest.mark.parametrize(
    "path", ["/page/", "/page/index.htm", "/page/../server.py", "/page/%2e%2e/server.py", "/page//etc/passwd"]
)
def test_other_paths_are_not_found(client, path):
    assert client.get(path).status_code == 404


def test_without_the_page_there_is_no_upload(base, running):
    with running(create_app(base)) as client:
        for path in ("/", "/page/page.js", "/page/models.json"):
            assert client.get(path).status_code == 404
        assert client.post("/upload/scsampler", content=b"x").status_code == 404
        assert client.get("/v1/models/scsampler").status_code == 200
