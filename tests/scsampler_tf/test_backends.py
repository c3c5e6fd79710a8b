"""Choosing, combining and averaging give the same on other Keras backends as on TensorFlow."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from scsampler_tf import adaptive, diversity, fusion, selection, weighting

PROGRAM = """
import sys
import keras, numpy
from tests.scsampler_tf.test_backends import everything
assert keras.config.backend() == sys.argv[1]
numpy.savez(sys.argv[2], **everything())
"""


def everything() -> dict[str, np.ndarray]:
    """Results of every function on videos with ties, silent clips and masks with holes."""
    generator = np.random.default_rng(3)
    found = {}
    for number in range(5):
        shape = 3, int(generator.integers(1, 50))
        visual, audio = generator.integers(0, 6, (2, *shape)).astype("float32") / 4
        mask, heard = generator.random((2, *shape)) < 0.7
        features = generator.integers(-1, 2, (*shape, 4)).astype("float32")
        probs = generator.dirichlet(np.ones(5), shape).astype("float32")
        looked_at = selection.strided(mask, 2)
        indices = diversity.suppressed_top_k(visual, mask, 8, 3)
        there = indices >= 0
        count = adaptive.stopped(selection.gather_clips(probs, indices), there, adaptive.Stopping(0.2, 2))
        chosen = selection.chosen_mask(indices, shape[1])
        counts = generator.integers(1, 9, 3).astype("int32")
        results = {
            "suppressed": indices,
            "suppressed_each": diversity.suppressed_top_k(visual, mask, counts, 3),
            "each": selection.top_each(visual, mask, counts),
            "relevant": diversity.relevant_top_k(visual, features, mask, 8, 0.25),
            "relevant_each": diversity.relevant_top_k(visual, features, mask, counts, 0.25),
            "stopped": count,
            "used": adaptive.used_clips(there, count),
            "weighted": weighting.weighted_probabilities(probs, chosen, visual, 0.5),
            "dense": selection.dense(looked_at),
        }
        for scheme in fusion.SCHEMES:
            fused = fusion.fuse(scheme, visual, audio, looked_at, heard, alpha=0.75, k_prime=3)
            results[scheme] = selection.top_k(fused, looked_at, 8)
        found |= {f"{name}-{number}": np.asarray(values) for name, values in results.items()}
    return found


@pytest.mark.parametrize("backend", ["torch", "jax", "numpy"])
def test_every_backend_gives_the_same(backend, tmp_path):
    # Keras' NumPy backend takes some of its parts from JAX.
    needed = "jax" if backend == "numpy" else backend
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    path = tmp_path / "found.npz"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, backend, str(path)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, expected = np.load(path), everything()
    assert set(found.files) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype, name
        np.testing.assert_allclose(found[name], values, atol=1e-6, err_msg=name)
