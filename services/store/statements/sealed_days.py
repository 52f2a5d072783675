"""Seals of days, first readings of devices, and tokens of time-stamp authorities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, Cursor

from ingest import classes
from ingest.model import Fleet, Int64
from services.store import archive_catalog as archived
from services.store.postgres.pool import stamp

# minimum age of days that are sealed and archived [us]
YOUNG_US = 86_400_000_000
_LAST = (
    "SELECT DISTINCT ON (project_id, day) project_id, day, sequence, index, from_time, to_time"
    " FROM data_seal"
)
_OF_A_DAY = "project_id, day, sequence DESC"
_FIGURES = ("baseline_ug", "project_ug", "leakage_ug", "reduction_ug")


class Seal(NamedTuple):
    """Last seal of a day: number among the day's seals, log entry, start and end of the day."""

    project: str
    day: date
    sequence: int
    entry: int
    begin: datetime
    end: datetime


def latest(conn: Connection) -> dict[tuple[str, date], Seal]:
    """Return the last seal of every sealed day, by project ('' for devices without one) and day."""
    rows = conn.execute(f"{_LAST} ORDER BY {_OF_A_DAY}")
    return {(row[0], row[1]): Seal(*row) for row in rows}


def last_of(conn: Connection, project: str, days: Sequence[date]) -> dict[date, Seal]:
    """Return the last seal of each of some days of a project, or with '' of devices without one."""
    rows = conn.execute(
        f"{_LAST} WHERE project_id = %s AND day = ANY(%s) ORDER BY {_OF_A_DAY}",
        (project, list(days)),
    )
    return {row[1]: Seal(*row) for row in rows}


def over(conn: Connection, from_us: int, to_us: int) -> list[Seal]:
    """Return the last seals of days that overlap a span. [us UTC]"""
    rows = conn.execute(
        f"{_LAST} WHERE from_time < %s AND to_time > %s ORDER BY {_OF_A_DAY}",
        (stamp(to_us), stamp(from_us)),
    )
    return [Seal(*row) for row in rows]


def first_sealed(conn: Connection) -> dict[tuple[str, date], datetime]:
    """Return when each day was first sealed, by project ('' for devices without one) and day."""
    rows = conn.execute(
        "SELECT s.project_id, s.day, e.appended FROM data_seal s JOIN log_entry e USING (index)"
        " WHERE s.sequence = 1"
    )
    return {(project, day): at for project, day, at in rows}


def add_seal(conn: Connection, seal: Seal) -> None:
    """Record the log index of a day's seal."""
    conn.execute(
        "INSERT INTO data_seal (project_id, day, sequence, index, from_time, to_time)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        seal,
    )


def of_day(conn: Connection, project: str, day: date) -> list[int]:
    """Return the log indices of all seals of a day, first to last."""
    rows = conn.execute(
        "SELECT index FROM data_seal WHERE project_id = %s AND day = %s ORDER BY sequence",
        (project, day),
    )
    return [int(index) for (index,) in rows]


def first_us(cursor: Cursor, devices: Sequence[str]) -> dict[str, int]:
    """Return the time of each device's oldest reading, if it has one. [us UTC]"""
    result: dict[str, int] = {}
    stored: list[tuple[str, int]] = []
    for class_id, ids in _by_class(cursor, devices).items():
        cursor.execute(
            "SELECT d.id, r.first FROM unnest(%s::text[]) d (id) CROSS JOIN LATERAL"
            " (SELECT (extract(epoch FROM time) * 1000000)::bigint AS first"
            f" FROM reading_{class_id} WHERE device_id = d.id ORDER BY time LIMIT 1) r",
            [ids],
        )
        stored += [(str(name), int(us)) for name, us in cursor.fetchall()]
    stored += [(name, first) for name, (first, _) in archived.reach(cursor, devices).items()]
    for name, us in stored:
        result[name] = min(us, result.get(name, us))
    return result


def _by_class(cursor: Cursor, devices: Sequence[str]) -> dict[str, list[str]]:
    """Return devices by class, whose table has their readings; unregistered ones by every class."""
    cursor.execute("SELECT id, class FROM device WHERE id = ANY(%s)", [list(devices)])
    class_of = {str(name): str(class_id) for name, class_id in cursor.fetchall()}
    result: dict[str, list[str]] = {}
    every = classes.load()
    for name in devices:
        for class_id in [class_of[name]] if class_of.get(name) in every else every:
            result.setdefault(class_id, []).append(name)
    return result


class Emissions(NamedTuple):
    """Stored emission rows, ordered by device and start; texts are object arrays."""

    device: NDArray[np.int32]
    start_us: Int64
    columns: dict[str, NDArray[np.generic]]


