"""
Dashboard of factories and buildings: energy compared with the usual value and with
production.
"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source.boards import board, console_address, devices, events, sites
from deploy.grafana.source.palette import GREEN, ORANGE, RED
from deploy.grafana.source.panels import avoided, bars, series, serving, stat, table

# what draws energy in a factory or a building
_METERED = ("energy_meter", "chiller", "pump", "furnace", "lamp_controller")
_MINE = "device_id = ANY(ARRAY[${device:sqlstring}]::text[])"
_CHOSEN = "SELECT unnest(ARRAY[${device:sqlstring}]::text[])"
_HERE = "site = ANY(ARRAY[${site:sqlstring}]::text[])"
# the same weekday of the eight weeks before; days that were measured throughout, on both sides
_USUAL = f"""
SELECT q.device_id, q.day, q.time, q.energy_kwh, (
    SELECT avg(b.value) * 0.001 FROM day_quantity b
    WHERE b.device_id = q.device_id AND b.quantity = 'energy_import'
      AND b.day BETWEEN q.day - 56 AND q.day - 7 AND (q.day - b.day) % 7 = 0
      AND b.timezone = q.timezone AND b.measured_us > 0.95 * 86400e6
) AS usual_kwh
FROM v_day_energy_kwh q
WHERE q.quantity = 'energy_import' AND $__timeFilter(q.time)
  AND q.day < tonne_clock(q.timezone, now())::date AND q.measured_share > 0.95 AND q.{_MINE}
"""
_MADE = f"""
SELECT q.day, q.time, q.site, sum(q.value) / 1e6 AS t FROM v_day_quantity q
WHERE q.quantity = 'mass' AND q.class IN ('weighbridge', 'recycling_line') AND $__timeFilter(q.time) AND q.{_HERE} GROUP BY 1, 2, 3
"""
_DRAWN = f"""
SELECT e.day, e.site, sum(e.energy_kwh) AS kwh FROM v_day_energy_kwh e
WHERE e.quantity = 'energy_import' AND $__timeFilter(e.time) AND e.{_MINE} GROUP BY 1, 2
"""


def dashboard() -> model.Dashboard:
    """Return the dashboard."""
    return board(
        "factories", "Factories and buildings", "Energy compared with its usual value, by meter, product and project.",
        [
            ("In range", [
                stat("Consumed", f"""
SELECT sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE $__timeFilter(time) AND quantity = 'energy_import' AND {_MINE}
""", "kwatth", "Energy of the chosen meters on the local days in range.", decimals=0, span=6),
                stat("Difference from usual", f"""
SELECT sum(energy_kwh) / nullif(sum(usual_kwh), 0) - 1 AS change FROM ({_USUAL}) u WHERE usual_kwh IS NOT NULL
""", "percentunit", "Whole days in range compared with the mean of the same weekday in the eight weeks before.",
                     steps=((None, GREEN), (0.05, ORANGE), (0.15, RED)), decimals=1, span=6),
                stat("Specific energy", f"""
SELECT sum(d.kwh) / nullif(sum(m.t), 0) AS kwh_t FROM ({_DRAWN}) d JOIN ({_MADE}) m USING (day, site)
""", "suffix: kWh/t", "Energy divided by mass, at sites with a meter and a weighbridge or recycling line.", decimals=1, span=6),
                avoided("Avoided", serving(_CHOSEN), "Reduction of the whole projects to which the chosen meters belong.", span=6),
            ]),
            ("By day", [
                series("Energy and its usual value", f"""
SELECT time, sum(energy_kwh) AS "«consumed»", sum(usual_kwh) AS "«usual»" FROM ({_USUAL}) u GROUP BY time ORDER BY time
""", "kwatth", "Usual: mean of the same weekday in the eight weeks before. Whole local days.", broken_ms=50 * 3_600_000, fill=0),
                series("Specific energy by site", f"""
SELECT m.time, m.site AS metric, d.kwh / nullif(m.t, 0) AS kwh_t FROM ({_DRAWN}) d JOIN ({_MADE}) m USING (day, site) ORDER BY 1
""", "suffix: kWh/t", "Energy divided by mass of the local day.", broken_ms=50 * 3_600_000, fill=0),
                bars("Emissions of projects: baseline and project", f"""
SELECT day::text AS day, sum(baseline_t) AS baseline_t, sum(project_t) AS project_t FROM v_account_day
WHERE $__timeFilter(time) AND {serving(_CHOSEN)} GROUP BY day ORDER BY day
""", "suffix: t", "Baseline emissions and project emissions of the projects to which the chosen meters belong, by local day.", stacked=False),
                series("Power of 15-minute intervals", """
SELECT start AS time, device_id AS metric, value * 0.004 AS power_kw FROM interval_quantity
WHERE quantity = 'energy_import' AND start > greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - INTERVAL '3 days')
  AND start <= $__timeTo() AND device_id IN (SELECT unnest(ARRAY[${device:sqlstring}]::text[]) LIMIT 12)
ORDER BY start
""", "kwatt", "The first twelve chosen meters over the last three days of the range.", fill=0),
            ]),
            ("Meters", [
                table("Highest above usual first", f"""
SELECT h.device_id, u.energy_kwh / nullif(u.usual_kwh, 0) - 1 AS change, h.state, u.energy_kwh, u.usual_kwh, h.site, h.last_reading
FROM v_device_health h
LEFT JOIN (SELECT device_id, sum(energy_kwh) AS energy_kwh, sum(usual_kwh) AS usual_kwh
           FROM ({_USUAL}) x WHERE usual_kwh IS NOT NULL GROUP BY device_id) u ON u.device_id = h.device_id
WHERE h.{_MINE} ORDER BY change DESC NULLS LAST LIMIT 100
""", "Whole days in range compared with the same weekdays before.",
                      units={"energy_kwh": "kwatth", "usual_kwh": "kwatth", "change": "percentunit"},
                      decimals={"energy_kwh": 0, "usual_kwh": 0, "change": 1},
                      steps={"change": ((None, GREEN), (0.05, ORANGE), (0.15, RED))}, span=24),
            ]),
        ],
        variables=[sites(), devices(_METERED, "Meter"), console_address()],
        marks=events(*_METERED, device="device"),
        since="now-30d",
        refresh="5m",
    )  # fmt: skip
