"""Costs in panels, calculated from the account: meters without data, weak inverters, alarms."""

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from statistics import median

from mrv.accounting.entered_values import parameters_of
from mrv.factors import load as load_factors
from mrv.methodologies import find, unit_reductions
from services.api.console.translations import texts
from tests.figures.account import Account, Figures
from tests.figures.pv import pv_losses, rate_of

DAY_S = 86_400


def costs_by_rule(a: Account, device: str) -> tuple[str | None, datetime, Fraction | None]:
    """
    Return for each device without data its project, since when, and the
    charge of its role. [ug/s]
    """
    for project, members in a.members.items():
        for name, role, begin, end in members:
            if name != device or not begin <= a.now < end:
                continue
            last = a.states[device][1]
            since = begin if last is None else max(last, begin)
            if role in {"charging", "power"}:  # of the project's side
                most = a.devices[device]["rated"] * _unit_ug(a, project, role)
                return project, since, most / 3600
            usual = None if last is None else a.usual_ug(project, device, last)
            return project, since, None if usual is None else max(usual, Fraction(0)) / DAY_S
    return None, a.now, None


def silences(a: Account) -> dict[str, tuple[Fraction | None, Fraction | None]]:
    """
    Return the cost of each device without data, so far and per day; together at most the
    expectation. [t, t/d]
    """
    found: dict[str, tuple[Fraction | None, Fraction | None]] = {}
    of_projects = defaultdict(list)
    for device in a.silent():
        project, since, rate = costs_by_rule(a, device)
        found[device] = (None, None)
        if project is not None and rate is not None:
            of_projects[project].append((device, since, rate / 10**12))
    for project, rows in of_projects.items():
        lasted = [(a.now - since) // timedelta(microseconds=1) for _, since, _ in rows]
        far = _shared(
            [rate * Fraction(us, 10**6) for (*_, rate), us in zip(rows, lasted, strict=True)],
            [_fraction(a.expected(project, since)) for _, since, _ in rows],
        )
        daily = _shared([rate * DAY_S for *_, rate in rows], [_a_day(a, project)] * len(rows))
        for (device, *_), so_far, day in zip(rows, far, daily, strict=True):
            found[device] = (so_far, day)
    return found


def _fraction(value: Decimal | None) -> Fraction | None:
    return None if value is None else Fraction(value)


def _a_day(a: Account, project: str) -> Fraction | None:
    """Return the current daily expectation of a project, in whole grams. [t]"""
    one = a.projects[project]
    if one["yearly"] is None:
        return None
    if not max(one["from"], a.begins(project)) <= a.now < one["to"]:
        return Fraction(0)
    return Fraction(int(Fraction(str(one["yearly"])) * 10**6 / 365), 10**6)


def _shared(costs: list[Fraction], bounds: list[Fraction | None]) -> list[Fraction]:
    """Return costs limited each by its bound, and together by the largest bound."""
    own = [c if b is None else min(c, b) for c, b in zip(costs, bounds, strict=True)]
    most = max(
        (b for b, o in zip(bounds, own, strict=True) if b is not None and o > 0), default=None
    )
    if most is None or sum(own) <= most:
        return own
    return [o * most / sum(own) for o in own]


def _unit_ug(a: Account, project: str, role: str) -> Fraction:
    """Return project emissions per Wh consumed in a role. [ug]"""
    one = a.projects[project]
    method = find(one["methodology"], one["version"])
    parameters = parameters_of(method, one["parameters"], project)
    year = a.local(a.now, project).year
    factors = load_factors().within("VN")
    return unit_reductions(method, role, {}, parameters, factors, year).project_t * 10**12


def costs(daily: bool, a: Account, since: datetime, until: datetime) -> Figures:
    """Return the cost of each device without data, so far or per day. [t]"""
    del since, until
    gateways = {d["gateway"] for d in a.devices.values() if d["gateway"]}
    found = {}
    for device, one in silences(a).items():
        if device not in gateways:
            cost = one[1 if daily else 0]
            found[device] = None if cost is None else float(cost)
    return found


def inverter_cost(a: Account, device: str) -> float | None:
    """Return the cost of a day of an inverter below expectation, from its last three days. [t]"""
    since = a.now - timedelta(days=8)
    days = {day: parts for (d, day), parts in pv_losses(a, since, a.now).items() if d == device}
    rate = rate_of(a, device)
    short = [
        max(0.0, days[day][3] - sum(r.value for r in a.amount_days[device, "energy_export"][day]) / 1000)
        for day in sorted(days)[-3:]
    ]  # fmt: skip
    return None if rate is None or not short else sum(short) / len(short) * rate


def furnace_cost(a: Account, project: str) -> float | None:
    """Return the cost of a day with more energy per tonne than usual. [t]"""
    kwh_of, t_of, ug, wh = defaultdict(int), defaultdict(int), 0, 0
    for device, *_ in a.members[project]:
        one = a.devices[device]
        today = a.now.astimezone(one["zone"]).date()
        for quantity, sums in (("energy_import", kwh_of), ("mass", t_of)):
            for day, rows in a.amount_days[device, quantity].items():
                sums[day] += sum(r.value for r in rows)
                if quantity == "energy_import" and any(
                    r.device == device for r in a.days[project].get(day, ())
                ):
                    wh += sum(r.value for r in rows)
        ug += sum(
            r.emitted
            for rows in a.days[project].values()
            for r in rows
            if r.device == device and one["class"] == "furnace"
        )
    days = sorted(d for d in kwh_of.keys() & t_of.keys() if kwh_of[d] and t_of[d] and d < today)
    each = {d: (kwh_of[d] / 1000) / (t_of[d] / 1e6) for d in days}
    usual = median(each[d] for d in days[-31:-3])
    excess = sum((each[d] - usual) * t_of[d] / 1e6 for d in days[-3:]) / 3
    return max(excess, 0.0) * (ug / 1e12) / (wh / 1000)


def alarm_cost(a: Account, kind: str, subject: str) -> float | None:
    """Return the daily cost of an alarm: of all devices that it covers. [t]"""
    if kind == "inverter_low":
        return inverter_cost(a, subject)
    if kind == "energy_high":
        return furnace_cost(a, subject)
    silent = a.silent()
    members = [m[0] for m in a.members.get(subject, ()) if m[2] <= a.now < m[3]]
    devices = {
        "device_silent": [subject],
        "gateway_silent": [d for d in silent if a.devices[d]["gateway"] == subject],
        "project_silent": [d for d in members if a.devices[d]["gateway"] not in silent],
    }.get(kind, [])
    each = silences(a)
    found = [cost for d in devices if (cost := each[d][1]) is not None]
    return float(sum(found)) if found else None


def alarm_costs(a: Account, since: datetime, until: datetime) -> Figures:
    """Return the same of every alarm that is not cleared."""
    del since, until
    return {one: alarm_cost(a, *one[:2]) for one in a.alarms}


def project_costs(daily: bool, a: Account, since: datetime, until: datetime) -> Figures:
    """Return the same of devices that are assigned to a project now."""
    serving = {m[0] for of in a.members.values() for m in of if m[2] <= a.now < m[3]}
    return {d: v for d, v in costs(daily, a, since, until).items() if d in serving}


def cost_of_silence(a: Account, since: datetime, until: datetime) -> float | None:
    """Return the cost of missing data of the programme's own projects together. [t]"""
    own = {m[0] for p in a.counted() for m in a.members[p] if m[2] <= a.now < m[3]}
    found = [v for d, v in costs(False, a, since, until).items() if d in own and v is not None]
    return sum(found) if found else None


def wrong(a: Account, since: datetime, until: datetime) -> Figures:
    """Return the cost of offline gateways, and of other devices without data, by class and site."""
    each = costs(False, a, since, until)
    found: Figures = {}
    for device, cost in each.items():
        one = a.devices[device]
        above = one["gateway"]
        if above is not None and a.states[above][0] != "online":
            name = ("gateway offline", f"{above} ({a.devices[above]['site']})")
        else:
            called = texts("en")[f"class.{one['class']}"]
            name = (f"devices not reporting: {called}", one["site"])
        found[name] = found.get(name) if cost is None else (found.get(name) or 0) + cost
    return found
