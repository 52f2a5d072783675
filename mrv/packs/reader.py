"""
A pack, or a statement alone, read from a folder, a file or a downloaded zip file.

Documents are read first, within the size budget; tables are hashed first and read on demand.  A zip
file is unpacked temporarily while it is read.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple

import numpy as np

from ingest import classes
from ingest.errors import InputError
from mrv.errors import PackTooLargeError
from mrv.packs import MAX_FILES, USUAL, Budget, check_numbers, tables, too_much, weight
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
from mrv.packs.tables import ReadingsFile

# number of rows processed at once, so that they stay in the processor's cache
_ROWS = 65_536
_READ = {
    STATEMENT, VERIFICATION, FINDINGS, SAMPLING, APPROVALS, RECEIPT, MANIFEST_RECEIPT, TIMESTAMPS,
    *DOCUMENTS,
}  # fmt: skip


class _Own(NamedTuple):
    """A device's rows in one file."""

    name: str
    table: Table


@dataclass
class Readings:
    """
    Readings of a class, in a pack's files.

    Iteration yields tables with all rows of a device in one; duplicate rows are kept, for a finding
    of the verification.

    Raises InputError while iterating: as `ReadingsFile` raises, or if more rows than the budget
    allows would be in memory.
    """

    budget: Budget = USUAL
    files: list[ReadingsFile] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Return the number of rows, according to the files."""
        return sum(file.rows for file in self.files)

    def __iter__(self) -> Iterator[Table]:
        """Yield one table per device; the files are read again on each iteration."""
        if len(self.files) == 1:
            yield from self.files[0]
            return
        waiting: list[_Own] = []
        rows = 0
        for name, subset in groupby(self._merged(), key=lambda own: own.name):
            result = list(subset)
            own_rows = sum(len(own.table.time_us) for own in result)
            rows_at_once = self.budget.device_values // self.files[0].columns
            if own_rows > rows_at_once:
                raise too_much(f"readings of {name}", own_rows, rows_at_once)
            item = _by_time(result)
            if waiting and rows + len(item.table.time_us) > _ROWS:
                yield _together(waiting)
                waiting, rows = [], 0
            waiting.append(item)
            rows += len(item.table.time_us)
        if waiting:
            yield _together(waiting)

    def _merged(self) -> Iterator[_Own]:
        """Yield the rows of each device in ascending order of devices, file by file."""
        due = sorted(self.files, key=lambda file: file.first, reverse=True)
        values_of: dict[int, int] = {}  # number of values of each open file
        opened: list[tuple[str, int, _Own, Iterator[_Own]]] = []
        count = itertools.count()

        def push(devices: Iterator[_Own]) -> None:
            if (own := next(devices, None)) is not None:
                heapq.heappush(opened, (own.name, next(count), own, devices))
            if (values := sum(values_of.values())) > self.budget.memory_values:
                raise too_much("values in several files", values, self.budget.memory_values)

        while due or opened:
            while due and (not opened or due[-1].first <= opened[0][0]):
                push(_devices(due.pop(), values_of))
            if opened:
                _, _, own, devices = heapq.heappop(opened)
                yield own
                push(devices)


def _devices(file: ReadingsFile, values_of: dict[int, int]) -> Iterator[_Own]:
    """Yield the devices of a file, and record the number of values of each."""
    for table in file:
        values_of[id(file)] = len(table.time_us) * file.columns
        edges = np.flatnonzero(np.append(True, table.device[1:] != table.device[:-1])).tolist()
        for begin, end in pairwise([*edges, len(table.device)]):
            name = table.names[int(table.device[begin])]
            columns = {n: values[begin:end] for n, values in table.columns.items()}
            whose = np.zeros(end - begin, dtype=np.int32)
            yield _Own(name, Table((name,), whose, table.time_us[begin:end], columns))
    values_of.pop(id(file), None)


def _by_time(subset: Sequence[_Own]) -> _Own:
    """Return one device's rows from several files in order of time."""
    if len(subset) == 1:
        return subset[0]
    table = _together(subset)
    order = np.argsort(table.time_us, kind="stable")
    columns = {name: values[order] for name, values in table.columns.items()}
    whose = np.zeros(len(order), dtype=np.int32)
    return _Own(subset[0].name, Table((subset[0].name,), whose, table.time_us[order], columns))


def _together(subset: Sequence[_Own]) -> Table:
    if len(subset) == 1:
        return subset[0].table
    tables = [own.table for own in subset]
    return Table(
        tuple(own.name for own in subset),
        np.repeat(np.arange(len(tables), dtype=np.int32), [len(t.time_us) for t in tables]),
        np.concatenate([t.time_us for t in tables]),
        {n: np.concatenate([t.columns[n] for t in tables]) for n in tables[0].columns},
    )


