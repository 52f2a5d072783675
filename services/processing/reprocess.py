"""
Meter late readings again from the checkpoint before them, and write what differs.

Also the way of whatever the live state cannot settle by itself: a register
that returns from a glitch, a standstill that ends in a catch-up, a registry
that changed.  Runs inside the transaction that stored the readings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ingest.model import INTERVAL_US, IntervalRows
from ingest.pipeline import (
    FROM_START,
    LOOK_BACK_US,
    POWER_GAP_US,
    SPREAD_US,
    MeterState,
    meter,
)
from services.settle import Part
from services.store.timeseries import interval_rows as derived
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg import Cursor
    from psycopg.rows import TupleRow

    from ingest.pipeline import Metered
    from services.settle import Plan
    from services.store.postgres.binary_copy import Words
    from services.store.timeseries.interval_rows import BindingWords


@dataclass(slots=True)
class Remade:
    """Derived rows made again: for each device the rows from its own interval on."""

    parts: list[tuple[dict[int, int], Metered]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def remember(self, state: MeterState, scratch: MeterState) -> None:
        """Move the devices' new state into the live one, once committed."""
        for from_us, metered in self.parts:
            metered.apply(scratch)
            index = list(from_us)
            state.last_us[index] = scratch.last_us[index]
            for live, new in zip(state.registers, scratch.registers, strict=True):
                for name in type(live).__slots__:  # every field is an array by fleet index
                    getattr(live, name)[index] = getattr(new, name)[index]
            state.loaded[index] = True


def remake(
    cursor: Cursor[TupleRow], plan: Plan, scratch: MeterState, from_us: dict[int, int]
) -> Remade:
    """
    Derived rows from each device's own time on, from stored readings.

    Parameters
    ----------
    scratch : MeterState
        As long as the fleet; holds nothing about these devices.
    from_us : dict of int to int
        Fleet index to the time from which readings changed; FROM_START for all.
    """
    out = Remade()
    todo = dict(from_us)
    while todo:
        begins = _begin(cursor, plan, scratch, todo)
        metered = _meter(cursor, plan, scratch, begins)
        # a catch-up over a standstill that began before the rows replaced here
        again = {d: us + 1 for d, us in metered.spread.items() if us < begins[d].replaced_us}
        again |= metered.rewrites | _first_registers(plan, scratch, todo, metered)
        done = {d: b.replaced_us for d, b in begins.items() if d not in again}
        rows = metered.rows.take(np.isin(metered.rows.device, list(done)))
        metered.rewrites = {}
        _keep_only(metered, rows, set(done))
        out.parts.append((done, metered))
        out.events.extend(metered.events if not again else [])
        todo = {d: us if us < todo[d] else FROM_START for d, us in again.items()}
    return out


def _first_registers(
    plan: Plan, scratch: MeterState, todo: dict[int, int], metered: Metered
) -> dict[int, int]:
    """Devices that show a register without a mark before: all their power-made rows must go."""
    limited = np.array([d for d, us in todo.items() if us > FROM_START], dtype=np.int32)
    powered = {
        (class_id, column.quantity)
        for class_id in marks.by_class(plan.fleet, limited.tolist())
        for column in plan.bounds.columns(class_id)
        if column.channel.power is not None
    }
    found: dict[int, int] = {}
    for quantity, ends in metered.ends:
        new = ends.device[~scratch.registers[quantity].known[ends.device]]
        for device in new[np.isin(new, limited)].tolist():
            if (plan.fleet.devices[device].class_id, quantity) in powered:
                found[device] = FROM_START
    return found


def _keep_only(metered: Metered, rows: IntervalRows, devices: set[int]) -> None:
    """Leave out the ends of devices that are metered again."""
    metered.rows = rows
    index = np.array(sorted(devices), dtype=np.int32)
    metered.ends = [(q, e.of(index)) for q, e in metered.ends]
    metered.powers = [(q, p.of(index)) for q, p in metered.powers]
    metered.newest = [(d[np.isin(d, index)], t[np.isin(d, index)]) for d, t in metered.newest]


@dataclass(frozen=True, slots=True)
class _Begin:
    """Readings wanted after `after_us`; rows replaced from `replaced_us` on."""

    after_us: int
    replaced_us: int


def _begin(
    cursor: Cursor[TupleRow], plan: Plan, scratch: MeterState, from_us: dict[int, int]
) -> dict[int, _Begin]:
    """
    Find where rows begin to change, and the marks that everything from there follows from.

    Steps change from the last mark before the change; every row from that
    mark's moment on is replaced.  Marks of earlier intervals start the registers.
    """
    marks.reset(scratch, list(from_us))
    begins = {d: _Begin(FROM_START, FROM_START) for d, us in from_us.items() if us == FROM_START}
    limited = {d: us for d, us in from_us.items() if us > FROM_START}
    replaced = {d: _floor(us - POWER_GAP_US) for d, us in limited.items()}
    for mark in marks.last(cursor, plan.fleet, read_before=limited):
        # rows that hold a catch-up over the mark's standstill may lose it
        still = max(mark.changed_us, limited[mark.device] - SPREAD_US)
        replaced[mark.device] = min(replaced[mark.device], _floor(min(mark.since_us, still)))
    for device, us in marks.departed(cursor, plan.fleet, limited).items():
        # a fall, a return or a settlement after the change reaches as far back
        replaced[device] = min(replaced[device], _floor(us - LOOK_BACK_US))
    after = {d: us - POWER_GAP_US - 1 for d, us in replaced.items()}
    for mark in marks.last(cursor, plan.fleet, start_before=replaced):
        mark.set(scratch.registers[mark.quantity])
        after[mark.device] = min(after[mark.device], mark.seen_us)
    return begins | {d: _Begin(after[d], replaced[d]) for d in limited}


def _floor(us: int) -> int:
    return us // INTERVAL_US * INTERVAL_US


def _meter(
    cursor: Cursor[TupleRow], plan: Plan, scratch: MeterState, begins: dict[int, _Begin]
) -> Metered:
    frames = []
    for class_id, members in marks.by_class(plan.fleet, list(begins)).items():
        after = {d: begins[d].after_us for d in members}
        frames.append(readings.fetch(cursor, plan.fleet, class_id, after))
    metered = meter(plan.bounds, scratch, [f for f in frames if len(f)])
    starts = np.full(len(plan.fleet), FROM_START, dtype=np.int64)
    starts[list(begins)] = [b.replaced_us for b in begins.values()]
    metered.rows = metered.rows.take(metered.rows.start_us >= starts[metered.rows.device])
    return metered


def write(
    cursor: Cursor[TupleRow], plan: Plan, ids: Words, words: BindingWords, remade: Remade
) -> dict[str, int]:
    """Bring stored rows to what was made again; return rows written or deleted, by table."""
    written = {"interval_quantity": 0, "interval_emission": 0}
    for from_us, metered in remade.parts:
        if not from_us:
            continue
        part = Part.of(plan, metered.rows)
        written["interval_quantity"] += derived.replace_intervals(
            cursor, plan.fleet, ids, part.intervals, from_us
        )
        written["interval_emission"] += derived.replace_emissions(
            cursor, plan.fleet, ids, words, part.emissions, from_us
        )
    return written


def earliest(devices: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Each device's earliest time."""
    found: dict[int, int] = {}
    for device, us in devices:
        found[device] = min(us, found.get(device, us))
    return found
