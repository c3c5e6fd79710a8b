"""The list of videos of a batch, and mistakes of the command line."""

import pytest

from pipelines.errors import UserError
from scsampler_tf.predict import main
from scsampler_tf.predict_batch import read_list
from tests.scsampler_tf.batches import write_csv


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["file"], ["a.mp4"]], "no column 'path'"),
        ([["path", "label"], ["a.mp4", "x"], ["", "x"]], "line 3: path is missing"),
        ([["path", "label"]], "no videos in it"),
    ],
)
def test_lists_that_are_none(tmp_path, rows, said):
    with pytest.raises(UserError, match=said):
        read_list(write_csv(tmp_path / "v.csv", rows))


def test_a_list_is_read_like_a_manifest(tmp_path):
    (tmp_path / "v.csv").write_bytes(b"\xef\xbb\xbfpath, label,split\nx/a.mp4, left,train\n\n/b.mp4,,\n")
    rows, repeated = read_list(tmp_path / "v.csv")
    assert [(row.name, str(row.path), row.label) for row in rows] == [
        ("x/a.mp4", str(tmp_path / "x" / "a.mp4"), "left"),
        ("/b.mp4", "/b.mp4", None),
    ]
    assert repeated == 0
    with pytest.raises(UserError, match="no such manifest"):
        read_list(tmp_path / "none.csv")
    (tmp_path / "v.csv").write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(UserError, match="not a readable CSV"):
        read_list(tmp_path / "v.csv")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name videos, or a list of them"),
        (["a.mp4", "--manifest", "v.csv"], "name videos, or a list of them"),
        (["--manifest", "v.csv"], "--out is missing"),
        (["--manifest", "v.csv", "--out", "r.jsonl", "--workers", "-1"], "--workers -1: give 0 or more"),
        (["--manifest", "v.csv", "--out", "r.jsonl"], "v.csv: no such manifest"),
        (["a.mp4", "--K", "0"], "--K 0: give 1 or more"),
    ],
)
def test_mistakes_of_the_command_line(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = main([*words, "--model", "none"])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
