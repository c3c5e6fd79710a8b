"""Mixed precision: layers that compute in 16 bits from weights of 32, and the same network without."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

FLOAT32 = "float32"


@contextlib.contextmanager
def layer_dtype(policy: str) -> Iterator[None]:
    """Layers made within it compute as `policy` says, those with a dtype of their own excepted.

    `policy` is float32, mixed_float16 or mixed_bfloat16. Keras' setting, one for the whole thread, is as
    before afterwards.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def in_float32(network: keras.Model) -> keras.Model:
    """A copy of a network, with its weights as they are now, that computes in float32; or it itself.

    Under a mixed policy weights are float32 already, so nothing is rounded.
    """
    config = network.get_config()
    plain = _plain(config)
    if plain == config:
        return network
    copy = network.__class__.from_config(plain)
    copy.set_weights(network.get_weights())
    return copy


def _plain(value: Any) -> Any:
    """A configuration with float32 in place of every mixed policy."""
    if isinstance(value, dict):
        if value.get("class_name") == "DTypePolicy" and value["config"]["name"].startswith("mixed_"):
            return {**value, "config": {"name": FLOAT32}}
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(each) for each in value)
    return value
