"""
State of an edge node in a host: session, births and waiting messages; and Sparkplug topics.

A birth is valid from its own time up to the last certain message: data in sequence after it, or
data sent before such a message.  Other data (after a loss) are decoded only if the next birth gives
every used alias the same meaning.  If births change an alias and change it back, and all of them
are lost, this cannot be detected.

Topics are `spBv1.0/<group>/<type>/<edge node>[/<device>]`. The edge node is the principal:
`spBv1.0/G/DDATA/n-1/m-1` corresponds to `tonne/v1/n-1/m-1/telemetry`, and NDATA of `n-1` to `n-1`
itself.  Two nodes of equal name in different groups are rejected.
"""

from __future__ import annotations

import json
import re
import time
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

from ingest.codecs.sparkplug_b import REBIRTH
from ingest.errors import PayloadError
from ingest.formats import sparkplug_b_pb2
from ingest.formats.sparkplug import BOOLEAN, Birth

NAMESPACE = "spBv1.0"
PREFIX = f"{NAMESPACE}/"
OF_NODE = ("NBIRTH", "NDEATH", "NDATA")
OF_DEVICE = ("DBIRTH", "DDEATH", "DDATA")
SUBSCRIPTIONS = (
    *(f"{PREFIX}+/{kind}/+" for kind in OF_NODE),
    *(f"{PREFIX}+/{kind}/+/+" for kind in OF_DEVICE),
)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NODE_LEVELS = 4


class Topic(NamedTuple):
    """
    Parts of a topic; `device` is empty for a message of the node.

    `own` is the equivalent tonne topic.
    """

    group: str
    kind: str
    node: str
    device: str
    own: str


@lru_cache(maxsize=200_000)
def parse(topic: str) -> Topic:
    """Return the parts of a topic. Raises PayloadError: `unknown_topic` or `name_unusable`."""
    words = topic.split("/")
    of_node = len(words) == _NODE_LEVELS
    if not (of_node or len(words) == _NODE_LEVELS + 1) or words[0] != NAMESPACE:
        raise _unknown(topic)
    group, kind, names = words[1], words[2], words[3:]
    if not group or kind not in (OF_NODE if of_node else OF_DEVICE):
        raise _unknown(topic)
    for name in names:
        if not _ID.fullmatch(name):
            raise PayloadError(
                "name_unusable",
                f"{name!r:.80} is not an id; name edge node and device as the registry does, with "
                "letters, digits, _ and -",
            )
    own = f"tonne/v1/{'/'.join(names)}/telemetry"
    return Topic(group, kind, names[0], "" if of_node else names[1], own)


def _unknown(topic: str) -> PayloadError:
    return PayloadError(
        "unknown_topic", f"{topic!r:.200}; publish spBv1.0/<group>/DDATA/<edge node>/<device>"
    )


def own_topic(topic: str) -> str:
    """Return the tonne topic that corresponds to a Sparkplug topic; another topic unchanged."""
    try:
        return parse(topic).own if topic.startswith(PREFIX) else topic
    except PayloadError:
        return topic


def command(group: str, node: str) -> str:
    """Return the topic for commands to an edge node."""
    return f"{PREFIX}{group}/NCMD/{node}"


def state_topic(host_id: str) -> str:
    """Return the topic of a host application's online state."""
    return f"{PREFIX}STATE/{host_id}"


_payload: Any = sparkplug_b_pb2


