"""
Separate births and wills from the readings that they come among.

They say of now: what is lost of them, the expected cadence of readings makes good.
So they come at most once, and need no acknowledgement.
"""

from __future__ import annotations

from ingest.mqtt.client import Inbox
from ingest.mqtt.topics import status_of
from services.store.messages.principal_status import Said


def part_statuses(inbox: Inbox) -> list[Said]:
    """Take the statuses out of an inbox, in their order."""
    rows = [i for i, topic in enumerate(inbox.topics) if topic.endswith("/status")]
    found = [(i, status_of(inbox.topics[i])) for i in rows]
    ours = {i: principal for i, principal in found if principal is not None}
    if not ours:
        return []
    taken = inbox.part(list(ours))
    return [
        Said(principal, payload, inbox.received_us)
        for principal, payload in zip(ours.values(), taken.payloads, strict=True)
    ]
