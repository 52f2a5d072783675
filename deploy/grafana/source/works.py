"""Dashboards of wind, of factories and buildings, and of other works, one row per system."""

from __future__ import annotations

from typing import NamedTuple

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import GREEN, ORANGE, RED, YELLOW, word
from deploy.grafana.source.boards import (
    Row,
    board,
    console,
    console_address,
    devices,
    events,
    sites,
)
from deploy.grafana.source.panels import Steps, avoided, bars, money, series, serving, stat, table

_HERE = "site = ANY(ARRAY[${site:sqlstring}]::text[])"


class Kind(NamedTuple):
    """Device class with its daily quantity and its main gauge."""

    class_id: str
    row: str
    quantity: str
    scale: str
    unit: str
    amount: str
    gauge: str
    gauge_unit: str
    gauge_name: str
    why: str
    steps: Steps | None = None


KINDS = (
    Kind("waste_heat_turbine", "Waste heat", "energy_export", "0.001", "kwatth", "Generated",
         "gas_temperature_c", "celsius", "Gas temperature", "Gas temperature at the boiler."),
    Kind("steam_meter", "Steam", "mass", "0.000001", "suffix: t", "Steam delivered", "pressure_kpa",
         "suffix: kPa", "Pressure", "Pressure of the steam at the meter."),
    Kind("fuel_meter", "Fuel", "flow", "0.001", "suffix: L", "Fuel drawn", "rate_l_h", "suffix: L/h", "Flow",
         "Flow of fuel; a meter without flow while its plant operates is faulty."),
    Kind("compost_windrow", "Composting", "", "", "", "", "oxygen_percent", "percent", "Oxygen",
         "Oxygen in the windrow; below 8 % (dashed) methane forms and the windrow must be turned.",
         ((None, RED), (8, "transparent"))),
    Kind("water_tube", "Rice", "operating_time", "1 / 86400.0", "suffix: d", "Days in season", "level_cm",
         "suffix: cm", "Water level", "Water level in the tube relative to the soil; the field is dry from 15 cm below (dashed).",
         ((None, ORANGE), (-15, "transparent"))),
    Kind("passenger_counter", "Passengers", "count", "1", "short", "Boarded", "on_board", "short", "On board",
         "Number of passengers on board."),
    Kind("sewer_level", "Sewers", "operating_time", "1 / 3600.0", "suffix: h", "Hours of overflow", "level_m",
         "suffix: m", "Level", "Water level in the manhole. Above the level of its weir, the manhole overflows."),
    Kind("waterworks", "Waterworks", "flow", "0.000001", "suffix: m³", "Delivered", "chlorine_mg_l",
         "suffix: mg/L", "Chlorine", "Free chlorine at the outlet; WHO guidelines require at least 0.2 mg/L at the point of delivery (dashed).",
         ((None, RED), (0.2, "transparent"))),
    Kind("weather_station", "Weather", "degree_time", "1 / 86400.0", "suffix: K d", "Cooling degree days",
         "irradiance_w_m2", "suffix: W/m²", "Irradiance", "Irradiance on the horizontal plane."),
)  # fmt: skip


def dashboard() -> model.Dashboard:
    """Return the dashboard of works: one row for each kind of device."""
    return board(
        "works",
        "Works and fields",
        "Device classes without a board of their own: amount, main measured value, devices.",
        [_row(kind) for kind in KINDS],
        variables=[sites(), console_address()],
        since="now-30d",
        refresh="5m",
    )


def _row(kind: Kind) -> Row:
    made = [_days(kind)] if kind.quantity else []
    return kind.row, [*made, _gauge(kind, 12 if made else 24), _devices(kind)]


