"""Keras Tuner searches over how samplers are trained, with every setting that costs no training."""
