"""
Stored evidence of verified statements: the files of their packs, or references to archived files.

An archived file is referred to, not copied: it never changes, its digest is in the catalogue and in
the pack's manifest, and `tonne archive verify` checks it against the log and that digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from psycopg import Connection, Cursor

from ingest import classes
from ingest.classes import QUANTITY_INDEX, Channel
from ingest.model import HOUR_US, LOOK_BACK_US, POWER_GAP_US, Fleet, Frame
from ingest.pipeline.quality_state import FROM_START
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

    `parts`: files of the pack that are archived: name in the pack to part.
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
    Return the SHA-256 of each stored file of a statement, in hex; of archived ones as
    recorded.
    """
    rows = conn.execute(
        "SELECT e.name, encode(coalesce(sha256(e.content), p.sha256), 'hex')"
        " FROM statement_evidence e LEFT JOIN archive_part p ON p.path = e.archived"
        " WHERE e.statement_id = %s ORDER BY e.name",
        [statement],
    )
    return dict(rows.fetchall())


_FAR = 2**62
# Two hold-offs of a departed register, and the interval that it ends in.
_SETTLED_US = 3 * HOUR_US


class Reach(NamedTuple):
    """Readings of a device later than `after_us`, up to and including `until_us`."""

    after_us: int
    until_us: int


def reaches(
    cursor: Cursor, fleet: Fleet, pairs: set[tuple[int, int]], from_us: int, to_us: int
) -> list[dict[int, Reach]]:
    """
    Return the ranges of evidence to try for each device, shortest first; the last is its whole
    history.

    `pairs`: device and quantity pairs of the account.
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
    Yield devices with the time of the first reading after the end that completes a register
    step.
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
    """Return the span of a range, end excluded, up to the last stored reading if it is endless."""
    since, until = reach.after_us + 1, reach.until_us + 1
    if reach.after_us > FROM_START and reach.until_us < _FAR:
        return since, until
    first, last = readings.ends(cursor, fleet.devices[device]) or (since, since)
    return max(since, first), min(until, last + 1)
