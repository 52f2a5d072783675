"""
Arrival of a day's readings, as shown to an auditor.

Readings that come late, or those of many hours that come in one, may be honest: a line was
down.  They may also have been made at a desk.  No one can tell by the figures, so they are
counted where all can see it: in the day's seal, in the statement, and in the weights of the
sampling list.

Counts are by whole hours.  An hour of arrival is late where it begins 36 hours after the
day's end, or later; a day is at once where the readings of six hours or more came within
two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from mrv.documents.monitoring import Arrival
from mrv.errors import LogError

if TYPE_CHECKING:
    from mrv.signatures.day_digests import DayLeaf

HOUR_US = 3_600_000_000
LATE_US = 36 * HOUR_US
FEW_HOURS, _MANY_HOURS = 2, 6


class Arrived(NamedTuple):
    """
    Readings of a device's local day.

    Attributes
    ----------
    readings : int
        How many were stored or completed.
    late : int
        How many of them arrived 36 hours after the day's end, or later.
    hours : int
        In how many different hours they arrived.
    span : int
        Of how many different hours of the day they are.
    """

    readings: int
    late: int
    hours: int
    span: int

    @property
    def at_once(self) -> bool:
        """Return whether readings of many hours arrived within few hours."""
        return self.hours <= FEW_HOURS and self.span >= _MANY_HOURS

    def __str__(self) -> str:
        return " ".join(map(str, self))


Arrivals = dict[str, dict[str, Arrived]]  # by device and local day


def summary(arrivals: Arrivals, leaves: Iterable[DayLeaf]) -> Arrival:
    """
    Return the arrival data of a statement.

    Parameters
    ----------
    leaves : iterable of DayLeaf
        Device-days of the period, with their rows.
    """
    every = [one for of_device in arrivals.values() for one in of_device.values()]
    readings, late = sum(one.readings for one in every), sum(one.late for one in every)
    rows: dict[tuple[str, str], int] = defaultdict(int)
    for leaf in leaves:
        rows[leaf.device, leaf.day] += leaf.rows
    return Arrival(
        readings=str(readings),
        late=str(late),
        late_percent=share(late, readings),
        at_once_days=str(sum(one.at_once for one in every)),
        device_days=str(len(rows)),
        not_noted=str(
            sum(max(0, count - _of(arrivals, device, day)) for (device, day), count in rows.items())
        ),
    )


def _of(arrivals: Arrivals, device: str, day: str) -> int:
    one = arrivals.get(device, {}).get(day)
    return 0 if one is None else one.readings


def share(part: int, whole: int) -> str:
    """Return a percentage with two places, rounded up, so that late arrival is not understated."""
    hundredths = -(-part * 10_000 // whole) if whole else 0
    return f"{Fraction(hundredths, 100).__float__():.2f}"


def rows_of(found: Mapping[str, Arrived]) -> list[tuple[str, str]]:
    """Return a day's devices and their arrival data, as below a seal's root."""
    return [(device, str(one)) for device, one in sorted(found.items())]


def check_sealed(day: str, said: object, found: Mapping[str, Arrived], root: str) -> None:
    """Refuse arrivals that differ from root and sums of a day's seal; LogError."""
    named = said if isinstance(said, dict) else {}
    late = sum(one.late for one in found.values())
    sums = {"root": root, "readings": str(sum(one.readings for one in found.values()))}
    if {name: named.get(name) for name in (*sums, "late")} != sums | {"late": str(late)}:
        raise LogError(
            f"plan.json states that {late} readings of {day} arrived late, but the log sealed "
            "other arrival times for that day"
        )
