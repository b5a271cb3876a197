"""Trials of a sweep as tasks of a Ray cluster."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rpgan.errors import UserError
from rpgan.sweep.run import Outcome, describe
from rpgan.sweep.trial import Trial, run_trial

# What a trial reads of its surroundings: workers get the values of the process that starts the sweep.
FOLDERS = {"RPGAN_DATA", "RPGAN_BUILD"}  # absolute there: workers run in other directories
FORWARDED = (*FOLDERS, "OMP_NUM_THREADS")


def on_ray(
    trials: Sequence[Trial],
    address: str = "local",
    *,
    device: str = "auto",
    gpus: float | None = None,
    cpus: float = 1,
    retries: int = 3,
) -> Iterator[Outcome]:
    """Runs trials as Ray tasks and yields each as it ends.

    `address` is "local" for a Ray instance of this machine, "auto" for the cluster it belongs to, or
    HOST:PORT. A task whose worker or machine is lost starts again, up to `retries` times, and goes on from
    the last saved state; run directories must therefore lie on a file system that all machines share. `gpus`
    a trial may be a fraction; one by default where the cluster has any, none for the device "cpu". Raises
    UserError without Ray, without the cluster, for a trial that fits none of its machines, and for "cuda"
    without a GPU.
    """
    ray = _connected(address)
    try:
        if gpus is None:
            gpus = 1 if device != "cpu" and ray.cluster_resources().get("GPU") else 0
        if device == "cuda" and not gpus:
            raise UserError("device cuda and no GPU for a trial; expected some in the cluster: --device cpu")
        _refuse_what_never_fits(ray, {"CPU": cpus, "GPU": gpus})
        place = device if gpus else "cpu"
        task = ray.remote(run_trial).options(num_cpus=cpus, num_gpus=gpus, max_retries=retries)
        waiting = {task.remote(trial, place): trial for trial in trials}
        while waiting:
            [done], _ = ray.wait(list(waiting), num_returns=1)
            trial = waiting.pop(done)
            yield Outcome(trial, _error_of(ray, done))
    finally:
        ray.shutdown()


def _connected(address: str) -> Any:
    import ray  # where it is missing, the command line names the extra that brings it

    variables = {name: os.environ[name] for name in FORWARDED if name in os.environ}
    for name in FOLDERS & variables.keys():
        variables[name] = str(Path(variables[name]).expanduser().absolute())
    dashboard = False if address == "local" else None  # a cluster has its own, or none
    try:
        ray.init(
            address,
            runtime_env={"env_vars": variables},
            log_to_driver=False,
            include_dashboard=dashboard,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"no Ray cluster at {address!r} ({error}); expected local, auto or HOST:PORT of ray start --head"
        ) from None
    return ray


def _refuse_what_never_fits(ray: Any, wanted: dict[str, float]) -> None:
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(has.get(name, 0) >= amount for name, amount in wanted.items()) for has in machines):
        each = "; ".join(_listed({name: has.get(name, 0) for name in wanted}) for has in machines)
        raise UserError(f"a trial wants {_listed(wanted)}; expected at most what one machine has: {each}")


def _listed(resources: dict[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in resources.items())


def _error_of(ray: Any, done: Any) -> str:
    try:
        ray.get(done)
    except ray.exceptions.RayTaskError as error:
        return describe(error.cause)
    except ray.exceptions.RayError as error:
        return f"lost after all retries ({type(error).__name__})"
    return ""
