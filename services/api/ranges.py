"""Ranges of a download: refused with a problem document where they make no sense."""

from __future__ import annotations

import re

from services.api.problems import ProblemError

_ONE = re.compile(r"\s*(\d{0,18})-(\d{0,18})\s*")
# nobody needs more; many small ones are a way to make a server work for nothing
_MOST = 16


def check(header: str | None, size: int) -> None:
    """
    Refuse a `Range` header that cannot be answered.

    Raises
    ------
    ProblemError
        400 where it is malformed or backwards, 416 where it begins behind the end.
    """
    if header is None:
        return
    unit, _, ranges = header.partition("=")
    if unit.strip().lower() != "bytes" or not ranges:
        raise ProblemError(400, "Range takes bytes alone, such as `bytes=0-1023`")
    parts = ranges.split(",", _MOST)
    if len(parts) > _MOST:
        raise ProblemError(400, f"Range names more than {_MOST} parts; ask for fewer at once")
    for part in parts:
        _check_one(part, size)


def _check_one(text: str, size: int) -> None:
    match = _ONE.fullmatch(text)
    first, last = match.groups() if match else ("", "")
    if not (first or last):
        raise ProblemError(400, "Range is malformed; write it as `bytes=0-1023`, `1024-` or `-512`")
    if first and last and int(first) > int(last):
        raise ProblemError(400, f"Range {first}-{last} ends before it begins")
    if int(first or 0) >= size or (not first and not int(last)):
        raise ProblemError(
            416,
            f"there is nothing at byte {first or 'the end'}: it has {size} bytes",
            {"Content-Range": f"bytes */{size}"},
        )
