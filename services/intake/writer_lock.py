"""
Advisory locks on a database: a single writer, or several workers of one topic.

`tonne run` caches every register's position and must be the only writer.  Workers of one topic
share the database, as each device belongs to one partition. The session lock ends with the session.
"""

from __future__ import annotations

from psycopg import Connection, errors

from ingest.errors import ServerError
from services.store.stream import offsets as source
from services.store.stream.offsets import Source

_LOCK = int.from_bytes(b"one run")  # no other lock of ours may have this number
PREDECESSOR_S = 10


def alone(connection: Connection) -> None:
    """
    Lock the database as the only writer; a killed process may hold the lock for a moment.

    Raises
    ------
    ServerError
        When another process writes to the database.
    """
    if not _wait(connection, "pg_advisory_lock"):
        raise ServerError(
            f"{_holder(connection)} to this database; stop it first, or keep only that process"
        )


def share(connection: Connection, wanted: Source) -> int:
    """
    Lock the database for workers of one topic; return its number of partitions.

    Raises
    ------
    ServerError
        When `tonne run`, or workers of another topic, write to the database.
    """
    while True:
        stored = source.read(connection)
        if stored is None or stored.topic != wanted.topic:
            _become_source(connection, wanted)
        if not _wait(connection, "pg_advisory_lock_shared"):
            raise _refused(connection, wanted)
        stored = source.read(connection)
        if stored is not None and stored.topic == wanted.topic:
            return source.grow(connection, wanted)
        connection.execute("SELECT pg_advisory_unlock_shared(%s)", [_LOCK])


def _become_source(connection: Connection, wanted: Source) -> None:
    """Switch to another topic while no process writes; another worker may have done it first."""
    for _ in range(PREDECESSOR_S):
        if _wait(connection, "pg_advisory_lock", 1):
            break
        stored = source.read(connection)
        if stored is not None and stored.topic == wanted.topic:
            return
    else:
        raise _refused(connection, wanted)
    with connection.transaction():
        stored = source.read(connection)
        if stored is None or stored.topic != wanted.topic:
            source.choose(connection, wanted)
    connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _wait(connection: Connection, function: str, most_s: int | None = None) -> bool:
    connection.execute(f"SET lock_timeout = '{most_s or PREDECESSOR_S}s'")
    try:
        connection.execute(f"SELECT {function}(%s)".encode(), [_LOCK])
    except errors.LockNotAvailable:
        return False
    finally:
        if not connection.closed:
            connection.execute("RESET lock_timeout")
    return True


def _refused(connection: Connection, wanted: Source) -> ServerError:
    return ServerError(
        f"{_holder(connection)} to this database; stop it before workers of {wanted.topic!r}"
        " start: a device has one writer"
    )


def _holder(connection: Connection) -> str:
    """Return the name of the writing process."""
    row = connection.execute(
        "SELECT bool_or(mode = 'ExclusiveLock') FROM pg_locks WHERE locktype = 'advisory'"
        " AND granted AND (classid::bigint << 32) + objid::bigint = %s"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [_LOCK],
    ).fetchone()
    if row is not None and row[0]:
        return "another `tonne run` writes"
    stored = source.read(connection)
    return (
        "a `tonne worker` writes"
        if stored is None
        else f"a `tonne worker` of {stored.topic!r} writes"
    )
