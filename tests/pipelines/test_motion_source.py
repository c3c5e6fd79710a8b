from dataclasses import dataclass

import pytest

from pipelines.motion_source import LONGEST_B_RUN, StreamMotion, with_distances
from pipelines.video_file import opened_pictures
from tests import media

TYPES = {"I": 1, "P": 2, "B": 3}


@dataclass
class Picture:
    pict_type: int
    number: int


def distances(types):
    frames = [Picture(TYPES[letter], number) for number, letter in enumerate(types)]
    found = list(with_distances(frames))
    assert [frame.number for frame, *_ in found] == list(range(len(types)))
    return [(back, ahead) for _, back, ahead in found]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("", []),
        ("IPP", [(1, 0), (1, 0), (1, 0)]),
        ("IBBP", [(1, 0), (1, 2), (2, 1), (3, 0)]),
        ("IPBPB", [(1, 0), (1, 0), (1, 1), (2, 0), (1, 0)]),
        ("BI", [(1, 1), (2, 0)]),
    ],
)
def test_distances_by_hand(types, expected):
    assert distances(types) == expected


def test_an_endless_run_of_b_frames_is_not_hoarded():
    found = distances("I" + "B" * (LONGEST_B_RUN + 3) + "P")
    assert found[1] == (1, 0)
    assert found[LONGEST_B_RUN + 1] == (LONGEST_B_RUN + 1, 3)
    assert found[-1] == (LONGEST_B_RUN + 4, 0)


def test_without_b_frames_nothing_waits():
    seen = []

    def frames():
        for number in range(3):
            seen.append(number)
            yield Picture(TYPES["P"], number)

    for number, _ in enumerate(with_distances(frames())):
        assert seen[-1] == number


@pytest.mark.parametrize(("pixels", "options"), [(True, {}), (False, {"skip_loop_filter": "all"})])
def test_what_bounds_the_decoder_stays(tmp_path, pixels, options):
    with opened_pictures(media.write_video(tmp_path / "a.mp4", media.noise(3))) as (_, stream):
        bound = dict(stream.codec_context.options)
        StreamMotion(stream, pixels)
        assert bound
        assert stream.codec_context.options == {**bound, **options}
