"""
Sparkplug B, host side: the sequence of an edge node's messages, one message at a time.

Pure functions: nodes and messages in; readings, rejections and changed nodes out.  The caller
stores the nodes in the transaction of the readings.

Births precede data.  Each message of a node's session except the death has a sequence number, 0 to
255 in rotation.  A message that arrives early waits for those before it.  If they do not arrive in
time a rebirth is requested, and waiting messages are decoded with the births before and after them,
or rejected.  So no alias is decoded with a wrong birth.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

from ingest.codecs import sparkplug_b
from ingest.codecs.sparkplug_b import Message
from ingest.columns import Rejected
from ingest.errors import PayloadError
from ingest.formats.sparkplug import Birth
from ingest.reading import Given
from ingest.sparkplug.node import (
    PREFIX,
    SEQ,
    SUBSCRIPTIONS,
    Node,
    Topic,
    WaitingMessage,
    command,
    host_state,
    own_topic,
    parse,
    rebirth,
    state_topic,
)

__all__ = [
    "PREFIX",
    "SUBSCRIPTIONS",
    "Host",
    "Node",
    "Outcome",
    "Rules",
    "Topic",
    "WaitingMessage",
    "command",
    "host_state",
    "own_topic",
    "parse",
    "rebirth",
    "state_topic",
]


_AHEAD_US = 300_000_000
_MAX_WAITING = 1_000
_S = 1_000_000
_ASK_AGAIN_US = 60 * _S
_DATA = ("NDATA", "DDATA")


@dataclass(frozen=True, slots=True)
class Rules:
    """Longest waiting times of a message: for earlier messages, and then for a rebirth. [s]"""

    reorder_s: float = 5.0
    give_up_s: float = 60.0


@dataclass(slots=True)
class Outcome:
    """
    Result of messages: readings, rejections and commands.

    `released`: messages of earlier batches that are now decided; they follow the batch's own, from
    index `count` on.
    """

    count: int
    given: list[Given] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    released: list[WaitingMessage] = field(default_factory=list)

    def place(self, waiting: WaitingMessage) -> int:
        """Return the index of a message that waited; add one of an earlier batch to `released`."""
        if waiting.message is not None:
            return waiting.message
        self.released.append(waiting)
        return self.count + len(self.released) - 1


class Host:
    """
    Decoder of Sparkplug messages in order of arrival.

    `node_of`: returns a node by name, as a changeable copy.
    `known`: registered names; messages of other nodes are rejected.
    """

    def __init__(
        self, node_of: Callable[[str], Node], rules: Rules, outcome: Outcome, known: Container[str]
    ) -> None:
        self._node_of = node_of
        self._known = known
        self._rules = rules
        self._reorder_ms = round(rules.reorder_s * 1000)
        self._out = outcome
        self._lanes: dict[str, tuple[Topic, Node]] = {}

    def take(self, message: int, topic: str, payload: bytes, received_us: int) -> None:
        """Process a message; reject it if it cannot be used."""
        try:
            lane = self._lanes.get(topic)
            if lane is None:
                address = parse(topic)
                lane = self._lanes[topic] = address, self._known_node(address.node)
            address, node = lane
            birth = node.live.get(address.device)
            seen = None
            if birth is not None and not node.waiting_messages and address.kind in _DATA:
                seen = sparkplug_b.read_known_layout(payload, birth)
            if (
                seen is not None
                and seen.seq == node.next_seq
                and node.certain_ms <= seen.sent_ms <= (received_us + _AHEAD_US) // 1000
                and address.group == node.group
            ):
                # the usual case: a message in sequence, with a known layout
                node.next_seq = (seen.seq + 1) % SEQ
                node.certain_ms = seen.sent_ms
                self._out.given.append(Given(message, address.own, (seen.line,)))
            else:
                waiting_message = WaitingMessage("", topic, payload, received_us, message=message)
                self._take(node, waiting_message, address, sparkplug_b.decode(payload))
        except PayloadError as error:
            self._out.rejected.append(Rejected(message, error.reason, error.detail))

    def _known_node(self, name: str) -> Node:
        if name not in self._known:
            raise PayloadError(
                "unknown_device",
                f"edge node {name!r} is not in the registry; import it with `tonne registry "
                "import`",
            )
        return self._node_of(name)

    def _take(
        self, node: Node, waiting_message: WaitingMessage, address: Topic, message: Message
    ) -> None:
        if not node.online:
            node.group = address.group
        elif address.group != node.group:
            raise PayloadError(
                "node_twice",
                f"edge node {address.node!r} is online in group {node.group!r:.80} and "
                f"also publishes in {address.group!r:.80}; use a different name for each node",
            )
        if address.kind == "NDEATH":
            self._death(node, waiting_message, message)
            return
        if message.timestamp is None:
            raise PayloadError("time_missing", "sparkplug_b: the payload has no timestamp; send it")
        if message.timestamp * 1000 > waiting_message.received_us + _AHEAD_US:
            raise PayloadError(
                "time_future",
                f"sparkplug_b: sent at {message.timestamp} ms, more than 5 minutes ahead; set the"
                " node's clock",
            )
        if message.seq is None or message.seq >= SEQ:
            raise PayloadError("seq_invalid", f"sparkplug_b: seq is {message.seq}; send 0 to 255")
        if address.kind == "NBIRTH":
            self._node_birth(node, waiting_message, address, message)
        else:
            self._sequenced(node, waiting_message, address, message)

    def _death(self, node: Node, waiting_message: WaitingMessage, message: Message) -> None:
        """End the session of a will; the will of an earlier connection has no effect."""
        if node.next_seq is None:
            node.wanted_us = None
        elif message.whole(sparkplug_b.BD_SEQ) == node.bd_seq:
            node.end(waiting_message.received_us)

    def _node_birth(
        self, node: Node, waiting_message: WaitingMessage, address: Topic, message: Message
    ) -> None:
        sent_ms, seq = message.timestamp or 0, message.seq or 0
        birth = sparkplug_b.born(message, requested=node.wanted_us is not None)
        if sent_ms > node.born_ms:
            node.begin(
                address.group,
                birth,
                message.whole(sparkplug_b.BD_SEQ),
                seq,
                waiting_message.received_us,
            )
            node.changed_us = waiting_message.received_us
        elif not node.knows("", sent_ms):
            node.remember("", _past(birth))
        self._give(waiting_message, address, message, birth)
        self._look_back(node, lambda topic: topic.device == "" or topic.kind != "DDATA")
        self._drain(node)

    def _sequenced(
        self, node: Node, waiting_message: WaitingMessage, address: Topic, message: Message
    ) -> None:
        sent_ms, seq = message.timestamp or 0, message.seq or 0
        if node.next_seq is None or sent_ms < node.born_ms:
            if node.next_seq is None and address.kind != "DDEATH":
                node.wanted_us = waiting_message.received_us
            self._out_of_turn(node, waiting_message, address, message)
        elif seq == node.next_seq and sent_ms >= node.certain_ms - self._reorder_ms:
            node.advance(seq, sent_ms)
            try:
                self._in_turn(node, waiting_message, address, message)
            finally:
                self._drain(node)
        elif node.is_behind(seq, sent_ms):
            self._out_of_turn(node, waiting_message, address, message)
        else:
            self._hold(node, waiting_message._replace(seq=seq, sent_ms=sent_ms))

    def _in_turn(
        self, node: Node, waiting_message: WaitingMessage, address: Topic, message: Message
    ) -> None:
        if address.kind == "DBIRTH":
            birth = sparkplug_b.born(message, requested=node.live[""].requested)
            node.come(address.device, birth)
            self._give(waiting_message, address, message, birth)
            self._look_back(node, lambda topic: topic.device == address.device)
        elif address.kind == "DDEATH":
            node.mark_dead(address.device)
        else:
            known = node.live.get(address.device)
            if known is None:
                node.wanted_us = waiting_message.received_us
                raise PayloadError(
                    "birth_missing",
                    f"{address.own.split('/', 2)[2]!r:.140} has sent no birth certificate in this "
                    "session; a rebirth was requested; after it run `tonne deadletter replay`",
                )
            self._give(waiting_message, address, message, known)

    def _out_of_turn(
        self,
        node: Node,
        waiting_message: WaitingMessage,
        address: Topic,
        message: Message,
        *,
        waited: bool = False,
    ) -> None:
        """
        Decode a message out of sequence (late, repeated, or of an earlier session).

        It is decoded with the births before and after its time.
        """
        sent_ms = message.timestamp or 0
        if address.kind == "DBIRTH":
            birth = sparkplug_b.born(message)
            if not node.knows(address.device, sent_ms):
                node.remember(address.device, _past(birth))
            self._give(waiting_message, address, message, birth)
        elif address.kind != "DDEATH":
            birth = node.birth_at(address.device, sent_ms, message.used, answers=not waited)
            self._give(waiting_message, address, message, birth)

    def _give(
        self, waiting_message: WaitingMessage, address: Topic, message: Message, birth: Birth
    ) -> None:
        learnt = (
            waiting_message.payload
            if birth.certain_ms is None and address.kind[1:] == "DATA"
            else None
        )
        content = sparkplug_b.read(message, birth, learnt)
        declares = None
        if address.kind == "DBIRTH":
            declares = birth.called(tuple(tag.name for tag in birth.tags), ())
        if content.lines or content.refused or declares:
            k = self._out.place(waiting_message)
            self._out.given.append(Given(k, address.own, content.lines, content.refused, declares))

    def _hold(self, node: Node, waiting_message: WaitingMessage) -> None:
        name = sha256(waiting_message.topic.encode() + b"\0" + waiting_message.payload).hexdigest()
        if all(other.id != name for other in node.waiting_messages):
            node.waiting_messages.append(waiting_message._replace(id=name))
            if node.gap_us is None:
                node.gap_us = waiting_message.received_us
        if len(node.waiting_messages) > _MAX_WAITING:
            self._decide(node, node.waiting_messages[0])

    def _drain(self, node: Node) -> None:
        going = node.next_seq is not None
        while going and node.waiting_messages:
            going = False
            for waiting_message in list(node.waiting_messages):
                if waiting_message.seq == node.next_seq and waiting_message.sent_ms >= node.born_ms:
                    node.waiting_messages.remove(waiting_message)
                    node.advance(waiting_message.seq, waiting_message.sent_ms)
                    self._try(
                        waiting_message, partial(self._again, self._in_turn, node, waiting_message)
                    )
                    going = True
        waiting = [m.received_us for m in node.waiting_messages if m.sent_ms >= node.born_ms]
        node.gap_us = min(waiting) if waiting and node.next_seq is not None else None

    def _look_back(self, node: Node, about: Callable[[Topic], bool]) -> None:
        """Decide on waiting messages that were sent before the birth just received."""
        for waiting_message in list(node.waiting_messages):
            address = parse(waiting_message.topic)
            birth = node.live.get(address.device if address.kind == "DDATA" else "")
            if about(address) and birth is not None and waiting_message.sent_ms < birth.born_ms:
                self._decide(node, waiting_message)

    def _decide(self, node: Node, waiting_message: WaitingMessage) -> None:
        """Decode a waiting message with the births before and after it, or reject it."""
        if waiting_message in node.waiting_messages:
            node.waiting_messages.remove(waiting_message)
            late = partial(self._out_of_turn, waited=True)
            self._try(waiting_message, partial(self._again, late, node, waiting_message))

    def _again(
        self,
        do: Callable[[Node, WaitingMessage, Topic, Message], None],
        node: Node,
        waiting_message: WaitingMessage,
    ) -> None:
        do(
            node,
            waiting_message,
            parse(waiting_message.topic),
            sparkplug_b.decode(waiting_message.payload),
        )

    def _try(self, waiting_message: WaitingMessage, do: Callable[[], None]) -> None:
        try:
            do()
        except PayloadError as error:
            k = self._out.place(waiting_message)
            self._out.rejected.append(Rejected(k, error.reason, error.detail))

    def sweep(self, node: Node, now_us: int) -> None:
        """Request a rebirth after the first waiting time, and reject messages after the second."""
        overdue = node.gap_us is not None and now_us - node.gap_us >= self._rules.reorder_s * _S
        if overdue and (node.wanted_us is None or now_us - node.wanted_us > _ASK_AGAIN_US):
            node.wanted_us = now_us
        oldest_us = now_us - round((self._rules.reorder_s + self._rules.give_up_s) * _S)
        for waiting_message in [
            waiting for waiting in node.waiting_messages if waiting.received_us < oldest_us
        ]:
            self._decide(node, waiting_message)


def _past(birth: Birth) -> Birth:
    """Return a birth of an ended session, which is certain only for its own message."""
    return replace(birth, certain_ms=birth.born_ms)
