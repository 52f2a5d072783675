"""
The outbox on disk: SQLite in WAL mode, synced at each commit.

Messages survive kill -9 and power cuts; they are deleted only by their receipt, or by the
configured policy for a full disk.  Message ids begin with an identifier of the current run, so that
a copied outbox cannot release messages of the original.

Each message has the machine's uptime and boot id in addition to the wall clock time.  Once the
server's time is known, the true time of every message of this boot follows from the uptime.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

import msgspec

from ingest.errors import InputError
from services.edge.outbox_files import (
    PAGE,
    Room,
    delete_some,
    is_disk_full,
    lock,
    machine,
    readable,
)

# maximum difference of a trusted clock, including the transmission time [ms]
TRUSTED_MS = 120_000


class Moment(NamedTuple):
    """Wall clock time, uptime, and id of the current boot. [ms]"""

    wall_ms: int
    uptime_ms: int
    boot: str


def boot_id() -> str:
    """Return the id of the machine's current boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class Clock:
    """The machine's clock, and the last time received from the server."""

    def __init__(self) -> None:
        self.boot = boot_id()
        self._true_minus_uptime: int | None = None

    def now(self) -> Moment:
        """Return the current wall clock time and uptime."""
        uptime = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        return Moment(time.time_ns() // 1_000_000, uptime, self.boot)

    def correct(self, true_ms: int) -> int:
        """
        Store the time received from the server; return how far this machine's clock is ahead. [ms]

        If the difference is at most `TRUSTED_MS`, the machine's own clock remains in use.
        """
        now = self.now()
        ahead = now.wall_ms - true_ms
        wrong = abs(ahead) > TRUSTED_MS
        self._true_minus_uptime = true_ms - now.uptime_ms if wrong else None
        return ahead

    def true_ms(self, moment: Moment) -> int:
        """Return the best estimate of a moment's true time. [ms UTC]"""
        if self._true_minus_uptime is None or moment.boot != self.boot:
            return moment.wall_ms
        return self._true_minus_uptime + moment.uptime_ms


WhenFull = Literal["thin", "newest", "oldest"]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, device TEXT NOT NULL,
    content_type TEXT, body BLOB NOT NULL, wall_ms INTEGER, uptime_ms INTEGER, boot TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS message_device ON message (device, id);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS refused (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, source TEXT NOT NULL,
    reason TEXT NOT NULL, body BLOB NOT NULL
) STRICT;
"""
_MAX_REFUSED = 1_000


class Record(NamedTuple):
    """
    Reading from a source.

    `moment` is None where the body has its own time; otherwise the time is added when it is sent.
    """

    device: str
    body: dict[str, object]
    content_type: str | None = None
    moment: Moment | None = None


class Waiting(NamedTuple):
    """Stored message without a receipt."""

    seq: int
    id: str
    device: str
    content_type: str | None
    body: bytes
    moment: Moment | None


class FullError(Exception):
    """The outbox is full, and its policy keeps the stored messages."""


@contextmanager
def _closed_on_error(opened: sqlite3.Connection | TextIO) -> Iterator[None]:
    """Context that closes a resource if its block raises; after success the caller closes it."""
    try:
        yield
    except BaseException:
        opened.close()
        raise


class Outbox:
    """
    Messages on disk until their receipt.

    `limit_bytes`: maximum size of the file.
    `when_full`: `thin` deletes every second message of the older half: registers lose time
    resolution, but no energy.  `newest` deletes the oldest messages, `oldest` rejects new ones.
    `adopt`: use an outbox created on another machine.
    Raises InputError when another process uses it, another machine created it, or it cannot be
    opened.
    """

    def __init__(
        self, path: Path, limit_bytes: int, when_full: WhenFull, *, adopt: bool = False
    ) -> None:
        self.path, self.limit_bytes, self._when_full = path, limit_bytes, when_full
        self._mutex = threading.RLock()
        self._run = secrets.token_hex(4)
        self._adopt = adopt
        self.set_aside: Path | None = None
        self._numbers: dict[str, int] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._dropping = 0
        self._lock = lock(path)
        with _closed_on_error(self._lock):
            self._db = self._open()
            with _closed_on_error(self._db):
                self._check_machine()
                self._room = Room(self._db, path, self._max_pages)

    def _open(self) -> sqlite3.Connection:
        try:
            result = self._connect()
        except sqlite3.DatabaseError as error:
            return self._rescue(str(error))
        try:
            verdict = result.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            verdict = str(error)
        if verdict == "ok":
            return result
        # closed before the repair, as SQLite deletes the log by its name when it closes
        result.close()
        return self._rescue(verdict)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=30)
        with _closed_on_error(db):
            self._prepare(db)
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute(f"PRAGMA page_size = {PAGE}")
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "cache_size = -2000",
            "journal_size_limit = 4194304",
            f"wal_autocheckpoint = {(4 << 20) // PAGE}",
            f"max_page_count = {self._max_pages}",
        ):
            db.execute(f"PRAGMA {pragma}")
        db.executescript(_SCHEMA)

    @property
    def _max_pages(self) -> int:
        return max(self.limit_bytes // PAGE, 64)

    def _rescue(self, verdict: str) -> sqlite3.Connection:
        """
        Return a new database with all readable messages of the damaged file, which is renamed.

        `verdict`: description of the damage, for the record.
        """
        aside = self.path.with_name(f"{self.path.name}.broken-{time.time_ns() // 1_000_000}")
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").replace(f"{aside}{suffix}")
        rows = list(readable(aside))
        fresh = self._connect()
        with _closed_on_error(fresh), fresh:
            fresh.executemany(
                "INSERT INTO message (id, device, content_type, body, wall_ms, uptime_ms, boot)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._note(fresh, "rescued", f"{len(rows)} messages from {aside.name}: {verdict}")
        self.set_aside = aside
        return fresh

    def _check_machine(self) -> None:
        made_on = self.fact("machine")
        here = machine()
        if made_on is not None and made_on != here and not self._adopt:
            raise InputError(
                f"{self.path} was created on another machine: only one gateway may send "
                "from an outbox. If it was moved here and the other machine is off, "
                "run `tonne edge --adopt`; otherwise start with an empty outbox"
            )
        with self._mutex:
            self._note(self._db, "machine", here)

    def close(self) -> None:
        """Close the file."""
        with self._mutex:
            self._db.close()
            self._lock.close()

    def put(self, records: Sequence[Record]) -> int:
        """
        Store messages; return once they are on disk.

        Raises FullError when there is no room; none of `records` is stored.

        Returns: number of older messages deleted to make room.
        """
        with self._mutex:
            self._room.look()
            for remedy in (self._room.tighten, self._make_room, self._make_room, None):
                try:
                    with self._transaction():
                        self._insert(records)
                except sqlite3.OperationalError as error:
                    if not is_disk_full(error):
                        raise
                    keeps = self._when_full == "oldest" and remedy != self._room.tighten
                    if remedy is None or keeps:
                        raise FullError(str(error)) from error
                    remedy()
                else:
                    return self._take_dropped()
        raise FullError("no room")

    def _insert(self, records: Sequence[Record]) -> None:
        for record in records:
            # without boot id: the body has its own time, and this is only the time of recording
            moment = record.moment or (time.time_ns() // 1_000_000, None, None)
            cursor = self._db.execute(
                "INSERT INTO message (id, device, content_type, body, wall_ms, uptime_ms, boot)"
                " VALUES ('', ?, ?, ?, ?, ?, ?)",
                (record.device, record.content_type, msgspec.json.encode(record.body), *moment),
            )
            seq = cursor.lastrowid
            self._db.execute("UPDATE message SET id = ? WHERE seq = ?", (f"{self._run}-{seq}", seq))

    def _make_room(self) -> None:
        """Delete messages according to the policy for a full disk, and count them."""
        with self._transaction():
            gone = delete_some(self._db, thin=self._when_full == "thin")
            self._note(self._db, "dropped", str(gone + int(self.fact("dropped") or 0)))
        self._dropping += gone

    def _take_dropped(self) -> int:
        gone, self._dropping = self._dropping, 0
        return gone

    def after(self, seq: int, device: str, count: int) -> list[Waiting]:
        """
        Return up to `count` messages of a device that were stored after number `seq`,
        oldest first.
        """
        with self._mutex:
            rows = self._db.execute(
                "SELECT seq, id, device, content_type, body, wall_ms, uptime_ms, boot FROM message"
                " WHERE device = ? AND seq > ? ORDER BY seq LIMIT ?",
                (device, seq, count),
            ).fetchall()
        return [
            Waiting(seq, id_, name, kind, body, None if boot is None else Moment(wall, up, boot))
            for seq, id_, name, kind, body, wall, up, boot in rows
        ]

    def devices(self) -> list[str]:
        """Return the devices that have messages waiting."""
        with self._mutex:
            # reads the index once per device instead of once per row
            rows = self._db.execute(
                "WITH RECURSIVE d (device) AS (SELECT min(device) FROM message UNION ALL"
                " SELECT (SELECT min(device) FROM message WHERE device > d.device) FROM d"
                " WHERE d.device IS NOT NULL) SELECT device FROM d WHERE device IS NOT NULL"
            ).fetchall()
        return [device for (device,) in rows]

    def free(self, device: str, ids: Iterable[str]) -> int:
        """Delete messages with a receipt; return their number."""
        known = list(ids)
        with self._mutex:
            try:
                return self._free(device, known)
            except sqlite3.OperationalError as error:
                if not is_disk_full(error):
                    raise
            # receipts free space on a full disk
            self._room.tighten()
            return self._free(device, known)

    def _free(self, device: str, ids: Iterable[str]) -> int:
        with self._transaction():
            return sum(
                self._db.execute(
                    "DELETE FROM message WHERE device = ? AND id = ?", (device, value)
                ).rowcount
                for value in ids
            )

    def next_number(self, device: str) -> int:
        """
        Return the next number of a device's signed batches, stored on disk before use.

        The first number is the current time, so that a new outbox begins above all earlier numbers.
        """
        name = f"batch {device}"
        with self._mutex:
            last = self._numbers.get(device) or int(self.fact(name) or 0)
            number = last + 1 if last else int(time.time())
            for remedy in (self._room.tighten, None):
                try:
                    with self._transaction():
                        self._note(self._db, name, str(number))
                except sqlite3.OperationalError as error:
                    if not is_disk_full(error):
                        raise
                    # a full disk: receipts free space, so sending must not wait for it
                    if remedy is not None:
                        remedy()
                else:
                    break
            self._numbers[device] = number
            return number

    def note_lost(self, count: int) -> None:
        """Record the number of readings lost for lack of space."""
        with self._mutex, self._transaction():
            self._note(self._db, "lost", str(count + int(self.fact("lost") or 0)))

    def refuse(self, source: str, reason: str, body: bytes, at_ms: int) -> None:
        """Store data that cannot be forwarded, with the reason; the last thousand are kept."""
        with self._mutex, suppress(sqlite3.Error), self._transaction():
            self._db.execute(
                "INSERT INTO refused (at_ms, source, reason, body) VALUES (?, ?, ?, ?)",
                (at_ms, source, reason, body[:65_536]),
            )
            self._db.execute(
                "DELETE FROM refused WHERE seq <= (SELECT max(seq) FROM refused) - ?",
                (_MAX_REFUSED,),
            )

    def count(self) -> int:
        """Return the number of waiting messages."""
        with self._mutex:
            return int(self._db.execute("SELECT count(*) FROM message").fetchone()[0])

    def fact(self, name: str) -> str | None:
        """Return the value stored under a name in the table `fact`; None if absent."""
        with self._mutex:
            row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    @staticmethod
    def _note(db: sqlite3.Connection, name: str, value: str) -> None:
        db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
