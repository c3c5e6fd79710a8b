"""Numbers as short in JSON as they can be."""

import numpy as np


def shortest_decimals(values: np.ndarray) -> np.ndarray:
    """float64 values whose JSON is the shortest that reads back as the same float32: half the characters."""
    values = np.asarray(values, np.float32)
    short = np.zeros(values.shape)
    left = np.isfinite(values) & (values != 0)
    short[~left] = values[~left]
    for digits in range(6, 10):  # nine are enough for any float32
        if not left.any():
            break
        short[left] = _rounded(values[left].astype(np.float64), digits)
        left &= ~(short.astype(np.float32) == values)
    if left.any():  # far from 1: slowly, number by number
        short[left] = values[left].astype("U32").astype(np.float64)
    # The shortest form of the largest float32 is beyond it, which TF-Serving refuses.
    return np.where(np.abs(short) > np.finfo(np.float32).max, values, short)


def _rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """To so many digits; NaN where the power of ten is no exact float64: its last digit could be wrong."""
    places = digits - 1 - np.floor(np.log10(np.abs(values)))
    exact = (places >= 0) & (places <= 22)
    power = 10.0 ** np.where(exact, places, 0)
    return np.where(exact, np.rint(values * power) / power, np.nan)
