"""
What the live pipeline remembers of each register: its mark and its open interval.

Everything here can be made again from stored readings (`recompute`); it is
kept only so that a batch in order needs no query.  Arrays by fleet index.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.classes import QUANTITIES
from ingest.model import Float64, Int64

NEVER = -(2**62)


@dataclass(slots=True)
class Register:
    """One quantity of every device."""

    known: NDArray[np.bool_]
    away: NDArray[np.bool_]
    value: Int64
    read_us: Int64
    changed_us: Int64
    open_us: Int64
    open_value: Int64
    open_measured: Int64
    open_estimated: Int64
    open_unknown: Int64
    power_us: Int64
    power_w: Float64


class MeterState:
    """
    State of a fleet's registers.

    `loaded` tells which devices' state is true; a batch with another device
    must load it first.  `last_us` is the newest stored reading of each device.
    """

    def __init__(self, devices: int) -> None:
        self.loaded = np.zeros(devices, dtype=np.bool_)
        self.last_us = np.full(devices, NEVER, dtype=np.int64)
        self.registers = [_register(devices) for _ in QUANTITIES]

    def forget(self, devices: NDArray[np.int32] | None = None) -> None:
        """Trust nothing about these devices (all, if None) until loaded again."""
        self.loaded[slice(None) if devices is None else devices] = False


def _register(n: int) -> Register:
    def zeros() -> Int64:
        return np.zeros(n, dtype=np.int64)

    def never() -> Int64:
        return np.full(n, NEVER, dtype=np.int64)

    return Register(
        known=np.zeros(n, dtype=np.bool_),
        away=np.zeros(n, dtype=np.bool_),
        value=zeros(),
        read_us=never(),
        changed_us=never(),
        open_us=never(),
        open_value=zeros(),
        open_measured=zeros(),
        open_estimated=zeros(),
        open_unknown=zeros(),
        power_us=never(),
        power_w=np.zeros(n),
    )
