"""
Dashboards of PV, and of EV charging and buses.

PV: power and irradiance, performance ratio, lowest inverters, clipping, soiling.
EV: utilisation, energy per kilometre, cost, faults, peaks.
"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import BLUE, GREEN, ORANGE, RED, YELLOW, word
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
    levels,
    money,
    series,
    serving,
    stat,
    table,
    timeline,
)

_OWN = "id = ANY(ARRAY[${device:sqlstring}]::text[])"
_MINE = "device_id = ANY(ARRAY[${device:sqlstring}]::text[])"
# a ratio above 1 means that the nameplate power is wrong, or is that of the inverter
_RATIO = ((None, RED), (0.65, ORANGE), (0.75, GREEN), (1.0, ORANGE))
_LOSS = ((None, RED), (0.9, YELLOW), (0.95, GREEN))
_SHARE = ((None, RED), (0.95, YELLOW), (0.99, GREEN))
_TREND = f"""
WITH ratios AS (
    SELECT device_id, time, performance_ratio_25 AS ratio FROM v_day_pv
    WHERE time > now() - INTERVAL '90 days' AND performance_ratio_25 IS NOT NULL AND {_MINE}
), clean AS (
    SELECT device_id, percentile_cont(0.9) WITHIN GROUP (ORDER BY ratio) AS best
    FROM ratios GROUP BY device_id HAVING count(*) >= 7
), lately AS (
    SELECT device_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY ratio) AS now
    FROM ratios WHERE time > now() - INTERVAL '8 days' GROUP BY device_id
)
SELECT device_id AS metric, now / best AS value FROM clean JOIN lately USING (device_id)
ORDER BY value LIMIT 12
"""

_SINCE, _SUN_SINCE = reach(4_000), reach(240)
_POWER = f"""
WITH metered AS (
    SELECT i.start, sum(i.value) * 0.004 AS kw, count(*) AS inverters
    FROM interval_quantity i
    WHERE $__timeFilter(i.start) AND i.start >= {_SINCE} AND i.quantity = 'energy_export' AND i.{_MINE} GROUP BY 1
), sun AS (
    SELECT q.quarter, max(q.irradiance) AS irradiance, count(e.kw) AS known,
           sum(least(e.kw, d.rated_power_w / 1000.0)) AS expected
    FROM (
        SELECT $__timeGroup(r.time, '15m') AS quarter, r.device_id, avg(CASE WHEN r.irradiance_w_m2 < 0 THEN 0 ELSE r.irradiance_w_m2 END) AS irradiance,
               avg(CASE WHEN r.irradiance_w_m2 < 0 THEN 0 ELSE r.irradiance_w_m2 END * (r.module_temperature_c - 25)) AS heat
        FROM reading_pv_inverter r WHERE $__timeFilter(r.time) AND r.time >= {_SUN_SINCE} AND r.{_MINE} GROUP BY 1, 2
    ) q
    JOIN device d ON d.id = q.device_id
    LEFT JOIN v_device_array a ON a.device_id = q.device_id AND q.quarter >= a.begins AND q.quarter < a.ends
    CROSS JOIN LATERAL (
        SELECT tonne_pv_expected_kwh(a.dc_power_w / 1000.0, q.irradiance, q.heat, a.temperature_coefficient_percent) AS kw
    ) e
    GROUP BY 1
), clear AS (
    SELECT c.time, sum(c.kw) AS kw, count(*) AS inverters FROM v_clear_sky_power c
    WHERE $__timeFilter(c.time) AND c.time >= {_SUN_SINCE} AND c.day BETWEEN ({_SUN_SINCE})::date AND ($__timeTo())::timestamptz::date
      AND c.{_MINE} GROUP BY 1
)
SELECT m.start AS time, m.kw AS "«power»", CASE WHEN s.known >= m.inverters THEN s.expected END AS "«expected»",
       CASE WHEN c.inverters >= m.inverters THEN c.kw END AS "«clear sky»", s.irradiance AS "«irradiance»"
