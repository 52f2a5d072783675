"""The year as a line: what was avoided, what was expected, and what the rest of it may bring."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from markupsafe import Markup

from mrv.rounding import decimal_text
from services.api.console.charts.lines import Line, lines
from services.api.console.translations import Words
from services.store.views.city_year import Change, ProjectYear

# a target that would press the other lines to the ground is not drawn
_OFF_SCALE = 10
_Points = list[tuple[float, Fraction]]


class Year(NamedTuple):
    """A year of the programme's own projects, and what it is drawn from."""

    year: int
    years: list[int]
    projects: list[ProjectYear]
    days: list[tuple[str, date, Decimal]]
    months: list[Decimal | None]
    change: Change | None
    today: date


def added(found: Iterable[Decimal | None]) -> Decimal | None:
    """Return a sum; None where nothing is known."""
    known = [one for one in found if one is not None]
    return sum(known, Decimal(0)) if known else None


def trajectory(of: Year, target: Decimal | None, t: Words) -> Markup | None:
    """
    Draw the year: what was avoided, what was expected, and on to its end.

    Parameters
    ----------
    target : Decimal, optional
        The city's, drawn where it does not press the others to the ground. [t a year]

    Returns
    -------
    Markup, optional
        None where nothing is known of the year.
    """
    if not of.days and not any(of.months):
        return None
    now = min(max(_share(of, of.today), 0.0), 1.0)
    measured, expected = _measured(of, now), _expected(of, now)
    total, wanted = measured[-1][1], expected[-1][1]
    ahead = Fraction(added(one.ahead_t for one in of.projects if one.counted) or 0)
    drawn = [Line("expected", expected), Line("measured", measured)]
    if ahead:
        drawn.append(Line("ahead", [(now, total), (1.0, total + ahead)]))
    if target is not None and target <= _OFF_SCALE * max(total + ahead, wanted, Fraction(1)):
        drawn.append(Line("target", [(0.0, Fraction(0)), (1.0, Fraction(target))]))
    labels = [(_share(of, date(of.year, m, 16)), f"{m:02d}") for m in range(1, 13)]
    avoided, said = (f"{t.number(decimal_text(one, 3, 'down'))} t" for one in (total, wanted))
    alt = f"{of.year}. {t('avoided')}: {avoided}; {t('expected_so_far')}: {said}"
    return lines(drawn, labels, "t CO\N{SUBSCRIPT TWO}e", alt, t)


def _share(of: Year, day: date) -> float:
    """Return how much of the year has gone when a day begins."""
    first = date(of.year, 1, 1)
    return (day - first).days / (date(of.year + 1, 1, 1) - first).days


def _measured(of: Year, now: float) -> _Points:
    """Return tonnes of the counted projects, added up by day until now."""
    own = {one.project for one in of.projects if one.counted}
    by_day: dict[date, Decimal] = {}
    for project, day, value in of.days:
        if project in own:
            by_day[day] = by_day.get(day, Decimal(0)) + value
    found: _Points = [(0.0, Fraction(0))]
    for day in sorted(by_day):
        if found[-1][0] < _share(of, day):  # nothing came in between
            found.append((_share(of, day), found[-1][1]))
        after = _share(of, day + timedelta(days=1))
        found.append((after, found[-1][1] + Fraction(by_day[day])))
    return [*found, (now, found[-1][1])] if found[-1][0] < now else found


def _expected(of: Year, now: float) -> _Points:
    """Return the expected reduction, added up by month until now."""
    found: _Points = [(0.0, Fraction(0))]
    for month, value in enumerate(of.months, 1):
        if value:
            end = _share(of, date(of.year + month // 12, month % 12 + 1, 1))
            found.append((min(end, now), found[-1][1] + Fraction(value)))
    return found
