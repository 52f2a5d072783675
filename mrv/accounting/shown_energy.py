"""
Energy and pumped water of the baseline beyond what other channels of the same device show.

Each register that counts for the claimant is held against the integral of its own power,
against the power on the inverter's other side and against the sun over its place.  What is
beyond is not credited: `mrv.accounting.device_period` takes it off.  What no power shows, on
either side, rests on the register alone: `mrv.accounting.single_channel` says what it counts.
Water of a pump is held against what its power lifts to its head (`ingest.quality.lift`).

Power shows for certain its integral less one standard error, which is more than samples of NREL's
recording are ever off by (`ingest.quality.power_integral`).  Clouds may be worse than there, so
samples that leave quarter hours out show it less three of the errors that the register itself
tells of them (`ingest.quality.energy_budget.scatter`).  Where the register rose by more than two
meters may differ, and by one standard error, one of both is wrong, and no more counts than is
certain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ingest import classes
from ingest.classes import QUANTITY_INDEX, Channel
from ingest.model import HOUR_US, INTERVAL_US, NULL, Fleet, Float64, Frame, Int64, IntervalRows
from ingest.quality import clear_sky, energy_budget, lift
from ingest.quality.energy_budget import METERS, SIGMAS, Tolerance
from ingest.quality.power_integral import Integral, integral
from mrv.accounting.device_bindings import role_needs
from mrv.calendar import local_date, midnight_us
from mrv.methodologies import find
from mrv.model import DECLARED, RoleNeeds
from mrv.parameters.inputs import read
from mrv.registry.project import Project, Unshown
from mrv.texts import text

POWER = text("MTR-02.power")
DC = text("MTR-02.direct_current")
SUN = text("MTR-02.sun")
LIFT = text("MTR-02.lift")
ALONE = text("EVD-01.alone")
UNDECLARED = text("MTR-02.undeclared")
# class and quantity: the gauges of its power and its head
_LIFTED = {("pump", "flow"): ("active_power_w", "head_m")}
_DC_CHANNEL = "dc_power_w"
# an inverter gives out no more than goes in; the rest is the two sensors' class
_AC_OVER_DC = 1.02
# a register's own step: no less than its tolerance, no more than meters have
_LARGEST_STEP_WH = 10_000
# a device that tells its power each quarter of an hour is late now and then
_SELDOM_US = INTERVAL_US * 3 // 2


# device id and quantity
Key = tuple[str, str]


class Found(NamedTuple):
    """What of a register other channels do not carry, and what of the rest no power shows."""

    beyond: tuple[Unshown, ...]
    alone: Unshown | None


@dataclass(frozen=True)
class ShownEnergy:
    """
    The registers of a period that have to be shown by other channels.

    Attributes
    ----------
    wanted : mapping of int to tuple of Channel
        Registers by fleet index.
    sunny : frozenset of (int, str)
        Fleet index and channel of what the sun makes.
    rows : IntervalRows
        Of the period, by device, quantity and start.
    ratings : mapping
        Rated powers by device id, from when on. [us UTC, W]
    first, last : int
        Edges of the period. [interval numbers]
    into_day : int
        Quarter hours of the local day before the period.
    """

    fleet: Fleet
    wanted: Mapping[int, tuple[Channel, ...]]
    sunny: frozenset[tuple[int, str]]
    rows: IntervalRows
    ratings: Mapping[str, tuple[tuple[int, int], ...]]
    first: int
    last: int
    into_day: int

    @staticmethod
    def of(
        project: Project,
        fleet: Fleet,
        rows: IntervalRows,
        ratings: Mapping[str, tuple[tuple[int, int], ...]],
        period_us: tuple[int, int],
        *,
        documented: bool = True,
    ) -> ShownEnergy:
        """
        Return what is held against other channels in a period.

        `documented` says whether a document shows the technology that a project declares; where
        none does, the sun counts.
        """
        begin = midnight_us(local_date(period_us[0], project.timezone), project.timezone)
        return ShownEnergy(
            fleet,
            *_wanted(project, fleet, documented=documented),
            rows,
            ratings,
            period_us[0] // INTERVAL_US,
            period_us[1] // INTERVAL_US,
            (period_us[0] - begin) // INTERVAL_US,
        )

    def beyond(self, block: Frame) -> Iterator[tuple[Key, Found]]:
        """
        Return what of their registers is not shown, for the devices of a block of readings.

        A device and quantity of which all is shown is left out.

        Parameters
        ----------
        block : Frame
            Whole devices, sorted by device and time.
        """
        for index, of in devices_of(block):
            for channel in self.wanted.get(index, ()):
                found = self._of_register(block, of, index, channel)
                if found.beyond or found.alone is not None:
                    yield (self.fleet.devices[index].id, str(channel.quantity)), found

    def _of_register(self, block: Frame, of: slice, index: int, channel: Channel) -> Found:
        """Hold a register against one channel after another; each takes from what is left."""
        register: Any = block.columns[channel.name][of]
        told = _Told(block.time_us[of], register, register_step(register, channel.tolerance))
        left = self._claimed(index, channel)
        if (block.class_id, channel.quantity) in _LIFTED:
            return self._of_water(block, of, told, left, str(channel.quantity))
        found, seen = [], np.zeros(len(left.value))
        direct = _DC_CHANNEL if _DC_CHANNEL in block.columns else None
        for reason, name, share in (
            (SUN, None, 0.0),
            (POWER, channel.power, METERS),
            (DC, direct, METERS + _AC_OVER_DC - 1),
        ):
            if reason == SUN:
                beyond = self._beyond_sun(index, channel, left, told.step_wh)
            elif name is not None:
                watts: Any = block.columns[name][of]
                back = reason == POWER and channel.direction < 0
                beyond, part = self._beyond_power(told, -watts if back else watts, left, share)
                seen = np.maximum(seen, part)
            else:
                continue
            at = np.flatnonzero(beyond)
            if len(at):
                found.append(Unshown(reason, self.first + at, beyond[at]))
                left = left._replace(value=left.value - beyond)
        bare = left.value - np.floor(left.value * seen).astype(np.int64)
        at = np.flatnonzero(bare)
        alone = Unshown(ALONE, self.first + at, bare[at]) if len(at) else None
        return Found(tuple(found), alone)

    def _of_water(
        self, block: Frame, of: slice, told: _Told, left: _Claimed, quantity: str
    ) -> Found:
        """Hold a pump's flow against its power and head."""
        power, head = _LIFTED[block.class_id, quantity]
        watts: Any = block.columns[power][of]
        metres: Any = block.columns[head][of]
        beyond, _ = self._beyond_power(told, lift.most_flow(watts, metres), left, METERS)
        at = np.flatnonzero(beyond)
        return Found((Unshown(LIFT, self.first + at, beyond[at]),) if len(at) else (), None)

    def _claimed(self, index: int, channel: Channel) -> _Claimed:
        key = index * len(QUANTITY_INDEX) + QUANTITY_INDEX[str(channel.quantity)]
        begin, end = np.searchsorted(self._keys, [key, key + 1])
        place = self.rows.start_us[begin:end] // INTERVAL_US - self.first
        value = np.zeros(self.last - self.first, dtype=np.int64)
        estimated = np.zeros(len(value), dtype=np.bool_)
        value[place] = self.rows.value[begin:end]
        estimated[place] = self.rows.estimated_us[begin:end] > 0
        return _Claimed(value, estimated)

    @cached_property
    def _keys(self) -> Int64:
        return self.rows.device.astype(np.int64) * len(QUANTITY_INDEX) + self.rows.quantity

    def _beyond_sun(self, index: int, channel: Channel, left: _Claimed, step_wh: float) -> Int64:
        device, by_sun = self.fleet.devices[index], (index, channel.name) in self.sunny
        ratings = self.ratings.get(device.id) or ((0, device.rated_power_w or 0),)
        if not by_sun or device.place is None or not ratings[0][1]:
            return np.zeros(len(left.value), dtype=np.int64)
        share = clear_sky.most_of_rated(*device.place, self.first, self.last)
        most = share * rated_at(ratings, self.first, len(share)) * (INTERVAL_US / HOUR_US)
        return clear_sky.above(left.value, most, left.estimated, self.into_day, step_wh)

    def _beyond_power(
        self, told: _Told, watts: Float64, left: _Claimed, share: float
    ) -> tuple[Int64, Float64]:
        """What is beyond the power, and which part of the rest of each interval it shows."""
        read = np.isfinite(watts)
        if not read.any():
            nothing = np.zeros(len(left.value), dtype=np.int64)
            return nothing, nothing.astype(np.float64)
        time_us, known = told.time_us, told.register != NULL
        told_us = time_us if known.all() else time_us[known]
        if not read.all():
            time_us, watts = time_us[read], watts[read]
        shown = integral(time_us, watts, told_us, self.first, self.last)
        tolerance = Tolerance(share, told.step_wh)
        beyond = energy_budget.above(left.value, *shown, left.estimated, self.into_day, tolerance)
        whole, error = _sums(shown, tolerance)
        kept = left.value - beyond
        doubt = error
        if _seldom(time_us):
            seen = energy_budget.scatter(
                kept, shown.energy_wh, shown.known, left.estimated, self.into_day, told.step_wh
            )
            doubt = max(error, SIGMAS * seen)
        certain = np.where(shown.known, _part(whole - doubt, kept[shown.known]), 0.0)
        if left.value[shown.known].sum() <= (1 + share) * whole + error:
            return beyond, certain
        uncertain = kept - np.floor(kept * certain).astype(np.int64)
        known = shown.known.astype(np.float64)
        return beyond + np.where(shown.known, uncertain, 0), known


