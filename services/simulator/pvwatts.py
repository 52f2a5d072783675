"""
Power of a PV system: PVWatts with Faiman's module temperature.

A. P. Dobos, "PVWatts Version 5 Manual", NREL/TP-6A20-62641; D. Faiman, "Assessing the outdoor
operating temperature of photovoltaic modules", 2008.  In pvlib's order of operations
(BSD 3-Clause, pvlib.LICENSE.txt): the figures are pvlib's to the last bit.
"""

from __future__ import annotations

import numpy as np

from services.simulator.model import Floats

_REFERENCE_C = 25.0
_REFERENCE_EFFICIENCY = 0.9637
_U0, _U1 = 25.0, 6.84  # heat loss, and what wind adds to it [W/m2/K, W s/m3/K]


def module_c(irradiance: Floats, air_c: Floats, wind_m_s: float) -> Floats:
    """Temperature of the module from the irradiance on it. [W/m2, deg C, m/s]"""
    return air_c + irradiance / (_U0 + _U1 * wind_m_s)


def dc_w(irradiance: Floats, module: Floats, rated_w: float, gamma_per_k: float) -> Floats:
    """Power of the modules. [W]"""
    return irradiance * 0.001 * rated_w * (1 + gamma_per_k * (module - _REFERENCE_C))


def ac_w(dc: Floats, limit_w: float, efficiency: float) -> Floats:
    """Power behind the inverter, whose DC side takes `limit_w` at most. [W]"""
    load = dc / limit_w
    lost = np.divide(0.0059, load, out=np.zeros_like(dc), where=dc != 0)
    part = efficiency / _REFERENCE_EFFICIENCY * (-0.0162 * load - lost + 0.9858)
    return np.maximum(0, np.minimum(efficiency * limit_w, part * dc))
