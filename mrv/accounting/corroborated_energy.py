"""
Corroboration of baseline energy and pumped water by other channels, check meters and invoices.

Each baseline register is compared with the integral of its own power, with the power on the DC side
of the inverter, and with the solar radiation at its location.  The excess is not credited (MTR-02).
Energy without corroborating power depends on the register alone (EVD-01), unless a check meter, or
an invoice with its file, covers nearly all of the device's time and agrees within the tolerance of
two meters.  Water of a pump is compared with its power and head (`ingest.quality.energy_budget`).

The certain energy of a power series is its integral less one standard error.  In NREL's recording
(`ingest.quality.energy_budget`) this deduction exceeds every sampling error.  Clouds may vary more
elsewhere: where samples omit 15-minute intervals, three standard errors are deducted, estimated
from the register (`ingest.quality.energy_budget.scatter`).  If the register rose by more than the
integral, the tolerance of two meters and one standard error, only the certain energy counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ingest import classes
from ingest.classes import Channel
from ingest.model import (
    HOUR_US,
    INTERVAL_US,
    NULL,
    Fleet,
    Float64,
    Frame,
    Int64,
    IntervalRows,
    is_absent,
)
from ingest.quality import energy_budget
from ingest.quality.energy_budget import METERS, SIGMAS, Integral, Tolerance, integral
from mrv.accounting.register_scan import (
    Key,
    Scan,
    by_device,
    rated_at,
    register_step,
    registers,
    registers_of,
)
from mrv.accounting.unreported_use import in_whole_units
from mrv.model import DECLARED, SOLAR, TECHNOLOGY, RoleNeeds
from mrv.parameters import read
from mrv.registry.project import Project, Uncorroborated
from mrv.rounding import exact_sum
from mrv.texts import Text, text

POWER = text("MTR-02.power")
DC = text("MTR-02.direct_current")
SUN = text("MTR-02.sun")
LIFT = text("MTR-02.lift")
EXCHANGED = text("MTR-02.exchanged")
ALONE = text("EVD-01.alone")
UNDECLARED = text("MTR-02.undeclared")
# gauges of a pump's power and head, by class and quantity
_LIFTED = {("pump", "flow"): ("active_power_w", "head_m")}
_DC_CHANNEL = "dc_power_w"
# AC power never exceeds DC power; the 2 % are the accuracy classes of the two sensors
_AC_OVER_DC = 1.02
# longest time between two samples; a longer one leaves an interval without power, and a device with
# 15-minute samples may be late
_SELDOM_US = INTERVAL_US * 3 // 2


# maximum delay of a power value that is sent repeatedly, as the mean of the hour before [intervals]
_LATEST = 4
# the power of a day, a quarter of it or an hour was sent in kW if its integral is within 10 % of a
# thousandth of the register's energy; in units of 10 or 100 W, if the register was sent so too
_RATIOS, _NEARLY, _HOURS = (1000, 100, 10), 0.1, (24, 6, 1)
# minimum share of time without power data that a finding states
_OFTEN = 0.25
_IN_HOUR = HOUR_US // INTERVAL_US


# --- other channels of the device -------------------------------------------------------------


class ChannelComparison(NamedTuple):
    """
    Comparison of a register with the other channels of its device.

    `beyond`: quantities that exceed another channel.  `alone`: quantity without corroborating
    power.
    `left_out`: part of `alone` in which power was missing for more than a day.
    """

    beyond: tuple[Uncorroborated, ...]
    alone: Uncorroborated | None
    left_out: Uncorroborated | None = None


@dataclass(frozen=True)
class CorroboratedEnergy(Scan):
    """
    Registers of a period that other channels have to corroborate.

    `wanted`: registers by fleet index.  `sunny`: fleet index and channel of the solar energy.
    `ratings`: rated powers by device id, each from a time on. [us UTC, W]
    """

    wanted: Mapping[int, tuple[Channel, ...]]
    sunny: frozenset[tuple[int, str]]
    ratings: Mapping[str, tuple[tuple[int, int], ...]]

    @staticmethod
    def of(
        project: Project,
        fleet: Fleet,
        rows: IntervalRows,
        ratings: Mapping[str, tuple[tuple[int, int], ...]],
        period_us: tuple[int, int],
        *,
        documented: bool = True,
    ) -> CorroboratedEnergy:
        """
        Return the registers of a period that are compared with other channels.

        `documented`: whether a document states the project's technology; if not, solar energy is
        assumed.
        """
        compared, sunny = [], set()
        for register in registers(project, fleet):
            water = (register.class_id, register.needs.quantity) in _LIFTED
            crossed = any(
                register.channel.name in (exchange.channel, exchange.other)
                for exchange in fleet.devices[register.index].exchanged
            )
            compared_by = register.needs.unit == "Wh" or water or crossed
            if register.needs.side == "project" or not compared_by:
                continue
            compared.append(register)
            where = f"device {register.device.device}"
            params = (
                read(register.needs.params, register.device.params, where) if documented else {}
            )
            if _made_by_sun(register.needs, register.channel.made_from, params):
                sunny.add((register.index, register.channel.name))
        return CorroboratedEnergy(
            fleet, rows, *Scan.edges(project, period_us), by_device(compared), frozenset(sunny),
            ratings,
        )  # fmt: skip

    def beyond(self, block: Frame) -> Iterator[tuple[Key, ChannelComparison]]:
        """
        Yield the uncorroborated quantities of registers in a block of readings, if any.

        `block`: all readings of each device, sorted by device and time.
        """
        for index, of, channel in registers_of(block, self.wanted):
            result = self._of_register(block, of, index, channel)
            if result.beyond or result.alone is not None:
                yield (self.fleet.devices[index].id, str(channel.quantity)), result

    def _of_register(
        self, block: Frame, of: slice, index: int, channel: Channel
    ) -> ChannelComparison:
        """Return the comparison of a register with each channel in turn."""
        register: Any = block.columns[channel.name][of]
        read = _Register(block.time_us[of], register, register_step(register, channel.tolerance))
        claimed = self._claimed(index, channel)
        if channel.power is not None and not is_absent(block.columns[channel.power]):
            claimed = self._joined(read, block.columns[channel.power][of], claimed)
        if (block.class_id, channel.quantity) in _LIFTED:
            return self._of_water(block, of, read, claimed, str(channel.quantity))
        result, seen = list[Uncorroborated](), np.zeros(len(claimed.value))
        left_out = np.zeros(len(claimed.value), dtype=np.bool_)
        direct = _DC_CHANNEL if _DC_CHANNEL in block.columns else None
        for reason, name, share in (
            (SUN, None, 0.0),
            (POWER, channel.power, METERS),
            (DC, direct, METERS + _AC_OVER_DC - 1),
        ):
            why = reason
            if reason == SUN:
                beyond = self._beyond_sun(index, channel, claimed, read.step_wh)
            elif name is not None and not is_absent(block.columns[name]):
                watts = self._in_watts(read, block.columns[name][of], claimed)
                back = reason == POWER and channel.direction < 0
                beyond, part, out = self._beyond_power(
                    read, -watts if back else watts, claimed, share
                )
                seen, left_out = np.maximum(seen, part), left_out | out
                why = self._with_share(reason, read, watts)
            else:
                continue
            result += self._uncorroborated(why, beyond)
            claimed = claimed._replace(value=claimed.value - beyond)
        bare = claimed.value - np.floor(claimed.value * seen).astype(np.int64)
        in_exchange = np.zeros_like(bare)
        for inside, under in self.exchanged(block, of, index, channel.name):
            more = min(exact_sum(claimed.value[inside]) - under, exact_sum(bare[inside]))
            if more > 0:
                in_exchange[inside] = in_whole_units(bare[inside].astype(np.float64), float(more))
        result += self._uncorroborated(EXCHANGED, in_exchange)
        bare = np.maximum(bare - in_exchange, 0)
        muted = np.where(left_out & ~claimed.estimated, bare, 0)
        alone, out_of = (next(self._uncorroborated(ALONE, some), None) for some in (bare, muted))
        return ChannelComparison(tuple(result), alone, out_of)

    def _with_share(self, reason: Text, read: _Register, watts: Float64) -> Text:
        """Return why energy is not credited; a large share of time without power is stated."""
        edges = np.searchsorted(read.time_us, [self.first * INTERVAL_US, self.last * INTERVAL_US])
        inside = slice(*edges.tolist())
        bare = ~np.isfinite(watts[inside])[read.register[inside] != NULL]
        if reason != POWER or not len(bare) or bare.mean() < _OFTEN:
            return reason
        return text("MTR-02.power_absent", percent=round(100 * float(bare.mean())))

    def _of_water(
        self, block: Frame, of: slice, read: _Register, claimed: _Claimed, quantity: str
    ) -> ChannelComparison:
        """Return the comparison of a pump's flow with its power and head."""
        power, head = _LIFTED[block.class_id, quantity]
        watts: Any = block.columns[power][of]
        metres: Any = block.columns[head][of]
        beyond, *_ = self._beyond_power(
            read, energy_budget.max_flow(watts, metres), claimed, METERS
        )
        return ChannelComparison((*self._uncorroborated(LIFT, beyond),), None)

    def _uncorroborated(self, reason: Text, beyond: Int64) -> Iterator[Uncorroborated]:
        """Yield the uncorroborated quantity by interval, if any."""
        at = np.flatnonzero(beyond)
        if len(at):
            yield Uncorroborated(reason, self.first + at, beyond[at])

    def _claimed(self, index: int, channel: Channel) -> _Claimed:
        quantity = str(channel.quantity)
        value, estimated_us = self.laid_out(index, quantity, "value", "estimated_us")
        return _Claimed(value, estimated_us > 0)

    def _joined(self, read: _Register, watts: Any, claimed: _Claimed) -> _Claimed:
        """
        Return the energy, with intervals of only repeated power readings marked as estimated.

        Only the sum of such intervals is known, as in a longer step between readings.
        """
        time_us = read.time_us
        constant = _repeated(time_us, watts) & (np.diff(read.register, prepend=NULL) == 0)
        if not constant.any():
            return claimed
        apart = self.longer(time_us[~constant], _SELDOM_US)
        return claimed._replace(estimated=claimed.estimated | apart)

    def _beyond_sun(self, index: int, channel: Channel, claimed: _Claimed, step_wh: float) -> Int64:
        device, by_sun = self.fleet.devices[index], (index, channel.name) in self.sunny
        ratings = self.ratings.get(device.id) or ((0, device.rated_power_w or 0),)
        if not by_sun or device.place is None or not ratings[0][1]:
            return np.zeros(len(claimed.value), dtype=np.int64)
        share = energy_budget.max_share_of_rated(*device.place, self.first, self.last)
        maximum = share * rated_at(ratings, self.first, len(share)) * (INTERVAL_US / HOUR_US)
        return energy_budget.above_maximum(
            claimed.value, maximum, claimed.estimated, self.into_day, step_wh
        )

    def _in_watts(self, read: _Register, sent: Any, claimed: _Claimed) -> Float64:
        """
        Return a power in watts, converted where a day, a quarter of it or an hour was in kW, or was
        a tenth or hundredth like the register beside it.

        This gives a forger no advantage: a false power can be sent in watts too.
        """
        watts: Float64 = sent
        place = (np.arange(len(claimed.value)) + self.into_day) // _IN_HOUR
        hours = int(place[-1]) + 1 if len(place) else 0
        begins = np.searchsorted(place, np.arange(hours + 1)) + self.first
        edges = np.searchsorted(read.time_us, begins * INTERVAL_US)
        inside, length = slice(edges[0], edges[-1]), np.diff(edges)
        finite = np.isfinite(watts[inside])
        samples, total = (
            np.where(length, np.add.reduceat(np.append(each, 0), edges[:-1] - edges[0]), 0)
            for each in (finite.astype(np.int64), np.where(finite, np.abs(watts[inside]), 0.0))
        )
        wh, scale = np.bincount(place, claimed.value, hours), np.ones(hours)
        known = read.register != NULL  # register and power may come in separate messages
        rise = np.maximum(np.diff(read.register[known]), 0)
        at = np.searchsorted(begins * INTERVAL_US, read.time_us[known][:-1], side="right")
        sent_wh = np.bincount(at, rise, hours + 2)[1:-1]
        for width in _HOURS:
            part = np.arange(hours) // width
            count, claim = np.bincount(part, samples), np.bincount(part, wh)
            mean = np.bincount(part, total * scale) / np.maximum(count, 1)
            own = np.bincount(part, sent_wh)
            for ratio in _RATIOS:
                near = (claim > 0) & (np.abs(mean * width * ratio - claim) <= _NEARLY * claim)
                if ratio != max(_RATIOS):
                    near &= np.abs(own * ratio - claim) <= _NEARLY * claim
                scale[near[part]] *= ratio
        if (scale == 1).all():
            return watts
        scaled = watts.copy()
        scaled[inside] *= np.repeat(scale, length)
        return scaled

    def _beyond_power(
        self, read: _Register, watts: Float64, claimed: _Claimed, share: float
    ) -> tuple[Int64, Float64, np.ndarray]:
        """
        Return the energy above the integral of power [Wh], the corroborated part of the other
        energy [Wh], and a mask of intervals in which the register, but no power, was read.
        """
        finite = np.isfinite(watts)
        if not finite.any():
            nothing = np.zeros(len(claimed.value), dtype=np.int64)
            return nothing, nothing.astype(np.float64), nothing.astype(np.bool_)
        time_us, again = read.time_us, _repeated(read.time_us, watts)
        known, finite = (read.register != NULL) & ~again, finite & ~again
        register_us = time_us if known.all() else time_us[known]
        if not finite.all():
            time_us, watts = time_us[finite], watts[finite]
        tolerance = Tolerance(share, read.step_wh)

        def compared(late: int) -> tuple[Int64, Integral]:
            before_us = time_us - late * INTERVAL_US
            power = integral(before_us, watts, register_us, self.first, self.last)
            budget = claimed.value, *power[:3], claimed.estimated, self.into_day, tolerance
            return energy_budget.above(*budget), power

        beyond, power = compared(0)
        if beyond.any() and 2 * np.count_nonzero(again) > np.count_nonzero(watts):
            late = min((compared(k) for k in range(1, _LATEST + 1)), key=lambda of: of[0].sum())
            if late[0].sum() * 2 < beyond.sum():
                beyond, power = late
        whole = float(power.energy_wh[power.known].sum())
        error = float(np.sqrt(power.variance[power.known].sum())) + tolerance.step_wh / SIGMAS
        kept, doubt = claimed.value - beyond, error
        if _seldom(time_us):
            seen = energy_budget.scatter(
                kept, power.energy_wh, power.known, claimed.estimated, read.step_wh
            )
            doubt = max(error, SIGMAS * seen)
        rest = float(kept[power.known].sum())
        part = min(1.0, max(whole - doubt, 0.0) / rest) if rest > 0 else 1.0
        certain = np.where(power.known, part, 0.0)
        if claimed.value[power.known].sum() <= (1 + share) * whole + error:
            return beyond, certain, power.left_out
        uncertain = kept - np.floor(kept * certain).astype(np.int64)
        known = power.known.astype(np.float64)
        return beyond + np.where(power.known, uncertain, 0), known, power.left_out


