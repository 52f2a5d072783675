"""A pack, or a statement alone, read from a folder or a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from ingest import classes
from ingest.errors import InputError
from mrv.packs import merged_readings as merged
from mrv.packs import tables
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
# a year of days of some classes and sites, as the archive has them
MOST_FILES = 20_000
_MOST_BYTES = 256 * 1024 * 1024


def read_pack(path: Path | str) -> Pack:
    """
    Read an evidence pack, or a statement alone.

    Raises
    ------
    InputError
        If the path is neither a folder with a statement nor a file.
    """
    path = Path(path)
    if path.is_file():
        data = read_file(path)
        if not data.lstrip().startswith(b"{"):
            raise InputError(f"{path} is no statement: it is not a JSON object")
        return Pack({STATEMENT: data})
    if not (path / STATEMENT).is_file():
        raise InputError(
            f"{path} is no evidence pack: it has no {STATEMENT};"
            " give a folder that `tonne statement export` made, or a statement's file"
        )
    found = _FolderContents()
    for file in _files(path):
        name = file.relative_to(path).as_posix()
        try:
            found.take(name, file)
        except InputError as error:
            found.damaged[name] = str(error)
    return Pack(found.files, found.readings, found.intervals, found.damaged, found.hashes)


@dataclass
class _FolderContents:
    """What stands in a folder, read as far as it belongs to a pack."""

    files: dict[str, bytes] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    readings: dict[str, merged.Readings] = field(default_factory=dict)
    intervals: Table | None = None
    damaged: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, file: Path) -> None:
        """Read a file; InputError if it cannot be what its name says."""
        self.hashes[name] = ""  # no file that was written hashes to this
        folder, _, stem = name.removesuffix(".parquet").rpartition("/")
        if name in _READ:
            self.files[name] = read_file(file)
        elif name == f"{INTERVALS}.parquet":
            self.intervals = tables.read_intervals(file)
        elif (class_id := _class_of(folder, stem)) and name.endswith(".parquet"):
            opened = tables.ReadingsFile(file, class_id, archived=folder != READINGS)
            self.readings.setdefault(class_id, merged.Readings()).files.append(opened)
        elif name == f"{DEAD_LETTERS}.parquet":
            tables.check_letters(file)
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
    for file in sorted(path.rglob("*")):
        if file.is_symlink() or not (file.is_file() or file.is_dir()):
            raise InputError(f"{file} is no file but a link or a device; a pack holds files only")
        if file.is_file():
            found.append(file)
        if len(found) > MOST_FILES:
            raise InputError(f"{path} holds more than {MOST_FILES} files; it is no evidence pack")
    return found


def is_part_of(file: Path | str, pack: Path | str) -> bool:
    """Whether a file came with a pack: it stands in its folder, by whatever name or link."""
    place = Path(pack)
    return place.is_dir() and Path(file).resolve().is_relative_to(place.resolve())


def read_file(file: Path | str) -> bytes:
    """Bytes of a document; what is far larger than any is refused before it fills the memory."""
    file = Path(file)
    size = file.stat().st_size
    # a pipe tells no size, and a device has no end
    most = (size if file.is_file() else _MOST_BYTES) + 1
    data = b""
    if size <= _MOST_BYTES:
        with file.open("rb") as source:
            data = source.read(most)
    if max(size, len(data)) > _MOST_BYTES:
        raise InputError(f"it has more than {_MOST_BYTES} bytes, the most of a pack's document")
    return data
