"""
Limits of the quality tests: values that are unusual for a channel, but not impossible.

They come from a class file, a device model's profile, or the registry (for one device, from a date
on).  Limits `of_rated` are shares of the device's rated power; they are not applied if it is
unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any, NamedTuple

from ingest.errors import ProfileError

MAX_FLAT_S = 604_800
# Parts of the longest standstill, after each of which registers may corroborate a gauge that stands
# still: one in which that fails for a lost reading or a coarse register is followed by two more.
FLAT_PARTS = 3
_DAY_US = 86_400_000_000


class UnitLevel(NamedTuple):
    """Share of the lowest plausible peak, and the longest time below it."""

    share: float
    longest_us: int


UNIT_LEVELS = (UnitLevel(1.0, 10 * _DAY_US), UnitLevel(1 / 6, 3 * _DAY_US))
PAIRS = ("bound", "bound_of_rated")
# one limit said in two ways: the one that is given takes the other's place
_EITHER = (
    ("bound", "bound_of_rated"),
    ("spike", "spike_of_rated"),
    ("flat_floor", "flat_floor_of_rated"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Thresholds by test; None disables the test for the channel.

    Attributes
    ----------
    bound, bound_of_rated : (float, float)
        Lowest and highest plausible value.
    spike, spike_of_rated : float
        Height above both neighbours.
    rate_per_minute : float
    flat_s : float
        Longest plausible time with a constant value. [s]
    flat_floor, flat_floor_of_rated : float
        Values nearer to zero may be constant.
    night_of_rated : float
        Power that counts as generation.
    peak_of_rated : float
        Lowest plausible peak within ten days.
    phases_share : float
        Permitted difference between the sum of phases and the total.
    gap_s : float
        Shortest time between readings that is a gap. [s]
    sleep_s : float
        Longest silence over a night that is not a gap. [s]
    """

    bound: tuple[float, float] | None = None
    bound_of_rated: tuple[float, float] | None = None
    spike: float | None = None
    spike_of_rated: float | None = None
    rate_per_minute: float | None = None
    flat_s: float | None = None
    flat_floor: float | None = None
    flat_floor_of_rated: float | None = None
    night_of_rated: float | None = None
    peak_of_rated: float | None = None
    phases_share: float | None = None
    gap_s: float | None = None
    sleep_s: float | None = None

    def changed(self, spec: Mapping[str, Any], where: str) -> Limits:
        """
        Return these limits, with those of a file replacing them.

        Parameters
        ----------
        spec : mapping
            Limits by name; None switches one off.
        where : str
            Name used in errors.

        Raises
        ------
        ProfileError
            Naming the place and what is wrong.
        """
        for name, value in spec.items():
            if problem := _problem(name, value):
                raise ProfileError(f"{where}, limits: {problem}")
        result: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list | tuple) else v for k, v in spec.items()
        }
        for item, other in _EITHER:
            if result.get(item) is not None and result.get(other) is not None:
                raise ProfileError(
                    f"{where}, limits: {item} and {other} set the same limit; remove one of them"
                )
            if item in result or other in result:
                result = {item: None, other: None} | result
        return replace(self, **result)


NAMES = tuple(f.name for f in fields(Limits))


def _problem(name: str, value: Any) -> str | None:
    """Return the error of a limit; None without one."""
    if name not in NAMES:
        return f"{name} is unknown; known: {', '.join(NAMES)}"
    if value is None:
        return None
    if name in PAIRS:
        pair = value if isinstance(value, list | tuple) else ()
        sound = len(pair) == 2 and all(map(_number, pair)) and pair[0] < pair[1]  # noqa: PLR2004
        return None if sound else f"{name} is [low, high], with low below high"
    if not _number(value) or value <= 0:
        return (
            f"{name} {value!r} must be a number above 0; omit it, or set null, to disable the test"
        )
    if name == "flat_s" and value > MAX_FLAT_S:
        return (
            f"flat_s {value} is longer than one week ({MAX_FLAT_S} s), the longest "
            "time that is tested"
        )
    return None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
