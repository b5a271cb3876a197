"""What a run consists of, by the kind of its config: a task, its batches, and the name of its data."""

from collections.abc import Callable, Iterable
from pathlib import Path

from lightning_fabric import Fabric
from torch import Tensor

from rpgan.checkpoint import find
from rpgan.config import ClassifierConfig, Config, GanConfig, InversionConfig
from rpgan.datasets import load_dataset
from rpgan.training.batches import batches, loading_processes
from rpgan.training.classifier import ClassifierTask, check_outputs
from rpgan.training.gan import GanTask
from rpgan.training.inversion import InversionTask

Task = GanTask | ClassifierTask | InversionTask
Batch = tuple[Tensor, Tensor]  # uint8 images, and labels or paths
Parts = tuple[Task, str, Callable[[int, int], Iterable[Batch]]]  # task, provenance, batches of some steps


def prepare(config: Config, fabric: Fabric, initial: Path | None, workers: int | None) -> Parts:
    """Builds the task of a config, and a function that loads the batches of the steps from start to stop."""
    if isinstance(config, InversionConfig):
        return _on_generated_images(config, fabric, initial)
    return _on_data(config, fabric, initial, workers)


def _on_data(
    config: GanConfig | ClassifierConfig, fabric: Fabric, initial: Path | None, workers: int | None
) -> Parts:
    image_shape = config.generator.image_shape if isinstance(config, GanConfig) else config.image_shape
    with fabric.rank_zero_first(local=True):  # which may download or decode what the others then find
        dataset, held_out = (load_dataset(config.data, image_shape, split) for split in ("train", "test"))
    task: GanTask | ClassifierTask
    if isinstance(config, GanConfig):
        task = GanTask(config, fabric, held_out, initial)
    else:
        check_outputs(config.outputs, dataset.all_labels())  # the held-out split may lack a class
        task = ClassifierTask(config, fabric, held_out)

    if workers is None:
        workers = loading_processes(dataset, fabric.device.type, fabric.world_size)

    def load(start: int, stop: int) -> Iterable[Batch]:
        return batches(dataset, task.batch_size, config.seed, start, stop, workers, task.rows)

    return task, dataset.provenance, load


def _on_generated_images(config: InversionConfig, fabric: Fabric, initial: Path | None) -> Parts:
    task = InversionTask(config, fabric, initial or find(config.generator))
    return task, task.provenance, task.batches
