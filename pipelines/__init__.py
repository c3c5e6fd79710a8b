"""Video files in, tensors out: clip plans, compressed features, sound, records, `tf.data` inputs."""
