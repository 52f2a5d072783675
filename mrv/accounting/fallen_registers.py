"""
Registers that left their line in a period, and no replacement in the registry says why.

A register that falls, or jumps beyond what its device can make, has two stories: its meter was
replaced or reset, or its readings were false.  Metering counts the one that costs on either side
of the account, and leaves as much time unknown as the two are apart (`ingest.registers`).  Here the
register is named, with its day, both values, the tonnes between the stories and the row of the
registry that settles it.  What metering could decide costs no time and is not told: a glitch, a
wrap at the model's own modulus, a replacement that was entered.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np

from ingest import classes
from ingest.classes import Channel
from ingest.model import HOUR_US, INTERVAL_US, NULL, Device, Fleet, Frame, Int64
from ingest.profiles import file_registers
from ingest.profiles.file_registers import Register
from mrv.accounting.device_bindings import role_needs
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing, gap_outcomes
from mrv.accounting.period_result import Finding, GapOutcome
from mrv.accounting.shown_energy import Key, devices_of
from mrv.calendar import local_date, local_text
from mrv.methodologies import find
from mrv.registry.project import Fallen, Project
from mrv.rounding import decimal_text

RULE = "REG-03"
# a rise above the limit by as much is none that the device made: as metering's own margin
_MARGIN = 1.2
# falls to about zero on as many days in a row are those of a counter of each day
_DAYS = 3
# about zero: so small a part of where the register stood
_FOOT = 20
# so many readings that are too high are a fault of reading, unless they come again and again
_FEW = 3
_DIGITS = range(3, 13)
_TOTAL = (
    "A profile may take the wrong value, or a gateway send it: let the meter's total, which is"
    " never reset, come as"
)
_SHOWN = 3


@dataclass(frozen=True)
class FallenRegisters:
    """Registers of a project, by fleet index, and the period's edges. [us UTC]"""

    fleet: Fleet
    wanted: Mapping[int, tuple[Channel, ...]]
    from_us: int
    to_us: int

    @staticmethod
    def of(project: Project, fleet: Fleet, period_us: tuple[int, int]) -> FallenRegisters:
        """Return what is looked at in a period."""
        methodology = find(project.methodology, project.version)
        found: dict[int, dict[str, Channel]] = {}
        for bound in project.devices:
            needs = role_needs(methodology, bound, f"device {bound.device}")
            index = fleet.by_id.get(bound.device)
            if index is None:
                continue
            for channel in classes.load()[fleet.devices[index].class_id].registers:
                if channel.quantity == needs.quantity:
                    found.setdefault(index, {})[channel.name] = channel
        wanted = {index: tuple(of.values()) for index, of in found.items()}
        return FallenRegisters(fleet, wanted, *period_us)

    def of_block(self, block: Frame) -> Iterator[tuple[Key, tuple[Fallen, ...]]]:
        """
        Return where registers left their line, for the devices of a block of readings.

        Parameters
        ----------
        block : Frame
            Whole devices, sorted by device and time.
        """
        for index, of in devices_of(block):
            for channel in self.wanted.get(index, ()):
                device = self.fleet.devices[index]
                register: Any = block.columns[channel.name][of]
                told = register != NULL
                found = self._of_one(device, channel, block.time_us[of][told], register[told])
                if found:
                    yield (device.id, str(channel.quantity)), found

    def _of_one(
        self, device: Device, channel: Channel, time_us: Int64, value: Int64
    ) -> tuple[Fallen, ...]:
        rise = np.diff(value)
        left = rise < -channel.tolerance
        limit = device.rated_power_w if channel.limit == "rated_power" else channel.limit
        if isinstance(limit, int):
            most = channel.tolerance + _MARGIN * limit * (np.diff(time_us) / HOUR_US)
            left |= rise > most
        for swap in device.replacements:
            if swap.channel == channel.name:
                at = int(np.searchsorted(time_us, swap.at_us))
                left[max(at - 1, 0) : at] = False
        places = np.flatnonzero(left & (time_us[1:] < self.to_us))
        # of what was before the period, the last one may still be unknown in it
        first = int(np.searchsorted(time_us[places + 1], self.from_us))
        return tuple(
            Fallen(
                channel.name,
                int(time_us[k]),
                int(time_us[k + 1]),
                int(value[k]),
                int(value[k + 1]),
                brief=bool((value[max(k - _FEW, 0) : k] <= value[k + 1] + channel.tolerance).any()),
            )
            for k in places[max(first - 1, 0) :].tolist()
        )


def fallen_registers(
    monitored: Sequence[Monitored],
    fallen: Mapping[Key, tuple[Fallen, ...]],
    pricing: Pricing,
    timezone: str,
) -> list[Finding]:
    """Name the registers that left their line where that costs, what it costs and what to do."""
    causes = [
        (one, found, *cause)
        for one in monitored
        if (found := fallen.get((one.device.id, one.needs.quantity), ()))
        for cause in _causes(one, found, pricing)
    ]
    if not causes:
        return []
    told = [
        _said(one, [*_left_by(falls[0], found), *falls], gaps, timezone)
        for one, found, falls, gaps in causes[:_SHOWN]
    ]
    rest = [f"and {len(causes) - _SHOWN} more"] if len(causes) > _SHOWN else []
    return [Finding(RULE, False, ". ".join((*told, *rest)))]


