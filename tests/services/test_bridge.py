"""A message that a bridge acknowledges is in Kafka; all others stay with the MQTT broker."""

import json
import os
import signal
import threading
import time
from secrets import token_bytes

import pytest
from prometheus_client import CollectorRegistry

from ingest.errors import InputError, ServerError
from ingest.model import Device, Fleet
from ingest.mqtt import Router
from ingest.mqtt.client import Inbox
from ingest.wire import Parcel, decode
from services.bridge import Bridge, Partitions, admit, encode, fitting
from services.environment import KafkaAccess
from services.intake.handover import Done
from services.intake.principal_quota import Limits, PrincipalQuota
from services.intake.producer import MAX_RECORD
from services.intake.receive import BATCH
from services.intake.topics import Topic, apply, partitions
from services.logs import get_logger
from services.metrics import Metrics
from tests.bench.load import Publisher
from tests.integration.kafka_path import ended_records
from tests.ports import free_port
from tests.running import open_session
from tests.waiting import until


def of(name):
    """Return a topic for the bridges of these tests."""
    return Topic(name, 2, 1, 24)


class Running:
    """A bridge in a thread."""

    def __init__(
        self, database_url, mqtt_url, kafka_url, topic, *, share=None, name="bridge-1", batch=BATCH
    ):
        self.metrics = Metrics(CollectorRegistry())
        self.bridge = Bridge(
            database_url, mqtt_url, KafkaAccess.of(kafka_url), topic, name, self.metrics,
            get_logger("test"), batch=batch, share=share, wait_s=0,
        )  # fmt: skip
        self.failure = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            self.bridge.run()
        except (InputError, ServerError) as error:
            self.failure = error

    def forwarded(self):
        """Return the number of messages in Kafka."""
        found = 0.0
        for family in self.metrics.messages.collect():
            found += sum(s.value for s in family.samples if s.name.endswith("_total"))
        return int(found)

    def unacked(self):
        """Return the messages received from the MQTT broker and not acknowledged."""
        (family,) = self.metrics.unacked.collect()
        return int(family.samples[0].value)

    def stop(self):
        """Stop as on SIGTERM."""
        self.bridge.stop()
        self.ended()

    def ended(self):
        """Wait until it has ended."""
        self._thread.join(timeout=90)
        assert not self._thread.is_alive()


def sent(count, start=0):
    return [
        (f"tonne/v1/dev-{k % 7}/telemetry", json.dumps({"ts": k, "values": {}}).encode())
        for k in range(start, start + count)
    ]


@pytest.mark.parametrize("broker", ["run_kafka", "embedded_kafka"])
def test_bridges_that_share_split_the_messages(database_url, mqtt_broker, topic, broker, request):
    """Two bridges that both forward everything would double Kafka's load without need."""
    kafka_url = request.getfixturevalue(broker).url
    assert apply(KafkaAccess.of(kafka_url), of(topic))
    # what comes before a bridge is there waits for it
    for k in (1, 2):
        open_session(mqtt_broker.url, f"bridge-{k}", "city")
    both = [
        Running(database_url, mqtt_broker.url, kafka_url, topic, share="city", name=f"bridge-{k}")
        for k in (1, 2)
    ]
    publisher = Publisher(mqtt_broker.port)
    publisher.send(sent(400))
    publisher.close()
    until(lambda: sum(b.forwarded() for b in both) >= 400, 90, lambda: "400 forwarded")
    for one in both:
        one.stop()
    assert sum(b.forwarded() for b in both) == 400
    assert all(b.forwarded() > 50 for b in both)
    assert ended_records(kafka_url, topic, 2) > 0


@pytest.mark.faults
def test_without_kafka_nothing_is_acknowledged(database_url, mqtt_broker, own_kafka, topic):
    """A reading acknowledged while Kafka is unreachable would be lost."""
    apply(KafkaAccess.of(own_kafka.url), of(topic))
    open_session(mqtt_broker.url, "bridge-1")
    one = Running(database_url, mqtt_broker.url, own_kafka.url, topic)
    publisher = Publisher(mqtt_broker.port)
    publisher.send(sent(100))
    until(lambda: one.forwarded() == 100, 90, lambda: "100 forwarded")
    own_kafka.kill()
    publisher.send(sent(50, start=100))
    publisher.close()
    until(lambda: one.unacked() > 0, 60, lambda: "some received")
    one.stop()
    assert one.forwarded() == 100
    assert "nothing was lost" in str(one.failure)
    own_kafka.start()
    apply(KafkaAccess.of(own_kafka.url), of(topic))  # the embedded one has forgotten it
    two = Running(database_url, mqtt_broker.url, own_kafka.url, topic)
    until(lambda: two.forwarded() == 50, 90, lambda: "50 forwarded")
    two.stop()


