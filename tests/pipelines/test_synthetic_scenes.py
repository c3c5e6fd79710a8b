"""The pictures of the synthetic set."""

import numpy as np

from pipelines.synthetic_plan import HEIGHT, WIDTH, Segment, VideoPlan, plan_video
from pipelines.synthetic_scenes import render

KINDS = ("still", "spin", "pan")
SEGMENTS = tuple(Segment(12 * i, 12, kind, "hum", -20.0, seed=i) for i, kind in enumerate(KINDS))
PLAN = VideoPlan(0, "spin", "train", "h264", False, True, (3, 0), SEGMENTS)


def test_pictures_are_planes_of_the_right_size():
    pictures = list(render(PLAN))
    assert len(pictures) == 36
    assert all(p.shape == (HEIGHT * 3 // 2, WIDTH) and p.dtype == np.uint8 for p in pictures)


def test_motion_shows_where_it_should():
    luma = np.stack([picture[:HEIGHT] for picture in render(PLAN)]).astype(float)
    change = np.abs(np.diff(luma, axis=0)).mean(axis=(1, 2))
    still, spin, pan = change[:11].mean(), change[12:23].mean(), change[24:].mean()
    assert spin > 1.3 * still
    assert pan > 1.3 * still


def test_videos_differ():
    first = [next(render(plan_video(8, index))) for index in range(6)]
    assert len({picture.tobytes() for picture in first}) == 6
