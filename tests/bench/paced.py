"""Messages at a given rate, each with the moment at which it was sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import islice

from tests.bench import load

TICK_S = 0.005  # many devices leave no silence between their messages


class Paced(threading.Thread):
    """
    Publishes at a rate until told to stop or out of messages.

    Parameters
    ----------
    port : int
        Of the MQTT broker.
    messages : iterator of (topic, payload)
    per_s : float
        Messages a second.

    `sent` counts them; `moments` holds the time of each tick's publish and how many
    messages there were by then.
    """

    def __init__(self, port: int, messages: Iterator[tuple[str, bytes]], per_s: float) -> None:
        super().__init__(name="paced", daemon=True)
        self._publisher = load.Publisher(port)
        self._messages = messages
        self._per_s = per_s
        self._stopping = threading.Event()
        self.sent = 0
        self.moments: list[tuple[float, int]] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Send what is due, every tick; a tick that comes late sends more."""
        began = time.monotonic()
        try:
            while not self._stopping.wait(TICK_S):
                now = time.monotonic()
                due = int((now - began) * self._per_s) - self.sent
                batch = list(islice(self._messages, due))
                if due and not batch:
                    break
                if batch:
                    self.moments.append((now, self.sent + len(batch)))
                    self._publisher.send(batch)
                    self.sent += len(batch)
            self._publisher.close()
        except BaseException as error:  # noqa: BLE001 - told by `finish`
            self.failure = error

    def finish(self) -> int:
        """Stop; return how many were sent, or raise what went wrong."""
        self._stopping.set()
        self.join(30)
        if self.failure is not None:
            raise self.failure
        return self.sent
