"""
Simulated devices as sources of readings, and the models of air, noise and wastewater stations.

Readings of a day depend only on its midnight, so a fleet started again on the same day sends
identical readings.

Air: concentrations are log-normal around a daily pattern (two rush hours, ozone in the afternoon);
a stagnant day increases all primary pollutants.

Wastewater: flow has two daily peaks; biogas follows the removed COD: 0.35 Nm3 of methane per kg of
COD by stoichiometry (McCarty 1964), four fifths of it removed in the digester.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np

from ingest import classes, profiles
from services.simulator import (
    MS_PER_DAY,
    Block,
    Day,
    Device,
    EnergyMeter,
    Floats,
    Ints,
    Register,
    SimulatorError,
    Source,
    bump,
    stream,
    zone_ms,
)
from services.simulator.systems import BEHAVIOURS, System
from services.simulator.vehicles import EvCharger, GenerationMeter, PvInverter, Vehicle

_NM3_CH4_PER_KG_COD, _DIGESTED = 0.35, 0.8
_FLOW_M3_H_PER_KW, _KWH_PER_M3, _IDLE = 1.2, 0.5, 0.15


class AirStation:
    """Roadside air station in a humid subtropical port city."""

    def __init__(self, device: Device, seed: int) -> None:
        del device, seed  # the day contains all inputs

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Return readings of a day."""
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
    """Sound level meter at an industrial estate road; levels are over one cadence."""

    def __init__(self, device: Device, seed: int) -> None:
        del device, seed  # the day contains all inputs

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Return readings of a day: LAeq, and LAmax, which is at least LAeq."""
        daytime = 1.0 / (1.0 + np.exp(-3.0 * (day.hour - 6.0)))
        evening = 1.0 / (1.0 + np.exp(-3.0 * (21.5 - day.hour)))
        rush = bump(day.hour, 7.5, 1.2) + bump(day.hour, 17.5, 1.5)
        laeq = 47.0 + 11.0 * daytime * evening + 4.0 * rush + 1.8 * day.wander("road", 600.0)
        events = day.rng("events").exponential(4.5, len(laeq))
        gauges = {"laeq_dba": np.round(laeq, 1), "lamax_dba": np.round(laeq + 3.0 + events, 1)}
        return Block(day.time_ms, number, {}, gauges)


class WastewaterPlant:
    """Wastewater plant with drives of `rated_power_w`; peak flow is 1.2 m3/h per kW."""

    def __init__(self, device: Device, seed: int) -> None:
        chance = stream(seed, device.id, "build")
        self._rated_kw = device.rated_power_w / 1_000
        self._flow = Register(int(chance.integers(10**10, 4 * 10**11)))
        self._biogas = Register(int(chance.integers(10**9, 4 * 10**10)))
        self._energy = Register(int(chance.integers(1_000_000, 50_000_000)))

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Return readings of a day."""
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
    """Return the analysers' water and gas quality values, by channel."""
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
    """Return values limited to an analyser's range and rounded to its resolution."""
    return np.asarray(np.round(np.clip(value, low, high), digits), dtype=np.float64)


class Model(Protocol):
    """Physical model of one device, whose registers continue from day to day."""

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Return the readings at the day's times, with the message numbers `number`."""


MODELS: dict[str, Callable[[Device, int], Model]] = {
    "pv_inverter": PvInverter,
    "ev_charger": EvCharger,
    "vehicle": Vehicle,
    "energy_meter": lambda device, seed: (GenerationMeter if device.generates else EnergyMeter)(
        device, seed
    ),
    "air_station": AirStation,
    "noise_station": NoiseStation,
    "wastewater_plant": WastewaterPlant,
    **{kind: partial(System, behaviour=behaviour) for kind, behaviour in BEHAVIOURS.items()},
}


