"""A pack as it is downloaded: a zip file, unpacked beside for as long as it is read."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from ingest.errors import InputError
from mrv.packs.pack import STATEMENT, Pack
from mrv.packs.reader import MOST_FILES, read_pack

_MOST_BYTES = 32 * 1024**3
# a pack's documents pack to a tenth or so, its tables are packed already
_MOST_TIMES, _ALWAYS_BYTES = 100, 64 * 1024**2
_CHUNK = 1024 * 1024
# what a spoiled zip file raises, by where in it the damage is
_SPOILED = (
    zipfile.BadZipFile, zlib.error, LZMAError, NotImplementedError, RuntimeError, OSError,
    EOFError, ValueError, IndexError,
)  # fmt: skip


@contextmanager
def opened_pack(path: Path | str) -> Iterator[Pack]:
    """
    Read an evidence pack from its folder or zip file, or a statement alone.

    Raises
    ------
    InputError
        If it is neither, or the zip file holds what no pack holds.
    """
    path = Path(path)
    if not path.is_file() or not zipfile.is_zipfile(path):
        yield read_pack(path)
        return
    with TemporaryDirectory(prefix="tonne-pack-") as folder:
        yield read_pack(_unpack(path, Path(folder)))


def _unpack(path: Path, folder: Path) -> Path:
    """Unpack into an empty folder; return the folder in it that holds the statement."""
    try:
        with zipfile.ZipFile(path) as source:
            entries = _checked(path, source.infolist())
            left = _room(path, entries, folder)
            for entry in entries:
                left = _write(source, entry, folder / entry.filename, left)
    except _SPOILED as error:
        raise InputError(f"{path} cannot be unpacked: {error}; download it again") from error
    tops = {PurePosixPath(entry.filename).parts[0] for entry in entries}
    found = folder / tops.pop() if len(tops) == 1 else folder
    if not (found / STATEMENT).is_file():
        raise InputError(
            f"{path} holds no evidence pack: {STATEMENT} stands neither at its top nor in its only"
            " folder; give a zip file of one pack and nothing else"
        )
    return found


def _room(path: Path, entries: list[zipfile.ZipInfo], folder: Path) -> int:
    """How many bytes may be unpacked; refused before the first where it says that it is more."""
    most = min(_MOST_BYTES, max(_ALWAYS_BYTES, _MOST_TIMES * path.stat().st_size))
    said = sum(entry.file_size for entry in entries)
    if said > most:
        raise InputError(
            f"{path} would have {said} bytes when it is unpacked; a zip file of"
            f" {path.stat().st_size} bytes that holds a pack has at most {most}"
        )
    free = shutil.disk_usage(folder).free
    if said > free:
        raise InputError(
            f"{path} has {said} bytes when it is unpacked, and {folder.parent} has {free} free;"
            " set TMPDIR to a folder with more room, or unpack it there and give the folder"
        )
    return most


def _checked(path: Path, entries: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Files of a zip; refused where one would be written elsewhere, twice, or is a link."""
    files = [entry for entry in entries if not entry.is_dir()]
    if len(files) > MOST_FILES:
        raise InputError(f"{path} holds {len(files)} files; a pack has at most {MOST_FILES}")
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
                f"{path} holds {entry.filename!r}, which leads elsewhere, is no plain file or"
                " stands twice; no pack does that"
            )
        seen.add(entry.filename)
    return files


def _write(source: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open(entry) as packed, target.open("xb") as out:
        while chunk := packed.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise InputError(
                    f"{entry.filename!r} is longer than its zip file says or may be; download it"
                    " again"
                )
            out.write(chunk)
    return left
