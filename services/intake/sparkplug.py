"""
Sparkplug host of a process: cached state of edge nodes, stored in the database.

Changes of a batch are made in copies, written in the transaction of the readings, and adopted after
the commit; after a failure the batch can be processed again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Protocol

from psycopg import Connection, Cursor

from ingest.model import Fleet
from ingest.mqtt import Router
from ingest.pipeline.admit import Admitted, admit
from ingest.reading import Given
from ingest.sparkplug import PREFIX, Host, Node, Outcome, Rules, command, rebirth
from services.settings import Settings
from services.store import principal_status as stored
from services.store.dead_letter_write import Letters

REBIRTH_S = 30.0


class Messages(Protocol):
    """Messages as columns, as in an `Inbox` or a `Parcel`."""

    topics: list[str]
    payloads: list[bytes]
    content_types: list[str | None]
    repeated: list[bool]
    received_us: int

    def __len__(self) -> int:
        """Return the number of messages."""


class SparkplugNodes:
    """
    Cached edge nodes of a process.

    `rebirth_s`: minimum time between two rebirth requests to a node. [s]
    """

    def __init__(self, rules: Rules, rebirth_s: float = REBIRTH_S) -> None:
        self.rules = rules
        self._rebirth_s = rebirth_s
        self._nodes: dict[str, Node] | None = None

    def start_empty(self) -> None:
        """Start without any node, as all later messages will be received."""
        self._nodes = {}

    def forget(self) -> None:
        """Discard the cached state, as another process may have written."""
        self._nodes = None

    def load(self, connection: Connection) -> dict[str, Node]:
        """Return all edge nodes by name, loaded from the database if not cached."""
        if self._nodes is None:
            self._nodes = stored.load(connection)
        return self._nodes

    def waiting(self, connection: Connection, now_us: int) -> list[str]:
        """Return the nodes with a message that has waited too long."""
        due_us = now_us - round(self.rules.reorder_s * 1e6)
        return [
            name
            for name, node in self.load(connection).items()
            if any(
                waiting_message.received_us <= due_us for waiting_message in node.waiting_messages
            )
        ]

    def commands(self, connection: Connection) -> list[tuple[str, bytes]]:
        """Return topic and payload of each rebirth request to publish now."""
        if any(node.wanted_us is not None for node in self.load(connection).values()):
            return claimed(connection, self._rebirth_s)
        return []


def sparkplug_nodes(settings: Settings) -> SparkplugNodes:
    """Return the node cache of a process by its settings, not loaded yet."""
    return SparkplugNodes(Rules(settings.sparkplug_reorder_s), settings.sparkplug_rebirth_s)


def claimed(connection: Connection, rebirth_s: float) -> list[tuple[str, bytes]]:
    """Reserve due rebirth requests and return them: topic and payload."""
    return [
        (command(group, node), rebirth()) for group, node in stored.claim(connection, rebirth_s)
    ]


def of_nodes(topics: Sequence[str]) -> list[int]:
    """Return the indices of Sparkplug messages in `topics`."""
    return [k for k, topic in enumerate(topics) if topic.startswith(PREFIX)]


class Turn:
    """Processing of one batch's Sparkplug messages: the nodes' state before it, and its changes."""

    def __init__(self, nodes: SparkplugNodes, connection: Connection) -> None:
        self._rules = nodes.rules
        self._known = nodes.load(connection)
        self._changed: dict[str, Node] = {}
        self.outcome = Outcome(0)

    def _node(self, name: str) -> Node:
        node = self._changed.get(name)
        if node is None:
            before = self._known.get(name)
            node = Node(name) if before is None else before.copy()
            self._changed[name] = node
        return node

    def begin(self) -> None:
        """Discard the changes, so that the same messages can be processed again."""
        self._changed.clear()
        self.outcome = Outcome(0)

    def decode_again(self, fleet: Fleet, inbox: Messages, messages: Sequence[int]) -> list[Given]:
        """Return a batch's decoded Sparkplug messages; earlier changes are discarded first."""
        self.begin()
        return self.read(fleet, inbox, messages)

    def _settle(self) -> None:
        """Remove the messages from the waiting entries, as their batch is complete."""
        for node in self._changed.values():
            node.waiting_messages = [
                waiting_message._replace(message=None) for waiting_message in node.waiting_messages
            ]

    @property
    def names(self) -> list[str]:
        """Return the nodes used in the turn."""
        return list(self._changed)

    def read(self, fleet: Fleet, inbox: Messages, messages: Sequence[int]) -> list[Given]:
        """
        Return the decoded Sparkplug messages of a batch, after those already in the turn.

        `fleet`: messages of nodes outside it are refused.
        `messages`: their positions in the batch.
        """
        self._settle()
        self.outcome = Outcome(len(inbox))
        host = Host(self._node, self._rules, self.outcome, fleet.by_id)
        for k in messages:
            host.take(k, inbox.topics[k], inbox.payloads[k], inbox.received_us)
        return self.outcome.given

    def sweep(self, names: Collection[str], now_us: int) -> None:
        """Accept or refuse the messages that have waited too long at these nodes."""
        host = Host(self._node, self._rules, self.outcome, names)
        for name in names:
            host.sweep(self._node(name), now_us)

    def admit_released(self, router: Router, now_us: int) -> Admitted:
        """Return the readings accepted by `sweep`."""
        released = self.outcome.released
        admitted = admit(
            router.fleet,
            router.route,
            [waiting_message.topic for waiting_message in released],
            [waiting_message.payload for waiting_message in released],
            [None] * len(released),
            now_us,
            self.outcome.given,
        )
        admitted.rejected.extend(self.outcome.rejected)
        return admitted

    def letters(self, inbox: Messages) -> Letters:
        """Return the batch's messages, followed by those released from waiting."""
        released = self.outcome.released
        if not released:
            return Letters(
                inbox.topics, inbox.payloads, inbox.content_types, inbox.repeated, inbox.received_us
            )
        return Letters(
            [*inbox.topics, *(waiting_message.topic for waiting_message in released)],
            [*inbox.payloads, *(waiting_message.payload for waiting_message in released)],
            [*inbox.content_types, *(None for _ in released)],
            [*inbox.repeated, *(False for _ in released)],
            [
                *(inbox.received_us for _ in range(len(inbox))),
                *(waiting_message.received_us for waiting_message in released),
            ],
        )

    def write(self, cursor: Cursor) -> None:
        """Write changed state in the transaction of the readings."""
        if self._changed:
            pairs = [(self._known.get(name, Node(name)), n) for name, n in self._changed.items()]
            stored.write(cursor, pairs)

    def keep(self) -> None:
        """Adopt changed state after the commit."""
        if self._changed:
            self._settle()
            for name, node in self._changed.items():
                self._known[name] = replace(node, rewritten=set())
