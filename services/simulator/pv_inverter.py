"""
PV inverter simulated with PVWatts from the irradiance at its site.

A. P. Dobos, "PVWatts Version 5 Manual", NREL/TP-6A20-62641; cell temperature: D. Faiman, "Assessing
the outdoor operating temperature of photovoltaic modules", 2008.  In pvlib's order of operations
(BSD 3-Clause, pvlib.LICENSE.txt): results are identical to pvlib's.

Inverters of one site share its sky, with individual cloud edges: each one's irradiance varies by 5
% within 15 minutes and never exceeds the site's.  In NREL's record of a roof (PVDAQ, RSF II, five
days of 2022) an inverter is within 2 % of its share in 16 % of the 15-minute intervals.

At night the inverter draws standby power, which its meter counts as import, never as negative
export.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from services.simulator.model import Block, Day, Device, Floats, Register, stream
from services.simulator.sky import sky

_REFERENCE_C = 25.0
_REFERENCE_EFFICIENCY = 0.9637
_U0, _U1 = 25.0, 6.84  # heat loss, and what wind adds to it [W/m2/K, W s/m3/K]
_DC_PER_AC = 1.15
_GAMMA_PER_K = -0.0035
_EFFICIENCY = 0.96
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
        ac = ac_w(dc, device.rated_power_w / _EFFICIENCY, _EFFICIENCY)
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
        # of an energy meter: positive for import, negative for export
        return replace(block, gauges={"active_power_kw": -block.gauges["active_power_kw"]})
