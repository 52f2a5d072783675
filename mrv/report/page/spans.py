"""Days, or months of a long period, with what was measured in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from mrv.report.day_sums import Day
from mrv.report.report_data import Facts

# daily bars stay legible up to here; of longer periods a bar is a month
MOST_DAYS = 62
_MONTH = len("2026-01")


@dataclass
class Span:
    """
    A day or a month of several devices. [base unit, us]

    `value` is None where nothing of it is known of any device.
    """

    name: str
    value: int | None = None
    service_us: int = 0
    lost_us: int = 0
    days: set[date] = field(default_factory=set)

    def add(self, day: Day) -> None:
        """Add a device's day."""
        if day.value is not None:
            self.value = (self.value or 0) + day.value
        self.service_us += day.to_us - day.from_us
        self.lost_us += day.unknown_us + day.missing_us
        self.days.add(day.day)

    @property
    def seen(self) -> bool:
        """Whether anything of it was measured or estimated."""
        return self.lost_us < self.service_us

    @property
    def coverage(self) -> Fraction:
        """Measured or estimated part of the time in service, as in `covered_share`."""
        return Fraction(self.service_us - self.lost_us, self.service_us or 1)


def by_day(days: Iterable[Day]) -> list[Span]:
    """Sums of each local day, in order."""
    return _grouped(days, len("2026-01-01"))


def by_month(days: Iterable[Day]) -> list[Span]:
    """Sums of each local month, in order."""
    return _grouped(days, _MONTH)


def _grouped(days: Iterable[Day], length: int) -> list[Span]:
    found: dict[str, Span] = {}
    for day in days:
        name = day.day.isoformat()[:length]
        found.setdefault(name, Span(name)).add(day)
    return [found[name] for name in sorted(found)]


def quantities(facts: Facts) -> dict[tuple[str, str], list[int]]:
    """Monitored parameters that are one quantity in one role, in the statement's order."""
    found: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(facts.parameters):
        found.setdefault((one.parameter, one.role), []).append(place)
    return found
