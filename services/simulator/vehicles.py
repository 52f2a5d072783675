"""
Models of a PV inverter, an EV charger and an electric bus.

Charging: constant power up to 80 % state of charge, then an exponential decrease. The session
energy is the AC register's rise since plug-in, so both agree to the Wh.

Bus: a day of service with stops and layovers, charged at night.

A. P. Dobos, "PVWatts Version 5 Manual", NREL/TP-6A20-62641; cell temperature: D. Faiman,
"Assessing the outdoor operating temperature of photovoltaic modules", 2008.  In pvlib's order of
operations (BSD 3-Clause, pvlib.LICENSE.txt): results are identical to pvlib's.

Inverters of one site share its sky, with individual cloud edges: each one's irradiance varies by 5
% within 15 minutes and never exceeds the site's.  In NREL's record of a roof (PVDAQ, RSF II, five
days of 2022) an inverter is within 2 % of its share in 16 % of the 15-minute intervals.

At night the inverter draws standby power, which its meter counts as import, never as negative
export.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from services.simulator import Block, Day, Device, Floats, Register, stream
from services.simulator.sky import sky

AVAILABLE, CHARGING, FINISHING = 0.0, 2.0, 4.0
_CHARGER_EFFICIENCY = 0.93
_TAPER_FROM = 80.0
_SERVICE_FROM, _SERVICE_TO, _CHARGED_BY = 5.5, 21.0, 4.0
_KWH_PER_KM, _BATTERY_KWH, _FULL = 0.95, 350.0, 95.0
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Session:
    """Charging session of a vehicle: hours of the day, state of charge [%], battery [Wh]."""

    plug_in: float
    charged: float
    plug_out: float
    soc_start: float
    taper_at: float
    taper_h: float
    power_w: float
    battery_wh: float


class EvCharger:
    """Charging point with the AC rating `rated_power_w`."""

    def __init__(self, device: Device, seed: int) -> None:
        chance = stream(seed, device.id, "build")
        self._device = device
        self._register = Register(int(chance.integers(500_000, 40_000_000)))

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Return the readings of a day of charging sessions."""
        hour = day.hour
        power, soc, state = np.zeros_like(hour), np.zeros_like(hour), np.zeros_like(hour)
        stays = []
        for session in _sessions(day.rng("sessions"), self._device.rated_power_w):
            first, last = np.searchsorted(hour, (session.plug_in, session.plug_out))
            stay = slice(int(first), int(last))
            power[stay], soc[stay], state[stay] = _charging(session, hour[stay])
            stays.append(stay)
        power_mw = np.rint(power * 1_000).astype(np.int64)
        register = self._register.advance(day.time_ms, power_mw)
        session_wh = np.zeros_like(register)
        for stay in stays:
            session_wh[stay] = register[stay] - register[max(stay.start - 1, 0)]
        return Block(
            time_ms=day.time_ms,
            number=number,
            registers={"energy_import_kwh": register},
            gauges={
                "active_power_kw": power_mw / 1e6,
                "session_energy_kwh": session_wh / 1e3,
                "soc_percent": np.round(soc, 1),
                "connector_state": state,
            },
        )


def _sessions(chance: np.random.Generator, rated_power_w: int) -> list[Session]:
    """Return the sessions of one local day; none crosses midnight."""
    sessions = []
    hour = float(chance.uniform(5.5, 8.0))
    while hour < 22.0:  # noqa: PLR2004
        session = _session(chance, hour, rated_power_w)
        sessions.append(session)
        hour = session.plug_out + float(chance.exponential(0.8)) + 0.05
    return sessions


