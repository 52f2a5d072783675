"""
Sender of simulated messages: publishes each message at its time.

One loop, no threads.  If there are more devices than connections, devices share them, and the first
connection receives all receipts.
"""

import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ingest.addresses import Tls
from services.simulator import Device, Outgoing, SimulatorError
from services.simulator.connection import MOST, Connection, Identities, Identity, Outbox
from services.simulator.sparkplug import EdgeNode

_AT_ONCE = 500
_POLL_S = 0.05
_TEND_S = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """
    Simulation speed in simulated seconds per second; 0 is as fast as the broker accepts.

    Readings delayed beyond `end_us` are sent at the end.  [us]
    """

    speed: float
    start_us: int
    end_us: int | None

    def due_s(self, message: Outgoing) -> float:
        """Return the seconds after the start at which a message is sent."""
        if not self.speed:
            return 0.0
        send_us = message.send_us if self.end_us is None else min(message.send_us, self.end_us)
        return (send_us - self.start_us) / 1e6 / self.speed


@dataclass(slots=True)
class Sent:
    """
    Numbers of sent messages and bytes.

    `transmissions` includes repetitions; `without_subscriber` counts PUBACKs without a
    subscriber, `refused` negative ones; `unreceipted` counts messages still without receipt.
    """

    messages: int = 0
    transmissions: int = 0
    receipts: int = 0
    unreceipted: int = 0
    without_subscriber: int = 0
    refused: int = 0
    connection_breaks: int = 0
    seconds: float = 0.0
    first_ts_us: int | None = None
    last_ts_us: int | None = None

    def count(self, message: Outgoing) -> None:
        """Count a message that is sent for the first time."""
        self.messages += 1
        if message.ids:
            earliest, latest = self.first_ts_us, self.last_ts_us
            self.first_ts_us = min(message.ts_us, message.ts_us if earliest is None else earliest)
            self.last_ts_us = max(message.ts_us, message.ts_us if latest is None else latest)


