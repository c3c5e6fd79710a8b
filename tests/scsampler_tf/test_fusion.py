import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf import fusion, selection

LIST_SCHEMES = ("audio", "convex_list", "intersect_list", "union_list")
# Visual list: clips 0 1 2 3 4 5; audio list: clips 5 3 1 0 2 4.
VISUAL = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]], "float32")
AUDIO = np.array([[0.3, 0.5, 0.2, 0.7, 0.1, 0.8]], "float32")
ALL = np.ones((1, 6), bool)


def fuse(scheme, visual=VISUAL, audio=AUDIO, mask=ALL, has_audio=None, alpha=0.8, k_prime=2):
    has_audio = mask if has_audio is None else has_audio
    return np.asarray(fusion.fuse(scheme, visual, audio, mask, has_audio, alpha=alpha, k_prime=k_prime))


def listed(scheme, **arguments):
    scores = fuse(scheme, **arguments)
    return list(np.asarray(selection.top_k(scores, arguments.get("mask", ALL), scores.shape[1]))[0])


def test_single_samplers():
    np.testing.assert_array_equal(fuse("visual"), VISUAL)
    assert listed("audio") == [5, 3, 1, 0, 2, 4]


def test_convex_score_and_joint():
    np.testing.assert_allclose(fuse("convex_score", alpha=0.8), 0.8 * VISUAL + 0.2 * AUDIO, rtol=1e-6)
    np.testing.assert_allclose(fuse("joint"), (VISUAL + AUDIO) / 2, rtol=1e-6)


def test_convex_list():
    # Thirds, 2 by eye + 1 by ear: clip 0: 0 + 3, 1: 2 + 2, 2: 4 + 4, 3: 6 + 1, 4: 8 + 5, 5: 10 + 0.
    assert listed("convex_list", alpha=2 / 3) == [0, 1, 3, 2, 5, 4]
    assert listed("convex_list", alpha=1.0) == [0, 1, 2, 3, 4, 5]
    assert listed("convex_list", alpha=0.0) == [5, 3, 1, 0, 2, 4]


def test_convex_list_equal_averages_go_to_the_earlier_clip():
    # alpha 0.8: clip 1 has 0.8 * 1 + 0.2 * 6, clip 6 has 0.8 * 2 + 0.2 * 2: both exactly 2.
    visual_list, audio_list = [0, 1, 6, 2, 3, 4, 5], [0, 2, 6, 3, 4, 5, 1]
    visual, audio = -np.argsort([visual_list, audio_list])[:, None].astype("float32")
    order = listed("convex_list", visual=visual, audio=audio, mask=np.ones((1, 7), bool))
    assert order.index(6) == order.index(1) + 1


def test_intersect_list():
    # Larger rank: 0: 3, 1: 2, 2: 4, 3: 3, 4: 5, 5: 5; clips 0 and 3, 4 and 5 come in the same step,
    # the one higher in the visual list first.
    assert listed("intersect_list") == [1, 0, 3, 2, 4, 5]


def test_union_list():
    assert listed("union_list", k_prime=2) == [0, 1, 5, 3, 2, 4]
    assert listed("union_list", k_prime=0) == [5, 3, 1, 0, 2, 4]
    assert listed("union_list", k_prime=6) == listed("union_list", k_prime=99) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("scheme", LIST_SCHEMES)
def test_list_schemes_score_positions(scheme):
    mask = np.array([[True] * 5 + [False]])
    scores = fuse(scheme, mask=mask)
    np.testing.assert_allclose(np.sort(scores[mask])[::-1], np.array([5, 4, 3, 2, 1]) / 5, rtol=1e-6)
    assert scores[0, 5] == 0


@pytest.mark.parametrize("scheme", fusion.SCHEMES)
def test_a_video_without_sound_is_ranked_by_eye(scheme):
    visual, mask = np.array([[0.2, 0.9, 0.9, 0.5]], "float32"), np.array([[True, True, True, True]])
    audio = np.full((1, 4), np.nan, "float32")
    silent = np.zeros((1, 4), bool)
    order = listed(scheme, visual=visual, audio=audio, mask=mask, has_audio=silent, alpha=0.3, k_prime=1)
    assert order == [1, 2, 3, 0]
    scores = fuse(scheme, visual=visual, audio=audio, mask=mask, has_audio=silent, alpha=0.3)
    if scheme not in LIST_SCHEMES:
        np.testing.assert_array_equal(scores, visual)


@pytest.mark.parametrize("scheme", fusion.SCHEMES)
def test_sound_outside_the_mask_is_no_sound(scheme):
    visual = np.array([[0.2, 0.9, 0.5]], "float32")
    mask = np.array([[True, True, False]])
    scores = fuse(scheme, visual=visual, audio=visual, mask=mask, has_audio=~mask)
    assert list(np.asarray(selection.top_k(scores, mask, 3))[0]) == [1, 0, -1]


