"""
Which topic the workers of a database read, and into how many partitions it is cut.

Every worker must have the same answer, since by it a device is one partition's
to write.  Where Kafka shows more partitions than the database knows of, all
partitions count a visit, so that every worker asks again before its next commit.  What is
noted to be derived then waits by device: its partition may be another one.
"""

from __future__ import annotations

from typing import NamedTuple

from psycopg import Connection


class Source(NamedTuple):
    """A topic and its number of partitions."""

    topic: str
    partitions: int


def read(connection: Connection) -> Source | None:
    """Return what workers of this database read; None before the first one."""
    row = connection.execute("SELECT topic, partitions FROM stream_source").fetchone()
    return None if row is None else Source(*row)


def choose(connection: Connection, wanted: Source) -> None:
    """Make another topic the source; the caller holds the database for itself alone."""
    connection.execute(
        "INSERT INTO stream_source (topic, partitions) VALUES (%s, %s)"
        " ON CONFLICT (single) DO UPDATE"
        " SET topic = excluded.topic, partitions = excluded.partitions",
        wanted,
    )
    _fill(connection, wanted)


def grow(connection: Connection, seen: Source) -> int:
    """
    Note how many partitions Kafka shows; return how many the workers agree on.

    The number never falls: Kafka takes no partition away.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT partitions FROM stream_source WHERE topic = %s FOR UPDATE", [seen.topic]
        ).fetchone()
        known = 0 if row is None else int(row[0])
        if seen.partitions <= known:
            return known
        connection.execute("UPDATE stream_source SET partitions = %s", [seen.partitions])
        _fill(connection, seen)
    return seen.partitions


def _fill(connection: Connection, source: Source) -> None:
    """Make a row a partition, so that each can be locked; those there count a visit."""
    connection.execute(
        'INSERT INTO stream_offset (topic, partition, "offset")'
        " SELECT %s, p, 0 FROM generate_series(0, %s - 1) AS p ORDER BY p"
        " ON CONFLICT (topic, partition) DO UPDATE SET visits = stream_offset.visits + 1",
        source,
    )
    connection.execute("SELECT tonne_fold_underived(NULL)")
