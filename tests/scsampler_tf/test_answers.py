"""What is classified and answered with the options beyond the paper, on scores worked out by hand."""

import dataclasses

import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf import answers, methods
from scsampler_tf.aggregate import bootstrap_interval, correct, video_probabilities
from scsampler_tf.answers import is_right, saliency_choice, scheme_is_right
from scsampler_tf.config import SelectionConfig
from scsampler_tf.cost import Sampler
from scsampler_tf.fusion import fuse
from scsampler_tf.methods import Bench, Costs, gflops_per_video
from scsampler_tf.selection import chosen_mask, top_k
from tests.scsampler_tf.records import two_class_set

NAN = np.nan
COSTS = Costs(2e9, {"md": Sampler(1e8, 2), "audio": Sampler(1e8, 1)})
# By saliency the true class has 0.6, 0.9, 0.2, 0.1 and 0.1, 0.2, 0.9; then a video of one clip.
TRUE = [[0.9, 0.6, 0.1, 0.2], [0.1, 0.9, 0.2], [0.7]]
VISUAL = [[0.8, 0.9, 0.6, 0.7], [0.9, 0.1, 0.5], [0.3]]
AUDIO = [[0.1, 0.2, 0.8, 0.9], [NAN, NAN, NAN], [0.5]]
LABELS = [1, 0, 1]


def videos(**changes):
    return two_class_set(LABELS, TRUE, **{"visual": VISUAL, "audio": AUDIO, **changes})


def config(K=4, **changes) -> SelectionConfig:
    return SelectionConfig(**{"K": K, "K_prime": 1, "fusion": "visual", **changes})


def chosen(scheme="visual", data=None, **changes):
    return saliency_choice(data or videos(), config(**changes), scheme).tolist()


def bench(data=None) -> Bench:
    return Bench(data or videos(), None, COSTS, seed=5, draws=1)


def test_chosen_clips_lie_apart_where_the_video_allows_it():
    # Clip 1 first; 0 and 2 are its neighbours, so 3 follows, and of those left the more salient.
    assert chosen(K=2, nms_gap=2) == [[1, 3], [0, 2], [0, -1]]
    assert chosen(K=3, nms_gap=2) == [[1, 3, 0], [0, 2, 1], [0, -1, -1]]
    # No clip is three away from clip 1: the most salient of the others.
    assert chosen(K=2, nms_gap=3) == [[1, 0], [0, 2], [0, -1]]
    # By ear: clip 3, then 1; the silent video by eye.
    assert chosen("audio", K=2, nms_gap=2) == [[3, 1], [0, 2], [0, -1]]
    for gap in (0, 1):
        assert chosen(K=2, nms_gap=gap) == chosen(K=2) == [[1, 0], [0, 2], [0, -1]]


def seen_videos():
    """Clips 0 and 1 of the first video look alike, 2 and 3 too; in the second all do."""
    features = np.zeros((3, 4, 2), np.float16)
    features[0] = [[2, 0], [1, 0], [0, 1], [0, 3]]
    features[1, :3] = [1, 1]
    features[2, 0] = [0, 1]
    return dataclasses.replace(videos(), features=features)


@pytest.mark.parametrize("at_once", [1, 2, 64])
def test_clips_that_look_alike_are_passed_over(monkeypatch, at_once):
    monkeypatch.setattr(answers, "AT_ONCE", at_once)
    # After clip 1: 0.8 / 2 - 1 / 2 for clip 0, 0.7 / 2 for clip 3; then clips 0 and 2 at -0.1 and -0.2.
    assert chosen(K=3, data=seen_videos(), diversity=0.5) == [[1, 3, 0], [0, 2, 1], [0, -1, -1]]
    # A tenth of the likeness outweighs no difference of 0.1 in saliency: 0.72 - 0.1 against 0.63.
    assert chosen(K=2, data=seen_videos(), diversity=0.1) == [[1, 3], [0, 2], [0, -1]]
    assert chosen(K=2, data=seen_videos(), diversity=0.05) == [[1, 0], [0, 2], [0, -1]]
    assert chosen(K=9, data=seen_videos(), diversity=1.0)[2] == [0] + [-1] * 8
    assert chosen(K=3, data=seen_videos(), diversity=0.5, stop_margin=0.1)[0] == [1, -1, -1]
    found = saliency_choice(seen_videos(), config(K=2, diversity=0.5), "visual")
    assert (found.dtype, found.shape) == (np.int32, (3, 2))


