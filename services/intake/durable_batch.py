"""A batch that is durable, on its way to the acknowledgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.columns import Rejected
from ingest.errors import PayloadError
from ingest.model import Fleet
from ingest.mqtt.client import Inbox
from ingest.mqtt.topics import Router
from ingest.pipeline.admit import Admitted
from ingest.reading import SIGNED_VALUE, Reading

# of a batch: a device that sends nothing else tells itself of these, and shows the rest to nobody
_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that is durable, and what receipts say of it: readings, and what was refused."""

    inbox: Inbox
    fleet: Fleet
    seen: list[tuple[int, Sequence[Reading]]]
    refused: list[tuple[int, Rejected, Sequence[Reading]]]

    @staticmethod
    def of(inbox: Inbox, router: Router, admitted: Admitted) -> Done:
        """Gather what receipts need of a batch."""
        route = router.route
        seen = [(route(inbox.topics[k]), found) for k, found in admitted.seen.items()]
        refused = [
            (index, one, admitted.seen.get(one.message, ()))
            for one in admitted.rejected[:_MOST]
            if one.reason != SIGNED_VALUE
            and (index := _routed(router, inbox.topics[one.message])) >= 0
        ]
        return Done(inbox, router.fleet, seen, refused)


def _routed(router: Router, topic: str) -> int:
    """Return the device that a topic names; -1 where it names none."""
    try:
        return router.route(topic)
    except PayloadError:
        return -1
