"""A sweep of two short trials on a Ray instance of this machine: `python ray_script.py POINTS.yml [kill]`.

With `kill`, the worker that trains is killed once, as soon as it has saved a state.
"""

import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

from rpgan.places import build_root
from rpgan.sweep import read_sweep, run_sweep
from rpgan.sweep.cluster import on_ray


def kill_worker() -> None:
    """Kills the process that writes the first run directory with a state; its log's name ends in its id."""
    while not (states := list((build_root() / "runs" / "trials").glob("*/state.pt"))):
        time.sleep(0.05)
    [events] = states[0].parent.glob("events.out.tfevents.*")
    os.kill(int(events.name.split(".")[-2]), signal.SIGKILL)


if __name__ == "__main__":
    if "kill" in sys.argv:
        threading.Thread(target=kill_worker, daemon=True).start()
    run_sweep(read_sweep(Path(sys.argv[1])), "smoke", runner=partial(on_ray, address="local", retries=2))
