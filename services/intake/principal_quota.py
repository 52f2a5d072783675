"""
Quota of messages per principal and minute; messages beyond it are refused as `rate`.

It prevents a faulty device from filling queue and disk.  A message beyond the quota is not decoded;
it becomes a dead letter without receipt, so that a device that waits for receipts sends it again
later.

After a time without reception (because of this process, the database or the network) principals
may send the messages gathered in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ingest.columns import Rejected
from ingest.errors import PayloadError
from ingest.mqtt import Router, principal_of
from ingest.mqtt.client import Inbox
from services.settings import Settings

REASON = "rate"
MESSAGES_A_MINUTE, BYTES_A_MINUTE = 60_000, 60_000_000
MINUTE_S, HOUR_S = 60.0, 3_600.0
# a batch that takes longer than this was delayed by the database [s]
STALLED_S = 5.0
# maximum time for which a broker keeps a session
_MAX_AWAY_S = 720 * HOUR_S
_REMEMBERED = 100_000
_LONG = 256


class Limits(NamedTuple):
    """Maximum messages, and payload bytes, per principal and minute; 0 is unlimited."""

    messages: int = MESSAGES_A_MINUTE
    bytes: int = BYTES_A_MINUTE

    @staticmethod
    def by(settings: Settings) -> Limits:
        """Return the limits of the settings."""
        return Limits(settings.principal_messages_a_minute, settings.principal_bytes_a_minute)


@dataclass(slots=True)
class _Quota:
    """Remaining messages and bytes of a principal, and the time of that state. [monotonic s]"""

    messages: float
    bytes: float
    at_s: float


class PrincipalQuota:
    """
    Remaining quota of each principal, refilled continuously up to one minute's amount.

    `clock`: monotonic seconds.
    """

    def __init__(
        self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = Limits() if limits is None else limits
        self._clock = clock
        self._quota: dict[str, _Quota] = {}
        self._names: dict[str, str] = {}
        self._router: Router | None = None
        self._epoch: int | None = None
        self._received_s = clock()
        self._swept_s = 0.0
        self._away_s = self._away_until_s = 0.0

    def note_pause(self, seconds: float | None) -> None:
        """
        Record a pause in receiving.

        `seconds`: length of the pause; None if unknown, counted as an hour. [s]
        """
        now_s = self._clock()
        more_s = HOUR_S if seconds is None else max(seconds, 0.0)
        self._away_s = min(self._credit_s(now_s) + more_s, _MAX_AWAY_S)
        # principals may send the messages gathered during the pause: fetching them takes less time
        # than the pause
        self._away_until_s = now_s + self._away_s + MINUTE_S

    def stored(self, seconds: float) -> None:
        """Record how long it took to store a batch, delays included. [s]"""
        if seconds > STALLED_S:
            self.note_pause(seconds)

    def over(self, router: Router, inbox: Inbox) -> list[Rejected]:
        """Count a batch; return the messages beyond their principal's quota."""
        if not any(self._limits):
            return []
        now_s = self._clock()
        if self._epoch is not None and inbox.epoch != self._epoch:
            self.note_pause(now_s - self._received_s)
        self._epoch, self._received_s = inbox.epoch, now_s
        beyond = self._take(self._spent(router, inbox), now_s)
        return self._beyond(router, inbox, beyond) if beyond else []

    def _spent(self, router: Router, inbox: Inbox) -> dict[str, list[int]]:
        """Return [messages, payload bytes] of each principal in a batch."""
        if router is not self._router or len(self._names) > _REMEMBERED:
            self._router, self._names = router, {}
        names, result = self._names, dict[str, list[int]]()
        for topic, payload in zip(inbox.topics, inbox.payloads, strict=True):
            name = names.get(topic)
            if name is None:
                name = self._name(router, topic)
            spent = result.get(name)
            if spent is None:
                result[name] = [1, len(payload)]
            else:
                spent[0] += 1
                spent[1] += len(payload)
        return result

    def _name(self, router: Router, topic: str) -> str:
        """Return the principal of a topic, cached where a lookup is needed."""
        name = self._names.get(topic)
        if name is None:
            name = _principal(router, topic)
            if len(topic) <= _LONG:
                self._names[topic] = name
        return name

    def _take(self, spent: dict[str, list[int]], now_s: float) -> set[str]:
        """Deduct each principal's messages from its quota; return the principals above theirs."""
        beyond = set()
        maximum_s = MINUTE_S + self._credit_s(now_s)
        a_second = self._limits.messages / MINUTE_S, self._limits.bytes / MINUTE_S
        maximum = a_second[0] * maximum_s, a_second[1] * maximum_s
        for name, (messages, size) in spent.items():
            remaining = self._quota.get(name)
            if remaining is None:
                self._forget_idle(now_s)
                remaining = self._quota[name] = _Quota(*maximum, now_s)
            else:
                passed_s, remaining.at_s = now_s - remaining.at_s, now_s
                remaining.messages = min(remaining.messages + passed_s * a_second[0], maximum[0])
                remaining.bytes = min(remaining.bytes + passed_s * a_second[1], maximum[1])
            if self._lacks(remaining, messages, size):
                beyond.add(name)
            else:
                remaining.messages -= messages
                remaining.bytes -= size
        return beyond

    def _lacks(self, quota: _Quota, messages: int, size: int) -> bool:
        limits = self._limits
        return bool(
            (limits.messages and messages > quota.messages) or (limits.bytes and size > quota.bytes)
        )

    def _beyond(self, router: Router, inbox: Inbox, names: set[str]) -> list[Rejected]:
        """Count messages within the quota, in order; return the others."""
        rejected = []
        for k, topic in enumerate(inbox.topics):
            name = self._name(router, topic)
            if name not in names:
                continue
            remaining, size = self._quota[name], len(inbox.payloads[k])
            if self._lacks(remaining, 1, size):
                rejected.append(Rejected(k, REASON, self._why(name, remaining)))
            else:
                remaining.messages -= 1
                remaining.bytes -= size
        return rejected

    def _why(self, name: str, quota: _Quota) -> str:
        who = repr(name[:64]) if name else "principals without a name"
        by_number = bool(self._limits.messages) and quota.messages < 1
        maximum, what = (
            (self._limits.messages, "MESSAGES") if by_number else (self._limits.bytes, "BYTES")
        )
        return (
            f"{who} sends more than {maximum} {what.lower()} a minute; this message was not read:"
            f" send it again later, or raise TONNE_PRINCIPAL_{what}_A_MINUTE"
        )

    def _credit_s(self, now_s: float) -> float:
        return self._away_s if now_s < self._away_until_s else 0.0

    def _forget_idle(self, now_s: float) -> None:
        """Remove principals with a full quota if very many are stored."""
        if len(self._quota) < _REMEMBERED or now_s < self._swept_s + MINUTE_S:
            return
        self._swept_s = now_s
        since_s = now_s - MINUTE_S - self._credit_s(now_s)
        self._quota = {
            name: bucket for name, bucket in self._quota.items() if bucket.at_s > since_s
        }


def _principal(router: Router, topic: str) -> str:
    """Return the principal of a topic, from its name or the registry; empty if unknown."""
    name = principal_of(topic)
    if name:
        return name
    try:
        index = router.route(topic)
    except PayloadError:
        return ""
    if index < 0:
        return ""
    device = router.fleet.devices[index]
    return device.gateway or device.id
