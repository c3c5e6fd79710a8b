"""A 3D convolution that trains on a CPU in reasonable time.

TensorFlow's gradient of a strided 3D convolution is hundreds of times slower on a CPU than that of the
same work in 2D (the stem of an R3D-18, two clips of 16x56x56: 81 s against 0.2 s on two cores), and
convolutions over space or time alone are slower too. Both have an exact form in 2D convolutions.
"""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="scsampler_tf")
class FoldedConv3D(layers.Conv3D):
    """Conv3D with the same arguments, weights and result, `[B, F, H, W, C]` -> `[B, F', H', W', filters]`.

    Over space alone (1, k, k) the frames join the batch; over time alone (k, 1, 1) the pixels become one
    axis; over both with a stride it is a sum over the k frames of spatial convolutions. Only over both
    and without stride is it a 3D convolution, which then costs about the same everywhere. Sizes must be
    known, channels come last, there are no groups and no dilation; strides need "valid" padding.
    """

    def convolution_op(self, inputs, kernel):
        """The convolution itself, without bias; Keras calls it from `call`."""
        time, *space = self.kernel_size
        if space == [1, 1] and tuple(self.strides[1:]) == (1, 1):
            return self._over_time(inputs, kernel)
        if time == 1:
            return self._over_space(inputs[:, :: self.strides[0]], kernel[0])
        if max(self.strides) == 1:
            return self._over_both(inputs, kernel)
        frames = (inputs.shape[1] - time) // self.strides[0] + 1
        reach = (frames - 1) * self.strides[0] + 1
        parts = [inputs[:, shift : shift + reach : self.strides[0]] for shift in range(time)]
        return sum(self._over_space(part, kernel[shift]) for shift, part in enumerate(parts))

    def _over_both(self, inputs, kernel):
        """The 3D convolution as it is."""
        # Padded by "same", oneDNN's bfloat16 gradient of the kernel is garbage where there are two frames.
        if self.padding == "same" and self.compute_dtype != "float32":
            pads = [(0, 0), *(((k - 1) // 2, k // 2) for k in self.kernel_size), (0, 0)]
            return ops.conv(ops.pad(inputs, pads), kernel, strides=1, padding="valid")
        return super().convolution_op(inputs, kernel)

    def _over_space(self, inputs, kernel):
        """Every frame convolved with `kernel` `[k, k, C, filters]`."""
        flat = ops.reshape(inputs, (-1, *inputs.shape[2:]))
        flat = ops.conv(flat, kernel, strides=list(self.strides[1:]), padding=self.padding)
        return ops.reshape(flat, (-1, inputs.shape[1], *flat.shape[1:]))

    def _over_time(self, inputs, kernel):
        """Every pixel convolved with `kernel` `[k, 1, 1, C, filters]`."""
        frames, height, width, channels = inputs.shape[1:]
        flat = ops.reshape(inputs, (-1, frames, height * width, channels))
        flat = ops.conv(flat, kernel[:, 0], strides=[self.strides[0], 1], padding=self.padding)
        return ops.reshape(flat, (-1, flat.shape[1], height, width, self.filters))
