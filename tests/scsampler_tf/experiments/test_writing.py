import json

import numpy as np
import pytest
from PIL import Image

from scsampler_tf.experiments import published
from scsampler_tf.experiments.figure import STYLES, _lines, write_figure
from scsampler_tf.experiments.markdown import cell, markdown, section_markdown
from scsampler_tf.experiments.table import Column, Panel, Section, Series, Table
from scsampler_tf.experiments.writing import write_table

COLUMNS = [Column("name", "Name"), Column("share", "Share", "percent"), Column("ci", "Interval", "points")]
OWN = Section("Ours", COLUMNS, [{"name": "a|b", "share": 0.5, "ci": [-0.25, 0.125]}, {"name": "none"}])
LINES = [
    Series("visual", "SCSampler", [1, 2, 30], [0.2, 0.5, 0.9], [0.1, 0.4, 0.8], [0.3, 0.6, 1.0]),
    Series("dense", "Dense", [30], [0.6]),
    Series("a new scheme", "costs $x_$", [1, 2, 30], [0.1, 0.1, 0.1]),
]
BARS = [
    Series("random", "Random", ["Random"], [0.4], [0.3], [0.5]),
    Series("oracle", "O", ["O"], [1.0], [1.0], [1.0]),
]
STEPS = [Series(name, name, [0.0, 0.5, 1.0], [0.3, 0.7]) for name in ("oracle", "action")]
PANELS = [
    Panel("curves", "K, clips", "accuracy", LINES),
    Panel("one point", "GFLOPs", "accuracy", [Series("dense", "Dense", [2.5], [0.6])]),
    Panel("bars", "", "accuracy", BARS, "bars"),
    Panel("places", "place", "share", STEPS, "steps"),
]


def table(panels=PANELS):
    theirs = published.section("Theirs", "Paper, table 9", COLUMNS[:2], [("x", 12.34)])
    return Table("nine", "A $title", [OWN, OWN], panels, ["First.", "Second."], [theirs])


def test_the_markdown_word_for_word():
    rows = (
        "| Name | Share | Interval |\n|---|---:|---:|\n| a\\|b | 50.0% | -25.0 - +12.5 |\n| none | - | - |\n"
    )
    ours = f"# A $title\n\n{rows}\n## Ours\n\n{rows}\nFirst.\n\nSecond.\n"
    assert markdown(table(), published=False) == ours
    theirs = "### Paper, table 9: Theirs\n\n| Name | Share |\n|---|---:|\n| x | 12.3% |\n"
    heading = "## Published numbers, on the authors' data sets, classifiers and machines"
    assert markdown(table()) == f"{ours}\n{heading}\n\n{theirs}"
    assert section_markdown(OWN) + "\n" == rows


@pytest.mark.parametrize(
    ("value", "format", "text"),
    [
        (0.00005, "probability", "< 0.0001"),
        (0.0301, "probability", "0.0301"),
        (1, "probability", "1.0000"),
        (7, "integer", "7"),
        (0.001234567, "number", "0.001235"),
        (2.346, "hundredths", "2.35"),
        (2.346, "tenths", "2.3"),
        ([0.25, 1], "percent", "25.0% - 100.0%"),
        (None, "percent", "-"),
    ],
)
def test_cells(value, format, text):
    assert cell(value, Column("x", "X", format)) == text


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="format 'euro'"):
        Column("x", "X", "euro")


def test_three_files_whole_or_not_at_all(tmp_path):
    paths = write_table(table(), tmp_path / "report", "-val")
    assert [path.name for path in paths] == ["nine-val.json", "nine-val.md", "nine-val.png"]
    values = json.loads(paths[0].read_text())
    assert values["sections"][0]["rows"][0] == {"name": "a|b", "share": 0.5, "ci": [-0.25, 0.125]}
    assert values["published"][0]["rows"] == [{"name": "x", "share": 0.1234}]
    assert paths[1].read_text() == markdown(table())
    before = paths[2].read_bytes()
    broken = Panel("broken", "x", "y", [Series("visual", "v", [1, 2], [0.5])])
    with pytest.raises(ValueError, match="same first dimension"):
        write_figure(table([broken]), paths[2])
    assert paths[2].read_bytes() == before
    assert {path.name for path in (tmp_path / "report").iterdir()} == {path.name for path in paths}


