import dataclasses

import pytest

from pipelines.errors import UserError
from pipelines.settings import FeatureSettings
from scsampler_tf.config import ExperimentConfig, paper, small
from scsampler_tf.knee_plan import Asked, Point, asked, asked_from_dict, motion_alone, rows_of, samplers_of
from scsampler_tf.workdir import Workdir

SMALL = small().features  # canvas 112, clips of 8 x 2 frames, MD on 4 and 28-pixel residuals on 2 P-frames


def names(config, wanted):
    return [each.name for each in samplers_of(rows_of(config, wanted))]


def test_the_grid_is_the_canvas_its_half_and_its_quarter_with_all_four_and_one():
    wanted = asked(FeatureSettings())
    assert wanted.grid == tuple((size, frames) for frames in (0, 4, 1) for size in (224, 112, 56))
    assert asked(SMALL, [28], [16, 99, 0, 4]).grid == ((28, 0), (28, 4))  # 16 P-frames are all there are


def test_motion_is_trained_once_for_each_number_of_frames_and_nothing_that_the_run_has():
    found = names(small(), asked(SMALL))
    assert found == [
        *("md-all", "rgb_r-r112-all", "rgb_r-r56-all", "rgb_r-r28-all"),
        *("md", "rgb_r-r112-p4", "rgb_r-r56-p4", "rgb_r-r28-p4"),
        *("md-p1", "rgb_r-r112-p1", "rgb_r-r56-p1", "rgb_r-r28-p1"),
        "rgb_r",
    ]
    at_paper = names(paper(), asked(paper().features))
    assert at_paper[:3] == ["md", "rgb_r", "rgb_r-r112-all"]  # 224 pixels of all P-frames are the run's own
    assert "rgb_r-r224-all" not in at_paper


def test_rows_see_what_their_features_are_made_for():
    rows = {row.key: row for row in rows_of(small(), asked(SMALL, [56], [1]))}
    assert list(rows) == ["md-p1", "rgb_r-r56-p1", "both-r56-p1", "md", "rgb_r", "both"]
    both = rows["both-r56-p1"]
    assert [each.name for each in both.samplers] == ["md-p1", "rgb_r-r56-p1"]
    assert (both.title, both.curve) == ("MD + RGB-R 56, 1 P-frame", "MD + RGB-R 56")
    assert both.features == dataclasses.replace(SMALL, residual_size=56, residual_frames=1, md_frames=1)
    assert rows["md-p1"].features == dataclasses.replace(
        SMALL, residual_size=28, residual_frames=1, md_frames=1
    )
    assert rows["both"].title == "MD + RGB-R 28, 4 and 2 P-frames (the run's)"
    assert rows["both"].features == SMALL
    assert motion_alone(SMALL, 0).md_cells == 16


def test_motion_is_the_same_point_whatever_sizes_are_asked_for(tmp_path):
    points = [samplers_of(rows_of(small(), asked(SMALL, [size], [1])))[0] for size in (28, 56, 112)]
    assert points[0] == points[1] == points[2]
    point, workdir = points[0], Workdir(tmp_path)
    assert isinstance(point, Point)
    assert point.setting.features.residual_size == 28
    assert point.model(workdir) == tmp_path / "knee" / "md-p1" / "models" / "md"
    assert point.table(workdir) == tmp_path / "knee" / "md-p1" / "scores" / "md.npz"
    assert point.features(workdir) == tmp_path / "knee" / "r28-p1" / "features"


def test_other_networks_stand_at_the_runs_own_settings():
    rows = rows_of(small(), asked(SMALL, [28], [1], ["shufflenet_26", "resnet_small"]))
    assert [row.key for row in rows[-3:]] == ["md-shufflenet_26", "rgb_r-shufflenet_26", "both-shufflenet_26"]
    variant = rows[-2].samplers[0]  # resnet_small is the run's own network
    assert (variant.config.arch, rows[-2].features) == ("shufflenet_26", SMALL)
    assert rows[-2].title == "RGB-R 28, 2 P-frames (shufflenet_26)"


def test_every_row_has_its_own_name_and_title():
    for config in (small(), paper(), ExperimentConfig()):
        rows = rows_of(config, asked(config.features, archs=["shufflenet_26", "resnet18"]))
        assert len({row.key for row in rows}) == len({row.title for row in rows}) == len(rows)


def test_plans_add_up_and_are_plain_data():
    first, second = Asked(((28, 0), (56, 0)), ("resnet18",)), Asked(((28, 0), (28, 1)), ("shufflenet_26",))
    together = second.joined(first)
    assert together == Asked(((28, 0), (56, 0), (28, 1)), ("resnet18", "shufflenet_26"))
    assert asked_from_dict(together.to_dict()) == together
    for damaged in ([], {"grid": [[1]], "archs": []}, {"grid": [["a", 1]], "archs": []}):
        with pytest.raises(UserError, match=r"plan\.json: holds no plan"):
            asked_from_dict(damaged)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"sizes": [100]}, "residual_size: 100 is not the canvas, its half or its quarter"),
        ({"frames": [-1]}, "md_frames: -1 is negative"),
        ({"archs": ["r2plus1d_18"]}, "--archs r2plus1d_18: is no network of single frames; there are"),
        ({"archs": ["vgg"]}, "--archs vgg: is no network of single frames"),
    ],
)
def test_what_cannot_be_is_refused(words, message):
    with pytest.raises(UserError, match=message):
        asked(SMALL, **words)
