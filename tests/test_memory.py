"""Memory: what is computed beforehand is what a run takes."""

import json
import os
import subprocess
import sys

import pytest

from rpgan.config import GanConfig
from rpgan.memory import inversion_memory, reading_memory, sampling_memory, training_memory
from rpgan.models.generator import build_generator
from rpgan.models.inverter import build_inverter
from rpgan.overrides import override, to_dict
from rpgan.presets import resolve

GIB = 2**30
# Memory freed goes back to the system at once, so that the resident size shows what is in use.
AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
MEASURE = """
import json, resource, sys
import numpy as np
import torch
from lightning_fabric import Fabric
from rpgan.overrides import from_dict, override
from rpgan.datasets.memory import MemoryImages
from rpgan.models.generator import build_generator, render
from rpgan.training.gan import GanTask

torch.set_num_threads(1)
config = from_dict(json.loads(sys.argv[1]))
fabric = Fabric(accelerator="cpu", devices=1, precision=sys.argv[3])
noise = np.zeros((64, *config.generator.image_shape), np.uint8)
data = MemoryImages(noise, torch.zeros(64, dtype=torch.int64), ("none",), "noise")

def train(config, steps):
    task = GanTask(config, fabric, data)
    images = data.__getitems__(list(range(task.batch_size)))
    for step in range(steps):
        task.update(step, *images)

def sample(config, n):
    generator = build_generator(config.generator)
    render(generator, generator.sample_paths(n, torch.Generator()))

run = {"train": train, "sample": sample}[sys.argv[2]]
run(override(config, {"generator.widths": [4] * 4, "discriminator.widths": [4] * 4}), 2)
pages = int(open("/proc/self/statm").read().split()[1])
run(config, {"train": 2, "sample": 128}[sys.argv[2]])
# Not getrusage: its peak also counts the process that started this one.
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak) * 1024 - pages * resource.getpagesize())
"""
SMALL = {
    "generator.widths": (96,) * 4,
    "generator.bucket_sizes": (8,) * 5,
    "discriminator.widths": (64,) * 4,
    "train.batch_size": 24,
    "train.d_steps": 2,
    "train.features": "pixels",
}


def measured(config: GanConfig, what: str, precision: str = "32-true") -> int:
    command = [sys.executable, "-c", MEASURE, json.dumps(to_dict(config)), what, precision]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **AT_ONCE})
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


LINUX = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc, which Linux has")


@LINUX
@pytest.mark.parametrize(
    ("precision", "changes"),
    [("float32", {}), ("float32", {"train.ema": 0.99, "train.batch_size": 8}), ("bfloat16", {})],
)
def test_training_takes_what_was_computed(precision, changes):
    config = resolve("cifar10-rpgan", "paper", SMALL | changes)
    mode = {"float32": "32-true", "bfloat16": "bf16-mixed"}[precision]
    expected = training_memory(config, precision).peak
    assert measured(config, "train", mode) == pytest.approx(expected, rel=0.2)


@LINUX
def test_sampling_takes_what_was_computed():
    config = resolve("cifar10-rpgan", "paper", SMALL)
    assert measured(config, "sample") == pytest.approx(sampling_memory(config.generator).peak, rel=0.2)


@pytest.mark.parametrize("name", ["cifar10-rpgan", "cifar10-gan"])
def test_weights_are_counted_as_they_are_built(name):
    config = resolve(name, "smoke")
    built = build_generator(config.generator)
    expected = 4 * sum(t.numel() for t in (*built.parameters(), *built.buffers()))
    assert training_memory(config).kept["weights of the generator"] == expected


def test_the_largest_model_of_the_paper_is_computed_without_being_built():
    memory = sampling_memory(resolve("lsun-rpgan", "paper").generator)
    assert memory.kept["weights"] == pytest.approx(4 * 733.2e6, rel=1e-3)


def test_the_run_of_cifar10_fits_in_8_gib():
    memory = training_memory(resolve("cifar10-rpgan", "paper"))
    assert memory.peak < 8 * GIB and f"{memory.peak / GIB:.2f} GiB" in memory.line()
    assert memory.table().count("GiB") == len(memory.kept) + len(memory.phases) + 1


def test_an_average_and_a_larger_batch_take_more():
    config = resolve("mnist-rpgan", "smoke")
    plain, averaged, larger = (
        training_memory(override(config, changes))
        for changes in ({}, {"train.ema": 0.9}, {"train.batch_size": 8})
    )
    assert averaged.peak - plain.peak == averaged.kept["averaged generator"]
    assert all(larger.phases[phase] > plain.phases[phase] for phase in plain.phases)


def test_path_classifiers_are_counted_with_the_generator_that_makes_their_images():
    config, generator = resolve("mnist-inversion", "smoke"), resolve("mnist-rpgan", "smoke").generator
    memory = inversion_memory(config, generator)
    networks = build_generator(generator), build_inverter(config)
    weights = [4 * sum(t.numel() for t in (*n.parameters(), *n.buffers())) for n in networks]
    assert memory.kept["weights of the generator"] == weights[0]
    assert memory.kept["weights of the classifiers"] == weights[1] == reading_memory(config).kept["weights"]
    larger = inversion_memory(override(config, {"train.batch_size": 8}), generator)
    shared = inversion_memory(override(config, {"shared": True}), generator)
    learns = [m.phases["the classifiers learn"] for m in (shared, memory, larger)]
    assert learns == sorted(set(learns)), "one trunk for all takes less, a larger batch more"


def test_a_gpu_holds_copies_of_the_weights_that_are_stacked():
    config = resolve("mnist-rpgan", "smoke")
    on_cpu, on_gpu = (training_memory(config, device=device).phases for device in ("cpu", "cuda"))
    more = {what: on_gpu[what] - size for what, size in on_cpu.items()}
    rows = config.train.batch_size * config.train.d_steps
    buckets = [b for b in build_generator(config.generator).buckets if len(b) > 1]
    copies = [4 * sum(p.numel() for p in bucket.instances[0].parameters()) for bucket in buckets]
    assert more["the generator makes images"] == rows * max(copies)
    assert more["the discriminator learns"] == 0
    assert more["the generator learns"] == config.train.batch_size * (sum(copies) + max(copies))


def test_large_weights_are_not_copied_row_by_row_on_a_gpu():
    config = resolve("lsun-rpgan", "paper").generator
    assert sampling_memory(config, device="cuda").peak < 1.5 * sampling_memory(config).peak
