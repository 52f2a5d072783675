"""What makes batches durable: the database, or Kafka; the receiver knows only this of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.model import Fleet
    from ingest.mqtt.inbox import Inbox
    from ingest.reading import Reading
    from services.store.messages.principal_status import Said


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that is durable, and what receipts say of it."""

    inbox: Inbox
    fleet: Fleet
    seen: list[tuple[int, Sequence[Reading]]]


class Sink(Protocol):
    """Where batches become durable."""

    def open(self) -> None:
        """Reach the servers, or raise ServerError."""

    @property
    def fleet(self) -> Fleet:
        """The fleet of the registry version in use."""

    def store(self, inbox: Inbox) -> Done:
        """Make a batch durable, however long it takes; GaveUpError when stopped meanwhile."""

    def look(self) -> None:
        """Look for a new registry version while no message comes."""

    def hear(self, said: list[Said]) -> None:
        """Note what principals say of themselves."""

    def commands(self) -> list[tuple[str, bytes]]:
        """Return what devices are to be told now: topics and payloads."""

    def close(self) -> None:
        """Let go of the servers."""
