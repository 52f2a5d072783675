"""Days of simulated devices as readings, with no broker between."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ingest import classes
from ingest.model import NULL, Frame
from services.simulator.fleet import USUAL_POWER_W
from services.simulator.model import Device
from services.simulator.simulated import Simulated

DAY_US = 86_400_000_000
CADENCE_S = 10
# payload's unit, the stored one, and how many of the stored one gauges have
_UNITS = (("", "", 1), ("_kwh", "_wh", 1000), ("_kw", "_w", 1000), ("_m3", "_ml", 1),
          ("_nm3", "_nml", 1), ("_km", "_m", 1))  # fmt: skip


def of(name: str, class_id: str, from_us: int, to_us: int, cadence_s: int = CADENCE_S) -> Frame:
    """Readings of one device of a class; what its simulator lacks, an inverter gets here."""
    power = USUAL_POWER_W.get(class_id, 0)
    device = Device(name, class_id, name, 20.86, 106.68, power, cadence_s)
    seed = sum(name.encode())
    blocks = list(Simulated(device, seed, from_us // 1000, to_us // 1000).blocks())
    time_us = np.concatenate([b.time_ms for b in blocks]) * 1000
    said = {
        key: np.concatenate([(b.registers | b.gauges)[key] for b in blocks])
        for key in blocks[0].registers | blocks[0].gauges
    }
    columns = {}
    for channel in classes.load()[class_id].channels.values():
        absent = NULL if channel.kind == "register" else np.nan
        found = next(_said(channel.name, said), np.full(len(time_us), absent))
        columns[channel.name] = found
    if class_id == "pv_inverter":
        columns |= _inside(columns, np.random.default_rng(seed))
    none = np.zeros(len(time_us), dtype=np.int32)
    return Frame(class_id, none, time_us, none, columns)


def _said(name: str, said: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    for unit, stored, factor in _UNITS:
        key = name.removesuffix(stored) + unit
        if name.endswith(stored) and key in said:
            values = said[key]
            # three decimals of a kilowatt are whole watts
            yield values if values.dtype == np.int64 else np.round(values * factor, 2)


def _inside(columns: dict[str, np.ndarray], chance: np.random.Generator) -> dict[str, np.ndarray]:
    """What an inverter says of its inside, in the steps that such devices have."""
    n, dc = len(columns["dc_power_w"]), columns["dc_power_w"]
    up = dc > 0
    volts = np.where(up, np.round(680 + 0.0004 * dc + chance.normal(0, 1.5, n), 1), 0.0)
    return {
        "dc_voltage_v": volts,
        "dc_current_a": np.round(np.divide(dc, volts, out=np.zeros(n), where=up), 2),
        "voltage_v": np.round(
            400 + np.cumsum(chance.normal(0, 0.02, n)) + chance.normal(0, 0.4, n), 1
        ),
        "frequency_hz": np.round(50 + chance.normal(0, 0.015, n), 2),
        "inverter_temperature_c": np.round(columns["module_temperature_c"] + 5 + dc / 8000, 1),
    }
