"""
Numbers of devices, statements and rows for metrics; raising and clearing of alarms.

Alarms with a common cause are combined: one alarm for the devices of an offline gateway, and one
for a project without any data.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import NamedTuple

from psycopg import Connection

from services.registry import limits
from services.store.postgres import columnstore
from services.store.statements import queues
from services.store.statements.queues import Waiting
from services.store.timeseries import remake_requests


class Room(NamedTuple):
    """Size of the database, and free space of its disk if known. [bytes]"""

    size: int
    free: int | None


def disk_room(conn: Connection, disk: Path | None = None) -> Room:
    """
    Return a database's size, and the free space of its disk.
    `disk`: a folder on that disk; by default the server's data folder.
    """
    row = conn.execute("SELECT pg_database_size(current_database())").fetchone()
    folder = disk or _own_folder(conn)
    try:
        free = None if folder is None else shutil.disk_usage(folder).free
    except OSError:
        free = None
    return Room(int(row[0]) if row else 0, free)


def _own_folder(conn: Connection) -> Path | None:
    """Return the server's data folder; None if the server is on another machine."""
    row = conn.execute(
        "SELECT setting FROM pg_settings WHERE name = 'data_directory'"
        " AND (inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8'"
        " OR inet_server_addr() = '::1')"
    ).fetchone()
    return None if row is None or not row[0] else Path(row[0])


@dataclass(frozen=True, slots=True)
class Gauges:
    """
    State of the database at one time, for Prometheus.

    `devices`: number of devices by (state, class).
    `dark_devices`: devices without data because their gateway is offline.
    `gateways`: number of gateways by state.
    `last_reading_s`: device time of the newest reading; None if there is none. [s since 1970]
    `coverage`: measured share of each project's last closed period. [-]
    `statements`: number of statements that ever reached a state, by state.
    `calibrations`: number of devices by (project, state of their calibration).
    `overdue`: number of chunks overdue for compression; None without columnstore.
    `waiting`: number of devices whose intervals are not calculated yet.
    `size_bytes`: size of the database on disk.
    `free_bytes`: free space of that disk; None if unknown.
    `signer_requests`: unanswered requests to the signer.
    `failed_jobs`: number of failing jobs of TimescaleDB, as in `columnstore.failed_jobs`.
    """

    devices: dict[tuple[str, str], int]
    dark_devices: int
    gateways: dict[str, int]
    last_reading_s: float | None
    coverage: dict[str, float]
    statements: dict[str, int]
    calibrations: dict[tuple[str, str], int]
    overdue: int | None
    waiting: int
    size_bytes: int
    free_bytes: int | None
    signer_requests: Waiting
    failed_jobs: int


_DEVICES = """
SELECT state, class, count(*), extract(epoch FROM max(last_reading))::double precision,
       count(*) FILTER (WHERE state IN ('late', 'offline') AND NOT alarm)
FROM v_device_health GROUP BY state, class
"""
_GATEWAYS = "SELECT state, count(*) FROM v_gateway_health GROUP BY state"
_COVERAGE = """
SELECT DISTINCT ON (project_id) project_id, coverage::double precision FROM monitoring_period
ORDER BY project_id, local_to DESC, id DESC
"""
_STATEMENTS = "SELECT state, count(*) FROM statement_event GROUP BY state"
_CALIBRATIONS = "SELECT project_id, state, count(*) FROM v_calibration_due GROUP BY 1, 2"
# time after which tonne_refresh_days() ends, even if unfinished [s]
_ROUND_S = 60.0


def read(conn: Connection, disk: Path | None = None) -> Gauges:
    """
    Return the current numbers; the role must have the right to read statements.

    `disk`: a folder on the database's disk.
    """
    devices = conn.execute(_DEVICES).fetchall()
    times = [row[3] for row in devices if row[3] is not None]
    return Gauges(
        {(state, class_): count for state, class_, count, *_ in devices},
        sum(row[4] for row in devices),
        dict(conn.execute(_GATEWAYS).fetchall()),
        max(times, default=None),
        dict(conn.execute(_COVERAGE).fetchall()),
        dict(conn.execute(_STATEMENTS).fetchall()),
        {(project, state): n for project, state, n in conn.execute(_CALIBRATIONS).fetchall()},
        _overdue(conn),
        remake_requests.count(conn),
        *disk_room(conn, disk),
        queues.waiting(conn),
        len(columnstore.failed_jobs(conn)),
    )