def test_a_picture_has_its_methods_colours(tmp_path):
    with Image.open(write_figure(table(), tmp_path / "nine.png")) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape[1] > 4 * pixels.shape[0]
    for name in ("visual", "dense", "random", "oracle"):
        color = [int(STYLES[name][0][place : place + 2], 16) for place in (1, 3, 5)]
        assert (abs(pixels - color) < 20).all(axis=2).sum() > 50, name


def test_a_level_is_a_line_across_and_many_clips_have_a_logarithmic_axis():
    from matplotlib.figure import Figure

    axis = Figure().subplots()
    _lines(axis, LINES)
    assert axis.get_xscale() == "log"
    assert axis.get_xticks().tolist() == [1, 2, 3, 5, 7, 10, 15, 20, 30]
    by = {line.get_label(): line for line in axis.lines}
    assert by["Dense"].get_ydata() == [0.6, 0.6]
    assert by["SCSampler"].get_xdata().tolist() == [1, 2, 30]
    assert len(axis.collections) == 1  # one band: the others have no intervals
    few = Figure().subplots()
    _lines(few, [Series("visual", "v", [0, 1, 2], [0.1, 0.2, 0.3]), Series("dense", "d", [0], [0.5])])
    assert few.get_xscale() == "linear"


def test_published_numbers_agree_with_the_papers_own_words():
    """Gains that the text spells out, recomputed from the tables; 36 numbers are too easily mistyped."""
    sports, kinetics, poster_sports, poster_kinetics = published.main_tables()
    rows = {row["classifier"]: row for row in sports.rows}
    # Section 4.1.2: 10.69 for R(2+1)D-18 and 6.47 for R(2+1)D-34 over uniform, 7.01 for R3DGC-152 over dense.
    assert rows["R(2+1)D-18"]["scsampler"] - rows["R(2+1)D-18"]["uniform"] == pytest.approx(0.1069)
    assert rows["R(2+1)D-34"]["scsampler"] - rows["R(2+1)D-34"]["uniform"] == pytest.approx(0.0647)
    assert rows["R3DGC-152"]["scsampler"] - rows["R3DGC-152"]["dense"] == pytest.approx(0.0701)
    # Introduction: up to 10.93 over random.
    gains = [row["scsampler"] - row["random"] for row in sports.rows]
    assert max(gains) == pytest.approx(0.1093)
    # The poster rounds the paper's numbers.
    for ours, theirs in zip(sports.rows, poster_sports.rows, strict=True):
        for key in ("random", "uniform"):
            assert ours[key] == pytest.approx(theirs[key], abs=6e-4)
    assert [len(part.rows) for part in (sports, kinetics, poster_sports, poster_kinetics)] == [5, 6, 5, 3]
    for part in (sports, kinetics):
        for row in part.rows:
            assert row["uniform"] < row["dense"] < row["scsampler"] < row["oracle"] or part is sports
            assert row["random"] < row["scsampler"] < row["oracle"]


def test_the_studies_share_their_numbers():
    """Table 7's samplers alone are the best of tables 4, 5 and 6; table 3's own samplers those of 1 and 2."""
    eyes, ears = published.objectives().rows
    alone = {row["method"]: row["accuracy"] for row in published.combinations().rows}
    assert alone["Visual SCSampler only"] == eyes["ac"] == published.features().rows[2]["accuracy"]
    assert alone["Audio SCSampler only"] == ears["sal-rank"] == published.audio().rows[0]["accuracy"]
    kinetics, sports = published.transfer().rows
    first, second = (part.rows[0] for part in published.main_tables()[:2])
    for one, other, own in ((sports, first, "sports1m"), (kinetics, second, "kinetics")):
        assert one[f"mc3-18_on_{own}"] == other["scsampler"]
        assert [one[key] for key in ("random", "uniform", "dense")] == [
            other[key] for key in ("random", "uniform", "dense")
        ]
    assert all(published.figure(number).rows for number in range(2, 7))
