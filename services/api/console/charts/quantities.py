"""Quantities of a device as bars: a day by quarter hours, weeks by days."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple

from markupsafe import Markup

from mrv.calendar import local_text
from mrv.report.axis import unit_for
from services.api.console.charts.bars import Bar, bars
from services.api.console.translations import Words

QUARTER_US = 900_000_000
KINDS = ("measured", "estimated", "unknown", "none")
_PLACES = 3


class Amount(NamedTuple):
    """What is known of a quantity in a span: value in base units, and times. [us]"""

    value: int
    measured_us: int
    estimated_us: int
    unknown_us: int

    @property
    def kind(self) -> str:
        """What the worst part of it is; `none` where no part is known."""
        if not self.measured_us + self.estimated_us:
            return "none"
        return "unknown" if self.unknown_us else "estimated" if self.estimated_us else "measured"


def day_chart(
    found: Mapping[int, Amount],
    edges_us: tuple[int, int],
    zone: str,
    base: str,
    name: str,
    t: Words,
) -> Markup:
    """
    Draw the quarter hours of a day.

    Parameters
    ----------
    found : mapping of int to Amount
        By the start of the interval [us]; what is not in it is missing.
    edges_us : (int, int)
        Of what is drawn, half-open. [us]
    zone : str
        Time zone of the clock below.
    base : str
        Base unit of the values.
    name : str
        Of the quantity, in the reader's language.
    """
    unit, size = _unit(found.values(), base, t)
    drawn = []
    for start in range(edges_us[0], max(edges_us[1], edges_us[0] + QUARTER_US), QUARTER_US):
        clock = local_text(start, zone)[11:16]
        label = clock if clock[3:] == "00" and int(clock[:2]) % 3 == 0 else ""
        drawn.append(_bar(found.get(start), clock, label, unit, size, t))
    return bars(drawn, unit, _alt(found.values(), unit, size, name, t), "day")


def days_chart(found: Mapping[date, Amount], today: date, base: str, name: str, t: Words) -> Markup:
    """Draw every day from the first that is stored until today; one that is not is missing."""
    unit, size = _unit(found.values(), base, t)
    first = min(found)
    days = [first + timedelta(days=k) for k in range((max(*found, today) - first).days + 1)]
    drawn = []
    for day in days:
        label = t.short_month(day) if day == first or day.day == 1 else str(day.day)
        drawn.append(_bar(found.get(day), t.day(day), label, unit, size, t))
    return bars(drawn, unit, _alt(found.values(), unit, size, name, t), "days")


def shown(value: Fraction | int, unit: str, t: Words) -> str:
    """Write an amount with at most three places, in the reader's language."""
    text = f"{float(value):.{_PLACES}f}".rstrip("0").rstrip(".")
    return f"{t.number(text)} {unit}"


def _unit(amounts: Collection[Amount], base: str, t: Words) -> tuple[str, int]:
    most = max((abs(amount.value) for amount in amounts), default=0)
    return unit_for(base, Fraction(most), t.number)


def _bar(amount: Amount | None, told: str, label: str, unit: str, size: int, t: Words) -> Bar:
    if amount is None or amount.kind == "none":
        return Bar(label, f"{told}: {t('missing')}", None)
    value = Fraction(amount.value, size)
    return Bar(
        label,
        f"{told}: {shown(value, unit, t)}, {t('kind.' + amount.kind)}",
        ((amount.kind, value),),
    )


def _alt(found: Collection[Amount], unit: str, size: int, name: str, t: Words) -> str:
    amounts = list(found)
    total = shown(Fraction(sum(amount.value for amount in amounts), size), unit, t)
    kinds = [
        f"{t('kind.' + kind)}: {count}"
        for kind in KINDS[:3]
        if (count := sum(amount.kind == kind for amount in amounts))
    ]
    return f"{name}: {total}. " + ", ".join(kinds)
