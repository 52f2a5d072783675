"""A batch on its way into the database: what is to be stored, what was, and what follows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.decode import Rejected
    from ingest.model import Frame
    from services.processing.quality_pass import Stored
    from services.processing.reprocess import Remade
    from services.settle import Settled
    from services.store.messages.dead_letter_write import Letters
    from services.store.timeseries.last_seen import Written as Heard


@dataclass(frozen=True, slots=True)
class Batch:
    """
    What one transaction is to store.

    Parameters
    ----------
    frames : sequence of Frame
        Admitted readings, in arrival order.
    rejected : sequence of Rejected
        Refusals so far; conflicts are added.
    messages : Letters
        The messages themselves, for the dead letters.
    trust : bool
        Whether a reading later than its device's last one is taken for new without a look.
    """

    frames: Sequence[Frame]
    rejected: Sequence[Rejected]
    messages: Letters
    trust: bool = True


@dataclass(slots=True)
class Committed:
    """What a batch did, for metrics and receipts."""

    rows: Counter[str] = field(default_factory=Counter)
    events: list[str] = field(default_factory=list)
    flags: Counter[str] = field(default_factory=Counter)
    late: int = 0
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction wrote, and the state that holds once it is committed."""

    committed: Committed
    settled: Settled
    remade: Remade | None
    flagged: Stored
    heard: Heard


@dataclass(frozen=True, slots=True)
class Answered:
    """Devices made again on request, and the state that holds once that is committed."""

    devices: int
    remade: Remade
    flagged: Stored
