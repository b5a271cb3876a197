"""The files of a folder or of a zip that is never unpacked: names, and bytes by name."""

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from rpgan.errors import UserError
from rpgan.files import DAMAGED_ZIP

LARGEST = 64 * 2**20  # bytes of one entry of a zip, unpacked


@dataclass(frozen=True)
class Entry:
    """One file: where it lies below the top, and what changes when the file does."""

    name: str  # relative, with forward slashes
    size: int  # bytes
    stamp: int  # checksum in a zip, modification time in a folder


@runtime_checkable
class Files(Protocol):
    """Files below one top, whatever holds them."""

    path: Path

    def entries(self) -> list[Entry]:
        """Lists the files in the order of their names, without hidden ones."""

    def read(self, name: str) -> bytes:
        """Returns a file's content, or raises UserError."""


class Folder:
    """A folder on disk, links followed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[Entry]:
        return sorted((e for e in self._walk() if not _hidden(e.name)), key=lambda e: e.name)

    def read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise UserError(
                f"cannot read {self.path / name}: {error.strerror}; expected an image: mend or remove it"
            ) from error

    def _walk(self) -> Iterator[Entry]:
        seen = {os.path.realpath(self.path)}  # a link to a folder above would not end
        for top, folders, files in os.walk(self.path, followlinks=True):
            folders[:] = [f for f in sorted(folders) if os.path.realpath(Path(top, f)) not in seen]
            seen.update(os.path.realpath(Path(top, f)) for f in folders)
            for file in files:
                path = Path(top, file)
                if path.is_file():
                    stat = path.stat()
                    yield Entry(path.relative_to(self.path).as_posix(), stat.st_size, stat.st_mtime_ns)


class Zip:
    """A zip file, read entry by entry into memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = -1
        self._open()

    def __getstate__(self) -> dict[str, object]:
        """Leaves the open file behind: a worker that was spawned opens its own."""
        return {"path": self.path, "_process": -1}

    def entries(self) -> list[Entry]:
        infos = [i for i in self._open().infolist() if not i.is_dir()]
        for info in infos:
            self._check_name(info.filename)
        entries = (Entry(i.filename, i.file_size, i.CRC) for i in infos if not _hidden(i.filename))
        return sorted(entries, key=lambda e: e.name)

    def read(self, name: str) -> bytes:
        archive = self._open()
        size = archive.getinfo(name).file_size
        if size > LARGEST:
            got = f"{name} in {self.path} has {size:,} bytes unpacked"
            raise UserError(f"{got}; expected at most {LARGEST:,}; remove or shrink it")
        try:
            with archive.open(name) as file:
                return file.read(size + 1)  # no more, whatever the compressed stream would give
        except DAMAGED_ZIP as error:
            raise UserError(f"cannot unpack {name} in {self.path} ({error}); make the zip again") from error

    def _open(self) -> zipfile.ZipFile:
        """Returns the archive, opened anew after a fork: two processes must not share a file position."""
        if self._process != os.getpid():
            try:
                self._archive = zipfile.ZipFile(self.path)
            except DAMAGED_ZIP as error:
                raise UserError(f"{self.path} is no readable zip ({error}); make it again") from error
            self._process = os.getpid()
        return self._archive

    def _check_name(self, name: str) -> None:
        parts = name.replace("\\", "/").split("/")
        if parts[0] == "" or parts[0].endswith(":") or ".." in parts:
            raise UserError(f"{self.path} has an entry {name!r}, which leads outside; make the zip again")


def open_files(path: Path) -> Files:
    """Opens a folder or a zip; UserError for anything else."""
    if path.is_dir():
        return Folder(path)
    if path.is_file() and path.suffix.lower() == ".zip":
        return Zip(path)
    got = "is neither" if path.exists() else "does not exist"
    raise UserError(f"{path} {got}; expected a folder or a .zip of images")


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
