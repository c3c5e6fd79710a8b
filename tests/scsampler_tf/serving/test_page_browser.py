"""The page in a headless Chromium: a video goes in, the answer is shown, moments can be jumped to."""

import base64
import re
import shutil

import pytest

from scsampler_tf.predict import predict
from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.loaded_model import LoadedModel
from scsampler_tf.serving.uploads import UploadLimits
from tests import media
from tests.scsampler_tf.serving.conftest import run_in_thread
from tests.scsampler_tf.serving.stub_composite import StubComposite, stub_base

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
]
LIMIT = 2_000_000
LONGEST_MS = 120_000  # the first video waits for what sound needs to be loaded


class Other(StubComposite):
    """Says "left" where the first model says "right"."""

    def _classify(self, clips):
        answers = super()._classify(clips)
        return {name: values[..., ::-1].copy() for name, values in answers.items()}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """90 pictures at 25 a second: clips of 16 begin at 0, 0.64, 1.28, 1.92, 2.56 and 3.2 s."""
    path = tmp_path_factory.mktemp("videos") / "on <b>holiday<b>.mp4"
    return media.write_video(path, media.pan(90, 96, 80), media.H264, sound=media.tone(3.6))


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    base = stub_base(tmp_path_factory.mktemp("base"), scsampler=StubComposite(), other=Other())
    app = create_app(base, threads=2, uploads=UploadLimits(max_bytes=LIMIT))
    with run_in_thread(app) as client:
        yield str(client.base_url)


@pytest.fixture
def page(browser, url):
    """The loaded page; what the browser complains about fails the test."""
    with browser.new_context() as context:
        page = context.new_page()
        complaints = []
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.set_default_timeout(LONGEST_MS)
        page.goto(url)
        page.wait_for_selector("#model option", state="attached")
        yield page
        # Chromium itself notes every refused request.
        assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


def ask(page, video):
    """Chooses the file and waits for the answer."""
    page.set_input_files("#file", video)
    page.wait_for_selector("#answer:not([hidden])")
    page.wait_for_function("() => document.getElementById('player').readyState >= 2")


def played_to(page, seconds):
    page.wait_for_function(
        "seconds => Math.abs(document.getElementById('player').currentTime - seconds) < 0.05", arg=seconds
    )


def test_the_answer_is_shown_and_moments_are_jumped_to(page, video):
    page.get_by_label("Model").select_option("scsampler")
    ask(page, video)
    assert page.text_content("#label") == "right (75.0 %)"
    assert page.text_content("#status") == f"{video.name}: right"  # a name is text, never HTML
    assert page.locator("#probabilities li").all_text_contents() == ["right75.0 %", "left25.0 %"]
    moments = page.get_by_role("button", name=re.compile("right 75.0 %"))
    assert moments.all_text_contents() == ["0:02.5 to 0:03.2: right 75.0 %", "0:03.2 to 0:03.6: right 75.0 %"]
    moments.first.click()
    played_to(page, 2.56)
    box = page.locator("#timeline").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    played_to(page, 1.8)
    assert page.get_attribute("#timeline", "aria-valuenow") == "1.8"
    assert not page.is_visible("#work")
    assert not page.is_visible("#unplayable")


def test_the_timeline_is_drawn_to_scale(page, video):
    ask(page, video)
    boxes = page.eval_on_selector_all("#timeline .moment", "all => all.map(one => one.x.baseVal.value)")
    assert boxes == pytest.approx([1000 * 2.56 / 3.6, 1000 * 3.2 / 3.6], abs=0.1)
    steps = page.get_attribute("#timeline .visual", "d").count("L")
    assert steps == 11  # six clips of two ends, the first of which the pen is set down on
    # Sound 0.5 all along, pictures 0 to 0.5: the upper edge of the drawing.
    assert set(re.findall(r" ([\d.]+)", page.get_attribute("#timeline .audio", "d"))) == {"6.00"}


def test_the_keyboard_reaches_everything(page, video):
    ask(page, video)
    slider = page.get_by_role("slider", name="Place in the video")
    slider.focus()
    ways = {"End": 3.2, "ArrowLeft": 2.56, "Home": 0, "ArrowRight": 0.64, "PageUp": 3.2}
    for key, seconds in ways.items():
        page.keyboard.press(key)
        played_to(page, seconds)
    spoken = "0:03.2 of 0:03.6, visual saliency 0.50, audio saliency 0.50"
    assert slider.get_attribute("aria-valuetext") == spoken
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    played_to(page, 2.56)


