"""
Stations: ambient air, noise, and the outlet of a wastewater plant.

Ambient air station: two rush hours, ozone in the afternoon, weather around them.

Concentrations are log-normal about a diurnal pattern, as ambient ones are; a
stagnant day lifts all primary pollutants together.

Noise station: loud days, quiet nights, single events above them.

Wastewater plant with an anaerobic stage.

Flow has two daily peaks; biogas is what the removed COD gives: 0.35 Nm3 of
methane a kg of COD by stoichiometry (McCarty 1964), four fifths of the removal in
the digester.
"""

import numpy as np

from services.simulator.model import Block, Day, Device, Floats, Ints, bump, stream
from services.simulator.register import Register

_NM3_CH4_PER_KG_COD, _DIGESTED = 0.35, 0.8
_FLOW_M3_H_PER_KW, _KWH_PER_M3, _IDLE = 1.2, 0.5, 0.15


class AirStation:
    """A roadside station in a port city of the humid subtropics."""

    def __init__(self, device: Device, seed: int) -> None:
        del device, seed  # all of it is in the day

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Readings of a day."""
        hour = day.hour
        traffic = bump(hour, 7.5, 2.0) + bump(hour, 18.0, 2.5)
        light = bump(hour, 13.5, 3.5)
        stagnant = 0.35 * float(day.rng("stagnation").standard_normal())
        dust = stagnant + 0.25 * day.wander("dust", 5_400.0)
        pm2_5 = np.exp(np.log(24.0) + 0.5 * traffic + dust)
        temperature = 24.0 + 5.0 * light + 0.6 * day.wander("temperature", 7_200.0)
        gauges: dict[str, Floats] = {
            "pm2_5_ug_m3": pm2_5,
            "pm10_ug_m3": pm2_5 * (1.55 + 0.1 * np.tanh(day.wander("coarse", 3_600.0))),
            "so2_ug_m3": np.exp(np.log(14.0) + 0.2 * traffic + stagnant + self._gas(day, "so2")),
            "no2_ug_m3": np.exp(np.log(26.0) + 0.7 * traffic + stagnant + self._gas(day, "no2")),
            "co_ug_m3": np.exp(np.log(700.0) + 0.6 * traffic + stagnant + self._gas(day, "co")),
            "o3_ug_m3": np.exp(np.log(28.0) + 1.1 * light + self._gas(day, "o3")),
            "temperature_c": temperature,
            "humidity_percent": np.clip(
                88.0 - 18.0 * light + 3.0 * day.wander("humidity", 7_200.0), 20.0, 100.0
            ),
            "wind_speed_m_s": np.abs(1.6 + 1.2 * light + 0.7 * day.wander("wind", 900.0)),
        }
        rounded = {name: np.round(values, 1) for name, values in gauges.items()}
        return Block(day.time_ms, number, {}, rounded)

    @staticmethod
    def _gas(day: Day, name: str) -> Floats:
        gas: Floats = 0.18 * day.wander(name, 3_600.0)
        return gas


class NoiseStation:
    """A sound level meter beside an estate road; levels over one cadence."""

    def __init__(self, device: Device, seed: int) -> None:
        del device, seed  # all of it is in the day

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Readings of a day: LAeq, and LAmax which is never below it."""
        daytime = 1.0 / (1.0 + np.exp(-3.0 * (day.hour - 6.0)))
        evening = 1.0 / (1.0 + np.exp(-3.0 * (21.5 - day.hour)))
        rush = bump(day.hour, 7.5, 1.2) + bump(day.hour, 17.5, 1.5)
        laeq = 47.0 + 11.0 * daytime * evening + 4.0 * rush + 1.8 * day.wander("road", 600.0)
        events = day.rng("events").exponential(4.5, len(laeq))
        gauges = {"laeq_dba": np.round(laeq, 1), "lamax_dba": np.round(laeq + 3.0 + events, 1)}
        return Block(day.time_ms, number, {}, gauges)