def read_pack(path: Path | str, budget: Budget = USUAL) -> Pack:
    """
    Return an evidence pack, or a pack with a statement alone.

    `budget`: size limits.
    Raises InputError if the path is neither a folder with a statement nor a file, or its documents
    exceed the size limits.
    """
    path = Path(path)
    if path.is_file():
        data = read_file(path, budget)
        if not data.lstrip().startswith(b"{"):
            raise InputError(
                f"{path} is not a statement: it is not a JSON object; name a statement or a pack"
            )
        return Pack({STATEMENT: data}, budget=budget)
    if not (path / STATEMENT).is_file():
        raise InputError(
            f"{path} is not an evidence pack: it has no {STATEMENT}; pass a folder "
            "that `tonne statement export` made, or the file of a statement"
        )
    contents = _FolderContents(budget)
    for file in _files(path):
        name = file.relative_to(path).as_posix()
        try:
            contents.take(name, file)
        except PackTooLargeError:
            raise
        except InputError as error:
            contents.damaged[name] = str(error)
    return Pack(
        contents.files, contents.readings, contents.intervals, contents.damaged, contents.hashes,
        contents.letters, budget,
    )  # fmt: skip


@dataclass
class _FolderContents:
    """Files of a folder, as far as they belong to a pack."""

    budget: Budget
    files: dict[str, bytes] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    readings: dict[str, Readings] = field(default_factory=dict)
    intervals: Callable[[], Table] | None = None
    letters: Callable[[], None] | None = None
    damaged: dict[str, str] = field(default_factory=dict)
    weight: int = 0

    def take(self, name: str, file: Path) -> None:
        """Add the table of a file; InputError if it is not of the expected form."""
        self.hashes[name] = ""  # an empty hash, which no file has
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
                file, class_id, archived=folder != READINGS, max_values=budget.device_values
            )
            self.readings.setdefault(class_id, Readings(budget)).files.append(opened)
        elif name == f"{DEAD_LETTERS}.parquet":
            letters = tables.LettersFile(file, budget.letter_rows)
            letters.check()
            self.letters = letters.read
        else:
            return  # not listed in the manifest
        with file.open("rb") as source:
            self.hashes[name] = hashlib.file_digest(source, "sha256").hexdigest()


def _class_of(folder: str, stem: str) -> str | None:
    """Return the device class of a file: `readings/CLASS`, or archived `readings/CLASS/`."""
    name = stem if folder == READINGS else folder.removeprefix(f"{READINGS}/")
    inside = folder in {READINGS, f"{READINGS}/{name}"}
    return name if inside and name in classes.load() else None


def _files(path: Path) -> list[Path]:
    paths = []
    for file in path.rglob("*"):
        if file.is_symlink() or not (file.is_file() or file.is_dir()):
            raise InputError(f"{file} is a link or a device; a pack contains files only")
        if file.is_file():
            paths.append(file)
        if len(paths) > MAX_FILES:
            raise InputError(
                f"{path} contains more than {MAX_FILES} files and is not an evidence pack; name "
                "the folder of the pack"
            )
    return sorted(paths)


def is_part_of(file: Path | str, pack: Path | str) -> bool:
    """Return whether a file is in a pack's folder, under any name or link."""
    place = Path(pack)
    return place.is_dir() and Path(file).resolve().is_relative_to(place.resolve())


def read_file(file: Path | str, budget: Budget = USUAL, taken: int = 0) -> bytes:
    """
    Return the bytes of a document.

    `taken`: part of the memory budget that earlier documents used.
    Raises InputError if it would exceed the remaining memory, or has a number longer than the
    maximum.
    """
    file = Path(file)
    size = file.stat().st_size
    # for a pipe, whose size is unknown, and a device file, which has no end
    limit = (size if file.is_file() else budget.documents) + 1
    data = b""
    if size <= budget.documents:
        with file.open("rb") as source:
            data = source.read(limit)
    needed = max(size, weight(data)) + taken
    if needed > budget.documents:
        raise too_much(
            f"bytes of memory for the documents up to {file.name}", needed, budget.documents
        )
    check_numbers(data)
    return data


_ALWAYS_BYTES = 64 * 1024**2
_CHUNK = 1024 * 1024
# sizes of parts of a zip file (APPNOTE 6.3): local header, directory entry, end, end with ZIP64
_LOCAL, _CENTRAL, _END, _MAX_END = 30, 46, 22, 98
_END_MARK, _DESCRIPTOR, _DESCRIBED_BEHIND = b"PK\x05\x06", b"PK\x07\x08", 8
# exceptions that a damaged zip file causes, depending on the position of the damage
_SPOILED = (
    zipfile.BadZipFile, zlib.error, LZMAError, NotImplementedError, RuntimeError, OSError,
    EOFError, ValueError, IndexError, struct.error,
)  # fmt: skip


@contextmanager
def opened_pack(path: Path | str, budget: Budget = USUAL) -> Iterator[Pack]:
    """
    Yield an evidence pack from its folder or zip file, or a statement alone.

    `budget`: size limits.
    Raises InputError if it is neither, the zip file has entries not of a pack, or it exceeds the
    size limits.
    """
    path = Path(path)
    if not path.is_file() or not zipfile.is_zipfile(path):
        yield read_pack(path, budget)
        return
    with TemporaryDirectory(prefix="tonne-pack-") as folder:
        yield read_pack(_unpack(path, Path(folder), budget), budget)


