"""
The Kafka topic of readings: created and checked by tonne, never with a broker's defaults.

The number of partitions determines each device's partition, so a broker must not choose it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import CreateAclsRequest

from ingest.errors import InputError, ServerError
from services.environment import KafkaAccess
from services.intake.kafka_client import (
    LARGEST,
    Reasons,
    client_options,
    run_once,
    unreachable,
    words,
)

TOPIC = "tonne-parcels"
DEAD = "-dead"
_HOUR_MS = 3_600_000
_TIMEOUT_MS = 10_000
# number of checks, and pause between them, until brokers know a new topic
_LOOKS, _PAUSE_S = 200, 0.05
_ASK_MS = 5_000  # a stopping process waits at most this long for the answer
_OF_TOPIC = 1  # Kafka's number for settings of the topic itself


@dataclass(frozen=True, slots=True)
class Topic:
    """
    Specification of a topic: partitions, replicas, retention.

    `compact`: Kafka keeps only the last record of each key, so that a dead letter written twice is
    kept once.  Records of readings have no key, and all are kept.
    """

    name: str
    partitions: int
    replication: int
    retention_hours: int
    compact: bool = False

    @property
    def configs(self) -> dict[str, str]:
        """
        Return the topic's settings by Kafka's names.

        A record is acknowledged once all copies except one have it.  An outdated copy never becomes
        the leader, as acknowledged records would be lost.
        """
        return {
            "retention.ms": str(self.retention_hours * _HOUR_MS),
            "cleanup.policy": "compact,delete" if self.compact else "delete",
            "min.insync.replicas": str(max(1, self.replication - 1)),
            "unclean.leader.election.enable": "false",
            "max.message.bytes": str(LARGEST),
        }


@dataclass(frozen=True, slots=True)
class Setting:
    """Setting of a topic, and whether it was set for this topic."""

    value: str
    own: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Wrong setting of a topic, and how to change it."""

    topic: str
    setting: str
    present: str
    wanted: str
    how: str
    alterable: bool = False

    def __str__(self) -> str:
        return (
            f"topic {self.topic!r} has {self.setting} {self.present}, not {self.wanted}; {self.how}"
        )


def dead(topic: str) -> str:
    """Return the name of a topic's dead-letter topic."""
    return topic + DEAD


def apply(access: KafkaAccess, wanted: Topic) -> bool:
    """
    Create a topic, or check an existing one; return whether it was created.

    Raises InputError when it differs from the specification, or needs more brokers than exist.
    Raises ServerError when the broker cannot be reached or refuses.
    """
    made, remaining = settle(access, wanted)
    if remaining:
        raise InputError("\n".join(map(str, remaining)))
    return made


def settle(
    access: KafkaAccess, wanted: Topic, *, alter: bool = False
) -> tuple[bool, list[Difference]]:
    """
    Create a topic, or compare the existing one and change it if requested.

    Returns: whether it was created now; remaining differences.
    """
    return run_once(_settle(access, wanted, alter=alter))


def brokers(access: KafkaAccess) -> int:
    """Return the number of brokers in the cluster."""
    return run_once(_brokers(access))


def partitions(access: KafkaAccess, name: str) -> int:
    """
    Return the number of partitions of a topic.

    Raises InputError when there is no such topic.
    Raises ServerError when the broker cannot be reached.
    """
    return run_once(_partitions(access, name))


@asynccontextmanager
async def administering(
    access: KafkaAccess, timeout_ms: int = _TIMEOUT_MS, *, doing: str = "do this"
) -> AsyncIterator[Any]:
    """
    Yield a client that may query and change the cluster.

    `doing`: the operation, for the error text of a refusal.
    Raises ServerError when no broker can be reached, or one refuses.
    """
    client = AIOKafkaAdminClient(**client_options(access), request_timeout_ms=timeout_ms)
    with Reasons(access) as reasons:
        try:
            await client.start()
            yield client
        except (KafkaError, OSError) as error:
            raise unreachable(access, reasons.of(error), doing) from error
        finally:
            await client.close()


async def _settle(
    access: KafkaAccess, wanted: Topic, *, alter: bool
) -> tuple[bool, list[Difference]]:
    doing = f"make or change topic {wanted.name!r}"
    async with administering(access, doing=doing) as admin:
        there = wanted.name in await admin.list_topics()
        result = await _describe(admin, wanted.name) if there else []
        count = len((await admin.describe_cluster())["brokers"])
        if wanted.replication > count and not result:
            raise InputError(
                f"topic {wanted.name!r} requires {wanted.replication} copies, but the cluster "
                f"has {count} brokers; set --replication to at most that number"
            )
        if not there:
            await _make(admin, wanted)
            return True, []
        configs = await _configs(admin, wanted.name)
        remaining = differences(wanted, result, configs)
        if alter and any(difference.alterable for difference in remaining):
            await _alter(admin, wanted, result, configs)
            remaining = [difference for difference in remaining if not difference.alterable]
        return False, remaining


