"""
What the meters really counted, to hold against what a pipeline says.

Made again from the same seed, without encoding or sending anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from services.simulator.disturb import Disturber, Plan
from services.simulator.faults import NO_FAULTS, Faults
from services.simulator.flow import fleet_sources
from services.simulator.model import Block, Device, Ints, Source


@dataclass(slots=True)
class RegisterTruth:
    """
    One register in base units [Wh, mL or m].

    `first` and `last` are what the first and last right reading shows; `rise` is
    what the meter counted between the two, whatever resets came in between.
    """

    first: int
    last: int
    rise: int = 0
    true_first: int = 0


@dataclass(slots=True)
class DeviceTruth:
    """Readings of one device that are sent and right, and its registers."""

    readings: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    registers: dict[str, RegisterTruth] = field(default_factory=dict)

    def add(self, block: Block, plan: Plan) -> None:
        """Take in the next block of the device."""
        rows: Ints = np.flatnonzero(plan.good)
        if not len(rows):
            return
        first, last = int(rows[0]), int(rows[-1])
        self.readings += len(rows)
        if self.first_ms is None:
            self.first_ms = int(block.time_ms[first])
        self.last_ms = int(block.time_ms[last])
        for name, true in block.registers.items():
            shown = plan.shown.registers[name]
            register = self.registers.setdefault(
                name, RegisterTruth(int(shown[first]), 0, true_first=int(true[first]))
            )
            register.last = int(shown[last])
            register.rise = int(true[last]) - register.true_first


def truth(
    fleet: Sequence[Device],
    start_us: int,
    duration_us: int,
    seed: int = 0,
    faults: Faults = NO_FAULTS,
) -> dict[str, DeviceTruth]:
    """Ground truth of `messages` with the same arguments, by device id."""
    span = start_us // 1_000, (start_us + duration_us) // 1_000
    return source_truth(fleet_sources(fleet, start_us, duration_us, seed), seed, faults, span)


def source_truth(
    sources: Sequence[Source], seed: int, faults: Faults, span_ms: tuple[int, int]
) -> dict[str, DeviceTruth]:
    """Ground truth of any sources, simulated or recorded."""
    found: dict[str, DeviceTruth] = {}
    for source in sources:
        told = found[source.device.id] = DeviceTruth()
        disturber = Disturber(source.device, faults, seed, span_ms)
        for block in source.blocks():
            told.add(block, disturber.plan(block))
    return found
