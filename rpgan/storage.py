"""Tensors as a checkpoint stores them: their types, and the table that may stand for a first bucket."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rpgan.config import Config, GanConfig
from rpgan.errors import UserError
from rpgan.models.generator import RandomPathGenerator
from rpgan.overrides import flatten

DTYPES = {"float32": torch.float32, "float16": torch.float16}
FIRST_BUCKET = ("instances", "table")
LARGEST = 2**30  # weights that a table may stand for


def stored(model: nn.Module, dtype: str, first_bucket: str) -> dict[str, Tensor]:
    """Returns the tensors of a model as they are written; raises UserError for another kind of storage."""
    if dtype not in DTYPES or first_bucket not in FIRST_BUCKET:
        raise UserError(
            f"storage {dtype}, {first_bucket}; expected {' or '.join(DTYPES)}, {' or '.join(FIRST_BUCKET)}"
        )
    state = model.state_dict()
    if first_bucket == "table":
        state = _with_table(model, state)
    return {key: _as_stored(key, value, DTYPES[dtype]) for key, value in state.items()}


def _as_stored(key: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    # BatchNorm's running variance may exceed what float16 can hold, and costs nothing.
    half = value.is_floating_point() and "running_" not in key
    stored = value.detach().cpu().to(dtype if half else value.dtype).contiguous()
    if stored.is_floating_point() and not stored.isfinite().all():
        raise UserError(
            f"{key} is not finite as {stored.dtype}; expected finite weights, or take dtype float32"
        )
    return stored


def fill(build: Callable[[], Any], config: Config, state: dict[str, Tensor], name: str | Path) -> Any:
    """Builds a model around stored tensors, in eval mode and float32.

    Raises UserError where they do not fit its config. Before they do, memory is taken only for what the file
    really holds, whatever the card of a stranger says.
    """
    try:
        _check_amounts(config, state)
        with torch.device("meta"):
            model = build()
        if "buckets.0.table" in state:
            state = _without_table(model, state)
        wanted = {key: value.dtype for key, value in model.state_dict().items()}
        typed = {k: v.to(wanted[k], copy=True) if k in wanted else v for k, v in state.items()}
        model.load_state_dict(typed, assign=True)
    except UserError as error:
        raise UserError(
            f"the card of {name} describes no network: {error}; restore the card, or train anew"
        ) from None
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        reason = " ".join(str(error).split())[:500]
        raise UserError(
            f"the weights of {name} do not fit its card: {reason}; restore both, or train anew"
        ) from None
    return model.eval()


def _check_amounts(config: Config, state: dict[str, Tensor]) -> None:
    """Raises ValueError for a config that has more parts than the file has tensors, before any is built."""
    sizes = config.generator.bucket_sizes if isinstance(config, GanConfig) else ()
    if "buckets.0.table" in state and sizes:
        _check_table(state["buckets.0.table"], sizes[0], state.get("latent"))
        sizes = sizes[1:]
    longest = max(len(value) for value in flatten(config).values() if isinstance(value, tuple))
    if max(sum(sizes), longest) > len(state):
        raise ValueError(f"{max(sum(sizes), longest):,} parts of a network, {len(state):,} tensors")


def _check_table(table: Tensor, rows: int, latent: Tensor | None) -> None:
    width = 0 if latent is None else latent.numel()
    if table.ndim != 2 or len(table) != rows or not 0 < table.numel() * width <= LARGEST:
        raise ValueError(f"a table of shape {tuple(table.shape)} for {rows:,} instances and {width:,} inputs")


@torch.no_grad()
def _with_table(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    instances = model.buckets[0].instances if isinstance(model, RandomPathGenerator) else nn.ModuleList()
    latent = getattr(model, "latent", None)
    if latent is None or not all(isinstance(instance, nn.Linear) for instance in instances):
        raise UserError("first_bucket 'table' needs a constant Z and linear instances; take 'instances'")
    table = torch.cat([instance(latent) for instance in instances])
    return {k: v for k, v in state.items() if not k.startswith("buckets.0.")} | {"buckets.0.table": table}


def _without_table(model: RandomPathGenerator, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Makes each row of the table the bias of an instance of zero weight: the same activations and class."""
    table = state["buckets.0.table"]
    rest = {k: v for k, v in state.items() if k != "buckets.0.table"}
    weight = torch.zeros(model.state_dict()["buckets.0.instances.0.weight"].shape)
    for i, row in enumerate(table):
        rest |= {f"buckets.0.instances.{i}.weight": weight, f"buckets.0.instances.{i}.bias": row}
    return rest
