"""A score with everything that it needs to be compared."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """One number about a model; of those that select a checkpoint, lower is better."""

    name: str  # quantity and extractor, e.g. frechet_mnist-cnn
    value: float
    n: int  # images it was measured on
    seed: int  # of the draw of these images
    against: str  # what they were compared with
