"""What TensorBoard shows of a training (docs/tensorboard.md)."""
