"""
Three brokers of Apache Kafka under load, with copies on all: stops, pauses and restarts.

It takes minutes of three Java processes: `make soak` runs it, or FAULT_ROUNDS=2 with the file's
name.
"""

import json
import os
import random
import re
import signal
import time

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.environment import KafkaAccess
from services.intake.topics import Topic, apply, dead
from services.stream.app import GROUP
from tests.apache_kafka import APACHE, WHY
from tests.bench.load import Publisher
from tests.faults.killing import check
from tests.integration import field
from tests.integration.kafka_path import Processes
from tests.running import open_session
from tests.soak import SOAK
from tests.waiting import until

from .kafka_cluster import Cluster
from .killing import figures, report, start
from .workers import PARTITIONS, PAUSE_S, TOPIC, Workers

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(7_200),
    pytest.mark.skipif(APACHE is None, reason=WHY),
    pytest.mark.skipif(not SOAK, reason="long: `make soak` runs it"),
]
LEAVES_S = 45  # of the 75 that Compose gives
CHANCE = random.Random(27)  # noqa: S311 (moments)


@pytest.fixture(scope="module")
def kafka_cluster(tmp_path_factory):
    """Yield three brokers."""
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def over_cluster(pipeline, kafka_cluster):
    """Yield the pipeline's servers with the three brokers, and topics on all of them."""
    pipeline.environment["TONNE_KAFKA_URL"] = kafka_cluster.url
    pipeline.tonne("topics", "apply", "--partitions", str(PARTITIONS), "--replication", "3")
    open_session(pipeline.urls.mqtt_url, "tonne-bridge")
    return pipeline


def leader_killed(cluster):
    """The leader of the first partition is killed, and restarted."""
    leader = cluster.leader(TOPIC)
    leader.kill()
    time.sleep(3)
    leader.start()


def coordinator_killed(cluster):
    """The coordinator of the workers' group is killed, and restarted."""
    coordinator = cluster.coordinator(GROUP)
    coordinator.kill()
    time.sleep(3)
    coordinator.start()


def leader_paused(cluster):
    """The leader is paused for longer than its session, and resumes as a follower."""
    leader = cluster.leader(TOPIC)
    os.kill(leader.pid, signal.SIGSTOP)
    time.sleep(25)
    os.kill(leader.pid, signal.SIGCONT)


def rolling_restart(cluster):
    """Every broker is stopped and started in turn, as in an update."""
    for broker in cluster.brokers:
        broker.restart()
        time.sleep(8)


def two_of_three(cluster):
    """Fewer copies are in sync than required."""
    for broker in cluster.brokers[:2]:
        broker.kill()
    time.sleep(20)
    cluster.start()


def all_three(cluster):
    """No broker answers."""
    for broker in cluster.brokers:
        broker.kill()
    time.sleep(20)
    cluster.start()


@pytest.mark.parametrize(
    "happens",
    [leader_killed, coordinator_killed, leader_paused, rolling_restart, two_of_three, all_three],
)
def test_nothing_is_lost_or_doubled(over_cluster, kafka_cluster, tmp_path, capsys, happens):
    """A broker that is updated on a Tuesday would cost readings, or count them twice."""
    names = field.fresh(40)
    over_cluster.register(field.registry(names))
    fleet = start(over_cluster, names)
    workers = Workers(over_cluster, tmp_path, CHANCE)
    with workers.running(2):
        until(lambda: workers.sharing(2), 120, workers.logs, PAUSE_S)
        began = time.monotonic()
        happens(kafka_cluster)
        away_s = time.monotonic() - began
        workers.recover()
        fleet.finish()
        workers.recover()
    check(over_cluster, fleet)
    told = [line for log in tmp_path.glob("*.log") for line in log.read_text().splitlines()]
    assert all(json.loads(line) for line in told if not line.startswith("tonne: "))
    assert not [line for line in told if "Traceback" in line]
    report(
        capsys,
        f"{happens.__name__} ({away_s:.0f} s): {figures(fleet)}, none lost, none doubled;"
        f" {workers.told()}; {len(told)} lines of log",
    )


# copies, how many of them must be in step, and what the log says
LACKS = {
    "leader": (1, 1, "partition 0 of topic"),
    "copies": (3, 3, "the partition has fewer copies in sync"),
}


@pytest.mark.parametrize("lack", LACKS)
def test_sigterm_ends_in_time_whatever_kafka_lacks(
    over_cluster, kafka_cluster, tmp_path, capsys, lack
):
    """Compose kills a stopping process after 75 s; until then the log must state the remedy."""
    copies, in_step, sentence = LACKS[lack]
    topic = f"parcels-{copies}"
    url = kafka_cluster.url
    for name, compact in ((topic, False), (dead(topic), True)):
        apply(KafkaAccess.of(url), Topic(name, 1, copies, 24, compact=compact))
    configs = {"min.insync.replicas": str(in_step)}
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs)
    kafka_cluster.administer(lambda admin: admin.alter_configs([resource]))
    (name,) = field.fresh(1)
    over_cluster.register(field.registry([name]))
    urls = over_cluster.urls
    processes = Processes(tmp_path, urls.database_url, urls.mqtt_url, url, topic)
    started = [
        processes.start("worker", "--session", "6"),
        processes.start("bridge", "--client-id", f"bridge-{lack}"),
    ]
    until(lambda: "receiving" in processes.log_of(started[1]), 60, processes.logs, 0.2)
    until(lambda: "working" in processes.log_of(started[0]), 60, processes.logs, 0.2)
    leader = kafka_cluster.leader(topic)
    gone = leader if lack == "leader" else next(b for b in kafka_cluster.brokers if b is not leader)
    gone.kill()
    try:
        publisher = Publisher(over_cluster.stack.mosquitto.port)
        publisher.send([(field.topic(name), field.payload(0))])
        publisher.close()
        held = started if lack == "leader" else started[1:]  # reading needs no copies in step
        for process in held:
            until(
                lambda p=process: re.search(sentence, processes.log_of(p)), 120, processes.logs, 0.5
            )
        took = []
        for process in started:
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(75) in {0, 3}, processes.logs()
            took.append(round(time.monotonic() - began, 1))
    finally:
        for process in started:
            process.kill()
            process.wait()
        gone.start()
    assert max(took) < LEAVES_S, took
    assert "Traceback" not in processes.logs()
    report(capsys, f"without {lack}: worker and bridge ended within {took} s of SIGTERM")
