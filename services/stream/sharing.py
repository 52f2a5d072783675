"""
How the workers' group shares the topic's partitions, and how to have it share them anew.

Kafka gives the topic to one member, the leader, to share.  A leader that was started again
under its name (`--instance`) is let in without a word that it is the leader, and looks at the
number of partitions no more; a member that only asks to be let in again gets what it had.
So the leader writes with each share over how many partitions it is, each worker compares
that with what Kafka shows, and one that sees more joins with a mark that it did not have
before: by that Kafka has the group share anew, anyone who was started again.
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_bytes
from typing import Any

from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

_MARK = 8


class Sharing(RoundRobinPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """
    Kafka's round robin, by which older workers share too, with the number of partitions beside.

    Attributes
    ----------
    covered : int or None
        Over how many partitions our own share was made; None before the first, or where an
        older worker made it.
    untold : bool
        Whether an older worker made it.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._mark = b""
        self._join: Callable[[], object] = lambda: None
        self.covered: int | None = None
        self.untold = False

    def joined_by(self, join: Callable[[], object]) -> None:
        """Take note of how we join the group again."""
        self._join = join

    def anew(self) -> None:
        """Have the group share anew."""
        self._mark = token_bytes(_MARK)
        self._join()

    def metadata(self, topics: Any) -> Any:
        """Return what we join with."""
        return ConsumerProtocolMemberMetadata(self.version, list(topics), self._mark)

    def assign(self, cluster: Any, members: Any) -> dict[str, Any]:
        """Share, as the leader."""
        count = len(cluster.partitions_for_topic(self._topic) or ())
        shares = super().assign(cluster, members)
        return {
            member: ConsumerProtocolMemberAssignment(
                self.version, share.assignment, str(count).encode()
            )
            for member, share in shares.items()
        }

    def on_assignment(self, assignment: Any) -> None:
        """Take note of our share."""
        told = assignment.user_data or b""
        self.covered = int(told) if told.isdigit() else None
        self.untold = self.covered is None
