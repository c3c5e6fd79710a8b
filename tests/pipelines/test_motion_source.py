from dataclasses import dataclass

import numpy as np
import pytest

from pipelines.motion import VECTOR
from pipelines.motion_source import LONGEST_B_RUN, StreamMotion, with_distances
from pipelines.video_file import Damage, decoded_frames, opened_pictures
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


@pytest.mark.parametrize(("halvings", "options"), [(0, {}), (2, {"skip_loop_filter": "all"})])
def test_what_bounds_the_decoder_stays(tmp_path, halvings, options):
    with opened_pictures(media.write_video(tmp_path / "a.mp4", media.noise(3))) as (_, stream):
        bound = dict(stream.codec_context.options)
        StreamMotion(stream, halvings)
        assert bound
        assert stream.codec_context.options == {**bound, **options}


def fields_and_sizes(path, halvings):
    with opened_pictures(path) as (container, stream):
        source = StreamMotion(stream, halvings)
        motions = list(source.frames(decoded_frames(container, stream, Damage())))
    return [motion.field() for motion in motions], {(m.frame.height, m.frame.width) for m in motions}


@pytest.mark.parametrize("halvings", [1, 2])
@pytest.mark.parametrize(
    ("name", "codec", "b_frames", "shrinks"),
    [
        ("a.avi", media.MPEG4, 0, True),
        ("a.mpg", "mpeg2video", 0, True),
        ("b.mpg", "mpeg2video", 2, True),
        ("c.mpg", "mpeg1video", 0, True),
        ("a.mp4", media.H264, 2, False),
    ],
)
def test_vectors_of_lesser_pictures_are_the_same(tmp_path, name, codec, b_frames, shrinks, halvings):
    path = media.write_video(tmp_path / name, media.pan(15, 138, 102, (3, -2)), codec, b_frames=b_frames)
    full, _ = fields_and_sizes(path, 0)
    lesser, sizes = fields_and_sizes(path, halvings)
    assert sizes == {(-(-102 >> halvings), -(-138 >> halvings)) if shrinks else (102, 138)}
    for before, after in zip(full, lesser, strict=True):
        assert before[1:] == after[1:]
        vectors = [np.frombuffer(field.records, VECTOR) for field in (before, after)]
        for part in VECTOR.names:  # the bytes between the fields may be anything
            np.testing.assert_array_equal(vectors[0][part], vectors[1][part])
