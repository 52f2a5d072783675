"""A pack as a downloaded zip file, unpacked temporarily while it is read."""

from __future__ import annotations

import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import BinaryIO

from ingest.errors import InputError
from mrv.packs import MOST_FILES, USUAL, Budget, too_much
from mrv.packs.pack import STATEMENT, Pack
from mrv.packs.reader import read_pack

_ALWAYS_BYTES = 64 * 1024**2
_CHUNK = 1024 * 1024
# parts of a zip file (APPNOTE 6.3): heads before contents and in the directory, and its end, with
# and without that of ZIP64
_LOCAL, _CENTRAL, _END, _MOST_END = 30, 46, 22, 98
_END_MARK, _DESCRIPTOR, _DESCRIBED_BEHIND = b"PK\x05\x06", b"PK\x07\x08", 8
# what a spoiled zip file raises, by where in it the damage is
_SPOILED = (
    zipfile.BadZipFile, zlib.error, LZMAError, NotImplementedError, RuntimeError, OSError,
    EOFError, ValueError, IndexError, struct.error,
)  # fmt: skip


@contextmanager
def opened_pack(path: Path | str, budget: Budget = USUAL) -> Iterator[Pack]:
    """
    Open an evidence pack from its folder or zip file, or a statement alone.

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
    """Unpack a zip into an empty folder; return the folder with the statement."""
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
    """Return the end of an entry: its header, content and descriptor."""
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
    """
    Return whether only the central directory of `count` entries and its end follow a
    position.
    """
    for _ in range(count):
        file.seek(at)
        head = file.read(_CENTRAL)
        if len(head) < _CENTRAL:
            return False
        at += _CENTRAL + sum(struct.unpack("<HHH", head[28:34]))
    file.seek(at)
    rest = file.read(_MOST_END + 1)
    return len(rest) in {_END, _MOST_END} and rest[-_END:].startswith(_END_MARK)


def _room(path: Path, entries: list[zipfile.ZipInfo], folder: Path, budget: Budget) -> int:
    """Return the size allowed for unpacking; InputError if the stated sizes exceed it. [bytes]"""
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
    if len(files) > MOST_FILES:
        raise InputError(
            f"{path} contains {len(files)} files, and a pack has at most {MOST_FILES}; name "
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
