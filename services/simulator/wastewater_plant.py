"""
Wastewater plant with an anaerobic stage.

Flow has two daily peaks; biogas is what the removed COD gives: 0.35 Nm3 of
methane a kg of COD by stoichiometry (McCarty 1964), four fifths of the removal in
the digester.
"""

import numpy as np

from services.simulator.chance import stream
from services.simulator.day import Day, bump
from services.simulator.model import Block, Device, Floats, Ints
from services.simulator.register import Register

_NM3_CH4_PER_KG_COD, _DIGESTED = 0.35, 0.8
_FLOW_M3_H_PER_KW, _KWH_PER_M3, _IDLE = 1.2, 0.5, 0.15


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
        "cod_in_mg_l": _shown(cod_in, 300.0, 2_000.0, 1),
        "cod_out_mg_l": _shown(cod_out, 20.0, 120.0, 1),
        "bod5_mg_l": _shown(0.4 * cod_out, 5.0, 60.0, 1),
        "tss_mg_l": _shown(32.0 + 4.0 * day.wander("tss", 7_200.0), 5.0, 90.0, 1),
        "nh4_n_mg_l": _shown(0.2 * nitrogen, 0.5, 20.0, 2),
        "tn_mg_l": _shown(nitrogen, 5.0, 60.0, 2),
        "tp_mg_l": _shown(2.6 + 0.3 * day.wander("tp", 10_800.0), 0.3, 8.0, 2),
        "ph": _shown(7.2 + 0.12 * day.wander("ph", 7_200.0), 6.0, 9.0, 2),
        "temperature_c": _shown(30.0 + 1.5 * bump(day.hour, 15.0, 5.0), 0.0, 45.0, 1),
        "ch4_percent": _shown(62.0 + 1.5 * day.wander("ch4", 10_800.0), 50.0, 75.0, 1),
        "flare_temperature_c": _shown(840.0 + 40.0 * day.wander("flare", 1_800.0), 0.0, 1_200.0, 0),
    }


def _shown(value: Floats, low: float, high: float, digits: int) -> Floats:
    """What an analyser of that range and resolution shows."""
    return np.asarray(np.round(np.clip(value, low, high), digits), dtype=np.float64)