def test_silent_clips_of_a_video_with_sound():
    has_audio = np.array([[True, False, True, False, True, True]])
    # They end the audio list in the order of the visual list.
    assert listed("audio", has_audio=has_audio) == [5, 0, 2, 4, 1, 3]
    # Where scores are mixed they get the lowest heard score, here 0.1 of clip 4.
    expected = 0.5 * VISUAL + 0.5 * np.where(has_audio, AUDIO, 0.1)
    np.testing.assert_allclose(fuse("joint", has_audio=has_audio), expected, rtol=1e-6)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="scheme 'average' is none of visual"):
        fuse("average")
    for scheme in ("convex_score", "convex_list"):
        with pytest.raises(ValueError, match=r"alpha is 1\.5"):
            fuse(scheme, alpha=1.5)
    with pytest.raises(ValueError, match="k_prime is -1"):
        fuse("union_list", k_prime=-1)


def example(seed):
    """One video with ties, silent clips, padding or a stride: scores, masks `[1, L]` and K."""
    generator = np.random.default_rng(seed)
    clips = generator.integers(1, 14)
    visual, audio = generator.integers(0, 6, (2, 1, clips)).astype("float32") / 6
    mask = np.arange(clips)[None] < generator.integers(1, clips + 1)
    mask = np.asarray(selection.strided(mask, int(generator.choice([1, 1, 2, 3]))))
    has_audio = generator.random((1, clips)) < generator.choice([0.0, 0.6, 1.0])
    return visual, audio, mask, has_audio, int(generator.integers(1, mask.sum() + 1))


def two_lists(visual, audio, mask, has_audio):
    """The two ranked lists, written out: ties to the earlier clip, silent clips last and by eye."""
    clips = [int(clip) for clip in np.flatnonzero(mask[0])]
    by_eye = sorted(clips, key=lambda clip: (-visual[0, clip], clip))
    heard = sorted((c for c in clips if has_audio[0, c]), key=lambda clip: (-audio[0, clip], clip))
    return by_eye, heard + [clip for clip in by_eye if not has_audio[0, clip]]


def chosen(scheme, example, **parameters):
    visual, audio, mask, has_audio, k = example
    scores = fuse(scheme, visual, audio, mask, has_audio, **parameters)
    assert np.isfinite(scores).all()
    return [int(clip) for clip in np.asarray(selection.top_k(scores, mask, k))[0]]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), k_prime=st.integers(0, 8))
def test_union_equals_the_papers_words(seed, k_prime):
    case = example(seed)
    by_eye, by_ear = two_lists(*case[:4])
    k = case[4]
    union = by_eye[: min(k_prime, k)]
    for clip in by_ear:
        if len(union) < k and clip not in union:
            union.append(clip)
    assert chosen("union_list", case, k_prime=k_prime) == union


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_intersection_equals_the_papers_words(seed):
    case = example(seed)
    by_eye, by_ear = two_lists(*case[:4])
    k, m, both, before = case[4], 0, set(), set()
    while len(both) < k:
        m, before = m + 1, both
        both = set(by_eye[:m]) & set(by_ear[:m])
    newest = sorted(both - before, key=by_eye.index)  # one or two; past K the better by eye stays
    assert set(chosen("intersect_list", case)) == before | set(newest[: k - len(before)])


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([0.0, 0.25, 0.5, 0.8, 1.0]))
def test_convex_list_equals_the_papers_words(seed, alpha):
    case = example(seed)
    by_eye, by_ear = two_lists(*case[:4])
    percent = round(100 * alpha)

    def position(clip):
        return percent * by_eye.index(clip) + (100 - percent) * by_ear.index(clip), clip

    assert chosen("convex_list", case, alpha=alpha) == sorted(by_eye, key=position)[: case[4]]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_convex_score_and_joint_equal_the_papers_words(seed, alpha):
    # Scores in eighths and such alphas are exact, so the mixed scores tie where the sums do.
    visual, audio, mask, has_audio, k = example(seed)
    visual, audio = np.round(visual * 6) / 8, np.round(audio * 6) / 8
    clips = np.flatnonzero(mask[0]).tolist()
    lowest = min((audio[0, clip] for clip in clips if has_audio[0, clip]), default=None)

    def mixed(clip, alpha):
        heard = audio[0, clip] if has_audio[0, clip] else lowest
        return visual[0, clip] if lowest is None else alpha * visual[0, clip] + (1 - alpha) * heard

    case = (visual, audio, mask, has_audio, k)
    for scheme, weight in (("convex_score", alpha), ("joint", 0.5)):
        expected = sorted(clips, key=lambda clip, weight=weight: (-mixed(clip, weight), clip))[:k]
        assert chosen(scheme, case, alpha=alpha) == expected


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_single_samplers_equal_their_lists(seed):
    case = example(seed)
    by_eye, by_ear = two_lists(*case[:4])
    assert chosen("visual", case) == by_eye[: case[4]]
    assert chosen("audio", case) == by_ear[: case[4]]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), scheme=st.sampled_from(fusion.SCHEMES), k_prime=st.integers(0, 8))