def _overdue(conn: Connection) -> int | None:
    if not columnstore.available(conn):
        return None
    return len(columnstore.waiting(conn, columnstore.OVERDUE_DAYS))


def refresh_today(conn: Connection) -> None:
    """Update the sums of yesterday and today up to an hour ago; views add the last hour."""
    conn.execute("SELECT tonne_refresh_today()")


def refresh_days(conn: Connection) -> int:
    """
    Update the sums of changed days; return the number of devices.

    Each transaction lasts about a minute, so that an interruption loses little work.
    """
    made = 0
    while True:
        began = time.monotonic()
        row = conn.execute("SELECT tonne_refresh_days()").fetchone()
        made += int(row[0]) if row else 0
        if time.monotonic() - began < _ROUND_S:
            return made


# column that determines a row's age, by table
_AGED_BY = {"dead_letter": "received", "webhook_event": "at", "clear_sky_day": "day"}


def overdue_s(conn: Connection, days: Mapping[str, int]) -> dict[str, float]:
    """
    Return by how long the oldest row of each table exceeds its retention, in whole UTC days. [s]
    `days`: retention in days by table; tables with 0 (no limit) are omitted.
    """
    midnight = datetime.combine(datetime.now(UTC), clock(tzinfo=UTC))
    result = {}
    for table, kept in days.items():
        if kept:
            oldest = _oldest(conn, table, midnight - timedelta(days=kept))
            result[table] = (midnight - timedelta(days=kept) - oldest).total_seconds()
    return result


def _oldest(conn: Connection, table: str, before: datetime) -> datetime:
    """Return the time of a table's oldest row; `before` if none is older."""
    column = _AGED_BY[table]
    row = conn.execute(
        f"SELECT min({column}) FROM {table} WHERE {column} < %s",
        [before.date() if column == "day" else before],
    ).fetchone()
    if row is None or row[0] is None:
        return before
    return datetime.combine(row[0], clock(tzinfo=UTC)) if column == "day" else row[0]


