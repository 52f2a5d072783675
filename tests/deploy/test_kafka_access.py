"""The brokers of compose.kafka.yaml: TLS, users with passwords, and access rights."""

import asyncio
import os
import subprocess
import time
from contextlib import contextmanager

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import DeleteAclsRequest

from ingest.addresses import Tls
from ingest.errors import ServerError
from services.environment import KafkaAccess
from services.intake.kafka_client import client_options, run_once
from services.intake.producer import NotStoredError, Outgoing, Producer
from services.intake.topics import (
    OPERATIONS,
    RESOURCES,
    Topic,
    administering,
    apply,
    dead,
    grant,
    needed,
    partitions,
    settle,
)
from services.logs import get_logger
from services.stream.partitions import assigned, topic_state
from tests import commands
from tests.apache_kafka import APACHE, WHY, options
from tests.bench.load import Publisher
from tests.deploy.files import DEPLOY
from tests.integration.kafka_path import register, wait_stored
from tests.ports import free_port
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.skipif(APACHE is None, reason=WHY)]
TOPIC, GROUP = "tonne-parcels", "tonne-worker"


class Brokers:
    """One broker as started by compose, with the files of `secrets.sh`."""

    def __init__(self, folder, made):
        self.secrets, self.port = folder / "secrets", free_port()
        told = os.environ | {"TONNE_SECRETS": str(self.secrets), "KAFKA_HOSTS": "localhost"}
        subprocess.run(["sh", DEPLOY / "secrets.sh"], env=told, check=True, capture_output=True)
        environment = os.environ | {
            "KAFKA_FOLDER": str(APACHE), "SECRETS": str(self.secrets), "NODE": "1",
            "DATA": str(folder / "data"), "SETTINGS": str(folder / "settings"),
            "PORT": str(self.port), "CONTROLLER_PORT": str(free_port()), "HOSTS": "localhost",
            "COPIES": "1", "IN_STEP": "1", "CLUSTER_ID": "dG9ubmUta2Fma2EtMDAwMQ",
            "KAFKA_HEAP_OPTS": "-Xmx384m", "KAFKA_OPTS": f"-XX:TieredStopAtLevel=1 {options(made)}",
        }  # fmt: skip
        self._log = folder / "kafka.log"
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                ["sh", DEPLOY / "kafka/broker.sh"], env=environment, stdout=out, stderr=out
            )
        try:
            self._await_start()
        except BaseException:
            self.stop()
            raise

    def _await_start(self):
        end = time.monotonic() + 180
        while "Kafka Server started" not in self._log.read_text():
            assert self._process.poll() is None, self._log.read_text()[-3_000:]
            assert time.monotonic() < end, self._log.read_text()[-3_000:]
            time.sleep(0.2)

    def url(self, user):
        """Return the URL of one of the users, as written by `secrets.sh`, at the test's port."""
        whole = (self.secrets / f"kafka_{user}_url").read_text()
        return f"{whole.rpartition('@')[0]}@localhost:{self.port}"

    def access(self, user, **changed):
        """Return the connection settings of a user."""
        tls = Tls(self.secrets / "kafka_ca", server="KAFKA")
        return KafkaAccess.of(self.url(user), changed.pop("tls", tls), **changed)

    def stop(self):
        """Stop the broker."""
        self._process.terminate()
        self._process.wait(120)


@pytest.fixture(scope="module")
def brokers(tmp_path_factory, kafka_made):
    """Return the broker, with topics and access rights as set by compose."""
    found = Brokers(tmp_path_factory.mktemp("brokers"), kafka_made)
    try:
        grants = needed(TOPIC, GROUP, "tonne-bridge", "tonne-worker", "tonne-admin")
        grant(found.access("broker"), grants)
        admin = found.access("admin")
        apply(admin, Topic(TOPIC, 1, 1, 24))
        apply(admin, Topic(f"{TOPIC}-dead", 1, 1, 24, compact=True))
        yield found
    finally:
        found.stop()


def send(access, topic):
    """Send a record as the bridge's user."""
    producer = Producer(access, topic, get_logger("test"))
    try:
        producer.send([Outgoing(b"hello", 0, key=b"compacted topics take none without")])
    finally:
        producer.close()