FROM metered m LEFT JOIN sun s ON s.quarter = m.start LEFT JOIN clear c ON c.time = m.start ORDER BY 1
"""


def dashboard() -> model.Dashboard:
    """Return the dashboard of PV plants."""
    return board(
        "pv", "PV", "PV plants: irradiance, energy, performance ratio, losses.",
        [
            ("Now", [
                stat("Energy in range", f"""
SELECT sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE $__timeFilter(time) AND quantity = 'energy_export' AND {_MINE}
""", "kwatth", "Metered energy of the local days in range.", decimals=0),
                stat("Performance ratio", f"""
SELECT sum(energy_kwh) / sum(reference_kwh) AS ratio FROM v_day_pv
WHERE $__timeFilter(time) AND performance_ratio IS NOT NULL AND {_MINE}
""", "percentunit", "IEC 61724-1: energy over insolation times nameplate of the modules (`dc_power_w`), whole days"
                     " with 8 hours of measured sun. Inverters without a nameplate in the registry are excluded.",
                     steps=_RATIO, decimals=1),
                stat("Performance ratio at 25 °C", f"""
SELECT sum(energy_kwh) / sum(reference_25_kwh) AS ratio FROM v_day_pv
WHERE $__timeFilter(time) AND performance_ratio_25 IS NOT NULL AND {_MINE}
""", "percentunit", "IEC 61724-1: performance ratio with the nameplate power corrected to the temperature of the"
                    " modules, so that hot and cool months can be compared. Requires `temperature_coefficient_percent`"
                    " and a module temperature sensor.",
                     steps=_RATIO, decimals=1),
                stat("Specific yield per day", f"""
SELECT avg(yield_h) AS yield_h FROM v_day_pv WHERE $__timeFilter(time) AND {_MINE}
""", "suffix: kWh/kW", "Energy divided by the nameplate power of the modules; mean of the days and inverters in the range.", decimals=2),
                stat("Availability", f"""
SELECT avg(availability) AS availability FROM v_day_pv WHERE $__timeFilter(time) AND {_MINE}
""", "percentunit", "By time (IEC TS 63019): share of the measured time with 100 W/m² or more in which an inverter delivered"
                     " power. Time without data is excluded.", steps=_SHARE, decimals=2),
                stat("Energy availability", f"""
SELECT sum(energy_kwh) / sum(energy_kwh / energy_availability) AS availability FROM v_day_pv
WHERE $__timeFilter(time) AND energy_availability > 0 AND {_MINE}
""", "percentunit", "By energy: energy delivered, divided by the sum of energy delivered and the expected energy of"
                    " inverters that stood still in daylight.",
                     steps=_SHARE, decimals=2),
                stat("Clipped hours", f"""
SELECT sum(clipped_h) AS clipped_h FROM v_day_pv WHERE $__timeFilter(time) AND {_MINE}
""", "suffix: h", "Hours in which inverters ran at 98 % of rated power or more, so that part of the irradiance was not"
                  " used.",
                     steps=((None, GREEN), (10, YELLOW)), decimals=1),
                avoided("Avoided in range", serving("SELECT unnest(ARRAY[${device:sqlstring}]::text[])"),
                        "Reduction of the whole projects to which the chosen inverters belong."),
                stat("Not reporting", f"""
SELECT count(*) FILTER (WHERE state IN ('late', 'offline')) AS inverters FROM v_device_health
WHERE {_MINE} HAVING count(*) > 0
""", "short", "Inverters without a reading for longer than twice the expected interval; many switch off at night.",
                     steps=((None, GREEN), (1, YELLOW))),
            ]),
            ("Power", [
                series("Power, expected power and irradiance", _POWER, "kwatt",
                       "Metered power of 15-minute intervals; expected power by PVWatts from measured irradiance, nameplate, module"
                       " temperature and 14 % losses; and the power under a clear sky at 25 °C. Expected and clear sky need nameplate,"
                       " tilt and sensors of every chosen inverter. For many inverters only the end of the range is shown."
                       " Irradiance is on the right axis.",
                       right={word("irradiance"): "suffix: W/m²"}, span=24, height=9),
            ]),
            ("By day", [
                bars("Energy by local day", f"""
