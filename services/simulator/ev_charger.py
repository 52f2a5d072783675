"""
EV charger: vehicles come, charge, stay a while and go.

Constant power to 80 % state of charge, then an exponential fall towards full.
The AC register counts what the charger draws; the session's energy is the
register's rise since the plug went in, so the two agree to the Wh.
"""

from dataclasses import dataclass

import numpy as np

from services.simulator.chance import stream
from services.simulator.day import Day
from services.simulator.model import Block, Device, Floats
from services.simulator.register import Register

AVAILABLE, CHARGING, FINISHING = 0.0, 2.0, 4.0
_EFFICIENCY = 0.93
_TAPER_FROM = 80.0


@dataclass(frozen=True, slots=True)
class Session:
    """One vehicle's stay: hours of the day, state of charge in percent, battery in Wh."""

    plug_in: float
    charged: float
    plug_out: float
    soc_start: float
    taper_at: float
    taper_h: float
    power_w: float
    battery_wh: float


class EvCharger:
    """A charging point of `rated_power_w` AC."""

    def __init__(self, device: Device, seed: int) -> None:
        chance = stream(seed, device.id, "build")
        self._device = device
        self._register = Register(int(chance.integers(500_000, 40_000_000)))

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Readings of a day of sessions."""
        hour = day.hour
        power, soc, state = np.zeros_like(hour), np.zeros_like(hour), np.zeros_like(hour)
        stays = []
        for session in _sessions(day.rng("sessions"), self._device.rated_power_w):
            first, last = np.searchsorted(hour, (session.plug_in, session.plug_out))
            stay = slice(int(first), int(last))
            power[stay], soc[stay], state[stay] = _charge(session, hour[stay])
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
    """Sessions of one local day, none across midnight."""
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
    power_w = min(float(rated_power_w), battery_wh)  # no faster than full in an hour
    into_battery = power_w * _EFFICIENCY
    taper_at = hour + (_TAPER_FROM - soc_start) / 100 * battery_wh / into_battery
    taper_h = (100 - _TAPER_FROM) / 100 * battery_wh / into_battery
    left = (100 - soc_end) / (100 - _TAPER_FROM)
    charged = min(taper_at - taper_h * float(np.log(left)), 23.9)
    plug_out = min(charged + float(chance.uniform(0.05, 0.5)), 23.95)
    return Session(hour, charged, plug_out, soc_start, taper_at, taper_h, power_w, battery_wh)


def _charge(session: Session, hour: Floats) -> tuple[Floats, Floats, Floats]:
    """Power [W], state of charge [%] and connector state along one stay."""
    until = np.minimum(hour, session.charged)
    tapering = np.exp(-np.maximum(until - session.taper_at, 0.0) / session.taper_h)
    steady_h = np.minimum(until, session.taper_at) - session.plug_in
    energy_wh = session.power_w * _EFFICIENCY * (steady_h + session.taper_h * (1 - tapering))
    charging = hour < session.charged
    power = np.where(charging, session.power_w * tapering, 0.0)
    soc = session.soc_start + 100 * energy_wh / session.battery_wh
    return power, soc, np.where(charging, CHARGING, FINISHING)
