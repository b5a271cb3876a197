"""A trained generator for a chapter: a committed checkpoint that fits, else a run made or continued."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rpgan.checkpoint import load_generator, satisfies
from rpgan.config import Config, to_dict
from rpgan.models.generator import RandomPathGenerator
from rpgan.presets import resolve
from rpgan.results import build_root, check_profile, runs_root
from rpgan.training import train


def obtain_generator(
    experiment: str,
    profile: str,
    changes: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
) -> RandomPathGenerator:
    """Returns the generator of an experiment under a profile, in eval mode on the device.

    A committed checkpoint serves only if its card holds exactly the resolved config, so that a `paper` run
    never takes a small model silently. Otherwise the experiment is trained, or an earlier run of it resumed.
    """
    config = resolve(experiment, profile, changes)
    if satisfies(experiment, config):
        return load_generator(experiment).to(device)
    best = train(config, run_directory(config, profile, changes), device=torch.device(device).type)
    return load_generator(best).to(device)


def run_directory(config: Config, profile: str, changes: Mapping[str, Any] | None = None) -> Path:
    """Where an experiment is trained: `runs/PROFILE/NAME`, with a suffix where settings were changed.

    Smoke runs take seconds and go to `_build`.
    """
    digest = hashlib.sha256(json.dumps(to_dict(config)).encode()).hexdigest()[:8]
    name = f"{config.name}-{digest}" if changes or profile == "smoke" else config.name
    return (build_root() / "runs" if check_profile(profile) == "smoke" else runs_root() / profile) / name
