"""
Workers under load are killed, paused and disconnected: no reading is lost or counted twice.

FAULT_ROUNDS multiplies the number of faults; 17 kills workers fifty times.
"""

import random
import signal
import time

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.intake.kafka_client import run_once
from tests.faults.killing import DEVICES, Fleet, check
from tests.integration import field
from tests.integration.kafka_path import put, servers, wait_until
from tests.running import open_session
from tests.soak import ROUNDS, often

from .killing import figures, report, start
from .workers import PARTITIONS, PAUSE_S, SESSION_S, TOPIC, Workers

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7_200)]
CHANCE = random.Random(21)  # noqa: S311 (moments to kill at)


@pytest.fixture(scope="module")
def over_kafka(pipeline, run_kafka):
    """Yield the pipeline's servers with the run's Kafka, and topics of this test only."""
    pipeline.environment["TONNE_KAFKA_URL"] = run_kafka.url
    pipeline.tonne("topics", "apply", "--partitions", str(PARTITIONS))
    open_session(pipeline.urls.mqtt_url, "tonne-bridge")
    return pipeline


@pytest.fixture
def workers(over_kafka, tmp_path):
    """Yield workers, not started yet, on those servers."""
    return Workers(over_kafka, tmp_path, CHANCE)


@pytest.fixture
def fleet(over_kafka) -> Fleet:
    """Yield devices that send."""
    names = field.fresh(DEVICES)
    over_kafka.register(field.registry(names))
    return start(over_kafka, names)


def finish(workers: Workers, fleet: Fleet) -> None:
    """Let the devices finish, and wait until the workers have stored everything."""
    fleet.finish()
    workers.recover()
    workers.pipeline.derived()


def test_kill_of_workers(workers, fleet, capsys):
    """A worker that dies in the middle of a commit would cost readings, or count them twice."""
    kills = often(1, 3)
    with workers.running(2):
        wait_until(lambda: workers.sharing(2), 180, workers.logs, PAUSE_S)
        for _ in range(kills):
            time.sleep(CHANCE.uniform(0.1, 2.0))
            workers.kill()
        finish(workers, fleet)
    check(workers.pipeline, fleet)
    report(
        capsys,
        f"workers killed {kills} times, {figures(fleet)}, none lost, none doubled;"
        f" {workers.told()}",
    )


def test_a_worker_that_was_thought_dead_wakes_up(workers, fleet, capsys):
    """A resumed worker would overwrite its successor's rows from an outdated register state."""
    pauses = max(1, int(ROUNDS / 2))
    with workers.running(2):
        for k in range(pauses):
            # the local broker does not let a worker in while the only other one sleeps
            wait_until(lambda: workers.sharing(2), 180, workers.logs, PAUSE_S)
            sleeper = workers.pause(storing=k % 2 == 1)
            time.sleep(2 * SESSION_S)  # the others take its partitions
            workers.recover()
            sleeper.send_signal(signal.SIGCONT)
            time.sleep(CHANCE.uniform(1, 4))
            workers.restart_dead()
        finish(workers, fleet)
    check(workers.pipeline, fleet)
    report(
        capsys,
        f"workers paused past their session {pauses} times, {pauses // 2} of them while storing"
        f" ({workers.ended_by_themselves} ended by themselves), {figures(fleet)}, none lost,"
        f" none doubled; {workers.told()}",
    )


def test_kill_of_the_database_under_workers(workers, fleet, capsys):
    """A commit whose answer was lost must not be repeated."""
    kills = max(1, int(ROUNDS))
    with workers.running(2):
        wait_until(lambda: workers.sharing(2), 180, workers.logs, PAUSE_S)
        for _ in range(kills):
            time.sleep(CHANCE.uniform(0.5, 2.5))
            workers.pipeline.stack.postgres.kill()
            workers.pipeline.stack.postgres.start()
            workers.recover()
        finish(workers, fleet)
    check(workers.pipeline, fleet)
    report(
        capsys,
        f"PostgreSQL killed {kills} times under workers, {figures(fleet)}, none lost, none doubled;"
        f" {workers.told()}",
    )


def test_records_that_kafka_holds_twice_under_rebalances(workers, fleet, capsys):
    """Repeated records and reassigned partitions must not change a kilowatt-hour."""
    rounds, twice = max(1, int(ROUNDS / 2)), 0
    with workers.running(1):
        wait_until(lambda: workers.sharing(1), 180, workers.logs, PAUSE_S)
        for _ in range(rounds):
            wait_until(lambda: sum(workers.ended().values()) > 20, 120, workers.logs, 0.5)
            guest = workers.more()  # a rebalance while records are stored
            again = run_once(_some(servers(workers.kafka_url)))
            twice += len(again)
            put(workers.kafka_url, TOPIC, again)
            wait_until(lambda: workers.sharing(2), 180, workers.logs, PAUSE_S)
            guest.send_signal(signal.SIGTERM)  # and another one
            guest.wait(120)
            workers.alive.remove(guest)
            workers.recover()
        finish(workers, fleet)
    check(workers.pipeline, fleet)
    assert twice > 10
    report(
        capsys,
        f"{twice} records put into Kafka twice over {2 * rounds} rebalances, {figures(fleet)},"
        f" none doubled; {workers.told()}",
    )


async def _some(servers: list[str]) -> list[tuple[int, bytes]]:
    """Return the newest records of each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers)
    found = []
    try:
        await consumer.start()
        for tp in [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]:
            end = (await consumer.end_offsets([tp]))[tp]
            consumer.assign([tp])
            consumer.seek(tp, max(0, end - 20))
            while await consumer.position(tp) < end:
                got = await consumer.getmany(tp, timeout_ms=1_000)
                found += [(tp.partition, m.value) for m in got.get(tp, ())]
    finally:
        await consumer.stop()
    return found
