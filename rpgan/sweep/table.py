"""The table of a sweep: its rows on disk, as text, and as chapters read it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rpgan.errors import UserError
from rpgan.places import home
from rpgan.results import save
from rpgan.row import Row
from rpgan.sweep.points import Sweep, find_sweep, plan
from rpgan.sweep.trial import Trial, read_row, row_of

FORMAT = 1


@dataclass(frozen=True)
class Table:
    """Rows of the trials that are finished."""

    sweep: str
    profile: str
    points: int  # trials that the sweep has in all
    rows: tuple[Row, ...]


def read_table(name: str, profile: str) -> Table:
    """Returns published rows, and for what they lack those of trials on this disk; possibly none.

    A row serves only if it was trained and scored exactly as the sweep says today.
    """
    trials = plan(find_sweep(name), profile)
    published = published_rows(name, profile)
    rows = [row for trial in trials if (row := published.get(trial.digest) or read_row(trial))]
    return Table(name, profile, len(trials), tuple(rows))


def collect(sweep: Sweep, profile: str, trials: Sequence[Trial]) -> Table:
    """Returns the table of the trials on this disk."""
    rows = [row for trial in trials if (row := read_row(trial))]
    return Table(sweep.name, profile, len(trials), tuple(rows))


def published_path(name: str, profile: str) -> Path:
    """Returns the committed file of a sweep, which chapters read."""
    return home() / "data" / "results" / (f"{name}.json" if profile == "book" else f"{name}-{profile}.json")


def table_path(name: str, trials: Sequence[Trial]) -> Path:
    """Returns the file that a sweep writes as it goes."""
    return trials[0].directory.parents[1] / "sweeps" / f"{name}.json"


def save_table(table: Table, path: Path) -> None:
    """Writes a table aside and renames it."""
    save(path, {"format": FORMAT, **asdict(table)})


def publish(sweep: Sweep, table: Table) -> Path:
    """Writes the published file of a sweep: a table's rows, and those published before that it lacks.

    So that machines without a common disk can share a sweep. Rows of another protocol are dropped.
    """
    rows = published_rows(sweep.name, table.profile) | {row.digest: row for row in table.rows}
    trials, path = plan(sweep, table.profile), published_path(sweep.name, table.profile)
    kept = tuple(rows[trial.digest] for trial in trials if trial.digest in rows)
    save_table(replace(table, rows=kept), path)
    return path


def published_rows(name: str, profile: str) -> dict[str, Row]:
    """Returns the published rows of a sweep by their digests; none where nothing was published.

    Raises UserError for a file that is no table.
    """
    path = published_path(name, profile)
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise UserError(f"format {document['format']}, expected {FORMAT}")
        return {row.digest: row for row in map(row_of, document["rows"])}
    except (OSError, KeyError, TypeError, ValueError) as error:  # UserError is one of the last
        raise UserError(f"{path} is not a table of a sweep ({error}); restore it") from None


def lines(table: Table) -> list[str]:
    """Returns a table as aligned lines of text, one for each finished trial."""
    header = ("experiment", "overrides", "step", "selected by", "final", "", "minutes")
    rows = [header, *(_cells(row) for row in table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    return ["  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(row: Row) -> tuple[str, ...]:
    settings = " ".join(_assignments(row))
    first = row.final[0]
    return (
        row.experiment,
        settings,
        f"{row.selected['step']:,}",
        f"{row.selected['value']:.4g}",
        f"{first['value']:.4g}",
        f"{first['name']}, n = {first['n']:,}",
        f"{row.seconds / 60:.1f}",
    )


def _assignments(row: Row) -> Iterable[str]:
    return (f"{key.rpartition('.')[2]}={value}".replace(" ", "") for key, value in row.overrides.items())