@pytest.mark.faults
def test_a_kafka_that_stands_still_holds_the_mqtt_broker_back(
    database_url, mqtt_broker, own_kafka, topic
):
    """A bridge that read on would hold a city's messages in memory, and lose them with itself."""
    apply(KafkaAccess.of(own_kafka.url), of(topic))
    open_session(mqtt_broker.url, "bridge-1")
    one = Running(database_url, mqtt_broker.url, own_kafka.url, topic, batch=50)
    publisher = Publisher(mqtt_broker.port)
    publisher.send(sent(50))
    until(lambda: one.forwarded() == 50, 90, lambda: "50 forwarded")
    os.kill(own_kafka.pid, signal.SIGSTOP)
    try:
        publisher.send(sent(3_000, start=50))
        until(lambda: one.unacked() > 50, 60, lambda: "some received")
        time.sleep(1.5)
        assert one.unacked() <= 3 * 50
        assert one.forwarded() == 50
    finally:
        os.kill(own_kafka.pid, signal.SIGCONT)
    publisher.close()
    until(lambda: one.forwarded() == 3_050, 90, lambda: f"{one.forwarded()} forwarded")
    until(lambda: one.unacked() == 0, 60, lambda: "all acknowledged")
    one.stop()


def test_a_missing_topic_is_refused(database_url, mqtt_broker, kafka_url, topic):
    """A broker that made the topic by itself would choose the partitions, too."""
    one = Running(database_url, mqtt_broker.url, kafka_url, topic)
    one.ended()  # by itself
    assert "tonne topics apply" in str(one.failure)
    with pytest.raises(InputError, match="tonne topics apply"):
        partitions(KafkaAccess.of(kafka_url), topic)


def test_a_topic_is_made_once_and_checked_after(kafka_url, topic):
    """A partition count that changed by a slip would move devices between workers."""
    assert apply(KafkaAccess.of(kafka_url), of(topic))
    assert not apply(KafkaAccess.of(kafka_url), of(topic))
    assert partitions(KafkaAccess.of(kafka_url), topic) == 2
    for wrong, word in (
        (Topic(topic, 3, 1, 24), "partitions"),
        (Topic(topic, 2, 3, 24), "copies"),
        (Topic(topic, 2, 1, 25), "retention"),
    ):
        with pytest.raises(InputError, match=word):
            apply(KafkaAccess.of(kafka_url), wrong)
    with pytest.raises(ServerError, match="TONNE_KAFKA_URL"):
        apply(KafkaAccess.of(f"kafka://127.0.0.1:{free_port()}"), of(topic))


def test_a_parcel_too_large_for_kafka_is_cut():
    """Kafka refuses a record above its limit permanently, and the bridge would stand still."""
    fleet = Fleet([Device("dev-1", "s", "vehicle")])
    payloads = [token_bytes(200_000) for _ in range(12)]  # what nothing can compress
    n = len(payloads)
    parcel = Parcel(["t"] * n, payloads, [None] * n, [False] * n, ["json"] * n, 1)
    records = list(fitting(parcel, fleet))
    assert len(records) > 1
    assert all(len(record) <= MAX_RECORD for record in records)
    assert [p for r in records for p in decode(r, fleet).payloads] == payloads


FLEET = Fleet([Device(name, "roof", "energy_meter") for name in ("mad", "meek")])
START_MS = 1_772_323_200_000


def test_what_is_over_the_quota_is_refused_and_kept_whole():
    """A message that the bridge rejects would be lost, or stored as a reading by a worker."""
    inbox = Inbox(0, received_us=START_MS * 1000 + 3_600_000_000)
    for k in range(100):
        inbox.topics.append(f"tonne/v1/{'meek' if k == 50 else 'mad'}/telemetry")
        inbox.payloads.append(
            b'{"ts": %d, "id": %d, "values": {"energy_import_kwh": 1}}' % (START_MS + k * 1000, k)
        )
        inbox.content_types.append(None)
        inbox.repeated.append(False)
        inbox.mids.append(k + 1)
    # an edge node's message is passed on unread; over the quota it is not
    inbox.topics[99] = "spBv1.0/g/NDATA/mad"
    router = Router(FLEET)
    unread = PrincipalQuota(Limits(60, 0)).over(router, inbox)
    admitted = admit(router, inbox, unread)
    assert len(unread) == 39
    assert sum(map(len, admitted.frames)) == 61
    told = Done.of(inbox, router, admitted)
    assert len(told.seen) == 61, "a receipt for what is not stored"
    assert {one.reason for _, one, _ in told.refused} == {"rate"}
    sent = encode(inbox, admitted, Partitions(FLEET, 4))
    parcels = [decode(one.value, FLEET) for one in sent]
    assert sum(map(len, parcels)) == 100
    refused = [(parcel, one) for parcel in parcels for one in parcel.rejected]
    assert {one.reason for _, one in refused} == {"rate"}
    kept = {(p.topics[one.message], p.payloads[one.message]) for p, one in refused}
    assert kept == {(inbox.topics[one.message], inbox.payloads[one.message]) for one in unread}
    assert sum(len(frame) for parcel in parcels for frame in parcel.frames) == 61
