"""What witnesses that are asked over HTTP signed under the log's heads, as it is stored."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from psycopg import Connection


class Line(NamedTuple):
    """A cosignature: by whose key (vkey), when (seconds since 1970), the line under the note."""

    vkey: str
    time_s: int
    line: str


class Head(NamedTuple):
    """A head as the log signed it, without witnesses' lines: entries under it, note, when."""

    size: int
    note: str
    signed: datetime


def newest(conn: Connection) -> Head | None:
    """Return the last head; None where the log is empty."""
    row = conn.execute(
        "SELECT size, note, signed FROM log_checkpoint ORDER BY size DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Head(*row)


def enough(conn: Connection) -> int | None:
    """Return the size of the last head that was cosigned enough; None where none was."""
    row = conn.execute("SELECT max(size) FROM witness_quorum").fetchone()
    return None if row is None else row[0]


def waiting_s(conn: Connection) -> float:
    """
    Return for how long the log has had no head that was cosigned enough. [s]

    Counted from the first head after the last such one; 0 where the last head is one.
    """
    row = conn.execute(
        "SELECT extract(epoch FROM now() - min(signed)) FROM log_checkpoint"
        " WHERE size > coalesce((SELECT max(size) FROM witness_quorum), 0)"
    ).fetchone()
    return 0.0 if row is None or row[0] is None else max(0.0, float(row[0]))


def of_head(conn: Connection, size: int) -> list[Line]:
    """Return the cosignatures of a head, as they came."""
    rows = conn.execute(
        "SELECT vkey, time_s, line FROM witness_cosignature WHERE size = %s"
        " ORDER BY received, vkey",
        [size],
    )
    return [Line(*row) for row in rows]


def last_of(conn: Connection, vkey: str, origin: str) -> int:
    """Return the size of the last head of a log that a witness cosigned; 0 where there is none."""
    row = conn.execute(
        "SELECT max(size) FROM witness_cosignature JOIN log_checkpoint USING (size)"
        " WHERE vkey = %s AND split_part(note, E'\\n', 1) = %s",
        [vkey, origin],
    ).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def add(conn: Connection, size: int, line: Line) -> None:
    """Keep a cosignature under a head; the first of a key stays."""
    conn.execute(
        "INSERT INTO witness_cosignature (size, vkey, time_s, line) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (size, *line),
    )


def mark(conn: Connection, size: int, policy_sha256: bytes) -> None:
    """Note that a head was cosigned enough, by which policy."""
    conn.execute(
        "INSERT INTO witness_quorum (size, policy_sha256) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (size, policy_sha256),
    )
