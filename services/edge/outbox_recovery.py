"""What can still be read of an outbox whose file was cut or spoilt."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

# large, so that one page that is never moved leads to all rows of a usual backlog: a file
# that lost its end gives back what stands before the cut
PAGE = 16_384
_SKIP = 1_024
_ALL_FROM = (
    "SELECT seq, id, device, content_type, body, wall_ms, uptime_ms, boot FROM message NOT INDEXED"
    " WHERE seq >= ? ORDER BY seq"
)


def readable(path: Path) -> list[tuple[object, ...]]:
    """Return the rows that can still be read; what cannot is stepped over, ever farther."""
    _lengthen(path)
    rows: list[tuple[object, ...]] = []
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as db:
        try:
            (last,) = db.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'message'"
            ).fetchone()
        except (sqlite3.Error, TypeError):
            return rows
        begin, step = 0, 1
        while begin <= last:
            try:
                for seq, *row in db.execute(_ALL_FROM, (begin,)):
                    if seq < begin:
                        raise sqlite3.DatabaseError("rows out of order")
                    rows.append(tuple(row))
                    begin, step = seq + 1, 1
            except sqlite3.Error:
                begin, step = begin + step, min(2 * step, _SKIP)
            else:
                break
    return rows


def _lengthen(path: Path) -> None:
    """Give a file that was cut its length again, empty: SQLite reads nothing of a shorter one."""
    with path.open("r+b") as file:
        head = file.read(32)
        pages, size = int.from_bytes(head[28:32], "big"), int.from_bytes(head[16:18], "big")
        if head.startswith(b"SQLite format 3\0") and size == PAGE:
            file.truncate(max(pages * size, file.seek(0, os.SEEK_END)))
