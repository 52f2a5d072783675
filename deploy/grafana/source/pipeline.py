"""Pipeline: rates, lag, dead letters, commit times; the processes themselves."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source.boards import board
from deploy.grafana.source.panels import GREEN, ORANGE, RED, prom, prom_stat

_UP = ((None, RED), (1, GREEN))
_WORDS = {"0": "down", "1": "up"}


def dashboard() -> model.Dashboard:
    """Build it."""
    return board(
        "pipeline", "Pipeline", "From the broker to the database: how much, how fast, what is stuck or refused.",
        [
            ("Now", [
                prom_stat("Processes up", 'min(up{job=~"tonne.*"})', "short",
                          "Up when every process of tonne answers Prometheus, down when one does not.", steps=_UP, words=_WORDS),
                prom_stat("Database", "min(tonne_database_up)", "short",
                          "Whether the database answered the last look; no data without a look.", steps=_UP, words=_WORDS),
                prom_stat("Messages a second", "sum(rate(tonne_ingest_messages_total[5m]))", "short",
                          "All messages, kept and refused, over five minutes."),
                prom_stat("Not acknowledged", "sum(tonne_ingest_unacked_messages)", "short",
                          "Received and not stored yet. It falls back to near nothing each second or two.",
                          steps=((None, GREEN), (20_000, ORANGE), (100_000, RED))),
                prom_stat("Newest reading", "time() - max(tonne_last_reading_time_seconds)", "s",
                          "Age of the newest reading in the database, by its device's clock.",
                          steps=((None, GREEN), (900, ORANGE), (3600, RED))),
                prom_stat("Log audit", 'sum(tonne_log_audit_breaks{step!="lateness"})', "short",
                          "Breaks that the last audit of the log found; anything but 0 is for the auditor.",
                          steps=((None, GREEN), (1, RED))),
            ]),
            ("Rates", [
                prom("Messages by codec", {"{{codec}} {{result}}": "sum by (codec, result) (rate(tonne_ingest_messages_total[5m]))"},
                     "suffix: /s", "Messages received, by encoding and what became of them.", stacked=True),
                prom("Rows written", {"{{table}}": "sum by (table) (rate(tonne_commit_rows_total[5m]))"},
                     "suffix: /s", "Rows that commits wrote, by table.", stacked=True),
                prom("Dead letters", {"{{reason}}": "sum by (reason) (increase(tonne_dead_letters_total[15m]))"},
                     "short", "Payloads refused and kept in the last quarter hour, by reason.", stacked=True),
                prom("Unusual readings", {"{{test}}": "sum by (test) (increase(tonne_quality_flags_total[15m]))",
                                          "late": "sum(increase(tonne_late_readings_total[15m]))"},
                     "short", "Readings marked by a quality test, and readings older than one already stored."),
            ]),
            ("Times", [
                prom("Time of a commit", {
                    "half": "histogram_quantile(0.5, sum by (le) (rate(tonne_commit_seconds_bucket[5m])))",
                    "99 %": "histogram_quantile(0.99, sum by (le) (rate(tonne_commit_seconds_bucket[5m])))",
                }, "s", "Time of one database transaction.", steps=((None, "transparent"), (5, RED))),
                prom("Age of readings when received", {
                    "half": "histogram_quantile(0.5, sum by (le) (rate(tonne_ingest_event_lag_seconds_bucket[5m])))",
                    "99 %": "histogram_quantile(0.99, sum by (le) (rate(tonne_ingest_event_lag_seconds_bucket[5m])))",
                }, "s", "Device time to receipt. Devices that send what they kept raise it; that is no fault. A week stands for a week or more."),
                prom("Not acknowledged", {"{{instance}}": "tonne_ingest_unacked_messages"}, "short",
                     "Messages received and not yet acknowledged upstream, by process."),
                prom("Waits at the broker", {"waits": "max(tonne_broker_queued_messages)", "limit": "max(tonne_broker_queue_limit_messages)"}, "short",
                     "Messages at mosquitto, as tonne watch hears it there, and how many it keeps for a pipeline that is away; it drops the rest."),
                prom("Hours until the broker's queue is full", {"hours": "tonne:broker_queue_hours_left:min"}, "suffix: h",
                     "By what was added in the last quarter hour; nothing while the queue does not grow.", steps=((None, RED), (24, "transparent"))),
                prom("Kafka records not stored", {"partition {{partition}}": "max by (partition) (tonne_stream_offset_lag)"}, "short",
                     "Each worker tells every partition of the topic, and asks Kafka every five seconds; nothing where there is no Kafka."),
            ]),
            ("Account", [
                prom("Devices by state", {"{{state}}": "sum by (state) (max by (state, class) (tonne_fleet_devices))"}, "short",
                     "Registered devices by the states of v_device_health.", stacked=True),
                prom("What registers did", {"{{kind}}": "sum by (kind) (increase(tonne_counter_events_total[1h]))"}, "short",
                     "Rollovers, resets, replacements and glitches in the last hour."),
                prom("Statements by state", {"{{state}}": "max by (state) (tonne_statements_total)"}, "short",
                     "How many statements have entered each state so far."),
                prom("Derived rows against readings", {
                    "compared devices": "sum(increase(tonne_rebuild_checked_devices_total[1d]))",
                    "rows that differ": "sum(increase(tonne_rebuild_mismatch_total[1d]))",
                }, "short", "Devices made again from raw readings in the last day, and rows that differ: none should."),
            ]),
            ("Processes", [
                prom("Requests of the API", {"{{status}}": "sum by (status) (rate(tonne_api_requests_total[5m]))"}, "suffix: /s",
                     "Requests answered, by status.", stacked=True),
                prom("Time of API requests", {
                    "99 %": "histogram_quantile(0.99, sum by (le) (rate(tonne_api_request_seconds_bucket[5m])))",
                }, "s", "Slowest hundredth of the requests."),
                prom("Memory", {"{{job}} {{instance}}": 'process_resident_memory_bytes{job=~"tonne.*"}'}, "bytes",
                     "Resident memory of each process."),
                prom("Processor", {"{{job}} {{instance}}": 'rate(process_cpu_seconds_total{job=~"tonne.*"}[5m])'}, "percentunit",
                     "Share of one core that each process uses."),
            ]),
        ],
        since="now-6h",
        refresh="30s",
    )  # fmt: skip
