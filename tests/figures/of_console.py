"""Every figure of the console, and its expected value from the account of a city."""

import re
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any

import jinja2

from services.api.console.translations import Words
from tests.figures import surfaces
from tests.figures.account import UG, Emission, midnight
from tests.figures.costs import silences
from tests.figures.of_api import ahead_of, expected_of, issued, of_park, of_year
from tests.figures.panels import PROJECT, before_evidence, missed

# as the catalog of Hai Phong states it
_TARGET_T = 4_643_000
# what people typed, shown as they typed it
TYPED = {
    'overview.html: figure(t, one.city_model.reported_t|plain, "not_stated")',
    'programme.html: figure(t, one.city_model.reported_t|plain, "not_stated")',
    'statement.html: t.number(one.effect_t) ~ " t"',
}


def figures(city, a, monkeypatch):
    """Yield each figure: its place, its text, and its subject."""
    seen: list[tuple[str, Any, Any]] = []
    wanted = {one.partition(": ")[::2] for one in surfaces.of_console()}

    class Marked(jinja2.BaseLoader):
        def get_source(self, environment, template):
            text, *rest = jinja2.PackageLoader("services.api.console").get_source(
                environment, template
            )
            for name, said in wanted:
                if name == template:
                    of = re.search(r"\b(one|p|sums|page|card|made|of)\b\.", said)
                    first = of[1] if of else "none"
                    first = f"({first}, i)" if "[i]" in said else first
                    call = f"seen({f'{name}: {said}'!r}, {said}, {first})"
                    text = text.replace("{{ " + said + " }}", "{{ " + call + " }}")
                    text = text.replace(f"tonnes={said})", f"tonnes={call})")
            return text, *rest

    def note(where, text, subject):
        seen.append((where, text, subject))
        return text

    from services.api.console import render  # noqa: PLC0415 - loads the web framework

    render._environment.cache_clear()
    environment = render._environment()
    monkeypatch.setattr(environment, "loader", Marked())
    environment.globals["seen"] = note
    city.app.state.memory._kept.clear()
    city.client.post("/console/en/sign-in", data={"key": city.token})
    pages = [
        "",
        "alarms",
        "statements",
        f"programme?year={a.now.year}",
        f"parks/nck?year={a.now.year}",
    ]
    pages += [f"projects/{p}" for p in a.projects]
    pages += [f"devices/{d}" for d in a.silent()[:3]]
    pages += [f"projects/{p}?month={_newest(a, p):%Y-%m}" for p in a.projects]
    for one in a.statements:
        day = one["document"]["credentialSubject"]["monitoringPeriod"]["localFrom"][:10]
        pages += [f"statements/{one['id']}", f"statements/{one['id']}/days/{day}"]
        device = one["document"]["credentialSubject"]["monitoredParameters"][0]["device"]
        pages.append(f"statements/{one['id']}/days/{day}/{device}")
    for page in pages:
        answer = city.client.get(f"/console/en/{page}")
        assert answer.status_code == 200 or not a.projects or page.startswith("p"), answer.text
        for where, text, subject in seen:
            yield where, text, (page, subject)
        seen.clear()
        if page.startswith("projects/"):
            yield from _days_of(page, answer.text)
    render._environment.cache_clear()


def _newest(a, project):
    return max(a.accounted[project], default=a.today(project))


def _days_of(page, text):
    """Return the rows of a project's days."""
    line = r'<tr><th scope="row"><a [^>]*>(\d{4}-\d\d-\d\d)</a></th>(.*?)</tr>'
    for day, cells in re.findall(line, text):
        values = re.findall(r"<td class=\"number\"[^>]*>(.*?)</td>", cells)
        for name, value in zip(
            ("baseline", "emitted", "reduction", "expected"), values, strict=False
        ):
            yield f"days: {name}", value, (page, date.fromisoformat(day))


def _floor(value, places=None):
    """Return a value as on pages: rounded down to four significant digits, or whole."""
    if value is None:
        return None
    value = Decimal(value)
    if places is None:
        places = min(max(3 - value.adjusted(), 0), 6) if value else 0
    return value.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR)


def _tonnes(value):
    """Return whole tonnes as displayed."""
    return None if value is None else Words("en").tonnes(_floor(value, 12))


