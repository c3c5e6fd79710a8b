import dataclasses

import numpy as np
import pytest

from scsampler_tf.config import SamplerConfig
from scsampler_tf.losses import SamplerLoss

CONFIG = SamplerConfig(margin=0.2, ktr_fraction=0.5)
# Two videos of three clips: label, the classifier's score of it, whether the clip counts.
TARGETS = np.float32(
    [
        [[1, 0.9, 1], [1, 0.1, 1], [1, 0.5, 0]],
        [[0, 0.3, 1], [0, 0.6, 1], [0, 0.6, 1]],
    ]
)


def loss(objective, predictions, targets=TARGETS):
    return float(SamplerLoss(dataclasses.replace(CONFIG, objective=objective))(targets, predictions))


def test_ac_is_the_cross_entropy_of_the_clips_that_count():
    probabilities = np.float32(
        [[[0.5, 0.5], [0.75, 0.25], [0.9, 0.1]], [[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]]]
    )
    first = -(np.log(0.5) + np.log(0.25)) / 2
    second = -(np.log(0.5) + np.log(0.25) + np.log(0.5)) / 3
    assert loss("ac", np.log(probabilities)) == pytest.approx((first + second) / 2, abs=1e-6)


SALIENCY = np.float32([[0.8, 0.4, 0.99], [0.5, 0.25, 0.6]])


def test_sal_cl_has_the_top_half_as_positives():
    first = -(np.log(0.8) + np.log(1 - 0.4)) / 2  # 1 of 2 clips: the first
    second = -(np.log(1 - 0.5) + np.log(0.25) + np.log(1 - 0.6)) / 3  # 1 of 3: of two equal the earlier
    assert loss("sal_cl", SALIENCY) == pytest.approx((first + second) / 2, abs=1e-6)


def test_sal_rank_compares_pairs_that_have_an_order():
    first = 0.0  # 0.8 leads 0.4 by more than the margin
    # The second and third clip shall lead the first by 0.2: they trail it by 0.25 and lead by 0.1.
    second = (0.25 + 0.2 + 0.2 - 0.1) / 2
    assert loss("sal_rank", SALIENCY) == pytest.approx((first + second) / 2, abs=1e-6)


@pytest.mark.parametrize("objective", ["ac", "sal_cl", "sal_rank"])
def test_clips_that_do_not_count_change_nothing(objective):
    predictions = np.log(np.full((2, 3, 2), 0.5, np.float32)) if objective == "ac" else SALIENCY
    changed, targets = predictions.copy(), TARGETS.copy()
    changed[0, 2] = -1e9 if objective == "ac" else np.nan
    targets[0, 2, 1] = 0.0
    assert loss(objective, changed, targets) == pytest.approx(loss(objective, predictions), abs=1e-6)
    nothing = TARGETS * np.float32([1, 1, 0])
    assert loss(objective, predictions, nothing) == 0


def test_the_ranking_loss_as_it_is_printed():
    predictions = np.float32([[0.5, 0.4, 0.0], [0.5, 0.5, 0.5]])
    targets = TARGETS.copy()
    targets[1, :, 2] = 0
    # Printed: (1, 0) asks for s_1 + 0.2 <= s_0, the other order for s_0 - s_1 + 0.2 >= 0 alone.
    printed = SamplerLoss(dataclasses.replace(CONFIG, objective="sal_rank", rank_form="printed"))
    assert float(printed(targets, predictions)) == pytest.approx((0 + 0.1) / 2 / 2, abs=1e-6)
    assert loss("sal_rank", predictions, targets) == pytest.approx(0.1 / 2, abs=1e-6)