def emissions_of(
    cursor: Cursor, fleet: Fleet, ids: Sequence[str], from_us: int, to_us: int
) -> Emissions:
    """Return stored emission rows with starts in [from, to)."""
    texts = ("project_id", "methodology", "factor")
    cursor.execute(
        "SELECT device_id, (extract(epoch FROM start) * 1000000)::bigint,"
        f" {', '.join((*_FIGURES, *texts))} FROM interval_emission"
        " WHERE device_id = ANY(%s) AND start >= %s AND start < %s"
        " ORDER BY device_id, start, project_id",
        (list(ids), stamp(from_us), stamp(to_us)),
    )
    rows = cursor.fetchall()
    columns = list(zip(*rows, strict=True)) if rows else [()] * 9
    return Emissions(
        np.array([fleet.by_id[name] for name in columns[0]], dtype=np.int32),
        np.array(columns[1], dtype=np.int64),
        {n: np.array(c, dtype=np.int64) for n, c in zip(_FIGURES, columns[2:6], strict=True)}
        | {n: np.array(c, dtype=object) for n, c in zip(texts, columns[6:], strict=True)},
    )


_COLUMNS = "digest, size, statement_id, authority, signer, url, time, token, chain, received"
# kinds of log entries whose head must be time-stamped: days, and issued statements
_SEALING = ("data", "issued")


@dataclass(frozen=True, slots=True)
class Token:
    """
    Time-stamp token of a head of the log (`size`) or a signed statement (`statement`).

    `digest`: SHA-256 of the stamped bytes.
    `authority`, `signer`: names in the list of trusted authorities, and in the certificate.
    `token`: TimeStampResp, in DER.
    `chain`: certificates of the authority trusted at that time, in PEM.
    """

    digest: bytes
    size: int | None
    statement: str | None
    authority: str
    signer: str
    url: str
    time: datetime
    token: bytes
    chain: str
    received: datetime


class HeadToStamp(NamedTuple):
    """Head of the log to be time-stamped, and the time of the oldest entry that waits for it."""

    size: int
    note: str
    since: datetime


def add_token(conn: Connection, token: Token) -> bool:
    """Store a token; return whether it is the first of that authority for these bytes."""
    cursor = conn.execute(
        f"INSERT INTO timestamp_token ({_COLUMNS}) VALUES"
        " (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            token.digest, token.size, token.statement, token.authority, token.signer, token.url,
            token.time, token.token, token.chain, token.received,
        ),
    )  # fmt: skip
    return cursor.rowcount == 1


def of_digest(conn: Connection, digest: bytes) -> list[Token]:
    """Return the tokens over bytes with a digest, by time."""
    return _tokens(conn, "digest = %s", [digest])


def of_statement(conn: Connection, statement: str) -> list[Token]:
    """Return the tokens over a statement, by time."""
    return _tokens(conn, "statement_id = %s", [statement])


def of_heads(conn: Connection) -> dict[int, list[Token]]:
    """Return the tokens over heads of the log, by the head's size."""
    tokens: dict[int, list[Token]] = {}
    for token in _tokens(conn, "size IS NOT NULL", []):
        tokens.setdefault(int(token.size or 0), []).append(token)
    return tokens


def every(conn: Connection) -> list[Token]:
    """Return all tokens, by time."""
    return _tokens(conn, "true", [])


def _tokens(conn: Connection, where: str, values: Sequence[object]) -> list[Token]:
    rows = conn.execute(
        f"SELECT {_COLUMNS} FROM timestamp_token WHERE {where} ORDER BY time, sequence", values
    )
    return [Token(*row) for row in rows]


def head_to_stamp(conn: Connection, enough: int) -> HeadToStamp | None:
    """
    Return the newest head, if it covers seals or issues that no sufficiently stamped head covers.
    A token over an older head would cover fewer entries.

    `enough`: number of authorities that a stamped head needs.
    """
    row = conn.execute(
        "WITH done AS (SELECT coalesce(max(size), 0) AS size FROM (SELECT size FROM timestamp_token"
        " WHERE size IS NOT NULL GROUP BY size HAVING count(DISTINCT authority) >= %s) s),"
        " waiting AS (SELECT e.index, e.appended FROM log_entry e, done"
        " WHERE e.kind = ANY(%s) AND e.index >= done.size)"
        " SELECT c.size, c.note, (SELECT min(appended) FROM waiting WHERE index < c.size)"
        " FROM log_checkpoint c WHERE c.size > (SELECT min(index) FROM waiting)"
        " ORDER BY c.size DESC LIMIT 1",
        (enough, list(_SEALING)),
    ).fetchone()
    return None if row is None else HeadToStamp(int(row[0]), row[1], row[2])


def statements_to_stamp(conn: Connection, enough: int) -> list[str]:
    """Return issued statements time-stamped by fewer than `enough` authorities, oldest first."""
    rows = conn.execute(
        "SELECT e.statement_id FROM log_entry e WHERE e.kind = 'issued' AND"
        " (SELECT count(DISTINCT t.authority) FROM timestamp_token t"
        "  WHERE t.statement_id = e.statement_id) < %s ORDER BY e.index",
        [enough],
    )
    return [str(row[0]) for row in rows]
