"""
Tables of readings, TimescaleDB's columnstore (compression), and kinds of database errors.

Debian's package is the Apache edition without columnstore; `timescaledb.license` names the edition.
Chunks are compressed by tonne, not by a TimescaleDB policy, as a policy runs as the tables' owner,
which cannot log in.  `tonne migrate` sets the layout; a watcher or `tonne columnstore run`
compresses old chunks through a database function.

Readings have one wide hypertable per device class.  `ingest/classes/NAME.toml` defines the table.
A missing table is created, and a missing channel is added as last column; existing columns are
unchanged.  A register is a `bigint` in whole base units, a gauge a `double precision` in the unit
of its name; `flags` names the channels of a row that are not good.  Tables have no foreign key to
`device` and no insert trigger, which would slow down COPY.

A chunk contains a week.  Chunks of a month would be compressed 10 % more, but block late readings
longer; chunks of a day contain too few rows of a device (docs/benchmarks-database.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

import psycopg
from psycopg import Connection, sql

from ingest import classes
from ingest.classes import Channel, DeviceClass


class Verdict(Enum):
    """Action after a database error: wait, retry, or reject."""

    WAIT = "wait"
    AGAIN = "again"
    REFUSED = "refused"


_WAIT = (
    "0800",  # connection exceptions; except 08P01: the server would reject malformed data again
    "57P0",  # shutdown, crash, cannot connect now, database dropped, session timeout
    "53100",  # disk full
    "53200",  # out of memory
    "53300",  # too many connections
    # idle in transaction for too long: this process was suspended, and disconnected
    "25P03",
    "25P04",  # transaction for too long, for the same reason
    "25006",  # read only: another server is now the primary
)
_RETRIED = (
    "40001",  # serialization failure
    "40P01",  # deadlock
    "55P03",  # lock not available
    "57014",  # cancelled, by a time limit or by a person
)


def verdict(error: psycopg.Error) -> Verdict:
    """Return whether to wait for the server, to retry, or to reject the work, by the SQLSTATE."""
    code = error.sqlstate
    if code is None:
        # an error of psycopg itself: connection lost, or data that cannot be sent
        away = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return Verdict.WAIT if away else Verdict.REFUSED
    if code.startswith(_WAIT) or error.diag.severity_nonlocalized in ("FATAL", "PANIC"):
        return Verdict.WAIT
    return Verdict.AGAIN if code in _RETRIED else Verdict.REFUSED


def words(error: psycopg.Error) -> str:
    """Return the server's error message in one line, with its code."""
    message = error.diag.message_primary or str(error) or type(error).__name__
    code = f" (SQLSTATE {error.sqlstate})" if error.sqlstate else ""
    return " ".join(message.split())[:500] + code


# age at which chunks are compressed [days]: gateways send late data within days, and the archive
# takes chunks only after months
AFTER_DAYS = 30
# age at which a chunk that is not compressed yet is a fault [days]
OVERDUE_DAYS = AFTER_DAYS + 3
NONE = (
    "timescaledb.license is {}: the Apache edition has no columnstore, readings, intervals and"
    " emissions are kept as rows"
)
LOCKED = "timescaledb.license is {}: compressed chunks ({}) can be neither read nor written"
UNLOCK = "install TimescaleDB's Community edition, set timescaledb.license = 'timescale', restart"
_COMMUNITY = "timescale"
_LAYOUT = {
    "interval_quantity": ("device_id, quantity", "start"),
    "interval_emission": ("device_id, project_id", "start"),
}
_OURS = (
    "h.hypertable_schema = 'public' AND (starts_with(h.hypertable_name::text, 'reading_')"
    " OR h.hypertable_name IN ('interval_quantity', 'interval_emission'))"
)
_LIMIT = "timescaledb.max_tuples_decompressed_per_dml_transaction"
_FIRST_JOB = 1000  # lowest number of a job that a user added
_PARTIAL = 8  # bit of `status`: rows were added to a compressed chunk
_IN_USE = "other processes write to it: the server did not compress it, or only in part"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk with uncompressed rows."""

    table: str
    name: str
    age_days: float


@dataclass(slots=True)
class Done:
    """Compressed chunks, and failed ones with the server's message."""

    compressed: list[Chunk] = field(default_factory=list)
    failed: list[tuple[Chunk, str]] = field(default_factory=list)


def licence(conn: Connection) -> str:
    """Return the server's `timescaledb.license`: `apache`, `timescale`, or empty."""
    row = conn.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    return str(row[0] or "") if row else ""


def available(conn: Connection) -> bool:
    """Return whether the server has a columnstore."""
    return licence(conn) == _COMMUNITY


def locked(conn: Connection) -> int:
    """Return the number of compressed chunks that a server without columnstore cannot read."""
    if available(conn):
        return 0
    row = conn.execute(
        f"SELECT count(*) FROM timescaledb_information.chunks h WHERE {_OURS} AND h.is_compressed"
    ).fetchone()
    return int(row[0]) if row else 0


def why_not(conn: Connection) -> str:
    """Return why the server has no columnstore, and the consequence; empty if it has one."""
    if available(conn):
        return ""
    name = licence(conn) or "not set"
    if count := locked(conn):
        return f"{LOCKED.format(name, count)}; {UNLOCK}"
    return NONE.format(name)


def lift_limit(conn: Connection) -> None:
    """
    Disable the server's limit on rows decompressed in a transaction, if it exists.
    Its default, 100,000 rows, rejects even a few late readings of many devices (53400).
    """
    conn.execute("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = %s", [_LIMIT])


