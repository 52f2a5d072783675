"""PV: power against the sun, performance ratio, the worst inverters, clipping, soiling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.grafana.source.boards import board, console, console_address, devices, sites
from deploy.grafana.source.panels import (
    GREEN,
    ORANGE,
    RED,
    YELLOW,
    avoided,
    bars,
    levels,
    series,
    serving,
    stat,
    table,
)

if TYPE_CHECKING:
    from grafana_foundation_sdk.models import dashboard as model

_MINE = "device_id = ANY(ARRAY[${device:sqlstring}]::text[])"
# above 1 the nameplate is wrong, or is the inverter's: that is no good news
_RATIO = ((None, RED), (0.65, ORANGE), (0.75, GREEN), (1.0, ORANGE))
_LOSS = ((None, RED), (0.9, YELLOW), (0.95, GREEN))
_TREND = f"""
WITH ratios AS (
    SELECT device_id, time, performance_ratio FROM v_day_pv
    WHERE time > now() - INTERVAL '90 days' AND performance_ratio IS NOT NULL AND {_MINE}
), clean AS (
    SELECT device_id, percentile_cont(0.9) WITHIN GROUP (ORDER BY performance_ratio) AS best
    FROM ratios GROUP BY device_id HAVING count(*) >= 7
), lately AS (
    SELECT device_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY performance_ratio) AS now
    FROM ratios WHERE time > now() - INTERVAL '8 days' GROUP BY device_id
)
SELECT device_id AS metric, now / best AS value FROM clean JOIN lately USING (device_id)
ORDER BY value LIMIT 12
"""


def dashboard() -> model.Dashboard:
    """Build it."""
    return board(
        "pv", "PV", "Rooftop PV of the industrial estates: what the sun offers and what comes of it.",
        [
            ("Now", [
                stat("Energy in range", f"""
SELECT sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE $__timeFilter(time) AND quantity = 'energy_export' AND {_MINE}
""", "kwatth", "Metered energy of the local days in the chosen range.", decimals=0),
                stat("Performance ratio", f"""
SELECT sum(energy_kwh) / sum(reference_kwh) AS ratio FROM v_day_pv
WHERE $__timeFilter(time) AND performance_ratio IS NOT NULL AND {_MINE}
""", "percentunit", "IEC 61724-1: energy over insolation times nameplate, whole days with 8 hours of"
                     " measured sun. By the panels' nameplate (`attributes.dc_power_w`); where the registry"
                     " lacks it by the inverter's, which shows a plant with more panels above its true ratio.",
                     steps=_RATIO, decimals=1),
                stat("Yield a day", f"""
SELECT avg(yield_h) AS yield_h FROM v_day_pv WHERE $__timeFilter(time) AND {_MINE}
""", "suffix: kWh/kW", "Energy by nameplate of the panels, or of the inverter where that is not known; mean of the days and inverters in range.", decimals=2),
                stat("Clipped", f"""
SELECT sum(clipped_h) AS clipped_h FROM v_day_pv WHERE $__timeFilter(time) AND {_MINE}
""", "suffix: h", "Hours of inverters at 98 % of their rated power or more: sun that was not taken.",
                     steps=((None, GREEN), (10, YELLOW)), decimals=1),
                avoided("Avoided in range", serving("SELECT unnest(ARRAY[${device:sqlstring}]::text[])"),
                        "Metered reduction of the projects that the chosen inverters serve, whole."),
                stat("Not heard", f"""
SELECT count(*) FILTER (WHERE state <> 'online') AS inverters FROM v_device_health
WHERE {_MINE} HAVING count(*) > 0
""", "short", "Inverters without a reading for longer than twice the expected time between two; many sleep at night.",
                     steps=((None, GREEN), (1, YELLOW))),
            ]),
            ("Power", [
                series("Power against expected and irradiance", f"""
SELECT i.start AS time, sum(i.value) * 0.004 AS "power",
       max(s.irradiance) / 1000 * sum(d.rated_power_w) FILTER (WHERE s.irradiance IS NOT NULL) / 1000 * 0.8 AS "expected",
       max(s.irradiance) AS "irradiance"