def _causes(
    one: Monitored, found: Sequence[Fallen], pricing: Pricing
) -> Iterator[tuple[list[Fallen], list[GapOutcome]]]:
    """Where a register of a device left its line, with the unknown time that this left."""
    some = [(fall, gaps) for fall, gaps in _touched(one, found, pricing) if gaps]
    daily = dict.fromkeys(_daily([fall for fall, _ in some]))
    if daily:
        yield [*daily], [gap for fall, gaps in some if fall in daily for gap in gaps]
    for fall, gaps in some:
        if fall not in daily and not (fall.brief and fall.after < fall.before):
            yield [fall], gaps


def _touched(
    one: Monitored, found: Sequence[Fallen], pricing: Pricing
) -> Iterator[tuple[Fallen, list[GapOutcome]]]:
    """
    Unknown time of a device by what left it, each gap once.

    What was before the device's time is known by the gap with which that begins.
    """
    gaps = [gap for gap in gap_outcomes(one, pricing) if gap.kind == "unknown"]
    starts, done = [gap.start_us for gap in gaps], 0
    first_us = one.service.first * INTERVAL_US
    for fall in found:
        since_us, at_us = max(fall.since_us, first_us), max(fall.at_us, first_us + 1)
        end = bisect_left(starts, at_us)
        begin = end
        while begin > done and gaps[begin - 1].end_us > since_us // INTERVAL_US * INTERVAL_US:
            begin -= 1
        yield fall, gaps[begin:end]
        done = max(done, end)


def _daily(falls: Sequence[Fallen]) -> list[Fallen]:
    """Falls to about zero, where they are those of a counter of each day."""
    zero = [fall for fall in falls if 0 <= _FOOT * fall.after <= fall.before]
    days = sorted({fall.at_us // (24 * HOUR_US) for fall in zero})
    return zero if len(days) >= _DAYS and 2 * len(days) > days[-1] - days[0] else []


def _left_by(jump: Fallen, found: Sequence[Fallen]) -> list[Fallen]:
    """The fall from a value to which a jump returns."""
    falls = (
        fall
        for fall in reversed(found)
        if fall.at_us < jump.at_us and fall.after <= jump.before < fall.before <= jump.after
    )
    return [*islice(falls, 1)]


def _said(
    one: Monitored, falls: Sequence[Fallen], gaps: Iterable[GapOutcome], timezone: str
) -> str:
    tonnes = sum(
        (Fraction(g.cost_t) + Fraction(g.forgone_at_most_t or 0) for g in gaps), start=Fraction(0)
    )
    hours = Fraction(sum(g.time_us for g in gaps), HOUR_US)
    side = "costs" if one.needs.side == "project" else "leaves out at most"
    cost = (
        f"{decimal_text(hours, 2, 'up')} h are of unknown size, which {side}"
        f" {decimal_text(tonnes, 6, 'up')} t"
    )
    register = file_registers.of_column(one.device.class_id, falls[0].channel)
    where = f"{one.device.id} ({one.bound.role}): {register.name}"
    if len(falls) >= _DAYS:
        return f"{where} {_by_day(falls, timezone)}: {cost}. {_TOTAL} {register.name}"
    moved = ", and ".join(_moved(register, fall, timezone) for fall in falls)
    rows = ", ".join(_row(register, fall, timezone) for fall in falls)
    full = _full(register.to_file(falls[0].before)) if falls[0].after < falls[0].before else None
    digits = f"; if it passed its last digit, with {{last: {full}, first: 0}}" if full else ""
    return (
        f"{where} {moved}: {cost}. If the meter was replaced or reset, enter in its"
        f" `replacements` {rows}, with the values that were read at the change, and give the new"
        f" meter's certificate{digits}"
    )


def _by_day(falls: Sequence[Fallen], timezone: str) -> str:
    first, last = (local_date(fall.at_us, timezone) for fall in (falls[0], falls[-1]))
    return (
        f"falls to about zero {len(falls)} times from {first} to {last}, as a counter of each day"
        " or charge does"
    )


def _moved(register: Register, fall: Fallen, timezone: str) -> str:
    last, first = (register.to_file(n) for n in (fall.before, fall.after))
    since, at = (local_text(us, timezone) for us in (fall.since_us, fall.at_us))
    return (
        f"{'falls' if last > first else 'jumps'} from {_plain(last)} at {since} to"
        f" {_plain(first)} at {at}"
    )


def _row(register: Register, fall: Fallen, timezone: str) -> str:
    last, first = (_plain(register.to_file(n)) for n in (fall.before, fall.after))
    return (
        f"{{channel: {register.name}, at: {local_text(fall.at_us, timezone)}, last: {last},"
        f" first: {first}, reason: ..., document: ...}}"
    )


def _full(last: Decimal) -> int | None:
    """Value at which a register with its digits full begins anew, where it was nearly there."""
    return next((10**n for n in _DIGITS if Decimal("0.97") * 10**n <= last < 10**n), None)


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
