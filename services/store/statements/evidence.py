"""
Files of statements: evidence of their packs, and signed documents (findings, approvals, samples,
public versions, status lists).

An archived file is not copied but referred to: it never changes, and `tonne archive verify`
compares it with its digest in the catalogue and with the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg import Connection, Cursor, errors

from ingest import classes
from ingest.classes import QUANTITY_INDEX, Channel
from ingest.model import HOUR_US, LOOK_BACK_US, POWER_GAP_US, Fleet, Frame
from ingest.pipeline.quality_state import FROM_START
from mrv.calendar import utc_text
from mrv.errors import StatementStateError
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from mrv.statement.findings import Event
from services import vault_table
from services.store import archive_catalog as archived
from services.store import archived_readings as cold
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks
from services.vault import Part


def keep(
    conn: Connection, statement: str, files: Mapping[str, bytes], parts: Mapping[str, Part] = {}
) -> None:
    """
    Store a statement's evidence permanently.

    `parts`: archived files of the pack, by name in the pack.
    """
    rows = [(statement, name, content, None) for name, content in files.items()]
    paths = [(statement, name, None, part.path) for name, part in parts.items()]
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO statement_evidence (statement_id, name, content, archived)"
            " VALUES (%s, %s, %s, %s)",
            [*rows, *paths],
        )


def kept(conn: Connection, statement: str, names: Sequence[str] | None = None) -> dict[str, bytes]:
    """
    Return the stored files of a statement by name; empty before it is verified.

    `names`: only these files.
    Raises DamagedError if an archived file is missing or was changed.
    Raises VaultError if the archive cannot be reached.
    """
    rows = conn.execute(
        "SELECT name, content, archived FROM statement_evidence WHERE statement_id = %s"
        " AND (%s::text[] IS NULL OR name = ANY(%s)) ORDER BY name",
        [statement, *(2 * [None if names is None else list(names)])],
    ).fetchall()
    elsewhere = _whole(conn, [path for _, _, path in rows if path is not None])
    return {name: elsewhere[path] if path else bytes(data) for name, data, path in rows}


def _whole(conn: Connection, paths: Sequence[str]) -> dict[str, bytes]:
    """Return archived files, each checked against its digest."""
    if not paths:
        return {}
    with conn.cursor() as cursor:
        place = archived.place_of(cursor)
        return {part.path: vault_table.whole(place, part) for part in archived.at(cursor, paths)}


def digests(conn: Connection, statement: str) -> dict[str, str]:
    """
    Return the SHA-256 of each stored file of a statement, in hex; of archived files the recorded
    one.
    """
    rows = conn.execute(
        "SELECT e.name, encode(coalesce(sha256(e.content), p.sha256), 'hex')"
        " FROM statement_evidence e LEFT JOIN archive_part p ON p.path = e.archived"
        " WHERE e.statement_id = %s ORDER BY e.name",
        [statement],
    )
    return dict(rows.fetchall())


_FAR = 2**62
# time after a period in which its register steps are settled: two hold-offs and an interval
_SETTLED_US = 3 * HOUR_US


class Reach(NamedTuple):
    """Readings of a device later than `after_us`, up to and including `until_us`."""

    after_us: int
    until_us: int


def reaches(
    cursor: Cursor, fleet: Fleet, pairs: set[tuple[int, int]], from_us: int, to_us: int
) -> list[dict[int, Reach]]:
    """
    Return five sets of ranges, by fleet index of the device: from the shortest to all readings.

    The caller takes the first set whose readings give the stored intervals.

    `pairs`: fleet index and quantity of each meter of the account.
    `from_us`, `to_us`: the period, end excluded. [us UTC]
    """
    devices = sorted({d for d, _ in pairs})
    begin = dict.fromkeys(devices, from_us - POWER_GAP_US - 1)
    for mark in marks.last(cursor, fleet, start_before=dict.fromkeys(devices, from_us)):
        if (mark.device, mark.quantity) in pairs:
            begin[mark.device] = min(begin[mark.device], mark.changed_us - 1, mark.read_us - 1)
    end = dict.fromkeys(devices, to_us)
    for device, us in _first_from(cursor, fleet, pairs, to_us):
        end[device] = max(end[device], us)
    return [
        {d: Reach(begin[d], end[d]) for d in devices},
        {d: Reach(begin[d], to_us + _SETTLED_US) for d in devices},
        {d: Reach(begin[d] - LOOK_BACK_US, to_us + LOOK_BACK_US) for d in devices},
        {d: Reach(begin[d], _FAR) for d in devices},
        {d: Reach(FROM_START, _FAR) for d in devices},
    ]


def _first_from(
    cursor: Cursor, fleet: Fleet, pairs: set[tuple[int, int]], to_us: int
) -> Iterator[tuple[int, int]]:
    """
    Yield fleet index and time of each device's first reading from `to_us` on, which completes its
    last register step. [us UTC]
    """
    for class_id, members in sorted(marks.by_class(fleet, [d for d, _ in sorted(pairs)]).items()):
        for channel in classes.load()[class_id].registers:
            quantity = QUANTITY_INDEX[str(channel.quantity)]
            todo = {fleet.devices[d].id: d for d in members if (d, quantity) in pairs}
            for column in _columns(channel):
                result = cold.first(cursor, class_id, list(todo), column, to_us) if todo else {}
                yield from ((todo.pop(name), us) for name, us in result.items())


def _columns(channel: Channel) -> list[str]:
    return [channel.name] if channel.power is None else [channel.name, channel.power]


def fetch(cursor: Cursor, fleet: Fleet, reach: Mapping[int, Reach]) -> list[Frame]:
    """Return stored readings in each device's range, one frame per class."""
    frames = []
    for class_id, members in sorted(marks.by_class(fleet, list(reach)).items()):
        spans = {d: _span(cursor, fleet, d, reach[d]) for d in members}
        frames.append(readings.months(cursor, fleet, class_id, spans))
    return [frame for frame in frames if len(frame)]


