import json

import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.tables import ScoreTable, load_table, padded, save_table

NAN = np.nan
ROWS = {"b": np.float32([0.1, NAN, 0.3]), "a": np.float32([]), "ü": np.float32([1.0])}


def test_a_table_survives_its_file_with_order_empty_rows_and_missing_sound(tmp_path):
    path = tmp_path / "scores" / "audio.npz"
    save_table(ScoreTable("audio", ROWS, {"network": "12ab", "objective": None}), path)
    table = load_table(path)
    assert (table.network, table.made_by) == ("audio", {"network": "12ab", "objective": None})
    assert list(table.values) == ["b", "a", "ü"]
    for name, row in ROWS.items():
        np.testing.assert_array_equal(table.values[name], row)
        assert table.values[name].dtype == np.float32


def test_times_are_kept_and_an_older_table_has_none(tmp_path):
    timing = {"seconds_per_clip": 0.5, "clips": 3, "device": "2 CPU cores"}
    save_table(ScoreTable("md", ROWS, {"network": "a"}, timing), tmp_path / "md.npz")
    assert load_table(tmp_path / "md.npz").timing == timing
    with np.load(tmp_path / "md.npz") as data:
        parts = {**data, "about": np.array(json.dumps({"network": "md", "made_by": {}}))}
    np.savez(tmp_path / "old.npz", **parts)
    assert load_table(tmp_path / "old.npz").timing == {}


def test_classifier_rows_keep_their_classes(tmp_path):
    rows = {"x": np.arange(6, dtype=np.float32).reshape(3, 2), "y": np.ones((1, 2), np.float32)}
    save_table(ScoreTable("classifier", rows, {}), tmp_path / "c.npz")
    table = load_table(tmp_path / "c.npz")
    np.testing.assert_array_equal(table.of(["y", "x"])[1], rows["x"])
    assert [row.shape for row in table.of(["y", "x"])] == [(1, 2), (3, 2)]


def test_an_empty_table(tmp_path):
    save_table(ScoreTable("md", {}, {}), tmp_path / "md.npz")
    assert load_table(tmp_path / "md.npz").values == {}


def test_a_missing_video_is_named():
    with pytest.raises(UserError, match="score table 'md': no scores for z"):
        ScoreTable("md", ROWS, {}).of(["b", "z"])


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(UserError, match="no such score table"):
        load_table(tmp_path / "none.npz")


@pytest.mark.parametrize("damage", ["empty", "text", "half", "overwritten", "array", "foreign"])
def test_a_damaged_file_is_one_sentence(tmp_path, damage):
    path = tmp_path / "md.npz"
    save_table(ScoreTable("md", {"a": np.random.default_rng(0).random(500, np.float32)}, {}), path)
    data = path.read_bytes()
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("scores")
    elif damage == "half":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "overwritten":
        path.write_bytes(data[:200] + b"\xff" * 300 + data[500:])
    elif damage == "array":
        with path.open("wb") as stream:
            np.save(stream, np.zeros(3))
    else:
        with path.open("wb") as stream:
            np.savez(stream, other=np.zeros(3))
    with pytest.raises(UserError, match=r"md\.npz: not a readable score table"):
        load_table(path)


def test_a_failed_write_leaves_the_old_table_and_nothing_else(tmp_path):
    path = tmp_path / "md.npz"
    save_table(ScoreTable("md", {"a": np.float32([1])}, {}), path)
    with pytest.raises(TypeError):
        save_table(ScoreTable("md", {"a": np.float32([2])}, {"not json": object()}), path)
    assert load_table(path).values["a"] == [1]
    assert [each.name for each in tmp_path.iterdir()] == ["md.npz"]


def test_rows_are_padded_to_the_longest():
    values, mask = padded([np.float32([1, 2]), np.float32([]), np.float32([3])])
    np.testing.assert_array_equal(values, [[1, 2], [0, 0], [3, 0]])
    np.testing.assert_array_equal(mask, [[True, True], [False, False], [True, False]])
    values, mask = padded([np.ones((1, 3)), np.ones((2, 3))])
    assert values.shape == (2, 2, 3)
    assert values.dtype == np.float32
    assert padded([])[0].shape == (0, 0)


def test_activations_stay_half_as_wide(tmp_path):
    rows = {"x": np.float16([[0.1, 2], [3, 65504]]), "y": np.zeros((1, 2), np.float16)}
    save_table(ScoreTable("activations", rows, {}), tmp_path / "a.npz")
    for name, row in load_table(tmp_path / "a.npz").values.items():
        np.testing.assert_array_equal(row, rows[name])
        assert row.dtype == np.float16
