"""
Days of simulated devices as readings, without a broker.

Many rows are created in SQL: keys and indexes are built once all rows exist. Ten million rows of a
day, each entered into the keys of ten thousand devices, take most of an hour; building the keys by
sorting takes minutes.  Their rows are denser than in the field, where readings of all devices
alternate.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from psycopg import Connection, sql

from ingest import classes
from ingest.model import NULL, Frame
from services.simulator import Device
from services.simulator.fleet import USUAL_POWER_W
from services.simulator.simulated import Simulated

_HELD = """
SELECT format('%I', h.hypertable_name), format('%I', c.relname), k.conname,
       coalesce(pg_get_constraintdef(k.oid), pg_get_indexdef(i.indexrelid))
FROM timescaledb_information.hypertables h
JOIN pg_index i ON i.indrelid = format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass
JOIN pg_class c ON c.oid = i.indexrelid
LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid
WHERE h.hypertable_schema = 'public'
"""
_CHUNKS = """
SELECT format('%I.%I', c.chunk_schema, c.chunk_name), format('%I', d.column_name)
FROM timescaledb_information.chunks c
JOIN timescaledb_information.dimensions d USING (hypertable_schema, hypertable_name)
WHERE c.hypertable_schema = 'public'
"""
_ORDERED = (
    "SELECT abs(correlation) > 0.9 FROM pg_stats"
    " WHERE format('%%I.%%I', schemaname, tablename) = %s AND attname = %s"
)
_MARKED = """
SELECT tonne_mark_sites(array_agg(id::text), array_agg('2000-01-01'::timestamptz), array_agg(now()))
FROM site
"""
# a bench that is cut off begins again: until all is written, nothing has to outlive the server
_FAST = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "8GB"}


@contextmanager
def indexed_after(conn: Connection) -> Iterator[None]:
    """
    Drop keys and indexes of hypertables, and build them at the end of the block.

    Triggers are off as well, since rows in order of time would mark a day each; all days are marked
    at the end.

    Parameters
    ----------
    conn : Connection
        A superuser's, in autocommit.
    """
    held = conn.execute(_HELD).fetchall()
    for table, name, constraint, _ in held:
        kind = f"ALTER TABLE {table} DROP CONSTRAINT" if constraint else "DROP INDEX"
        conn.execute(f"{kind} {name}".encode())
    for setting, value in _FAST.items():
        conn.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(setting), value))
    conn.execute("SELECT pg_reload_conf()")
    conn.execute("SET maintenance_work_mem = '1GB'")
    conn.execute("SET session_replication_role = replica")
    yield
    conn.execute("SET session_replication_role = origin")
    order_by_time(conn)
    for table, name, constraint, definition in held:
        adds = f"ALTER TABLE {table} ADD CONSTRAINT {name} " if constraint else ""
        conn.execute(f"{adds}{definition}".encode())
    conn.execute(_MARKED)
    conn.execute("CHECKPOINT")
    for setting in _FAST:
        conn.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(setting)))
    conn.execute("SELECT pg_reload_conf()")


def order_by_time(conn: Connection) -> None:
    """Sort the rows of each chunk as in the field: those of one interval together."""
    for chunk, column in conn.execute(_CHUNKS).fetchall():
        conn.execute(f"ANALYZE {chunk} ({column})".encode())
        if conn.execute(_ORDERED, [chunk, column.strip('"')]).fetchone() == (True,):
            continue
        conn.execute(f"CREATE INDEX bench_order ON {chunk} ({column})".encode())
        conn.execute(f"CLUSTER {chunk} USING bench_order".encode())
        schema = chunk.partition(".")[0]
        conn.execute(f"DROP INDEX {schema}.bench_order".encode())


DAY_US = 86_400_000_000
CADENCE_S = 10
# payload's unit, the stored one, and how many of the stored one gauges have
_UNITS = (("", "", 1), ("_kwh", "_wh", 1000), ("_kw", "_w", 1000), ("_m3", "_ml", 1),
          ("_nm3", "_nml", 1), ("_km", "_m", 1))  # fmt: skip


def of(name: str, class_id: str, from_us: int, to_us: int, cadence_s: int = CADENCE_S) -> Frame:
    """
    Return readings of one device of a class; inverters have channels added that the simulator
    lacks.
    """
    power = USUAL_POWER_W.get(class_id, 0)
    device = Device(name, class_id, name, 20.86, 106.68, power, cadence_s)
    seed = sum(name.encode())
    blocks = list(Simulated(device, seed, from_us // 1000, to_us // 1000).blocks())
    time_us = np.concatenate([b.time_ms for b in blocks]) * 1000
    said = {
        key: np.concatenate([(b.registers | b.gauges)[key] for b in blocks])
        for key in blocks[0].registers | blocks[0].gauges
    }
    columns = {}
    for channel in classes.load()[class_id].channels.values():
        absent = NULL if channel.kind == "register" else np.nan
        found = next(_said(channel.name, said), np.full(len(time_us), absent))
        columns[channel.name] = found
    if class_id == "pv_inverter":
        columns |= _inside(columns, np.random.default_rng(seed))
    none = np.zeros(len(time_us), dtype=np.int32)
    return Frame(class_id, none, time_us, none, columns)


def _said(name: str, said: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    for unit, stored, factor in _UNITS:
        key = name.removesuffix(stored) + unit
        if name.endswith(stored) and key in said:
            values = said[key]
            # three decimals of a kilowatt are whole watts
            yield values if values.dtype == np.int64 else np.round(values * factor, 2)


def _inside(columns: dict[str, np.ndarray], chance: np.random.Generator) -> dict[str, np.ndarray]:
    """Return an inverter's internal values, in the resolution of such devices."""
    n, dc = len(columns["dc_power_w"]), columns["dc_power_w"]
    up = dc > 0
    volts = np.where(up, np.round(680 + 0.0004 * dc + chance.normal(0, 1.5, n), 1), 0.0)
    return {
        "dc_voltage_v": volts,
        "dc_current_a": np.round(np.divide(dc, volts, out=np.zeros(n), where=up), 2),
        "voltage_v": np.round(
            400 + np.cumsum(chance.normal(0, 0.02, n)) + chance.normal(0, 0.4, n), 1
        ),
        "frequency_hz": np.round(50 + chance.normal(0, 0.015, n), 2),
        "inverter_temperature_c": np.round(columns["module_temperature_c"] + 5 + dc / 8000, 1),
    }
