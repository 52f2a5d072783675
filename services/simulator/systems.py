"""
Models of other plants of a green-growth programme: rates and gauges over a day.

A device has the daily quantity `per_day` of its register (kg, m3, L, passengers, ...) or the power
`rated_power_w`.  The function of each kind of plant returns the rates and gauges of one day:
pattern, weekends and random variation.  Figures are
illustrative, in the range of real plants.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from services.simulator import Block, Day, Device, Floats, Register, base_per_unit, bump, stream
from services.simulator.sky import sky

_DEGREE_BASE_C = 24.0


class DailyCourse(NamedTuple):
    """Register rates [payload units per hour] and gauges over a day."""

    rates: Mapping[str, Floats]
    gauges: Mapping[str, tuple[Floats, int]]  # values, and the number of digits after the point


class System:
    """Device whose registers are integrated from rates."""

    def __init__(self, device: Device, seed: int, behaviour: Callable[[Day], DailyCourse]) -> None:
        self._chance = stream(seed, device.id, "build")
        self._course_of = behaviour
        self._registers: dict[str, Register] = {}

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Return readings of a day."""
        rates, gauges = self._course_of(day)
        counted = {
            name: self._register(name).advance(
                day.time_ms,
                np.rint(np.maximum(rate, 0.0) * base_per_unit(name) * 1_000).astype(np.int64),
            )
            for name, rate in rates.items()
        }
        rounded = {
            n: np.round(value + np.zeros(len(number)), d) for n, (value, d) in gauges.items()
        }
        return Block(day.time_ms, number, counted, rounded)

    def _register(self, name: str) -> Register:
        if name not in self._registers:
            start = int(self._chance.integers(1_000, 90_000)) * base_per_unit(name)
            self._registers[name] = Register(start)
        return self._registers[name]


def _flat(day: Day) -> Floats:
    return np.ones(len(day.time_ms))


def _shift(day: Day) -> Floats:
    """Return a shift's activity from 7 to 17 h, half at weekends; mean about 1 on working days."""
    on = (day.hour >= 7.0) & (day.hour < 17.0)  # noqa: PLR2004
    return np.where(on, 1.2 if day.weekend else 2.4, 0.0)


def _demand(day: Day) -> Floats:
    """Return the demand for water or transport: morning and evening peak, low at night."""
    shape = 0.35 + 1.5 * bump(day.hour, 7.5, 2.5) + 1.5 * bump(day.hour, 18.0, 3.0)
    return np.asarray(shape * 0.9, dtype=np.float64)


def _hourly(day: Day, shape: Floats, scatter: float = 0.1) -> Floats:
    """Return hourly rates that sum to `per_day`, by a shape of mean 1. [payload units/h]"""
    wander = np.clip(1.0 + scatter * day.wander("amount", 3_600.0), 0.0, None)
    return np.asarray(day.device.per_day / 24.0 * shape * wander, dtype=np.float64)


def _load(day: Day, share: Floats) -> Floats:
    """Return the power of a drive at a share of its rating. [kW]"""
    rated_kw = day.device.rated_power_w / 1_000
    return np.clip(share * (1.0 + 0.04 * day.wander("load", 900.0)), 0.0, 1.0) * rated_kw


