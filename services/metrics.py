"""
Metrics of a process, for Prometheus.

One `Metrics` belongs to one process and is handed to the parts that count.
There is no global registry: two pipelines in one test do not add up.  Base
units and suffixes throughout, and never a device id in a label.
"""

from contextlib import AbstractContextManager
from importlib.metadata import version
from platform import python_version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from ingest.pipeline import EVENTS
from services.scraping import Pulse, serving

# a second series beside each counter, which no rule reads
disable_created_metrics()  # type: ignore[no-untyped-call]

# an event may be a moment old, or have waited in a device's outbox for weeks
_LAG_BUCKETS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400, 604_800)
_COMMIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Every metric of a process, in a separate registry unless one is given."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self.pulse = Pulse()
        self._receiving()
        self._storing()
        self._accounting()
        self.build = Info("tonne_build", "Version that runs", registry=self.registry)
        self.build.info({"version": version("tonne"), "python": python_version()})
        ProcessCollector(registry=self.registry)

    def _receiving(self) -> None:
        self.messages = Counter(
            "tonne_ingest_messages",
            "Messages received, by encoding and what became of them",
            ["codec", "result"],
            registry=self.registry,
        )
        self.unacked = Gauge(
            "tonne_ingest_unacked_messages",
            "Messages received and not yet acknowledged upstream",
            registry=self.registry,
        )
        self.topics_refused = Gauge(
            "tonne_broker_topics_refused",
            "Topic filters that the MQTT broker does not let this process hear, and it needs",
            registry=self.registry,
        )
        self.event_lag = Histogram(
            "tonne_ingest_event_lag_seconds",
            "Time from a reading's device time to its receipt",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )
        self.dead_letters = Counter(
            "tonne_dead_letters",
            "Payloads refused and kept, by reason",
            ["reason"],
            registry=self.registry,
        )
        self.dead_letters_left_out = Counter(
            "tonne_dead_letters_left_out",
            "Payloads refused and only counted, as their principal had sent too many that day",
            ["reason"],
            registry=self.registry,
        )
        self.dead_letters_left_out.labels("unknown_device")  # as for the next one
        for reason in ("unstorable", "rate"):  # the first one must be a rise, for Prometheus
            self.dead_letters.labels(reason)

    def _storing(self) -> None:
        self.commit_seconds = Histogram(
            "tonne_commit_seconds",
            "Time of one database transaction",
            buckets=_COMMIT_BUCKETS,
            registry=self.registry,
        )
        self.derive_seconds = Histogram(
            "tonne_derive_seconds",
            "Time of one transaction that makes the rows of stored readings",
            buckets=_COMMIT_BUCKETS,
            registry=self.registry,
        )
        self.derive_waiting = Gauge(
            "tonne_derive_waiting_seconds",
            "How long the oldest stored reading has waited for the rows that follow from it",
            registry=self.registry,
        )
        self.commit_rows = Counter(
            "tonne_commit_rows", "Rows written, by table", ["table"], registry=self.registry
        )
        self.counter_events = Counter(
            "tonne_counter_events",
            "What registers did besides rising: rollover, reset, replacement, glitch, ...",
            ["kind"],
            registry=self.registry,
        )
        for kind in EVENTS:  # a counter that begins at 40 has not risen, for Prometheus
            self.counter_events.labels(kind)
        self.quality_flags = Counter(
            "tonne_quality_flags",
            "Readings marked as unusual, by test",
            ["test"],
            registry=self.registry,
        )
        self.signed_values = Counter(
            "tonne_signed_values",
            "Values that a meter or gateway signed, by what their signature shows",
            ["outcome"],
            registry=self.registry,
        )
        self.signed_values.labels("refused")  # the first one must be a rise, for Prometheus
        self.late_readings = Counter(
            "tonne_late_readings",
            "Readings older than one already stored for their device",
            registry=self.registry,
        )
        self.fleet_devices = Gauge(
            "tonne_fleet_devices",
            "Registered devices, by state and class",
            ["state", "class"],
            registry=self.registry,
        )

        self._streaming()

    def _streaming(self) -> None:
        self.offset_lag = Gauge(
            "tonne_stream_offset_lag",
            "Records of a Kafka partition that are not stored yet; every worker tells all",
            ["partition"],
            registry=self.registry,
        )
        self.unassigned = Gauge(
            "tonne_stream_partitions_unassigned",
            "Partitions of the topic that the workers' group has given to no worker",
            registry=self.registry,
        )
        self.kafka_waiting = Gauge(
            "tonne_kafka_waiting_seconds",
            "How long Kafka has been waited for; 0 while it answers",
            registry=self.registry,
        )
        self.kafka_waiting.set_function(lambda: self.pulse.waiting_s("kafka"))

    def _accounting(self) -> None:
        self.coverage_ratio = Gauge(
            "tonne_coverage_ratio",
            "Coverage of the last monitoring period computed",
            ["project"],
            registry=self.registry,
        )
        self.statements = Counter(
            "tonne_statements", "Statements that entered a state", ["state"], registry=self.registry
        )
        self.rebuild_mismatch = Counter(
            "tonne_rebuild_mismatch",
            "Stored derived rows that a rebuild from raw readings contradicts",
            registry=self.registry,
        )
        self.signer_requests = Counter(
            "tonne_signer_requests",
            "Requests that the signer worked on, by kind and what came of it: done, refused,"
            " failed, again",
            ["kind", "result"],
            registry=self.registry,
        )
        self._sealing()

    def _sealing(self) -> None:
        self.sealed_days = Counter(
            "tonne_log_sealed_days", "Days sealed in the log, again or new", registry=self.registry
        )
        self.seal_failures = Counter(
            "tonne_log_seal_failures", "Rounds of sealing that failed", registry=self.registry
        )
        self.seal_refused = Gauge(
            "tonne_log_seal_refused",
            "Differences from a seal that no pipeline made, left unsealed by the last round",
            registry=self.registry,
        )
        self.seal_late = Gauge(
            "tonne_log_seal_late_seconds",
            "How long past its 36 hours the oldest day was when the last round sealed it",
            registry=self.registry,
        )
        self.seal_time = Gauge(
            "tonne_log_seal_time_seconds",
            "When the last round of sealing ended, seconds since 1970",
            registry=self.registry,
        )

        self.witnesses_away = Gauge(
            "tonne_log_witnesses_away",
            "Witnesses that did not cosign when they were last asked, for any reason",
            registry=self.registry,
        )
        self.witnesses_contradicting = Gauge(
            "tonne_log_witnesses_contradicting",
            "Witnesses that saw another history of the log when they were last asked",
            registry=self.registry,
        )
        self.cosigning_seconds = Histogram(
            "tonne_log_cosigning_seconds",
            "Time from asking a witness to its cosignature",
            buckets=_COMMIT_BUCKETS,
            registry=self.registry,
        )
        self.timestamp_waiting = Gauge(
            "tonne_timestamp_waiting_seconds",
            "How long the oldest seal or issue has waited for its time stamps",
            registry=self.registry,
        )
        self.timestamp_failures = Counter(
            "tonne_timestamp_failures",
            "Requests to time-stamp authorities that gave no token that counts",
            registry=self.registry,
        )

    def serve(self, bind: str) -> AbstractContextManager[None]:
        """Serve metrics at `bind` while the block runs, as `serving` does."""
        return serving(self.registry, self.pulse, bind)
