"""A Keras network's forward pass through whichever backend Keras runs on."""

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable

import numpy as np

from pipelines.errors import UserError

BACKENDS = ("tensorflow", "jax", "torch")


def choose_backend(name: str | None) -> None:
    """Makes Keras run on `name`, or on what it is set to; to be called before Keras is imported.

    Raises `UserError` when the backend is not installed or another one is already at work.
    """
    if name is None:
        return
    if importlib.util.find_spec(name) is None:
        raise UserError(f"--backend {name}: {name} is not installed; install it beside Keras")
    if "keras" in sys.modules:
        working = sys.modules["keras"].backend.backend()
        if working != name:
            raise UserError(f"--backend {name}: Keras already runs on {working}; start the command anew")
    os.environ["KERAS_BACKEND"] = name


def versions() -> dict[str, str]:
    """The backend, what it runs on, and the versions of it and of Keras."""
    import keras

    backend = keras.backend.backend()
    found = {"keras": keras.__version__, "backend": backend, "device": device(backend)}
    return found | {backend: importlib.metadata.version(backend)}


def device(backend: str) -> str:
    """ "cpu" or "gpu": where the backend puts a network."""
    if backend == "jax":
        import jax

        return jax.default_backend()
    if backend == "torch":
        import torch

        return "gpu" if torch.cuda.is_available() else "cpu"
    import tensorflow as tf

    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def forward(network, batch: np.ndarray) -> Callable[[], np.ndarray]:
    """A call of `network` on `batch` `[B, *sizes, C]` as its backend's users would compile it.

    TensorFlow: one `tf.function` for any batch size without XLA, as the exported graph has it. JAX:
    `jax.jit`. PyTorch: inference mode, operation by operation. The batch already lies on the device; the
    logits `[B, classes]` come back as an array, so that a call has ended when it returns.
    """
    import keras

    make = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return make[keras.backend.backend()](network, batch)


def _tensorflow(network, batch: np.ndarray) -> Callable[[], np.ndarray]:
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *batch.shape[1:]), tf.float32)]
    function = tf.function(lambda pictures: network(pictures, training=False), input_signature=signature)
    graph, pictures = function.get_concrete_function(), tf.constant(batch)
    return lambda: graph(pictures).numpy()


def _jax(network, batch: np.ndarray) -> Callable[[], np.ndarray]:
    import jax

    weights = [variable.value for variable in network.trainable_variables]
    statistics = [variable.value for variable in network.non_trainable_variables]

    def pure(weights, statistics, pictures):
        return network.stateless_call(weights, statistics, pictures, training=False)[0]

    compiled, pictures = jax.jit(pure), jax.numpy.asarray(batch)
    return lambda: np.asarray(compiled(weights, statistics, pictures))


def _torch(network, batch: np.ndarray) -> Callable[[], np.ndarray]:
    import keras
    import torch

    pictures = keras.ops.convert_to_tensor(batch)

    def call() -> np.ndarray:
        with torch.inference_mode():
            return network(pictures, training=False).cpu().numpy()

    return call
