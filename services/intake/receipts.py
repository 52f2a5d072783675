"""
Receipts: durable readings, reported to the device that sent them.

A receipt lists exactly the durable message ids, and the times of readings without id, so that a
device deletes no others.  Receipts are collected for a moment, to limit their number. Rejected
messages are listed separately with the reason, as sending them again is useless.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ingest.decode import Rejected, Seen
from ingest.errors import PayloadError
from ingest.model import Device, Fleet
from ingest.mqtt.names import receipt_topic
from ingest.reading import time_us
from services.clock import now_us
from services.intake.handover import Stated
from services.store.messages.principal_status import Status

GATHER_S = 0.5
# so many of a device are not kept waiting: a gateway with a backlog sends on by its receipt
_MANY = 100
_LISTED = 1_000
_NONE_MS = -(1 << 62)
_AHEAD_MS = 300_000
# of one receipt, so that a small device can take it: refusals, readings and characters of each
_REFUSED, _NAMED, _DETAIL = 20, 20, 200


class _Stored(msgspec.Struct):
    """Durable readings of a device: message numbers, times without number, newest time. [ms]"""

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
        # a time ahead of ours was refused: it must not vouch for what is still to come
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
    """Return the reason and the readings of a refusal: one where known, else all of the message."""
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
    """Return the highest number, or the last id if none is a number; None without any."""
    numbers = [i for i in ids if isinstance(i, int)]
    return max(numbers) if numbers else ids[-1] if ids else None
