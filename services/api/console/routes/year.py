"""A year of the programme: avoided tonnes by month and action, with the expectation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from markupsafe import Markup

from services.api.console.charts.bars import declared
from services.api.console.translations import Words
from services.store.views.city_year import Change, Part, ProjectYear, added, percent

# one colour for an action, in the order of their numbers; what is left shares the last
_COLOURS, _OTHER = 5, "a6"
_MONTHS = range(1, 13)


class Year(NamedTuple):
    """A year of the programme's own projects, with its data."""

    year: int
    years: list[int]
    projects: list[ProjectYear]
    days: list[tuple[str, date, Decimal]]
    months: list[Decimal | None]
    change: Change | None
    today: date
    parts: list[Part]


class Action(NamedTuple):
    """Action in a year, over its own projects: colour, name, tonnes, expected tonnes to date."""

    key: str
    name: str
    months: list[Decimal | None]
    avoided_t: Decimal | None
    expected_t: Decimal | None

    @property
    def percent(self) -> int | None:
        """Return the avoided share of the expected tonnes to date, rounded down. [%]"""
        return percent(self.avoided_t, self.expected_t)


class Progress(NamedTuple):
    """
    Tonnes of a year on one scale, None if unknown, with their ends in per cent.

    Issued is a part of avoided; the forecast is avoided plus expected for the rest of the year.
    """

    issued_t: int
    avoided_t: Decimal
    forecast_t: Decimal | None
    to_date_t: Decimal | None
    year_t: Decimal | None

    def at(self, tonnes: Decimal | int | None) -> str:
        """Return the position of tonnes on the scale. [%]"""
        scale = max(self.avoided_t, *(amount or 0 for amount in self[2:]), Decimal(1))
        return f"{min(max(float((tonnes or 0) / scale), 0.0), 1.0) * 100:.2f}%"


def progress(of: Year) -> Progress | None:
    """Return the progress of a year; None without avoided tonnes."""
    counted = [project for project in of.projects if project.counted]
    avoided, ahead = (added(getattr(p, of_) for p in counted) for of_ in ("avoided_t", "ahead_t"))
    if avoided is None:
        return None
    to_date = added(project_year.expected_t for project_year in counted)
    return Progress(
        sum(project_year.issued_t for project_year in counted),
        avoided,
        None if ahead is None else avoided + ahead,
        to_date,
        None
        if to_date is None and ahead is None
        else (to_date or Decimal(0)) + (ahead or Decimal(0)),
    )


def colours(ids: Iterable[str]) -> dict[str, str]:
    """Return the colour of each action."""
    return {
        action: f"a{i}" if i <= _COLOURS else _OTHER for i, action in enumerate(sorted(set(ids)), 1)
    }


def actions(
    of: Year, action_of: Mapping[str, str | None], name: Callable[[str], str]
) -> list[Action]:
    """Return the actions with figures, in the order of their numbers."""
    counted = {project.project for project in of.projects if project.counted}
    keys = colours(action for action in action_of.values() if action)
    stored: dict[str | None, list[Decimal | None]] = {}
    for project, day, value in of.days:
        if project in counted:
            months = stored.setdefault(action_of.get(project), [None] * len(_MONTHS))
            months[day.month - 1] = (months[day.month - 1] or Decimal(0)) + value
    result = []
    for action in sorted(
        {action_of.get(action_id) for action_id in counted}, key=lambda action_id: action_id or "~"
    ):
        own = [p for p in of.projects if p.counted and action_of.get(p.project) == action]
        result.append(
            Action(
                _OTHER if action is None else keys[action],
                name(action or ""),
                stored.get(action, [None] * len(_MONTHS)),
                added(p.avoided_t for p in own),
                added(p.expected_t for p in own),
            )
        )
    return [action for action in result if action.avoided_t is not None or action.expected_t]


def months_chart(of: Year, result: list[Action], t: Words) -> Markup | None:
    """Return the chart of a year's months by action; None without stored figures."""
    known = [i for i in range(len(_MONTHS)) if any(a.months[i] is not None for a in result)]
    if not known and not any(of.months):
        return None
    firsts = [date(of.year, month, 1) for month in _MONTHS]
    figures: dict[str, Any] = {
        "labels": [t.short_month(first) for first in firsts],
        "long": [t.month(first) for first in firsts],
        "last": known[-1] if known else -1,
        "actions": [
            {
                "key": action.key,
                "name": action.name,
                "values": action.months,
                "total": action.avoided_t or 0,
            }
            for action in result
            if action.avoided_t is not None
        ],
        "expected": [month or None for month in of.months],
        "expectedYear": added(of.months) or 0,
        "unit": t("unit.t_month"),
        "words": {key: t(key) for key in ("expected", "total")},
    }
    message = "; ".join(f"{action.name}: {t.tonnes(action.avoided_t or 0)}" for action in result)
    return declared("months", figures, f"{t('months.title')} {of.year}. {message}", "months")
