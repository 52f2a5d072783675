"""
Calibration interval: maximum validity of a calibration, even if its certificate states a later end.

The registry states a meter's interval (`attributes.calibration_every`).  A methodology's programme
or a country states a longest interval (`calibration_intervals.toml`); the same file states one for
all meters.  The shortest of them applies.
"""

from __future__ import annotations

import calendar
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from importlib import resources
from itertools import takewhile
from typing import Any, NamedTuple

from mrv.countries import country_of
from mrv.model import RoleNeeds
from mrv.registry import Calibration
from mrv.registry.project import Project

# longest interval that the registry accepts, and last year of a date
MAX_MONTHS = 240
_LAST_YEAR = 9999


class Interval(NamedTuple):
    """Months from a calibration to the next; `source` is None for the registry's own interval."""

    months: int
    source: str | None


class Lengthened(NamedTuple):
    """A calibration interval that was lengthened, or removed, after a period began. [us UTC]"""

    before: int
    now: int | None
    changed_us: int


@dataclass(frozen=True, slots=True)
class Bound:
    """The longest interval that a published rule allows."""

    months: int
    source: str
    certainty: str
    methodology: str = ""
    country: str | None = None
    quantities: tuple[str, ...] = ()

    def holds(self, methodology: str, country: str | None, quantity: str) -> bool:
        """Return whether the bound applies to a meter of a quantity, by methodology and country."""
        return (
            methodology.startswith(self.methodology)
            and self.country in (None, country)
            and (not self.quantities or quantity in self.quantities)
        )


@cache
def bounds() -> tuple[Bound, ...]:
    """Return the longest calibration intervals that published rules allow."""
    text = (resources.files(__package__) / "calibration_intervals.toml").read_text("utf-8")
    return tuple(
        Bound(**{**item, "quantities": tuple(item.get("quantities", ()))})
        for item in tomllib.loads(text)["interval"]
    )


@cache
def longest() -> Interval:
    """Return the interval of meters for which no rule of a programme or country applies."""
    (bound,) = (b for b in bounds() if not (b.methodology or b.country or b.quantities))
    return Interval(bound.months, bound.source)


def interval_of(
    own: int | None, methodology: str, country: str | None, quantities: Iterable[str]
) -> Interval:
    """
    Return the calibration interval that applies to a meter.

    `own`: interval in the registry. [months]
    `methodology`: id.
    `quantities`: quantities that the meter measures for the project.
    """
    measured = tuple(quantities)
    intervals = [longest()] if own is None else [longest(), Interval(own, None)]
    intervals += [
        Interval(bound.months, bound.source)
        for bound in bounds()
        if any(bound.holds(methodology, country, quantity) for quantity in measured)
    ]
    return min(intervals, key=lambda interval: interval.months)


def intervals_of(
    project: Project, roles: Mapping[str, RoleNeeds], own: Mapping[str, int]
) -> dict[str, Interval]:
    """
    Return the calibration interval of each meter of a project.

    `roles`: roles of the methodology.
    `own`: interval in the registry by device. [months]
    """
    measured: dict[str, set[str]] = {}
    for bound in project.devices:
        if bound.role in roles:
            measured.setdefault(bound.device, set()).add(roles[bound.role].quantity)
    country = country_of(project)
    return {
        name: interval_of(own.get(name), project.methodology, country, subset)
        for name, subset in measured.items()
    }


_NONE = Interval(MAX_MONTHS, None)


@dataclass(frozen=True, slots=True)
class Overdue(Calibration):
    """
    A certificate that ends before its stated end because the calibration interval has ended.

    `calibrated`: day of the calibration, which may precede the installation of the meter.
    """

    calibrated: date = date.max
    interval: Interval = _NONE


def values_of(calibration: Calibration) -> dict[str, Any]:
    """Return the values of a certificate, by name."""
    return {field.name: getattr(calibration, field.name) for field in fields(Calibration)}


def limited(
    certificates: Iterable[Calibration], interval: Interval | None
) -> tuple[Calibration, ...]:
    """Return a meter's certificates, each ending with its calibration interval at the latest."""
    return tuple(
        certificate if interval is None else _limited(certificate, interval)
        for certificate in certificates
    )


def _limited(calibration: Calibration, interval: Interval) -> Calibration:
    due = after(calibration.performed, interval.months)
    if due >= calibration.valid_until:
        return calibration
    values = {**values_of(calibration), "valid_until": due}
    return Overdue(**values, calibrated=calibration.performed, interval=interval)


def after(day: date, months: int) -> date:
    """Return the same day some months later, or the last day of a month without that day."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    if year > _LAST_YEAR:
        return date.max
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def lengthened(values: Iterable[tuple[int, int | None]], begin_us: int) -> Lengthened | None:
    """
    Return how an interval was lengthened since the period began; None if it was not.

    The present interval is compared with that in force when the period began, or with the first one
    of a meter registered later; entering a first interval can only shorten it.

    `values`: time of each registry entry [us UTC], and its interval [months], in order.
    """
    every = list(values)
    if not every:
        return None
    before = [entry for entry in every if entry[0] < begin_us]
    first = (before or every[:1])[-1][1]
    now = every[-1][1]
    if first is None or (now is not None and now <= first):
        return None
    # the registry entries since which the current value has applied
    same = takewhile(lambda entry: entry[1] == now, reversed(every))
    return Lengthened(first, now, min(us for us, _ in same))
