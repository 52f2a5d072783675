"""What one registry version is to a process that stores records."""

from __future__ import annotations

import time
from dataclasses import dataclass

from psycopg import Connection

from ingest.model import Fleet
from services.processing.batch import Committed
from services.processing.commit import Store
from services.store.stream import offsets
from services.stream.own_partitions import OwnPartitions
from services.stream.read import Homes


@dataclass(frozen=True, slots=True)
class Version:
    """A store of a registry version, and which partition answers for each device."""

    store: Store
    homes: Homes

    @property
    def fleet(self) -> Fleet:
        """The fleet of this version."""
        return self.store.plan.fleet


def answer_requests(
    connection: Connection, store: Store, own: OwnPartitions, most_s: float
) -> Committed:
    """
    Derive rows that our devices lack, for at most some seconds; return what was written.

    Requests of others' devices wait for their workers.

    Raises
    ------
    FencedError
        When a partition is no longer ours.
    VisitedError
        When another party wrote for the devices of one.
    """
    until_s, out = time.monotonic() + most_s, Committed()
    while store.behind and time.monotonic() < until_s:
        answered = store.catch_up(
            connection, lambda cursor: offsets.confirm(cursor, list(own.positions.values()))
        )
        if not answered:
            break
        out.add(answered.committed)
    return out
