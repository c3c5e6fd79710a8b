import hashlib
import os
import stat

import pytest

from pipelines.errors import UserError
from pipelines.files import (
    file_digest,
    make_folder,
    read_json,
    remove_parts,
    write_json,
    write_text,
    written_whole,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    with written_whole(tmp_path / "sub" / "a.png") as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"half")
        assert not (tmp_path / "sub" / "a.png").exists()
    assert (tmp_path / "sub" / "a.png").read_bytes() == b"half"
    assert names(tmp_path / "sub") == ["a.png"]


def test_a_failure_keeps_the_old_file_and_leaves_nothing(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyError), written_whole(tmp_path / "a.txt") as temporary:
        temporary.write_text({}["new"])
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_results_have_the_permissions_of_ordinary_files(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_name_that_is_a_folder_is_told(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(UserError, match=r"a\.txt: is a folder"):
        write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == ["a.txt"]


def test_what_a_killed_writer_left_is_removed(tmp_path):
    with written_whole(tmp_path / "deep" / "a.bin") as temporary:
        left = temporary.with_name(temporary.name.replace("a-", "b-"))
        left.write_bytes(b"half")
    (tmp_path / ".hidden").write_text("somebody else's")
    remove_parts(tmp_path)
    assert names(tmp_path) == [".hidden", "deep"]
    assert names(tmp_path / "deep") == ["a.bin"]


def test_json_round_trip_and_faults(tmp_path):
    value = {"a": [1, 2.5, None], "b": "ü"}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "nan.json", {"a": float("nan")})
    assert names(tmp_path) == ["a.json"]
    with pytest.raises(UserError, match=r"none\.json: no such file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for name in ("bad.json", "bytes.json", "."):
        with pytest.raises(UserError, match="not a readable JSON file"):
            read_json(tmp_path / name)


def test_a_folder_that_is_a_file_or_lies_below_one(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="file: is a file, a folder is needed"):
        make_folder(tmp_path / "file")
    with pytest.raises(UserError, match="cannot make this folder"):
        make_folder(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="no permission"):
        make_folder(tmp_path)
    with pytest.raises(UserError, match="cannot make this folder"):
        make_folder(tmp_path / "below")


def test_digest_of_a_file(tmp_path):
    content = b"abc" * 1_000_000  # more than one block
    (tmp_path / "a").write_bytes(content)
    assert file_digest(tmp_path / "a") == hashlib.sha256(content).hexdigest()