SELECT day::text AS day, sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE $__timeFilter(time) AND quantity = 'energy_export' AND {_MINE} GROUP BY day ORDER BY day
""", "kwatth", "By local day of the site, of 23, 24 or 25 hours."),
                series("Performance ratio by day", f"""
SELECT time, device_id AS metric, performance_ratio FROM v_day_pv
WHERE $__timeFilter(time) AND performance_ratio IS NOT NULL AND device_id IN (
    SELECT device_id FROM v_day_pv WHERE time > now() - INTERVAL '15 days' AND {_MINE}
    GROUP BY device_id ORDER BY avg(performance_ratio) LIMIT 8)
ORDER BY time
""", "percentunit", "The eight inverters with the lowest performance ratio in the last two weeks.",
                       broken_ms=50 * 3_600_000, fill=0),
                bars("Clipped hours by day", f"""
SELECT day::text AS day, sum(clipped_h) AS clipped_h FROM v_day_pv
WHERE $__timeFilter(time) AND {_MINE} GROUP BY day ORDER BY day
""", "suffix: h", "Hours at 98 % of rated power or more, sum of the chosen inverters."),
                levels("Soiling and ageing", _TREND, "percentunit",
                       "Median performance ratio at 25 °C of the last week, divided by the 90th percentile of the"
                       " inverter's last three months; the lowest twelve. Soiling appears as a slow decrease that rain"
                       " ends.", steps=_LOSS, span=12, high=1.1),
                bars("Losses by day", f"""
SELECT day::text AS day, sum(standing_kwh) AS standing, sum(clipped_kwh) AS clipped, sum(other_kwh) AS other
FROM v_day_pv WHERE $__timeFilter(time) AND expected_kwh IS NOT NULL AND {_MINE} GROUP BY day ORDER BY day
""", "kwatth", "Energy below the expected energy: standstill, irradiance above the rating, and other causes (soiling, shading,"
                     " strings, sensors). Only inverters whose nameplate, temperature coefficient and sensors are known."),
                timeline("Each inverter compared with its plant", f"""
WITH days AS (
    SELECT device_id, site, dc_known, day, time, peer_yield_h FROM v_day_pv WHERE $__timeFilter(time) AND {_MINE}
), typical AS (
    SELECT site, dc_known, day, percentile_cont(0.5) WITHIN GROUP (ORDER BY peer_yield_h) AS yield_h
    FROM days GROUP BY site, dc_known, day HAVING count(*) >= 3
), held AS (
    SELECT d.time, d.device_id, d.peer_yield_h / t.yield_h AS share
    FROM days d JOIN typical t ON t.site = d.site AND t.dc_known = d.dc_known AND t.day = d.day AND t.yield_h > 0.2
), worst AS (
    SELECT device_id FROM held GROUP BY device_id ORDER BY avg(share) LIMIT 30
)
SELECT time, device_id AS metric, share FROM held WHERE device_id IN (SELECT device_id FROM worst) ORDER BY time
""", "Daily yield divided by that of the plant's median inverter; the thirty lowest. Plants with fewer than three inverters are not shown.",
                         unit="percentunit", steps=((None, RED), (0.85, ORANGE), (0.95, GREEN)), span=12),
            ]),
            ("Energy costs", [money(_MINE)]),
            ("Inverters", [
                table("Inverters, lowest yield first", f"""
