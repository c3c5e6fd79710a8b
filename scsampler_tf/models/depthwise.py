"""Depthwise 3D convolution from ordinary 2D ones, which any server can run.

Keras compiles every grouped convolution with XLA, and the compiled function stays in an exported graph,
where stock TF-Serving refuses it. A depthwise 2D convolution is an operation of its own.
"""

import math

import keras
from keras import layers, ops

PADDINGS = ("valid", "same")


@keras.saving.register_keras_serializable(package="scsampler_tf")
class DepthwiseConv3D(layers.Layer):
    """One filter a channel, no bias: `[B, F, H, W, C]` -> `[B, F', H', W', C]`.

    It is the sum over the kernel's frames of 2D depthwise convolutions. `kernel` is
    `[time, height, width, C, 1]`. `padding` "same" puts (kernel - 1) / 2 zeros on both sides of each axis,
    as PyTorch does, also when strided; "valid" puts none. All sizes but the batch must be known.

    Raises `ValueError` for an unknown padding, an even kernel with "same", and strides that differ between
    height and width, which TensorFlow's depthwise convolution lacks.
    """

    def __init__(
        self, kernel_size, strides=(1, 1, 1), padding="valid", kernel_initializer="glorot_uniform", **kwargs
    ):
        super().__init__(**kwargs)
        self.kernel_size, self.strides, self.padding = tuple(kernel_size), tuple(strides), padding
        if padding not in PADDINGS:
            raise ValueError(f"padding '{padding}' is none of {', '.join(PADDINGS)}")
        if padding == "same" and not all(size % 2 for size in self.kernel_size):
            raise ValueError(f"kernel {self.kernel_size}: 'same' padding needs odd sizes")
        if self.strides[1] != self.strides[2]:
            raise ValueError(f"strides {self.strides}: height and width must have the same")
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Makes the kernel for `[B, F, H, W, C]`; raises `ValueError` for a size that is not known."""
        if None in input_shape[1:]:
            raise ValueError(f"{self.name}: input shape {tuple(input_shape)}, but all sizes must be known")
        self.kernel = self.add_weight(
            shape=(*self.kernel_size, input_shape[-1], 1), initializer=self.kernel_initializer, name="kernel"
        )

    def call(self, inputs):
        """`[B, F, H, W, C]` -> `[B, F', H', W', C]`."""
        frames = self.compute_output_shape(inputs.shape)[1]
        if self.padding == "same":
            inputs = ops.pad(inputs, [[0, 0], *([size // 2] * 2 for size in self.kernel_size), [0, 0]])
        step, reach = self.strides[0], (frames - 1) * self.strides[0] + 1
        total = 0
        for shift in range(self.kernel_size[0]):
            part = inputs[:, shift : shift + reach : step]
            flat = ops.reshape(part, (-1, *part.shape[2:]))
            kernel = self.kernel[shift]
            total += ops.depthwise_conv(flat, kernel, strides=self.strides[1], padding="valid")
        return ops.reshape(total, (-1, frames, *total.shape[1:]))

    def compute_output_shape(self, input_shape):
        """`(B, F', H', W', C)`."""
        sizes = zip(input_shape[1:-1], self.kernel_size, self.strides, strict=True)
        extra = [2 * (k // 2) if self.padding == "same" else 0 for k in self.kernel_size]
        places = [(n + more - k) // s + 1 for (n, k, s), more in zip(sizes, extra, strict=True)]
        return (input_shape[0], *places, input_shape[-1])

    def multiply_adds(self, input_shape) -> int:
        """Multiplications with their additions for one example; zeros outside the picture count."""
        return math.prod(self.kernel_size) * math.prod(self.compute_output_shape(input_shape)[1:])

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
