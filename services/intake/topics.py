"""
The Kafka topic of parcels: made and checked by us, never by a broker's default.

A broker that makes topics when asked for them would pick a number of partitions
of its own, and what a device's partition is would depend on who came first.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, for_code

from ingest.errors import InputError, ServerError
from services.settings import kafka_servers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOPIC = "tonne-parcels"
DEAD = "-dead"
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Topic:
    """
    What a topic should be: partitions, copies, how long records are kept.

    `compact` keeps of records with one key the last: of a dead letter one copy.
    Parcels have no key, and every one of them counts.
    """

    name: str
    partitions: int
    replication: int
    retention_hours: int
    compact: bool = False

    @property
    def configs(self) -> dict[str, str]:
        """Topic settings by Kafka's names."""
        return {
            "retention.ms": str(self.retention_hours * _HOUR_MS),
            "cleanup.policy": "compact,delete" if self.compact else "delete",
        }


def dead(topic: str) -> str:
    """Return the name of a topic's dead-letter topic."""
    return topic + DEAD


def bootstrap(url: str) -> list[str]:
    """Return `host:port` of each broker that a `kafka://` URL names."""
    return [
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in kafka_servers(url)
    ]


def apply(url: str, wanted: Topic) -> bool:
    """
    Make a topic, or check the one that is there.

    Returns
    -------
    bool
        Whether it was made now.

    Raises
    ------
    InputError
        When it is there and is not as wanted.
    ServerError
        When the broker cannot be reached or refuses.
    """
    return asyncio.run(_apply(url, wanted))


def partitions(url: str, name: str) -> int:
    """
    Return the number of partitions of a topic.

    Raises
    ------
    InputError
        When there is no such topic.
    ServerError
        When the broker cannot be reached.
    """
    return asyncio.run(_partitions(url, name))


def unreachable(url: str, error: BaseException) -> ServerError:
    """Return the error of a broker that cannot be reached, or refuses, with what to do."""
    asked = ", ".join(bootstrap(url))
    if isinstance(error, KafkaConnectionError):
        told = "no Kafka broker answers"  # its own text lists sockets
    else:
        told = " ".join(str(error).split())
    return ServerError(
        f"Kafka {asked}: {told}; check TONNE_KAFKA_URL, "
        "or start a broker with `tonne local up --kafka`"
    )


@asynccontextmanager
async def _admin(url: str) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap(url))
    try:
        await client.start()
        yield client
    except (KafkaError, OSError) as error:
        raise unreachable(url, error) from error
    finally:
        await client.close()


async def _apply(url: str, wanted: Topic) -> bool:
    async with _admin(url) as admin:
        if wanted.name not in await admin.list_topics():
            new = NewTopic(
                wanted.name, wanted.partitions, wanted.replication, topic_configs=wanted.configs
            )
            answer = await admin.create_topics([new])
            for name, code, *told in answer.topic_errors:
                if code:
                    raise ServerError(f"Kafka refuses topic {name!r}: {for_code(code)(*told)}")
            return True
        _check(wanted, await _describe(admin, wanted.name), await _configs(admin, wanted.name))
        return False


async def _partitions(url: str, name: str) -> int:
    async with _admin(url) as admin:
        # asking for a topic by name would make it on a broker that makes topics by itself
        if name not in await admin.list_topics():
            raise InputError(f"Kafka has no topic {name!r}; make it with `tonne topics apply`")
        return len(await _describe(admin, name))


async def _describe(admin: Any, name: str) -> list[dict[str, Any]]:
    (found,) = await admin.describe_topics([name])
    partitions: list[dict[str, Any]] = found["partitions"]
    return partitions


async def _configs(admin: Any, name: str) -> dict[str, str]:
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    (answer,) = await admin.describe_configs([resource])
    return {entry[0]: entry[1] for *_, entries in answer.resources for entry in entries}


def _check(wanted: Topic, found: list[dict[str, Any]], configs: dict[str, str]) -> None:
    if len(found) != wanted.partitions:
        raise InputError(
            f"topic {wanted.name!r} has {len(found)} partitions, not {wanted.partitions}: a change "
            "moves devices between partitions; docs/scaling.md says how to do it"
        )
    copies = min(len(partition["replicas"]) for partition in found)
    if copies < wanted.replication:
        raise InputError(
            f"topic {wanted.name!r} has {copies} copies, not {wanted.replication}; "
            "add them with kafka-reassign-partitions"
        )
    for key, value in wanted.configs.items():
        if configs.get(key, value) != value:
            raise InputError(
                f"topic {wanted.name!r} has {key}={configs[key]}, not {value}; "
                "ask for that, or change it with kafka-configs"
            )
