import dataclasses

import pytest

from pipelines.errors import UserError
from pipelines.settings import FeatureSettings, settings_from_dict


def test_derived_sizes():
    settings = FeatureSettings(8, 2, canvas=64, md_frames=5, residual_frames=0, residual_size=16)
    assert (settings.span, settings.grid) == (16, 4)
    assert (settings.md_cells, settings.residual_cells) == (5, 16)
    assert settings.residual_block == 4  # 16 canvas pixels, at a quarter
    assert FeatureSettings(clip_frames=4, md_frames=9).md_cells == 4


def test_digest_tells_every_setting_apart():
    base = FeatureSettings()
    changed = {
        "clip_frames": 8, "clip_step": 2, "canvas": 112, "md_frames": 3, "residual_frames": 2,
        "residual_size": 112, "residual": "accumulated", "iframe_size": 64, "motion": "direct",
        "jpeg_quality": 80,
    }  # fmt: skip
    assert set(changed) == {field.name for field in dataclasses.fields(FeatureSettings)}
    digests = {dataclasses.replace(base, **{name: value}).digest() for name, value in changed.items()}
    assert len(digests | {base.digest()}) == len(changed) + 1
    assert base.digest() == FeatureSettings().digest()
    assert len(base.digest()) == 12


def test_round_trip_through_plain_data():
    settings = FeatureSettings(clip_frames=8, motion="transcode")
    assert settings_from_dict(dataclasses.asdict(settings)) == settings
    assert settings_from_dict({}) == FeatureSettings()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"clip_frames": 0}, "features.clip_frames: 0 is not a positive"),
        ({"clip_step": -1}, "features.clip_step: -1"),
        ({"md_frames": -1}, "features.md_frames: -1 is negative"),
        ({"canvas": 100}, "not a multiple of 16"),
        ({"motion": "best"}, "'best' is none of auto, fast, direct, transcode"),
        ({"residual": "sum"}, "'sum' is none of step, accumulated"),
        ({"residual_size": 100}, r"residual_size: 100 is not .* its quarter \(224, 112, 56\)"),
        ({"jpeg_quality": 0}, "not within 1-100"),
        ({"jpeg_quality": 101}, "not within 1-100"),
        ({"clip_frames": "16"}, "clip_frames: '16' is not a whole number"),
        ({"clip_frames": 16.0}, "clip_frames: 16.0 is not a whole number"),
        ({"clip_frames": True}, "clip_frames: True is not a whole number"),
        ({"motion": 1}, "motion: 1 is not a text"),
        (
            {"residual_frames": 0, "residual_size": 112, "clip_frames": 64, "clip_step": 16},
            "JPEG of 114688 rows",
        ),
        ({"clip_lenght": 1}, "unknown key 'clip_lenght'; known are canvas, "),
    ],
)
def test_faults_name_the_setting(values, message):
    with pytest.raises(UserError, match=message):
        settings_from_dict(values)
