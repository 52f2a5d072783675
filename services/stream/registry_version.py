"""What one registry version is to a process that stores records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.wire import Parcel, join
from services.store.messages.dead_letter_write import Letters
from services.stream.records import Spoiled, read
from services.stream.sparkplug import read_nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from ingest.model import Fleet
    from services.intake.registry_watch import Registered
    from services.intake.sparkplug import Turn
    from services.processing.commit import Store
    from services.stream.partition_map import Homes
    from services.stream.records import Record


@dataclass(frozen=True, slots=True)
class Version:
    """A store of a registry version, and which partition answers for each device."""

    store: Store
    homes: Homes

    @property
    def fleet(self) -> Fleet:
        """The fleet of this version."""
        return self.store.plan.fleet


def read_all(
    registered: Registered[Version],
    connection: Connection[TupleRow],
    topic: str,
    partition: int,
    records: Sequence[Record],
    turn: Turn,
) -> list[Parcel | Spoiled]:
    """Read records; a device not known is looked for in a newer registry first."""
    fleet = registered.held.fleet
    found = read_nodes(turn, [read(topic, partition, record, fleet) for record in records], fleet)
    if _unknown(found) and registered.refresh(connection):
        fleet = registered.held.fleet
        again = [read(topic, partition, record, fleet) for record in records]
        found = read_nodes(turn, again, fleet)
    return found


def _unknown(found: Sequence[Parcel | Spoiled]) -> bool:
    """Whether a record names a device that the registry in use does not know."""
    return any(
        refusal.reason == "unknown_device"
        for one in found
        if isinstance(one, Parcel)
        for refusal in one.rejected
    )


def joined(found: Sequence[Parcel | Spoiled], *, repeated: bool = False) -> tuple[Parcel, Letters]:
    """
    Return records as one parcel, and its messages for the dead letters.

    Parameters
    ----------
    repeated : bool
        Whether all of it may have been stored before: a refusal is not kept twice.
    """
    parcel, received = join([p.refused() if isinstance(p, Spoiled) else p for p in found])
    again = [True] * len(parcel) if repeated else parcel.repeated
    return parcel, Letters(parcel.topics, parcel.payloads, parcel.content_types, again, received)
