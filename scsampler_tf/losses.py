"""The objectives as a Keras loss on packed targets, for the training loop."""

import keras

from scsampler_tf import objectives
from scsampler_tf.config import SamplerConfig


class SamplerLoss(keras.losses.Loss):
    """AC, SAL-CL or SAL-RANK of each video `[V]`.

    Targets `[V, N, 3]` hold the label, the classifier's score of the true class, and 1 for a clip that
    counts; predictions are those of `models.sampler.training_model`.
    """

    def __init__(self, config: SamplerConfig):
        super().__init__(name=config.objective, reduction="sum_over_batch_size")
        self.config = config

    def call(self, y_true, y_pred):
        labels, true_scores, mask = y_true[:, 0, 0], y_true[:, :, 1], y_true[:, :, 2] > 0
        if self.config.objective == "ac":
            return objectives.ac(keras.ops.cast(labels, "int32"), y_pred, mask)
        if self.config.objective == "sal_cl":
            return objectives.sal_cl(true_scores, y_pred, mask, self.config.ktr_fraction)
        return objectives.sal_rank(true_scores, y_pred, mask, self.config.margin, self.config.rank_form)
