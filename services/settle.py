"""
Metered intervals and their emissions: pure functions for every runner.

A `Plan` is a compiled registry version: the fleet, limits of registers and quality tests, and rates
of each device's project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ingest.model import Fleet, Frame, IntervalRows
from ingest.pipeline import Bounds, Metered, MeterState, meter
from ingest.pipeline.quality_limits import Checks
from mrv.accounting.emission_rows import Bindings, EmissionRows
from mrv.accounting.live_emissions import Compiled, account, compile_bindings
from mrv.factors.ledger import centres
from mrv.model import Factors
from mrv.registry.project import Project


@dataclass(frozen=True, slots=True)
class Plan:
    """Devices and projects of one registry version, compiled for calculations."""

    fleet: Fleet
    bounds: Bounds
    bindings: Bindings
    checks: Checks
    # bindings by the factors of older rules, to recognise emissions calculated with them
    older: Callable[[], Bindings]

    @staticmethod
    def of(
        fleet: Fleet,
        projects: Iterable[Project],
        factors: Factors,
        compiled: Compiled | None = None,
        before: Plan | None = None,
    ) -> Plan:
        """
        Return a compiled fleet and its projects.

        `compiled`: compiled projects of earlier versions.
        `before`: an earlier version, whose data of unchanged devices are reused.
        """
        owned = tuple(projects)
        bindings = compile_bindings(owned, fleet, factors, compiled)

        def older() -> Bindings:
            return compile_bindings(owned, fleet, centres(factors))

        if before is None:
            return Plan(fleet, Bounds(fleet), bindings, Checks(fleet), older)
        same = fleet.unchanged(before.fleet)
        bounds, checks = Bounds(fleet, before.bounds, same), Checks(fleet, before.checks, same)
        return Plan(fleet, bounds, bindings, checks, older)


@dataclass(frozen=True, slots=True)
class Part:
    """Interval rows and their emissions."""

    intervals: IntervalRows
    emissions: EmissionRows

    @staticmethod
    def of(plan: Plan, intervals: IntervalRows) -> Part:
        """Return emissions of interval rows."""
        return Part(intervals, account(intervals, plan.bindings))


@dataclass(frozen=True, slots=True)
class Settled:
    """Result of a batch: new rows, rows that were open before, and the new state."""

    metered: Metered
    fresh: Part
    open: Part


def settle(plan: Plan, state: MeterState, frames: Sequence[Frame]) -> Settled:
    """
    Return intervals metered from stored states, with their emissions.

    `frames`: readings later than those of `state`.
    `state`: metering state at the start; `Settled.metered.apply` changes it.
    """
    metered = meter(plan.bounds, state, frames)
    rows = metered.rows
    was_open = np.zeros(len(rows), dtype=np.bool_)
    for quantity in np.flatnonzero(np.bincount(rows.quantity)).tolist():
        register = state.registers[quantity]
        of = np.flatnonzero(rows.quantity == quantity)
        was_open[of] = rows.start_us[of] <= register.open_us[rows.device[of]]
    return Settled(metered, Part.of(plan, rows.take(~was_open)), Part.of(plan, rows.take(was_open)))
