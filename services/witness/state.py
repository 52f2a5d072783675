"""
State of a witness in SQLite, by log: a head is stored before it is cosigned.

One transaction compares and writes the head, also with several processes.  After restoring an older
copy of the file a witness must start again with a new name and new keys, as it could cosign a
second history.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from ingest.errors import InputError, ServerError
from mrv.errors import MrvError
from mrv.log.note import Vkey
from mrv.log.receipt import Checkpoint
from mrv.signatures.canonical import sha256_hex

FILE = "witness.sqlite"
_WAIT_S = 10.0
_MOST_KEPT = 1_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS log_key (
    origin TEXT NOT NULL, vkey TEXT NOT NULL PRIMARY KEY, added INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS head (
    origin TEXT NOT NULL PRIMARY KEY, origin_sha256 TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
    root BLOB NOT NULL, time_s INTEGER NOT NULL, note TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS contradiction (
    sha256 TEXT NOT NULL PRIMARY KEY, origin TEXT NOT NULL, time_s INTEGER NOT NULL,
    why TEXT NOT NULL, held TEXT NOT NULL, shown TEXT NOT NULL
) STRICT;
"""


class Seen(NamedTuple):
    """The last cosigned head of a log: head, time, and note with its lines."""

    head: Checkpoint
    time_s: int
    note: str


class Contradiction(NamedTuple):
    """Two heads signed by one log, and why they contradict each other."""

    origin: str
    time_s: int
    why: str
    held: str
    shown: str


class State:
    """
    State file of a witness, for use in a `with` block.

    Parameters
    ----------
    folder : Path
        Created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.RLock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.executescript(_SCHEMA)
            except sqlite3.Error:
                self._db.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise ServerError(
                f"{self.path} cannot be opened: {error}; check its folder and permissions"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Context that locks the file for one change, on disk at its end."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def add_log(self, key: Vkey, time_s: int) -> bool:
        """Store a key of a log; return whether it is new."""
        with self.changing():
            done = self._db.execute(
                "INSERT INTO log_key VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (key.name, str(key), time_s),
            )
        return done.rowcount > 0

    def logs(self) -> dict[str, tuple[Vkey, ...]]:
        """Return the known logs: keys by origin."""
        vkeys: dict[str, tuple[Vkey, ...]] = {}
        for origin, text in self._rows("SELECT origin, vkey FROM log_key ORDER BY added, vkey"):
            vkeys[origin] = (*vkeys.get(origin, ()), Vkey.parse(text))
        return vkeys

    def keys(self, origin: str) -> tuple[Vkey, ...]:
        """Return the keys of a log; none where it is unknown."""
        rows = self._rows("SELECT vkey FROM log_key WHERE origin = ?", origin)
        return tuple(Vkey.parse(text) for (text,) in rows)

    def seen(self, origin: str) -> Seen | None:
        """
        Return the last cosigned head of a log; None without any.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        row = self._rows("SELECT size, root, time_s, note FROM head WHERE origin = ?", origin)
        if not row:
            return None
        size, root, time_s, note = row[0]
        try:
            checkpoint = Checkpoint.from_text("\n".join([*note.split("\n")[:3], ""]))
        except MrvError as error:
            raise InputError(
                f"{self.path} is damaged: {error}; restore it from a backup"
            ) from error
        if (checkpoint.origin, checkpoint.size, checkpoint.root) != (origin, size, root):
            raise InputError(
                f"{self.path} is damaged: its head of {origin} differs from that of its note; "
                "restore it from a backup"
            )
        return Seen(checkpoint, time_s, note)

    def by_hash(self, origin_sha256: str) -> str | None:
        """Return the note of a log by the SHA-256 of its origin, in hex."""
        rows = self._rows("SELECT note FROM head WHERE origin_sha256 = ?", origin_sha256)
        return rows[0][0] if rows else None

    def keep(self, head: Checkpoint, time_s: int, note: str) -> None:
        """Store the next head before it is cosigned; call it inside `changing`."""
        self._db.execute(
            "INSERT INTO head VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET"
            " size = excluded.size, root = excluded.root, time_s = excluded.time_s,"
            " note = excluded.note",
            (head.origin, sha256_hex(head.origin.encode()), head.size, head.root, time_s, note),
        )

    def keep_contradiction(self, contradiction: Contradiction) -> None:
        """Store two heads that contradict each other, each pair once."""
        with self.changing():
            (count,) = self._db.execute(
                "SELECT count(*) FROM contradiction WHERE origin = ?", (contradiction.origin,)
            ).fetchone()
            if count < _MOST_KEPT:
                key = sha256_hex(f"{contradiction.held}\n{contradiction.shown}".encode())
                self._db.execute(
                    "INSERT INTO contradiction VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (key, *contradiction),
                )

    def contradictions(self) -> list[Contradiction]:
        """Return stored contradictions, oldest first."""
        rows = self._rows(
            "SELECT origin, time_s, why, held, shown FROM contradiction ORDER BY time_s, sha256"
        )
        return [Contradiction(*row) for row in rows]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query, without uncommitted changes of other threads."""
        with self._lock:
            return self._db.execute(query, values).fetchall()
