"""
Step 2 of `tonne bridge`: messages to readings that may be stored, and refusals. No I/O.

Sparkplug's messages are passed on unread: a worker has all of a node's, a bridge may not.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.columns import Rejected
from ingest.mqtt.inbox import Inbox
from ingest.mqtt.topics import Router
from ingest.pipeline import admit as decoding
from ingest.pipeline.admit import Admitted


def admit(router: Router, inbox: Inbox, unread: Sequence[Rejected] = ()) -> Admitted:
    """Admit a batch by a registry version; `unread` are messages that are refused as they are."""
    return decoding.admit(
        router.fleet,
        router.route,
        inbox.topics,
        inbox.payloads,
        inbox.content_types,
        inbox.received_us,
        unread=unread,
    )
