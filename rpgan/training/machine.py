"""The machine a run happens on: device, precision, and a description for the card."""

import os
from pathlib import Path

import torch
from lightning_fabric import Fabric

from rpgan import __version__
from rpgan.device import find_device
from rpgan.errors import UserError
from rpgan.results import processor, versions
from rpgan.training.ranks import Averaging

PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}
NAMED = ("torch", "torchvision", "lightning-fabric", "numpy")


def build_fabric(precision: str, device: str, directory: Path | None = None, devices: int = 1) -> Fabric:
    """Builds the Fabric of this process, and where it is to have several devices starts the others.

    The device is one of `find_device`'s names. The other processes run the same command from its beginning.

    Precision `auto` is bfloat16 autocast on a GPU and on CPUs with bfloat16 instructions (AMX or AVX-512),
    where it was measured to be faster; elsewhere float32, whose convolutions recent GPUs run in TF32.
    """
    from lightning_fabric.loggers import Logger, TensorBoardLogger

    device = find_device(device).type
    _check_devices(device, devices)
    if precision == "auto":
        precision = "bfloat16" if _has_fast_bfloat16(device) else "float32"
    if precision not in PRECISIONS:
        raise UserError(f"precision {precision!r}; expected auto or one of {', '.join(PRECISIONS)}")
    loggers: list[Logger] = [TensorBoardLogger(directory, name="", version="")] if directory else []
    strategy = "auto" if devices == 1 else Averaging()
    fabric = Fabric(
        accelerator=device,
        strategy=strategy,
        devices=devices,
        precision=PRECISIONS[precision],  # type: ignore[arg-type]
        loggers=loggers,
    )
    if devices > 1:
        fabric.launch()
    return fabric


def _check_devices(device: str, devices: int) -> None:
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if devices < 1 or (device == "cuda" and devices > gpus):
        most = f"at most {gpus} GPUs" if device == "cuda" else "at least 1"
        raise UserError(f"{devices} devices of kind {device!r}; expected {most}")


def _has_fast_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def describe_versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    return {"rpgan": __version__} | versions(*NAMED)


def describe_machine(fabric: Fabric) -> dict[str, str | int]:
    """Device, processor, threads and precision of a run."""
    on_gpu = fabric.device.type == "cuda"
    several: dict[str, str | int] = {"devices": fabric.world_size} if fabric.world_size > 1 else {}
    return several | {
        "device": fabric.device.type,
        "processor": torch.cuda.get_device_name(fabric.device) if on_gpu else processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "precision": fabric.strategy.precision.precision,
    }
