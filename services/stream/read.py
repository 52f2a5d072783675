"""Step 2 of `tonne worker`: records to parcels, and their Sparkplug messages read. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ingest.decode import SPARKPLUG, Rejected
from ingest.model import Fleet
from ingest.wire import Parcel, join
from services.intake.sparkplug import Turn
from services.store.messages.dead_letter_write import Letters
from services.store.stream.offsets import Position
from services.stream.partition_map import Homes
from services.stream.records import Record, Spoiled, read
from services.stream.sparkplug import read_nodes


def read_records(
    fleet: Fleet, topic: str, partition: int, records: Sequence[Record], turn: Turn
) -> list[Parcel | Spoiled]:
    """
    Read records by a registry version; `turn` takes what Sparkplug's messages change.

    The same records may come again, by a newer version.
    """
    return read_nodes(turn, [read(topic, partition, record, fleet) for record in records], fleet)


def together(
    fleet: Fleet, homes: Homes, topic: str, records: Mapping[Position, Sequence[Record]]
) -> list[Parcel] | None:
    """
    Read records of partitions that may share a transaction; None where one must stand alone.

    A record that cannot be read must, one with messages of Sparkplug's edge nodes, whose
    order counts, and one with devices that another partition answers for.
    """
    found = []
    for position, some in records.items():
        for record in some:
            content = read(topic, position.partition, record, fleet)
            if isinstance(content, Spoiled) or SPARKPLUG in content.codecs:
                return None
            if len(homes.strangers(content.frames, [position.partition])):
                return None
            found.append(content)
    return found


def refusals(found: Sequence[Parcel | Spoiled]) -> Iterator[Rejected]:
    """Yield what the bridge refused of these records, and what was refused here."""
    for one in found:
        if isinstance(one, Parcel):
            yield from one.rejected


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
