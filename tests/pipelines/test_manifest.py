from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import UserError
from pipelines.manifest import Row, hold_out_validation, parse_segments, read_manifest

HEADER = "path,label,split\n"


@pytest.fixture
def written(tmp_path):
    def write(text, encoding="utf-8"):
        (tmp_path / "m.csv").write_bytes(text.encode(encoding))
        return tmp_path / "m.csv"

    return write


def test_rows_with_their_paths_and_segments(written, tmp_path):
    text = (
        "label,path,note,split,action_segments\n"
        f'run,videos/a.mp4,x,train,1-2.5;8-9\njump,"b, c.mp4",,val,\nrun,{tmp_path}/d.mp4,,test,\n'
    )
    rows, refused = read_manifest(written(text))
    assert refused == []
    assert rows[0] == Row(
        "videos/a.mp4", (tmp_path / "videos/a.mp4").resolve(), "run", "train", ((1, 2.5), (8, 9))
    )
    assert [row.name for row in rows] == ["videos/a.mp4", "b, c.mp4", f"{tmp_path}/d.mp4"]
    assert [row.path.name for row in rows] == ["a.mp4", "b, c.mp4", "d.mp4"]
    assert rows[2].path == (tmp_path / "d.mp4").resolve()
    assert [row.segments for row in rows[1:]] == [None, None]


def test_byte_order_mark_spaces_and_line_ends(written):
    rows, refused = read_manifest(written("path, label, split\r\n a.mp4 , run , train \r\n\r\n", "utf-8-sig"))
    assert [(row.name, row.label, row.split) for row in rows] == [("a.mp4", "run", "train")]
    assert refused == []


@pytest.mark.parametrize("text", ["", "\n", "path;label;split\na;b;train\n", "path,label\na,b\n"])
def test_missing_columns(written, text):
    with pytest.raises(UserError, match=r"m\.csv: no column '.*'; a manifest has path,label,split"):
        read_manifest(written(text))


def test_unreadable_manifests(tmp_path):
    with pytest.raises(UserError, match="no such manifest"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(UserError, match="not a readable CSV file"):
        read_manifest(tmp_path)
    (tmp_path / "video.csv").write_bytes(b"\x00\x00\x00\x20ftypisom\xff\xfe")
    with pytest.raises(UserError, match="not a readable CSV file"):
        read_manifest(tmp_path / "video.csv")


@pytest.mark.parametrize(
    ("line", "name", "reason"),
    [
        ("b.mp4,,train", "b.mp4", "line 3: label is missing"),
        ("b.mp4, ,train", "b.mp4", "line 3: label is missing"),
        ("b.mp4", "b.mp4", "line 3: label is missing"),
        (",run,train", "line 3", "line 3: path is missing"),
        ("b.mp4,run,", "b.mp4", "line 3: split is missing"),
        ("b.mp4,run,dev", "b.mp4", "line 3: split 'dev' is none of train, val, test"),
        ("a.mp4,run,test", "a.mp4", "line 3: the same path stands on an earlier line"),
        ("./a.mp4,run,test", "./a.mp4", "line 3: the same path stands on an earlier line"),
        ('"b.mp4\nc.mp4",run,test', "b.mp4\nc.mp4", "line 4: path has a line break"),
    ],
)
def test_a_bad_line_is_refused_and_the_rest_is_used(written, line, name, reason):
    rows, (refusal,) = read_manifest(written(HEADER + f"a.mp4,run,train\n{line}\nz.mp4,run,test\n"))
    assert [row.name for row in rows] == ["a.mp4", "z.mp4"]
    assert refusal.path == name
    assert refusal.reason.startswith(f"m.csv {reason}")


def test_lines_are_counted_as_an_editor_does(written):
    _, (refusal,) = read_manifest(written(HEADER + "\na.mp4,run,train\n\nb.mp4,,train\n"))
    assert refusal.reason.startswith("m.csv line 5:")


def test_bad_segments_refuse_the_line(written):
    text = "path,label,split,action_segments\na.mp4,run,train,3-2\nb.mp4,run,train,1-2\n"
    rows, (refusal,) = read_manifest(written(text))
    assert [row.name for row in rows] == ["b.mp4"]
    assert "line 2: action_segments: '3-2' does not end after it starts" in refusal.reason


def test_no_usable_row(written):
    with pytest.raises(UserError, match=r"m\.csv: no usable row$"):
        read_manifest(written(HEADER))
    with pytest.raises(UserError, match=r"m\.csv: no usable row; first: m\.csv line 2: label is missing"):
        read_manifest(written(HEADER + "a.mp4,,train\n"))


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        (None, None),
        ("  ", None),
        ("1.2-3.4", ((1.2, 3.4),)),
        (" 0-1 ; 8-9.5 ", ((0, 1), (8, 9.5))),
    ],
)
def test_segments(text, segments):
    assert parse_segments(text) == segments


@pytest.mark.parametrize("text", ["1", "1-", "-2", "a-b", "2-1", "1-1", "nan-2", "1-nan", "1-inf", "1-2,3-4"])
def test_bad_segments(text):
    with pytest.raises(ValueError, match="'"):
        parse_segments(text)


def rows_of(counts, split="train"):
    return [
        Row(f"{split}/{label}{number}.mp4", None, label, split)
        for label, count in counts.items()
        for number in range(count)
    ]


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 40), min_size=1), st.integers(0, 99), st.randoms()
)
def test_validation_is_held_out_of_every_class(counts, seed, random):
    rows = rows_of(counts) + rows_of({"a": 3}, "test")
    moved, told = hold_out_validation(rows, seed)
    held = Counter(row.label for row in moved if row.split == "val")
    for label, count in counts.items():
        assert held[label] == (0 if count == 1 else max(1, round(0.15 * count)))
    assert [row.name for row in moved] == [row.name for row in rows]
    assert all(old.split == new.split for old, new in zip(rows, moved, strict=True) if old.split == "test")
    assert told == f"{held.total()} videos held out of train, 15% of each class, seed {seed}"
    shuffled = random.sample(rows, len(rows))
    assert set(hold_out_validation(shuffled, seed)[0]) == set(moved)  # the order of lines does not matter


def test_another_seed_holds_out_others():
    rows = rows_of({"a": 60})
    assert hold_out_validation(rows, 0)[0] != hold_out_validation(rows, 1)[0]


def test_a_manifest_with_val_rows_is_left_as_it_is():
    rows = [*rows_of({"a": 5}), *rows_of({"b": 1}, "val")]
    assert hold_out_validation(rows, 0) == (rows, "from the manifest")


def test_video_ids_are_file_names_and_unique():
    names = ["x/a b.mp4", "y/a b.mp4", "x/a b.avi", "ünï/ç.mp4", "..", "v_" + "long" * 50 + ".mp4"]
    ids = [Row(name, None, "run", "train").video_id for name in names]
    assert len(set(ids)) == len(ids)
    assert all(set(each) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-") and len(each) < 60 for each in ids)
    assert ids[0].startswith("a_b-")
