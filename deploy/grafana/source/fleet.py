"""Dashboards of the fleet's health, and of the pipeline."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import GREEN, ORANGE, RED, YELLOW, events, text_of
from deploy.grafana.source.boards import board, console, console_address, sites
from deploy.grafana.source.panels import bars, prom, prom_stat, stat, table

_HERE = "site = ANY(ARRAY[${site:sqlstring}]::text[])"


# flags of devices with data: without data, no reading can be flagged
_FLAGS = "CASE WHEN last_reading > now() - INTERVAL '1 day' THEN flags_last_day END"


_MARKS = f"""
SELECT raised AS time, cleared AS timeend, kind || ' ' || subject AS text, severity AS tags FROM v_alarm
WHERE $__timeFilter(raised) AND severity <> 'minor' AND (site IS NULL OR {_HERE}) ORDER BY raised DESC LIMIT 300
"""


_OFF = "clock IN ('ahead', 'behind', 'drifting')"


def _count(state: str) -> str:
    return f"""
SELECT count(*) FILTER (WHERE {state}) AS devices FROM v_device_health WHERE {_HERE} HAVING count(*) > 0
"""


def dashboard() -> model.Dashboard:
    """Return the dashboard of the fleet's health."""
    return board(
        "fleet", "Fleet health", "Devices and gateways: online, late, offline, faulty.",
        [
            ("Now", [
                stat("Online", _count("state = 'online'"), "short", "The last reading is not older than twice the expected interval. This interval is 15 minutes, unless the registry states another.", steps=((None, GREEN),)),
                stat("Late", _count("state = 'late'"), "short", "No reading for longer than twice the expected interval.", steps=((None, GREEN), (1, YELLOW))),
                stat("Offline", _count("state = 'offline'"), "short", "No reading for longer than eight times the expected interval or since commissioning, or reported offline by the broker.", steps=((None, GREEN), (1, RED))),
                stat("Gateways offline", f"""
SELECT count(*) FILTER (WHERE state = 'dark') AS gateways FROM v_gateway_health WHERE {_HERE} HAVING count(*) > 0
""", "short", "Gateways of which no device reports: one cause for many devices.", steps=((None, GREEN), (1, RED))),
                stat("Clock errors", f"""
SELECT count(*) FILTER (WHERE {_OFF}) AS devices FROM v_device_health WHERE {_HERE} AND state = 'online' HAVING count(clock) > 0
""", "short", "Reporting devices whose clock is ahead, behind or drifting.", steps=((None, GREEN), (1, ORANGE))),
                stat("Flagged readings in 24 hours", f"""
SELECT sum({_FLAGS}) AS flags FROM v_device_health WHERE {_HERE}
""", "short", "Readings of the last 24 hours that a quality test flagged.", steps=((None, GREEN), (100, YELLOW))),
            ]),
            ("Alarms", [
                table("Alarms", """
SELECT id, kind, subject, severity, state, part, cost_t_per_day, since, devices, cause, acknowledged_by FROM v_alarm
WHERE cleared IS NULL AND (site IS NULL OR site = ANY(ARRAY[${site:sqlstring}]::text[]))
ORDER BY array_position(ARRAY['critical', 'major', 'minor'], severity), cost_t_per_day DESC NULLS LAST, id LIMIT 200
""", "Open alarms, one row per cause, most severe and highest loss first. Acknowledge with `tonne alarms acknowledge`."
                      " Loss: reduction not credited because of missing data.",
                      units={"cost_t_per_day": "suffix: t/d"}, decimals={"cost_t_per_day": 3},
                      links={"id": console("alarms/${__value.raw}")}, span=24),
            ]),
            ("Devices without data", [
                table("Not commissioned", f"""
SELECT h.device_id, h.site, h.class, h.gateway, h.last_reading, d.commissioned::text AS commissioned
FROM v_device_health h JOIN device d ON d.id = h.device_id
WHERE h.state = 'not commissioned' AND h.{_HERE} ORDER BY d.commissioned NULLS LAST, h.device_id LIMIT 200
""", "Devices that have not reported yet; they raise no alarm. A device is expected from its first timely reading"
                      " or from its `commissioned` day in the registry.",
                      links={"device_id": console("devices/${__value.raw}")}, span=24, height=6),
                table("Gateways", f"""
SELECT gateway, state, silent_s, devices, site, last_heard FROM v_gateway_health WHERE {_HERE}
ORDER BY (state = 'dark') DESC, last_heard NULLS FIRST LIMIT 100
""", "Check these first: an offline gateway is the cause for all its devices.", units={"silent_s": "s"}, span=10),
                table("Devices without data and lost reduction", f"""
SELECT device_id, cost_t, silent_s, gateway_state, site, class, side, gateway, last_reading, cost_t_per_day
FROM v_silence_cost WHERE {_HERE} AND device_id NOT IN (SELECT gateway FROM v_gateway_health)
ORDER BY (gateway_state IS NOT DISTINCT FROM 'dark'), cost_t DESC NULLS LAST, last_reading NULLS LAST LIMIT 200
""", "Devices without data, highest loss first; devices of an offline gateway last. Loss so far: calculated from"
                      " a baseline meter's average of four weeks or a project meter's highest plausible value, at most the"
                      " project's expected reduction.",
                      units={"silent_s": "s", "cost_t_per_day": "suffix: t/d", "cost_t": "suffix: t"},
                      decimals={"cost_t_per_day": 3, "cost_t": 3}, links={"device_id": console("devices/${__value.raw}")}, span=14),
            ]),
            ("Data quality", [
                bars("Quality flags by day", f"""
SELECT day::text AS day,
       sum(readings) FILTER (WHERE test = 'gross_range') AS gross_range, sum(readings) FILTER (WHERE test = 'spike') AS spike,
       sum(readings) FILTER (WHERE test = 'flat_line') AS flat_line,
       sum(readings) FILTER (WHERE test NOT IN ('gross_range', 'spike', 'flat_line')) AS other
FROM (
    SELECT tonne_clock(s.timezone, f.time)::date AS day, f.test, count(*) AS readings
    FROM quality_flag f JOIN device d ON d.id = f.device_id JOIN site s ON s.id = d.site
    WHERE $__timeFilter(f.time) AND d.{_HERE} GROUP BY 1, 2
) days GROUP BY day ORDER BY day
""", "short", "Unusual readings by local day and test. Flags do not change any quantity."),
                table("Most flagged", f"""
SELECT f.device_id, f.test, count(*) AS readings, f.channel, d.site, max(f.time) AS last
FROM quality_flag f JOIN device d ON d.id = f.device_id
WHERE $__timeFilter(f.time) AND d.{_HERE} GROUP BY f.device_id, f.test, f.channel, d.site ORDER BY readings DESC LIMIT 50
""", "Devices, channels and tests with the most flags in range."),
                table("Clocks", f"""
SELECT device_id, clock, clock_offset_s, clock_drift_s_per_day, site, class FROM v_device_health
WHERE {_OFF} AND state = 'online' AND {_HERE} ORDER BY abs(clock_offset_s) DESC LIMIT 100
""", "Clock offset of reporting devices. Positive: the clock is ahead. A reading more than five minutes ahead is"
     " rejected.",
                      units={"clock_offset_s": "s", "clock_drift_s_per_day": "suffix: s/d"},
                      links={"device_id": console("devices/${__value.raw}")}, decimals={"clock_drift_s_per_day": 1}),
                table("Rejected messages", """
SELECT l.reason, count(*) AS letters, l.device_id, left(l.principal, 80) AS principal, max(l.received) AS last
FROM dead_letter l WHERE $__timeFilter(l.received)
GROUP BY 1, 3, 4 ORDER BY letters DESC LIMIT 50
""", "Rejected messages received in range. `tonne deadletter show` shows one; `tonne deadletter replay` stores it after the cause is removed."),
            ]),
            ("All devices", [
                table("Devices", f"""
SELECT device_id, state, silent_s, last_reading, site, class, gateway, clock, {_FLAGS} AS flags_last_day FROM v_device_health
WHERE {_HERE} ORDER BY (state = 'online'), last_reading NULLS FIRST LIMIT 500
""", "The first 500 devices, those without data first.", units={"silent_s": "s"}, links={"device_id": console("devices/${__value.raw}")}, span=24, height=12),
            ]),
        ],
        variables=[sites(), console_address()], marks=_MARKS, named="Alarms",
    )  # fmt: skip


