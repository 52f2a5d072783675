"""
Tables of readings: one wide hypertable per device class, made from its class file.

`ingest/classes/NAME.toml` defines the table.  A missing table is created, and a missing channel is
added as last column; existing ones stay. A register is a `bigint` in whole base units, a gauge a
`double precision` in the unit of its name; `flags` names the channels of a row that are not good.
Tables have no foreign key to `device` and no insert trigger, which would slow down COPY.

The chunk length depends on the fleet: writing is fast as long as the indexes of all open chunks fit
into a quarter of memory (TimescaleDB documentation, "Hypertables", chunk size). The index size per
day is measured on the newest chunks; memory is the server's `effective_cache_size`. A new length
applies to new chunks only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from psycopg import Connection

from ingest import classes
from ingest.classes import Channel, DeviceClass

_SHARE = 4
_NEWEST = 4
_LEAST_DAYS = 1


class Length(NamedTuple):
    """Chunk lengths of a table: of new chunks and recommended [days], and index bytes per day."""

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
    """Return the server's memory for caching. [bytes]"""
    row = conn.execute(
        "SELECT setting::bigint * 8192 FROM pg_settings WHERE name = 'effective_cache_size'"
    ).fetchone()
    return int(row[0]) if row else 0


def shorten(conn: Connection) -> list[Length]:
    """Set the recommended length of new chunks, as the tables' owner; return the changes."""
    changed = [length for length in lengths(conn) if length.advised < length.days]
    for item in changed:
        with conn.transaction():
            conn.execute("SET LOCAL ROLE tonne_owner")
            conn.execute(
                "SELECT set_chunk_time_interval(%s::regclass, make_interval(days => %s))",
                [item.table, int(item.advised)],
            )
    return changed


READERS = "tonne_ingest, tonne_mrv, tonne_api, tonne_grafana"
_RULES = (
    ("fill_only BEFORE UPDATE", "ROW", "tonne_fill_only"),
    ("no_delete BEFORE DELETE", "ROW", "tonne_append_only"),
    ("no_truncate BEFORE TRUNCATE", "STATEMENT", "tonne_append_only"),
)


def table(class_id: str) -> str:
    """Return the name of a class's table."""
    return f"reading_{class_id}"


def table_ddl(device_class: DeviceClass) -> Iterator[str]:
    """Yield the statements that create a class's table."""
    name = table(device_class.id)
    columns = ['device_id text COLLATE "C" NOT NULL', "time timestamptz NOT NULL"]
    columns += [_column(channel) for channel in device_class.channels.values()]
    columns += ["flags jsonb", "PRIMARY KEY (device_id, time)"]
    yield f"CREATE TABLE {name} ({', '.join(columns)})"
    yield (
        f"SELECT create_hypertable('{name}', by_range('time', INTERVAL '7 days'),"
        " create_default_indexes => false)"
    )
    for when, each, function in _RULES:
        yield f"CREATE TRIGGER {when} ON {name} FOR EACH {each} EXECUTE FUNCTION {function}()"
    yield f"GRANT SELECT ON {name} TO {READERS}"
    # UPDATE is what the trigger leaves of it: filling empty channels
    yield f"GRANT INSERT, UPDATE ON {name} TO tonne_ingest"


def power_view_ddl(known: Iterable[DeviceClass]) -> Iterator[str]:
    """Yield the statements that create `v_power_kw`, the power of all devices that measure it."""
    rows = " UNION ALL ".join(
        f"SELECT time, device_id, active_power_w FROM {table(c.id)}"
        for c in known
        if "active_power_w" in c.channels
    )
    yield (
        "CREATE OR REPLACE VIEW v_power_kw AS"
        " SELECT r.time, r.device_id, d.site, d.class, r.active_power_w / 1000 AS power_kw"
        f" FROM ({rows}) r JOIN device d ON d.id = r.device_id WHERE r.active_power_w IS NOT NULL"
    )
    yield "GRANT SELECT ON v_power_kw TO tonne_mrv, tonne_api, tonne_grafana"


def lacking(conn: Connection) -> list[str]:
    """Return tables and columns of the device classes that the database lacks."""
    stored = _stored(conn)
    result = []
    for device_class in classes.load().values():
        name = table(device_class.id)
        if name not in stored:
            result.append(name)
        else:
            result += [f"{name}.{channel}" for channel in _new_channels(device_class, stored)]
    return result


def make(conn: Connection, known: Mapping[str, DeviceClass]) -> list[str]:
    """
    Create or extend the tables of readings for device classes, in the caller's transaction.

    Returns
    -------
    list of str
        Tables that were created or got a column.
    """
    stored = _stored(conn)
    changed = []
    conn.execute("SET LOCAL ROLE tonne_owner")
    for device_class in known.values():
        statements = list(_statements(device_class, stored))
        for statement in statements:
            conn.execute(statement.encode())
        if statements:
            changed.append(table(device_class.id))
    if changed:
        for statement in power_view_ddl(known.values()):
            conn.execute(statement.encode())
    return changed


def _statements(device_class: DeviceClass, stored: Mapping[str, set[str]]) -> Iterator[str]:
    name = table(device_class.id)
    if name not in stored:
        yield from table_ddl(device_class)
        return
    for channel in _new_channels(device_class, stored):
        column = _column(device_class.channels[channel])
        yield f"ALTER TABLE {name} ADD COLUMN {column}"


def _new_channels(device_class: DeviceClass, stored: Mapping[str, set[str]]) -> list[str]:
    return [name for name in device_class.channels if name not in stored[table(device_class.id)]]


def _column(channel: Channel) -> str:
    kind = "bigint" if channel.kind == "register" else "double precision"
    return f"{channel.name} {kind}"


def _stored(conn: Connection) -> dict[str, set[str]]:
    """Return the columns of the existing tables of readings."""
    rows = conn.execute(
        "SELECT c.relname, array_agg(a.attname::text) FROM pg_class c JOIN pg_attribute a"
        " ON a.attrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
        " AND c.relname LIKE 'reading\\_%' AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1"
    ).fetchall()
    return {name: set(columns) for name, columns in rows}
