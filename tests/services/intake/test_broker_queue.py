"""The broker's queue is reported, and no longer while the broker is unreachable."""

from prometheus_client import CollectorRegistry

from ingest.addresses import Tls
from services.intake.broker_queue import BrokerQueue, Room
from services.logs import get_logger
from services.metrics import Metrics
from tests.bench.load import Publisher, messages
from tests.running import open_session
from tests.waiting import until

PATIENCE_S = 90


def test_what_waits_is_told(mqtt_broker):
    """The remaining hours of the broker's queue are reported."""
    open_session(mqtt_broker.url, "pipeline")
    sent = list(messages(40, 50))
    publisher = Publisher(mqtt_broker.port)
    publisher.send(sent)
    publisher.close()
    size = sum(len(payload) for _, payload in sent)
    metrics = Metrics(CollectorRegistry())
    value = metrics.registry.get_sample_value
    log = get_logger("test")

    def told(what):
        return value(f"tonne_broker_queued_{what}") or 0

    with BrokerQueue(mqtt_broker.url, Tls(), Room(5_000, 9_000_000), metrics, log):
        until(
            lambda: told("messages") >= len(sent) and told("bytes") >= size,
            PATIENCE_S,
            lambda: (told("messages"), told("bytes")),
        )
        # what the broker retains of itself is some kilobytes beside it
        assert len(sent) <= value("tonne_broker_queued_messages") < len(sent) + 100
        assert size <= value("tonne_broker_queued_bytes") < size + 10_000
        assert value("tonne_broker_queue_limit_messages") == 5_000
        assert value("tonne_broker_queue_limit_bytes") == 9_000_000
        mqtt_broker.kill()
        until(
            lambda: value("tonne_broker_queued_messages") is None,
            PATIENCE_S,
            "an old figure stays for a broker that is away",
        )