async def _make(admin: Any, wanted: Topic) -> None:
    new = NewTopic(wanted.name, wanted.partitions, wanted.replication, topic_configs=wanted.configs)
    answer = await admin.create_topics([new])
    for name, code, *message in answer.topic_errors:
        if code:
            why = words(for_code(code)(*message), f"make topic {name!r}")
            raise ServerError(f"topic {name!r} could not be created: {why}")
    await _wait_for_topic(admin, wanted.name)


async def _wait_for_topic(admin: Any, name: str) -> None:
    """Wait until a broker knows a topic, after the controller has created it."""
    for _ in range(_LOOKS):
        if name in await admin.list_topics():
            return
        await asyncio.sleep(_PAUSE_S)


async def _alter(
    admin: Any, wanted: Topic, result: list[dict[str, Any]], configs: dict[str, Setting]
) -> None:
    """Add partitions, and change settings; other settings of the topic stay."""
    if len(result) < wanted.partitions:
        await admin.create_partitions({wanted.name: NewPartitions(wanted.partitions)})
    own = {key: setting.value for key, setting in configs.items() if setting.own}
    resource = ConfigResource(ConfigResourceType.TOPIC, wanted.name, {**own, **wanted.configs})
    for answer in await admin.alter_configs([resource]):
        for code, message, *_ in answer.resources:
            if code:
                error = for_code(code)(message)
                why = words(error, f"change settings of topic {wanted.name!r}")
                raise ServerError(f"settings of topic {wanted.name!r} could not be changed: {why}")


async def _brokers(access: KafkaAccess) -> int:
    async with administering(access) as admin:
        return len((await admin.describe_cluster())["brokers"])


async def _partitions(access: KafkaAccess, name: str) -> int:
    async with administering(access, _ASK_MS, doing=f"look at topic {name!r}") as admin:
        # a query by name would create the topic on a broker that creates topics automatically
        if name not in await admin.list_topics():
            known = access.user is not None or access.tls.cert is not None
            unseen = (
                "; or give tonne's Kafka user access to it: `tonne topics access`" if known else ""
            )
            raise InputError(
                f"Kafka has no topic {name!r}; create it with `tonne topics apply`{unseen}"
            )
        return len(await _describe(admin, name))


async def _describe(admin: Any, name: str) -> list[dict[str, Any]]:
    (result,) = await admin.describe_topics([name])
    partitions: list[dict[str, Any]] = result["partitions"]
    return partitions


async def _configs(admin: Any, name: str) -> dict[str, Setting]:
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    (answer,) = await admin.describe_configs([resource])
    return {
        entry[0]: Setting(entry[1], own=_is_own(entry[3]))
        for *_, entries in answer.resources
        for entry in entries
    }


def _is_own(source: bool | int) -> bool:
    """Return whether a value was set for the topic: version 0 has `is_default`, later a source."""
    return not source if isinstance(source, bool) else source == _OF_TOPIC


def differences(
    wanted: Topic, result: list[dict[str, Any]], configs: dict[str, Setting]
) -> list[Difference]:
    """Return the differences of a topic; settings that a broker omits are not compared."""
    out = []
    if len(result) != wanted.partitions:
        more = len(result) < wanted.partitions
        how = (
            "a change moves devices between partitions; docs/scaling.md has the procedure"
            if more
            else "the number of partitions cannot be reduced"
        )
        out.append(
            _difference(wanted, "partitions", len(result), wanted.partitions, how, alterable=more)
        )
    copies = min(len(partition["replicas"]) for partition in result)
    if copies < wanted.replication:
        how = "add them with kafka-reassign-partitions"
        out.append(_difference(wanted, "copies", copies, wanted.replication, how))
    for key, value in wanted.configs.items():
        has = configs.get(key)
        if has is not None and not _does(key, has.value, value):
            how = "pass the topic's value, or change the topic with --alter"
            out.append(_difference(wanted, key, has.value, value, how, alterable=True))
    return out


def _does(key: str, has: str, wanted: str) -> bool:
    """Return whether a setting's value is sufficient: a larger record limit is accepted."""
    return int(has) >= int(wanted) if key == "max.message.bytes" else has == wanted


def _difference(
    wanted: Topic, what: str, result: object, value: object, how: str, *, alterable: bool = False
) -> Difference:
    return Difference(wanted.name, what, str(result), str(value), how, alterable)


# Kafka's numbers of resource types
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

    `bridge`, `worker`, `admin`: user names; with certificates the whole subject, `CN=bridge,O=..`.
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
    # for `tonne doctor`, replays, and dead letters that are sent again
    grants += [Grant(admin, operation, "topic", topic) for operation in ("Read", "Write")]
    grants.append(Grant(admin, "Describe", "group", group))
    return grants


def grant(access: KafkaAccess, grants: Iterable[Grant]) -> None:
    """
    Set access rights; existing ones stay.

    Raises ServerError when Kafka cannot be reached, or refuses: this needs the right to alter the
    cluster.
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
                        f"Kafka rejected the access rule that lets user {item.user!r}"
                        f" {item.operation} {item.resource} {item.name!r}: {why}; run this"
                        " command as a Kafka user with the right to alter the cluster"
                    )
