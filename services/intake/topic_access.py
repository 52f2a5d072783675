"""
Kafka access rights of each user: bridge, worker, administrator.

Only the bridge's user may write the topic, as its records count as accepted readings of any device.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest

from ingest.errors import ServerError
from services.intake.kafka_client import run_once, words
from services.intake.topics import administering, dead
from services.kafka_access import KafkaAccess

# Kafka's own numbers of them
RESOURCES = {"topic": 2, "group": 3}
OPERATIONS = {
    "Read": 3, "Write": 4, "Create": 5, "Alter": 7, "Describe": 8, "DescribeConfigs": 10,
    "AlterConfigs": 11,
}  # fmt: skip
_LITERAL, _ALLOW, _ANY_HOST = 3, 3, "*"


@dataclass(frozen=True, slots=True)
class Grant:
    """Access right of one Kafka user."""

    user: str
    operation: str
    resource: str
    name: str

    @property
    def command(self) -> str:
        """Return the equivalent `kafka-acls.sh` command."""
        return (
            f"kafka-acls.sh --add --allow-principal 'User:{self.user}'"
            f" --operation {self.operation} --{self.resource} '{self.name}'"
        )


def needed(topic: str, group: str, bridge: str, worker: str, admin: str) -> list[Grant]:
    """
    Return the access rights that the three users need.

    Parameters
    ----------
    bridge, worker, admin : str
        User names; with certificates the whole subject, `CN=bridge,O=..`.
    """
    spoiled = dead(topic)
    grants = [Grant(bridge, operation, "topic", topic) for operation in ("Write", "Describe")]
    grants += [Grant(worker, operation, "topic", topic) for operation in ("Read", "Describe")]
    grants += [Grant(worker, operation, "topic", spoiled) for operation in ("Write", "Describe")]
    grants.append(Grant(worker, "Read", "group", group))
    administers = ("Create", "Describe", "DescribeConfigs", "Alter", "AlterConfigs")
    grants += [
        Grant(admin, administer, "topic", name)
        for name in (topic, spoiled)
        for administer in administers
    ]
    # `tonne doctor`, a replay, and dead letters that are sent again
    grants += [Grant(admin, operation, "topic", topic) for operation in ("Read", "Write")]
    grants.append(Grant(admin, "Describe", "group", group))
    return grants


def grant(access: KafkaAccess, grants: Iterable[Grant]) -> None:
    """
    Set access rights; existing ones stay.

    Raises
    ------
    ServerError
        When Kafka cannot be reached, or refuses: this needs the right to alter the cluster.
    """
    run_once(_grant(access, grants))


async def _grant(access: KafkaAccess, grants: Iterable[Grant]) -> None:
    async with administering(access) as admin:
        for item in grants:
            request = CreateAclsRequest(
                RESOURCES[item.resource],
                item.name,
                _LITERAL,
                f"User:{item.user}",
                _ANY_HOST,
                OPERATIONS[item.operation],
                _ALLOW,
            )
            answer = await admin._send_request(request)  # noqa: SLF001 (no other way is offered)
            for code, message in answer.creation_responses:
                if code:
                    why = message or words(for_code(code)())
                    raise ServerError(
                        f"Kafka does not let {item.user!r} {item.operation} {item.resource}"
                        f" {item.name!r}: {why}; run this as a user who may alter the cluster"
                    )
