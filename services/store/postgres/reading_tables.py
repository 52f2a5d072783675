"""
Tables of readings: one wide hypertable for each device class, made from its class file.

`ingest/classes/NAME.toml` is the schema.  A class without a table gets one, a
channel without a column gets one at the end of its table; what is there stays.
A register is a `bigint` of whole base units, a gauge is a `double precision` in
the unit of its name; `flags` names the channels of a row that are not good.
A table has no foreign key to `device` and no trigger on insert: either would
cost every row of a COPY.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from psycopg import Connection

from ingest import classes
from ingest.classes import Channel, DeviceClass

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
    """Statements that make the table of a class."""
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
    """Statements that make `v_power_kw`, the power of all devices that measure it."""
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
    """Tables and columns that the device classes have and the database lacks."""
    stored = _stored(conn)
    found = []
    for device_class in classes.load().values():
        name = table(device_class.id)
        if name not in stored:
            found.append(name)
        else:
            found += [f"{name}.{channel}" for channel in _new_channels(device_class, stored)]
    return found


def make(conn: Connection, known: Mapping[str, DeviceClass]) -> list[str]:
    """
    Bring the tables of readings to these device classes, in the caller's transaction.

    Returns
    -------
    list of str
        Tables that were made or got another column.
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
    """Columns of the tables of readings that are there."""
    rows = conn.execute(
        "SELECT c.relname, array_agg(a.attname::text) FROM pg_class c JOIN pg_attribute a"
        " ON a.attrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
        " AND c.relname LIKE 'reading\\_%' AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1"
    ).fetchall()
    return {name: set(columns) for name, columns in rows}
