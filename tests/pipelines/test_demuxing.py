import av
import pytest

from pipelines.demuxing import packets
from tests import media


def test_all_packets_and_one_to_end_with(tmp_path):
    path = media.write_video(tmp_path / "a.mp4", media.noise(5))
    with av.open(str(path)) as container:
        assert [packet.size > 0 for packet in packets(container, container.streams.video[0])] == [
            True
        ] * 5 + [False]


class Container:
    """Gives one packet and fails."""

    def __init__(self, error):
        self._error = error

    def demux(self, *streams):
        yield streams
        raise self._error


def test_streams_that_turn_up_while_reading_do_no_harm():
    assert list(packets(Container(IndexError("list index out of range")), 1, 2)) == [(1, 2)]


def test_what_cannot_be_read_is_told():
    with pytest.raises(av.FFmpegError):
        list(packets(Container(av.error.InvalidDataError(1094995529, "Invalid data"))))