ACTOR = "tonne watch"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('tonne alarms'))"
_NAMES = ("kind", "class", "severity", *limits.NUMBERS)
_WRITE = (
    f"INSERT INTO alarm_rule ({', '.join(_NAMES)}) VALUES ({', '.join(['%s'] * len(_NAMES))})"
    " ON CONFLICT (kind, class) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES[2:])
)
_DELETE_OLD = (
    "DELETE FROM alarm_rule WHERE (kind, class) NOT IN"
    " (SELECT * FROM unnest(%s::text[], %s::text[]))"
)
_ROUND = """
WITH found AS MATERIALIZED (
    SELECT * FROM v_alarm_condition
), wider AS MATERIALIZED (
    SELECT kind, subject FROM found WHERE kind IN ('gateway_silent', 'project_silent') AND raises
), seen AS MATERIALIZED (
    SELECT o.id, c.kind IS NOT NULL AS holds, o.ending_since,
           -- the first reading refutes "never reported" at once; it cannot recur
           CASE WHEN o.cause = 'never heard' THEN 0 ELSE o.clear_s END AS clear_s,
           coalesce(c.devices, o.devices) AS devices, coalesce(c.projects, o.projects) AS projects,
           coalesce(c.detail, o.detail) AS detail,
           CASE WHEN c.kind IS NULL THEN o.cost_t_per_day ELSE c.cost_t_per_day END AS cost,
           CASE WHEN c.kind IS NULL AND o.kind = 'device_silent' THEN (
               SELECT w.subject FROM wider w
               WHERE w.kind = 'gateway_silent' AND w.subject = d.gateway
                  OR w.kind = 'project_silent' AND w.subject = ANY (o.projects) LIMIT 1
           ) END AS joined
    FROM alarm o
    LEFT JOIN found c ON (c.kind, c.subject_type, c.subject, c.part)
        = (o.kind, o.subject_type, o.subject, o.part)
        -- readings that came late end the alarm of a meter that seemed never heard
        AND (coalesce(c.cause, '') = 'never heard') = (coalesce(o.cause, '') = 'never heard')
    LEFT JOIN device d ON d.id = o.subject
    WHERE o.cleared IS NULL
), next AS MATERIALIZED (
    SELECT *, CASE WHEN NOT holds THEN coalesce(ending_since, now()) END AS ending,
           CASE WHEN NOT holds AND (joined IS NOT NULL OR
               coalesce(ending_since, now()) + clear_s * INTERVAL '1 s' <= now()) THEN now() END
               AS over
    FROM seen
), kept AS (
    UPDATE alarm a SET ending_since = n.ending, cleared = n.over, devices = n.devices,
        projects = n.projects, detail = n.detail, cost_t_per_day = n.cost
    FROM next n
    WHERE a.id = n.id AND (a.ending_since, a.cleared, a.devices, a.projects, a.detail,
        a.cost_t_per_day) IS DISTINCT FROM
        (n.ending, n.over, n.devices, n.projects, n.detail, n.cost)
    RETURNING a.id, a.cleared, n.joined
), raised AS (
    INSERT INTO alarm (kind, subject_type, subject, part, class, site, projects, severity, since,
        cause, detail, devices, cost_t_per_day, clear_s)
    SELECT kind, subject_type, subject, part, class, site, projects, severity, since, cause,
           detail, devices, cost_t_per_day, clear_s
    FROM found c
    WHERE raises AND NOT EXISTS (SELECT FROM alarm o WHERE o.cleared IS NULL
        AND (o.kind, o.subject_type, o.subject, o.part)
          = (c.kind, c.subject_type, c.subject, c.part))
    ORDER BY c.since, c.subject
    ON CONFLICT DO NOTHING
    RETURNING id
), logged AS (
    INSERT INTO alarm_event (alarm_id, event, actor, text)
    SELECT id, 'raised', %(actor)s, '' FROM raised
    UNION ALL
    SELECT id, 'cleared', %(actor)s, coalesce('joined the alarm of ' || joined, '') FROM kept
    WHERE cleared IS NOT NULL
)
SELECT (SELECT count(*) FROM raised), (SELECT count(*) FROM kept WHERE cleared IS NOT NULL)
"""
# from this number of changed rows on, the planner's statistics are updated
_BURST = 200
_COUNTS = (
    "SELECT kind, severity, state, count(*) FROM v_alarm WHERE cleared IS NULL GROUP BY 1, 2, 3"
)


@dataclass(frozen=True, slots=True)
class Round:
    """Result of one evaluation of all alarm rules, and open alarms by (kind, severity, state)."""

    raised: int
    cleared: int
    alarms: dict[tuple[str, str, str], int]


def raise_alarms(conn: Connection) -> Round:
    """Raise and clear alarms, as `tonne_mrv`; only one round runs at a time."""
    with conn.transaction():
        conn.execute(_LOCK)
        _sync_rules(conn)
        done = conn.execute(_ROUND, {"actor": ACTOR}).fetchone()
    raised, cleared = done or (0, 0)
    if raised + cleared >= _BURST:
        conn.execute("SELECT tonne_analyze_alarms()")
    return Round(raised, cleared, {(k, s, t): n for k, s, t, n in conn.execute(_COUNTS).fetchall()})


def _sync_rules(conn: Connection) -> None:
    """Write the rules of this version to the database."""
    wanted = list(limits.rows())
    stored = {
        (*row[:5], *(None if value is None else float(value) for value in row[5:]))
        for row in conn.execute(f"SELECT {', '.join(_NAMES)} FROM alarm_rule").fetchall()
    }
    if stored == {
        (*r[:5], *(None if value is None else float(value) for value in r[5:])) for r in wanted
    }:
        return
    conn.execute(_DELETE_OLD, [[row[0] for row in wanted], [row[1] for row in wanted]])
    conn.cursor().executemany(_WRITE.encode(), wanted)