class Sender:
    """
    Publisher of a fleet's messages.

    `url`: MQTT broker.
    `connections`: maximum number of connections.
    `receipts`: whether to repeat messages without a receipt.
    `wait_s`: maximum waiting time at the end without another receipt. [s]
    `sparkplug`: Sparkplug group of the principals, which are then edge nodes without receipts.
    `identities`: credentials of each principal; then connections are not shared.
    `trust`: trusted certificate authority for `mqtts://` without identities.
    Raises SimulatorError when there are fewer connections than edge nodes or identities.
    """

    def __init__(
        self,
        url: str,
        fleet: Sequence[Device],
        *,
        connections: int,
        receipts: bool,
        wait_s: float,
        label: str,
        sparkplug: str | None = None,
        identities: Identities | None = None,
        trust: Tls | None = None,
    ) -> None:
        receipts = receipts and sparkplug is None
        self._outbox = Outbox(receipts=receipts)
        self._wait_s = wait_s
        self._left, self._since_s = -1, 0.0
        self._links: list[Connection] = []
        principals = list(dict.fromkeys(device.principal for device in fleet))
        if identities is not None:
            connections = max(connections, min(len(principals), MOST))
        shared = len(principals) > connections
        if shared and identities is not None:
            raise SimulatorError(
                f"{len(principals)} principals need a connection each, and {MOST} is the maximum: "
                "split the fleet, or leave some out by --without"
            )
        if shared and sparkplug is not None:
            raise SimulatorError(
                f"--sparkplug needs a connection an edge node, {len(principals)} of them;"
                f" --connections is {connections}"
            )
        for k, name in enumerate(principals[:connections]):
            heard = f"tonne/v1/{'+' if shared else name}/receipt"
            self._links.append(
                Connection(
                    url,
                    f"simulate-{label}-{k}" if shared else name,
                    principal=None if shared or sparkplug is not None else name,
                    receipt_topic=heard if receipts and not (shared and k) else None,
                    on_receipt=self._outbox.receipt,
                    on_published=self._outbox.published,
                    identity=Identity(trust or Tls())
                    if identities is None
                    else identities.of(name),
                    edge=None if sparkplug is None else _edge(sparkplug, name, fleet),
                )
            )
        link_of = {name: self._links[k % connections] for k, name in enumerate(principals)}
        self._link = {device.id: link_of[device.principal] for device in fleet}
        self.sent = Sent()

    def run(
        self,
        messages: Iterator[Outgoing],
        pace: Pace,
        *,
        watch: Callable[[Sent], None],
        stopped: Callable[[], bool],
    ) -> Sent:
        """
        Send all messages and return their numbers.

        `watch` is called about every second; `stopped` ends the sending early.

        Raises ServerError when the broker cannot be reached at the start, or refuses a device.
        """
        began = tended = time.monotonic()
        waiting: Outgoing | None = None
        all_taken = False
        for link in self._links:
            link.open(began)
        while True:
            now = time.monotonic()
            if not all_taken:
                waiting, ended = self._take(messages, pace, waiting, now - began)
                all_taken = ended or stopped()
            elif self._done(now):
                break
            for entry in self._outbox.overdue(now):
                self._link[entry.message.device_id].queue(entry)
            due_s = began + pace.due_s(waiting) - now if waiting else 0.0
            self._exchange(now, due_s)
            if now - tended >= _TEND_S:
                tended = now
                self._tend()
                watch(self._figures(now - began))
        for link in self._links:
            link.close()
        return self._figures(time.monotonic() - began)

    def _take(
        self, messages: Iterator[Outgoing], pace: Pace, waiting: Outgoing | None, elapsed_s: float
    ) -> tuple[Outgoing | None, bool]:
        """Queue the due messages; return the first one not yet due, and whether none is left."""
        for _ in range(_AT_ONCE):
            message = waiting or next(messages, None)
            if message is None:
                return None, True
            link = self._link[message.device_id]
            if pace.due_s(message) > elapsed_s or self._outbox.full or not link.has_room:
                return message, False
            waiting = None
            link.queue(self._outbox.keep(message))
            self.sent.count(message)
        return None, False

    def _exchange(self, now_s: float, due_s: float) -> None:
        """Read and write as far as the sockets allow; wait if there is nothing to do."""
        for link in self._links:
            link.write()
        links = ((link.descriptor, link) for link in self._links)
        open_links = {number: link for number, link in links if number is not None}
        writers = [number for number, link in open_links.items() if link.wants_write]
        if not open_links:
            time.sleep(_POLL_S)
        else:
            readable, _, _ = select.select(list(open_links), writers, [], self._pause(due_s))
            for number in readable:
                open_links[number].read()
        if len(open_links) < len(self._links):
            for link in self._links:
                link.open(now_s)

    def _pause(self, due_s: float) -> float:
        """Return the waiting time for the network; short while messages are unacknowledged. [s]"""
        if all(link.idle for link in self._links):
            return min(max(due_s, _POLL_S), _TEND_S)
        return _POLL_S / 10

    def _tend(self) -> None:
        for link in self._links:
            link.tend()

    def _done(self, now_s: float) -> bool:
        """
        Return whether all messages are acknowledged and receipted, or the final waiting time
        is over.
        """
        left = self._outbox.readings or sum(link.pending for link in self._links)
        if left != self._left:
            self._left, self._since_s = left, now_s
        return not left or now_s - self._since_s > self._wait_s

    def _figures(self, seconds: float) -> Sent:
        links = self._links
        self.sent.transmissions = sum(link.sent for link in links)
        self.sent.without_subscriber = sum(link.without_subscriber for link in links)
        self.sent.refused = sum(link.refused for link in links)
        self.sent.connection_breaks = sum(link.breaks for link in links)
        self.sent.receipts = self._outbox.received
        self.sent.unreceipted = len(self._outbox)
        self.sent.seconds = seconds
        return self.sent


def _edge(group: str, name: str, fleet: Sequence[Device]) -> EdgeNode:
    return EdgeNode(group, name, [device for device in fleet if device.principal == name])