def _reach(value):
    """Return the share of the city's target. [%]"""
    return f"{min(max(float((value or 0) / _TARGET_T), 0.0), 1.0) * 100:.3f}%"


def _at(a, value):
    """Return the end position of a figure on the bar of the year. [%]"""
    scale = max(*(one or 0 for one in (_avoided(a), _forecast(a), _to_date(a), _in_year(a))), 1)
    return f"{min(max(float((value or 0) / scale), 0.0), 1.0) * 100:.2f}%"


def _avoided(a):
    return of_year(a, a.counted(), a.now.year)


def _to_date(a):
    return _sum(expected_of(a, p, a.now.year) for p in a.counted())


def _forecast(a):
    ahead = _sum(ahead_of(a, p) for p in a.counted())
    return None if ahead is None else (_avoided(a) or 0) + ahead


def _in_year(a):
    return _sum((_to_date(a), _sum(ahead_of(a, p) for p in a.counted())))


def _expected_in(a, month):
    """Return the expectation of the counted projects in a month, past and future. [t]"""
    first = date(a.now.year, month, 1)
    last = date(a.now.year + month // 12, month % 12 + 1, 1)
    return _sum(
        one
        for p in a.counted()
        for one in (
            a.expected(p, *(midnight(day, a.projects[p]["zone"]) for day in (first, last))),
            ahead_of(a, p, first, last),
        )
    )


def _month_of_action(a, action, i):
    """Return the tonnes avoided by an action's counted projects in a month of the year. [t]"""
    groups = defaultdict(list)
    for p in a.counted():
        groups[a.projects[p]["action"]].append(p)
    # a page shows its name alone: it is the one of the same tonnes of the year
    own = next(g for g in groups.values() if of_year(a, g, a.now.year) == action.avoided_t)
    return a.tonnes(own, lambda p, d: (d.year, d.month) == (a.now.year, i + 1))


def _of_source(a, source):
    """Return the part of the year's account of the counted projects from one source. [t]"""
    found = [
        row.reduction
        for project in a.counted()
        for day, rows in a.accounted[project].items()
        if day.year == a.now.year
        for row in rows
        if source == ("quarter hours" if isinstance(row, Emission) else a.source(row.statement))
    ]
    return sum(found) * UG


def meant(a, where, said):
    page, subject = said
    if where.startswith("days: "):
        return _day(a, page, where.removeprefix("days: "), subject)
    name = (
        re.split(r"[/?]", page)[1] if page.startswith("projects/") else getattr(subject, "id", None)
    )
    all_ = lambda p, d: True  # noqa: E731
    issued_ = issued(a, a.counted(), a.now.year) or 0
    avoided = of_year(a, a.counted(), a.now.year)
    figures = {
        "overview.html: t.tonnes(progress.issued_t)": lambda: _tonnes(issued_),
        "overview.html: sums.reach(progress.issued_t)": lambda: _reach(issued_),
        "overview.html: sums.reach(progress.avoided_t)": lambda: _reach(avoided),
        "overview.html: progress.at(progress.issued_t)": lambda: _at(a, issued_),
        "overview.html: t.tonnes(progress.avoided_t)": lambda: _tonnes(avoided),
        "overview.html: progress.at(progress.avoided_t)": lambda: _at(a, avoided),
        "overview.html: t.tonnes(progress.forecast_t)": lambda: _tonnes(_forecast(a)),
        "overview.html: progress.at(progress.forecast_t)": lambda: _at(a, _forecast(a)),
        "overview.html: t.tonnes(progress.to_date_t)": lambda: _tonnes(_to_date(a)),
        "overview.html: t.tonnes(progress.year_t)": lambda: _tonnes(_in_year(a)),
        "overview.html: figure(t, made.avoided_t if made else none)": lambda: _floor(of_year(a, [subject.project], a.now.year)),
        'overview.html: figure(t, made.expected_t if made else none, "not_stated")': lambda: _floor(expected_of(a, subject.project, a.now.year)),
        "overview.html: figure(t, one.months[i])": lambda: _floor(_month_of_action(a, *subject)),
        'overview.html: figure(t, of.months[i], "not_stated")': lambda: _floor(_expected_in(a, subject[1] + 1)),
        "overview.html: tonnes(t, one.tonnes)": lambda: _tonnes(_of_source(a, subject.source)),
        "overview.html: tonnes(t, card.avoided_t)": lambda: _tonnes(of_year(a, [p for p, _ in subject.sums.projects], a.now.year)),
        "overview.html: t.tonnes(card.expected_t)": lambda: _tonnes(_sum(expected_of(a, p, a.now.year) for p, _ in subject.sums.projects)),
        "overview.html: tonnes(t, of.change.yesterday_t)": lambda: _tonnes(a.tonnes(a.counted(), lambda p, d: d == a.today(p) - timedelta(days=1))),
        "overview.html: tonnes(t, of.change.day_before_t)": lambda: _tonnes(a.tonnes(a.counted(), lambda p, d: d == a.today(p) - timedelta(days=2))),
        "overview.html: t.number(made.issued_t if made else 0)": lambda: issued(a, [subject.project], a.now.year) or 0,
        "overview.html: figure(t, of_ug(one.month_ug))": lambda: _floor(PROJECT["last_30_days_t"](a, name)),
        "overview.html: figure(t, one.projects.monitored_t)": lambda: _floor(of_year(a, under(a, subject), a.now.year)),
        "overview.html: t.number(one.projects.issued_credits_t or 0)": lambda: issued(a, under(a, subject), a.now.year) or 0,
        "alarms.html: t.tonnes(short)": lambda: _tonnes(sum(
            max((expected_of(a, p, a.now.year) or 0) - (of_year(a, [p], a.now.year) or 0), 0) for p in a.counted()
        )),
        "certificate.html: t.number(claims.emissions.reduction.t|plain)": lambda: (Decimal(_signed(a, page.split("/")[1])["emissions"]["reduction"]["t"])),
        "project.html: t.tonnes(of_ug(project_row.sums.reduction_ug))": lambda: _tonnes(a.tonnes([name], all_)),
        "project.html: t.tonnes(of_ug(project_row.sums.month_ug))": lambda: _tonnes(PROJECT["last_30_days_t"](a, name)),
        "project.html: t.tonnes(project_row.sums.expected_t)": lambda: _tonnes(a.expected(name)),
        "project.html: t.tonnes(project_row.sums.missed_t)": lambda: _tonnes(missed(a, name)),
        "project.html: figure(t, one.reduction_t)": lambda: _floor(_of_part(a, name, subject)),
        "project.html: t.tonnes(one.before_t)": lambda: _tonnes(before_evidence(a)[name, subject.source, str(subject.first)]),
        "project.html: t.number(one.credit_t)": lambda: _signed(a, subject.id)["credited"]["t"],
        "park.html: t.tonnes(balance.monitored_t)": lambda: _tonnes(of_park(a, a.now.year)),
        'programme.html: figure(t, one.expected_t, "not_stated")': lambda: _floor(_sum(expected_of(a, p["project"], a.now.year) for p in subject["projects"])),
        "programme.html: figure(t, one.tCO2)": lambda: _floor(of_year(a, [p["project"] for p in subject["projects"]], a.now.year)),
        "programme.html: t.number(one.issued_credits_t)": lambda: issued(a, [p["project"] for p in subject["projects"]], a.now.year) or 0,
        'programme.html: figure(t, p.expected_t_so_far, "not_stated")': lambda: _floor(expected_of(a, subject["project"], a.now.year)),
        "programme.html: figure(t, p.monitored_t)": lambda: _floor(of_year(a, [subject["project"]], a.now.year)),
        "programme.html: t.number(p.issued_credits_t)": lambda: issued(a, [subject["project"]], a.now.year) or 0,
        "programme.html: t.number(p.transferable_t)": lambda: None,
        "statements.html: t.number(one.stored.credit_t)": lambda: _signed(a, subject.stored.id)["credited"]["t"]
        if hasattr(subject, "stored") else _signed(a, subject["stored"].id)["credited"]["t"],
        "statement.html: t.number(one.credited_t)": lambda: _vintage(a, page, subject)["credited_t"],
        "statement.html: t.number(one.reduction_t)": lambda: _vintage(a, page, subject)["reduction_t"],
        'gaps.html: figure(t, one.cost_t, "none")': lambda: _gap(a, subject)["cost_t"],
        'gaps.html: figure(t, one.forgone_at_most_t, "none")': lambda: _gap(a, subject).get("forgoneAtMost_t"),
        "device.html: t.tonnes(page.cost_t)": lambda: _tonnes(_cost_t(a, subject["id"])),
        'day.html: figure(t, of_ug(one.reduction_ug), "none")': lambda: _of_day(a, page, subject),
        "day.html: t.tonnes(of_ug(total))": lambda: _tonnes(sum(row.reduction for row in _rows_of_day(a, page)) * UG),
        "device_day.html: t.tonnes(of_ug(sums.reduction_ug))": lambda: _tonnes(_of_day(a, page.rpartition("/")[0], subject)),
    }  # fmt: skip
    if where == "overview.html: t.tonnes(sums.target_t)":
        return _tonnes(_TARGET_T)
    return None if where in TYPED else figures[where]()


def _of_part(a, project, one):
    """Return a part of a project's account: from a statement, from open time, or from intervals."""
    by_rows = one.source == "quarter hours"
    found = [
        row.reduction
        for day, rows in a.accounted[project].items()
        if one.first <= day <= one.last
        for row in rows
        if (
            isinstance(row, Emission) if by_rows else getattr(row, "statement", "") == one.statement
        )
    ]
    return sum(found) * UG


def _cost_t(a, device):
    return float(silences(a)[device][0])


def year_shown(a):
    """Return the year on the front page: the last with figures."""
    years = [d.year for p in a.counted() for d in a.accounted[p]]
    return max(years, default=a.now.year)


def under(a, action):
    return [p for p in a.projects if a.belongs(p, action["action"])]


def _sum(values):
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def _signed(a, name):
    return next(s for s in a.statements if s["id"] == name)["document"]["credentialSubject"]


def _vintage(a, page, one):
    return next(
        v for v in _signed(a, page.split("/")[1])["credited"]["vintages"] if v["year"] == one.year
    )


def _gap(a, one):
    for s in a.statements:
        for gap in s["document"]["credentialSubject"]["gaps"]:
            if (gap["device"], gap["from"], gap["to"], gap["kind"]) == (
                one.device,
                one.from_,
                one.to,
                one.kind,
            ):
                return gap
    raise LookupError(one)


def _rows_of_day(a, page):
    """Return the account's rows of a statement's day, by the page that shows it."""
    project = next(s["project"] for s in a.statements if s["id"] == page.split("/")[1])
    return a.days[project][date.fromisoformat(page.rpartition("/")[2])]


def _of_day(a, page, one):
    """Return a device's part in the account of a day, among the rows of the page."""
    sums = defaultdict(int)
    for row in _rows_of_day(a, page):
        sums[row.device] += row.reduction
    shown = None if one["reduction_ug"] is None else int(one["reduction_ug"])
    return _floor(next((v * UG for v in sums.values() if v == shown), None))


def _day(a, page, name, day):
    project = re.split(r"[/?]", page)[1]
    if name == "expected":
        zone = a.projects[project]["zone"]
        value = a.expected(project, midnight(day, zone), midnight(day + timedelta(days=1), zone))
        return _floor(value) if value else None
    return _floor(a.tonnes([project], lambda p, d: d == day, name))


def plain(value):
    """
    Return decimal text without the language's marks, as a number and its
    unit; None for a word.
    """
    text = re.sub(r"<[^>]*>|,", "", str(value)).strip().replace("\N{MINUS SIGN}", "-")
    found = re.fullmatch(r"(-?[0-9.]+)(?:\N{NO-BREAK SPACE}(\w+))?", text)
    return None if found is None else (Decimal(found[1]), found[2])


def grown(a, shown, so_far_t, daily_t):
    """
    Return whether a cost is shown as one between the account's and its
    growth until now, within a hundredth; pages round down.
    """
    growth_t = daily_t * Fraction((datetime.now(UTC) - a.now) / timedelta(days=1))
    low, seen, high = (
        Decimal(1000 if unit == "t" else 1) * value
        for value, unit in map(
            plain,
            (_tonnes(float(so_far_t) * 0.99), shown, _tonnes(float(so_far_t + growth_t) * 1.01)),
        )
    )
    return low <= seen <= high, True