async def _read(access, group):
    consumer = AIOKafkaConsumer(
        TOPIC, **client_options(access), group_id=group, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        return (await asyncio.wait_for(consumer.getone(), 90)).value
    finally:
        await consumer.stop()


def read(access, group=GROUP):
    """Read a record as the worker's user."""
    return run_once(_read(access, group))


def test_each_user_does_what_it_needs(brokers):
    """A missing access right would stop a city's readings on the first day."""
    send(brokers.access("bridge"), TOPIC)
    assert read(brokers.access("worker")) == b"hello"
    send(brokers.access("worker"), f"{TOPIC}-dead")
    known = partitions(brokers.access("admin"), TOPIC)  # more, once another test has added some
    assert partitions(brokers.access("bridge"), TOPIC) == known > 0


def test_a_worker_stores_as_its_user(brokers, database_url, tmp_path):
    """A worker whose Kafka reader lacks the password would wait for its group permanently."""
    register(database_url)
    send(brokers.access("bridge"), TOPIC)  # no parcel: it goes to the dead-letter topic
    (tmp_path / "url").write_text(brokers.url("worker"))
    told = os.environ | {
        "TONNE_DATABASE_URL": database_url,
        "TONNE_KAFKA_URL_FILE": str(tmp_path / "url"),
        "TONNE_KAFKA_CA_FILE": str(brokers.secrets / "kafka_ca"),
        "TONNE_METRICS_BIND": "",
    }
    log = tmp_path / "worker.log"
    with log.open("wb") as out:
        worker = commands.start(["worker", "--session", "6"], env=told, stdout=out, stderr=out)
    try:
        wait_stored(database_url, 1, 120, log.read_text)
    finally:
        worker.terminate()
        worker.wait(60)
    assert worker.returncode == 0, log.read_text()
    password = (brokers.secrets / "kafka_worker_password").read_text()
    assert password not in log.read_text()


def test_no_user_does_more(brokers):
    """Anyone with a worker's leaked password could write readings of any device."""
    with pytest.raises(NotStoredError, match="tonne topics access"):
        send(brokers.access("worker"), TOPIC)
    with pytest.raises((TopicAuthorizationFailedError, GroupAuthorizationFailedError)):
        read(brokers.access("bridge"))
    with pytest.raises(GroupAuthorizationFailedError):
        read(brokers.access("worker"), "another")
    with pytest.raises(ServerError, match="topic"):
        apply(brokers.access("bridge"), Topic("other", 1, 1, 24))


# what a user cannot do without an entry, and the sentence; Kafka takes Describe, and
# DescribeConfigs, for given where more is given
WITHOUT = {
    ("tonne-bridge", "Write", TOPIC): (
        lambda access: send(access, TOPIC),
        f"may not write to topic '{TOPIC}'",
    ),
    ("tonne-worker", "Read", TOPIC): (
        lambda access: topic_state(access, TOPIC, {}, GROUP),
        f"may not read topic '{TOPIC}'",
    ),
    ("tonne-worker", "Write", dead(TOPIC)): (
        lambda access: send(access, dead(TOPIC)),
        f"may not write to topic '{dead(TOPIC)}'",
    ),
    ("tonne-worker", "Read", GROUP): (read, "GroupAuthorizationFailed"),  # below, as a worker
    ("tonne-admin", "Create", TOPIC): (
        lambda access: made(access, TOPIC),
        f"may not make topic '{TOPIC}'",
    ),
    ("tonne-admin", "Alter", TOPIC): (
        lambda access: settle(access, more(access, TOPIC), alter=True),
        f"may not make or change topic '{TOPIC}'",
    ),
    ("tonne-admin", "AlterConfigs", TOPIC): (
        lambda access: settle(access, Topic(TOPIC, 1, 1, 77), alter=True),
        f"may not change settings of topic '{TOPIC}'",
    ),
    ("tonne-admin", "Describe", GROUP): (
        lambda access: run_once(assigned(access, GROUP, TOPIC)),
        f"may not look at group '{GROUP}'",
    ),
}


def more(access, topic):
    """Return the same topic with one more partition."""
    return Topic(topic, partitions(access, topic) + 1, 1, 24, compact=topic.endswith("-dead"))


async def _topics(root):
    async with administering(root) as admin:
        return await admin.list_topics()


async def _deleted(root, topic):
    async with administering(root) as admin:
        await admin.delete_topics([topic])


async def _revoke(access, one):
    async with administering(access) as admin:
        request = DeleteAclsRequest(
            RESOURCES[one.resource],
            one.name,
            3,
            f"User:{one.user}",
            "*",
            OPERATIONS[one.operation],
            3,
        )
        (answer,) = (await admin._send_request(request)).filter_responses
    assert answer[0] == 0
    assert len(answer[2]) == 1, answer  # it was there


@contextmanager
def without(root, one):
    """
    Remove an access right for the block: the user must be refused, also
    one who may create topics.
    """
    run_once(_revoke(root, one))
    if one.operation == "Create":
        run_once(_deleted(root, one.name))
        until(lambda: one.name not in run_once(_topics(root)), 60, lambda: one.name, 0.1)
    try:
        yield
    finally:
        if one.operation == "Create":
            made(root, one.name)
        grant(root, [one])


def made(access, topic):
    """Create one of the topics, or find it."""
    return settle(access, Topic(topic, 1, 1, 24, compact=topic == dead(TOPIC)))


def until_refused(act, access):
    """Repeat an operation until the broker refuses it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        act(access)
        time.sleep(0.1)


def test_each_entry_that_is_missing_is_told_by_what_it_is_for(brokers):
    """An operator who reads only `not authorized` would not know which access right is missing."""
    entries = needed(TOPIC, GROUP, "tonne-bridge", "tonne-worker", "tonne-admin")
    known = {(one.user, one.operation, one.name): one for one in entries}
    # the administrator's on the dead letters are as those on the topic, its others as a worker's
    assert {key[:2] for key in known if not key[1].startswith("Describe")} - {
        key[:2] for key in WITHOUT
    } == {("tonne-admin", "Read"), ("tonne-admin", "Write")}
    for key, (act, sentence) in WITHOUT.items():
        access = brokers.access(key[0].removeprefix("tonne-"))
        if key[1] == "Read":
            send(brokers.access("bridge"), TOPIC)  # something to read
        with without(brokers.access("broker"), known[key]), pytest.raises(Exception) as told:  # noqa: PT011
            until_refused(act, access)
        assert sentence in str(told.value), key
        assert "tonne topics access" in str(told.value) or "GroupAuth" in sentence, key


def test_sigterm_ends_who_is_refused(brokers, database_url, mqtt_broker, tmp_path):
    """
    Compose kills a stopping process after 75 s; until then the
    log must state what is missing.
    """
    register(database_url)
    entries = needed(TOPIC, GROUP, "tonne-bridge", "tonne-worker", "tonne-admin")
    known = {(one.user, one.operation, one.name): one for one in entries}
    root = brokers.access("broker")
    with (
        without(root, known["tonne-bridge", "Write", TOPIC]),
        without(root, known["tonne-worker", "Read", GROUP]),
    ):
        told = {
            "worker": started(brokers, "worker", database_url, mqtt_broker.url, tmp_path),
            "bridge": started(brokers, "bridge", database_url, mqtt_broker.url, tmp_path),
        }
        try:
            _, log = told["bridge"]
            until(lambda: "receiving" in log.read_text(), 120, log.read_text, 0.2)
            publisher = Publisher(mqtt_broker.port)
            publisher.send([("tonne/v1/nobody/telemetry", b"{}")])
            publisher.close()
            for user, doing in (("bridge", "write to topic"), ("worker", "read as group")):
                _, log = told[user]
                until(
                    lambda t=log, d=doing: f"may not {d}" in t.read_text(), 120, log.read_text, 0.2
                )
            for process, log in told.values():
                began = time.monotonic()
                process.terminate()
                assert process.wait(75) in {0, 3}, log.read_text()
                assert time.monotonic() - began < 45
                assert "Traceback" not in log.read_text()
        finally:
            for process, _ in told.values():
                process.kill()
                process.wait()


def started(brokers, user, database_url, mqtt_url, folder):
    """Start a bridge or a worker as its user; return it and its log."""
    (folder / user).write_text(brokers.url(user))
    environment = os.environ | {
        "TONNE_DATABASE_URL": database_url,
        "TONNE_KAFKA_URL_FILE": str(folder / user),
        "TONNE_KAFKA_CA_FILE": str(brokers.secrets / "kafka_ca"),
        "TONNE_METRICS_BIND": "",
        "TONNE_MQTT_URL": mqtt_url,
    }
    log = folder / f"{user}.log"
    with log.open("wb") as out:
        process = commands.start([user], env=environment, stdout=out, stderr=out)
    return process, log


def test_a_wrong_password_or_authority_is_told_by_its_name(brokers, tmp_path):
    """An operator would look for a broker that is down."""
    right = brokers.access("bridge")
    wrong = KafkaAccess.of(f"kafkas://tonne-bridge:secret@localhost:{brokers.port}", right.tls)
    with pytest.raises(ServerError, match="Kafka rejects this user or password") as refused:
        partitions(wrong, TOPIC)
    assert "secret" not in str(refused.value)
    with pytest.raises(ServerError, match=r"certificate is rejected .*TONNE_KAFKA_CA_FILE"):
        partitions(brokers.access("bridge", tls=Tls(server="KAFKA")), TOPIC)
    elsewhere = KafkaAccess.of(brokers.url("bridge").replace("localhost", "127.0.0.1"), right.tls)
    with pytest.raises(ServerError, match=r"certificate is rejected .*127\.0\.0\.1"):
        partitions(elsewhere, TOPIC)
    plain = KafkaAccess.of(f"kafka://localhost:{brokers.port}")
    with pytest.raises(ServerError, match=r"Kafka localhost"):
        partitions(plain, TOPIC)


def test_the_commands_take_it_from_files(brokers, tmp_path):
    """Compose names files of secrets: one that no command reads would end in a crash loop."""
    url = tmp_path / "url"
    url.write_text(brokers.url("admin"))
    told = os.environ | {
        "TONNE_KAFKA_URL_FILE": str(url),
        "TONNE_KAFKA_CA_FILE": str(brokers.secrets / "kafka_ca"),
    }
    done = commands.run(
        ["topics", "apply", "--partitions", "2", "--retention-hours", "24", "--dead-hours", "24"],
        env=told,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "partitions" in done.stderr
    done = commands.run(
        [
            "topics",
            "apply",
            "--partitions",
            "2",
            "--retention-hours",
            "48",
            "--dead-hours",
            "24",
            "--alter",
        ],
        env=told,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert partitions(brokers.access("worker"), TOPIC) == 2
    assert not apply(brokers.access("admin"), Topic(TOPIC, 2, 1, 48))
