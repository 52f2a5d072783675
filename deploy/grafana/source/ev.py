"""EV charging and buses: utilisation, energy a kilometre, cost, faults, peaks."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source.boards import (
    board,
    console,
    console_address,
    devices,
    events,
    number,
    reach,
    sites,
)
from deploy.grafana.source.panels import (
    GREEN,
    ORANGE,
    RED,
    YELLOW,
    avoided,
    bars,
    money,
    series,
    serving,
    stat,
    table,
    timeline,
)

_MINE = "device_id = ANY(ARRAY[${device:sqlstring}]::text[])"
_HERE = "site = ANY(ARRAY[${site:sqlstring}]::text[])"
_PROJECTS = serving(f"SELECT id FROM device WHERE class IN ('vehicle', 'ev_charger') AND {_HERE}")
_PEAK = "extract(hour FROM tonne_clock(s.timezone, i.start)) BETWEEN (${peak_from:sqlstring})::int AND (${peak_to:sqlstring})::int - 1"
_LOAD = f"""
FROM interval_quantity i JOIN device d ON d.id = i.device_id JOIN site s ON s.id = d.site
WHERE $__timeFilter(i.start) AND i.start >= {reach(4_000)} AND i.quantity = 'energy_import' AND i.{_MINE}
"""
_REACH = " Of more than 285 chargers over two weeks the end of the range alone: 4,000 days of a charger in all."


def dashboard() -> model.Dashboard:
    """Build it."""
    return board(
        "ev", "EV charging and buses", "Chargers and the vehicles that they feed.",
        [
            ("In range", [
                stat("Charged", f"""
SELECT sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE $__timeFilter(time) AND quantity = 'energy_import' AND {_MINE}
""", "kwatth", "Energy into vehicles on the local days in range.", decimals=0, span=8),
                stat("Driven", f"""
SELECT sum(distance_km) AS distance_km FROM v_day_distance_km WHERE $__timeFilter(time) AND {_HERE}
""", "suffix: km", "Odometer steps of all vehicles at the chosen sites.", decimals=0),
                stat("Energy a kilometre", f"""
SELECT sum(energy_kwh) / nullif(sum(distance_km), 0) AS kwh_km FROM v_day_energy_per_km
WHERE $__timeFilter(time) AND kwh_per_km IS NOT NULL AND {_PROJECTS}
""", "suffix: kWh/km", "Energy of chargers over distance of vehicles, of projects at the chosen sites: whole days on which"
                     " all chargers and vehicles of the project were metered, and no others.",
                     steps=((None, GREEN), (1.5, YELLOW), (2.5, RED)), decimals=2),
                stat("In peak hours", f"""
SELECT sum(i.value) FILTER (WHERE {_PEAK})::float8 / nullif(sum(i.value), 0) AS share {_LOAD}
""", "percentunit", "Share of the charged energy drawn between the two hours typed above, local time." + _REACH,
                     steps=((None, GREEN), (0.1, YELLOW), (0.3, RED)), decimals=1),
                avoided("Avoided", _PROJECTS,
                        "Reduction of the projects of vehicles and chargers at the chosen sites, whole: what the"
                        " vehicles avoid less what the chargers draw."),
            ]),
            ("Money", [money(_MINE)]),
            ("Chargers", [
                series("Charging power and the peak", f"""
SELECT i.start AS time, sum(i.value) * 0.004 AS "charging",
       CASE WHEN {_PEAK} THEN sum(i.value) * 0.004 END AS "in peak hours" {_LOAD}
GROUP BY i.start, s.timezone ORDER BY i.start
""", "kwatt", "Mean power of quarter hours; what falls into peak hours is what shaving could move." + _REACH),
                bars("Load by hour of the day", f"""
SELECT to_char(extract(hour FROM tonne_clock(s.timezone, i.start)), 'FM00') AS hour,
       sum(i.value) * 0.004 / count(DISTINCT i.start) AS mean_kw {_LOAD}
GROUP BY 1 ORDER BY 1
""", "kwatt", "Mean charging power by hour of the site's clock: the shape that shaving would flatten." + _REACH, x="hour"),
                bars("Highest quarter hour of each day", f"""
SELECT day::text AS day, max(kw) AS peak_kw FROM (
    SELECT tonne_clock(s.timezone, i.start)::date AS day, i.start, sum(i.value) * 0.004 AS kw {_LOAD} GROUP BY 1, 2
) q GROUP BY day ORDER BY day
""", "kwatt", "The demand that a capacity tariff bills." + _REACH),
                table("Utilisation and faults", f"""
SELECT h.device_id, h.state, u.utilisation, u.busy, u.energy_kwh, CASE WHEN h.last_reading > now() - INTERVAL '1 day' THEN h.flags_last_day END AS flags,
       h.site, h.last_reading