def test_diversity_runs_the_network_that_it_compares_clips_by():
    row = bench(seen_videos()).scheme("audio", config(K=1, diversity=0.5))
    # Motion and sound where there is any, motion alone in the silent video.
    assert row.gflops_per_video == pytest.approx((4 * 0.3 + 3 * 0.2 + 1 * 0.3) / 3 + 2)
    assert methods.scheme_networks("audio", COSTS) == ("audio",)
    assert methods.scheme_networks("visual", COSTS, 0.5) == ("md",)


def test_diversity_without_activations_says_how_to_make_them():
    with pytest.raises(UserError, match=r"no activations .* python -m scsampler_tf.score activations"):
        chosen(diversity=0.5)


def test_the_gap_counts_clips_also_those_that_a_stride_leaves_out():
    # Scored are 0 and 2, 0 and 2, 0.
    assert chosen(K=2, stride=2, nms_gap=2) == [[0, 2], [0, 2], [0, -1]]
    assert chosen(K=1, stride=2, nms_gap=9) == [[0], [0], [0]]


def test_a_video_is_classified_until_its_answer_is_confident():
    # Margins: 0.2, 0.5, 0.13, 0.1; 0.8 (0.1 of class 0), 0.7, 0.2; 0.4.
    assert chosen(stop_margin=0.45) == [[1, 0, -1, -1], [0, -1, -1, -1], [0, -1, -1, -1]]
    assert chosen(stop_margin=0.1) == [[1, -1, -1, -1], [0, -1, -1, -1], [0, -1, -1, -1]]
    assert chosen(stop_margin=0.9) == chosen() == [[1, 0, 3, 2], [0, 2, 1, -1], [0, -1, -1, -1]]
    assert chosen(stop_margin=0.45, stop_least=2) == [[1, 0, -1, -1], [0, 2, -1, -1], [0, -1, -1, -1]]
    assert chosen(stop_margin=0.45, stop_least=3) == [[1, 0, 3, 2], [0, 2, 1, -1], [0, -1, -1, -1]]


def test_a_row_with_stopping_pays_for_the_clips_that_were_classified():
    plain, stopping = (bench().scheme("visual", config(stop_margin=margin)) for margin in (0, 0.45))
    # All clips: 0.45, 0.4 of class 0, 0.7. Two, one, one: 0.75, 0.1 of class 0, 0.7.
    assert plain.correct.tolist() == [0, 0, 1]
    assert stopping.correct.tolist() == [1, 0, 1]
    assert (plain.clips_per_video, stopping.clips_per_video) == (8 / 3, 4 / 3)
    sampling = 0.2 * 8 / 3
    assert plain.gflops_per_video == pytest.approx(sampling + 2 * 8 / 3)
    assert stopping.gflops_per_video == pytest.approx(sampling + 2 * 4 / 3)


def test_stopping_saves_seconds_too_and_hears_where_there_is_sound():
    costs = Costs(2e9, COSTS.samplers, {"classifier": 4.0, "md": 1.0, "audio": 0.5})
    row = Bench(videos(), None, costs, 5, 1).scheme("audio", config(stop_margin=0.1))
    # By ear clips 3 (0.2: margin 0.6) and 0; the silent video by eye, clip 0: one clip each.
    assert row.clips_per_video == 1
    assert row.seconds_per_video == pytest.approx((4 * 0.5 + 3 * 1.0 + 1 * 0.5) / 3 + 4)
    assert row.gflops_per_video == pytest.approx((4 * 0.1 + 3 * 0.2 + 1 * 0.1) / 3 + 2)


