import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.datasets import batch_videos, epoch_order, feature_clips, sampler_videos
from pipelines.jitter import Jitter
from pipelines.prepare import prepare
from pipelines.records import parse
from pipelines.settings import FeatureSettings
from pipelines.unpack import unpack_features
from tests import media

SETTINGS = FeatureSettings(
    clip_frames=4, clip_step=1, canvas=32, md_frames=0, residual_frames=2, residual_size=16, iframe_size=16
)
SHAPES = {"md": (4, 2, 2, 2), "rgb_r": (2, 16, 16, 3), "log_mel": (1, 40, 200, 1)}
N = 5  # clips a video; the short one has only three


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    sound = media.tone(40 / 25)
    media.write_video(folder / "long.mp4", media.noise(40, seed=1), sound=sound)
    media.write_video(folder / "short.mp4", media.noise(12, seed=2), sound=sound)
    media.write_video(folder / "mute.mp4", media.noise(24, seed=3))
    media.write_video(folder / "half.mp4", media.noise(40, seed=4), sound=sound[: len(sound) // 2])
    lines = ["path,label,split", "long.mp4,b,train", "short.mp4,a,train", "mute.mp4,c,train"]
    (folder / "m.csv").write_text("\n".join([*lines, "half.mp4,a,val", ""]))
    return prepare(folder / "m.csv", folder / "out", SETTINGS, workers=0, quiet=True)


def fields(index, video, field):
    """Frames `[L, P, ...]` and mask `[L, P]` of a video, read without the data sets under test."""
    records = tf.data.TFRecordDataset(index.shard_path(video))
    packed = tf.stack([parse(serialized, (field,))[field] for serialized in records])
    return [part.numpy() for part in unpack_features(field, packed, index.settings)]


def scores(index):
    """A different true score for every clip of every video."""
    return [place + np.arange(video.clips) / 100 for place, video in enumerate(index.videos)]


def batches(index, field, count, seed=3, batch=2):
    data = sampler_videos(
        index, index.videos, field, scores(index), clips_per_video=N, batch=batch, seed=seed
    )
    return list(data.take(count).as_numpy_iterator())


@pytest.mark.parametrize("field", SHAPES)
def test_sampler_inputs_have_known_shapes(index, field):
    data = sampler_videos(index, index.videos, field, scores(index), clips_per_video=N, batch=2, seed=0)
    inputs, target = data.element_spec
    assert inputs["frames"].shape == (2, N, *SHAPES[field])
    assert inputs["frame_mask"].shape == (2, N, SHAPES[field][0])
    assert target.shape == (2, N, 3)


@pytest.mark.parametrize("field", SHAPES)
def test_each_clip_stands_beside_its_own_score_and_label(index, field):
    expected = [fields(index, video, field) for video in index.videos]
    seen = set()
    for inputs, target in batches(index, field, 12):
        for frames, mask, rows in zip(inputs["frames"], inputs["frame_mask"], target, strict=True):
            place = int(rows[0, 1])
            video = index.videos[place]
            count = min(N, video.clips)
            assert (rows[:, 0] == index.label_id(video)).all()
            clips = np.rint((rows[:count, 1] - place) * 100).astype(int)
            assert (np.diff(clips) > 0).all()  # no clip twice, in order
            np.testing.assert_array_equal(frames[:count], expected[place][0][clips])
            np.testing.assert_array_equal(mask[:count], expected[place][1][clips])
            np.testing.assert_array_equal(rows[:count, 2], expected[place][1][clips].any(axis=1))
            assert not frames[count:].any()
            assert not mask[count:].any()
            assert not rows[count:, 1:].any()
            seen |= {(place, clip) for clip in clips}
    assert seen == {(place, clip) for place, video in enumerate(index.videos) for clip in range(video.clips)}


def test_clips_without_sound_do_not_count(index):
    counted = {place: set() for place in range(4)}
    for inputs, target in batches(index, "log_mel", 12):
        for mask, rows in zip(inputs["frame_mask"], target, strict=True):
            np.testing.assert_array_equal(mask.any(axis=1), rows[:, 2] == 1)
            counted[int(rows[0, 1])] |= set(np.rint(100 * (rows[rows[:, 2] == 1, 1] % 1)).astype(int))
    assert counted == {0: set(range(10)), 1: set(range(3)), 2: set(), 3: set(range(5))}


def test_several_fields_are_those_of_the_same_clips(index):
    together = batches(index, ("md", "log_mel"), 12)
    assert set(together[0][0]) == {"md_frames", "md_mask", "log_mel_frames", "log_mel_mask"}
    alone = {field: batches(index, field, 12) for field in ("md", "log_mel")}
    silent = 0
    for number, (inputs, target) in enumerate(together):
        counts = [alone[field][number][1][..., 2] for field in alone]
        for field, known in alone.items():
            expected, own = known[number]
            np.testing.assert_array_equal(inputs[f"{field}_frames"], expected["frames"])
            np.testing.assert_array_equal(inputs[f"{field}_mask"], expected["frame_mask"])
            np.testing.assert_array_equal(target[..., :2], own[..., :2])
        np.testing.assert_array_equal(target[..., 2], np.maximum(*counts))
        silent += (counts[0] > counts[1]).sum()
    assert silent  # clips that are seen though not heard count


def test_several_fields_have_known_shapes(index):
    data = sampler_videos(
        index, index.videos, tuple(SHAPES), scores(index), clips_per_video=N, batch=2, seed=0
    )
    inputs, target = data.element_spec
    for field, shape in SHAPES.items():
        assert inputs[f"{field}_frames"].shape == (2, N, *shape)
        assert inputs[f"{field}_mask"].shape == (2, N, shape[0])
    assert target.shape == (2, N, 3)


def test_the_seed_decides_what_is_drawn(index):
    def draws(seed):
        return [target for _, target in batches(index, "md", 6, seed)]

    np.testing.assert_array_equal(draws(1), draws(1))
    assert not np.array_equal(draws(1), draws(2))
    first, second = np.concatenate(draws(1))[:4], np.concatenate(draws(1))[4:8]
    assert {int(rows[0, 1]) for rows in first} == {int(rows[0, 1]) for rows in second} == {0, 1, 2, 3}
    assert not np.array_equal(np.sort(first, axis=0), np.sort(second, axis=0))  # other clips every time round


def test_an_epoch_takes_everything_in_an_order_of_its_own():
    orders = [epoch_order(7, 6, 1, epoch).numpy() for epoch in range(20)]
    assert all(len(set(order)) == 6 and set(order) <= set(range(7)) for order in orders)
    assert set(np.concatenate(orders)) == set(range(7))
    assert len({tuple(order) for order in orders}) > 15
    np.testing.assert_array_equal(epoch_order(7, 6, 1, tf.constant(3, tf.int64)), orders[3])
    assert not np.array_equal(epoch_order(7, 6, 2, 3), orders[3])
    few = epoch_order(2, 5, 1, 0).numpy()  # fewer things than a batch takes
    assert sorted(few[:2]) == sorted(few[2:4]) == [0, 1]


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_later_epochs_are_the_same_without_those_before(index, batch):
    def data(first):
        options = {"clips_per_video": N, "batch": batch, "seed": 3, "first_epoch": first}
        return sampler_videos(index, index.videos, "md", scores(index), **options)

    steps = 4 // batch
    whole = list(data(0).take(4 * steps).as_numpy_iterator())
    later = list(data(2).take(2 * steps).as_numpy_iterator())
    for (inputs, target), (same, again) in zip(whole[2 * steps :], later, strict=True):
        np.testing.assert_array_equal(target, again)
        np.testing.assert_array_equal(inputs["frames"], same["frames"])
    for number, (_, target) in enumerate(whole):
        named = batch_videos(index.videos, batch, 3, *divmod(number, steps))
        assert named == [index.videos[int(rows[0, 1])] for rows in target]


@st.composite
def splits(draw):
    """(videos a yield, yields a worker and step, workers)"""
    return tuple(draw(st.integers(1, most)) for most in (2, 2, 3))


@settings(max_examples=12, deadline=None)
@given(splits(), st.integers(0, 2), st.integers(0, 9))
def test_workers_together_see_the_batches_of_one(index, split, first, seed):
    together, yields, workers = split
    batch = together * yields * workers
    steps = 2
    options = {"clips_per_video": N, "batch": batch, "seed": seed, "first_epoch": first}

    def taken(count, **more):
        data = sampler_videos(index, index.videos, "md", scores(index), **options, **more)
        return list(data.take(count).as_numpy_iterator())

    shares = [
        taken(steps * yields, shard=(worker, workers), replica_batch=together) for worker in range(workers)
    ]
    for step, (inputs, target) in enumerate(taken(steps)):
        parts = [part for share in shares for part in share[step * yields : (step + 1) * yields]]
        assert all(len(rows) == together for _, rows in parts)
        np.testing.assert_array_equal(target, np.concatenate([rows for _, rows in parts]))
        for name, expected in inputs.items():
            np.testing.assert_array_equal(expected, np.concatenate([there[name] for there, _ in parts]))


def test_a_worker_takes_its_whole_share_at_once_unless_told(index):
    options = {"clips_per_video": N, "batch": 4, "seed": 0}
    data = sampler_videos(index, index.videos, "md", scores(index), **options, shard=(1, 2))
    assert data.element_spec[1].shape == (2, N, 3)


@pytest.mark.parametrize(
    ("shard", "together"), [((0, 3), None), ((2, 2), None), ((-1, 2), None), ((0, 2), 3), ((0, 1), 0)]
)
def test_uneven_shares_are_refused(index, shard, together):
    options = {"clips_per_video": N, "batch": 4, "seed": 0, "shard": shard, "replica_batch": together}
    with pytest.raises(ValueError, match=r"share|at a time"):
        sampler_videos(index, index.videos, "md", scores(index), **options)


@pytest.mark.parametrize("field", SHAPES)
def test_jitter_changes_the_frames_alone_and_follows_seed_and_number(index, field):
    def data(**more):
        options = {"clips_per_video": N, "batch": 2, "seed": 3, "jitter": Jitter(0.3, True, 0.5), **more}
        made = sampler_videos(index, index.videos, field, scores(index), **options)
        return list(made.take(4).as_numpy_iterator())

    plain, changed, again = data(jitter=Jitter()), data(), data()
    later, own = data(first_epoch=1), data(shard=(1, 2))
    different = 0
    for number, (inputs, target) in enumerate(changed):
        before, same = plain[number][0], again[number][0]
        np.testing.assert_array_equal(target, plain[number][1])
        np.testing.assert_array_equal(inputs["frame_mask"], before["frame_mask"])
        np.testing.assert_array_equal(inputs["frames"], same["frames"])
        assert not inputs["frames"][~inputs["frame_mask"]].any()
        np.testing.assert_array_equal(inputs["frames"][1:], own[number][0]["frames"])
        if number >= 2:
            np.testing.assert_array_equal(inputs["frames"], later[number - 2][0]["frames"])
        different += not np.array_equal(inputs["frames"], before["frames"])
    assert different >= 3


@pytest.mark.parametrize("field", SHAPES)
def test_all_clips_of_a_video_in_order(index, field):
    for video in index.videos:
        parts = list(feature_clips(index, video, field, batch=4).as_numpy_iterator())
        assert [len(frames) for frames, _ in parts] == [4] * (video.clips // 4) + (
            [video.clips % 4] if video.clips % 4 else []
        )
        for part, expected in zip(zip(*parts, strict=True), fields(index, video, field), strict=True):
            np.testing.assert_array_equal(np.concatenate(part), expected)
