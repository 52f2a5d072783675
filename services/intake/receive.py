"""
Step 1 of `tonne run` and `tonne bridge`: messages of the MQTT session, collected in batches.

Batches grow while the storing thread is busy.

Status messages (births and wills) are separated from readings. They are sent at most once and need
no acknowledgement, as a lost one is replaced by the expected cadence of readings.

Receipts: durable readings, reported to the device that sent them.

A receipt lists exactly the durable message ids, and the times of readings without id, so that a
device deletes no others.  Receipts are collected for a moment, to limit their number. Rejected
messages are listed separately with the reason, as sending them again is useless.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from structlog.typing import FilteringBoundLogger

from ingest import sparkplug
from ingest.addresses import Tls, receipt_topic
from ingest.decode import Rejected, Seen
from ingest.errors import PayloadError, ServerError
from ingest.model import Device, Fleet
from ingest.mqtt import SUBSCRIPTIONS, status_of, subscriptions
from ingest.mqtt.client import Inbox
from ingest.mqtt.session import HostState, Session
from ingest.reading import time_us
from services.clock import now_us
from services.intake.handover import IN_FLIGHT, Handover, Read, Stated
from services.metrics import Metrics
from services.store.principal_status import Status

REMEDY = (
    "give its principal these topics at the broker: `tonne broker config` writes all that it "
    "needs, and `tonne broker apply` sends them to a running mosquitto"
)
REFUSES = "the broker rejects "
_SERVER = "broker"


class RefusedTopics:
    """
    Reports topics that the broker refuses to a session.

    `client_id`: client id of the session.
    `share`: prefix of filters of a shared subscription, or empty.
    `is_host`: whether this process is a Sparkplug host, which needs Sparkplug's topics.
    """

    def __init__(
        self, client_id: str, share: str, metrics: Metrics, log: FilteringBoundLogger, *,
        is_host: bool,
    ) -> None:  # fmt: skip
        self._client_id, self._metrics, self._log = client_id, metrics, log
        self._optional = frozenset(
            () if is_host else (share + topic for topic in sparkplug.SUBSCRIPTIONS)
        )
        self._known: dict[str, str] = {}
        self._granted = False

    def look(self, topics: Sequence[str], refused: Mapping[str, str]) -> None:
        """
        Evaluate the broker's answers to all subscriptions.

        `topics`: topic filters of the session.
        `refused`: refused ones, with the reason.
        Raises ServerError if the broker refused every topic, and granted none since the start.
        """
        if not self._granted and topics and len(refused) == len(topics):
            raise ServerError(
                f"the broker rejects every topic of {self._client_id!r}: "
                f"{_refusals_text(refused)}; {REMEDY}"
            )
        self._granted = True
        if refused == self._known:
            return
        needed = self._needed(refused)
        self._log_changes(needed, refused)
        self._known = dict(refused)
        self._metrics.topics_refused.set(len(needed))
        self._metrics.pulse.set_fault(
            _SERVER, f"{REFUSES}{_refusals_text(needed)}" if needed else ""
        )

    def _needed(self, refused: Mapping[str, str]) -> dict[str, str]:
        off = self._optional <= refused.keys()
        return {t: why for t, why in refused.items() if not (off and t in self._optional)}

    def _log_changes(self, needed: Mapping[str, str], refused: Mapping[str, str]) -> None:
        if granted := [topic for topic in self._known if topic not in refused]:
            self._log.info("topics granted", topics=granted)
        before = self._needed(self._known)
        if fresh := {topic: why for topic, why in needed.items() if topic not in before}:
            self._log.error(
                "topics rejected by the broker; messages published there are not stored",
                topics=fresh, client_id=self._client_id, remedy=REMEDY,
            )  # fmt: skip
        if len(needed) < len(refused) and not self._optional <= self._known.keys():
            self._log.info(
                "the broker does not permit a subscription to Sparkplug topics",
                remedy="none if no device uses it; otherwise run `tonne broker config --sparkplug`",
            )


def _refusals_text(refused: Mapping[str, str]) -> str:
    return ", ".join(f"{topic} ({why})" for topic, why in refused.items())


def part_statuses(inbox: Inbox) -> list[Status]:
    """Remove the status messages from an inbox and return them in order."""
    rows = [i for i, topic in enumerate(inbox.topics) if topic.endswith("/status")]
    result = [(i, status_of(inbox.topics[i])) for i in rows]
    ours = {i: principal for i, principal in result if principal is not None}
    if not ours:
        return []
    taken = inbox.part(list(ours))
    return [
        Status(principal, payload, inbox.received_us)
        for principal, payload in zip(ours.values(), taken.payloads, strict=True)
    ]


BATCH = 20_000
# maximum size of a batch: 20,000 messages of twelve channels; a single message may contain
# thousands of readings
BATCH_BYTES = 8_388_608
LINGER_S, _IDLE_S = 0.01, 0.25
# while messages gather, the network is read at most this often, unless much arrives: waking for
# each message costs more than reading a hundred
_READ_S, _MUCH_BYTES = 0.005, 16_384
_RETRY_S = 1.0
_AWAY_S = 0.1  # pause between attempts to connect [s]


class Receive:
    """
    Receives messages of the MQTT session and passes on batches.

    `client_id`: names the persistent session at the broker.
    `batch`: maximum number of messages per batch.
    `share`: name of a shared subscription, which divides the messages among several receivers.
    `host_id`: name of this Sparkplug host application; with it, its state is published.
    `tls`: TLS identity at the broker.
    `every_s`: minimum time between incomplete batches while messages keep coming. [s]
    `single`: an incomplete batch waits until the previous one is durable.
    """

    def __init__(
        self,
        mqtt_url: str,
        client_id: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        batch: int = BATCH,
        share: str | None = None,
        *,
        host_id: str | None = None,
        tls: Tls | None = None,
        every_s: float = 0.0,
        single: bool = False,
    ) -> None:
        self._metrics, self._log = metrics, log
        self._batch = batch
        self._prefix = "" if share is None else f"$share/{share}/"
        maximum = min(batch * (IN_FLIGHT + 1), 65_535)
        state = None if host_id is None else HostState(host_id)
        self.session = Session(
            mqtt_url, client_id, self._filters(SUBSCRIPTIONS), maximum, state, tls
        )
        self._refused = RefusedTopics(
            client_id, self._prefix, metrics, log, is_host=host_id is not None
        )
        self._fleet_in_use: Fleet | None = None
        self._announced = False
        self._every_s, self._left_s, self._received_s = every_s, 0.0, 0.0
        self._single = single
        self._retry_s = 0.0
        self._came_bytes = 0

    def connect(self, fleet: Fleet) -> None:
        """
        Open the session with the topics of a registry version.

        Raises ServerError when the broker cannot be reached.
        """
        self.listen(fleet)
        self.session.connect()

    def listen(self, fleet: Fleet) -> None:
        """Subscribe to the topics of a registry version."""
        if fleet is not self._fleet_in_use:
            self._fleet_in_use = fleet
            self.session.listen(self._filters(subscriptions(fleet)))

    def _filters(self, topics: Sequence[str]) -> list[str]:
        return [self._prefix + topic for topic in topics]

    def step(self, handover: Handover) -> None:
        """
        Wait until messages arrive or `Bell.ring` is called, and receive messages.

        A lost connection is opened again.

        Raises ServerError when the broker refuses the connection, or every topic at the start.
        """
        session = self.session
        patience_s = self._gather(handover)
        waiting, waiting_bytes = session.waiting, session.waiting_bytes
        if not session.step(patience_s, handover.bell.descriptor):
            handover.bell.wait(_AWAY_S)
            if (now_s := time.monotonic()) >= self._retry_s:
                self._retry_s = now_s + _RETRY_S
                self._reconnect()
        if session.waiting > waiting:
            self._received_s = time.monotonic()
        self._came_bytes = session.waiting_bytes - waiting_bytes
        handover.bell.silence()
        self._log_start()

    def _log_start(self) -> None:
        """Log once that receiving has begun, and topics that the broker refuses."""
        if not self.session.subscribed:
            return
        self._refused.look(self.session.topics, self.session.refused)
        if not self._announced:
            self._announced = True
            self._log.info("receiving", client_id=self.session.client_id, batch=self._batch)

    def _gather(self, handover: Handover) -> float:
        """Collect messages until a batch may be passed on; return the wait for the network. [s]"""
        full = handover.full()
        if full or not self.session.waiting:
            patience_s = _IDLE_S
        elif self._busy(handover):
            patience_s = LINGER_S
        else:
            patience_s = self._too_soon_s()
        pause_s = min(_READ_S, patience_s) if self.session.waiting else 0.0
        if pause_s > 0 and self._came_bytes < _MUCH_BYTES:
            handover.bell.wait(pause_s)
            patience_s -= pause_s
        return max(patience_s, 0.0)

    def step_unread(self, handover: Handover) -> None:
        """Serve the MQTT protocol without reading further messages."""
        handover.bell.silence()
        if not self.session.step(0.05, handover.bell.descriptor, read=False):
            handover.bell.wait(_AWAY_S)

    def _reconnect(self) -> None:
        try:
            self.session.connect()
            self._log.info("broker connected again")
        except ServerError as error:
            self._log.warning("broker lost, trying again", error=str(error))

    def hand_on(self, handover: Handover, read: Callable[[Inbox], Read], *, stopping: bool) -> int:
        """Read received messages and hand them on; return the number of batches."""
        count = 0
        while self.session.waiting and not handover.full():
            gathering = self._busy(handover) or (not stopping and self._too_soon_s() > 0)
            if self.session.waiting < self._batch and gathering:
                break
            inbox = self.session.take(self._batch, now_us(), BATCH_BYTES)
            if inbox is None:
                break
            lines = part_statuses(inbox)
            self.session.publish(greetings(handover.fleet, lines))
            handover.give_statuses(lines)
            if len(inbox):
                count += 1
                self._metrics.unacked.inc(len(inbox))
                handover.give(inbox, read(inbox))
                self._left_s = time.monotonic()
        return count

    def _busy(self, handover: Handover) -> bool:
        return handover.in_progress() if self._single else handover.busy()

    def _too_soon_s(self) -> float:
        """
        Return the remaining time to collect messages; 0 or below if a batch may be passed on. [s]

        A batch is passed on after a pause in messages, as a broker with a small window sends no
        more before these are acknowledged.
        """
        now_s = time.monotonic()
        return min(self._received_s + LINGER_S, self._left_s + self._every_s) - now_s


GATHER_S = 0.5
# number of readings of one device whose receipt is not delayed: a gateway with a backlog waits for
# it
_MANY = 100
_LISTED = 1_000
_NONE_MS = -(1 << 62)
_AHEAD_MS = 300_000
# limits of one receipt, for small devices: refusals, and readings and characters of each
_REFUSED, _NAMED, _DETAIL = 20, 20, 200


class _Stored(msgspec.Struct):
    """
    Durable readings of a device, and refusals of its messages.

    `ids`: message numbers.  `unnumbered`: times of readings without number.  `newest`: newest
    time. [ms]  `refused`: listed refusals.  `more`: number of further refusals.
    """

    device: Device
    ids: list[int | str] = []
    unnumbered: list[int | str] = []
    newest: int = _NONE_MS
    refused: list[dict[str, object]] = []
    more: int = 0


class _Receipt(msgspec.Struct):
    """Receipt message, in the order of its fields."""

    device: str
    ts: int | None
    id: int | str | None
    ids: list[int | str] = []
    times: list[int | str] = []
    refused: list[dict[str, object]] = []
    refused_more: int | msgspec.UnsetType = msgspec.UNSET
    now: int | msgspec.UnsetType = msgspec.UNSET


_ENCODER = msgspec.json.Encoder()


class Receipts:
    """Durable readings by device, until their receipt is sent."""

    def __init__(self) -> None:
        self._stored: dict[str, _Stored] = {}
        self._due_s = float("inf")

    def add(
        self,
        fleet: Fleet,
        seen: Seen,
        now_s: float,
        refused: Iterable[tuple[int, Rejected, Sequence[Stated]]] = (),
    ) -> None:
        """Add durable readings: stored ones, and rejected ones with reason."""
        devices = fleet.devices
        # the time of a rejected reading may be ahead of this clock: it must not confirm later
        # readings
        latest = now_us() // 1000 + _AHEAD_MS
        entries: dict[int, _Stored] = {}
        for index, ts, number in zip(seen.device, seen.ts, seen.id, strict=True):
            entry = entries.get(index)
            if entry is None:
                entry = entries[index] = self._entry(devices[index])
            if number is None:
                entry.unnumbered.append(ts)
            else:
                entry.ids.append(number)
            if type(ts) is int and entry.newest < ts <= latest:
                entry.newest = ts
        if any(len(entry.ids) >= _MANY for entry in entries.values()):
            self._due_s = now_s
        for index, rejected, stated in refused:
            entry = self._entry(devices[index])
            if len(entry.refused) < _REFUSED:
                entry.refused.append(_refusal(rejected, stated))
            else:
                entry.more += 1
        if self._stored and self._due_s == float("inf"):
            self._due_s = now_s + GATHER_S

    def _entry(self, device: Device) -> _Stored:
        entry = self._stored.get(device.id)
        if entry is None:
            entry = self._stored[device.id] = _Stored(device)
        return entry

    def due(self, now_s: float) -> list[tuple[str, bytes]]:
        """Return the receipts to publish now: topic and payload."""
        if now_s < self._due_s:
            return []
        stored, self._stored, self._due_s = self._stored, {}, float("inf")
        result: list[tuple[str, bytes]] = []
        for entry in stored.values():
            _add_messages(result, entry)
        return result


def _refusal(rejected: Rejected, stated: Sequence[Stated]) -> dict[str, object]:
    """
    Return a refusal for a receipt: its reason, and the refused readings.

    These are the readings at the time of the refusal if it has one, else all of the message.

    `stated`: (time, id or None) of each reading of the message.
    """
    if rejected.time_us is not None and len(stated) > 1:
        stated = [(ts, number) for ts, number in stated if _us(ts) == rejected.time_us]
    named = stated[:_NAMED]
    return {
        "reason": rejected.reason,
        "detail": rejected.detail[:_DETAIL],
        "ids": [number for _, number in named if number is not None],
        "times": [ts for ts, number in named if number is None],
    }


def _us(ts: int | str) -> int | None:
    try:
        return time_us(ts)
    except PayloadError:
        return None


def greetings(fleet: Fleet, lines: Iterable[Status]) -> list[tuple[str, bytes]]:
    """
    Return answers to birth messages with the current time [ms]: topic and payload.

    A gateway corrects its clock by it before it sends.
    """
    now = now_us() // 1000
    names = dict.fromkeys(line.principal for line in lines if line.principal in fleet.by_id)
    return [
        (receipt_topic(name), _ENCODER.encode(_Receipt(name, None, None, now=now)))
        for name in names
    ]


def _add_messages(sections: list[tuple[str, bytes]], stored: _Stored) -> None:
    device, ids, times = stored.device, stored.ids, stored.unnumbered
    topic = receipt_topic(device.gateway or device.id)
    last = ids[0] if len(ids) == 1 else _last(ids)
    newest = None if stored.newest == _NONE_MS else stored.newest
    for at in range(0, max(len(ids), len(times), 1), _LISTED):
        receipt = _Receipt(
            device.id, newest, last, ids[at : at + _LISTED], times[at : at + _LISTED]
        )
        if at == 0:
            receipt.refused = stored.refused
            receipt.refused_more = stored.more or msgspec.UNSET
        sections.append((topic, _ENCODER.encode(receipt)))


def _last(ids: Sequence[int | str]) -> int | str | None:
    """Return the highest numeric id, or the last id if none is a number; None for no ids."""
    numbers = [i for i in ids if isinstance(i, int)]
    return max(numbers) if numbers else ids[-1] if ids else None
