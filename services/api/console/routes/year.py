"""A year of the programme: its main finding as a sentence, and its months with expected tonnes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from markupsafe import Markup

from mrv import calendar
from mrv.texts import Text
from services.api.console.charts import SO_FAR, declared
from services.api.console.translations import Words
from services.store.views.alarms import SEVERITIES, Group
from services.store.views.console import ProjectSums
from services.store.views.coverage import Change, Part, ProjectYear, added, percent

# at and above the first share of the expected tonnes to date a year is on track; below the second
# its shortfall is serious [%]
ON_TRACK, NEAR = 95, 70
_ASIDE = re.compile("[,(:\N{FULLWIDTH LEFT PARENTHESIS}\N{FULLWIDTH COLON}]")
_SILENT = {"silent", "never heard"}
_LATE = "not commissioned"
_PLAN_HOURS = {"hours", "most"}
Name = Callable[[str, str, str], str]
# returns the places of sites and projects, and the persons responsible, as text
Where = Callable[[Iterable[str], Iterable[str]], str]


class Fault(NamedTuple):
    """
    Cause of missing tonnes: amount, severity, subject, place, responsible role, next step.

    `amount` is None if the loss cannot be calculated; `lost_t` is the loss so far. [t]  `group` are
    its alarms; None for a shortfall.
    """

    amount: str | None
    per: str
    severity: str
    title: str
    why: str
    next: str
    href: str
    lost_t: Decimal
    where: str
    group: Group | None = None


class Finding(NamedTuple):
    """
    First sentence of a page in parts: figure, comparison, verified tonnes, cause; None if absent.

    `tone`: CSS class: `late` for a shortfall, else empty.
    """

    figure: str
    compared: str | None
    tone: str
    verified: str | None
    cause: str | None


def finding(
    project_years: Sequence[ProjectYear],
    states: dict[str, ProjectSums],
    plans: Mapping[str, Text],
    year: int,
    t: Words,
    name: Name,
) -> Finding:
    """Return the first sentence on a year's projects that count for the programme."""
    counted = [of_year for of_year in project_years if of_year.counted]
    avoided, expected = (
        added(getattr(p, of) for p in counted) for of in ("avoided_t", "expected_t")
    )
    issued = sum(of_year.issued_t for of_year in counted)
    lines = judged(avoided, expected, issued, of_no_action(project_years), year, t)
    return (
        lines._replace(cause=_cause(counted, states, plans, t, name)) if lines.compared else lines
    )


def judged(
    avoided: Decimal | None,
    expected: Decimal | None,
    issued_t: int,
    beside: Iterable[tuple[Decimal | None, Decimal | None]],
    year: int,
    t: Words,
) -> Finding:
    """
    Return the first sentence on a year's sums, without its cause.

    `beside`: avoided and expected tonnes of projects outside the programme.
    """
    if avoided is None:
        return Finding(
            outside(beside, t, year) or t("finding.none", year=year), None, "", None, None
        )
    share = percent(avoided, expected)
    return Finding(
        t("finding.avoided", tonnes=t.tonnes(avoided), year=year),
        None if share is None else t("finding.share", percent=t.number(share)),
        "" if share is None or share >= ON_TRACK else "late",
        t("finding.verified", tonnes=t.tonnes(issued_t)),
        None,
    )


def of_no_action(
    project_years: Iterable[ProjectYear],
) -> list[tuple[Decimal | None, Decimal | None]]:
    """Return avoided and expected tonnes of projects outside the programme."""
    return [(p.avoided_t, p.expected_t) for p in project_years if not p.counted]


def outside(
    beside: Iterable[tuple[Decimal | None, Decimal | None]], t: Words, year: int | None = None
) -> str | None:
    """
    Return the text of avoided and expected tonnes outside any action; None without any.

    `beside`: avoided and expected tonnes of each of these projects.
    `year`: given if the programme has no avoided tonnes in it; None if no project has a shortfall.
    """
    known = [
        avoided or Decimal(0)
        for avoided, expected in beside
        if avoided or (expected and year is None)
    ]
    if not known:
        return None
    content = {"tonnes": t.tonnes(sum(known, Decimal(0))), "count": t.number(len(known))}
    return (
        t("faults.outside", **content)
        if year is None
        else t("finding.outside", **content, year=year)
    )


