"""
Metering rules of tonne 0.1.0 (version 1): frozen, never changed again.

They verify the data that they metered: statements and evidence packs without a version, and
interval rows of version 1.  New data are metered by version 2.

Metering: readings to interval rows, from stored marks.

The same function serves a live batch, from the cached state; a late reading, from the marks stored
with its intervals; and a rebuild or verification, without earlier state.  If rows before the start
would change, the device is returned for metering from an earlier time.

A device without a register of a quantity is metered from power by the trapezoidal rule, but never
across more than the maximum gap: energy in a longer gap is missing.  It is always an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.metering_v1.register_steps import (
    NEVER,
    Bounds,
    Ends,
    MeterState,
    Register,
    RegisterColumn,
    trace,
)
from ingest.metering_v1.register_steps import Column as Rows
from ingest.metering_v1.registers import ESTIMATED, Marks, Steps, heads, share
from ingest.model import NULL, Float64, Frame, Int32, Int64, IntervalRows

MAX_GAP_US = 900_000_000


def energy_steps(
    from_us: Int64,
    to_us: Int64,
    power_from_w: Float64,
    power_to_w: Float64,
    direction: int,
    *,
    up: bool = False,
) -> tuple[Int64, np.ndarray]:
    """
    Return the energy of each pair of power readings, and which pairs are valid. [Wh]

    Parameters
    ----------
    from_us, to_us : int64 array, n
        Times of the two readings. [us]
    power_from_w, power_to_w : float64 array, n
        Power at the two readings. [W]
    direction : int
        +1 counts positive power, -1 negative power.
    up : bool
        Round up: for a project's own use, where rounding down would favour the claimant.

    Returns
    -------
    energy_wh : int64 array, n
        (p0 + p1) / 2 * dt, each power clipped at 0, rounded down, or `up`. [Wh]
    counts : bool array, n
        False where the pair is further apart than the maximum gap.
    """
    p0 = np.maximum(power_from_w * direction, 0.0)
    p1 = np.maximum(power_to_w * direction, 0.0)
    elapsed = to_us - from_us
    counts = (elapsed <= MAX_GAP_US) & np.isfinite(p0) & np.isfinite(p1)
    energy = np.where(counts, (p0 + p1) * elapsed / 7.2e9, 0.0)
    whole = np.ceil(energy) if up else np.floor(energy)
    return whole.astype(np.int64), counts


class Power(NamedTuple):
    """Power readings, sorted by device and time, without absent ones. [W]"""

    device: Int32
    time_us: Int64
    power_w: Float64

    def of(self, devices: Int32) -> Power:
        """Return the rows of the given devices."""
        rows = np.isin(self.device, devices)
        return Power(self.device[rows], self.time_us[rows], self.power_w[rows])


def power_steps(column: RegisterColumn, rows: Power, start: Register | None) -> Steps:
    """Return energy steps between successive power readings, from the stored last one if any."""
    head = np.ones(len(rows.device), dtype=np.bool_)
    head[1:] = rows.device[1:] != rows.device[:-1]
    from_us, from_w = np.empty_like(rows.time_us), np.empty_like(rows.power_w)
    from_us[1:], from_w[1:] = rows.time_us[:-1], rows.power_w[:-1]
    first = rows.device[head]
    if start is None:
        from_us[head], from_w[head] = rows.time_us[head] - MAX_GAP_US - 1, 0.0
    else:
        from_us[head], from_w[head] = start.power_us[first], start.power_w[first]
    energy, counts = energy_steps(
        from_us,
        rows.time_us,
        from_w,
        rows.power_w,
        column.channel.direction,
        up=column.channel.power_up,
    )
    n = int(counts.sum())
    return Steps(
        rows.device[counts],
        np.full(n, column.quantity, dtype=np.int16),
        from_us[counts],
        rows.time_us[counts],
        energy[counts],
        np.full(n, ESTIMATED, dtype=np.uint8),
    )


def last_power(rows: Power) -> Power:
    """Return each device's last power reading."""
    tail = np.ones(len(rows.device), dtype=np.bool_)
    tail[:-1] = rows.device[1:] != rows.device[:-1]
    return Power(rows.device[tail], rows.time_us[tail], rows.power_w[tail])


