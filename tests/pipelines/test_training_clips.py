"""Clips for the classifier: what an epoch holds, in which order, and how clips are changed."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from pipelines import training_clips
from pipelines.errors import UserError
from pipelines.prepare import prepare
from pipelines.settings import FeatureSettings
from pipelines.training_clips import TrainingClips, augmented, mixed
from tests import media

SETTINGS = FeatureSettings(
    clip_frames=4, clip_step=1, canvas=32, md_frames=0, residual_frames=2, residual_size=16, iframe_size=16
)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Four videos; each of their clips differs from all others."""
    folder = tmp_path_factory.mktemp("clips")
    for number, (label, frames) in enumerate(zip("bcaa", (40, 24, 40, 12), strict=True)):
        media.write_video(folder / f"{label}{number}.mp4", media.noise(frames, seed=number))
    lines = ["path,label,split", *(f"{name}.mp4,{name[0]},train" for name in ("b0", "c1", "a2", "a3")), ""]
    (folder / "m.csv").write_text("\n".join(lines))
    return prepare(folder / "m.csv", folder / "out", SETTINGS, workers=0, quiet=True)


def training(index, seed=0, cache=False, videos=None, count=2, batch=8, **changes):
    return TrainingClips(
        index, videos or index.videos, resize=24, clips_per_video=count, batch=batch, seed=seed, cache=cache,
        **changes,
    )  # fmt: skip


def epochs(clips: TrainingClips, count=2, first=0):
    """The clips and labels of epochs, each in one array."""
    size = clips.steps * clips.batch
    shown = list(clips.clips(first).take(count * size).as_numpy_iterator())
    parts = [shown[number * size : (number + 1) * size] for number in range(count)]
    return [(np.stack([clip for clip, _ in part]), [int(label) for _, label in part]) for part in parts]


def test_an_epoch_has_the_clips_of_every_video(index):
    ((clips, labels),) = epochs(training(index), 1)
    assert training(index).clips().element_spec[0].shape == (4, 24, 24, 3)
    assert (clips.dtype, clips.shape) == (np.uint8, (8, 4, 24, 24, 3))
    assert sorted(labels) == [0, 0, 0, 0, 1, 1, 2, 2]


def as_set(clips):
    return {clip.tobytes() for clip in clips}


def test_fresh_clips_every_epoch_unless_cached(index):
    (first, _), (second, _) = epochs(training(index))
    assert as_set(first) != as_set(second)
    (again, _), (twice, _) = epochs(training(index))
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(twice, second)
    (kept, _), (used, _) = epochs(training(index, cache=True))
    assert as_set(kept) == as_set(used) == as_set(first)
    assert not np.array_equal(kept, used)  # in another order
    ((other, _),) = epochs(training(index, seed=1), 1)
    assert not np.array_equal(other, first)


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("batch", [3, 8, 20])
def test_later_epochs_are_the_same_without_those_before(index, cache, batch):
    whole = epochs(training(index, cache=cache, batch=batch), 4)
    later = epochs(training(index, cache=cache, batch=batch), 2, first=2)
    for (clips, labels), (same, known) in zip(whole[2:], later, strict=True):
        np.testing.assert_array_equal(clips, same)
        assert labels == known
    assert training(index, batch=batch).steps == {3: 2, 8: 1, 20: 1}[batch]


