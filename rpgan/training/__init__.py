"""Training: `train(config, directory)` runs, resumes or extends one experiment."""

from rpgan.training.run import train

__all__ = ["train"]
