"""The command line: `rpgan`, also `python -m rpgan`.

Nothing heavy is imported before a command needs it, so that `rpgan --help` answers at once.
"""

import re
import shlex
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any, NoReturn

import typer

from rpgan.cli import documents, machines, measures, networks
from rpgan.errors import UserError

app = typer.Typer(
    help="Random Path GAN: train, sample, run the notebooks, build the book.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
COMMANDS: dict[str, Callable[..., None]] = {
    "train": networks.train_command,
    "sample": networks.sample_command,
    "grid": networks.grid_command,
    "export": networks.export_command,
    "curve": networks.curve_command,
    "convert": networks.convert_command,
    "models": networks.models_command,
    "evaluate": measures.evaluate_command,
    "reference": measures.reference_command,
    "data": measures.data_command,
    "sweep": machines.sweep_command,
    "benchmark": machines.benchmark_command,
    "memory": machines.memory_command,
    "run": documents.run_command,
    "book": documents.book_command,
    "stamp": documents.stamp_command,
}
for name, command in COMMANDS.items():
    app.command(name)(command)

# Typer brings a copy of click or imports it, depending on its version: the base of its own error is either's.
USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
OPTIONAL = ("papermill", "nbformat", "jupyter_book", "ipywidgets", "ray")  # modules of the extras
INTERRUPTED = 130  # exit status after Ctrl-C


def main() -> None:
    """Runs the command line; a user's mistake is one line on stderr and exit status 2."""
    try:
        status = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
    except UserError as error:
        _stop(str(error), 2)
    except USAGE_ERROR as error:
        _stop(_describe_usage(error), 2)
    except ModuleNotFoundError as error:
        _stop(_describe_missing(error), 2)
    except OSError as error:
        _stop(f"{error}; check the path, its permissions and the space on the disk", 2)
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        _stop("there is not enough memory; take fewer images, a smaller batch or another device", 2)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        _stop("interrupted; the same command again continues a training", INTERRUPTED)
    sys.exit(status)


def _stop(message: str, status: int) -> NoReturn:
    print(f"rpgan: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)


def _is_of_memory(error: Exception) -> bool:
    # PyTorch has an exception of its own on a GPU, and a bare RuntimeError on a CPU.
    return isinstance(error, MemoryError) or "allocate" in str(error)


def _describe_missing(error: ModuleNotFoundError) -> str:
    """Names the requirement that brings a module; raises the error again where none is known to.

    That alone, since a whole extra with its constraints would exchange the PyTorch of Colab or conda.
    """
    module = (error.name or "").partition(".")[0]
    if module not in OPTIONAL:
        raise error
    wanted = (needed.partition(";")[0].strip() for needed in metadata.requires("rpgan") or ())
    package = module.replace("_", "-")
    found = next((needed for needed in wanted if re.match(rf"{package}\b(?!-)", needed)), package)
    return f"{module} is not installed; pip install '{found}'"


def _describe_usage(error: Any) -> str:
    command = error.ctx.command_path if error.ctx else "rpgan"
    got = shlex.join(sys.argv[1:])
    return f"got {got}: {error.format_message().rstrip('.')}; see {command} --help"
