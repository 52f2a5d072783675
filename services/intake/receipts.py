"""
Receipts: what is durable, told to the device that sent it.

A receipt lists exactly what it vouches for (message ids, and the times of
readings without one), so a device may free those and no others: a broker that
lost one message in between cannot make a later receipt lie.  Receipts are
gathered for a moment, since a draining backlog would else send one a message.
What was refused is listed too, and by itself with its reason: sent again it would be
refused again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from ingest.errors import PayloadError
from ingest.mqtt.topics import receipt_topic
from ingest.reading import time_us
from services.clock import now_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest.columns import Rejected
    from ingest.model import Device, Fleet
    from ingest.reading import Reading
    from services.store.messages.principal_status import Said

GATHER_S = 0.5
_LISTED = 1_000
_AHEAD_MS = 300_000
# of one receipt, so that a small device can take it: refusals, readings and characters of each
_REFUSED, _NAMED, _DETAIL = 20, 20, 200


@dataclass(slots=True)
class _Stored:
    ids: list[int | str] = field(default_factory=list)
    unnumbered: list[int | str] = field(default_factory=list)
    times: list[int | str] = field(default_factory=list)
    refused: list[dict[str, object]] = field(default_factory=list)
    more: int = 0


class Receipts:
    """Durable readings by device, until they are told."""

    def __init__(self) -> None:
        self._stored: dict[str, tuple[Device, _Stored]] = {}
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
        for index, readings in seen:
            entry = self._entry(devices[index])
            for reading in readings:
                entry.times.append(reading.ts)
                if reading.id is not None:
                    entry.ids.append(reading.id)
                else:
                    entry.unnumbered.append(reading.ts)
        for index, one, readings in refused:
            entry = self._entry(devices[index])
            if len(entry.refused) < _REFUSED:
                entry.refused.append(_refusal(one, readings))
            else:
                entry.more += 1
        if self._stored and self._due_s == float("inf"):
            self._due_s = now_s + GATHER_S

    def _entry(self, device: Device) -> _Stored:
        entry = self._stored.get(device.id)
        if entry is None:
            entry = self._stored[device.id] = (device, _Stored())
        return entry[1]

    def due(self, now_s: float) -> list[tuple[str, bytes]]:
        """Return receipts to publish now: topic and payload."""
        if now_s < self._due_s:
            return []
        stored, self._stored, self._due_s = self._stored, {}, float("inf")
        return [
            message for device, entry in stored.values() for message in _messages(device, entry)
        ]


def _refusal(one: Rejected, readings: Sequence[Reading]) -> dict[str, object]:
    """Say why, and of which readings: of one where it is known, else of all of the message."""
    if one.time_us is not None and len(readings) > 1:
        readings = [r for r in readings if _us(r.ts) == one.time_us]
    named = readings[:_NAMED]
    return {
        "reason": one.reason,
        "detail": one.detail[:_DETAIL],
        "ids": [r.id for r in named if r.id is not None],
        "times": [r.ts for r in named if r.id is None],
    }


def _us(ts: int | str) -> int | None:
    try:
        return time_us(ts)
    except PayloadError:
        return None


def greetings(fleet: Fleet, said: Iterable[Said]) -> list[tuple[str, bytes]]:
    """
    Return the answers to births: that we hear them, and what time it is. [ms]

    A gateway whose clock is wrong corrects its times by that before it sends any.
    """
    body: dict[str, object] = {
        "device": "",
        "ts": None,
        "id": None,
        "ids": [],
        "times": [],
        "refused": [],
        "now": now_us() // 1000,
    }
    names = dict.fromkeys(one.principal for one in said if one.principal in fleet.by_id)
    return [(receipt_topic(name), msgspec.json.encode({"device": name, **body})) for name in names]


def _messages(device: Device, stored: _Stored) -> Iterable[tuple[str, bytes]]:
    topic = receipt_topic(device.gateway or device.id)
    # a time ahead of ours was refused: it must not vouch for what is still to come
    now_ms = now_us() // 1000
    whole = [ts for ts in stored.times if isinstance(ts, int) and ts <= now_ms + _AHEAD_MS]
    newest = max(whole) if whole else None
    numbers = [i for i in stored.ids if isinstance(i, int)]
    last = max(numbers) if numbers else (stored.ids[-1] if stored.ids else None)
    for at in range(0, max(len(stored.ids), len(stored.unnumbered), 1), _LISTED):
        body: dict[str, object] = {
            "device": device.id,
            "ts": newest,
            "id": last,
            "ids": stored.ids[at : at + _LISTED],
            "times": stored.unnumbered[at : at + _LISTED],
            "refused": stored.refused if at == 0 else [],
        }
        if stored.more and at == 0:
            body["refused_more"] = stored.more
        yield topic, msgspec.json.encode(body)