_UP = ((None, RED), (1, GREEN))
_WORDS = {"0": "down", "1": "up"}


def pipeline_dashboard() -> model.Dashboard:
    """Return the dashboard of the pipeline."""
    return board(
        "pipeline", "Pipeline", "From the broker to the database: rates, delays, rejected messages.",
        [
            ("Now", [
                prom_stat("Processes up", 'min(up{job=~"tonne.*"})', "short",
                          "Up when every process of tonne answers Prometheus.", steps=_UP, words=_WORDS),
                prom_stat("Database", "min(tonne_database_up)", "short",
                          "Up if the database answered the last check.", steps=_UP, words=_WORDS),
                prom_stat("Messages per second", "sum(rate(tonne_ingest_messages_total[5m]))", "short",
                          "All messages, stored and rejected, over five minutes."),
                prom_stat("Not acknowledged", "sum(tonne_ingest_unacked_messages)", "short",
                          "Messages received and not stored yet. The number normally returns to near zero every one or"
                          " two seconds.",
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
                     "Calculated from the growth of the queue in the last 15 minutes; no data while the queue does not"
                     " grow.", steps=((None, RED), (24, "transparent"))),
                prom("Kafka records not stored", {"partition {{partition}}": "max by (partition) (tonne_stream_offset_lag)"}, "short",
                     "Records of each partition that are not stored yet; no data without Kafka."),
            ]),
            ("Devices, registers and statements", [
                prom("Devices by state", {"{{state}}": "sum by (state) (max by (state, class) (tonne_fleet_devices))"}, "short",
                     "Registered devices by state.", stacked=True, texts={state: text_of(state) for state in ("online", "late", "offline", "not commissioned")}),
                prom("Register events", {"{{kind}}": "sum by (kind) (increase(tonne_counter_events_total[1h]))"}, "short",
                     "Rollovers, resets, replacements and glitches in the last hour.", texts=events()),
                prom("Statements by state", {"{{state}}": "max by (state) (tonne_statements_total)"}, "short",
                     "Number of statements that entered each state.", texts={state: text_of(state) for state in ("draft", "submitted", "under_verification", "verified", "issued", "rejected", "superseded", "revoked")}),
                prom("Derived rows compared with readings", {
                    "compared devices": "sum(increase(tonne_rebuild_checked_devices_total[1d]))",
                    "rows that differ": "sum(increase(tonne_rebuild_mismatch_total[1d]))",
                }, "short", "Number of devices recalculated from raw readings in the last day, and number of rows that"
                            " differ, which must be 0."),
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
                     "Share of one processor core that each process uses."),
            ]),
        ],
        since="now-6h",
        refresh="30s",
    )  # fmt: skip