WITH recent AS (
    SELECT p.device_id, p.site, p.dc_known, sum(p.energy_kwh) AS energy_kwh, avg(p.yield_h) AS yield_h, avg(p.peer_yield_h) AS peer_h,
           avg(p.availability) AS availability, max(p.no_ratio) AS no_ratio,
           sum(p.energy_kwh) FILTER (WHERE p.performance_ratio IS NOT NULL)
               / sum(p.reference_kwh) FILTER (WHERE p.performance_ratio IS NOT NULL) AS performance_ratio,
           sum(p.energy_kwh) FILTER (WHERE p.performance_ratio_25 IS NOT NULL)
               / sum(p.reference_25_kwh) FILTER (WHERE p.performance_ratio_25 IS NOT NULL) AS performance_ratio_25
    FROM v_day_pv p WHERE p.time > now() - INTERVAL '8 days' AND p.{_MINE} GROUP BY 1, 2, 3
), typical AS (
    SELECT site, dc_known, percentile_cont(0.5) WITHIN GROUP (ORDER BY peer_h) AS yield_h FROM recent GROUP BY 1, 2
    HAVING count(*) >= 3
)
SELECT h.device_id, r.peer_h / nullif(t.yield_h, 0) - 1 AS against_site, r.performance_ratio, r.performance_ratio_25, r.availability,
       CASE WHEN r.performance_ratio IS NULL THEN r.no_ratio END AS no_ratio, h.state, r.yield_h, r.energy_kwh, h.site, h.last_reading
FROM v_device_health h
LEFT JOIN recent r ON r.device_id = h.device_id
LEFT JOIN typical t ON t.site = h.site AND t.dc_known = r.dc_known
WHERE h.{_MINE}
ORDER BY (r.device_id IS NOT NULL), r.peer_h / nullif(t.yield_h, 0) NULLS LAST, r.performance_ratio NULLS LAST, h.device_id LIMIT 50
""", "The last seven days: difference from the median inverter of the same plant (with three or more inverters),"
     " performance ratios, availability, yield by nameplate power of the modules. Inverters without data come first. If"
     " there is no performance ratio, the reason is given.",
                      units={"energy_kwh": "kwatth", "yield_h": "suffix: kWh/kW/d", "performance_ratio": "percentunit",
                             "performance_ratio_25": "percentunit", "availability": "percentunit", "against_site": "percentunit"},
                      decimals={"against_site": 1, "performance_ratio": 1, "performance_ratio_25": 1, "availability": 1, "yield_h": 2},
                      steps={"against_site": ((None, RED), (-0.15, ORANGE), (-0.05, "text")),
                             "performance_ratio": _RATIO, "performance_ratio_25": _RATIO, "availability": _SHARE},
                      links={"device_id": console("devices/${__value.raw}")},
                      span=24, height=10),
                table("Losses, highest first", f"""
SELECT l.device_id, l.lost_kwh, l.lost_kwh * r.t_per_kwh AS lost_t,
       CASE WHEN l.lost_kwh > 0 THEN CASE greatest(l.standing, l.clipped, l.other) WHEN l.standing THEN '«standstill»' WHEN l.clipped THEN '«clipped»'
           ELSE '«soiling, shading, strings»' END END AS cause,
       l.standing / nullif(l.lost_kwh, 0) AS standing_share, l.clipped / nullif(l.lost_kwh, 0) AS clipped_share, l.days
FROM (
    SELECT device_id, sum(standing_kwh) AS standing, sum(clipped_kwh) AS clipped, sum(other_kwh) AS other, count(*) AS days,
           sum(standing_kwh + clipped_kwh + other_kwh) AS lost_kwh
    FROM v_day_pv WHERE $__timeFilter(time) AND expected_kwh IS NOT NULL AND {_MINE} GROUP BY device_id
) l
LEFT JOIN LATERAL (
    SELECT one.t_per_kwh FROM v_pv_rate one
    WHERE one.device_id = l.device_id AND one.t_per_kwh IS NOT NULL ORDER BY one.project_id LIMIT 1
) r ON true
ORDER BY l.lost_kwh DESC LIMIT 50
""", "Energy below the expected energy over the local days in range, and its largest " "cause. Tonnes: the reduction that this energy would have achieved at the " "project's rate of the last 28 days. An estimate; not included in any account.",
                      units={"lost_kwh": "kwatth", "lost_t": "suffix: t", "standing_share": "percentunit", "clipped_share": "percentunit"},
                      decimals={"lost_kwh": 0, "lost_t": 3, "standing_share": 0, "clipped_share": 0},
                      links={"device_id": console("devices/${__value.raw}")},
                      span=24, height=8),
                table("Degradation and soiling of each inverter", f"""