def switch_on(conn: Connection) -> str:
    """Prepare tables for the columnstore; return a sentence on the result."""
    if message := why_not(conn):
        return message
    try:
        for name in without(conn):
            with conn.transaction():
                conn.execute("SET LOCAL ROLE tonne_owner")
                _lay_out(conn, name)
    except psycopg.Error as error:
        # the licence may be set although the library is missing
        return f"all data remain rows: the server rejects the columnstore: {words(error)}"
    return (
        f"columnstore: chunks older than {AFTER_DAYS} days are compressed by `tonne run`,"
        " `tonne watch` or `tonne columnstore run`"
    )


def without(conn: Connection) -> list[str]:
    """Return the tables not prepared for the columnstore."""
    rows = conn.execute(
        "SELECT h.hypertable_name FROM timescaledb_information.hypertables h"
        f" WHERE {_OURS} AND NOT h.compression_enabled ORDER BY 1"
    )
    return [name for (name,) in rows]


def waiting(conn: Connection, days: float = AFTER_DAYS) -> list[Chunk]:
    """
    Return chunks that ended before the age limit and are not completely compressed, oldest
    first.
    """
    rows = conn.execute(
        "SELECT h.hypertable_name, format('%%I.%%I', h.chunk_schema, h.chunk_name),"
        " extract(epoch FROM now() - h.range_end)::float8 / 86400"
        " FROM timescaledb_information.chunks h JOIN _timescaledb_catalog.chunk c"
        " ON c.schema_name = h.chunk_schema AND c.table_name = h.chunk_name"
        f" WHERE {_OURS} AND h.range_end < now() - make_interval(secs => %s)"
        f" AND (NOT h.is_compressed OR c.status & {_PARTIAL} <> 0) ORDER BY h.range_end, 1",
        [days * 86_400],
    )
    return [Chunk(*row) for row in rows]


def failed_jobs(conn: Connection) -> list[str]:
    """
    Return the names of jobs whose last run failed; tonne itself adds none.

    TimescaleDB's own jobs (numbers below 1000) are retried, and listed after two failures, as the
    job that limits the history of jobs can fail at a server's start.  That job is omitted for the
    Apache edition, which cannot run it.
    """
    rows = conn.execute(
        "SELECT format('%%s %%s%%s', j.job_id, j.proc_name, ' of ' || j.hypertable_name)"
        " FROM timescaledb_information.jobs j"
        " JOIN timescaledb_information.job_stats s USING (job_id)"
        " WHERE s.last_run_status = 'Failed' AND (j.job_id >= %s OR s.total_failures > 1)"
        " AND NOT (j.proc_name = 'policy_job_stat_history_retention'"
        " AND current_setting('timescaledb.license') = 'apache') ORDER BY j.job_id",
        [_FIRST_JOB],
    )
    return [name for (name,) in rows]


def compress(conn: Connection, days: float = AFTER_DAYS) -> Done:
    """
    Compress all chunks that are old enough; return the result. The next run repeats failures.
    `conn`: connection in autocommit; each chunk is a transaction, for which late readings wait.
    Raises psycopg.OperationalError if the server cannot be reached.
    """
    done = Done()
    for chunk in waiting(conn, days) if available(conn) else ():
        try:
            conn.execute("SELECT tonne_compress(%s::regclass)", [chunk.name])
        except psycopg.Error as error:
            if conn.closed:
                raise
            done.failed.append((chunk, words(error)))
        else:
            # while other transactions write to the chunk, TimescaleDB warns and does not compress
            # it
            if _is_whole(conn, chunk):
                done.compressed.append(chunk)
            else:
                done.failed.append((chunk, _IN_USE))
    return done


def _is_whole(conn: Connection, chunk: Chunk) -> bool:
    """Return whether a chunk is completely compressed."""
    row = conn.execute(
        "SELECT h.is_compressed AND c.status & %s = 0"
        " FROM timescaledb_information.chunks h JOIN _timescaledb_catalog.chunk c"
        " ON c.schema_name = h.chunk_schema AND c.table_name = h.chunk_name"
        " WHERE format('%%I.%%I', h.chunk_schema, h.chunk_name) = %s",
        [_PARTIAL, chunk.name],
    ).fetchone()
    return row is None or row == (True,)


def sizes(conn: Connection) -> list[tuple[str, int, int]]:
    """Return the size of compressed chunks before and after compression, by table. [bytes]"""
    rows = conn.execute(
        "SELECT h.hypertable_name, coalesce(s.before_compression_total_bytes, 0)::bigint,"
        " coalesce(s.after_compression_total_bytes, 0)::bigint"
        " FROM timescaledb_information.hypertables h CROSS JOIN LATERAL"
        " hypertable_compression_stats(format('%I.%I', h.hypertable_schema, h.hypertable_name)"
        f"::regclass) s WHERE {_OURS} AND h.compression_enabled ORDER BY 1"
    )
    return [(name, before, after) for name, before, after in rows]


def _lay_out(conn: Connection, name: str) -> None:
    segment, order = _LAYOUT.get(name, ("device_id", "time"))
    conn.execute(
        sql.SQL(
            "ALTER TABLE {} SET (timescaledb.compress, timescaledb.compress_segmentby = {},"
            " timescaledb.compress_orderby = {})"
        ).format(sql.Identifier(name), sql.Literal(segment), sql.Literal(order))
    )


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
    # a trigger permits UPDATE only to fill empty channels
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
    Create or extend the tables of readings for device classes, in the caller's transaction; return
    the changed tables.
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
