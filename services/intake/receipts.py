"""
Receipts: what is durable, reported to the device that sent it.

A receipt lists exactly what it vouches for (message ids, and the times of
readings without one), so a device may free those and no others: a broker that
lost one message in between cannot make a later receipt lie.  Receipts are
gathered for a moment, since a draining backlog would else send one a message.
What was refused is listed too, and by itself with its reason: sent again it would be
refused again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ingest.columns import Rejected
from ingest.errors import PayloadError
from ingest.model import Device, Fleet
from ingest.mqtt.names import receipt_topic
from ingest.reading import Reading, time_us
from services.clock import now_us
from services.store.messages.principal_status import Status

GATHER_S = 0.5
# so many of a device are not kept waiting: a gateway with a backlog sends on by its receipt
_MANY = 100
_LISTED = 1_000
_AHEAD_MS = 300_000
# of one receipt, so that a small device can take it: refusals, readings and characters of each
_REFUSED, _NAMED, _DETAIL = 20, 20, 200


class _Stored(msgspec.Struct):
    """Durable data of a device: message numbers, times without one, the newest time. [ms]"""

    device: Device
    ids: list[int | str] = []
    unnumbered: list[int | str] = []
    newest: int | None = None
    refused: list[dict[str, object]] = []
    more: int = 0


class _Receipt(msgspec.Struct):
    """A receipt, in the order of its members."""

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
    """Durable readings by device, until they are reported."""

    def __init__(self) -> None:
        self._stored: dict[str, _Stored] = {}
        self._due_s = float("inf")

    def add(
        self,
        fleet: Fleet,
        seen: Iterable[tuple[int, Sequence[Reading]]],
        now_s: float,
        refused: Iterable[tuple[int, Rejected, Sequence[Reading]]] = (),
    ) -> None:
        """Note readings that are durable: stored, or kept as dead letters, and why these are."""
        devices = fleet.devices
        # a time ahead of ours was refused: it must not vouch for what is still to come
        latest = now_us() // 1000 + _AHEAD_MS
        for index, readings in seen:
            entry = self._entry(devices[index])
            for reading in readings:
                ts, number = reading.ts, reading.id
                if number is None:
                    entry.unnumbered.append(ts)
                else:
                    entry.ids.append(number)
                if isinstance(ts, int) and ts <= latest:
                    newest = entry.newest
                    entry.newest = ts if newest is None or ts > newest else newest
            if len(entry.ids) >= _MANY:
                self._due_s = now_s
        for index, rejected, readings in refused:
            entry = self._entry(devices[index])
            if len(entry.refused) < _REFUSED:
                entry.refused.append(_refusal(rejected, readings))
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
        """Return receipts to publish now: topic and payload."""
        if now_s < self._due_s:
            return []
        stored, self._stored, self._due_s = self._stored, {}, float("inf")
        result: list[tuple[str, bytes]] = []
        for entry in stored.values():
            _add_messages(result, entry)
        return result


def _refusal(rejected: Rejected, readings: Sequence[Reading]) -> dict[str, object]:
    """Return the reason and the readings of a refusal: one where known, else all of the message."""
    if rejected.time_us is not None and len(readings) > 1:
        readings = [r for r in readings if _us(r.ts) == rejected.time_us]
    named = readings[:_NAMED]
    return {
        "reason": rejected.reason,
        "detail": rejected.detail[:_DETAIL],
        "ids": [r.id for r in named if r.id is not None],
        "times": [r.ts for r in named if r.id is None],
    }


def _us(ts: int | str) -> int | None:
    try:
        return time_us(ts)
    except PayloadError:
        return None


def greetings(fleet: Fleet, lines: Iterable[Status]) -> list[tuple[str, bytes]]:
    """
    Return the answers to births: that we hear them, and what time it is. [ms]

    A gateway whose clock is wrong corrects its times by that before it sends any.
    """
    now = now_us() // 1000
    names = dict.fromkeys(one.principal for one in lines if one.principal in fleet.by_id)
    return [
        (receipt_topic(name), _ENCODER.encode(_Receipt(name, None, None, now=now)))
        for name in names
    ]


def _add_messages(sections: list[tuple[str, bytes]], stored: _Stored) -> None:
    device, ids, times = stored.device, stored.ids, stored.unnumbered
    topic = receipt_topic(device.gateway or device.id)
    last = ids[0] if len(ids) == 1 else _last(ids)
    for at in range(0, max(len(ids), len(times), 1), _LISTED):
        receipt = _Receipt(
            device.id, stored.newest, last, ids[at : at + _LISTED], times[at : at + _LISTED]
        )
        if at == 0:
            receipt.refused = stored.refused
            receipt.refused_more = stored.more or msgspec.UNSET
        sections.append((topic, _ENCODER.encode(receipt)))


def _last(ids: Sequence[int | str]) -> int | str | None:
    """Return the highest number, or the last name where none is a number."""
    numbers = [i for i in ids if isinstance(i, int)]
    return max(numbers) if numbers else ids[-1] if ids else None
