"""A remote place for tests: shelf://... in Beam's file systems, in truth a local folder."""

from pathlib import Path

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata, FileSystem
from apache_beam.io.localfilesystem import LocalFileSystem

SCHEME = "shelf"


class ShelfFileSystem(FileSystem):
    """Like some remote places it has no folders and does not replace a file by renaming another."""

    root = Path()

    @classmethod
    def scheme(cls):
        return SCHEME

    def _file(self, path):
        assert path.startswith(f"{SCHEME}://"), path
        return self.root / path.removeprefix(f"{SCHEME}://")

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        return tuple(path.rsplit("/", 1))

    def mkdirs(self, path):
        raise NotImplementedError

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        for path in sorted(self.root.rglob("*")):
            address = f"{SCHEME}://{path.relative_to(self.root)}"
            if path.is_file() and address.startswith(dir_or_prefix):
                yield self.metadata(address)

    def create(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        return LocalFileSystem(None).create(str(self._file(path)), mime_type, compression_type)

    def open(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        return LocalFileSystem(None).open(str(self._file(path)), mime_type, compression_type)

    def copy(self, source_file_names, destination_file_names):
        raise NotImplementedError

    def rename(self, source_file_names, destination_file_names):
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            if self.exists(target):
                raise BeamIOError("there is such a file already")
            self._file(source).rename(self._file(target))

    def exists(self, path):
        return self._file(path).is_file()

    def size(self, path):
        return self._file(path).stat().st_size

    def last_updated(self, path):
        return self._file(path).stat().st_mtime

    def checksum(self, path):
        raise NotImplementedError

    def metadata(self, path):
        return FileMetadata(path, self.size(path), self.last_updated(path))

    def delete(self, paths):
        for path in paths:
            try:
                self._file(path).unlink()
            except OSError as error:
                raise BeamIOError("cannot be deleted", {path: error}) from error
