from pathlib import Path

import pytest

from scsampler_tf import cost, models
from scsampler_tf.models import table
from scsampler_tf.models.published import PUBLISHED
from scsampler_tf.models.table_text import FAMILIES

DOCUMENT = Path(__file__).parents[3] / "docs" / "models.md"
PUBLICATIONS = [(name, each) for name, found in PUBLISHED.items() for each in found]
OTHER_INPUTS = [(name, each) for name, each in PUBLICATIONS if each.ours is not None]


def sizes(shape):
    return "x".join(map(str, shape[:-1]))


def built(name, size, **options):
    shape = (*map(int, size.split("x")), models.PRESETS[name]["input_shape"][-1])
    return models.create(name, num_classes=models.PRESETS[name]["classes"], input_shape=shape, **options)


def without_norms(model):
    return sum(row.parameters for row in cost.per_layer(model) if row.kind != "BatchNormalization")


def test_the_document_is_what_the_command_writes():
    assert DOCUMENT.read_text(encoding="utf-8") == table.document(), (
        "out of date; run python -m scsampler_tf.models.table --write docs/models.md"
    )


def test_every_network_has_one_row_with_a_source_and_one_section():
    rows, _ = table.table()
    assert [row[0].strip("`") for row in rows if row[0]] == models.names()
    assert all(len(row) == len(table.HEADINGS) for row in rows)
    assert all(row[table.HEADINGS.index("Source")] for row in rows if row[0])
    assert sorted(name for family in FAMILIES for name in family.presets) == sorted(models.names())


def test_a_row_holds_the_numbers_of_the_preset():
    rows, notes = table.table()
    row = dict(zip(table.HEADINGS, next(row for row in rows if row[0] == "`shufflenet_26`"), strict=True))
    assert row["Input (F x H x W x C)"] == "224 x 224 x 3"
    assert (row["Parameters"], row["GFLOPs"]) == ("586,984", "0.0216")
    assert (row["Published parameters"], row["Published GFLOPs"]) == ("-", "0.04")
    assert "wider" in notes[int(row["Note"]) - 1]


def test_published_numbers_are_of_known_networks_and_say_by_whom():
    assert set(PUBLISHED) <= set(models.names())
    assert len(PUBLICATIONS) > 15
    for _, each in PUBLICATIONS:
        assert each.source
        assert each.parameters or each.gflops


@pytest.mark.parametrize(("name", "each"), PUBLICATIONS)
def test_a_difference_of_more_than_one_percent_is_explained(name, each):
    preset = models.PRESETS[name]
    parameters, gflops = preset["parameters"] / 1e6, each.ours or preset["giga_multiply_adds"]
    same_input = bool(each.ours) or each.input == sizes(preset["input_shape"])
    close = [
        each.parameters is None or each.parameters == pytest.approx(parameters, rel=0.01),
        each.gflops is None or (same_input and each.gflops == pytest.approx(gflops, rel=0.01)),
    ]
    assert all(close) or each.why


@pytest.mark.parametrize(("name", "each"), OTHER_INPUTS)
def test_our_costs_at_the_inputs_of_others(name, each):
    assert each.input != sizes(models.PRESETS[name]["input_shape"])
    assert cost.count(built(name, each.input)).gflops == pytest.approx(each.ours, abs=0.005)


@pytest.mark.parametrize(
    ("name", "gflops"),
    [("ir_csn_50", 55.26), ("ir_csn_101", 73.75), ("ir_csn_152", 96.71), ("ip_csn_152", 108.79)],
)
def test_costs_named_in_the_notes(name, gflops):
    assert cost.count(built(name, "32x256x256")).gflops == pytest.approx(gflops, abs=0.005)
    assert any(f"{gflops} G at 32x256x256" in each.why for each in PUBLISHED[name])


def test_vmz_counts_middle_channels_otherwise():
    network = built("r2plus1d_18", "16x112x112", midplanes="convolution")
    theirs = next(each for each in PUBLISHED["r2plus1d_18"] if each.why)
    assert without_norms(network) / 1e6 == pytest.approx(theirs.parameters, abs=0.05)
    assert cost.count(network).gflops == pytest.approx(theirs.gflops, abs=0.05)
    assert cost.count(network).parameters == pytest.approx(33.37e6, abs=0.005e6)


def test_i3d_of_the_ports():
    # Without 1024 x 400 weights and 400 biases of the class layer, with one scale a normalised channel.
    network = built("i3d", "8x224x224")
    scales = sum(row.parameters for row in cost.per_layer(network) if row.kind == "BatchNormalization")
    ports = cost.count(network).parameters - (1024 * 400 + 400) + scales
    assert ports == 12_287_264
    assert ports / 1e6 == pytest.approx(PUBLISHED["i3d"][1].parameters, abs=0.005)


def test_the_command_prints_and_writes(tmp_path, capsys):
    assert table.main([]) == 0
    assert capsys.readouterr().out == table.document()
    target = tmp_path / "models.md"
    assert table.main(["--write", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == table.document()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, capsys):
    assert table.main(["--write", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
