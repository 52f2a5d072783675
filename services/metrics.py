"""
Prometheus metrics of a process.

A `Metrics` belongs to one process and is passed to its parts; there is no global registry.  Base
units and suffixes throughout, never a device id in a label.
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

# counters have no second series with their time of creation, as no rule reads it
disable_created_metrics()  # type: ignore[no-untyped-call]

# an event may be seconds old, or have waited in a device's outbox for weeks
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
        self.build = Info("tonne_build", "Version of the running program", registry=self.registry)
        self.build.info({"version": version("tonne"), "python": python_version()})
        ProcessCollector(registry=self.registry)

    def _receiving(self) -> None:
        self.messages = Counter(
            "tonne_ingest_messages",
            "Messages received, by encoding and result",
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
            "Required topic filters to which the MQTT broker does not let this process subscribe",
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
            "Rejected messages that were stored as dead letters, by reason",
            ["reason"],
            registry=self.registry,
        )
        self.dead_letters_left_out = Counter(
            "tonne_dead_letters_left_out",
            "Rejected messages above the daily limit of their principal, which are only counted",
            ["reason"],
            registry=self.registry,
        )
        # created with 0, so that Prometheus counts the first event as an increase
        self.dead_letters_left_out.labels("unknown_device")
        for reason in ("unstorable", "rate"):
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
            "Time of one transaction that calculates intervals of stored readings",
            buckets=_COMMIT_BUCKETS,
            registry=self.registry,
        )
        self.derive_waiting = Gauge(
            "tonne_derive_waiting_seconds",
            "Time for which the oldest stored reading has waited for its intervals",
            registry=self.registry,
        )
        self.commit_rows = Counter(
            "tonne_commit_rows", "Rows written, by table", ["table"], registry=self.registry
        )
        self.counter_events = Counter(
            "tonne_counter_events",
            "Register events other than an increase: rollover, reset, replacement, glitch, ...",
            ["kind"],
            registry=self.registry,
        )
        # created with 0, so that Prometheus counts the first event as an increase
        for kind in EVENTS:
            self.counter_events.labels(kind)
        self.quality_flags = Counter(
            "tonne_quality_flags",
            "Readings marked as unusual, by test",
            ["test"],
            registry=self.registry,
        )
        self.signed_values = Counter(
            "tonne_signed_values",
            "Values signed by a meter or gateway, by result of the signature check",
            ["outcome"],
            registry=self.registry,
        )
        # created with 0, so that Prometheus counts the first event as an increase
        self.signed_values.labels("refused")
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
            "Records of a Kafka partition that are not stored yet; each worker reports all of them",
            ["partition"],
            registry=self.registry,
        )
        self.unassigned = Gauge(
            "tonne_stream_partitions_unassigned",
            "Partitions of the topic that are assigned to no worker",
            registry=self.registry,
        )
        self.kafka_waiting = Gauge(
            "tonne_kafka_waiting_seconds",
            "Time for which this process has waited for Kafka; 0 while Kafka answers",
            registry=self.registry,
        )
        self.kafka_waiting.set_function(lambda: self.pulse.waiting_s("kafka"))

    def _accounting(self) -> None:
        self.coverage_ratio = Gauge(
            "tonne_coverage_ratio",
            "Coverage of the monitoring period that was closed last",
            ["project"],
            registry=self.registry,
        )
        self.statements = Counter(
            "tonne_statements", "Statements that entered a state", ["state"], registry=self.registry
        )
        self.rebuild_mismatch = Counter(
            "tonne_rebuild_mismatch",
            "Stored rows that differ from their recalculation from raw readings",
            registry=self.registry,
        )
        self.signer_requests = Counter(
            "tonne_signer_requests",
            "Requests processed by the signer, by kind and result: done, refused (rejected), "
            "failed, again (to be repeated)",
            ["kind", "result"],
            registry=self.registry,
        )
        self._sealing()

    def _sealing(self) -> None:
        self.sealed_days = Counter(
            "tonne_log_sealed_days",
            "Days sealed in the log, first seals and later ones",
            registry=self.registry,
        )
        self.seal_failures = Counter(
            "tonne_log_seal_failures", "Failed rounds of sealing", registry=self.registry
        )
        self.seal_refused = Gauge(
            "tonne_log_seal_refused",
            "Sealed days with manual changes that the last round did not seal again",
            registry=self.registry,
        )
        self.seal_late = Gauge(
            "tonne_log_seal_late_seconds",
            "Delay beyond 36 hours of the oldest day sealed in the last round",
            registry=self.registry,
        )
        self.seal_time = Gauge(
            "tonne_log_seal_time_seconds",
            "Time at which the last round of sealing ended, seconds since 1970",
            registry=self.registry,
        )

        self.witnesses_away = Gauge(
            "tonne_log_witnesses_away",
            "Witnesses that did not cosign at the last request, for any reason",
            registry=self.registry,
        )
        self.witnesses_contradicting = Gauge(
            "tonne_log_witnesses_contradicting",
            "Witnesses that had another history of the log at the last request",
            registry=self.registry,
        )
        self.cosigning_seconds = Histogram(
            "tonne_log_cosigning_seconds",
            "Time from the request to a witness to its cosignature",
            buckets=_COMMIT_BUCKETS,
            registry=self.registry,
        )
        self.timestamp_waiting = Gauge(
            "tonne_timestamp_waiting_seconds",
            "Time for which the oldest seal or issue has waited for its time stamps",
            registry=self.registry,
        )
        self.timestamp_failures = Counter(
            "tonne_timestamp_failures",
            "Requests to time-stamp authorities without a valid token as the answer",
            registry=self.registry,
        )

    def serve(self, bind: str) -> AbstractContextManager[None]:
        """Serve metrics at `bind` while the block runs, as `serving` does."""
        return serving(self.registry, self.pulse, bind)
