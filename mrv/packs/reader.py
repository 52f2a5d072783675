"""
A pack, or a statement alone, read from a folder or a file.

Documents are read, after their values were counted; tables are hashed, and read once they
are asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ingest import classes
from ingest.errors import InputError
from mrv.errors import PackTooLargeError
from mrv.packs import merged_readings as merged
from mrv.packs import tables
from mrv.packs.budget import MOST_FILES, USUAL, Budget, check_numbers, too_much, weight
from mrv.packs.pack import (
    APPROVALS,
    DEAD_LETTERS,
    DOCUMENTS,
    FINDINGS,
    INTERVALS,
    MANIFEST_RECEIPT,
    READINGS,
    RECEIPT,
    SAMPLING,
    STATEMENT,
    TIMESTAMPS,
    VERIFICATION,
    Pack,
    Table,
)

_READ = {
    STATEMENT, VERIFICATION, FINDINGS, SAMPLING, APPROVALS, RECEIPT, MANIFEST_RECEIPT, TIMESTAMPS,
    *DOCUMENTS,
}  # fmt: skip


def read_pack(path: Path | str, budget: Budget = USUAL) -> Pack:
    """
    Read an evidence pack, or a statement alone.

    Parameters
    ----------
    budget : Budget
        How much of it is read.

    Raises
    ------
    InputError
        If the path is neither a folder with a statement nor a file, or its documents are more
        than are read.
    """
    path = Path(path)
    if path.is_file():
        data = read_file(path, budget)
        if not data.lstrip().startswith(b"{"):
            raise InputError(f"{path} is no statement: it is not a JSON object")
        return Pack({STATEMENT: data}, budget=budget)
    if not (path / STATEMENT).is_file():
        raise InputError(
            f"{path} is no evidence pack: it has no {STATEMENT};"
            " give a folder that `tonne statement export` made, or a statement's file"
        )
    found = _FolderContents(budget)
    for file in _files(path):
        name = file.relative_to(path).as_posix()
        try:
            found.take(name, file)
        except PackTooLargeError:
            raise
        except InputError as error:
            found.damaged[name] = str(error)
    return Pack(
        found.files, found.readings, found.intervals, found.damaged, found.hashes, found.letters,
        budget,
    )  # fmt: skip


@dataclass
class _FolderContents:
    """What stands in a folder, read as far as it belongs to a pack."""

    budget: Budget
    files: dict[str, bytes] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    readings: dict[str, merged.Readings] = field(default_factory=dict)
    intervals: Callable[[], Table] | None = None
    letters: Callable[[], None] | None = None
    damaged: dict[str, str] = field(default_factory=dict)
    weight: int = 0

    def take(self, name: str, file: Path) -> None:
        """Read a file; InputError if it cannot be what its name says."""
        self.hashes[name] = ""  # no file that was written hashes to this
        budget = self.budget
        folder, _, stem = name.removesuffix(".parquet").rpartition("/")
        if name in _READ:
            data = read_file(file, budget, self.weight)
            self.weight += weight(data)
            self.files[name] = data
        elif name == f"{INTERVALS}.parquet":
            rows = tables.IntervalsFile(file, budget.interval_rows)
            rows.check()
            self.intervals = rows.read
        elif (class_id := _class_of(folder, stem)) and name.endswith(".parquet"):
            opened = tables.ReadingsFile(
                file, class_id, archived=folder != READINGS, most_values=budget.device_values
            )
            self.readings.setdefault(class_id, merged.Readings(budget)).files.append(opened)
        elif name == f"{DEAD_LETTERS}.parquet":
            letters = tables.LettersFile(file, budget.letter_rows)
            letters.check()
            self.letters = letters.read
        else:
            return  # the manifest does not list it, whatever it holds
        with file.open("rb") as source:
            self.hashes[name] = hashlib.file_digest(source, "sha256").hexdigest()


def _class_of(folder: str, stem: str) -> str | None:
    """Class of a file of readings: `readings/CLASS`, or the archive's own in `readings/CLASS/`."""
    name = stem if folder == READINGS else folder.removeprefix(f"{READINGS}/")
    inside = folder in {READINGS, f"{READINGS}/{name}"}
    return name if inside and name in classes.load() else None


def _files(path: Path) -> list[Path]:
    """All files below a folder, none of which is a way out of it."""
    found = []
    for file in path.rglob("*"):
        if file.is_symlink() or not (file.is_file() or file.is_dir()):
            raise InputError(f"{file} is no file but a link or a device; a pack holds files only")
        if file.is_file():
            found.append(file)
        if len(found) > MOST_FILES:
            raise InputError(f"{path} holds more than {MOST_FILES} files; it is no evidence pack")
    return sorted(found)


def is_part_of(file: Path | str, pack: Path | str) -> bool:
    """Whether a file came with a pack: it stands in its folder, by whatever name or link."""
    place = Path(pack)
    return place.is_dir() and Path(file).resolve().is_relative_to(place.resolve())


def read_file(file: Path | str, budget: Budget = USUAL, taken: int = 0) -> bytes:
    """
    Bytes of a document.

    Parameters
    ----------
    taken : int
        Memory that other documents take already, of the budget's.

    Raises
    ------
    InputError
        If it would take more memory than is left when it is read, or holds a number that is
        longer than any.
    """
    file = Path(file)
    size = file.stat().st_size
    # a pipe tells no size, and a device has no end
    most = (size if file.is_file() else budget.documents) + 1
    data = b""
    if size <= budget.documents:
        with file.open("rb") as source:
            data = source.read(most)
    needed = max(size, weight(data)) + taken
    if needed > budget.documents:
        raise too_much("bytes of memory that documents take", needed, budget.documents)
    check_numbers(data)
    return data
