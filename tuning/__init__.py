"""Keras Tuner searches over K, K_prime, alpha and the SAL-RANK margin."""
