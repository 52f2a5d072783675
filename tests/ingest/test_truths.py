"""No history of readings earns more than its meter made (the property; quick version)."""

from __future__ import annotations

import os

import numpy as np

from ingest.model import Device, Fleet
from ingest.pipeline import Bounds, MeterState, meter

from . import truths
from .metering import frame

COUNT = int(os.environ.get("TONNE_TRUTHS", "1263"))
SEED = int(os.environ.get("TONNE_SEED", "20260101"))
AT_ONCE = 421
NAMES = tuple(truths.FAULTS)
CASES = ((), *((n,) for n in NAMES), *((a, b) for a in NAMES for b in NAMES))


def credited(seeds: list[int]) -> list[tuple[int, tuple[str, ...], int, int]]:
    """Seed, faults, truth and credited energy of histories."""
    cases = [CASES[seed % len(CASES)] for seed in seeds]
    made = [truths.history(seed, faults) for seed, faults in zip(seeds, cases, strict=True)]
    n = len(made)
    devices = [
        Device(f"d{i}", "s", "pv_inverter", rated_power_w=truths.RATED_W, place=truths.PLACE)
        for i in range(n)
    ]
    device = np.repeat(np.arange(n), [len(h.time_us) for h in made])
    readings = frame(
        device,
        np.concatenate([h.time_us for h in made]),
        np.concatenate([h.register_wh for h in made]),
    )
    fleet_ = Fleet(devices)
    rows = meter(Bounds(fleet_), MeterState(n), [readings]).rows
    counted = np.zeros(n, dtype=np.int64)
    np.add.at(counted, rows.device, rows.value)
    return [
        (seed, faults, h.truth_wh, int(wh))
        for seed, faults, h, wh in zip(seeds, cases, made, counted, strict=True)
    ]
