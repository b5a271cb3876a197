"""Running the trials of a sweep: here, one after the other, or wherever a cluster puts them."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from rpgan.errors import UserError
from rpgan.sweep.points import Sweep, find_sweep, plan
from rpgan.sweep.table import (
    Table,
    collect,
    lines,
    published_rows,
    read_table,
    save_table,
    table_path,
)
from rpgan.sweep.trial import Trial, run_trial


class Outcome(NamedTuple):
    """A trial that came to an end, and what went wrong with it, or nothing."""

    trial: Trial
    error: str = ""


def describe(error: BaseException) -> str:
    """What went wrong, in a line; the type too, where the message is not written for users."""
    text = " ".join(str(error).split())[:500]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"


Runner = Callable[[Sequence[Trial]], Iterable[Outcome]]


def in_this_process(trials: Sequence[Trial], device: str = "auto") -> Iterator[Outcome]:
    """Runs trials one after the other; one that fails does not keep the others from running."""
    for trial in trials:
        try:
            run_trial(trial, device)
        except Exception as error:  # out of memory at one size is no reason to lose the others
            yield Outcome(trial, describe(error))
        else:
            yield Outcome(trial)


def run_sweep(
    sweep: Sweep,
    profile: str,
    *,
    shard: tuple[int, int] = (0, 1),
    runner: Runner = in_this_process,
    report: Callable[[str], None] = print,
    known: Container[str] = (),
) -> Table:
    """Runs the trials of a sweep, or every k-th from the i-th on for the shard (i, k); returns all rows.

    The table is written after every trial. Interrupted trials are resumed, finished ones skipped, and those
    whose digest is `known`, since their rows are kept elsewhere. Raises UserError for a shard that does not
    exist, and at the end if trials failed.
    """
    part, parts = shard
    if not 0 <= part < parts:
        raise UserError(f"shard {part}/{parts}; expected I/K with I from 0 to K - 1, e.g. 0/2 and 1/2")
    trials = plan(sweep, profile)
    own = [trial for trial in trials[part::parts] if trial.digest not in known]
    path, failures = table_path(sweep.name, trials), []
    for trial, error in runner(own):
        table = collect(sweep, profile, trials)
        save_table(table, path)
        failures += [f"{trial.directory.name}: {error}"] if error else []
        report(f"{sweep.name}: {len(table.rows)} of {table.points} trials; {path}")
        report("\n".join(lines(table)) if table.rows else f"{trial.directory.name}: {error}")
    if failures:
        raise UserError(f"{len(failures)} of {len(own)} trials failed: {'; '.join(failures)}")
    return collect(sweep, profile, trials)


def obtain_sweep(name: str, profile: str, device: str = "cpu") -> Table:
    """Returns the table of a sweep; rows that are missing are trained here, but under `book`.

    There a sweep takes hours of CPU cores, so that a chapter never begins one by itself: it may be empty.
    """
    table = read_table(name, profile)
    if profile == "book" or len(table.rows) == table.points:
        return table
    runner = partial(in_this_process, device=device)
    run_sweep(find_sweep(name), profile, runner=runner, known=published_rows(name, profile))
    return read_table(name, profile)
