"""Answers of the API: paged lists, time spans, and files made once and sent often."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NamedTuple

import msgspec
from fastapi import Query
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from mrv.calendar import instant_us
from mrv.errors import PeriodError
from services.api.answers import ProblemError
from services.api.request_context import RequestContext

_RANGE = re.compile(r"\s*(\d{0,18})-(\d{0,18})\s*")
# maximum number of ranges: a request with many small ranges would cost much work
_MAX = 16


def check(header: str | None, size: int) -> None:
    """
    Refuse a `Range` header that cannot be answered.

    Raises ProblemError: 400 if it is malformed or reversed, 416 if it begins after the end.
    """
    if header is None:
        return
    unit, _, ranges = header.partition("=")
    if unit.strip().lower() != "bytes" or not ranges:
        raise ProblemError(
            400, f"Range {header[:40]!r} is not in bytes; write it as `bytes=0-1023`"
        )
    parts = ranges.split(",", _MAX)
    if len(parts) > _MAX:
        raise ProblemError(400, f"Range has more than {_MAX} parts; request fewer at once")
    for part in parts:
        _check_range(part, size)


def _check_range(text: str, size: int) -> None:
    match = _RANGE.fullmatch(text)
    first, last = match.groups() if match else ("", "")
    if not (first or last):
        raise ProblemError(
            400, f"Range {text[:40]!r} is malformed; write it as `0-1023`, `1024-` or `-512`"
        )
    if first and last and int(first) > int(last):
        raise ProblemError(
            400, f"Range {first}-{last} ends before it begins; send the first byte first"
        )
    if int(first or 0) >= size or (not first and not int(last)):
        raise ProblemError(
            416,
            f"Range {first}-{last} contains no byte of the file, which has {size}; request a range "
            "within it",
            {"Content-Range": f"bytes */{size}"},
        )


_MAKING = ".making-"
# age from which a folder counts as left behind by a killed process [s]
_MAKES_S = 6 * 3600.0
_MADE = "Tue, 01 Jan 1980 00:00:00 GMT"
_making = threading.Lock()


def edition(*facts: object) -> str:
    """Return an identifier of a file's version, from all data that determine its bytes."""
    return hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:16]


class Room(NamedTuple):
    """Maximum number and bytes of files in a folder; the newest is always kept."""

    files: int
    bytes: int


def made(folder: Path, name: str, room: Room, make: Callable[[Path], Path]) -> BinaryIO:
    """
    Return an open file, made now if missing.

    An open file can be read to its end even if it is removed meanwhile.

    `room`: limits of the folder.
    `make`: called with an empty folder to work in; returns the finished file, which is moved.
    """
    file = folder / name
    with suppress(FileNotFoundError):
        return file.open("rb")
    with _making:
        with suppress(FileNotFoundError):
            return file.open("rb")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=_MAKING, dir=folder))
        try:
            finished = make(work)
            opened = finished.open("rb")
            finished.replace(file)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        _forget_oldest(folder, room)
    return opened


def _forget_oldest(folder: Path, room: Room) -> None:
    """Remove the oldest files beyond the limits, and unfinished ones."""
    files = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process removed it
            if path.is_file():
                files.append((path, path.stat()))
            elif time.time() - path.stat().st_mtime > _MAKES_S:
                shutil.rmtree(path, ignore_errors=True)
    size = 0
    for number, (file, stat) in enumerate(sorted(files, key=lambda entry: -entry[1].st_mtime_ns)):
        size += stat.st_size
        if number >= room.files or (number and size > room.bytes):
            file.unlink(missing_ok=True)


def size_of(file: BinaryIO) -> int:
    """Return the size of an open file. [bytes]"""
    return os.fstat(file.fileno()).st_size


def sent(
    ask: RequestContext, file: BinaryIO, tag: str, media_type: str, headers: Mapping[str, str]
) -> Response:
    """
    Send an open file, whole or in ranges, or answer not modified; then close it.

    `tag`: version of the file, sent as ETag.
    Raises ProblemError for a range that cannot be answered.
    """
    entity = f'"{tag}"'
    content = {**headers, "ETag": entity, "Last-Modified": _MADE}
    request_headers = ask.request.headers
    try:
        if has_already(request_headers.get("if-none-match"), entity):
            file.close()
            return Response(status_code=304, headers=content)
        if request_headers.get("if-range") in {None, entity, _MADE}:
            check(request_headers.get("range"), size_of(file))
    except ProblemError:
        file.close()
        raise
    return _Opened(file, media_type, content)


class _Opened(FileResponse):
    """Response that sends an open file, and closes it in any case."""

    def __init__(self, file: BinaryIO, media_type: str, headers: Mapping[str, str]) -> None:
        # this path remains valid after the file is removed from its folder
        super().__init__(f"/proc/self/fd/{file.fileno()}", headers=headers, media_type=media_type)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


def has_already(given: str | None, entity: str) -> bool:
    """Return whether an `If-None-Match` header names an entity."""
    if given is None:
        return False
    return given == "*" or entity in [part.strip().removeprefix("W/") for part in given.split(",")]


From = Annotated[
    str,
    Query(
        alias="from",
        description="Start, included: RFC 3339 with offset, or a local date of the site.",
        examples=["2026-01-01"],
        max_length=40,
    ),
]
To = Annotated[
    str,
    Query(
        alias="to",
        description="End, excluded; written as `from`.",
        examples=["2026-02-01"],
        max_length=40,
    ),
]


def span_us(begin: str, end: str, timezone: str) -> tuple[int, int]:
    """
    Return a time span in microseconds UTC, end excluded.

    Raises ProblemError: 422, naming the invalid time, or both for an empty span.
    """
    edges = []
    for name, text in (("from", begin), ("to", end)):
        try:
            edges.append(instant_us(text, timezone))
        except PeriodError as error:
            raise ProblemError(422, f"{name}: {error}") from None
        except OverflowError:
            raise ProblemError(422, f"{name} is not a valid date; write it as 2026-01-31") from None
    if edges[0] >= edges[1]:
        raise ProblemError(422, f"from {begin} to {end} is empty; send a `to` later than `from`")
    return edges[0], edges[1]


MAX_ITEMS = 1_000
Limit = Annotated[
    int, Query(ge=1, le=MAX_ITEMS, description="Maximum number of items on the page.")
]
Cursor = Annotated[str | None, Query(description="`next` of the previous page.", max_length=2_048)]


def current(body: object, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer that caches do not store."""
    return Response(
        msgspec.json.encode(body),
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def page(
    ask: RequestContext,
    of: tuple[object, ...],
    limit: int,
    rows: Sequence[Any],
    key: Callable[[Any], list[Any]],
    item_of: Callable[[Any], Any] = lambda row: row,
) -> Response:
    """
    Return a page of a list.

    `of`: the list and its filters, to which the next page's cursor is bound.
    `rows`: up to one row more than `limit`, if there is a next page.
    `key`: returns a row's key for the cursor.
    """
    items = rows[:limit]
    mark = ask.api.cursors.make(of, key(items[-1])) if len(rows) > limit else None
    headers = {}
    if mark is not None:
        url = ask.request.url.include_query_params(cursor=mark)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return current({"items": [item_of(row) for row in items], "next": mark}, headers)