FROM v_device_health h
LEFT JOIN (
    SELECT i.device_id, sum(i.value) * 0.001 AS energy_kwh,
           sum(i.value) * 4.0 / nullif(count(*) * max(d.rated_power_w), 0) AS utilisation,
           count(*) FILTER (WHERE i.value > 0.005 * d.rated_power_w)::float8 / count(*) AS busy {_LOAD}
    GROUP BY i.device_id
) u ON u.device_id = h.device_id
WHERE h.{_MINE} ORDER BY (h.state <> 'online') DESC, u.utilisation
""", "Utilisation: energy over rated power and time. Busy: share of quarter hours in which it charged. Flags:"
                      " readings marked as unusual in the last day. Silent chargers first." + _REACH,
                      units={"energy_kwh": "kwatth", "utilisation": "percentunit", "busy": "percentunit"},
                      decimals={"utilisation": 1, "busy": 1, "energy_kwh": 0},
                      steps={"utilisation": ((None, ORANGE), (0.05, "text"), (0.6, ORANGE))}),
                timeline("Connector states", f"""
SELECT $__timeGroup(time, '30m') AS time, device_id AS metric, max(connector_state) AS state
FROM reading_ev_charger WHERE time > greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - INTERVAL '2 days') AND time <= $__timeTo()
  AND {_MINE} AND connector_state IS NOT NULL GROUP BY 1, 2 ORDER BY 1
""", "The connector's state as the charger numbers it (its profile's document says which is a fault), the"
                         " highest of each half hour, over the last two days of the range.",
                         steps=((None, GREEN), (1, "blue"), (3, ORANGE), (4, RED)), height=7),
            ]),
            ("Buses", [
                bars("Distance by local day", f"""
SELECT day::text AS day, sum(distance_km) AS distance_km FROM v_day_distance_km
WHERE $__timeFilter(time) AND {_HERE} GROUP BY day ORDER BY day
""", "suffix: km", "Odometer steps of all vehicles at the chosen sites, by day of their clock."),
                series("Energy a kilometre by day", f"""
SELECT time, project_id AS metric, kwh_per_km FROM v_day_energy_per_km
WHERE $__timeFilter(time) AND {_PROJECTS} AND project_id IN (
    SELECT project_id FROM v_day_energy_per_km WHERE $__timeFilter(time) AND {_PROJECTS}
    GROUP BY project_id ORDER BY sum(distance_km) DESC LIMIT 8)
ORDER BY time
""", "suffix: kWh/km", "Whole days by project: what is charged at night is driven by day, so look at the trend. A gap is a day"
                       " on which a charger or a vehicle was not metered throughout. The eight projects that drove most.",
                       broken_ms=30 * 3_600_000, fill=0),
                table("Missing from the energy a kilometre", f"""
SELECT n.device_id, n.days, h.state, n.last_day, h.site, h.last_reading
FROM (
    SELECT unnest(not_metered) AS device_id, count(*) AS days, max(day)::text AS last_day FROM v_day_energy_per_km
    WHERE $__timeFilter(time) AND {_PROJECTS} GROUP BY 1
) n
LEFT JOIN v_device_health h ON h.device_id = n.device_id ORDER BY n.days DESC, n.device_id LIMIT 50
""", "Chargers and vehicles that were not metered throughout a day: on those days their project has no energy a kilometre."
                      " Most days first.",
                      links={"device_id": console("devices/${__value.raw}")}, span=24),
                table("Vehicles", f"""
SELECT h.device_id, h.state, k.km, k.km_per_day, h.site, h.last_reading
FROM v_device_health h
LEFT JOIN (SELECT device_id, sum(distance_km) AS km, avg(distance_km) AS km_per_day FROM v_day_distance_km
           WHERE $__timeFilter(time) GROUP BY device_id) k ON k.device_id = h.device_id
WHERE h.class = 'vehicle' AND h.{_HERE} ORDER BY k.km NULLS FIRST LIMIT 100
""", "Distance of each vehicle in range, for tonnes are the project's; those that did not drive, or did not report, first.",
                      units={"km": "suffix: km", "km_per_day": "suffix: km/d"},
                      decimals={"km": 0, "km_per_day": 0}, links={"device_id": console("devices/${__value.raw}")}, span=24),
            ]),
        ],
        marks=events("ev_charger", "vehicle"),
        variables=[
            sites(), devices("ev_charger", "Charger"),
            number("peak_from", "Peak from, h", "17", "First hour of the peak, local."),
            number("peak_to", "Peak to, h", "20", "End of the peak, local."),
            console_address(),
        ],
        since="now-14d",
    )  # fmt: skip
