"""Where tensors live and are computed."""

import torch

from rpgan.errors import UserError


def find_device(name: str = "auto") -> torch.device:
    """Returns a device by its name; `auto` is a GPU of NVIDIA where there is one, else the CPU.

    CUDA_VISIBLE_DEVICES chooses among several GPUs. Raises UserError for any other name, and for a GPU where
    there is none.
    """
    gpu = torch.cuda.is_available() and torch.cuda.device_count() > 0
    known = ["auto", "cpu", *(["cuda"] if gpu else [])]
    if name not in known:
        why = ": torch finds no GPU, or is a build without CUDA" if name == "cuda" else ""
        raise UserError(f"device {name!r} is not here; expected {', '.join(known)}{why}")
    return torch.device("cpu" if name == "cpu" or not gpu else "cuda")