FROM_START = -(2**62)


@dataclass(slots=True)
class Metered:
    """
    Interval rows, devices to meter again from an earlier time, and the new state.

    `rows`: sorted by device, quantity and start; none of a device in `rewrites`.
    `rewrites`: fleet index to the time from which its rows change. [us]
    `events`: register events: reset, rollover, glitch, jitter, ...
    `spread`: fleet index to the beginning of the standstill that a catch-up filled. [us]
    """

    rows: IntervalRows
    rewrites: dict[int, int]
    events: list[str]
    spread: dict[int, int] = field(default_factory=dict)
    ends: list[tuple[int, Ends]] = field(default_factory=list)
    powers: list[tuple[int, Power]] = field(default_factory=list)
    newest: list[tuple[Int32, Int64]] = field(default_factory=list)

    def apply(self, state: MeterState) -> None:
        """
        Store the state after the batch, once its rows are committed; discard
        devices in `rewrites`.
        """
        for device, time_us in self.newest:
            np.maximum.at(state.last_us, device, time_us)
        for quantity, ends in self.ends:
            register = state.registers[quantity]
            register.known[ends.device] = True
            register.away[ends.device] = ends.away
            register.value[ends.device] = ends.value
            register.read_us[ends.device] = ends.read_us
            register.changed_us[ends.device] = ends.changed_us
        for quantity, last in self.powers:
            register = state.registers[quantity]
            register.power_us[last.device] = last.time_us
            register.power_w[last.device] = last.power_w
        remember_open(state, self.rows)
        state.forget(np.array(list(self.rewrites), dtype=np.int32))


def meter(bounds: Bounds, state: MeterState, frames: Sequence[Frame]) -> Metered:
    """
    Return the interval rows that readings create or change.

    `state`: marks at the start; readings of a register not later than its mark are ignored.
    `frames`: one frame per class; times unique per device.
    Raises ValueError if a class comes twice.
    """
    if len({frame.class_id for frame in frames}) < len(frames):
        raise ValueError("two frames of one class start from the same marks; join them")
    out = Metered(IntervalRows.empty(), {}, [])
    steps: list[Steps] = []
    marks: list[Marks] = []
    for frame in frames:
        order = _order(frame)
        device, time_us = frame.device[order], frame.time_us[order]
        out.newest.append((device, time_us))
        for column in bounds.columns(frame.class_id):
            register = state.registers[column.quantity]
            value: Any = frame.columns[column.channel.name][order]
            rows = _unread(device, time_us, value, register)
            result = trace(bounds, frame.class_id, column, rows, register)
            steps.append(result.steps)
            marks.append(result.marks)
            out.ends.append((column.quantity, result.ends))
            out.events.extend(result.events)
            out.rewrites.update(result.rewrites)
            out.spread |= {d: min(us, out.spread.get(d, us)) for d, us in result.spread.items()}
            if column.channel.power is not None:
                metered = result.ends.device
                out.rewrites.update(_newly_metered(state, register, metered))
                watts = frame.columns[column.channel.power][order].astype(np.float64, copy=False)
                _from_power(column, Power(device, time_us, watts), register, metered, steps, out)
    if steps:
        rows_ = share(Steps(*_joined(steps)), Marks(*_joined(marks)))
        if out.rewrites:
            again = np.array(list(out.rewrites), dtype=np.int32)
            rows_ = rows_.take(~np.isin(rows_.device, again))
        out.rows = _add_open(state, rows_)
    return out


