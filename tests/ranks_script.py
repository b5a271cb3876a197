"""What each of two processes does for test_ranks.py: `python ranks_script.py JOBS.json`."""

import json
import sys
from pathlib import Path

import torch

from rpgan.datasets import load_dataset
from rpgan.images import to_float
from rpgan.overrides import from_dict
from rpgan.training import gan, train
from rpgan.training.batches import batches
from rpgan.training.gan import GanTask
from rpgan.training.machine import PRECISIONS, build_fabric


def in_float64() -> None:
    """Makes rounding, which Adam may blow up, far smaller than any mistake."""
    PRECISIONS["float64"] = "64-true"
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    gan.to_float = lambda images: to_float(images).double()


def steps(job: dict) -> None:
    """Trains without a run directory, and leaves weights and idle parameters of this process behind."""
    in_float64()
    config = from_dict(job["config"])
    fabric = build_fabric("float64", "cpu", devices=job["devices"])
    data = load_dataset(config.data, config.generator.image_shape, "train")
    task = GanTask(config, fabric, data)
    idle, losses = [], []
    loader = batches(data, task.batch_size, config.seed, 0, config.train.steps, rows=task.rows)
    for step, (images, labels) in enumerate(loader):
        found = task.update(step, images, labels)
        losses.append({key: float(fabric.all_reduce(value)) for key, value in found.items()})
        idle.append(sorted(name for name, p in task.raw.named_parameters() if p.grad is None))
    networks = {"generator": task.raw, "discriminator": task.discriminator.module}
    states = {name: network.state_dict() for name, network in networks.items()}
    out = f"{job['out']}.{fabric.global_rank}.pt"
    torch.save({**states, "idle": idle, "losses": losses, "images": len(images)}, out)


def run(job: dict) -> None:
    """Trains in a run directory."""
    in_float64()
    train(from_dict(job["config"]), Path(job["out"]), device="cpu", devices=job["devices"])


JOBS = {"steps": steps, "run": run}

if __name__ == "__main__":
    for job in json.loads(Path(sys.argv[1]).read_text()):
        JOBS[job["do"]](job)
