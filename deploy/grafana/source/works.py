"""
Dashboard of other works (waste heat, steam, fuel, compost, rice, buses, ...), one row per
device class.
"""

from __future__ import annotations

from typing import NamedTuple

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source.boards import Row, board, console, console_address, sites
from deploy.grafana.source.language import word
from deploy.grafana.source.palette import ORANGE, RED
from deploy.grafana.source.panels import Steps, bars, series, table

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
         "suffix: m", "Level", "Level in the manhole, which overflows at its weir."),
    Kind("waterworks", "Waterworks", "flow", "0.000001", "suffix: m³", "Delivered", "chlorine_mg_l",
         "suffix: mg/L", "Chlorine", "Free chlorine at the outlet; WHO guidelines require at least 0.2 mg/L at the point of delivery (dashed).",
         ((None, RED), (0.2, "transparent"))),
    Kind("weather_station", "Weather", "degree_time", "1 / 86400.0", "suffix: K d", "Cooling degree days",
         "irradiance_w_m2", "suffix: W/m²", "Irradiance", "Irradiance on the horizontal plane."),
)  # fmt: skip


def dashboard() -> model.Dashboard:
    """Return the dashboard."""
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
        "Sum of the devices of the class at the chosen sites, by their registers and local days.",
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
