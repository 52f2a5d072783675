"""Files that are made once and sent often: evidence packs and reports."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import FileResponse, Response

from services.api import ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from services.api.request_context import Asked

_MADE = "Tue, 01 Jan 1980 00:00:00 GMT"
_one_at_a_time = threading.Lock()


def edition(*facts: object) -> str:
    """Name the edition of a file by all that its bytes depend on."""
    return hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:16]


class Room(NamedTuple):
    """How many files a folder keeps, and of how many bytes; the newest stays in any case."""

    files: int
    bytes: int


def made(folder: Path, name: str, room: Room, make: Callable[[Path], Path]) -> Path:
    """
    Return a file, made now if it is not there.

    Parameters
    ----------
    folder : Path
    room : Room
        Of what was made last, so much stays.
    make : callable
        Takes an empty folder to work in; returns the finished file, which is moved.
    """
    file = folder / name
    if file.exists():  # whoever has it already waits for nobody's new one
        return file
    with _one_at_a_time:
        if file.exists():
            return file
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=folder))
        try:
            make(work).replace(file)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        _forget_oldest(folder, room)
    return file


def _forget_oldest(folder: Path, room: Room) -> None:
    """Keep the files made last; others are made again when asked for."""
    files = [(one, one.stat()) for one in folder.iterdir() if one.is_file()]
    size = 0
    for number, (file, stat) in enumerate(sorted(files, key=lambda one: -one[1].st_mtime_ns)):
        size += stat.st_size
        if number >= room.files or (number and size > room.bytes):
            file.unlink(missing_ok=True)


def sent(ask: Asked, file: Path, tag: str, media_type: str, headers: Mapping[str, str]) -> Response:
    """
    Send a file, whole or in ranges, or say that the caller has it already.

    Parameters
    ----------
    tag : str
        Its edition: a file that was made again is the same, whatever its file's time.

    Raises
    ------
    ProblemError
        For a range that cannot be answered.
    """
    entity = f'"{tag}"'
    said = {**headers, "ETag": entity, "Last-Modified": _MADE}
    asked = ask.request.headers
    if has_already(asked.get("if-none-match"), entity):
        return Response(status_code=304, headers=said)
    if asked.get("if-range") in {None, entity}:
        ranges.check(asked.get("range"), file.stat().st_size)
    return FileResponse(file, media_type=media_type, headers=said)


def has_already(given: str | None, entity: str) -> bool:
    """Whether an `If-None-Match` header names an entity."""
    if given is None:
        return False
    return given == "*" or entity in [one.strip().removeprefix("W/") for one in given.split(",")]
