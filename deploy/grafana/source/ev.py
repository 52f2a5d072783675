"""Dashboard of EV charging and buses: utilisation, energy per kilometre, cost, faults, peaks."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import BLUE, GREEN, ORANGE, RED, YELLOW
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
_REACH = " For many chargers only the end of the range is included (4,000 charger days)."


def dashboard() -> model.Dashboard:
    """Return the dashboard of EV charging and buses."""
    return board(
        "ev", "EV charging and buses", "Chargers and the vehicles they supply.",
        [
            ("In range", [
                stat("Charged", f"""
SELECT sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE $__timeFilter(time) AND quantity = 'energy_import' AND {_MINE}
""", "kwatth", "Energy delivered to vehicles on the local days in range.", decimals=0, span=8),
                stat("Driven", f"""
SELECT sum(distance_km) AS distance_km FROM v_day_distance_km WHERE $__timeFilter(time) AND {_HERE}
""", "suffix: km", "Distance by the odometers of all vehicles at the chosen sites.", decimals=0),
                stat("Energy per kilometre", f"""
SELECT sum(energy_kwh) / nullif(sum(distance_km), 0) AS kwh_km FROM v_day_energy_per_km
WHERE $__timeFilter(time) AND kwh_per_km IS NOT NULL AND {_PROJECTS}
""", "suffix: kWh/km", "Energy of chargers divided by distance of vehicles, of projects at the chosen sites. Only whole days on which"
                     " all chargers and vehicles of the project were metered.",
                     steps=((None, GREEN), (1.5, YELLOW), (2.5, RED)), decimals=2),
                stat("In peak hours", f"""
SELECT sum(i.value) FILTER (WHERE {_PEAK})::float8 / nullif(sum(i.value), 0) AS share {_LOAD}
""", "percentunit", "Share of the charged energy that was drawn in the peak hours chosen above, local time." + _REACH,
                     steps=((None, GREEN), (0.1, YELLOW), (0.3, RED)), decimals=1),
                avoided("Avoided", _PROJECTS,
                        "Reduction of the whole projects of vehicles and chargers at the chosen sites: baseline emissions of the"
                        " vehicles less emissions of the electricity charged."),
            ]),
            ("Energy costs", [money(_MINE)]),
            ("Chargers", [
                series("Charging power and the peak", f"""
SELECT i.start AS time, sum(i.value) * 0.004 AS "«charging»",
       CASE WHEN {_PEAK} THEN sum(i.value) * 0.004 END AS "«in peak hours»" {_LOAD}
GROUP BY i.start, s.timezone ORDER BY i.start
""", "kwatt", "Mean power of 15-minute intervals. Load in peak hours could be shifted." + _REACH),
                bars("Load by hour of the day", f"""
SELECT to_char(extract(hour FROM tonne_clock(s.timezone, i.start)), 'FM00') AS hour,
       sum(i.value) * 0.004 / count(DISTINCT i.start) AS mean_kw {_LOAD}
GROUP BY 1 ORDER BY 1
""", "kwatt", "Mean charging power by local hour." + _REACH, x="hour"),
                bars("Highest 15-minute interval of each day", f"""
SELECT day::text AS day, max(kw) AS peak_kw FROM (
    SELECT tonne_clock(s.timezone, i.start)::date AS day, i.start, sum(i.value) * 0.004 AS kw {_LOAD} GROUP BY 1, 2
) q GROUP BY day ORDER BY day
""", "kwatt", "Demand that a capacity tariff charges." + _REACH),
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
""", "Utilisation: energy divided by rated power and time. Busy: share of 15-minute intervals with charging. Flags:"
                      " unusual readings of the last day. Chargers without data first." + _REACH,
                      units={"energy_kwh": "kwatth", "utilisation": "percentunit", "busy": "percentunit"},
                      decimals={"utilisation": 1, "busy": 1, "energy_kwh": 0},
                      steps={"utilisation": ((None, ORANGE), (0.05, "text"), (0.6, ORANGE))}),
                timeline("Connector states", f"""
SELECT $__timeGroup(time, '30m') AS time, device_id AS metric, max(connector_state) AS state
FROM reading_ev_charger WHERE time > greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - INTERVAL '2 days') AND time <= $__timeTo()
  AND {_MINE} AND connector_state IS NOT NULL GROUP BY 1, 2 ORDER BY 1
""", "State of the connector by the charger's own number (see the document of its profile), the highest of each"
                         " half hour, over the last two days of the range.",
                         steps=((None, GREEN), (1, BLUE), (3, ORANGE), (4, RED)), height=7),
            ]),
            ("Buses", [
                bars("Distance by local day", f"""
SELECT day::text AS day, sum(distance_km) AS distance_km FROM v_day_distance_km
WHERE $__timeFilter(time) AND {_HERE} GROUP BY day ORDER BY day
""", "suffix: km", "Distance by the odometers of all vehicles at the chosen sites, by local day."),
                series("Energy per kilometre by day", f"""
SELECT time, project_id AS metric, kwh_per_km FROM v_day_energy_per_km
WHERE $__timeFilter(time) AND {_PROJECTS} AND project_id IN (
    SELECT project_id FROM v_day_energy_per_km WHERE $__timeFilter(time) AND {_PROJECTS}
    GROUP BY project_id ORDER BY sum(distance_km) DESC LIMIT 8)
ORDER BY time
""", "suffix: kWh/km", "Whole days by project. Energy charged at night is used the next day, so compare trends. A gap is a day"
                       " on which a charger or vehicle was not fully metered. The eight projects with the longest distance.",
                       broken_ms=30 * 3_600_000, fill=0),
                table("Not included in energy per kilometre", f"""
SELECT n.device_id, n.days, h.state, n.last_day, h.site, h.last_reading
FROM (
    SELECT unnest(not_metered) AS device_id, count(*) AS days, max(day)::text AS last_day FROM v_day_energy_per_km
    WHERE $__timeFilter(time) AND {_PROJECTS} GROUP BY 1
) n
LEFT JOIN v_device_health h ON h.device_id = n.device_id ORDER BY n.days DESC, n.device_id LIMIT 50
""", "Chargers and vehicles that were not fully metered on a day: on those days their project has no energy per"
                      " kilometre. Most days first.",
                      links={"device_id": console("devices/${__value.raw}")}, span=24),
                table("Vehicles", f"""
SELECT h.device_id, h.state, k.km, k.km_per_day, h.site, h.last_reading
FROM v_device_health h
LEFT JOIN (SELECT device_id, sum(distance_km) AS km, avg(distance_km) AS km_per_day FROM v_day_distance_km
           WHERE $__timeFilter(time) GROUP BY device_id) k ON k.device_id = h.device_id
WHERE h.class = 'vehicle' AND h.{_HERE} ORDER BY k.km NULLS FIRST LIMIT 100
""", "Distance of each vehicle in range; vehicles without distance or data first. Tonnes are calculated by project.",
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
