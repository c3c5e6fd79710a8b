"""AdamW with a smaller learning rate for some variables (paper, appendix B: layers that were pretrained)."""

from collections.abc import Collection

import keras


class SlowedAdamW(keras.optimizers.Adam):
    """AdamW whose steps, weight decay included, are `share` times as long for the variables `slowed`.

    `slowed` holds paths of variables. Scaling their gradients instead would change nothing, for Adam divides
    by the gradient's own size. With `share` 1 it is Keras' AdamW.
    """

    def __init__(self, learning_rate, decay: float, slowed: Collection[str], share: float):
        super().__init__(learning_rate)
        self._decay, self._slowed, self._share = decay, frozenset(slowed), share
        self._shares: list[float] = []

    def build(self, variables):
        """Makes the moments of `variables` and notes which of them are slowed."""
        if not self.built:
            self._shares = [self._share if each.path in self._slowed else 1.0 for each in variables]
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        """One step of one variable."""
        # TensorFlow's own variables arrive here, without the path that Keras gave them.
        rate = (
            keras.ops.cast(learning_rate, variable.dtype) * self._shares[self._get_variable_index(variable)]
        )
        self.assign_sub(variable, variable * rate * self._decay)
        super().update_step(gradient, variable, rate)
