"""
Receipts: what is durable, told to the device that sent it.

A receipt lists exactly what it vouches for (message ids, and the times of
readings without one), so a device may free those and no others: a broker that
lost one message in between cannot make a later receipt lie.  Receipts are
gathered for a moment, since a draining backlog would else send one a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from ingest.mqtt.topics import receipt_topic
from services.clock import now_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest.model import Device, Fleet
    from ingest.reading import Reading
    from services.store.messages.principal_status import Said

GATHER_S = 0.5
_LISTED = 1_000
_AHEAD_MS = 300_000


@dataclass(slots=True)
class _Stored:
    ids: list[int | str] = field(default_factory=list)
    unnumbered: list[int | str] = field(default_factory=list)
    times: list[int | str] = field(default_factory=list)


class Receipts:
    """Durable readings by device, until they are told."""

    def __init__(self) -> None:
        self._stored: dict[str, tuple[Device, _Stored]] = {}
        self._due_s = float("inf")

    def add(
        self, fleet: Fleet, seen: Iterable[tuple[int, Sequence[Reading]]], now_s: float
    ) -> None:
        """Note readings that are durable: stored, or kept as dead letters."""
        devices = fleet.devices
        for index, readings in seen:
            device = devices[index]
            entry = self._stored.get(device.id)
            if entry is None:
                entry = self._stored[device.id] = (device, _Stored())
            for reading in readings:
                entry[1].times.append(reading.ts)
                if reading.id is not None:
                    entry[1].ids.append(reading.id)
                else:
                    entry[1].unnumbered.append(reading.ts)
        if self._stored and self._due_s == float("inf"):
            self._due_s = now_s + GATHER_S

    def due(self, now_s: float) -> list[tuple[str, bytes]]:
        """Return receipts to publish now: topic and payload."""
        if now_s < self._due_s:
            return []
        stored, self._stored, self._due_s = self._stored, {}, float("inf")
        return [
            message for device, entry in stored.values() for message in _messages(device, entry)
        ]


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
    for at in range(0, max(len(stored.ids), len(stored.unnumbered)), _LISTED):
        body = {
            "device": device.id,
            "ts": newest,
            "id": last,
            "ids": stored.ids[at : at + _LISTED],
            "times": stored.unnumbered[at : at + _LISTED],
        }
        yield topic, msgspec.json.encode(body)
