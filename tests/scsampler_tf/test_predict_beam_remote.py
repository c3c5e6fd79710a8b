"""Where answers lie elsewhere: the Beam pipeline's files in a remote place, here one kept in memory."""

import io
import json

import pytest
from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata, FileSystem

from pipelines.errors import UserError
from scsampler_tf import predict_beam_steps as steps
from scsampler_tf.predict_beam import main, predict_beam

OUT = "memo://bucket/answers"
FIRST = f"{OUT}-00000-of-00001.jsonl"
NAMES = [f"{number}.mp4" for number in range(5)]


class MemoFileSystem(FileSystem):
    """As object stores are: no folders, a file is there when it was closed, and renaming replaces."""

    files: dict[str, bytes]
    renamed: list[tuple[str, str]]
    refused = ()  # the beginnings of addresses where nothing can be written

    @classmethod
    def scheme(cls):
        return "memo"

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        return tuple(path.rsplit("/", 1))

    def mkdirs(self, path):
        pass

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        return [self.metadata(path) for path in sorted(self.files) if path.startswith(dir_or_prefix)]

    def create(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        if path.startswith(tuple(self.refused)):
            raise BeamIOError("writing is not allowed", {path: PermissionError(path)})
        files = self.files

        class Writer(io.BytesIO):
            def close(self):
                if not self.closed:
                    files[path] = self.getvalue()
                super().close()

        return Writer()

    def open(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        return io.BytesIO(self.files[path])

    def copy(self, source_file_names, destination_file_names):
        raise NotImplementedError

    def rename(self, source_file_names, destination_file_names):
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            self.files[target] = self.files.pop(source)
            self.renamed.append((source, target))

    def exists(self, path):
        return path in self.files

    def size(self, path):
        return len(self.files[path])

    def last_updated(self, path):
        return 0.0

    def checksum(self, path):
        return str(hash(self.files[path]))

    def metadata(self, path):
        return FileMetadata(path, self.size(path), self.last_updated(path))

    def delete(self, paths):
        for path in paths:
            for each in [name for name in self.files if name == path or name.startswith(f"{path}/")]:
                del self.files[each]


@pytest.fixture
def memo(monkeypatch):
    monkeypatch.setattr(MemoFileSystem, "files", {}, raising=False)
    monkeypatch.setattr(MemoFileSystem, "renamed", [], raising=False)
    return MemoFileSystem


class NoModel:
    """Stands for a loaded model."""

    def __init__(self, model):
        self.model = model


@pytest.fixture
def given(tmp_path, monkeypatch):
    """A list of five videos and a model's folder; what a video's answer is, is not asked here."""
    (tmp_path / "list.csv").write_text("path\n" + "".join(f"{name}\n" for name in NAMES))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").touch()
    monkeypatch.setattr(steps, "Loaded", NoModel)
    monkeypatch.setattr(steps, "_answer", lambda video, model, k: {"path": video.name, "label": "run"})
    return str(tmp_path / "list.csv"), str(tmp_path / "model")


def paths_in(content: bytes) -> list[str]:
    return sorted(json.loads(line)["path"] for line in content.splitlines())


def all_paths(memo) -> list[str]:
    return sorted(path for content in memo.files.values() for path in paths_in(content))


def test_answers_elsewhere_appear_whole_and_nothing_else_stays(memo, given, capsys):
    words = ["--manifest", given[0], "--model", given[1], "--out", OUT]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{OUT}-*.jsonl: 5 answered, 0 failed\n"
    assert all(path.startswith(f"{OUT}-000") for path in memo.files)
    assert all_paths(memo) == NAMES
    # written under other names, so that nobody reads half a file
    assert sorted(target for _, target in memo.renamed) == sorted(memo.files)
    assert all(source.startswith("memo://bucket/beam-temp-answers-") for source, _ in memo.renamed)


@pytest.mark.parametrize("out", ["memo", "here"])
def test_answers_of_an_earlier_run_go_when_the_new_ones_are_there(memo, given, tmp_path, out):
    base = OUT if out == "memo" else str(tmp_path / "answers")
    others = [f"{base}-b-00000-of-00009.jsonl", f"{base}-00000-of-00009.jsonl.bak", f"{base}.jsonl"]
    older = [FIRST.replace(OUT, base)] + [f"{base}-{number:05}-of-00009.jsonl" for number in range(9)]
    for path in [*older, *others]:
        if out == "memo":
            memo.files[path] = b'{"path": "old"}\n'
        else:
            (tmp_path / path).write_bytes(b'{"path": "old"}\n')
    predict_beam(*given, base)
    if out == "here":
        memo.files.update({str(path): path.read_bytes() for path in tmp_path.glob("answers*")})
    assert [memo.files.pop(path) for path in others] == [b'{"path": "old"}\n'] * 3
    assert all_paths(memo) == NAMES


def test_a_run_that_fails_leaves_the_earlier_answers(memo, given, monkeypatch):
    def broken(video, model, k):
        raise MemoryError("as when a worker dies")

    monkeypatch.setattr(steps, "_answer", broken)
    memo.files[FIRST] = b'{"path": "old"}\n'
    with pytest.raises(Exception, match="as when a worker dies"):
        predict_beam(*given, OUT)
    assert {path for path in memo.files if "beam-temp" not in path} == {FIRST}
    assert memo.files[FIRST] == b'{"path": "old"}\n'


def test_a_place_that_takes_no_files_is_told_in_a_sentence(memo, given, monkeypatch):
    with pytest.raises(UserError, match="memo://bucket/: this is a folder"):
        predict_beam(*given, "memo://bucket/")
    assert memo.files == {}
    monkeypatch.setattr(memo, "refused", ("memo://bucket/",))
    with pytest.raises(
        UserError, match=r"memo://bucket/answers: nothing can be written there \(.*not allowed"
    ):
        predict_beam(*given, OUT)


@pytest.mark.parametrize("out", ["memo://bucket/a*", "memo://bucket/an[s]", "memo://bucket/1?/answers"])
def test_a_name_that_would_be_a_pattern_is_refused(memo, given, out):
    with pytest.raises(UserError, match="must be without"):
        predict_beam(*given, out)
    assert memo.files == {}


def test_a_model_that_is_not_there_is_told_before_any_work(memo, given, monkeypatch):
    memo.files["memo://bucket/model/notes.txt"] = b""
    with pytest.raises(UserError, match="memo://bucket/model: no exported model here"):
        predict_beam(given[0], "memo://bucket/model", OUT)
    assert list(memo.files) == ["memo://bucket/model/notes.txt"]

    def refusing(self, dir_or_prefix):
        raise PermissionError("reading is not allowed")

    monkeypatch.setattr(memo, "_list", refusing)
    with pytest.raises(UserError, match=r"memo://bucket/model: cannot be read .*not allowed"):
        predict_beam(given[0], "memo://bucket/model", OUT)
