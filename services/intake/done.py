"""A batch that is durable, on its way to the acknowledgement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.model import Fleet
    from ingest.mqtt.inbox import Inbox
    from ingest.mqtt.topics import Router
    from ingest.pipeline.admit import Admitted
    from ingest.reading import Reading


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that is durable, and what receipts say of it: devices and their readings."""

    inbox: Inbox
    fleet: Fleet
    seen: list[tuple[int, Sequence[Reading]]]

    @staticmethod
    def of(inbox: Inbox, router: Router, admitted: Admitted) -> Done:
        """Gather what receipts need of a batch."""
        route = router.route
        seen = [(route(inbox.topics[k]), found) for k, found in admitted.seen.items()]
        return Done(inbox, router.fleet, seen)
