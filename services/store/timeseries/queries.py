"""Stored rows of projects and devices, for display and for the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import tuple_row

from ingest import classes
from ingest.classes import QUANTITIES
from ingest.model import INTERVAL_US, Device, quality
from ingest.pipeline.quality_limits import TIME
from mrv.calendar import utc_text
from mrv.environment import KIND_INDEX, KINDS
from services.store import archived_readings as cold
from services.store.postgres.pool import stamp
from services.store.registry import unknown
from services.store.registry.load import load_project

_UNITS = {q.name: q.unit for q in QUANTITIES}
_START = "(extract(epoch FROM start) * 1000000)::bigint"


def device_timezone(conn: Connection, device: str) -> str:
    """
    Return the time zone of a device's site.

    Raises RegistryError if the device is not registered.
    """
    row = conn.execute(
        "SELECT s.timezone FROM device d JOIN site s ON s.id = d.site WHERE d.id = %s", [device]
    ).fetchone()
    if row is None:
        raise unknown(conn, "device", device)
    return str(row[0])


def site_timezone(conn: Connection, site: str) -> str:
    """Return a site's time zone; RegistryError if it is not registered."""
    row = conn.execute("SELECT timezone FROM site WHERE id = %s", [site]).fetchone()
    if row is None:
        raise unknown(conn, "site", site)
    return str(row[0])


def project_timezone(conn: Connection, project: str) -> str:
    """Return a project's time zone; RegistryError if it is not registered."""
    return load_project(conn, project).timezone