def _unpack(path: Path, folder: Path, budget: Budget) -> Path:
    """Unpack a zip into an empty folder, and return the folder that contains the statement."""
    try:
        with zipfile.ZipFile(path) as source:
            _check_whole(path, source)
            entries = _checked(path, source.infolist())
            remaining = _room(path, entries, folder, budget)
            for entry in entries:
                remaining = _write(source, entry, folder / entry.filename, remaining)
    except _SPOILED as error:
        raise InputError(f"{path} cannot be unpacked: {error}; download it again") from error
    tops = {PurePosixPath(entry.filename).parts[0] for entry in entries}
    result = folder / tops.pop() if len(tops) == 1 else folder
    if not (result / STATEMENT).is_file():
        raise InputError(
            f"{path} contains no evidence pack: {STATEMENT} is neither at its top "
            "nor in its only folder; pass a zip file of one pack and nothing else"
        )
    return result


def _check_whole(path: Path, source: zipfile.ZipFile) -> None:
    """
    Raise InputError for bytes outside the entries: before, between or after them.

    Such bytes are in no listing, and another program might read them as the pack.
    """
    entries = sorted(source.infolist(), key=lambda entry: entry.header_offset)
    with path.open("rb") as file:
        at = 0
        for entry in entries:
            if entry.header_offset != at:
                break
            at = _end_of(file, entry)
        else:
            if at == source.start_dir and _ends_with_directory(file, at, len(entries)):
                return
    raise InputError(
        f"{path} has bytes at {at} that belong to none of its files; a pack's "
        "zip file contains only its files: download it again"
    )


def _end_of(file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Return the position after an entry: its header, content and descriptor."""
    file.seek(entry.header_offset)
    head = file.read(_LOCAL)
    name, extra = struct.unpack("<HH", head[-4:])
    wide = _has_wide_sizes(file.read(name + extra)[name:])
    end = entry.header_offset + _LOCAL + int(name) + int(extra) + entry.compress_size
    if entry.flag_bits & _DESCRIBED_BEHIND:
        file.seek(end)
        end += 4 if file.read(4) == _DESCRIPTOR else 0
        end += 20 if wide else 12
    return end


def _has_wide_sizes(extra: bytes) -> bool:
    """Return whether the extra field of a local header has sizes of eight bytes (ZIP64)."""
    while len(extra) >= 4:  # noqa: PLR2004 - id and length
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == 1:
            return True
        extra = extra[4 + size :]
    return False


def _ends_with_directory(file: BinaryIO, at: int, count: int) -> bool:
    """Return whether only the central directory of `count` entries and its end record follow."""
    for _ in range(count):
        file.seek(at)
        head = file.read(_CENTRAL)
        if len(head) < _CENTRAL:
            return False
        at += _CENTRAL + sum(struct.unpack("<HHH", head[28:34]))
    file.seek(at)
    rest = file.read(_MAX_END + 1)
    return len(rest) in {_END, _MAX_END} and rest[-_END:].startswith(_END_MARK)


def _room(path: Path, entries: list[zipfile.ZipInfo], folder: Path, budget: Budget) -> int:
    """Return the number of bytes that may be unpacked; InputError if the stated sizes exceed it."""
    limit = max(_ALWAYS_BYTES, budget.times_packed * path.stat().st_size)
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limit:
        raise too_much(f"bytes of {path} when it is unpacked", unpacked, limit)
    free = shutil.disk_usage(folder).free
    if unpacked > free:
        raise InputError(
            f"{path} has {unpacked} bytes when it is unpacked, but {folder.parent} "
            f"has {free} free; set TMPDIR to a folder with more space, or unpack "
            "it there and pass the folder"
        )
    return limit


def _checked(path: Path, entries: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Return the entries of a zip; InputError for a path outside, a duplicate or a link."""
    files = [entry for entry in entries if not entry.is_dir()]
    if len(files) > MAX_FILES:
        raise InputError(
            f"{path} contains {len(files)} files, and a pack has at most {MAX_FILES}; name "
            "the file of the pack"
        )
    seen: set[str] = set()
    for entry in files:
        name = PurePosixPath(entry.filename)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if (
            not name.parts
            or name.is_absolute()
            or ".." in name.parts
            or "\\" in entry.filename
            or kind not in (0, stat.S_IFREG)
            or entry.filename in seen
        ):
            raise InputError(
                f"{path} contains {entry.filename!r}, which is outside the pack, is "
                "not a plain file or appears twice; download it again"
            )
        seen.add(entry.filename)
    return files


def _write(source: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, remaining: int) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open(entry) as packed, target.open("xb") as out:
        while chunk := packed.read(_CHUNK):
            remaining -= len(chunk)
            if remaining < 0:
                raise InputError(
                    f"{entry.filename!r} is longer than stated in the zip file, or longer "
                    "than allowed; download it again"
                )
            out.write(chunk)
    return remaining
