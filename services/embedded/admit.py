"""Step 2 of `tonne run`: messages to readings that may be stored, and refusals. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.columns import Rejected
from ingest.decode import SPARKPLUG
from ingest.mqtt.client import Inbox
from ingest.mqtt.topics import Router
from ingest.pipeline import admit as decoding
from ingest.pipeline.admit import Admitted
from services.intake.sparkplug import Turn, of_nodes


def admit(router: Router, inbox: Inbox, turn: Turn, unread: Sequence[Rejected] = ()) -> Admitted:
    """
    Admit a batch by a registry version; `turn` takes what Sparkplug's messages change.

    The same batch may come again, by a newer version.  `unread` are messages of it that are
    refused as they are.
    """
    shut = {one.message for one in unread}
    nodes = [k for k in of_nodes(inbox.topics) if k not in shut]
    given = turn.read_anew(router.fleet, inbox, nodes)
    admitted = decoding.admit(
        router.fleet,
        router.route,
        inbox.topics,
        inbox.payloads,
        inbox.content_types,
        inbox.received_us,
        given,
        unread,
    )
    admitted.rejected.extend(turn.outcome.rejected)
    admitted.codecs.extend(SPARKPLUG for _ in turn.outcome.released)
    return admitted