def _span(cursor: Cursor, fleet: Fleet, device: int, reach: Reach) -> tuple[int, int]:
    """Return a range as a span, end excluded; an open range ends with the last reading. [us UTC]"""
    since, until = reach.after_us + 1, reach.until_us + 1
    if reach.after_us > FROM_START and reach.until_us < _FAR:
        return since, until
    first, last = readings.ends(cursor, fleet.devices[device]) or (since, since)
    return max(since, first), min(until, last + 1)


# maximum size of a public version
LARGEST_BYTES = 33_554_432
_ISSUED = (
    "EXISTS (SELECT FROM statement_event e WHERE e.statement_id = s.id AND e.state = 'issued')"
)


def insert_event(
    conn: Connection,
    event: Event,
    holder: EnrolledKey,
    document: Mapping[str, object],
    principal: str | None,
) -> None:
    """
    Store an event of a finding.

    Raises StatementStateError if the database rejects it, as another event was stored first.
    """
    try:
        conn.execute(
            "INSERT INTO finding_event (statement_id, finding, number, event, actor, multikey,"
            " principal, reason, document) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                event.statement, event.finding, event.number, event.what, holder.name,
                holder.multikey, principal, event.text, canonical.encode(document),
            ),
        )  # fmt: skip
    except (errors.CheckViolation, errors.UniqueViolation) as error:
        reason = " ".join(str(error).split())
        raise StatementStateError(
            f"{reason}; see `tonne statement finding list {event.statement}`"
        ) from error


def events(conn: Connection, statement: str) -> list[bytes]:
    """Return the signed events of a statement's findings, first to last."""
    rows = conn.execute(
        "SELECT document FROM finding_event WHERE statement_id = %s ORDER BY sequence", [statement]
    )
    return [bytes(document) for (document,) in rows]


def forward_actions(conn: Connection, project: str, from_us: int) -> list[tuple[str, str, str]]:
    """
    Return open forward actions of a project's issued statements, also superseded ones, that end by
    a time: statement, finding, text.
    """
    return conn.execute(
        "SELECT s.id, f.finding, f.reason FROM finding_event f"
        " JOIN statement s ON s.id = f.statement_id"
        " WHERE s.project_id = %s AND upper(s.period) <= %s"
        " AND f.finding LIKE 'FAR-%%' AND f.event = 'raised'"
        f" AND {_ISSUED} AND NOT EXISTS (SELECT FROM finding_event c WHERE"
        " c.statement_id = f.statement_id AND c.finding = f.finding AND c.event = 'closed')"
        " ORDER BY lower(s.period), s.id, f.sequence",
        (project, utc_text(from_us)),
    ).fetchall()


def conclusions(conn: Connection, project: str) -> list[bytes]:
    """Return the signed verifications of a project's issued statements."""
    rows = conn.execute(
        "SELECT v.document FROM statement_event v JOIN statement s ON s.id = v.statement_id"
        f" WHERE s.project_id = %s AND v.state = 'verified' AND {_ISSUED} ORDER BY v.sequence",
        [project],
    )
    return [bytes(document) for (document,) in rows]


def event_principals(conn: Connection, statement: str, event: str) -> set[str]:
    """Return the API principals that submitted events of a kind."""
    rows = conn.execute(
        "SELECT DISTINCT principal FROM finding_event"
        " WHERE statement_id = %s AND event = %s AND principal IS NOT NULL",
        (statement, event),
    )
    return {name for (name,) in rows}