@pytest.mark.parametrize(
    ("temperature", "mean"),
    [
        (0.0, (0.9 + 0.2 + 0.3) / 3),
        (0.2, (0.9 + 0.2 * np.exp(-4) + 0.3 * np.exp(-2)) / (1 + np.exp(-4) + np.exp(-2))),
        (1.0, (0.9 + 0.2 * np.exp(-0.8) + 0.3 * np.exp(-0.4)) / (1 + np.exp(-0.8) + np.exp(-0.4))),
        (10.0, (0.9 + 0.2 * np.exp(-0.08) + 0.3 * np.exp(-0.04)) / (1 + np.exp(-0.08) + np.exp(-0.04))),
    ],
)
def test_the_most_salient_clips_decide(temperature, mean):
    data = two_class_set([1], [[0.9, 0.2, 0.3]], visual=[[0.9, 0.1, 0.5]])
    row = bench(data).scheme("visual", config(K=3, temperature=temperature))
    assert row.correct.tolist() == [mean > 0.5]
    assert row.clips_per_video == 3
    right = is_right(data, data.mask, data.visual, temperature)
    assert right.tolist() == [mean > 0.5]


def test_weights_are_those_of_the_scheme_s_own_score():
    """By eye clip 0 decides, by ear clip 1; a list's scores are 1 and 1/2."""
    data = two_class_set([1], [[0.9, 0.2]], visual=[[0.9, 0.1]], audio=[[0.1, 0.9]])
    for scheme, right in (("visual", True), ("audio", False), ("convex_score", True)):
        choice = config(K=2, temperature=0.1, alpha=0.8)
        assert scheme_is_right(data, data.mask, choice, scheme).tolist() == [right], scheme
        assert bench(data).scheme(scheme, choice).correct.tolist() == [right], scheme


def test_a_margin_and_weights_and_a_gap_together():
    row = bench().scheme("visual", config(K=3, nms_gap=2, stop_margin=0.45, temperature=0.1))
    # Clips 1, 3, 0: margins 0.2, 0.2, 0.13; clip 0 (0.8); clip 0 (0.4, there is no other).
    assert row.clips_per_video == (3 + 1 + 1) / 3
    # Weights of 0.9, 0.7, 0.8: 1, e^-2, e^-1.
    mean = (0.6 + 0.2 * np.exp(-2) + 0.9 * np.exp(-1)) / (1 + np.exp(-2) + np.exp(-1))
    assert row.correct.tolist() == [mean > 0.5, False, True]


def test_a_number_of_clips_for_each_video():
    data = videos()
    each = gflops_per_video(data, COSTS, ("md",), np.array([3, 0, 1]))
    assert each == pytest.approx(0.2 * 8 / 3 + 2 * 4 / 3)
    assert gflops_per_video(data, COSTS, (), np.array([9, 9, 9])) == gflops_per_video(data, COSTS, (), None)
    assert gflops_per_video(data, COSTS, (), np.array([2, 2, 2])) == gflops_per_video(data, COSTS, (), 2)


@pytest.mark.parametrize("scheme", ["visual", "audio", "union_list", "convex_list", "joint"])
@pytest.mark.parametrize("K", [1, 3, 9])
def test_without_options_a_row_is_the_paper_s_to_the_last_digit(scheme, K):
    rng = np.random.default_rng(K)
    lengths = rng.integers(1, 8, 25)
    rows = [[rng.random(length) for length in lengths] for _ in range(3)]
    data = two_class_set(rng.integers(0, 2, 25).tolist(), *rows)
    row = bench(data).scheme(scheme, config(K=K, K_prime=min(K, 2)))
    scores = (data.visual, data.audio, data.mask, data.has_audio)
    fused = fuse(scheme, *scores, alpha=0.8, k_prime=min(K, 2))
    picked = np.asarray(chosen_mask(top_k(fused, data.mask, K), data.mask.shape[1])) & data.mask
    right = np.asarray(correct(video_probabilities(data.probabilities, picked), data.labels))
    np.testing.assert_array_equal(row.correct, right)
    assert row.accuracy_ci == bootstrap_interval(right, 5)
    networks = methods.scheme_networks(scheme, COSTS)
    assert row.gflops_per_video == gflops_per_video(data, COSTS, networks, K)
    assert row.clips_per_video == picked.sum(axis=1).mean()