def _session(chance: np.random.Generator, hour: float, rated_power_w: int) -> Session:
    battery_wh = float(chance.choice([42_000.0, 60_000.0, 82_000.0, 350_000.0]))
    soc_start, soc_end = float(chance.uniform(12, 60)), float(chance.uniform(82, 97))
    # the battery is full after an hour at the earliest
    power_w = min(float(rated_power_w), battery_wh)
    into_battery = power_w * _CHARGER_EFFICIENCY
    taper_at = hour + (_TAPER_FROM - soc_start) / 100 * battery_wh / into_battery
    taper_h = (100 - _TAPER_FROM) / 100 * battery_wh / into_battery
    left = (100 - soc_end) / (100 - _TAPER_FROM)
    charged = min(taper_at - taper_h * float(np.log(left)), 23.9)
    plug_out = min(charged + float(chance.uniform(0.05, 0.5)), 23.95)
    return Session(hour, charged, plug_out, soc_start, taper_at, taper_h, power_w, battery_wh)


def _charging(session: Session, hour: Floats) -> tuple[Floats, Floats, Floats]:
    """Return power [W], state of charge [%] and connector state along one session."""
    until = np.minimum(hour, session.charged)
    tapering = np.exp(-np.maximum(until - session.taper_at, 0.0) / session.taper_h)
    steady_h = np.minimum(until, session.taper_at) - session.plug_in
    energy_wh = (
        session.power_w * _CHARGER_EFFICIENCY * (steady_h + session.taper_h * (1 - tapering))
    )
    charging = hour < session.charged
    power = np.where(charging, session.power_w * tapering, 0.0)
    soc = session.soc_start + 100 * energy_wh / session.battery_wh
    return power, soc, np.where(charging, CHARGING, FINISHING)


