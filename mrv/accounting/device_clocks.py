"""
Hours by a device's own clock, held against the time in which its readings came.

A season or a lamp's hours are what a clock says.  Metering lets it count no faster than the times
of its readings go, and these are of the same clock: one that was set back and runs three times too
fast tells of three days in one, until it has caught up with the true time (what is ahead of it is
refused).  So where a device was never heard on time before, it counts no more hours than passed
between the arrival of its first and of its last reading, and a day and a half.  Of a device that
was heard on time once, and then was silent, all hours may be true; what came within two hours is
no clock's doing, and a statement counts it as what came at once.  A rule of tonne's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Monitored, Raised
from mrv.accounting.period_result import Finding
from mrv.registry.project import Clocked

CLAUSE = "tonne: no more hours count than passed while a device's readings came"
_S_PER_HOUR = 3600


def within_time(
    monitored: Sequence[Monitored], clocks: Mapping[str, Clocked]
) -> tuple[list[Monitored], list[Finding]]:
    """
    Count no more hours of a device than passed while its readings came, and say so.

    Parameters
    ----------
    clocks : mapping of str to Clocked
        Of devices whose readings tell of more hours than that.
    """
    found, told = list[Monitored](), []
    for one in monitored:
        clock = clocks.get(one.device.id)
        counted = sum((one.counted(part) for part in one.parts), start=Fraction(0))
        if clock is None or one.needs.unit != "s" or not counted:
            found.append(one)
            continue
        hours = f"{clock.told_h} h, and came within {clock.passed_h}"
        told.append(
            f"{one.device.id}: its readings tell of {hours}; its clock runs too fast, or nobody"
            " heard it in time: no more than that counts"
        )
        excess = counted - clock.passed_h * _S_PER_HOUR
        found.append(one if excess <= 0 else _less(one, hours, excess / counted))
    return found, [Finding(CLAUSE, False, "; ".join(told))] if told else []


def _less(one: Monitored, hours: str, share: Fraction) -> Monitored:
    """Take a share of what counts off each part."""
    begin = one.service.first * INTERVAL_US
    end = begin + one.service.intervals * INTERVAL_US
    reason = f"its readings tell of {hours}: that counts"
    parts = tuple(
        replace(p, limited=(*p.limited, Raised(begin, end, reason, one.counted(p) * share)))
        for p in one.parts
    )
    kept = tuple(replace(s, value=int(s.value * (1 - share))) for s in one.stretches)
    return replace(one, parts=parts, stretches=kept)