SELECT d.id::text AS device_id, t.percent_per_year, t.soiling_percent,
       CASE WHEN t.percent_per_year IS NULL THEN '«less than two years of data»' END AS why_none,
       CASE WHEN t.soiling_percent IS NULL THEN CASE t.soiling_missing WHEN 'gaps' THEN '«too many days without a ratio»'
           WHEN 'unclear' THEN '«no clear soiling rate»' ELSE '«less than one year of data»' END END AS why_no_soiling,
       t.low, t.high, t.soiling_low, t.soiling_high, t.first_day::text AS first_day, t.last_day::text AS last_day, t.pairs
FROM device d LEFT JOIN pv_trend t ON t.device_id = d.id
WHERE d.{_OWN} ORDER BY t.percent_per_year, d.id LIMIT 50
""", "Annual change of the performance ratio at 25 °C: median of pairs of days one year apart, with its 95 %"
     " confidence interval. Modules normally lose about 0.5 % a year. Soiling: share of energy lost to dust, by the"
     " stochastic rate and recovery (SRR) method, with its 95 % confidence interval. Calculated daily.",
                      units={"percent_per_year": "suffix: %/a", "low": "suffix: %/a", "high": "suffix: %/a",
                             "soiling_percent": "suffix: %", "soiling_low": "suffix: %", "soiling_high": "suffix: %"},
                      decimals={"percent_per_year": 2, "low": 2, "high": 2, "soiling_percent": 2, "soiling_low": 2, "soiling_high": 2},
                      links={"device_id": console("devices/${__value.raw}")},
                      span=24, height=8),
            ]),
        ],
        variables=[sites(), devices("pv_inverter", "Inverter"), console_address()],
        marks=events("pv_inverter", device="device"),
        since="now-14d",
    )  # fmt: skip


_EV_MINE = "device_id = ANY(ARRAY[${device:sqlstring}]::text[])"
_HERE = "site = ANY(ARRAY[${site:sqlstring}]::text[])"
_PROJECTS = serving(f"SELECT id FROM device WHERE class IN ('vehicle', 'ev_charger') AND {_HERE}")
_PEAK = "extract(hour FROM tonne_clock(s.timezone, i.start)) BETWEEN (${peak_from:sqlstring})::int AND (${peak_to:sqlstring})::int - 1"
_LOAD = f"""
FROM interval_quantity i JOIN device d ON d.id = i.device_id JOIN site s ON s.id = d.site
WHERE $__timeFilter(i.start) AND i.start >= {reach(4_000)} AND i.quantity = 'energy_import' AND i.{_MINE}
"""
_REACH = (
    " With many chargers, only the latest part of the time range "
    "is included (at most 4,000 charger-days)."
)


def ev_dashboard() -> model.Dashboard:
    """Return the dashboard of EV charging and buses."""
    return board(
        "ev", "EV charging and buses", "Chargers and the vehicles they supply.",
        [
            ("In range", [
                stat("Energy charged", f"""
SELECT sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE $__timeFilter(time) AND quantity = 'energy_import' AND {_MINE}
""", "kwatth", "Energy delivered to vehicles on the local days in range.", decimals=0, span=8),
                stat("Distance driven", f"""
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
            ("Energy costs", [money(_EV_MINE)]),
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
""", "kwatt", "Peak demand, for which a capacity tariff charges." + _REACH),
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
""", "Status code of the connector as sent by the charger (meaning: see the document of its profile): highest code of"
     " each half hour, over the last two days of the range.",
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
