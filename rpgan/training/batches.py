"""Batches and random draws that are functions of (seed, step), so that a resume needs no stored state."""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from rpgan.datasets import ImageDataset, is_decoded_on_demand

MOST_LOADING = 8  # processes that load batches for one training


def step_rng(seed: int, step: int, stream: int = 0) -> torch.Generator:
    """Returns the CPU generator of one step; streams keep a step's unrelated draws apart."""
    entropy = np.random.SeedSequence((seed, step, stream)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(entropy[0] >> 1))


class StepSampler(Sampler[list[int]]):
    """Yields the indices of step after step; every epoch has an order of its own, set by (seed, epoch)."""

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int,
        start: int,
        stop: int,
        rows: Sequence[int] | None = None,
    ) -> None:
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.start, self.stop = start, stop
        self.rows = range(batch_size) if rows is None else rows

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.start, self.stop):
            positions = [step * self.batch_size + row for row in self.rows]
            yield [int(_order(self.length, self.seed, p // self.length)[p % self.length]) for p in positions]

    def __len__(self) -> int:
        return self.stop - self.start


@lru_cache(maxsize=4)
def _order(length: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(length)


def batches(
    dataset: ImageDataset,
    batch_size: int,
    seed: int,
    start: int,
    stop: int,
    workers: int = 0,
    rows: Sequence[int] | None = None,
) -> DataLoader:
    """Loads (uint8 images, labels) of the steps from start to stop, of each batch all rows or some."""
    sampler = StepSampler(len(dataset), batch_size, seed, start, stop, rows)
    return DataLoader(dataset, batch_sampler=sampler, collate_fn=_as_loaded, num_workers=workers)  # type: ignore[arg-type]


def loading_processes(dataset: ImageDataset, device: str, trainings: int = 1) -> int:
    """Returns how many processes load batches beside each of the trainings on this machine.

    None where images lie in memory, and none on CPUs, whose cores the training takes. On a GPU, images that
    are decoded on demand would keep it waiting: as many as there are cores for, up to `MOST_LOADING`.
    """
    if device == "cpu" or not is_decoded_on_demand(dataset):
        return 0
    return min(MOST_LOADING, (os.cpu_count() or 1) // trainings)


def _as_loaded(batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    return batch
