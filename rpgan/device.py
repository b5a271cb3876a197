"""Where tensors live and are computed."""

import torch

from rpgan.errors import UserError

DEVICES = ("auto", "cpu", "cuda")


def find_device(name: str = "auto") -> torch.device:
    """Returns a device by its name; `auto` is a GPU of NVIDIA where there is one, else the CPU.

    CUDA_VISIBLE_DEVICES chooses among several GPUs. Raises UserError for any other name, and for a GPU where
    there is none.
    """
    if name not in DEVICES:
        raise UserError(f"device {name!r}; expected one of {', '.join(DEVICES)}")
    gpu = torch.cuda.is_available() and torch.cuda.device_count() > 0
    if name == "cuda" and not gpu:
        raise UserError(
            "device 'cuda' is not here; expected auto, cpu: torch finds no GPU, or is a build without CUDA"
        )
    return torch.device("cpu" if name == "cpu" or not gpu else "cuda")