class WastewaterPlant:
    """A plant whose drives are `rated_power_w`; peak flow is 1.2 m3/h a kW of it."""

    def __init__(self, device: Device, seed: int) -> None:
        chance = stream(seed, device.id, "build")
        self._rated_kw = device.rated_power_w / 1_000
        self._flow = Register(int(chance.integers(10**10, 4 * 10**11)))
        self._biogas = Register(int(chance.integers(10**9, 4 * 10**10)))
        self._energy = Register(int(chance.integers(1_000_000, 50_000_000)))

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Readings of a day."""
        peaks = 0.45 + 0.45 * bump(day.hour, 8.5, 2.5) + 0.35 * bump(day.hour, 20.0, 3.0)
        share = np.clip(peaks + 0.05 * day.wander("flow", 1_800.0), 0.1, 1.0)
        flow_m3_h = share * self._rated_kw * _FLOW_M3_H_PER_KW
        gauges = _quality(day)
        removed_kg_h = flow_m3_h * (gauges["cod_in_mg_l"] - gauges["cod_out_mg_l"]) / 1_000
        methane_nm3_h = removed_kg_h * _DIGESTED * _NM3_CH4_PER_KG_COD
        biogas_nm3_h = methane_nm3_h / (gauges["ch4_percent"] / 100)
        power_kw = np.minimum(_IDLE * self._rated_kw + _KWH_PER_M3 * flow_m3_h, self._rated_kw)
        registers = {
            "flow_total_m3": self._flow.advance(day.time_ms, _whole(flow_m3_h * 1e9)),
            "biogas_total_nm3": self._biogas.advance(day.time_ms, _whole(biogas_nm3_h * 1e9)),
            "energy_import_kwh": self._energy.advance(day.time_ms, _whole(power_kw * 1e6)),
        }
        return Block(day.time_ms, number, registers, gauges)


def _whole(rate: Floats) -> Ints:
    return np.rint(rate).astype(np.int64)


def _quality(day: Day) -> dict[str, Floats]:
    """Water and gas quality as the analysers show it."""
    cod_in = 950.0 + 180.0 * bump(day.hour, 10.0, 4.0) + 60.0 * day.wander("cod_in", 7_200.0)
    cod_out = 58.0 + 6.0 * day.wander("cod_out", 10_800.0)
    nitrogen = 24.0 + 2.0 * day.wander("tn", 10_800.0)
    return {
        "cod_in_mg_l": _rounded(cod_in, 300.0, 2_000.0, 1),
        "cod_out_mg_l": _rounded(cod_out, 20.0, 120.0, 1),
        "bod5_mg_l": _rounded(0.4 * cod_out, 5.0, 60.0, 1),
        "tss_mg_l": _rounded(32.0 + 4.0 * day.wander("tss", 7_200.0), 5.0, 90.0, 1),
        "nh4_n_mg_l": _rounded(0.2 * nitrogen, 0.5, 20.0, 2),
        "tn_mg_l": _rounded(nitrogen, 5.0, 60.0, 2),
        "tp_mg_l": _rounded(2.6 + 0.3 * day.wander("tp", 10_800.0), 0.3, 8.0, 2),
        "ph": _rounded(7.2 + 0.12 * day.wander("ph", 7_200.0), 6.0, 9.0, 2),
        "temperature_c": _rounded(30.0 + 1.5 * bump(day.hour, 15.0, 5.0), 0.0, 45.0, 1),
        "ch4_percent": _rounded(62.0 + 1.5 * day.wander("ch4", 10_800.0), 50.0, 75.0, 1),
        "flare_temperature_c": _rounded(
            840.0 + 40.0 * day.wander("flare", 1_800.0), 0.0, 1_200.0, 0
        ),
    }


def _rounded(value: Floats, low: float, high: float, digits: int) -> Floats:
    """What an analyser of that range and resolution shows."""
    return np.asarray(np.round(np.clip(value, low, high), digits), dtype=np.float64)