def is_declared(needs: RoleNeeds, class_id: str) -> bool:
    """Return whether a project must declare a device's energy source, as its class states none."""
    return needs.made_from == DECLARED and not classes.load()[class_id].made_from(needs.quantity)


def _repeated(time_us: Int64, watts: Float64) -> np.ndarray:
    """Return a mask of readings that repeat a power (not 0) from less than an hour before."""
    again = np.zeros(len(watts), dtype=np.bool_)
    again[1:] = (np.diff(watts) == 0) & (watts[1:] != 0)
    at = np.flatnonzero(again)
    begins = np.flatnonzero(
        np.diff(at, prepend=-1) != 1
    )  # starts of runs; the first reading is in none
    of = np.repeat(at[begins] - 1, np.diff(begins, append=len(at)))
    again[at] = time_us[at] - time_us[of] < HOUR_US
    return again


def _seldom(time_us: Int64) -> bool:
    """Return whether more than a twentieth of the 15-minute intervals lack samples."""
    step_us = np.diff(time_us)
    apart = step_us[(step_us > _SELDOM_US) & (step_us <= HOUR_US)]
    return bool(apart.sum() * 20 > step_us.sum())


class _Register(NamedTuple):
    """Readings of a register: times [us UTC], values [Wh], and the register's resolution [Wh]."""

    time_us: Int64
    register: Int64
    step_wh: float


class _Claimed(NamedTuple):
    """A register's energy by interval [Wh], and a mask of intervals filled from a longer step."""

    value: Int64
    estimated: np.ndarray


def _made_by_sun(needs: RoleNeeds, class_made_from: str, params: Mapping[str, Any]) -> bool:
    """
    Return whether a role's energy is solar, which is also assumed if no source is declared.

    `class_made_from`: energy source of the device's class; empty if unknown.  `params`: the
    device's parameters.
    """
    if needs.quantity != "energy_export":
        return False
    if classes.SUN in (class_made_from, needs.made_from):
        return True
    if class_made_from or needs.made_from not in ("", DECLARED):
        return False
    return bool(params.get(TECHNOLOGY, SOLAR) == SOLAR)
