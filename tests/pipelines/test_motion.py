import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import motion
from pipelines.motion import VECTOR, VectorField, motion_grids, quantised


def vectors(*blocks):
    """Blocks as (left, top, w, h, motion x, motion y, scale, source)."""
    records = np.zeros(len(blocks), VECTOR)
    for record, (left, top, w, h, x, y, scale, source) in zip(records, blocks, strict=True):
        record["w"], record["h"] = w, h
        record["dst_x"], record["dst_y"] = left + w // 2, top + h // 2
        record["motion_x"], record["motion_y"], record["motion_scale"] = x, y, scale
        record["source"] = source
    return records


def native_grid(records, height, width, back=1, ahead=0, cell=16):
    return motion_grids([VectorField(records.tobytes(), height, width, back, ahead)], cell)[0]


def test_side_data_that_pyav_does_not_know_hides_the_vectors(monkeypatch):
    def unknown(frame):
        raise ValueError("99 is not a valid Type")

    monkeypatch.setattr(motion, "SideDataContainer", unknown)
    assert motion.vector_bytes(object()) == b""


def test_the_record_is_as_long_as_ffmpegs():
    assert VECTOR.itemsize == 40


def test_displacement_is_minus_motion_over_scale():
    grid = native_grid(vectors((16, 0, 16, 16, -6, 8, 4, -1)), 32, 48)
    assert grid.shape == (2, 3, 2)
    assert grid.dtype == np.float32
    assert grid[0, 1].tolist() == [1.5, -2.0]
    assert np.count_nonzero(grid) == 2  # holes are 0


def test_blocks_weigh_by_their_area():
    halves = vectors((0, 0, 16, 8, -4, 0, 1, -1), (0, 8, 8, 8, 0, 0, 1, -1), (8, 8, 8, 8, -8, -8, 1, -1))
    assert native_grid(halves, 16, 16)[0, 0].tolist() == [4 / 2 + 8 / 4, 8 / 4]


def test_a_cell_half_covered_takes_the_mean_of_what_is_covered():
    assert native_grid(vectors((0, 0, 16, 8, -4, 2, 1, -1)), 16, 16)[0, 0].tolist() == [4, -2]


def test_vectors_are_divided_by_their_distance_and_future_ones_turned_round():
    both = vectors((0, 0, 16, 16, -8, 4, 2, -1), (0, 0, 16, 16, 12, -6, 2, 1))
    assert native_grid(both[:1], 16, 16, back=2)[0, 0].tolist() == [2, -1]
    assert native_grid(both[1:], 16, 16, back=1, ahead=3)[0, 0].tolist() == [2, -1]
    assert native_grid(both, 16, 16, back=1, ahead=3)[0, 0].tolist() == [3, -1.5]
    assert native_grid(both, 16, 16, back=2, ahead=0)[0, 0].tolist() == [2, -1]


def test_edge_blocks_and_odd_records_stay_in_the_grid():
    grid = native_grid(vectors((48, 16, 16, 16, -2, 0, 0, -1), (64, 32, 16, 16, -2, 0, 1, -1)), 20, 50)
    assert grid.shape == (2, 4, 2)
    assert grid[1, 3].tolist() == [2, 0]
    assert native_grid(vectors(), 20, 50).shape == (2, 4, 2)


blocks = st.tuples(
    st.integers(0, 4),
    st.integers(0, 3),
    st.sampled_from([(0, 0, 16, 16), (0, 8, 16, 8), (8, 0, 8, 16), (8, 8, 8, 8), (0, 0, 8, 8)]),
    st.integers(-64, 64),
    st.integers(-64, 64),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([-1, 1]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(blocks, max_size=40), st.integers(1, 3), st.integers(1, 3), st.sampled_from([8, 16]))
def test_grids_equal_pixel_counting(drawn, back, ahead, cell):
    height, width = 61, 75
    records, total, count = [], np.zeros((64, 80, 2)), np.zeros((64, 80))
    for column, row, (left, top, w, h), x, y, scale, source in drawn:
        left, top = 16 * column + left, 16 * row + top
        records.append((left, top, w, h, x, y, scale, source))
        moved = np.array([-x, -y]) / scale / back if source < 0 else np.array([x, y]) / scale / ahead
        total[top : top + h, left : left + w] += moved
        count[top : top + h, left : left + w] += 1
    rows, columns = 64 // cell, 80 // cell
    cells = total.reshape(rows, cell, columns, cell, 2).sum((1, 3))
    covered = np.maximum(count.reshape(rows, cell, columns, cell).sum((1, 3)), 1)[..., None]
    grid = native_grid(vectors(*records), height, width, back, ahead, cell)
    np.testing.assert_allclose(
        grid, (cells / covered)[: -(-height // cell), : -(-width // cell)], rtol=1e-5, atol=1e-5
    )


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.lists(blocks, max_size=9), st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=5
    )
)
def test_many_frames_at_once_are_as_one_by_one(frames):
    fields = []
    for drawn, back, ahead in frames:
        records = [
            (16 * column + left, 16 * row + top, w, h, x, y, scale, source)
            for column, row, (left, top, w, h), x, y, scale, source in drawn
        ]
        fields.append(VectorField(vectors(*records).tobytes(), 61, 75, back, ahead))
    together = motion_grids(fields)
    assert together.dtype == np.float32
    for field, grid in zip(fields, together, strict=True):
        np.testing.assert_array_equal(motion_grids([field])[0], grid)


def test_no_vectors_give_zeros():
    assert not motion_grids([VectorField(b"", 33, 17)] * 2).any()
    assert motion_grids([VectorField(b"", 33, 17)] * 2).shape == (2, 3, 2, 2)


def test_vectors_beyond_the_picture_count_for_the_nearest_cell():
    assert native_grid(vectors((-32, 64, 16, 16, -4, 0, 1, -1)), 32, 32)[1, 0].tolist() == [4, 0]


def test_quantised_rounds_and_clips():
    values = quantised(np.array([0.5, -1.03, 0.031, 0.032, 5000, -5000], np.float32))
    assert values.dtype == np.int16
    assert values.tolist() == [8, -16, 0, 1, 32767, -32768]