def quantities(
    conn: Connection,
    device: str,
    from_us: int,
    to_us: int,
    after: tuple[str, str] | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """
    Return a device's interval quantities with starts in [from, to).

    Intervals without data are omitted.

    `after`: start and quantity of the last row of the previous page.
    `limit`: maximum number of rows.
    """
    rows = conn.execute(
        f"SELECT {_START}, quantity, value, measured_us, estimated_us, unknown_us"
        " FROM interval_quantity WHERE device_id = %s AND start >= %s AND start < %s"
        " AND measured_us + estimated_us + unknown_us > 0"
        " AND (%s::timestamptz IS NULL OR (start, quantity) > (%s::timestamptz, %s))"
        " ORDER BY start, quantity LIMIT %s",
        (device, stamp(from_us), stamp(to_us), *_after(after), limit),
    )
    return [
        {
            "start": utc_text(start),
            "quantity": quantity,
            "value": value,
            "unit": _UNITS[quantity],
            "quality": quality(estimated_us, unknown_us),
            "measured_share": measured_us / INTERVAL_US,
        }
        for start, quantity, value, measured_us, estimated_us, unknown_us in rows.fetchall()
    ]


def emissions(
    conn: Connection, project: str, from_us: int, to_us: int, limit: int | None = None
) -> list[dict[str, Any]]:
    """Return a project's emissions by interval, exact sums over its devices. [ug CO2e]"""
    names = ("baseline_ug", "project_ug", "leakage_ug", "reduction_ug")
    names_ = ", ".join(names)
    rows = conn.execute(
        f"SELECT {_START.replace('start', 'time')}, {names_}"
        " FROM tonne_account_quarters(%s, %s::timestamptz, %s::timestamptz) ORDER BY time LIMIT %s",
        (project, stamp(from_us), stamp(to_us), limit),
    )
    return [
        {"start": utc_text(start), **{n: int(v) for n, v in zip(names, values, strict=True)}}
        for start, *values in rows.fetchall()
    ]


def indicators(
    conn: Connection,
    from_us: int,
    to_us: int,
    *,
    device: str | None = None,
    site: str | None = None,
) -> list[dict[str, Any]]:
    """Return indicator values of a station, or of a site's stations, that start in [from, to)."""
    rows = conn.execute(
        f"SELECT {_START.replace('start', 'v.start')}, v.device_id, v.indicator, v.period,"
        " v.value, v.covered, v.grade, v.detail"
        " FROM indicator_value v JOIN device d ON d.id = v.device_id"
        " WHERE (v.device_id = %s OR d.site = %s) AND v.start >= %s AND v.start < %s"
        " ORDER BY v.device_id, v.start, v.period DESC, v.indicator",
        (device, site, stamp(from_us), stamp(to_us)),
    )
    return [
        {
            "start": utc_text(start),
            "device": name,
            "period": period,
            "indicator": indicator,
            "value": value,
            "unit": KINDS[KIND_INDEX[indicator]].unit,
            "covered": covered,
            "grade": grade,
            "detail": detail,
        }
        for start, name, indicator, period, value, covered, grade, detail in rows.fetchall()
    ]


def _after(row: tuple[str, str] | None) -> tuple[str | None, str | None, str | None]:
    return (None, None, None) if row is None else (row[0], *row)


_HOUR_S = 3_600


class Flagged(NamedTuple):
    """Quality flag of a channel; `value`: the flagged value, None for the channel `time`."""

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

    Channels left empty when the reading arrived, as their value was impossible, are included.
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
    """
    Return the state of a device's clock on its last day with data, as text; None if unknown.

    For example `drifting: +12.0 s on 2026-03-01, +2.1 s a day`.
    """
    row = conn.execute(
        "SELECT clock, offset_s, drift_s_per_day, day FROM v_device_clock WHERE device_id = %s",
        [device],
    ).fetchone()
    if row is None:
        return None
    clock, offset_s, drift, day = row
    if (
        offset_s is None
    ):  # without offset: late readings, for instance from a file, are no evidence about the clock
        return str(clock)
    off = f"{offset_s:+.1f} s" if abs(offset_s) < _HOUR_S else f"{offset_s / _HOUR_S:+,.0f} h"
    moves = f", {drift:+.1f} s a day" if clock == "drifting" else ""
    return f"{clock}: {off} on {day}{moves}"


def beside(conn: Connection, device: str) -> tuple[tuple[str, ...], float]:
    """
    Return the id of a device's check meter or main meter, and the tolerance. [%]

    The main meter is returned for a device that is itself a check meter.  No id: neither exists.
    """
    row = conn.execute(
        "SELECT CASE WHEN id = %(id)s THEN check_of ELSE id END, check_percent FROM device"
        " WHERE (id = %(id)s AND check_of IS NOT NULL) OR check_of = %(id)s"
        " ORDER BY id <> %(id)s, id LIMIT 1",
        {"id": device},
    ).fetchone()
    return ((str(row[0]),), float(row[1])) if row else ((), 2.0)


_LAST = 50


@dataclass(frozen=True, slots=True)
class Arrival:
    """Stored reading: values by channel in the class's units, and flags by channel."""

    time: datetime
    values: dict[str, Any]
    flags: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rejected message of a device."""

    id: int
    received: datetime
    reason: str
    detail: str


def newest(conn: Connection, device: Device) -> list[Arrival]:
    """Return the newest readings of a device, oldest first."""
    names = list(classes.load()[device.class_id].channels)
    rows = conn.execute(
        f"SELECT time, {', '.join(names)}, flags FROM reading_{device.class_id}"
        " WHERE device_id = %s ORDER BY time DESC LIMIT %s",
        [device.id, _LAST],
    ).fetchall()[::-1]
    if not rows:
        return []
    judged = conn.execute(
        "SELECT time, channel, test FROM quality_flag WHERE device_id = %s AND time >= %s",
        [device.id, rows[0][0]],
    ).fetchall()
    arrivals = []
    for time, *values, flags in rows:
        answer: dict[str, list[str]] = {name: [str(word)] for name, word in (flags or {}).items()}
        for at, channel, test in judged:
            if at == time:
                answer.setdefault(channel, []).append(test)
        stored = {n: v for n, v in zip(names, values, strict=True) if v is not None}
        arrivals.append(Arrival(time, stored, answer))
    return arrivals


def last_letter(conn: Connection) -> int:
    """Return the number of the newest dead letter."""
    row = conn.execute("SELECT coalesce(max(id), 0) FROM dead_letter").fetchone()
    return int(row[0]) if row else 0


def refusals(conn: Connection, device: str, after: int) -> list[Refusal]:
    """
    Return rejected messages of a device, or with its id in the topic, after a dead letter's
    number.
    """
    rows = conn.execute(
        "SELECT id, received, reason, detail FROM dead_letter WHERE id > %s"
        " AND (device_id = %s OR principal = %s OR %s = ANY(string_to_array(topic, '/')))"
        " ORDER BY id LIMIT %s",
        [after, device, device, device, _LAST],
    )
    return [Refusal(*row) for row in rows.fetchall()]