def is_declared(needs: RoleNeeds, class_id: str) -> bool:
    """Whether a device's project has to say what makes what it delivers: its class does not."""
    return needs.made_from == DECLARED and not classes.load()[class_id].made_from(needs.quantity)


def _seldom(time_us: Int64) -> bool:
    """Whether samples leave quarter hours out, for more than a twentieth of the time."""
    step_us = np.diff(time_us)
    apart = step_us[(step_us > _SELDOM_US) & (step_us <= HOUR_US)]
    return bool(apart.sum() * 20 > step_us.sum())


def _sums(shown: Integral, tolerance: Tolerance) -> tuple[float, float]:
    """Energy that power shows, and a standard error of it with the register's own step. [Wh]"""
    whole = float(shown.energy_wh[shown.known].sum())
    error = float(np.sqrt(shown.variance[shown.known].sum())) + tolerance.step_wh / SIGMAS
    return whole, error


def _part(certain_wh: float, kept: Int64) -> float:
    """Part of what is kept of a register that is certain."""
    rest = float(kept.sum())
    return min(1.0, max(certain_wh, 0.0) / rest) if rest > 0 else 1.0


class _Told(NamedTuple):
    """Readings of a register: when, what, and the step that it counts by. [us UTC, Wh]"""

    time_us: Int64
    register: Int64
    step_wh: float


