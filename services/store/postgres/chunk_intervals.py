"""
How long a chunk of a table is, by the size of the fleet.

A chunk that is written to is fast as long as its indexes are in memory.  By PostgreSQL's
and TimescaleDB's advice those of all open chunks together take a quarter of it at most
(TimescaleDB documentation, "Hypertables", chunk size).  What they take a day is measured
on the newest chunks; what memory there is, the server's `effective_cache_size` says.
Shorter chunks hold for what comes, and leave those that are there as they are.
"""

from __future__ import annotations

from typing import NamedTuple

from psycopg import Connection

_SHARE = 4
_NEWEST = 4
_LEAST_DAYS = 1


class Length(NamedTuple):
    """A table's chunks: days that new ones hold, days that they should, index bytes a day."""

    table: str
    days: float
    advised: float
    bytes_a_day: float


def lengths(conn: Connection) -> list[Length]:
    """Return the tables whose chunks hold readings, intervals and emissions."""
    rows = conn.execute(
        "SELECT d.hypertable_name, extract(epoch FROM d.time_interval)::float8 / 86400,"
        " coalesce(max(c.bytes / c.days), 0)::float8"
        " FROM timescaledb_information.dimensions d LEFT JOIN LATERAL"
        " (SELECT pg_indexes_size(format('%%I.%%I', h.chunk_schema, h.chunk_name)::regclass)"
        "  AS bytes, greatest(extract(epoch FROM least(h.range_end, now()) - h.range_start)"
        "  / 86400, 1) AS days"
        "  FROM timescaledb_information.chunks h WHERE h.hypertable_name = d.hypertable_name"
        "  AND h.hypertable_schema = d.hypertable_schema AND h.range_start < now()"
        "  ORDER BY h.range_start DESC LIMIT %s) c ON true"
        " WHERE d.hypertable_schema = 'public'"
        " AND (starts_with(d.hypertable_name::text, 'reading_')"
        " OR d.hypertable_name IN ('interval_quantity', 'interval_emission'))"
        " GROUP BY 1, 2 ORDER BY 1",
        [_NEWEST],
    ).fetchall()
    total = sum(days * size for _, days, size in rows)
    scale = min(1.0, memory(conn) / _SHARE / total) if total else 1.0
    return [
        Length(name, days, max(float(int(days * scale)), min(days, _LEAST_DAYS)), size)
        for name, days, size in rows
    ]


def memory(conn: Connection) -> int:
    """Return what the server says that it has for caching. [bytes]"""
    row = conn.execute(
        "SELECT setting::bigint * 8192 FROM pg_settings WHERE name = 'effective_cache_size'"
    ).fetchone()
    return int(row[0]) if row else 0


def shorten(conn: Connection) -> list[Length]:
    """Make new chunks as short as is advised, as the tables' owner; return what was changed."""
    changed = [length for length in lengths(conn) if length.advised < length.days]
    for one in changed:
        with conn.transaction():
            conn.execute("SET LOCAL ROLE tonne_owner")
            conn.execute(
                "SELECT set_chunk_time_interval(%s::regclass, make_interval(days => %s))",
                [one.table, int(one.advised)],
            )
    return changed