class Vehicle:
    """Electric city bus with an odometer in whole metres."""

    def __init__(self, device: Device, seed: int) -> None:
        chance = stream(seed, device.id, "build")
        self._odometer = Register(int(chance.integers(2_000_000, 90_000_000)))

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """
        Return the readings of a day: speed, distance, state of charge.

        The distance is that of each minute, however seldom the bus sends: the speed at single
        times within laps would give days of 0 to 514 km.
        """
        step_s = day.device.cadence_s
        parts = max(step_s // _MINUTE_S, 1)
        since = np.arange((len(day.time_ms) - 1) * parts + 1) * (step_s * 1_000) // parts
        device = replace(day.device, cadence_s=step_s // parts)
        speed = _speed(replace(day, device=device, time_ms=day.time_ms[0] + since))
        mm_per_h = np.rint(speed * 1e6).astype(np.int64)
        odometer = self._odometer.advance(day.time_ms[0] + since, mm_per_h)[::parts]
        speed = speed[::parts]
        return Block(
            time_ms=day.time_ms,
            number=number,
            registers={"odometer_km": odometer},
            gauges={
                "soc_percent": np.round(_charge(day.hour, odometer - odometer[0]), 1),
                "speed_km_h": np.round(speed, 1),
            },
        )


def _speed(day: Day) -> Floats:
    """Return the speed over the day; laps of 50 minutes, then a layover of 12. [km/h]"""
    hour = day.hour
    shift = float(day.rng("departure").uniform(0.0, 1.0))
    serving = (hour >= _SERVICE_FROM) & (hour < _SERVICE_TO)
    on_lap = (hour + shift) % (62 / 60) < 50 / 60
    traffic = 22.0 + 12.0 * day.wander("traffic", 90.0)
    moving = serving & on_lap & (traffic > 4.0)  # slower means a bus stop or a red light  # noqa: PLR2004
    return np.where(moving, np.clip(traffic, 0.0, 60.0), 0.0)


def _charge(hour: Floats, driven_m: np.ndarray) -> Floats:
    """Return the state of charge: falls with distance, rises in the depot until 4 h. [%]"""
    used = 100 * driven_m / 1_000 * _KWH_PER_KM / _BATTERY_KWH
    in_depot_h = np.maximum(hour - _SERVICE_TO, 0.0)
    after_service = np.minimum(_FULL - used + 8.0 * in_depot_h, _FULL)
    before_dawn = np.minimum(_FULL - 8.0 * (_CHARGED_BY - hour), _FULL)
    return np.clip(np.where(hour < _CHARGED_BY, before_dawn, after_service), 5.0, 100.0)


_REFERENCE_C = 25.0
_REFERENCE_EFFICIENCY = 0.9637
_U0, _U1 = 25.0, 6.84  # heat loss factor, and its increase by wind [W/m2/K, W s/m3/K]
_DC_PER_AC = 1.15
_GAMMA_PER_K = -0.0035
_INVERTER_EFFICIENCY = 0.96
_STANDBY_SHARE = 0.0002
_OWN_CLOUDS, _OWN_MEMORY_S = 0.05, 900.0


def module_c(irradiance: Floats, air_c: Floats, wind_m_s: float) -> Floats:
    """
    Return the module temperature from irradiance, air temperature and wind speed. [deg C]

    Irradiance in W/m2, air temperature in deg C, wind speed in m/s; Faiman (2008).
    """
    return air_c + irradiance / (_U0 + _U1 * wind_m_s)


def dc_w(irradiance: Floats, module: Floats, rated_w: float, gamma_per_k: float) -> Floats:
    """Return the DC power of the modules. [W]"""
    return irradiance * 0.001 * rated_w * (1 + gamma_per_k * (module - _REFERENCE_C))


def ac_w(dc: Floats, limit_w: float, efficiency: float) -> Floats:
    """Return the AC power of the inverter, with at most `limit_w` on its DC side. [W]"""
    load = dc / limit_w
    lost = np.divide(0.0059, load, out=np.zeros_like(dc), where=dc != 0)
    part = efficiency / _REFERENCE_EFFICIENCY * (-0.0162 * load - lost + 0.9858)
    return np.maximum(0, np.minimum(efficiency * limit_w, part * dc))


class PvInverter:
    """String inverter with the AC rating `rated_power_w`."""

    def __init__(self, device: Device, seed: int) -> None:
        chance = stream(seed, device.id, "build")
        self._device = device
        self._soiling = float(chance.uniform(0.93, 0.99))
        self._export = Register(int(chance.integers(5_000_000, 60_000_000)))
        self._import = Register(int(chance.integers(1_000, 60_000)))

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Return the readings of a day: power from irradiance, registers from power."""
        device = self._device
        above = sky(
            day.seed,
            device.latitude,
            device.longitude,
            day.number,
            int(day.time_ms[0]),
            len(day.time_ms),
            device.cadence_s,
        )
        own = self._soiling + _OWN_CLOUDS * day.wander("clouds", _OWN_MEMORY_S)
        irradiance = above.irradiance_w_m2 * np.clip(own, 0.0, 1.0)
        module = module_c(irradiance, above.air_c, wind_m_s=2.0)
        dc = dc_w(irradiance, module, device.rated_power_w * _DC_PER_AC, _GAMMA_PER_K)
        ac = ac_w(dc, device.rated_power_w / _INVERTER_EFFICIENCY, _INVERTER_EFFICIENCY)
        producing = ac > 0
        power_w = np.where(producing, ac, -_STANDBY_SHARE * device.rated_power_w)
        power_mw = np.rint(power_w * 1_000).astype(np.int64)
        return Block(
            time_ms=day.time_ms,
            number=number,
            registers={
                "energy_export_kwh": self._export.advance(day.time_ms, power_mw),
                "energy_import_kwh": self._import.advance(day.time_ms, -power_mw),
            },
            gauges={
                "active_power_kw": power_mw / 1e6,
                "irradiance_w_m2": np.round(irradiance, 1),
                "module_temperature_c": np.round(module, 1),
                "dc_power_kw": np.round(dc / 1_000, 3),
                "state": producing.astype(np.float64),
            },
        )


class GenerationMeter(PvInverter):
    """The meter of a solar plant of `rated_power_w`: export by day, own use by night."""

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Return readings of a day: the inverter's registers and power."""
        block = super().readings(day, number)
        # power of an energy meter: positive for import, negative for export
        return replace(block, gauges={"active_power_kw": -block.gauges["active_power_kw"]})
