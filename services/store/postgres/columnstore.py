"""
TimescaleDB's columnstore for readings that wait for the archive, where the licence has it.

Debian's package is the Apache edition: it has hypertables and no columnstore.
Which one a server is, its setting `timescaledb.license` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

COMPRESS_AFTER = "30 days"
_COMMUNITY = "timescale"


def licence(conn: Connection[TupleRow]) -> str:
    """Return the server's `timescaledb.license`: `apache`, `timescale`, or empty."""
    row = conn.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    return str(row[0] or "") if row else ""


def why_not(conn: Connection[TupleRow]) -> str:
    """Say why readings are kept as rows; empty where they are compressed."""
    found = licence(conn)
    if found != _COMMUNITY:
        return (
            f"timescaledb.license is {found or 'not set'}: the Apache edition has no columnstore,"
            " readings are kept as rows until they are archived"
        )
    left = _uncompressed(conn)
    return f"not switched on for {', '.join(left)}; `tonne migrate`" if left else ""


def switch_on(conn: Connection[TupleRow]) -> str:
    """Compress readings that are old enough; say what was done, or why nothing was."""
    if licence(conn) != _COMMUNITY:
        return why_not(conn)
    try:
        for name in _uncompressed(conn):
            with conn.transaction():
                _compress(conn, name)
    except psycopg.Error as error:
        # the licence may be set where the library behind it is missing
        reason = " ".join(str(error).split())
        return f"readings are kept as rows: the server refuses the columnstore: {reason}"
    return f"TimescaleDB Community licence: readings are compressed after {COMPRESS_AFTER}"


def _uncompressed(conn: Connection[TupleRow]) -> list[str]:
    rows = conn.execute(
        "SELECT hypertable_name FROM timescaledb_information.hypertables "
        "WHERE hypertable_schema = 'public' AND hypertable_name LIKE 'reading\\_%' "
        "AND NOT compression_enabled ORDER BY 1"
    )
    return [name for (name,) in rows]


def _compress(conn: Connection[TupleRow], name: str) -> None:
    conn.execute(
        sql.SQL(
            "ALTER TABLE {} SET (timescaledb.compress, "
            "timescaledb.compress_segmentby = 'device_id', "
            "timescaledb.compress_orderby = 'time')"
        ).format(sql.Identifier(name))
    )
    conn.execute(
        "SELECT add_compression_policy(%s::regclass, %s::interval)", [name, COMPRESS_AFTER]
    )
