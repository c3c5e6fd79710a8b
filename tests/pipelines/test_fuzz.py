"""The short form of `python -m tests.fuzz`, and tests of what it relies on."""

import re

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import fuzz_worker
from tests.fuzz import GOOD, keep, main, run, table
from tests.fuzz_checks import Outcome, examine
from tests.fuzz_corpus import FORMS, FRAMES, lost_share, make_corpus
from tests.fuzz_damage import ONE_FILE, Case, damaged
from tests.fuzz_stubs import dies_of_three, grows_on_two
from tests.fuzz_worker import FAILURES, Report, report_case

CASES = 200


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_the_files_are_whole_before_they_are_damaged(corpus, form):
    path = corpus / form.name
    assert examine(path, 0) == Outcome("whole", FRAMES)
    with av.open(str(path)) as container:
        assert bool(container.streams.audio) == bool(form.sound)
    if form.announces:
        assert lost_share(path, path.stat().st_size) == 0
        assert lost_share(path, 100) == 1


def test_damaged_files_are_read_or_refused(corpus):
    reports = list(run(corpus, range(CASES), seed=1, workers=2))
    assert sorted(report.case for report in reports) == list(range(CASES))
    assert not [report for report in reports if report.kind in FAILURES]
    assert {report.kind for report in reports} == set(GOOD)
    assert {report.container for report in reports} == {form.name for form in FORMS}


def test_crashes_and_endless_loops_cost_their_case(corpus):
    reports = list(run(corpus, range(8), 0, 2, dies_of_three, limit_s=5))
    found = {report.case: report for report in reports}
    assert sorted(found) == list(range(8))
    assert {case for case, report in found.items() if report.kind in FAILURES} == {3, 5}
    assert (found[3].kind, found[5].kind) == ("crash", "hang")
    assert "Segmentation fault" in found[3].words
    assert "dies_of_three" in found[5].words


@settings(deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=3), st.integers(0, 9), st.integers(0)
)
def test_any_bytes_can_be_damaged_and_always_alike(files, seed, case):
    damage = damaged(files, seed, case)
    assert damage == damaged(files, seed, case)
    assert damage.source < len(files)


def test_every_kind_of_damage_occurs():
    kinds = {damaged([bytes(5000)], 0, case).mutation for case in range(24)}
    assert kinds == {function.__name__ for function in ONE_FILE} | {"join", "several"}


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome("whole", 20), "silent"),
        (Outcome("damage", 20), "damage"),
        (UserWarning("what"), "error"),
    ],
)
def test_what_counts_as_a_failure(corpus, tmp_path, monkeypatch, outcome, kind):
    def examined(path, case):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(fuzz_worker, "examine", examined)
    source = next(number for number, form in enumerate(FORMS) if form.name == "h264.mkv")
    half = (corpus / "h264.mkv").read_bytes()[:15000]
    folder = corpus / "worker"
    assert report_case(Case(source, "cut", half), 7, folder).kind == kind
    assert list(folder.iterdir()) == []


def test_memory_is_bounded(corpus):
    """Measured in a worker: in this process, what earlier tests have left is freed at any time."""
    if not fuzz_worker.PROCESS.exists():
        pytest.skip("the system does not tell the peak of memory")
    cases = range(1, 4)  # case 0 is a file cut short, of which more is asked than memory
    found = {report.case: report for report in run(corpus, cases, 0, 1, grows_on_two)}
    assert {case: report.kind for case, report in found.items()} == {1: "whole", 2: "memory", 3: "whole"}
    words = re.fullmatch(r"(\d+) MB more", found[2].words)
    assert words, found[2]
    assert int(words[1]) == pytest.approx(2 * fuzz_worker.MOST_GROWTH_MB, rel=0.2)


def test_files_that_fail_are_kept(corpus, tmp_path):
    report = Report(5, "h264.mkv", "cut", "error", "why")
    keep(tmp_path / "kept", corpus, 0, report)
    files = [(corpus / form.name).read_bytes() for form in FORMS]
    assert (tmp_path / "kept" / "0-5-error-h264.mkv").read_bytes() == damaged(files, 0, 5).data
    assert "why" in (tmp_path / "kept" / "0-5-error-h264.mkv.txt").read_text()
    counted = table([report, Report(6, "h264.mkv", "flip", "whole", seconds=2.5)])
    assert "slowest: case 6, 2.5 s (whole, flip of h264.mkv)" in counted
    assert counted.splitlines()[1].split() == ["h264.mkv", "1", "-", "-", "1", "-", "-", "-", "-"]


def test_the_command(capsys):
    assert main(["--cases", "3", "--start", "4", "--workers", "1"]) == 0
    assert "slowest: case" in capsys.readouterr().out
