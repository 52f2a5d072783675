"""What one registry version is to a process that stores records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.store.stream import offsets
from services.store.timeseries import remake_requests as requests

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    from ingest.model import Fleet
    from services.processing.commit import Store
    from services.stream.own_partitions import OwnPartitions
    from services.stream.partition_map import Homes


@dataclass(frozen=True, slots=True)
class Version:
    """A store of a registry version, and which partition answers for each device."""

    store: Store
    homes: Homes

    @property
    def fleet(self) -> Fleet:
        """The fleet of this version."""
        return self.store.plan.fleet


def answer_requests(connection: Connection[TupleRow], store: Store, own: OwnPartitions) -> int:
    """
    Make again what the registry's changes asked for of our devices; return how many.

    Requests of others' devices wait for their workers.

    Raises
    ------
    FencedError
        When a partition is no longer ours.
    VisitedError
        When somebody else wrote for the devices of one.
    """
    fleet, count = store.plan.fleet, 0
    ours = [name for name in requests.waiting(connection) if own.answer_for(fleet, name)]
    for ids in requests.portions(ours):
        with connection.transaction(), connection.cursor() as cursor:
            offsets.confirm(cursor, list(own.positions.values()))
            answered = store.answer(cursor, ids)
        count += store.remember_answered(answered)
    return count
