"""Fleet health: which devices report, clock errors, flagged readings and rejected messages."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source.boards import board, console, console_address, sites
from deploy.grafana.source.panels import GREEN, ORANGE, RED, YELLOW, bars, stat, table

_HERE = "site = ANY(ARRAY[${site:sqlstring}]::text[])"


# of a device without data it is not known whether anything would have been flagged
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
    """Build it."""
    return board(
        "fleet", "Fleet health", "Devices and gateways: reporting, late, offline, faulty.",
        [
            ("Now", [
                stat("Online", _count("state = 'online'"), "short", "Heard within twice the time that is expected between readings: half an hour, unless its registry entry says otherwise.", steps=((None, GREEN),)),
                stat("Late", _count("state = 'late'"), "short", "Silent for longer than twice the expected time between readings.", steps=((None, GREEN), (1, YELLOW))),
                stat("Offline", _count("state = 'offline'"), "short", "Silent for longer than eight times the expected time between readings, said to be offline by its broker, or not heard since its commissioning day.", steps=((None, GREEN), (1, RED))),
                stat("Gateways offline", f"""
SELECT count(*) FILTER (WHERE state = 'dark') AS gateways FROM v_gateway_health WHERE {_HERE} HAVING count(*) > 0
""", "short", "Gateways behind which no device reports: one cause for many devices.", steps=((None, GREEN), (1, RED))),
                stat("Clock errors", f"""
SELECT count(*) FILTER (WHERE {_OFF}) AS devices FROM v_device_health WHERE {_HERE} AND state = 'online' HAVING count(clock) > 0
""", "short", "Reporting devices whose clock is ahead, behind or drifting (docs/quality.md).", steps=((None, GREEN), (1, ORANGE))),
                stat("Flags in a day", f"""
SELECT sum({_FLAGS}) AS flags FROM v_device_health WHERE {_HERE}
""", "short", "Readings of the last 24 hours that a quality test marked.", steps=((None, GREEN), (100, YELLOW))),
            ]),
            ("Alarms", [
                table("Alarms", """
SELECT id, kind, subject, severity, state, part, cost_t_per_day, since, devices, cause, acknowledged_by FROM v_alarm
WHERE cleared IS NULL AND (site IS NULL OR site = ANY(ARRAY[${site:sqlstring}]::text[]))
ORDER BY array_position(ARRAY['critical', 'major', 'minor'], severity), cost_t_per_day DESC NULLS LAST, id LIMIT 200
""", "What is wrong now by the rules of docs/operations.md, one row a cause, most severe and highest cost first: acknowledge with"
                      " `tonne alarms acknowledge`. A cost is that of silence, by the rule of the project.",
                      units={"cost_t_per_day": "suffix: t/d"}, decimals={"cost_t_per_day": 3},
                      links={"id": console("alarms/${__value.raw}")}, span=24),
            ]),
            ("Silent", [
                table("Not commissioned", f"""
SELECT h.device_id, h.site, h.class, h.gateway, h.last_reading, d.commissioned::text AS commissioned
FROM v_device_health h JOIN device d ON d.id = h.device_id
WHERE h.state = 'not commissioned' AND h.{_HERE} ORDER BY d.commissioned NULLS LAST, h.device_id LIMIT 200
""", "Devices that have not reported yet: their silence is no alarm. Each is expected from its first reading on that comes"
                      " on time, or from the day that the registry names as `commissioned`. A last reading is from a file of earlier days.",
                      links={"device_id": console("devices/${__value.raw}")}, span=24, height=6),
                table("Gateways", f"""
SELECT gateway, state, silent_s, devices, site, last_heard FROM v_gateway_health WHERE {_HERE}
ORDER BY (state = 'dark') DESC, last_heard NULLS FIRST LIMIT 100
""", "Look here first: a dark gateway explains every device behind it.", units={"silent_s": "s"}, span=10),
                table("Silent devices and what they cost", f"""
SELECT device_id, cost_t, silent_s, gateway_state, site, class, side, gateway, last_reading, cost_t_per_day
FROM v_silence_cost WHERE {_HERE} AND device_id NOT IN (SELECT gateway FROM v_gateway_health)
ORDER BY (gateway_state IS NOT DISTINCT FROM 'dark'), cost_t DESC NULLS LAST, last_reading NULLS LAST LIMIT 200
""", "Devices that do not report on their own first, highest cost on top; those behind an offline gateway last."
                      " Cost so far by the rule of the device's project: a meter of the baseline what it avoided on"
                      " average over four weeks, one of the project's side the highest plausible value, a project together"
                      " at most what was expected of it in that time.",
                      units={"silent_s": "s", "cost_t_per_day": "suffix: t/d", "cost_t": "suffix: t"},
                      decimals={"cost_t_per_day": 3, "cost_t": 3}, links={"device_id": console("devices/${__value.raw}")}, span=14),
            ]),
            ("Wrong", [
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
""", "short", "Readings marked as unusual, by local day and test (docs/quality.md). Flags change no quantity."),
                table("Most flagged", f"""
SELECT f.device_id, f.test, count(*) AS readings, f.channel, d.site, max(f.time) AS last
FROM quality_flag f JOIN device d ON d.id = f.device_id
WHERE $__timeFilter(f.time) AND d.{_HERE} GROUP BY f.device_id, f.test, f.channel, d.site ORDER BY readings DESC LIMIT 50
""", "Device, channel and test with the most flags in range."),
                table("Clocks", f"""
SELECT device_id, clock, clock_offset_s, clock_drift_s_per_day, site, class FROM v_device_health
WHERE {_OFF} AND state = 'online' AND {_HERE} ORDER BY abs(clock_offset_s) DESC LIMIT 100
""", "Of reporting devices. Ahead is above zero. A reading more than five minutes ahead is refused.",
                      units={"clock_offset_s": "s", "clock_drift_s_per_day": "suffix: s/d"},
                      links={"device_id": console("devices/${__value.raw}")}, decimals={"clock_drift_s_per_day": 1}),
                table("Refused messages", """
SELECT l.reason, count(*) AS letters, l.device_id, left(l.principal, 80) AS principal, max(l.received) AS last
FROM dead_letter l WHERE $__timeFilter(l.received)
GROUP BY 1, 3, 4 ORDER BY letters DESC LIMIT 50
""", "Dead letters received in range: `tonne deadletter show` reads one, `replay` stores what can be after the cause is gone."),
            ]),
            ("All", [
                table("Devices", f"""
SELECT device_id, state, silent_s, last_reading, site, class, gateway, clock, {_FLAGS} AS flags_last_day FROM v_device_health
WHERE {_HERE} ORDER BY (state = 'online'), last_reading NULLS FIRST LIMIT 500
""", "The first 500, silent ones on top.", units={"silent_s": "s"}, links={"device_id": console("devices/${__value.raw}")}, span=24, height=12),
            ]),
        ],
        variables=[sites(), console_address()], marks=_MARKS, named="Alarms",
    )  # fmt: skip
