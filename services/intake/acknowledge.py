"""
The last step of `tonne run` and `tonne bridge`: what is durable is acknowledged.

The broker hears it by a PUBACK, on the connection that brought the message; the
device by a receipt, since a broker's word is no promise that anything is stored.
"""

from __future__ import annotations

import time

from ingest.mqtt.session import Session
from services.intake.handover import Handover
from services.intake.receipts import Receipts
from services.metrics import Metrics


class Acknowledge:
    """Acknowledges batches, and tells devices of them and of what else waits for them."""

    def __init__(self, session: Session, metrics: Metrics) -> None:
        self._session, self._metrics = session, metrics
        self._receipts = Receipts()

    def step(self, handover: Handover) -> int:
        """Acknowledge what has become durable; return how many batches."""
        now_s = time.monotonic()
        durable = handover.durable()
        for done in durable:
            self._metrics.unacked.dec(len(done.inbox))
            self._session.ack(done.inbox)
            self._receipts.add(done.fleet, done.seen, now_s, done.refused)
        self._session.publish(self._receipts.due(now_s))
        self._session.publish(handover.messages())
        return len(durable)

    def finish(self) -> None:
        """Tell devices what they have not been informed yet."""
        self._session.publish(self._receipts.due(float("inf")))
