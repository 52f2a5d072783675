"""Stored quality flags, clock state and check meters of a device, for display."""

from __future__ import annotations

from typing import NamedTuple

from psycopg import Connection
from psycopg.rows import tuple_row

from ingest import classes
from ingest.model import Device
from ingest.pipeline.quality_limits import TIME
from mrv.calendar import utc_text
from services.store.archive import archived_readings as cold
from services.store.postgres.timestamps import stamp

_HOUR_S = 3_600


class Flagged(NamedTuple):
    """Quality flag with its value; None if it concerns the reading's time."""

    time: str
    channel: str
    test: str
    value: float | int | None


def count_readings(conn: Connection, device: Device, begin_us: int, end_us: int) -> int:
    """Return the number of a device's stored readings in [begin, end)."""
    with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
        source = cold.relation(
            cursor, device.class_id, [cold.ReadingSpan(device.id, 0, begin_us, end_us)]
        )
        cursor.execute(
            f"SELECT count(*) FROM {source} r WHERE device_id = %s AND time >= %s AND time < %s",
            (device.id, stamp(begin_us), stamp(end_us)),
        )
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def flags_of(conn: Connection, device: Device, begin_us: int, end_us: int) -> list[Flagged]:
    """
    Return the flags of a device's readings in [begin, end), in order of time.

    Including channels left empty at arrival because their value was impossible.
    """
    channels = [c for c in classes.load()[device.class_id].channels if c != TIME]
    values = " ".join(f"WHEN '{name}' THEN r.{name}::float8" for name in channels)
    spans = [cold.ReadingSpan(device.id, 0, begin_us, end_us)]
    with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
        source = cold.relation(cursor, device.class_id, spans)
        cursor.execute(
            "SELECT (extract(epoch FROM f.time) * 1000000)::bigint, f.channel, f.test,"
            f" CASE f.channel {values} END"
            f" FROM quality_flag f JOIN {source} r USING (device_id, time)"
            " WHERE f.device_id = %(id)s AND f.time >= %(begin)s AND f.time < %(end)s"
            " UNION ALL SELECT (extract(epoch FROM r.time) * 1000000)::bigint, said.key,"
            f" said.value, NULL FROM {source} r CROSS JOIN LATERAL jsonb_each_text(r.flags) said"
            " WHERE r.device_id = %(id)s AND r.time >= %(begin)s AND r.time < %(end)s"
            " AND r.flags IS NOT NULL ORDER BY 1, 2, 3",
            {"id": device.id, "begin": stamp(begin_us), "end": stamp(end_us)},
        )
        rows = cursor.fetchall()
    return [Flagged(utc_text(us), *rest) for us, *rest in rows]


def clock_of(conn: Connection, device: str) -> str | None:
    """Return a device's clock state on its last day with data."""
    row = conn.execute(
        "SELECT clock, offset_s, drift_s_per_day, day FROM v_device_clock WHERE device_id = %s",
        [device],
    ).fetchone()
    if row is None:
        return None
    clock, offset_s, drift, day = row
    if offset_s is None:  # readings that came late, as those of a file, say nothing of a clock
        return str(clock)
    off = f"{offset_s:+.1f} s" if abs(offset_s) < _HOUR_S else f"{offset_s / _HOUR_S:+,.0f} h"
    moves = f", {drift:+.1f} s a day" if clock == "drifting" else ""
    return f"{clock}: {off} on {day}{moves}"


def beside(conn: Connection, device: str) -> tuple[tuple[str, ...], float]:
    """Return the registered check meters of a device, and the tolerance. [%]"""
    row = conn.execute(
        "SELECT CASE WHEN id = %(id)s THEN check_of ELSE id END, check_percent FROM device"
        " WHERE (id = %(id)s AND check_of IS NOT NULL) OR check_of = %(id)s"
        " ORDER BY id <> %(id)s, id LIMIT 1",
        {"id": device},
    ).fetchone()
    return ((str(row[0]),), float(row[1])) if row else ((), 2.0)