def test_all_clips_are_listed_once_and_fewer_are_the_first_of_more(seed, scheme, k_prime):
    visual, audio, mask, has_audio, k = example(seed)
    clips = np.flatnonzero(mask[0]).tolist()
    case = (visual, audio, mask, has_audio)
    everything = chosen(scheme, (*case, len(clips)), k_prime=k_prime)
    assert sorted(everything) == clips
    assert chosen(scheme, (*case, k), k_prime=k_prime) == everything[:k]
    more = chosen(scheme, (*case, len(clips) + 3), k_prime=k_prime)  # L < K
    assert more == [*everything, -1, -1, -1]


@pytest.mark.parametrize("scheme", fusion.SCHEMES)
def test_equal_scores_keep_the_order_of_time(scheme):
    same = np.full((1, 30), 0.5, "float32")
    everything = np.ones((1, 30), bool)
    scores = fuse(scheme, same, same, everything, alpha=0.3, k_prime=4)
    assert list(np.asarray(selection.top_k(scores, everything, 30))[0]) == list(range(30))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), scheme=st.sampled_from(fusion.SCHEMES))
def test_padding_and_other_videos_change_nothing(seed, scheme):
    visual, audio, mask, has_audio, _ = example(seed)
    alone = fuse(scheme, visual, audio, mask, has_audio)
    padding = [[1, 1], [0, 5]]
    padded = [np.pad(each, padding, constant_values=9) for each in (visual, audio)]
    padded += [np.pad(each, padding, constant_values=False) for each in (mask, has_audio)]
    np.testing.assert_array_equal(fuse(scheme, *padded)[1:2, : mask.shape[1]], alone)


@pytest.mark.parametrize("scheme", fusion.SCHEMES)
def test_scores_stay_finite(scheme):
    visual = np.array([[np.nan, np.inf, -np.inf, 3e38, 0.5]], "float32")
    mask = np.array([[True, True, True, True, False]])
    for audio in (visual, visual[:, ::-1]):
        for has_audio in (mask, ~mask):
            assert np.isfinite(fuse(scheme, visual, audio, mask, has_audio)).all()


def test_long_lists_keep_neighbours_apart():
    # 20,000 clips with opposite lists: alpha just above a half has to follow the visual list exactly.
    clips = 20_000
    visual = -np.arange(clips, dtype="float32")[None]
    mask = np.ones((1, clips), bool)
    scores = fuse("convex_list", visual, visual[:, ::-1], mask, alpha=0.5001)
    assert (np.diff(scores[0]) < 0).all()


def test_joint_gradients_reach_both_samplers_and_are_finite():
    visual, audio = tf.constant(VISUAL), tf.constant(np.where(ALL, AUDIO, np.nan))
    has_audio = np.array([[True, False, True, True, True, True]])
    with tf.GradientTape() as tape:
        tape.watch([visual, audio])
        score = fusion.joint(visual, audio, ALL, has_audio)
    by_eye, by_ear = tape.gradient(score, [visual, audio])
    np.testing.assert_allclose(by_eye, np.full((1, 6), 0.5))
    # The lowest heard score, clip 4's, stands in for the silent clip too.
    np.testing.assert_allclose(by_ear, [[0.5, 0, 0.5, 0.5, 1, 0.5]])


@pytest.mark.parametrize("scheme", fusion.SCHEMES)
def test_the_same_inside_a_graph_with_unknown_sizes(scheme):
    floats, flags = tf.TensorSpec([None, None]), tf.TensorSpec([None, None], tf.bool)

    @tf.function(input_signature=[floats, floats, flags, flags])
    def traced(visual, audio, mask, has_audio):
        return fusion.fuse(scheme, visual, audio, mask, has_audio, alpha=0.8, k_prime=2)

    generator = np.random.default_rng(0)
    for videos, clips in [(3, 20), (2, 1), (2, 0), (0, 4)]:
        visual, audio = generator.integers(0, 5, (2, videos, clips)).astype("float32")
        mask, has_audio = generator.random((2, videos, clips)) < 0.7
        eager = fuse(scheme, visual, audio, mask, has_audio)
        np.testing.assert_array_equal(traced(visual, audio, mask, has_audio), eager)


@pytest.mark.parametrize("scheme", fusion.SCHEMES)
def test_schemes_build_functional_models(scheme):
    inputs = [keras.Input((None,)), keras.Input((None,))]
    inputs += [keras.Input((None,), dtype="bool"), keras.Input((None,), dtype="bool")]
    model = keras.Model(inputs, fusion.fuse(scheme, *inputs, alpha=0.8, k_prime=2))
    np.testing.assert_allclose(model([VISUAL, AUDIO, ALL, ALL]), fuse(scheme), rtol=1e-6)
