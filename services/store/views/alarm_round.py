"""
Raising and clearing of alarms in one SQL statement; and age of rows beyond their retention.

Alarms with a common cause are combined: devices behind an offline gateway, and a project without
any data, give one alarm.

Retention is judged by the rows, as the log of deletions may be unread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from psycopg import Connection

from services.registry import limits

# the time by which a row's age is told
_AGED_BY = {"dead_letter": "received", "webhook_event": "at", "clear_sky_day": "day"}


def overdue_s(conn: Connection, days: Mapping[str, int]) -> dict[str, float]:
    """
    Return by how long the oldest row of each table exceeds its retention, in whole UTC days. [s]

    Parameters
    ----------
    days : mapping of str to int
        Retention of a table in days, by its name; 0 for no limit, and no answer.
    """
    midnight = datetime.combine(datetime.now(UTC), time(tzinfo=UTC))
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
    return datetime.combine(row[0], time(tzinfo=UTC)) if column == "day" else row[0]


ACTOR = "tonne watch"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('tonne alarms'))"
_NAMES = ("kind", "class", "severity", *limits.NUMBERS)
_WRITE = (
    f"INSERT INTO alarm_rule ({', '.join(_NAMES)}) VALUES ({', '.join(['%s'] * len(_NAMES))})"
    " ON CONFLICT (kind, class) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES[2:])
)
_GONE = (
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
), told AS (
    INSERT INTO alarm_event (alarm_id, event, actor, text)
    SELECT id, 'raised', %(actor)s, '' FROM raised
    UNION ALL
    SELECT id, 'cleared', %(actor)s, coalesce('joined the alarm of ' || joined, '') FROM kept
    WHERE cleared IS NOT NULL
)
SELECT (SELECT count(*) FROM raised), (SELECT count(*) FROM kept WHERE cleared IS NOT NULL)
"""
# so many at once, and plans that were made by the count of before are slow
_BURST = 200
_COUNTS = (
    "SELECT kind, severity, state, count(*) FROM v_alarm WHERE cleared IS NULL GROUP BY 1, 2, 3"
)


@dataclass(frozen=True, slots=True)
class Round:
    """Result of an alarm round, and open alarms by (kind, severity, state)."""

    raised: int
    cleared: int
    alarms: dict[tuple[str, str, str], int]


def run(conn: Connection) -> Round:
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
    conn.execute(_GONE, [[row[0] for row in wanted], [row[1] for row in wanted]])
    conn.cursor().executemany(_WRITE.encode(), wanted)