def test_workers_change_nothing(index):
    ((alone, _),) = epochs(training(index), 1)
    ((shared, _),) = epochs(training(index, workers=1), 1)
    np.testing.assert_array_equal(alone, shared)


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize(("batch", "workers"), [(4, 2), (8, 2), (6, 3), (12, 2)])
def test_workers_shares_are_the_batches_of_one(index, cache, batch, workers):
    """With 12, more than an epoch's clips, some workers have none in the first round."""
    whole = training(index, batch=batch, cache=cache)
    own, size = batch // workers, whole.steps * batch
    shown = list(whole.clips(1).take(2 * size).as_numpy_iterator())
    for worker in range(workers):
        part = training(index, batch=batch, cache=cache)
        share = list(part.clips(1, (worker, workers)).take(2 * size // workers).as_numpy_iterator())
        numbers = list(part.numbers(1, (worker, workers)).take(len(share)).as_numpy_iterator())
        expected = [
            size + step * batch + worker * own + at for step in range(2 * size // batch) for at in range(own)
        ]
        assert numbers == expected
        for number, (clip, label) in zip(numbers, share, strict=True):
            np.testing.assert_array_equal(clip, shown[number - size][0])
            assert label == shown[number - size][1]
        names = [video.video_id for video in whole.batch_videos(1, 0)[worker * own : (worker + 1) * own]]
        assert [video.video_id for video in part.batch_videos(1, 0)] == names


def test_a_worker_decodes_its_own_clips_alone(index, monkeypatch):
    decoded = []
    plain = training_clips.run_jobs

    def counted(work, jobs, *options, **more):
        for job, clips in plain(work, jobs, *options, **more):
            decoded.append(len(job.wanted))
            yield job, clips

    monkeypatch.setattr(training_clips, "run_jobs", counted)
    list(training(index, batch=8).clips(0, (1, 2)).take(4))  # of an epoch of eight
    assert sum(decoded) == 4


def test_after_closing_there_are_no_clips_and_no_processes(index):
    clips = training(index, workers=1)
    shown = iter(clips.clips())
    next(shown)
    pool = clips._pool
    clips.close()
    assert pool.ended
    assert clips._pool is None
    with pytest.raises(tf.errors.OpError):
        list(itertools.islice(shown, 1000))
    assert clips._pool is None


def test_a_worker_whose_videos_are_gone_goes_on_with_others(index, capsys):
    gone = replace(index.videos[0], path="/nowhere/gone.mp4")
    for worker in range(2):
        clips = training(index, videos=[gone, *index.videos[1:]])
        labels = [int(label) for _, label in clips.clips(0, (worker, 2)).take(12).as_numpy_iterator()]
        assert len(labels) == 12
    assert "left out: /nowhere/gone.mp4" in capsys.readouterr().out


def test_a_video_that_is_gone_is_left_out(index, capsys):
    gone = replace(index.videos[0], path="/nowhere/gone.mp4")
    clips = training(index, videos=[gone, *index.videos[1:]])
    ((_, labels),) = epochs(clips, 1)
    videos = clips.batch_videos(0, 0)
    assert labels == [index.label_id(video) for video in videos]
    assert all(videos.count(video) >= 2 for video in index.videos[1:])
    assert len(videos) == 8  # two clips come again
    assert gone not in videos
    assert "left out: /nowhere/gone.mp4" in capsys.readouterr().out


def test_the_videos_of_a_batch_are_those_of_its_clips(index):
    clips = training(index, batch=3, cache=True)
    shown = [label for _, labels in epochs(clips, 3) for label in labels]
    for number in range(6):
        videos = clips.batch_videos(*divmod(number, 2))
        assert [index.label_id(video) for video in videos] == shown[3 * number : 3 * number + 3]


def test_without_any_video_left_training_ends_with_a_sentence(index, capsys):
    clips = training(index, videos=[replace(index.videos[0], path="/nowhere/gone.mp4")])
    with pytest.raises(tf.errors.OpError, match="none of the train videos can be decoded"):
        next(iter(clips.clips()))
    assert isinstance(clips.failure, UserError)
    assert "gone.mp4" in capsys.readouterr().out


def test_what_was_drawn_long_ago_is_forgotten(index, monkeypatch):
    monkeypatch.setattr("pipelines.training_clips.REMEMBERED", 20)
    clips = training(index, cache=True)
    epochs(clips, 10)
    assert len(clips._drawn) <= 5
    assert clips.batch_videos(0, 0) == []
    assert len(clips.batch_videos(9, 0)) == 8


def test_items_are_mixed_within_the_room_there_is():
    def order(room, seed=0):
        return list(mixed(range(100), room, np.random.default_rng(seed)))

    assert sorted(order(10)) == list(range(100))
    assert order(0) == list(range(100))
    assert all(item <= place + 10 for place, item in enumerate(order(10)))
    assert order(10) == order(10) != order(10, seed=1)
    firsts = {order(100, seed)[0] for seed in range(30)}
    assert max(firsts) > 60


def listed(data):
    clips, labels = zip(*data.as_numpy_iterator(), strict=True)
    return np.stack(clips), list(labels)


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
    for clip, label in augmented(numbered().repeat(), 6, True, seed=1).take(120).as_numpy_iterator():
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
    plain = listed(augmented(numbered().repeat(), 8, True, 3).take(12))
    coloured = listed(augmented(numbered().repeat(), 8, True, 3, colour=0.5).take(12))
    resized = listed(augmented(numbered().repeat(), 6, False, 3, least_area=0.3).take(12))
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


def test_changes_follow_the_seed_and_the_number_of_the_clip():
    def taken(seed, flip=False, first=0):
        numbers = tf.data.Dataset.counter(first)
        return listed(augmented(numbered().repeat(), 6, flip, seed, numbers=numbers).take(18))

    np.testing.assert_array_equal(taken(1)[0], taken(1)[0])
    assert not np.array_equal(taken(1)[0], taken(2)[0])
    np.testing.assert_array_equal(taken(1, first=6)[0][:12], taken(1)[0][6:])
    clips, _ = taken(4)
    assert (np.diff(clips[..., 0], axis=3) == 1).all()  # nothing is mirrored without `flip`
