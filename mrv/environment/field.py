"""
A rice field that is wetted and dried in turn: how far its water fell on a day, and how often.

Safe alternate wetting and drying floods a field again once the water stands 15 cm
below ground (IRRI; methodologies.md section 12, read second-hand).  A day is dry
where an hour's mean reached that, wet where one stood at the ground or above.  A
dry-down counts once the field is flooded again; it says how the field was kept and
enters no tonne.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mrv.environment.clock import Day
from mrv.environment.kinds import Hourly, Row
from mrv.environment.parts import known

DRY_CM, WET_CM = -15.0, 0.0
LOWEST, HIGHEST, STATE = "level_24h_min_cm", "level_24h_max_cm", "awd"


class Season(NamedTuple):
    """
    Days of a field.

    Attributes
    ----------
    days, dry_days : int
        Days that are known, and those that reached 15 cm below ground.
    dry_downs : int
        Falls to 15 cm below ground after which the field was flooded again.
    lowest_cm : float or None
        The lowest hour.
    """

    days: int
    dry_days: int
    dry_downs: int
    lowest_cm: float | None


def of_day(values: Hourly, day: Day) -> list[Row]:
    """Lowest and highest hour of a day, where three quarters of its hours are there. [cm]"""
    hours = day.hours()
    levels = known(values.get("level_1h_cm", {}), hours)
    if not levels:
        return []
    low, high, share = min(levels), max(levels), len(levels) / len(hours)
    state = "dry" if low <= DRY_CM else "wet" if high >= WET_CM else "falling"
    return [
        Row(LOWEST, day.begin_us, low, share),
        Row(HIGHEST, day.begin_us, high, share),
        Row(STATE, day.begin_us, float(low <= DRY_CM), share, state),
    ]


def season(days: Iterable[tuple[float, float]]) -> Season:
    """
    Count dry-downs.

    Parameters
    ----------
    days : iterable of (float, float)
        Lowest and highest hour of each known day, in order. [cm]
    """
    count = dry = down = 0
    lowest: float | None = None
    fallen = flooded = False
    for low, high in days:
        count += 1
        lowest = low if lowest is None else min(lowest, low)
        if fallen and high >= WET_CM:
            down, fallen = down + 1, False
        # a field that was never seen under water may just lie fallow
        flooded = flooded or high >= WET_CM
        if low <= DRY_CM:
            dry += 1
            fallen = flooded
    return Season(count, dry, down, lowest)
