"""Files and directories that are there whole or not at all, whatever ends the process that writes them."""

import lzma
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

PART = ".part"  # ends the names of files that are being written
# What `zipfile` and its decompressors raise for a damaged archive; a ValueError for a name in no encoding.
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a hidden name beside `path` to write to, which takes the place of `path` once all went well.

    Missing folders are made. An exception leaves `path` as it was and nothing beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid4().hex[:8]}{PART}")  # two processes may write the same file
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def exchange(new: Path, place: Path) -> None:
    """Puts a directory in the place of another, if any, which stays until the new one is whole."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def taken_away(path: Path) -> Iterator[None]:
    """Removes a file, so that after a kill it does not pass for a new one; an exception brings it back."""
    earlier = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    try:
        yield
    except BaseException:
        if earlier is not None:
            with replacing(path) as aside:
                aside.write_bytes(earlier)
        raise
