import numpy as np
import pytest
from PIL import Image

from scsampler_tf.predict import Moment, Prediction
from scsampler_tf.report import write_timeline


def prediction(clips=20, chosen=(3, 12, 7), sound=True, name="holiday.mp4", label="spin") -> Prediction:
    rng = np.random.default_rng(0)
    bounds = [(float(clip), float(clip + 1)) for clip in range(clips)]
    audio = rng.random(clips)
    audio[: clips // 2] = np.nan
    return Prediction(
        path=f"/videos/{name}",
        label=label,
        probabilities={label: 0.7, "other": 0.3},
        moments=[Moment(clip, *bounds[clip], 0.9, label, 0.6) for clip in chosen],
        bounds_s=bounds,
        visual=rng.random(clips).astype(np.float32),
        audio=audio if sound else None,
        fused=rng.random(clips),
        thumbnails=[np.full((32, 32, 3), 40 * number % 256, np.uint8) for number in range(len(chosen))],
        policy="direct",
        damage=[],
        remarks=[],
    )


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"sound": False},
        {"clips": 1, "chosen": (0,)},
        {"clips": 400, "chosen": tuple(range(0, 400, 10))},
        {"name": "a_$5_and_$x^.mp4", "label": "costs $x_$"},
    ],
)
def test_a_timeline_is_a_picture_with_something_on_it(tmp_path, values):
    path = write_timeline(prediction(**values), tmp_path / "out" / "holiday.png")
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert 800 <= pixels.shape[1] <= 1600
    assert 300 <= pixels.shape[0] <= 800
    assert 0.02 < (pixels < 250).any(axis=2).mean() < 0.9
    orange = (abs(pixels.astype(int) - [228, 87, 46]) < 30).all(axis=2)
    assert orange.any()  # the frames of the thumbnails
    assert [each.name for each in path.parent.iterdir()] == ["holiday.png"]


def test_thumbnails_stand_in_order_of_time(tmp_path):
    """Clips 3, 12, 7 with grey levels 0, 40, 80: from left to right 0, 80, 40."""
    path = write_timeline(prediction(), tmp_path / "t.png")
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    left = [np.argwhere((pixels == level).all(axis=2))[:, 1].mean() for level in (0, 80, 40)]
    assert left == sorted(left)