FROM interval_quantity i
JOIN device d ON d.id = i.device_id
LEFT JOIN (
    SELECT $__timeGroup(r.time, '15m') AS quarter, avg(r.irradiance_w_m2) AS irradiance
    FROM reading_pv_inverter r WHERE $__timeFilter(r.time) AND r.{_MINE} GROUP BY 1
) s ON s.quarter = i.start
WHERE $__timeFilter(i.start) AND i.quantity = 'energy_export' AND i.{_MINE}
GROUP BY i.start ORDER BY i.start
""", "kwatt", "Metered power of quarter hours beside what the measured irradiance should give at a"
                       " performance ratio of 0.8. Irradiance on the right axis.",
                       right={"irradiance": "suffix: W/m²"}, span=24, height=9),
            ]),
            ("By day", [
                bars("Energy by local day", f"""
SELECT day::text AS day, sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE $__timeFilter(time) AND quantity = 'energy_export' AND {_MINE} GROUP BY day ORDER BY day
""", "kwatth", "By day of the site's own clock, of 23, 24 or 25 hours."),
                series("Performance ratio by day", f"""
SELECT time, device_id AS metric, performance_ratio FROM v_day_pv
WHERE $__timeFilter(time) AND performance_ratio IS NOT NULL AND device_id IN (
    SELECT device_id FROM v_day_pv WHERE time > now() - INTERVAL '15 days' AND {_MINE}
    GROUP BY device_id ORDER BY avg(performance_ratio) LIMIT 8)
ORDER BY time
""", "percentunit", "The eight inverters with the lowest ratio of the last two weeks.",
                       broken_ms=50 * 3_600_000, fill=0),
                bars("Clipped hours by day", f"""
SELECT day::text AS day, sum(clipped_h) AS clipped_h FROM v_day_pv
WHERE $__timeFilter(time) AND {_MINE} GROUP BY day ORDER BY day
""", "suffix: h", "Hours at 98 % of rated power or more, all chosen inverters together."),
                levels("Soiling and ageing", _TREND, "percentunit",
                       "Median performance ratio of the last week over the inverter's own best days"
                       " (90th percentile) of three months; the lowest twelve. Dust shows as a slow fall"
                       " that rain ends.", steps=_LOSS, span=12, high=1.1),
            ]),
            ("Inverters", [
                table("Worst first", f"""
WITH recent AS (
    SELECT p.device_id, p.site, sum(p.energy_kwh) AS energy_kwh, avg(p.yield_h) AS yield_h, bool_and(p.dc_known) AS dc_known,
           sum(p.energy_kwh) FILTER (WHERE p.performance_ratio IS NOT NULL)
               / sum(p.reference_kwh) FILTER (WHERE p.performance_ratio IS NOT NULL) AS performance_ratio
    FROM v_day_pv p WHERE p.time > now() - INTERVAL '8 days' AND p.{_MINE} GROUP BY 1, 2
), typical AS (
    SELECT site, percentile_cont(0.5) WITHIN GROUP (ORDER BY yield_h) AS yield_h FROM recent GROUP BY site
)
SELECT h.device_id, r.yield_h / nullif(t.yield_h, 0) - 1 AS against_site, r.performance_ratio,
       CASE WHEN r.dc_known THEN 'panels' ELSE 'inverter' END AS nameplate, h.state, r.yield_h, r.energy_kwh, h.site, h.last_reading
FROM v_device_health h
LEFT JOIN recent r ON r.device_id = h.device_id
LEFT JOIN typical t ON t.site = h.site
WHERE h.{_MINE} ORDER BY r.yield_h / nullif(t.yield_h, 0) NULLS FIRST, h.device_id LIMIT 50
""", "The last seven days: energy, yield by nameplate, ratio, and how far from the site's median inverter."
                      " Inverters without a day come first.",
                      units={"energy_kwh": "kwatth", "yield_h": "suffix: kWh/kW/d", "performance_ratio": "percentunit",
                             "against_site": "percentunit"},
                      decimals={"against_site": 1, "performance_ratio": 1, "yield_h": 2},
                      steps={"against_site": ((None, RED), (-0.15, ORANGE), (-0.05, "text")),
                             "performance_ratio": _RATIO},
                      links={"device_id": console("devices/${__value.raw}")},
                      span=24, height=10),
            ]),
        ],
        variables=[sites(), devices("pv_inverter", "Inverter"), console_address()],
        since="now-14d",
    )  # fmt: skip
