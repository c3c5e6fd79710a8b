from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from pipelines.datasets import augmented, feature_clips, sampler_videos, training_clips
from pipelines.prepare import prepare
from pipelines.records import parse
from pipelines.settings import FeatureSettings
from pipelines.unpack import unpack_features
from tests import media

SETTINGS = FeatureSettings(
    clip_frames=4, clip_step=1, canvas=32, residual_frames=2, residual_size=16, iframe_size=16
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


@pytest.mark.parametrize("field", SHAPES)
def test_all_clips_of_a_video_in_order(index, field):
    for video in index.videos:
        parts = list(feature_clips(index, video, field, batch=4).as_numpy_iterator())
        assert [len(frames) for frames, _ in parts] == [4] * (video.clips // 4) + (
            [video.clips % 4] if video.clips % 4 else []
        )
        for part, expected in zip(zip(*parts, strict=True), fields(index, video, field), strict=True):
            np.testing.assert_array_equal(np.concatenate(part), expected)


def training(index, seed=0, cache=False, videos=None, count=2):
    return training_clips(
        index, videos or index.videos, resize=24, clips_per_video=count, inside_action=False, workers=0,
        seed=seed, cache=cache,
    )  # fmt: skip


def listed(data):
    clips, labels = zip(*data.as_numpy_iterator(), strict=True)
    return np.stack(clips), list(labels)


def test_training_clips_of_one_epoch(index):
    data = training(index)
    assert data.element_spec[0].shape == (4, 24, 24, 3)
    clips, labels = listed(data)
    assert (clips.dtype, clips.shape) == (np.uint8, (8, 4, 24, 24, 3))
    assert sorted(labels) == [0, 0, 0, 0, 1, 1, 2, 2]


def test_fresh_clips_every_epoch_unless_cached(index):
    data = training(index)
    first, second = listed(data), listed(data)
    assert not np.array_equal(first[0], second[0])
    again = training(index)
    np.testing.assert_array_equal(listed(again)[0], first[0])
    np.testing.assert_array_equal(listed(again)[0], second[0])
    cached = training(index, cache=True)
    np.testing.assert_array_equal(listed(cached)[0], listed(cached)[0])
    assert not np.array_equal(listed(training(index, seed=1))[0], first[0])


def test_a_video_that_is_gone_is_left_out(index, capsys):
    gone = replace(index.videos[0], path="/nowhere/gone.mp4")
    _, labels = listed(training(index, videos=[gone, *index.videos[1:]]))
    assert sorted(labels) == [0, 0, 0, 0, 2, 2]
    assert "left out: /nowhere/gone.mp4" in capsys.readouterr().out


def numbered(count=6):
    """Clips `[3, 8, 8, 3]` whose three channels number the pixel, the picture and the clip."""
    y, x = np.mgrid[:8, :8]
    clips = np.zeros((count, 3, 8, 8, 3), np.uint8)
    clips[..., 0] = 8 * y + x
    clips[..., 1] = np.arange(3)[None, :, None, None]
    clips[..., 2] = np.arange(count)[:, None, None, None]
    return tf.data.Dataset.from_tensor_slices((clips, np.arange(count)))


def test_augmented_clips_are_cut_alike_in_all_their_pictures():
    seen = set()
    for clip, label in augmented(numbered(), 6, True, seed=1).take(120).as_numpy_iterator():
        assert (clip.dtype, clip.shape) == (np.float32, (3, 6, 6, 3))
        assert (clip[..., 2] == label).all()
        assert (clip[:, :, :, 1] == np.arange(3)[:, None, None]).all()
        np.testing.assert_array_equal(clip[0, ..., 0], clip[1, ..., 0])
        np.testing.assert_array_equal(clip[0, ..., 0], clip[2, ..., 0])
        right = clip[0, 0, 1, 0] - clip[0, 0, 0, 0]
        y, x = divmod(int(clip[0, 0, 0 if right > 0 else -1, 0]), 8)
        np.testing.assert_array_equal(
            clip[0, :, :: int(right), 0], 8 * np.arange(y, y + 6)[:, None] + np.arange(x, x + 6)
        )
        seen.add((y, x, right))
    assert seen == {(y, x, right) for y in range(3) for x in range(3) for right in (1, -1)}


def test_resized_crops_and_colours_are_asked_for_one_by_one():
    """The mirror image of a clip is the same whatever else is drawn; the pictures change alike."""
    plain = listed(augmented(numbered(), 8, True, 3).take(12))
    coloured = listed(augmented(numbered(), 8, True, 3, colour=0.5).take(12))
    resized = listed(augmented(numbered(), 6, False, 3, least_area=0.3).take(12))
    np.testing.assert_array_equal(plain[1], coloured[1])
    assert plain[0].shape == coloured[0].shape == (12, 3, 8, 8, 3)
    assert resized[0].shape == (12, 3, 6, 6, 3)
    rising = np.diff(plain[0][:, :, :, :, 0], axis=3).mean(axis=(1, 2, 3)) > 0
    assert ((np.diff(coloured[0][:, 0, :, :, 0], axis=2).mean(axis=(1, 2)) > 0) == rising).all()
    assert 0 < rising.sum() < 12
    assert not np.array_equal(plain[0], coloured[0])
    np.testing.assert_array_equal(resized[0][:, 0, ..., 0], resized[0][:, 2, ..., 0])
    steps = np.diff(resized[0][:, 0, :, :, 0], axis=2)[:, :, 2]
    assert (steps > 0.3).all()  # a window is enlarged or left, never mirrored
    assert (steps < 1.4).all()


def test_augmentation_follows_its_seed_and_never_ends():
    def taken(seed, flip=False):
        return listed(augmented(numbered(), 6, flip, seed).take(18))

    np.testing.assert_array_equal(taken(1)[0], taken(1)[0])
    assert not np.array_equal(taken(1)[0], taken(2)[0])
    assert sorted(taken(1)[1]) == sorted(list(range(6)) * 3)
    clips, _ = taken(4)
    assert (np.diff(clips[..., 0], axis=3) == 1).all()  # nothing is mirrored without `flip`