def _cause(
    counted: Sequence[ProjectYear],
    states: dict[str, ProjectSums],
    plans: Mapping[str, Text],
    t: Words,
    name: Name,
) -> str | None:
    """Return the project with the largest share of a shortfall or gain, as text, and its state."""
    short = sum((of_year.short_t for of_year in counted), Decimal(0))
    if short:
        worst = max(counted, key=lambda p: (p.short_t, p.project))
        content = {
            "project": short_name(name("project", worst.project, worst.name)),
            "percent": t.number(int(worst.short_t / short * 100)),
        }
        state = states.get(worst.project)
        since = _since(state, t)
        if since is not None:
            return t("finding.worst.silent", **content, since=since)
        if state is not None and state.state in _SILENT:
            return t("finding.worst.never", **content)
        if worst.project in plans:
            return t("finding.worst.plan", **content)
        own = worst.percent
        return (
            t("finding.worst", **content)
            if own is None
            else t("finding.worst.low", **content, own=t.number(own))
        )
    best = max(counted, key=lambda p: (_gain(p), p.project), default=None)
    if best is None or _gain(best) <= 0:
        return None
    return t(
        "finding.best",
        project=short_name(name("project", best.project, best.name)),
        tonnes=t.tonnes(_gain(best)),
    )


def _gain(of_year: ProjectYear) -> Decimal:
    return (of_year.avoided_t or Decimal(0)) - (of_year.expected_t or Decimal(0))


def _since(state: ProjectSums | None, t: Words) -> str | None:
    if state is None or state.state not in _SILENT or state.silent_since is None:
        return None
    return t.day(state.silent_since.astimezone(calendar.zone(state.timezone)).date())


def shortfalls(
    project_years: Sequence[ProjectYear],
    states: dict[str, ProjectSums],
    plans: Mapping[str, Text],
    root: str,
    t: Words,
    name: Name,
    where: Where,
) -> list[Fault]:
    """Return a cause for each counted project below 95 % of its expected tonnes."""
    faults = []
    for of_year in project_years:
        state, own = states.get(of_year.project), of_year.percent
        if not of_year.counted or not of_year.short_t or (own is not None and own >= ON_TRACK):
            continue
        silent = state is not None and state.state in _SILENT
        since = _since(state, t)
        why = (
            t("silent_since", since=since)
            if since is not None
            else t("never_heard")
            if silent
            else t(
                "fault.late" if state is not None and state.state == _LATE else "fault.low",
                percent=t.number(own),
            )
            if own is not None
            else t("fault.nothing")
        )
        # the project sends data, but its emissions are not calculated yet
        unknown = own is None and not silent
        severity = "critical" if silent else "major" if own is not None and own < NEAR else "minor"
        todo = "fault.next.silent" if silent or own is None else "fault.next.low"
        if not silent and of_year.project in plans:  # the cause is the plan, not a device
            why, todo = plan_why(plans[of_year.project], t), "fault.next.plan"
        faults.append(
            Fault(
                None if unknown else t.tonnes(of_year.short_t), t("fault.short"), severity,
                short_name(name("project", of_year.project, of_year.name)), why,
                t(todo),
                f"{root}/projects/{of_year.project}", Decimal(0) if unknown else of_year.short_t,
                where((), [of_year.project]),
            )
        )  # fmt: skip
    return faults


def plan_why(plan: Text, t: Words) -> str:
    """Return why a plan does not fit its plant."""
    return t(
        "fault.plan", **{of: t.number(value) for of, value in plan.values if of in _PLAN_HOURS}
    )


def short_name(message: str) -> str:
    """Return a name up to its first comma or bracket."""
    return _ASIDE.split(message, maxsplit=1)[0].strip() or message


def ordered(faults: Iterable[Fault]) -> list[Fault]:
    """
    Return causes of missing tonnes: the largest loss first, then by severity those whose loss is
    not known.
    """
    return sorted(
        faults,
        key=lambda fault: (fault.amount is None, -fault.lost_t, SEVERITIES.index(fault.severity)),
    )