class _Claimed(NamedTuple):
    """A register's energy by interval [Wh], and where a longer step was spread over several."""

    value: Int64
    estimated: np.ndarray


def _wanted(
    project: Project, fleet: Fleet, *, documented: bool
) -> tuple[dict[int, tuple[Channel, ...]], frozenset[tuple[int, str]]]:
    """Return the registers that have to be shown, and which of these the sun makes."""
    methodology = find(project.methodology, project.version)
    found: dict[int, dict[str, Channel]] = {}
    sunny = set()
    for bound in project.devices:
        where = f"device {bound.device}"
        needs = role_needs(methodology, bound, where)
        index = fleet.by_id.get(bound.device)
        if needs.side == "project" or index is None:
            continue
        water = (fleet.devices[index].class_id, needs.quantity) in _LIFTED
        if needs.unit != "Wh" and not water:
            continue
        for channel in classes.load()[fleet.devices[index].class_id].registers:
            if channel.quantity == needs.quantity:
                found.setdefault(index, {})[channel.name] = channel
                params = read(needs.params, bound.params, where) if documented else {}
                if needs.made_by_sun(channel.made_from, params):
                    sunny.add((index, channel.name))
    return {index: tuple(of.values()) for index, of in found.items()}, frozenset(sunny)


def devices_of(block: Frame) -> Iterator[tuple[int, slice]]:
    """Yield each device of a block that is sorted by device: its fleet index, and its rows."""
    heads = np.flatnonzero(np.append(True, block.device[1:] != block.device[:-1])).tolist()
    for begin, end in pairwise([*heads, len(block)] if len(block) else []):
        yield int(block.device[begin]), slice(begin, end)


def register_step(register: Int64, tolerance: int) -> float:
    """Return the step of a register, as it shows in its smallest rise. [base units]"""
    rise = np.diff(register)
    smallest = int(np.where(rise > 0, rise, _LARGEST_STEP_WH).min(initial=_LARGEST_STEP_WH))
    return float(max(tolerance, smallest))


def rated_at(ratings: Sequence[tuple[int, int]], first: int, count: int) -> Int64:
    """
    Rated power of intervals from `first` on. [W]

    Parameters
    ----------
    ratings : sequence of (int, int)
        From when on [us UTC] and rated power [W], in order of time, at least one; the first counts
        for all time before the second.
    """
    begins = np.array([-(-us // INTERVAL_US) for us, _ in ratings[1:]], dtype=np.int64)
    number = first + np.arange(count, dtype=np.int64)
    watt = np.array([w for _, w in ratings], dtype=np.int64)
    found: Int64 = watt[np.searchsorted(begins, number, side="right")]
    return found