def test_the_model_is_chosen(page, video):
    assert page.locator("#model option").all_text_contents() == ["other", "scsampler"]
    page.get_by_label("Model").select_option("other")
    ask(page, video)
    assert page.text_content("#label") == "left (75.0 %)"
    assert "by other, version 7" in page.text_content("#notes")


def test_a_video_is_dropped_anywhere(page, video):
    content = base64.b64encode(video.read_bytes()).decode()
    page.get_by_label("Model").select_option("scsampler")
    dropped = page.evaluate_handle(
        """content => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "dropped.mp4"));
          return transfer;
        }""",
        content,
    )
    page.dispatch_event("h1", "dragover", {"dataTransfer": dropped})
    assert "over" in page.get_attribute("#drop", "class")
    page.dispatch_event("h1", "drop", {"dataTransfer": dropped})
    page.wait_for_selector("#answer:not([hidden])")
    assert page.text_content("#status") == "dropped.mp4: right"


MISTAKES = {
    "words": (b"words " * 99, "notes.mp4: not a readable video"),
    "empty": (b"", "notes.mp4 is empty; choose another file."),
    "too large": (b"x" * (LIMIT + 1), "notes.mp4 is too large; the server takes 1 MiB."),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_told_in_one_sentence(page, tmp_path, case):
    content, words = MISTAKES[case]
    (tmp_path / "notes.mp4").write_bytes(content)
    page.set_input_files("#file", tmp_path / "notes.mp4")
    page.wait_for_selector("#error:not(:empty)")
    said = page.get_by_role("alert").text_content()
    assert words.lower() in said.lower()
    assert said.count(". ") == 0
    assert said.endswith(".")
    assert not page.is_visible("#work")
    assert not page.is_visible("#answer")


def test_a_refusal_in_the_middle_of_sending_is_told(page, tmp_path):
    (tmp_path / "long.mp4").write_bytes(b"x" * (LIMIT - 1))
    page.evaluate("document.getElementById('model').options[0].value = 'absent'")
    page.get_by_label("Model").select_option("absent")
    page.set_input_files("#file", tmp_path / "long.mp4")
    page.wait_for_selector("#error:not(:empty)")
    assert re.match("Servable not found|The connection broke", page.text_content("#error"))


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", media.MPEG4), ("avi", "mjpeg")])
def test_what_the_browser_cannot_show_is_answered_all_the_same(page, tmp_path, suffix, codec):
    path = media.write_video(tmp_path / f"old.{suffix}", media.pan(90, 96, 80), codec, sound=media.tone(3.6))
    page.set_input_files("#file", path)
    page.wait_for_selector("#unplayable:not([hidden])")
    page.locator("#moments button").first.click()
    assert page.get_attribute("#timeline", "aria-valuenow") == "2.6"


def contrast(page, selector: str) -> float:
    """WCAG's contrast of an element's text with the page's background."""
    colours = page.evaluate(
        """selector => [document.querySelector(selector), document.body].map((element, place) =>
          getComputedStyle(element)[place ? "backgroundColor" : "color"].match(/[\\d.]+/g).slice(0, 3))""",
        selector,
    )

    def luminance(colour) -> float:
        parts = [float(value) / 255 for value in colour]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, colours))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_in_light_and_dark(page, video, scheme):
    page.set_viewport_size({"width": 360, "height": 640})
    page.emulate_media(color_scheme=scheme)
    ask(page, video)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for selector in ("body", "#error", "figcaption", "#notes"):
        assert contrast(page, selector) >= 4.5, selector
    heights = page.eval_on_selector_all("#moments button", "all => all.map(one => one.offsetHeight)")
    assert min(heights) >= 44


def test_end_to_end_with_an_exported_model(browser, tiny_run, tiny_model):
    path = tiny_run.manifest.parent / "right_2.mp4"
    expected = predict(path, tiny_model)
    folder = tiny_run.model / "1"
    base = stub_base(tiny_run.folder / "browser", scsampler=LoadedModel(folder))
    with run_in_thread(create_app(base, uploads=UploadLimits())) as client, browser.new_page() as page:
        page.set_default_timeout(LONGEST_MS)
        page.goto(str(client.base_url))
        page.wait_for_selector("#model option", state="attached")
        assert not page.is_visible("#model")  # nothing to choose from
        ask(page, path)
        percent = f"{100 * expected.probabilities[expected.label]:.1f} %"
        assert page.text_content("#label") == f"{expected.label} ({percent})"
        starts = sorted(moment.start_s for moment in expected.moments)
        assert page.locator("#moments button").count() == len(starts)
        page.locator("#moments button").last.click()
        played_to(page, starts[-1])