def _days(kind: Kind) -> Builder[model.Panel]:
    return bars(
        f"{word(kind.row)}: {word(f'{kind.amount} by local day')}",
        f"""
SELECT day::text AS day, sum(value) * {kind.scale} AS amount FROM v_day_quantity
WHERE class = '{kind.class_id}' AND quantity = '{kind.quantity}' AND $__timeFilter(time) AND {_HERE} GROUP BY day ORDER BY day
""",
        kind.unit,
        "Daily sum of all devices of the class at the chosen sites, calculated from their registers; days are local days.",
    )


def _gauge(kind: Kind, span: int) -> Builder[model.Panel]:
    return series(f"{word(kind.row)}: {word(kind.gauge_name)}", f"""
SELECT $__timeGroup(r.time, '1h') AS time, r.device_id AS metric, avg(r.{kind.gauge}) AS value
FROM reading_{kind.class_id} r
WHERE r.time > greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - INTERVAL '7 days') AND r.time <= $__timeTo()
  AND r.{kind.gauge} IS NOT NULL AND r.device_id IN (SELECT id FROM device WHERE class = '{kind.class_id}' AND {_HERE})
GROUP BY 1, 2 ORDER BY 1
""", kind.gauge_unit, f"{word(kind.why)} {word('Hourly mean, last seven days of the range.')}", steps=kind.steps, broken_ms=2 * 3_600_000, fill=0, span=span)  # fmt: skip


def _devices(kind: Kind) -> Builder[model.Panel]:
    amount = (
        f"""(SELECT sum(q.value) * {kind.scale} FROM v_day_quantity q WHERE q.device_id = h.device_id
        AND q.quantity = '{kind.quantity}' AND $__timeFilter(q.time))"""
        if kind.quantity
        else "NULL::numeric"
    )
    return table(f"{word(kind.row)}: {word('Devices')}", f"""
SELECT h.device_id, h.state, {amount} AS amount, h.silent_s, h.site, h.last_reading
FROM v_device_health h WHERE h.class = '{kind.class_id}' AND h.{_HERE}
ORDER BY (h.state = 'online'), h.last_reading NULLS FIRST, h.device_id LIMIT 100
""", "Devices of the class with their amount in range; devices without data first.", units={"silent_s": "s"} | ({"amount": kind.unit} if kind.quantity else {}),
                 decimals={"amount": 1}, links={"device_id": console("devices/${__value.raw}")}, span=24, height=6)  # fmt: skip


_MINE = "device_id = ANY(ARRAY[${device:sqlstring}]::text[])"
_CHOSEN = "SELECT unnest(ARRAY[${device:sqlstring}]::text[])"
# capacity factor: energy divided by rated power and measured time
_FACTOR = """
    sum(v.value) / nullif(sum(d.rated_power_w * (v.measured_us / 3600e6)) FILTER (WHERE v.value IS NOT NULL), 0)"""
_DAYS = f"""
FROM v_day_quantity v JOIN device d ON d.id = v.device_id
WHERE v.quantity = 'energy_export' AND $__timeFilter(v.time) AND d.rated_power_w > 0 AND v.{_MINE}
"""