def _order(frame: Frame) -> NDArray[np.intp] | slice:
    """Return an index that sorts rows by device and time; a slice, without a copy, if sorted."""
    device, time_us = frame.device, frame.time_us
    same, later = device[1:] == device[:-1], time_us[1:] >= time_us[:-1]
    if bool(((device[1:] > device[:-1]) | (same & later)).all()):
        return slice(None)
    return np.lexsort((time_us, device))


def _unread(device: Int32, time_us: Int64, value: Int64, register: Register) -> Rows:
    """Return the readings of a register after its stored time; without a copy if all are later."""
    held = value != NULL
    first = heads(device)
    # times ascend: if a device's first reading is later, all are
    if not (time_us[first] > register.read_us[device[first]]).all():
        held &= time_us > register.read_us[device]
    if held.all():
        return Rows(device, time_us, value)
    return Rows(device[held], time_us[held], value[held])


def _joined(parts: Sequence[Steps] | Sequence[Marks]) -> Sequence[Any]:
    nonempty = [part for part in parts if len(part.device)]
    if len(nonempty) == 1:
        return nonempty[0]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _newly_metered(state: MeterState, register: Register, device: Int32) -> dict[int, int]:
    """
    Return {device index: start of time} for known devices with a first register reading.

    They are metered again from the start, to remove estimates from power.
    """
    first = device[~register.known[device] & (state.last_us[device] > NEVER)]
    return dict.fromkeys(first.tolist(), FROM_START)


def _from_power(
    column: RegisterColumn,
    rows: Power,
    register: Register,
    metered: Int32,
    steps: list[Steps],
    out: Metered,
) -> None:
    """Add steps estimated from power for devices without register readings."""
    bare = ~register.known
    bare[metered] = False
    known = bare[rows.device]
    if known.any():
        known &= np.isfinite(rows.power_w) & (rows.time_us > register.power_us[rows.device])
    if not known.any():
        return
    rows = Power(rows.device[known], rows.time_us[known], rows.power_w[known])
    steps.append(power_steps(column, rows, register))
    out.powers.append((column.quantity, last_power(rows)))


def _add_open(state: MeterState, rows: IntervalRows) -> IntervalRows:
    """Return rows combined with the rows of earlier batches in intervals that have not ended."""
    for quantity in np.flatnonzero(np.bincount(rows.quantity)).tolist():
        register = state.registers[quantity]
        of = np.flatnonzero(rows.quantity == quantity)
        of = of[rows.start_us[of] == register.open_us[rows.device[of]]]
        device = rows.device[of]
        rows.value[of] += register.open_value[device]
        rows.measured_us[of] += register.open_measured[device]
        rows.estimated_us[of] += register.open_estimated[device]
        rows.unknown_us[of] += register.open_unknown[device]
        bare = of[(rows.read_us[of] == NULL) & register.known[device] & ~register.away[device]]
        _keep_mark(rows, bare, register)
    return rows


def _keep_mark(rows: IntervalRows, bare: NDArray[np.intp], register: Register) -> None:
    """Keep the earlier mark in open intervals without a further reading of the register."""
    device = rows.device[bare]
    rows.register[bare] = register.value[device]
    rows.read_us[bare] = register.read_us[device]
    rows.changed_us[bare] = register.changed_us[device]


def remember_open(state: MeterState, rows: IntervalRows) -> None:
    """Store each register's last interval; rows are sorted by device, quantity and start."""
    if not len(rows):
        return
    last: NDArray[np.bool_] = np.ones(len(rows), dtype=np.bool_)
    last[:-1] = (rows.device[1:] != rows.device[:-1]) | (rows.quantity[1:] != rows.quantity[:-1])
    for quantity, register in enumerate(state.registers):
        of = np.flatnonzero(last & (rows.quantity == quantity))
        device = rows.device[of]
        register.open_us[device] = rows.start_us[of]
        register.open_value[device] = rows.value[of]
        register.open_measured[device] = rows.measured_us[of]
        register.open_estimated[device] = rows.estimated_us[of]
        register.open_unknown[device] = rows.unknown_us[of]
