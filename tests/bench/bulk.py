"""
Make many rows in SQL: keys and indexes are built once all rows are there.

Ten million rows of a day, each entered into the keys of ten thousand devices, take most of
an hour; the keys built by sorting take minutes.  They are denser than in the field, where
readings of all devices come in turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import Connection, sql

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

    Triggers wait as well: rows that come in the order of time would mark a day each.  All days are
    marked at the end.

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
    """Let rows of each chunk lie as they come from the field: those of a quarter hour together."""
    for chunk, column in conn.execute(_CHUNKS).fetchall():
        conn.execute(f"ANALYZE {chunk} ({column})".encode())
        if conn.execute(_ORDERED, [chunk, column.strip('"')]).fetchone() == (True,):
            continue
        conn.execute(f"CREATE INDEX bench_order ON {chunk} ({column})".encode())
        conn.execute(f"CLUSTER {chunk} USING bench_order".encode())
        schema = chunk.partition(".")[0]
        conn.execute(f"DROP INDEX {schema}.bench_order".encode())
