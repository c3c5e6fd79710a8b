"""Networks as Keras models: clip classifiers and samplers."""