def windrow(day: Day) -> DailyCourse:
    """Compost windrow, turned every third day and heating up again afterwards."""
    age = (day.number + (day.hour / 24.0)) % 3.0
    heat = 48.0 + 14.0 * (1 - np.exp(-age * 2.0)) + 0.8 * day.wander("heat", 7_200.0)
    return DailyCourse(
        {},
        {
            "temperature_c": (heat, 1),
            "oxygen_percent": (
                np.clip(16.0 - 3.0 * age + 0.5 * day.wander("o2", 3_600.0), 4, 20.9),
                1,
            ),
            "moisture_percent": (57.0 - 2.0 * age + 0.4 * day.wander("wet", 7_200.0), 1),
            "turnings": (np.full(len(age), float(day.number // 3)), 0),
        },
    )


def weighbridge(day: Day) -> DailyCourse:
    """Weighbridge: lorries during the day, last ticket and total mass."""
    rate = _hourly(day, _shift(day))
    net = 5_200.0 + 600.0 * day.wander("ticket", 1_800.0)
    tickets = np.floor(day.number % 10_000 * 40 + day.hour)
    return DailyCourse(
        {"net_total_kg": rate},
        {
            "net_kg": (net, 0),
            "gross_kg": (net + 7_800.0, 0),
            "tare_kg": (np.full(len(net), 7_800.0), 0),
            "ticket": (tickets, 0),
        },
    )


def waste_heat_turbine(day: Day) -> DailyCourse:
    """Waste heat turbine of a continuously running kiln."""
    power = _load(day, np.full(len(day.time_ms), 0.82))
    return DailyCourse(
        {"energy_export_kwh": power, "energy_import_kwh": 0.0 * power},
        {
            "active_power_kw": (power, 3),
            "gas_temperature_c": (345.0 + 6.0 * day.wander("gas", 3_600.0), 1),
            "gas_flow_nm3_h": (power * 28.0, 0),
        },
    )


def steam_meter(day: Day) -> DailyCourse:
    """Meter of saturated steam at 10 bar, 2,776 kJ/kg; heat counts above feedwater at 420 kJ/kg."""
    rate = _hourly(day, _flat(day), 0.05)
    return DailyCourse(
        {"steam_total_t": rate, "heat_kwh": rate * (2_776.0 - 420.0) / 3.6},
        {
            "temperature_c": (184.0 + 0.5 * day.wander("t", 3_600.0), 1),
            "pressure_kpa": (1_000.0 + 8.0 * day.wander("p", 3_600.0), 0),
            "flow_t_h": (rate, 3),
        },
    )


def recycling_line(day: Day) -> DailyCourse:
    """Recycling line of one material; PV panels count as 22 kg each."""
    rate = _hourly(day, _shift(day))
    return DailyCourse(
        {"output_total_kg": rate, "pieces_count": rate / 22.0},
        {
            "throughput_kg_h": (rate, 1),
            "reject_percent": (np.clip(6.0 + day.wander("reject", 7_200.0), 0, 100), 1),
        },
    )


def passenger_counter(day: Day) -> DailyCourse:
    """Passenger counter of a line with two rush hours."""
    rate = _hourly(day, _demand(day))
    return DailyCourse(
        {"boarded_count": rate},
        {"alighted": (day.hour * day.device.per_day / 24.0, 0), "on_board": (rate / 3.0, 0)},
    )


def fuel_meter(day: Day) -> DailyCourse:
    """Diesel meter of loaders and a start-up burner in working hours."""
    rate = _hourly(day, _shift(day))
    return DailyCourse({"fuel_total_l": rate}, {"rate_l_h": (rate, 2)})


def chiller(day: Day) -> DailyCourse:
    """Chiller whose load follows the hour, with a coefficient of performance of 5.8."""
    power = _load(day, 0.25 + 0.6 * bump(day.hour, 14.0, 4.5))
    return DailyCourse(
        {"energy_import_kwh": power, "cooling_kwh": 5.8 * power},
        {
            "active_power_kw": (power, 3),
            "supply_temperature_c": (7.0 + 0.2 * day.wander("supply", 1_800.0), 1),
            "return_temperature_c": (12.0 + 0.3 * day.wander("return", 1_800.0), 1),
        },
    )


def lamp_controller(day: Day) -> DailyCourse:
    """Controller of street lamps, on from 17:30 to 5:30."""
    on = ((day.hour >= 17.5) | (day.hour < 5.5)).astype(np.float64)  # noqa: PLR2004
    power = on * day.device.rated_power_w / 1_000
    return DailyCourse(
        {"operating_h": on, "energy_import_kwh": power},
        {"dimming_percent": (100.0 * on, 0), "lamps_on": (on * power / 0.08, 0)},
    )


def weather_station(day: Day) -> DailyCourse:
    """Weather station in a warm, humid climate; a degree day is 1 K above 24 degC for a day."""
    device = day.device
    above = sky(day.seed, device.latitude, device.longitude, day.number,
                int(day.time_ms[0]), len(day.time_ms), device.cadence_s)  # fmt: skip
    warm = 26.5 + 4.0 * bump(day.hour, 14.0, 5.0) + 0.5 * day.wander("air", 10_800.0)
    return DailyCourse(
        {"cooling_degree_kd": np.maximum(warm - _DEGREE_BASE_C, 0.0) / 24.0},
        {
            "temperature_c": (warm, 1),
            "humidity_percent": (np.clip(82.0 - 2.0 * (warm - 26.0), 20, 100), 0),
            "irradiance_w_m2": (above.irradiance_w_m2, 1),
            "wind_speed_m_s": (np.abs(2.2 + 0.8 * day.wander("wind", 1_800.0)), 1),
            "rain_mm_h": (np.clip(2.0 * day.wander("rain", 5_400.0) - 3.0, 0, None), 1),
        },
    )


def wind_turbine(day: Day) -> DailyCourse:
    """Wind turbine: power with the cube of wind speed between cut-in and rated speed."""
    wind = np.clip(6.8 + 2.2 * day.wander("wind", 14_400.0), 0.0, 25.0)
    share = np.clip((wind**3 - 27.0) / (12.0**3 - 27.0), 0.0, 1.0)
    power = share * day.device.rated_power_w / 1_000
    standby = np.where(share > 0, 0.0, 0.002 * day.device.rated_power_w / 1_000)
    return DailyCourse(
        {"energy_export_kwh": power, "energy_import_kwh": standby},
        {
            "active_power_kw": (power - standby, 3),
            "wind_speed_m_s": (wind, 1),
            "rotor_rpm": (np.where(share > 0, 6.0 + 9.0 * share, 0.0), 1),
            "state": ((share > 0).astype(np.float64), 0),
        },
    )


def waterworks(day: Day) -> DailyCourse:
    """Waterworks with upflow biological contact filtration: ammonia in and out."""
    rate = _hourly(day, 0.6 + 0.4 * _demand(day), 0.03)
    raw = np.clip(0.9 + 0.2 * day.wander("nh4", 14_400.0), 0.05, None)
    return DailyCourse(
        {"flow_total_m3": rate},
        {
            "nh4_n_in_mg_l": (raw, 3),
            "nh4_n_out_mg_l": (0.12 * raw, 3),
            "turbidity_ntu": (np.clip(0.4 + 0.05 * day.wander("ntu", 7_200.0), 0, None), 2),
            "chlorine_mg_l": (np.clip(0.5 + 0.03 * day.wander("cl", 3_600.0), 0, None), 2),
            "pressure_kpa": (320.0 + 6.0 * day.wander("p", 3_600.0), 0),
        },
    )


def pump(day: Day) -> DailyCourse:
    """Pump with a frequency converter: 40 m head, about 0.178 kWh/m3."""
    power = _load(day, 0.35 + 0.25 * _demand(day))
    return DailyCourse(
        {"energy_import_kwh": power, "flow_total_m3": power / 0.178},
        {
            "active_power_kw": (power, 3),
            "head_m": (40.0 + 0.6 * day.wander("head", 3_600.0), 1),
            "speed_percent": (
                np.clip(100 * (power * 1_000 / day.device.rated_power_w) ** (1 / 3), 0, 100),
                1,
            ),
        },
    )


def water_station(day: Day) -> DailyCourse:
    """Water station at a city canal: low quality in the morning, better with daylight oxygen."""
    light = bump(day.hour, 14.0, 4.0)
    return DailyCourse(
        {},
        {
            "ph": (7.2 + 0.2 * light + 0.05 * day.wander("ph", 7_200.0), 2),
            "temperature_c": (27.0 + 1.5 * light, 1),
            "do_mg_l": (np.clip(3.6 + 1.4 * light + 0.3 * day.wander("do", 7_200.0), 0.3, 12), 2),
            "bod5_mg_l": (np.clip(9.5 + 1.5 * day.wander("bod", 14_400.0), 2, 40), 1),
            "cod_mg_l": (np.clip(19.0 + 3.0 * day.wander("cod", 14_400.0), 5, 80), 1),
            "nh4_n_mg_l": (np.clip(0.75 + 0.15 * day.wander("nh4", 14_400.0), 0.05, 5), 2),
            "no3_n_mg_l": (np.clip(1.8 + 0.2 * day.wander("no3", 14_400.0), 0.1, 10), 2),
            "po4_p_mg_l": (np.clip(0.16 + 0.03 * day.wander("po4", 14_400.0), 0.01, 2), 3),
            "coliform_mpn_100ml": (np.clip(6_200 + 900 * day.wander("mpn", 14_400.0), 200, 2e4), 0),
            "turbidity_ntu": (np.clip(28.0 + 5.0 * day.wander("ntu", 3_600.0), 2, 200), 1),
            "level_m": (1.1 + 0.5 * np.sin(day.hour / 24.84 * 2 * np.pi), 2),
        },
    )


def furnace(day: Day) -> DailyCourse:
    """Induction furnace: melts in two shifts, kept warm at night."""
    melting = (day.hour >= 6.0) & (day.hour < 22.0) & (day.hour % 2.0 < 1.6)  # noqa: PLR2004
    power = _load(day, np.where(melting, 0.45 if day.weekend else 0.9, 0.05))
    return DailyCourse(
        {"energy_import_kwh": power},
        {
            "active_power_kw": (power, 3),
            "melt_temperature_c": (1_380.0 + 60.0 * melting + 8.0 * day.wander("t", 1_800.0), 0),
            "charge_kg": (np.where(melting, 3_000.0, 0.0), 0),
        },
    )


def water_tube(day: Day) -> DailyCourse:
    """Water tube of a rice field, flooded to 5 cm every ten days, falling to 15 cm below ground."""
    since = (day.number + day.hour / 24.0) % 10.0
    return DailyCourse(
        {"season_h": _flat(day)},
        {
            "level_cm": (np.clip(5.0 - 2.6 * since, -18.0, 5.0), 1),
            "battery_v": (3.6 + 0.01 * day.wander("battery", 86_400.0), 2),
        },
    )


def sewer_level(day: Day) -> DailyCourse:
    """Level meter of a combined sewer: two daily peaks, overflow after a cloudburst."""
    storm = np.clip(day.wander("storm", 5_400.0) - 1.0, 0.0, None)
    level = 0.35 + 0.25 * (_demand(day) - 0.3) + 1.4 * storm
    over = (level > 1.2).astype(np.float64)  # noqa: PLR2004
    return DailyCourse(
        {"overflow_h": over},
        {
            "level_m": (np.clip(level, 0.05, 4.0), 2),
            "flow_l_s": (90.0 * np.clip(level, 0.05, 4.0) ** 1.5, 1),
            "battery_v": (3.6 + 0.01 * day.wander("battery", 86_400.0), 2),
        },
    )


BEHAVIOURS: dict[str, Callable[[Day], DailyCourse]] = {
    "compost_windrow": windrow,
    "weighbridge": weighbridge,
    "waste_heat_turbine": waste_heat_turbine,
    "steam_meter": steam_meter,
    "recycling_line": recycling_line,
    "passenger_counter": passenger_counter,
    "fuel_meter": fuel_meter,
    "chiller": chiller,
    "lamp_controller": lamp_controller,
    "weather_station": weather_station,
    "wind_turbine": wind_turbine,
    "waterworks": waterworks,
    "pump": pump,
    "water_station": water_station,
    "furnace": furnace,
    "water_tube": water_tube,
    "sewer_level": sewer_level,
}