def insert_approval(
    conn: Connection,
    statement: str,
    holder: EnrolledKey,
    document: Mapping[str, object],
    principal: str | None,
) -> None:
    """
    Store an operator's approval of an issue.

    Raises StatementStateError if that holder approved already, or the statement is not verified, or
    is issued.
    """
    try:
        conn.execute(
            "INSERT INTO statement_approval (statement_id, actor, multikey, principal, document)"
            " VALUES (%s, %s, %s, %s, %s)",
            (statement, holder.name, holder.multikey, principal, canonical.encode(document)),
        )
    except (errors.UniqueViolation, errors.CheckViolation) as error:
        raise StatementStateError(
            f"{holder.name!r} cannot approve {statement}: it already has their approval, is not "
            f"verified, or is issued; see `tonne statement show {statement}`"
        ) from error


def approvals(conn: Connection, statement: str) -> list[bytes]:
    """Return a statement's approvals, first to last."""
    rows = conn.execute(
        "SELECT document FROM statement_approval WHERE statement_id = %s ORDER BY at, multikey",
        [statement],
    )
    return [bytes(document) for (document,) in rows]


def insert_sample(
    conn: Connection,
    statement: str,
    holder: EnrolledKey,
    document: Mapping[str, object],
    principal: str | None,
) -> None:
    """
    Store a statement's sampling list.

    Raises StatementStateError if one is stored already, or the statement's state does not permit
    it.
    """
    try:
        conn.execute(
            "INSERT INTO statement_sampling (statement_id, actor, multikey, principal, document)"
            " VALUES (%s, %s, %s, %s, %s)",
            (statement, holder.name, holder.multikey, principal, canonical.encode(document)),
        )
    except errors.UniqueViolation as error:
        raise StatementStateError(
            f"the sample of {statement} is already drawn, and can be drawn only once; `tonne "
            f"statement sample {statement}` shows it"
        ) from error
    except errors.CheckViolation as error:
        raise StatementStateError(" ".join(str(error).split())) from error


def sample(conn: Connection, statement: str) -> bytes | None:
    """Return the signed sampling list of a statement's verifier, if a sample was drawn."""
    row = conn.execute(
        "SELECT document FROM statement_sampling WHERE statement_id = %s", [statement]
    ).fetchone()
    return None if row is None else bytes(row[0])


def insert_public_version(
    conn: Connection, statement: str, signed: datetime, multikey: str, files: bytes
) -> None:
    """
    Store a public version in addition to earlier ones.

    `signed`: time of the operator's signature, with a time zone.
    `multikey`: the operator's public key, enrolled here.
    `files`: the folder of `tonne export public` as a zip, at most `LARGEST_BYTES`.
    """
    conn.execute(
        "INSERT INTO public_version (statement_id, signed, multikey, files)"
        " VALUES (%s, %s, %s, %s)",
        (statement, signed, multikey, files),
    )


def newest_public_version(conn: Connection, statement: str) -> bytes | None:
    """Return the newest public version of a statement as a zip, if one was published."""
    row = conn.execute(
        "SELECT files FROM public_version WHERE statement_id = %s ORDER BY sequence DESC LIMIT 1",
        [statement],
    ).fetchone()
    return None if row is None else bytes(row[0])


def is_published(conn: Connection, statement: str) -> bool:
    """Return whether a public version of a statement was published."""
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM public_version WHERE statement_id = %s)", [statement]
    ).fetchone()
    return row is not None and bool(row[0])


class Published(NamedTuple):
    """A project's newest status list, and the time of its signature."""

    document: bytes
    signed: datetime


def insert_status_list(
    conn: Connection,
    project: str,
    holder: EnrolledKey,
    signed: datetime,
    document: Mapping[str, object],
    principal: str | None = None,
) -> None:
    """Store a project's status list in addition to earlier ones."""
    conn.execute(
        "INSERT INTO status_list (project_id, signed, multikey, document, principal)"
        " VALUES (%s, %s, %s, %s, %s)",
        (project, signed, holder.multikey, canonical.encode(document), principal),
    )


def listed_projects(conn: Connection) -> list[str]:
    """Return the projects with published status lists."""
    rows = conn.execute("SELECT DISTINCT project_id FROM status_list ORDER BY project_id")
    return [project for (project,) in rows]


def newest_status_list(conn: Connection, project: str) -> Published | None:
    """Return a project's newest status list, if one was ever published."""
    row = conn.execute(
        "SELECT document, signed FROM status_list WHERE project_id = %s"
        " ORDER BY signed DESC, sequence DESC LIMIT 1",
        [project],
    ).fetchone()
    return None if row is None else Published(bytes(row[0]), row[1])
