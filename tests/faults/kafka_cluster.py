"""
Three brokers of Apache Kafka, each its own controller, which tests
stop, pause and disconnect.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from services.environment import KafkaAccess
from services.intake.kafka_client import run_once
from services.intake.topics import administering
from services.local import LOOPBACK
from services.local.brokers import ApacheKafka
from tests.apache_kafka import APACHE
from tests.ports import free_port

COUNT = 3


class Broker(ApacheKafka):
    """One of the three brokers."""

    def __init__(self, home: Path, node: int, controllers: list[int], port: int) -> None:
        assert APACHE is not None
        super().__init__(home, APACHE)
        home.mkdir(parents=True)
        (home / "kafka.port").write_text(str(port))
        self._node, self._controllers = node, controllers

    def settings(self, port: int) -> str:
        """Return the contents of `server.properties`."""
        own = self._controllers[self._node - 1]
        voters = ",".join(
            f"{k}@{LOOPBACK}:{controller}" for k, controller in enumerate(self._controllers, 1)
        )
        changed = {
            "node.id": str(self._node), "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{own}",
            "offsets.topic.replication.factor": "3", "transaction.state.log.min.isr": "2",
            "transaction.state.log.replication.factor": "3", "min.insync.replicas": "2",
            "default.replication.factor": "3",
        }  # fmt: skip
        lines = dict(line.split("=", 1) for line in super().settings(port).splitlines())
        return "".join(f"{key}={value}\n" for key, value in (lines | changed).items())


class Cluster:
    """Three brokers, started together, since a quorum is two."""

    def __init__(self, folder: Path) -> None:
        controllers = [free_port() for _ in range(COUNT)]
        self.brokers = [
            Broker(folder / f"kafka-{node}", node, controllers, free_port())
            for node in range(1, COUNT + 1)
        ]

    @property
    def url(self) -> str:
        """Return the URL with all three brokers, since one may be down."""
        return "kafka://" + ",".join(f"{LOOPBACK}:{one.port}" for one in self.brokers)

    @property
    def pid(self) -> int | None:
        """Return the process id of a running broker, or None."""
        return next((one.pid for one in self.brokers if one.pid), None)

    def start(self) -> None:
        """Start the brokers that do not run, at the same time."""
        with ThreadPoolExecutor(COUNT) as threads:
            list(threads.map(ApacheKafka.start, self.brokers))

    def administer(self, work: Callable[[Any], Awaitable[object]]) -> None:
        """Run an operation with an administrator's client."""

        async def done() -> None:
            async with administering(KafkaAccess.of(self.url)) as admin:
                await work(admin)

        run_once(done())

    def leader(self, topic: str) -> Broker:
        """Return the broker that leads the topic's first partition."""
        return self.brokers[run_once(self._leader(topic)) - 1]

    def coordinator(self, group: str) -> Broker:
        """Return the broker that coordinates a group."""
        return self.brokers[run_once(self._coordinator(group)) - 1]

    async def _coordinator(self, group: str) -> int:
        async with administering(KafkaAccess.of(self.url)) as admin:
            return int(await admin.find_coordinator(group))

    async def _leader(self, topic: str) -> int:
        async with administering(KafkaAccess.of(self.url)) as admin:
            (found,) = await admin.describe_topics([topic])
        return int(min(found["partitions"], key=lambda one: one["partition"])["leader"])

    def stop(self) -> None:
        """Stop all brokers; paused ones are resumed first."""
        for one in self.brokers:
            if one.pid is not None:
                os.kill(one.pid, signal.SIGCONT)
        for one in self.brokers:
            one.kill()