def rebirth() -> bytes:
    """Return the payload of a command that requests births from a node."""
    payload = _payload.Payload(timestamp=time.time_ns() // 1_000_000)
    payload.metrics.add(
        name=REBIRTH, timestamp=payload.timestamp, datatype=BOOLEAN, boolean_value=True
    )
    return bytes(payload.SerializeToString())


def host_state(*, online: bool, timestamp_ms: int) -> bytes:
    """Return the payload of a host's STATE message."""
    return json.dumps({"online": online, "timestamp": timestamp_ms}).encode()


SEQ = 256
KEPT_BIRTHS = 4
_BEHIND = SEQ // 2


class WaitingMessage(NamedTuple):
    """
    Message that waits for an earlier one.

    `id`: unique id of the message.  `message`: its index in the current batch; None if it is of an
    earlier batch.
    """

    id: str
    topic: str
    payload: bytes
    received_us: int
    seq: int = 0
    sent_ms: int = 0
    message: int | None = None


@dataclass(slots=True)
class Node:
    """
    Edge node.

    `next_seq`: next sequence number; None without a live session.
    `gap_us`: time since which a message is missing.
    `wanted_us`: time at which a rebirth was last needed.
    `births`: by device ("" for the node itself), oldest first.
    `live`: births of this session whose device is alive.
    """

    name: str
    group: str = ""
    online: bool = False
    changed_us: int = 0
    bd_seq: int | None = None
    next_seq: int | None = None
    born_ms: int = -1
    certain_ms: int = -1
    gap_us: int | None = None
    wanted_us: int | None = None
    births: dict[str, list[Birth]] = field(default_factory=dict)
    live: dict[str, Birth] = field(default_factory=dict)
    waiting_messages: list[WaitingMessage] = field(default_factory=list)
    rewritten: set[str] = field(default_factory=set)

    def copy(self) -> Node:
        """Return a copy that may change independently."""
        births = {device: list(births) for device, births in self.births.items()}
        return replace(
            self,
            births=births,
            live=dict(self.live),
            waiting_messages=list(self.waiting_messages),
            rewritten=set(),
        )

    def begin(self, group: str, birth: Birth, bd_seq: int | None, seq: int, now_us: int) -> None:
        """Start a session with the node's birth certificate."""
        self.end(now_us)
        self.group, self.online, self.bd_seq = group, True, bd_seq
        self.born_ms = self.certain_ms = birth.born_ms
        self.next_seq = (seq + 1) % SEQ
        self.gap_us = self.wanted_us = None
        self.come("", birth)

    def end(self, now_us: int) -> None:
        """End the session; from then on the validity of its births does not change."""
        for device in list(self.live):
            self.mark_dead(device)
        if self.online:
            self.changed_us = now_us
        self.online, self.next_seq, self.gap_us, self.wanted_us = False, None, None, None

    def come(self, device: str, birth: Birth) -> None:
        """Mark a device as alive, with the birth that declares its metrics."""
        self.mark_dead(device)
        self.live[device] = birth
        self.remember(device, birth)

    def mark_dead(self, device: str) -> None:
        """Mark a device as dead; its birth is certain for data up to this message."""
        birth = self.live.pop(device, None)
        if birth is None:
            return
        births = self.births[device]
        births[births.index(birth)] = replace(birth, certain_ms=max(self.certain_ms, birth.born_ms))
        self.rewritten.add(device)

    def remember(self, device: str, birth: Birth) -> None:
        """Store a birth; only the latest few of a device are kept."""
        births = self.births.setdefault(device, [])
        births[:] = [known for known in births if known.born_ms != birth.born_ms]
        births.insert(bisect_right([b.born_ms for b in births], birth.born_ms), birth)
        del births[:-KEPT_BIRTHS]
        self.rewritten.add(device)

    def knows(self, device: str, born_ms: int) -> bool:
        """Return whether the birth of a device with this time is stored."""
        return any(birth.born_ms == born_ms for birth in self.births.get(device, ()))

    def is_behind(self, seq: int, sent_ms: int) -> bool:
        """Return whether a message is repeated or late: a later one was already accepted."""
        ahead = (seq - (self.next_seq or 0)) % SEQ
        return sent_ms < self.certain_ms or (sent_ms == self.certain_ms and ahead >= _BEHIND)

    def advance(self, seq: int, sent_ms: int) -> None:
        """Accept a message as the next in sequence."""
        self.next_seq = (seq + 1) % SEQ
        self.certain_ms = max(self.certain_ms, sent_ms)

    def birth_at(
        self, device: str, sent_ms: int, used: Iterable[int | str], *, answers: bool
    ) -> Birth:
        """
        Return the birth for decoding a message out of sequence.

        `answers`: whether a birth that answered a rebirth request may also decode data sent before
        it.
        Raises PayloadError: `birth_missing` or `sequence_gap`.
        """
        births = self.births.get(device, [])
        at = bisect_right([birth.born_ms for birth in births], sent_ms)
        before = births[at - 1] if at else None
        after = births[at] if at < len(births) else None
        who = f"{self.name}/{device}" if device else self.name
        if before is None:
            if answers and after is not None and after.requested:
                return after
            raise PayloadError(
                "birth_missing",
                f"no birth certificate of {who!r} at or before {sent_ms} ms; a rebirth "
                "was requested; after it run `tonne deadletter replay`",
            )
        certain_ms = self.certain_ms if before.certain_ms is None else before.certain_ms
        if sent_ms <= certain_ms or (after is not None and before.agrees(after, used)):
            return before
        raise PayloadError(
            "sequence_gap",
            f"a message of {self.name!r} before this one is missing, and no later birth "
            f"certificate of {who!r} confirms its aliases; replay it after the next birth",
        )
