"""
Files of an outbox: lock, reserved disk space, and recovery from damaged files.

When the disk is full, `max_page_count` limits the SQLite file, so that messages are replaced within
it.  A ballast file is deleted to give the write-ahead log room for a checkpoint.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import TextIO

from ingest.errors import InputError

# large pages, so that the root page of the table refers to all rows of a usual backlog: then rows
# of a truncated file can be read up to its end
PAGE = 16_384
_SKIP = 1_024
_ALL_FROM = (
    "SELECT seq, id, device, content_type, body, wall_ms, uptime_ms, boot FROM message NOT INDEXED"
    " WHERE seq >= ? ORDER BY seq"
)
# more than the maximum size of the log between two checkpoints [bytes]
_BALLAST_BYTES = 6 << 20
_LEAST_BYTES = 1 << 20  # minimum on a small disk [bytes]


def lock(path: Path) -> TextIO:
    """
    Return the lock file of an outbox, held by this process.

    Raises InputError when another process has locked it.
    """
    file = path.with_name(path.name + ".lock").open("w", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise InputError(f"{path} is in use by another `tonne edge`; stop it first") from None
    return file


def machine() -> str:
    """Return the id of this machine."""
    with suppress(OSError):
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()
    return f"{uuid.getnode():012x}"


def readable(path: Path) -> list[tuple[object, ...]]:
    """Return the rows of a damaged file that can be read."""
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
    """Extend a truncated SQLite file with zeros to the length in its header, to read it."""
    with path.open("r+b") as file:
        head = file.read(32)
        pages, size = int.from_bytes(head[28:32], "big"), int.from_bytes(head[16:18], "big")
        if head.startswith(b"SQLite format 3\0") and size == PAGE:
            file.truncate(max(pages * size, file.seek(0, os.SEEK_END)))


class Room:
    """
    Disk space of an outbox.

    `db`: sqlite3.Connection.
    `path`: its file, next to the ballast file.
    `max_pages`: maximum size of the file while the disk has room.
    """

    def __init__(self, db: sqlite3.Connection, path: Path, max_pages: int) -> None:
        self._db, self._folder, self._max_pages = db, path.parent, max_pages
        self._ballast = path.with_name(path.name + ".ballast")
        self._tight = False
        before = db.execute("SELECT 1 FROM fact WHERE name = 'tight'").fetchone()
        if before is not None:
            self._pin()  # the disk was full before this start
            self.look()
        elif not self._hold_ballast(_BALLAST_BYTES):
            self._hold_ballast(self._free_bytes() // 2)

    def tighten(self) -> None:
        """
        Free space without losing a message, as far as possible.

        First the write-ahead log is emptied. If the disk is still full, the file no longer grows
        and the ballast file is deleted.
        """
        if not self._tight and self._free_bytes() >= _LEAST_BYTES:
            return  # the file has reached its configured limit, but the disk has space
        size = self._ballast.stat().st_size if self._ballast.exists() else 0
        self._ballast.unlink(missing_ok=True)
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if self._tight or (self._free_bytes() >= size + _LEAST_BYTES and self._allocate(size)):
            return
        self._pin()
        with suppress(sqlite3.Error):
            self._db.execute("INSERT OR REPLACE INTO fact VALUES ('tight', '1')")

    def _pin(self) -> None:
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        self._db.execute(f"PRAGMA max_page_count = {pages}")
        self._tight = True

    def look(self) -> None:
        """Let the file grow again once the disk has space."""
        if self._tight and self._hold_ballast(_BALLAST_BYTES):
            self._db.execute(f"PRAGMA max_page_count = {self._max_pages}")
            self._db.execute("DELETE FROM fact WHERE name = 'tight'")
            self._tight = False

    def _hold_ballast(self, size: int) -> bool:
        if self._ballast.exists():
            return True
        enough = size >= _LEAST_BYTES and self._free_bytes() >= 2 * size
        return enough and self._allocate(size)

    def _allocate(self, size: int) -> bool:
        if not size:
            return False
        try:
            with self._ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError:
            self._ballast.unlink(missing_ok=True)
            return False
        return True

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._folder).free


def is_disk_full(error: sqlite3.OperationalError) -> bool:
    """Return whether an SQLite error means lack of space."""
    return "full" in str(error) or "disk I/O" in str(error)


def delete_some(db: sqlite3.Connection, *, thin: bool) -> int:
    """
    Delete messages to free space; return their number.

    `thin` deletes every second message of the older half of each device; otherwise the oldest tenth
    is deleted.
    """
    (count,) = db.execute("SELECT count(*) FROM message").fetchone()
    part = max(count // (2 if thin else 10), 1)
    oldest = "SELECT seq FROM message ORDER BY seq LIMIT ?"
    if not thin:
        return db.execute(f"DELETE FROM message WHERE seq IN ({oldest})", (part,)).rowcount
    seconds = (
        "SELECT seq FROM (SELECT seq, row_number() OVER (PARTITION BY device ORDER BY seq) AS n"
        f" FROM message WHERE seq IN ({oldest})) WHERE n % 2 = 0"
    )
    gone = db.execute(f"DELETE FROM message WHERE seq IN ({seconds})", (part,)).rowcount
    if gone == 0:  # only one message per device remains in the older half
        part = max(part // 10, 1)
        gone = db.execute(f"DELETE FROM message WHERE seq IN ({oldest})", (part,)).rowcount
    return gone