def fault(group: Group, root: str, t: Words, where: Where) -> Fault:
    """Return alarms of one cause as a cause of missing tonnes."""
    cost, first = group.cost_t_per_day, group.alarms[0]
    what = t.or_as_is(f"alarm.kind.{group.kind}", group.kind)
    named = t.and_more([str(alarm["subject"]) for alarm in group.alarms])
    cause = t.or_as_is(f"cause.{(group.cause or '').replace(' ', '_')}", "")
    if first["detail"].get("exceeded"):
        cause = t.exceeded(first["detail"])
    since = t("fault.since", since=t.moment(group.since, first["timezone"]))
    todo = first["cause_now"]
    page = f"/{first['id']}" if len(group.alarms) == 1 else f"#cause-{first['id']}"
    return Fault(
        None if cost is None else t.tonnes(cost),
        t("fault.a_day"),
        group.severity,
        what,
        ". ".join(part for part in (f"{named}: {since}", cause) if part),
        t(f"todo.{todo}") if todo else t.or_as_is(f"alarm.todo.{group.kind}", first["what_to_do"]),
        f"{root}/alarms{page}",
        group.cost_t,
        where(
            [alarm["site"] for alarm in group.alarms if alarm["site"]],
            [project for alarm in group.alarms for project in alarm["projects"]],
        ),
        group,
    )


# one colour per action, in the order of their numbers; further actions share the last
_COLOURS, _OTHER = 5, "a6"
_MONTHS = range(1, 13)


class Year(NamedTuple):
    """Year of the programme's own projects: days and months with avoided tonnes."""

    year: int
    years: list[int]
    projects: list[ProjectYear]
    avoided: list[tuple[str, int, Decimal]]
    months: list[Decimal | None]
    change: Change | None
    today: date
    parts: list[Part]


class Action(NamedTuple):
    """
    Action in a year, with the sums of its own counted projects; None if unknown.

    `key`: colour.  `months`: avoided tonnes of the twelve months.
    `expected_t`: expected tonnes to date.
    """

    key: str
    name: str
    months: list[Decimal | None]
    avoided_t: Decimal | None
    expected_t: Decimal | None

    @property
    def percent(self) -> int | None:
        """
        Return the avoided share of the expected tonnes to date, rounded down. [%]

        None if unknown.
        """
        return percent(self.avoided_t, self.expected_t)


class Progress(NamedTuple):
    """
    Tonnes of a year as bars on one scale; None if unknown.

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
    for project, month, value in of.avoided:
        if project in counted:
            months = stored.setdefault(action_of.get(project), [None] * len(_MONTHS))
            months[month - 1] = (months[month - 1] or Decimal(0)) + value
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


def first_month(of: Year, result: list[Action]) -> int | None:
    """Return the first month with avoided or expected tonnes, from 0; None without any."""
    stored = [of.months, *(action.months for action in result)]
    return next((i for i in range(len(_MONTHS)) if any(months[i] for months in stored)), None)


def months_chart(of: Year, result: list[Action], t: Words) -> Markup | None:
    """Return the chart of a year's months by action; None without stored figures."""
    known = [i for i in range(len(_MONTHS)) if any(a.months[i] is not None for a in result)]
    begin = first_month(of, result)
    if begin is None:
        return None
    firsts = [date(of.year, month, 1) for month in _MONTHS[begin:]]
    figures: dict[str, Any] = {
        "labels": [t.short_month(first) for first in firsts],
        "long": [t.month(first) for first in firsts],
        "last": known[-1] - begin if known else -1,
        SO_FAR: of.today.month - 1 - begin if of.year == of.today.year else None,
        "actions": [
            {
                "key": action.key,
                "name": action.name,
                "values": action.months[begin:],
                "total": action.avoided_t or 0,
            }
            for action in result
            if action.avoided_t is not None
        ],
        "expected": [month or None for month in of.months[begin:]],
        "unit": t("unit.t_month"),
        "words": {key: t(key) for key in ("expected", "total", SO_FAR)},
    }
    message = "; ".join(f"{action.name}: {t.tonnes(action.avoided_t or 0)}" for action in result)
    return declared("months", figures, f"{t('months.title')} {of.year}. {message}", "months", t)
