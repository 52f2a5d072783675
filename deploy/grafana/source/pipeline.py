"""Dashboard of the pipeline: rates, lag, dead letters, commit times, processes."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source.boards import board
from deploy.grafana.source.palette import GREEN, ORANGE, RED
from deploy.grafana.source.panels import prom, prom_stat
from deploy.grafana.source.values import called, events

_UP = ((None, RED), (1, GREEN))
_WORDS = {"0": "down", "1": "up"}


def dashboard() -> model.Dashboard:
    """Return the dashboard."""
    return board(
        "pipeline", "Pipeline", "From the broker to the database: rates, delays, rejected messages.",
        [
            ("Now", [
                prom_stat("Processes up", 'min(up{job=~"tonne.*"})', "short",
                          "Up when every process of tonne answers Prometheus.", steps=_UP, words=_WORDS),
                prom_stat("Database", "min(tonne_database_up)", "short",
                          "Whether the database answered the last check.", steps=_UP, words=_WORDS),
                prom_stat("Messages per second", "sum(rate(tonne_ingest_messages_total[5m]))", "short",
                          "All messages, stored and rejected, over five minutes."),
                prom_stat("Not acknowledged", "sum(tonne_ingest_unacked_messages)", "short",
                          "Received and not stored yet. Normally it returns to near zero every one or two seconds.",
                          steps=((None, GREEN), (20_000, ORANGE), (100_000, RED))),
                prom_stat("Newest reading", "time() - max(tonne_last_reading_time_seconds)", "s",
                          "Age of the newest reading in the database, by its device's clock.",
                          steps=((None, GREEN), (900, ORANGE), (3600, RED))),
                prom_stat("Log audit", 'sum(tonne_log_audit_breaks{step!="lateness"})', "short",
                          "Inconsistencies found by the last audit of the log. Above 0: inform the auditor.",
                          steps=((None, GREEN), (1, RED))),
            ]),
            ("Rates", [
                prom("Messages by codec", {"{{codec}} {{result}}": "sum by (codec, result) (rate(tonne_ingest_messages_total[5m]))"},
                     "suffix: /s", "Messages received, by encoding and result.", stacked=True),
                prom("Rows written", {"{{table}}": "sum by (table) (rate(tonne_commit_rows_total[5m]))"},
                     "suffix: /s", "Rows written, by table.", stacked=True),
                prom("Dead letters", {"{{reason}}": "sum by (reason) (increase(tonne_dead_letters_total[15m]))"},
                     "short", "Messages rejected and kept in the last 15 minutes, by reason.", stacked=True),
                prom("Unusual readings", {"{{test}}": "sum by (test) (increase(tonne_quality_flags_total[15m]))",
                                          "late": "sum(increase(tonne_late_readings_total[15m]))"},
                     "short", "Readings flagged by a quality test, and readings older than one already stored."),
            ]),
            ("Durations", [
                prom("Time of a commit", {
                    "median": "histogram_quantile(0.5, sum by (le) (rate(tonne_commit_seconds_bucket[5m])))",
                    "99 %": "histogram_quantile(0.99, sum by (le) (rate(tonne_commit_seconds_bucket[5m])))",
                }, "s", "Time of one database transaction.", steps=((None, "transparent"), (5, RED))),
                prom("Age of readings when received", {
                    "median": "histogram_quantile(0.5, sum by (le) (rate(tonne_ingest_event_lag_seconds_bucket[5m])))",
                    "99 %": "histogram_quantile(0.99, sum by (le) (rate(tonne_ingest_event_lag_seconds_bucket[5m])))",
                }, "s", "Time from the device's time stamp to receipt. Devices that send stored readings increase it, which is no fault. Values above one week are shown as one week."),
                prom("Not acknowledged", {"{{instance}}": "tonne_ingest_unacked_messages"}, "short",
                     "Messages received and not yet acknowledged, by process."),
                prom("Queue of the broker", {"queued": "max(tonne_broker_queued_messages)", "limit": "max(tonne_broker_queue_limit_messages)"}, "short",
                     "Messages queued at mosquitto, and the number it keeps while the pipeline is not connected; further messages are discarded."),
                prom("Hours until the broker's queue is full", {"hours": "tonne:broker_queue_hours_left:min"}, "suffix: h",
                     "From the growth of the last 15 minutes; no data while the queue does not grow.", steps=((None, RED), (24, "transparent"))),
                prom("Kafka records not stored", {"partition {{partition}}": "max by (partition) (tonne_stream_offset_lag)"}, "short",
                     "Records of each partition that are not stored yet; no data without Kafka."),
            ]),
            ("Account", [
                prom("Devices by state", {"{{state}}": "sum by (state) (max by (state, class) (tonne_fleet_devices))"}, "short",
                     "Registered devices by state.", stacked=True, called={state: called(state) for state in ("online", "late", "offline", "not commissioned")}),
                prom("Register events", {"{{kind}}": "sum by (kind) (increase(tonne_counter_events_total[1h]))"}, "short",
                     "Rollovers, resets, replacements and glitches in the last hour.", called=events()),
                prom("Statements by state", {"{{state}}": "max by (state) (tonne_statements_total)"}, "short",
                     "Number of statements that entered each state.", called={state: called(state) for state in ("draft", "submitted", "under_verification", "verified", "issued", "rejected", "superseded", "revoked")}),
                prom("Derived rows compared with readings", {
                    "compared devices": "sum(increase(tonne_rebuild_checked_devices_total[1d]))",
                    "rows that differ": "sum(increase(tonne_rebuild_mismatch_total[1d]))",
                }, "short", "Devices recalculated from raw readings in the last day, and rows that differ, which must be none."),
            ]),
            ("Processes", [
                prom("Requests of the API", {"{{status}}": "sum by (status) (rate(tonne_api_requests_total[5m]))"}, "suffix: /s",
                     "Requests answered, by status.", stacked=True),
                prom("Time of API requests", {
                    "99 %": "histogram_quantile(0.99, sum by (le) (rate(tonne_api_request_seconds_bucket[5m])))",
                }, "s", "99th percentile of the response time."),
                prom("Memory", {"{{job}} {{instance}}": 'process_resident_memory_bytes{job=~"tonne.*"}'}, "bytes",
                     "Resident memory of each process."),
                prom("Processor", {"{{job}} {{instance}}": 'rate(process_cpu_seconds_total{job=~"tonne.*"}[5m])'}, "percentunit",
                     "Share of one core that each process uses."),
            ]),
        ],
        since="now-6h",
        refresh="30s",
    )  # fmt: skip