class Simulated:
    """
    Simulated readings of one device in a time span, end excluded.

    Readings are at whole multiples of the cadence since 1970 and numbered by that multiple, so a
    restarted device continues its numbers.

    `start_ms`, `end_ms`: time span; without an end the source is endless. [ms since 1970 UTC]
    """

    def __init__(self, device: Device, seed: int, start_ms: int, end_ms: int | None) -> None:
        self.device = device
        self._seed = seed
        self._start_ms = start_ms
        self._end_ms = end_ms

    def blocks(self) -> Iterator[Block]:
        """Yield a block for each local day of the span, identical at every call."""
        model = MODELS[self.device.device_class](self.device, self._seed)
        step = self.device.cadence_s * 1_000
        zone = zone_ms(self.device.longitude)
        at = -(-self._start_ms // step)
        while self._end_ms is None or at * step < self._end_ms:
            day = (at * step + zone) // MS_PER_DAY
            midnight = (day + 1) * MS_PER_DAY - zone
            until = midnight if self._end_ms is None else min(midnight, self._end_ms)
            stop = -(-until // step)
            number = np.arange(at, stop, dtype=np.int64)
            yield model.readings(Day(self.device, self._seed, day, number * step), number)
            at = stop


def todays_sources(
    fleet: Sequence[Device],
    now_us: int,
    duration_us: int | None,
    seed: int,
    since_us: int | None = None,
) -> tuple[list[Source], int]:
    """
    Return sources from each device's last midnight until `duration_us` from now, or endless ones.

    `since_us`: start of the registers, if before that midnight: they continue from a simulation
    since then. [us since 1970 UTC]

    Returns the sources and the earliest midnight. [ms since 1970 UTC]
    """
    now_ms = now_us // 1_000
    end_ms = None if duration_us is None else (now_us + duration_us) // 1_000
    starts = [_midnight_ms(device, now_ms) for device in fleet]
    since_ms = None if since_us is None else since_us // 1_000
    sources: list[Source] = [
        _Part(Simulated(device, seed, min(start_ms, since_ms or start_ms), end_ms), start_ms)
        for device, start_ms in zip(fleet, starts, strict=True)
    ]
    return sources, min(starts)


class _Part:
    """Readings of a source before or after a given time."""

    def __init__(self, source: Source, from_ms: int = 0, until_ms: int | None = None) -> None:
        self.source, self._from_ms, self._until_ms = source, from_ms, until_ms

    @property
    def device(self) -> Device:
        """Return the device of these readings."""
        return self.source.device

    def blocks(self) -> Iterator[Block]:
        """Yield the source's readings in that time."""
        for block in self.source.blocks():
            if self._until_ms is not None and block.time_ms[0] >= self._until_ms:
                return
            sent = block.time_ms >= self._from_ms
            if self._until_ms is not None:
                sent &= block.time_ms < self._until_ms
            if sent.any():
                yield Block(
                    block.time_ms[sent],
                    block.number[sent],
                    {name: values[sent] for name, values in block.registers.items()},
                    {name: values[sent] for name, values in block.gauges.items()},
                )


class _Stuck:
    """Device that continues to send, with stopped registers and gauges at zero."""

    def __init__(self, source: Source, from_ms: int) -> None:
        self._source, self._from_ms = source, from_ms

    @property
    def device(self) -> Device:
        """Return the device of these readings."""
        return self._source.device

    def blocks(self) -> Iterator[Block]:
        """Yield the source's readings, with the fault applied from its start."""
        last: dict[str, int] = {}
        for block in self._source.blocks():
            at = int(np.searchsorted(block.time_ms, self._from_ms))
            on = np.arange(len(block.time_ms)) < at
            registers = {}
            for name, counted in block.registers.items():
                stood = int(counted[at - 1]) if at else last.get(name, int(counted[0]))
                registers[name] = np.where(on, counted, stood)
                last[name] = int(registers[name][-1])
            gauges = {name: np.where(on, values, 0.0) for name, values in block.gauges.items()}
            yield replace(block, registers=registers, gauges=gauges)


def broken(
    sources: Sequence[Source], silent: Mapping[str, int], stuck: Mapping[str, int]
) -> list[Source]:
    """
    Return the sources, some with a fault: no data, or stopped registers.

    `silent`, `stuck` (mapping of device id to int): start of the fault. [us since 1970 UTC]
    Raises SimulatorError when a device is unknown.
    """
    known = {source.device.id for source in sources}
    for name in (*silent, *stuck):
        if name not in known:
            raise SimulatorError(
                f"{name!r} is not a device of the fleet and cannot be set to fail; name one "
                "of its devices"
            )
    result: list[Source] = []
    for source in sources:
        name, own = source.device.id, source
        # a fault may have begun before the first reading that is sent
        if name in stuck and isinstance(own, _Part):
            own.source = _Stuck(own.source, stuck[name] // 1_000)
        elif name in stuck:
            own = _Stuck(own, stuck[name] // 1_000)
        result.append(_Part(own, until_ms=silent[name] // 1_000) if name in silent else own)
    return result


def _midnight_ms(device: Device, now_ms: int) -> int:
    zone = zone_ms(device.longitude)
    return (now_ms + zone) // MS_PER_DAY * MS_PER_DAY - zone


def gauges_only(sources: Sequence[Source]) -> list[Source]:
    """
    Return the sources without registers; devices that have only registers are omitted.

    A register that is sent again after months without data would count for all intervals since;
    these devices send no register.

    Raises SimulatorError when no device is left.
    """
    kept: list[Source] = [_GaugesOnly(source) for source in sources if _has_gauges(source.device)]
    if not kept:
        raise SimulatorError(
            "--gauges-only excludes all devices, which only have registers; omit it"
        )
    return kept


def _has_gauges(device: Device) -> bool:
    channels = classes.load()[device.device_class].channels
    model_channels = profiles.load()[device.device_class, device.profile].channels.values()
    return any(channels[source.channel].kind == "gauge" for source in model_channels)


class _GaugesOnly:
    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def device(self) -> Device:
        """Return the device of these readings."""
        return self._source.device

    def blocks(self) -> Iterator[Block]:
        """Return the source's readings without registers."""
        for block in self._source.blocks():
            yield replace(block, registers={})