def wind_dashboard() -> model.Dashboard:
    """Return the dashboard of wind turbines."""
    return board(
        "wind", "Wind", "Wind turbines: power, wind speed, capacity factor, energy.",
        [
            ("Now", [
                stat("Energy in range", f"""
SELECT sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE $__timeFilter(time) AND quantity = 'energy_export' AND {_MINE}
""", "kwatth", "Metered energy of the local days in range.", decimals=0, span=6),
                stat("Capacity factor", f"SELECT {_FACTOR.strip()} AS share {_DAYS}", "percentunit",
                     "Energy divided by rated power and measured time, of turbines with a rated power in the registry.", decimals=1, span=6),
                avoided("Avoided in range", serving(_CHOSEN),
                        "Reduction of the whole projects to which the chosen turbines belong.", span=6),
                stat("Not reporting", f"""
SELECT count(*) FILTER (WHERE state IN ('late', 'offline')) AS turbines FROM v_device_health
WHERE {_MINE} HAVING count(*) > 0
""", "short", "Turbines without a reading for longer than twice the expected interval.", steps=((None, GREEN), (1, YELLOW)), span=6),
            ]),
            ("Power", [
                series("Power and wind speed", f"""
SELECT $__timeGroup(r.time, '15m') AS time, avg(r.active_power_w) / 1000 * count(DISTINCT r.device_id) AS "«power»",
       avg(r.wind_speed_m_s) AS "«wind speed»"
FROM reading_wind_turbine r
WHERE r.time > greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - INTERVAL '7 days') AND r.time <= $__timeTo() AND r.{_MINE}
GROUP BY 1 ORDER BY 1
""", "kwatt", "Power of the chosen turbines and mean wind speed (right axis) by 15-minute interval, last seven days of the range."
                       " Low power at high wind speed indicates a fault.",
                       right={word("wind speed"): "suffix: m/s"}, span=24, height=9),
            ]),
            ("By day", [
                bars("Generated by local day", f"""
SELECT day::text AS day, sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE $__timeFilter(time) AND quantity = 'energy_export' AND {_MINE} GROUP BY day ORDER BY day
""", "kwatth", "Metered energy of the chosen turbines, by local day."),
                bars("Capacity factor by local day", f"""
SELECT v.day::text AS day, {_FACTOR.strip()} AS capacity_factor {_DAYS} GROUP BY v.day ORDER BY v.day
""", "percentunit", "Energy divided by rated power and measured time, by local day."),
            ]),
            ("Energy costs", [money(_MINE)]),
            ("Turbines", [
                table("Turbines, lowest capacity factor first", f"""
SELECT h.device_id, q.capacity_factor, h.state, q.energy_kwh, w.wind_speed, h.silent_s, h.site, h.last_reading
FROM v_device_health h
LEFT JOIN (SELECT v.device_id, {_FACTOR.strip()} AS capacity_factor, sum(v.value) * 0.001 AS energy_kwh {_DAYS}
           GROUP BY v.device_id) q ON q.device_id = h.device_id
LEFT JOIN (SELECT r.device_id, avg(r.wind_speed_m_s) AS wind_speed FROM reading_wind_turbine r
           WHERE r.time > greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - INTERVAL '7 days') AND r.time <= $__timeTo()
             AND r.{_MINE} GROUP BY r.device_id) w ON w.device_id = h.device_id
WHERE h.{_MINE} ORDER BY (h.state = 'online'), q.capacity_factor NULLS FIRST, h.device_id LIMIT 100
""", "Turbines without data first. Wind speed: mean of the last seven days of the range.",
                      units={"capacity_factor": "percentunit", "energy_kwh": "kwatth", "wind_speed": "suffix: m/s", "silent_s": "s"},
                      decimals={"capacity_factor": 1, "energy_kwh": 0, "wind_speed": 1},
                      steps={"capacity_factor": ((None, RED), (0.1, ORANGE), (0.2, GREEN))},
                      links={"device_id": console("devices/${__value.raw}")}, span=24),
            ]),
        ],
        variables=[sites(), devices("wind_turbine", "Turbine"), console_address()],
        marks=events("wind_turbine", device="device"),
        since="now-14d",
    )  # fmt: skip


# classes that consume energy in a factory or a building
_METERED = ("energy_meter", "chiller", "pump", "furnace", "lamp_controller")
# days, and the mean of the same weekday in the eight weeks before; only days measured for 95 % or more
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


def factories_dashboard() -> model.Dashboard:
    """Return the dashboard of factories and buildings."""
    return board(
        "factories", "Factories and buildings", "Energy compared with its usual value, by meter, product and project.",
        [
            ("In range", [
                stat("Energy consumed", f"""
SELECT sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE $__timeFilter(time) AND quantity = 'energy_import' AND {_MINE}
""", "kwatth", "Energy of the chosen meters on the local days in the time range.", decimals=0, span=6),
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
