import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import residual
from pipelines.residual import SUBSAMPLING, Residuals, plane_views
from tests import media

LIMITED, FULL = 1, 2
BT709, UNTOLD, BT601 = 1, 2, 5
LUMA_WEIGHTS = {BT601: (0.299, 0.114), BT709: (0.2126, 0.0722)}  # of red and blue


def filled(planes, pixels="yuv420p", matrix=BT601, color_range=LIMITED):
    """A frame that consists of `planes` [h, w]."""
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pixels)
    frame.colorspace, frame.color_range = matrix, color_range
    for view, plane in zip(plane_views(frame), planes, strict=True):
        view[...] = plane
    return frame


def random_frame(height, width, pixels="yuv420p", seed=0, low=0, high=256, **tags):
    random = np.random.default_rng(seed)
    down, across = SUBSAMPLING[pixels.replace("j", "")]
    small = (-(-height // down), -(-width // across))
    shapes = ((height, width), small, small)
    return filled([random.integers(low, high, shape, np.uint8) for shape in shapes], pixels, **tags)


def flat_frame(values, pixels="yuv420p", height=16, width=16, **tags):
    frame = random_frame(height, width, pixels, **tags)
    for view, value in zip(plane_views(frame), values, strict=True):
        view[...] = value
    return frame


def random_motion(height, width, cell, spread=3.0, seed=0):
    shape = (-(-height // cell), -(-width // cell), 2)
    return np.random.default_rng(seed).normal(0, spread, shape).astype(np.float32)


def still(height, width, cell):
    return np.zeros((-(-height // cell), -(-width // cell), 2), np.float32)


def lookup(plane, displacement, block, unit):
    """The prediction in float64, by its definition for each pixel: places are clamped to the picture."""
    height, width = plane.shape
    y, x = np.mgrid[:height, :width]
    move = np.rint(-unit * displacement.astype(float)) / unit
    move = move[y // block[0], x // block[1]]
    at_x, at_y = np.clip(x + move[..., 0], 0, width - 1), np.clip(y + move[..., 1], 0, height - 1)
    left, top = at_x.astype(int), at_y.astype(int)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    part_x, part_y = at_x - left, at_y - top
    upper = plane[top, left] * (1 - part_x) + plane[top, right] * part_x
    lower = plane[below, left] * (1 - part_x) + plane[below, right] * part_x
    return np.floor(upper * (1 - part_y) + lower * part_y + 0.5)


def looked_up(planes, displacement, cell, pixels, unit):
    """The predictions of all planes."""
    chroma = SUBSAMPLING[pixels]
    return [
        lookup(plane, displacement / np.array(step[::-1]), (cell // step[0], cell // step[1]), unit)
        for plane, step in zip(planes, ((1, 1), chroma, chroma), strict=True)
    ]


def rgb_of(differences, pixels, matrix, color_range):
    """128 + RGB of Y, U, V differences in float64, clipped; chroma is repeated."""
    height, width = differences[0].shape
    down, across = SUBSAMPLING[pixels]
    y, u, v = (np.asarray(plane, float) for plane in differences)
    u, v = (plane.repeat(down, 0).repeat(across, 1)[:height, :width] for plane in (u, v))
    if color_range == LIMITED:
        y, u, v = y * 255 / 219, u * 255 / 224, v * 255 / 224
    of_red, of_blue = LUMA_WEIGHTS[matrix]
    red, blue = y + 2 * (1 - of_red) * v, y + 2 * (1 - of_blue) * u
    green = (y - of_red * red - of_blue * blue) / (1 - of_red - of_blue)
    return np.clip(128 + np.stack((red, green, blue), axis=-1), 0, 255)


@pytest.mark.parametrize("subpel", [False, True])
@pytest.mark.parametrize("pixels", list(SUBSAMPLING))
@pytest.mark.parametrize(
    ("height", "width", "cell"), [(32, 48, 16), (37, 51, 16), (33, 33, 8), (5, 7, 4), (18, 16, 2)]
)
def test_prediction_plus_residual_is_the_frame_in_every_plane(height, width, cell, pixels, subpel):
    before, frame = (random_frame(height, width, pixels, seed) for seed in (0, 1))
    motion = random_motion(height, width, cell)
    residuals = Residuals(subpel)
    residuals.start(before)
    differences = residuals.plane_residuals(frame, motion, cell)
    predictions = looked_up(plane_views(before), motion, cell, pixels, 16 if subpel else 1)
    for prediction, given_out, difference, plane in zip(
        predictions, residuals.predictions(), differences, plane_views(frame), strict=True
    ):
        assert difference.dtype == np.int16
        np.testing.assert_array_equal(given_out, prediction)
        np.testing.assert_array_equal(prediction + difference, plane)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    pixels=st.sampled_from(list(SUBSAMPLING)),
    cell=st.sampled_from([2, 4, 8, 16]),
    spread=st.sampled_from([0, 1, 30, 1e6]),
    subpel=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_rgb_is_that_of_the_clipped_planes(height, width, pixels, cell, spread, subpel, seed):
    before, frame = (random_frame(height, width, pixels, seed + more) for more in (0, 1))
    motion = random_motion(height, width, cell, spread, seed)
    residuals = Residuals(subpel)
    residuals.start(before)
    y, u, v = residuals.plane_residuals(frame, motion, cell)
    cut = np.clip(y, -126, 129), np.clip(u, -128, 127), np.clip(v, -128, 127)
    rgb = residuals(frame, motion, cell)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (height, width, 3)
    assert np.abs(rgb - rgb_of(cut, pixels, BT601, LIMITED)).max() <= 3.1


@pytest.mark.parametrize("matrix", [BT601, BT709])
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("pixels", list(SUBSAMPLING))
def test_rgb_follows_the_matrix_and_the_range_of_the_frames(pixels, color_range, matrix):
    tags = {"matrix": matrix, "color_range": color_range}
    before = random_frame(48, 64, pixels, 0, 60, 120, **tags)
    frame = random_frame(48, 64, pixels, 1, 60, 120, **tags)
    residuals = Residuals(subpel=False)
    residuals.start(before)
    differences = residuals.plane_residuals(frame, still(48, 64, 16), 16)
    rgb = residuals(frame, still(48, 64, 16), 16)
    error = rgb - rgb_of(differences, pixels, matrix, color_range)
    assert np.abs(error).max() <= 3.1
    other = rgb_of(differences, pixels, BT601 + BT709 - matrix, color_range)
    assert np.abs(rgb - other).max() > 6


def test_frames_called_yuvj_are_of_full_range():
    """1.402 is the weight of V in the red of BT.601 at full range, 1.596 at limited range."""
    residuals = Residuals(subpel=False)
    residuals.start(flat_frame((100, 128, 128), "yuvj420p", color_range=0))
    rgb = residuals(flat_frame((100, 128, 178), "yuvj420p", color_range=0), still(16, 16, 16), 16)
    assert abs(rgb[0, 0, 0] - (128 + 1.402 * 50)) <= 2


def test_without_a_tag_colours_are_those_of_the_frame_itself():
    before, frame = flat_frame((100, 128, 128), matrix=UNTOLD), flat_frame((100, 128, 168), matrix=UNTOLD)
    residuals = Residuals(subpel=False)
    residuals.start(before)
    rgb = residuals(frame, still(16, 16, 16), 16)[0, 0]
    plain = frame.to_ndarray(format="rgb24")[0, 0].astype(int) - before.to_ndarray(format="rgb24")[0, 0]
    assert np.abs(rgb.astype(int) - 128 - plain).max() <= 3


@pytest.mark.parametrize("matrix", [0, 3, 8, 14])
def test_matrices_that_nobody_converts_are_taken_for_untold(matrix):
    residuals = Residuals(subpel=False)
    residuals.start(flat_frame((100, 128, 128), matrix=matrix))
    rgb = residuals(flat_frame((120, 128, 128), matrix=matrix), still(16, 16, 16), 16)
    assert np.abs(rgb - (128 + 20 * 255 / 219)).max() <= 2


@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("pixels", [*SUBSAMPLING, "yuvj420p"])
@pytest.mark.parametrize(("height", "width"), [(32, 48), (17, 21), (1, 1)])
def test_nothing_left_is_grey(height, width, pixels, color_range):
    frame = random_frame(height, width, pixels, color_range=color_range)
    residuals = Residuals(subpel=True)
    residuals.start(frame)
    assert (residuals(frame, still(height, width, 16), 16) == 128).all()


@pytest.mark.parametrize(
    ("color_range", "before", "after", "kept"),
    [
        (FULL, 0, 255, 127),
        (FULL, 255, 0, -128),
        (FULL, 10, 60, 50),
        (LIMITED, 16, 235, 129),
        (LIMITED, 235, 16, -126),
        (LIMITED, 235, 136, -99),
    ],
)
def test_luma_is_clipped_around_grey(color_range, before, after, kept):
    residuals = Residuals(subpel=False)
    residuals.start(flat_frame((before, 128, 128), color_range=color_range))
    rgb = residuals(flat_frame((after, 128, 128), color_range=color_range), still(16, 16, 16), 16)
    stretch = 1 if color_range == FULL else 255 / 219
    assert np.abs(rgb - np.clip(128 + stretch * kept, 0, 255)).max() <= 2


def test_luma_is_clipped_before_the_matrix_is_applied():
    """Red is 128 + 1.164 * -200 + 1.596 * 100 = 55; with Y cut to -126 it is 128 - 147 + 160 = 141."""
    residuals = Residuals(subpel=False)
    residuals.start(flat_frame((220, 128, 100)))
    rgb = residuals(flat_frame((20, 128, 200)), still(16, 16, 16), 16)
    assert np.abs(rgb[..., 0].astype(int) - 141).max() <= 3


@pytest.mark.parametrize("pixels", list(SUBSAMPLING))
def test_extreme_colours_do_not_wrap_around(pixels):
    """FFmpeg's exact converter for 4:4:4 lets sums beyond its range come out at the other end."""
    residuals = Residuals(subpel=False)
    residuals.start(flat_frame((0, 0, 0), pixels))
    assert (residuals(flat_frame((255, 255, 255), pixels), still(16, 16, 16), 16)[..., [0, 2]] == 255).all()
    assert (residuals(flat_frame((0, 0, 0), pixels), still(16, 16, 16), 16)[..., [0, 2]] == 0).all()


def test_each_frame_is_predicted_from_the_one_before():
    frames = [random_frame(32, 32, seed=seed) for seed in range(4)]
    motions = [random_motion(32, 32, 16, seed=seed) for seed in range(4)]
    running, single = Residuals(subpel=False), Residuals(subpel=False)
    running.start(frames[0])
    for before, frame, motion in zip(frames, frames[1:], motions[1:], strict=False):
        single.start(before)
        np.testing.assert_array_equal(running(frame, motion, 16), single(frame, motion, 16))


@pytest.mark.parametrize("pixels", list(SUBSAMPLING))
def test_large_pictures_are_worked_on_in_bands(pixels, monkeypatch):
    before, frame = (random_frame(37, 51, pixels, seed) for seed in (0, 1))
    results = []
    for band in (1 << 18, 700, 1):
        monkeypatch.setattr(residual, "BAND", band)
        results.append(started(before)(frame, random_motion(37, 51, 16), 16))
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(1, 7),
    together=st.integers(1, 4),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    pixels=st.sampled_from(list(SUBSAMPLING)),
    subpel=st.booleans(),
    accumulated=st.booleans(),
    spread=st.sampled_from([0.2, 5]),
)
def test_a_batch_is_what_its_frames_are_one_by_one(
    count, together, size, pixels, subpel, accumulated, spread
):
    frames = [random_frame(*size, pixels, seed) for seed in range(2 * count + 1)]
    motions = np.stack([random_motion(*size, 4, spread, seed) for seed in range(2 * count)])
    batched, single = Residuals(subpel, accumulated), Residuals(subpel, accumulated)
    for residuals in (batched, single):
        residuals.start(frames[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(residual, "BAND", together * size[0] * size[1])
        for first in (0, count):
            part = slice(first, first + count)
            found = batched.batch(frames[1:][part], motions[part], 4)
            expected = [single(*pair, 4) for pair in zip(frames[1:][part], motions[part], strict=True)]
            np.testing.assert_array_equal(found, expected)


def test_frames_of_a_batch_are_alike():
    frames = [random_frame(32, 32, seed=1), random_frame(32, 32, seed=2, matrix=BT709)]
    with pytest.raises(ValueError, match="one colour matrix"):
        started().batch(frames, np.zeros((2, 2, 2, 2), np.float32), 16)
    with pytest.raises(ValueError, match="for 2 frames"):
        started().batch(frames[:1] * 2, np.zeros((1, 2, 2, 2), np.float32), 16)


def test_plane_residuals_do_not_move_on():
    frames = [random_frame(32, 32, seed=seed) for seed in range(2)]
    asked, plain = Residuals(subpel=False), Residuals(subpel=False)
    for residuals in (asked, plain):
        residuals.start(frames[0])
    asked.plane_residuals(frames[1], still(32, 32, 16), 16)
    first = asked.plane_residuals(frames[1], still(32, 32, 16), 16)
    np.testing.assert_array_equal(first[0], plane_views(frames[1])[0].astype(int) - plane_views(frames[0])[0])
    np.testing.assert_array_equal(
        asked(frames[1], still(32, 32, 16), 16), plain(frames[1], still(32, 32, 16), 16)
    )


def test_a_result_outlives_the_next():
    frames = [random_frame(32, 32, seed=seed) for seed in range(3)]
    residuals = Residuals(subpel=False)
    residuals.start(frames[0])
    first = residuals(frames[1], still(32, 32, 16), 16)
    copy = first.copy()
    residuals(frames[2], still(32, 32, 16), 16)
    np.testing.assert_array_equal(first, copy)


@pytest.mark.parametrize("pixels", list(SUBSAMPLING))
def test_accumulated_is_the_sum_of_residuals_met_on_the_way_back(pixels):
    """D_t(i) = D_{t-1}(i - T_t(i)) + residual_t(i): Wu et al. 2018, section 3.2, written as a recursion."""
    height, width, cell = 37, 51, 16
    frames = [random_frame(height, width, pixels, seed) for seed in range(6)]
    accumulated, single = Residuals(False, accumulated=True), Residuals(False)
    accumulated.start(frames[0])
    totals = [np.zeros(plane.shape) for plane in plane_views(frames[0])]
    for number in range(1, 6):
        motion = random_motion(height, width, cell, 4, number)
        single.start(frames[number - 1])
        steps = single.plane_residuals(frames[number], motion, cell)
        traced = looked_up(totals, motion, cell, pixels, 1)
        totals = [before + step for before, step in zip(traced, steps, strict=True)]
        found = accumulated.plane_residuals(frames[number], motion, cell)
        for total, difference in zip(totals, found, strict=True):
            np.testing.assert_array_equal(difference, total)
        accumulated(frames[number], motion, cell)


def test_accumulating_starts_anew_with_an_i_frame():
    frames = [random_frame(32, 32, seed=seed) for seed in range(5)]
    first, second = Residuals(False, accumulated=True), Residuals(False, accumulated=True)
    first.start(frames[0])
    first(frames[1], random_motion(32, 32, 16), 16)
    for residuals in (first, second):
        residuals.start(frames[2])
    for frame in frames[3:]:
        motion = random_motion(32, 32, 16, seed=7)
        np.testing.assert_array_equal(first(frame, motion, 16), second(frame, motion, 16))


def test_carrying_over_a_frame_is_as_a_call_whose_result_nobody_takes():
    rng = np.random.default_rng(5)
    pictures = rng.integers(0, 256, (4, 48, 64, 3), np.uint8)
    frames = [av.VideoFrame.from_ndarray(picture).reformat(format="yuv420p") for picture in pictures]
    grids = rng.normal(0, 3, (4, 3, 4, 2)).astype(np.float32)
    called, carried = Residuals(True, accumulated=True), Residuals(True, accumulated=True)
    for make in (called, carried):
        make.start(frames[0])
    for frame, grid in zip(frames[1:3], grids[1:3], strict=True):
        called(frame, grid, 16)
        carried.carry(grid, 16)
    np.testing.assert_array_equal(called(frames[3], grids[3], 16), carried(frames[3], grids[3], 16))
    with pytest.raises(ValueError, match="start with it"):
        Residuals(True, accumulated=True).carry(grids[0], 16)


def test_accumulated_between_pixels_carries_the_rounded_prediction_on():
    frames = [random_frame(21, 18, seed=seed) for seed in range(4)]
    residuals = Residuals(True, accumulated=True)
    residuals.start(frames[0])
    planes = plane_views(frames[0])
    for number in range(1, 4):
        motion = random_motion(21, 18, 8, 2, number)
        planes = looked_up(planes, motion, 8, "yuv420p", 16)
        residuals(frames[number], motion, 8)
        for prediction, expected in zip(residuals.predictions(), planes, strict=True):
            np.testing.assert_array_equal(prediction, expected)


def test_a_pan_with_known_motion_leaves_little():
    before, frame = (
        av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv444p")
        for pixels in media.pan(2, 64, 64, step=(2.5, -1))
    )
    motion = np.full((4, 4, 2), (2.5, -1), np.float32)
    energies = []
    for displacement in (motion, np.zeros_like(motion)):
        residuals = Residuals(subpel=True)
        residuals.start(before)
        rgb = residuals(frame, displacement, 16)[8:-8, 8:-8]
        energies.append(((rgb.astype(float) - 128) ** 2).mean())
    assert energies[0] < 0.03 * energies[1]


@pytest.mark.skipif(int(av.__version__.split(".")[0]) < 18, reason="older PyAV reads such frames wrongly")
def test_frames_that_filters_turned_upside_down_are_read_upright():
    """Such frames keep their rows in reverse order."""
    upright = random_frame(16, 16, seed=1)
    graph = av.filter.Graph()
    source = graph.add_buffer(width=16, height=16, format=av.VideoFormat("yuv420p"), time_base="1/25")
    graph.link_nodes(source, graph.add("vflip"), graph.add("buffersink")).configure()
    graph.vpush(upright)
    for turned, plane in zip(plane_views(graph.vpull()), plane_views(upright), strict=True):
        np.testing.assert_array_equal(turned, plane[::-1])


def started(frame=None):
    residuals = Residuals(subpel=False)
    residuals.start(frame or random_frame(32, 32))
    return residuals


@pytest.mark.parametrize(
    ("residuals", "frame", "grid", "cell", "message"),
    [
        (Residuals(False), random_frame(32, 32), (2, 2, 2), 16, "start with it"),
        (started(), random_frame(32, 48), (2, 3, 2), 16, "follows one of"),
        (started(), random_frame(32, 32, "yuv444p"), (2, 2, 2), 16, "follows one of"),
        (started(), random_frame(32, 32), (2, 3, 2), 16, r"\(1, 2, 3, 2\)"),
        (started(), random_frame(32, 32), (32, 32, 2), 1, "whole chroma samples"),
        (started(av.VideoFrame(32, 32, "nv12")), random_frame(32, 32), (2, 2, 2), 16, "nv12"),
    ],
)
def test_what_does_not_fit_is_refused(residuals, frame, grid, cell, message):
    with pytest.raises(ValueError, match=message):
        residuals(frame, np.zeros(grid, np.float32), cell)


def test_a_stream_may_change_its_size():
    residuals = started()
    residuals(random_frame(32, 32, seed=1), still(32, 32, 16), 16)
    before, frame = random_frame(18, 20, seed=2), random_frame(18, 20, seed=3)
    residuals.start(before)
    changed = residuals(frame, still(18, 20, 16), 16)
    np.testing.assert_array_equal(changed, started(before)(frame, still(18, 20, 16), 16))
