"""
Meaning of each panel's figure, calculated in Python from the account's rows.

A meaning returns the expected value of the panel's column: a figure, or a figure per row by name.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from tests.figures.account import UG, Account, Figures, Meaning, kwh, midnight
from tests.figures.costs import alarm_costs, cost_of_silence, costs, project_costs, wrong
from tests.figures.pv import last_week, losses, losses_by_day, yield_a_day

METERED = ("energy_meter", "chiller", "pump", "furnace", "lamp_controller")
ON_THE_WAY = ("draft", "submitted", "under_verification", "verified")


def avoided(projects: Callable[[Account], list[str]]) -> Meaning:
    """Return tonnes of whole projects over local days that begin within a span."""
    return lambda a, since, until: a.tonnes(projects(a), a.within(since, until))


def drawn(quantity: str, *of: str) -> Meaning:
    """Return energy of devices of some classes over local days that begin within a span. [kWh]"""
    return lambda a, since, until: kwh(
        a.energy(a.of_class(*of), quantity, a.device_days(since, until))
    )


def by_day(projects: Callable[[Account], list[str]], *sides: str) -> Meaning:
    """Return tonnes of each local day, all projects of a kind together."""

    def meaning(a: Account, since: datetime, until: datetime) -> Figures:
        chosen, wanted = projects(a), a.within(since, until)
        days = sorted({d for p in chosen for d in a.accounted[p] if wanted(p, d)})
        return {
            str(day): tuple(
                a.tonnes(chosen, lambda p, d, day=day: d == day and wanted(p, d), side)
                for side in sides
            )
            for day in days
        }

    return meaning


def day_energy(quantity: str, scale: Decimal, *of: str) -> Meaning:
    """Return a quantity of each local day, all devices of some classes together."""

    def meaning(a: Account, since: datetime, until: datetime) -> Figures:
        found: dict[str, int] = defaultdict(int)
        wanted = a.device_days(since, until)
        for device in a.of_class(*of):
            for day, rows in a.amount_days[device, quantity].items():
                if wanted(device, day):
                    found[str(day)] += sum(r.value for r in rows)
        return {day: (value * scale,) for day, value in found.items()}

    return meaning


def device_amounts(class_id: str, quantity: str, scale: Decimal) -> Meaning:
    """Return a quantity of each device over local days that begin within a span."""

    def meaning(a: Account, since: datetime, until: datetime) -> Figures:
        found = {
            d: a.energy([d], quantity, a.device_days(since, until)) for d in a.of_class(class_id)
        }
        return {d: None if v is None else v * scale for d, v in found.items()}

    return meaning


def ratio(above: Meaning, below: Meaning) -> Meaning:
    """Return the ratio of two figures; None if one is missing."""

    def meaning(a: Account, since: datetime, until: datetime) -> float | None:
        top, bottom = above(a, since, until), below(a, since, until)
        return None if top is None or not bottom else float(Fraction(top) / Fraction(bottom))

    return meaning


def amount(quantity: str, scale: int, *of: str) -> Meaning:
    """Return a quantity other than energy, in its own unit."""

    def meaning(a: Account, since: datetime, until: datetime) -> Fraction | None:
        value = a.energy(a.of_class(*of), quantity, a.device_days(since, until))
        return None if value is None else Fraction(value, scale)

    return meaning


_MOVED = {"charging": "energy_import", "vehicle": "distance"}


def moved(a: Account, since: datetime, until: datetime) -> dict[tuple[str, date], tuple[int, int]]:
    """Return Wh and metres of each project and whole day on which all its meters were metered."""
    found = {}
    for project, all_members in a.members.items():
        members = [m for m in all_members if m[1] in _MOVED]
        days = {day for m in members for day in a.amount_days[m[0], _MOVED[m[1]]]}
        for day in days if {m[1] for m in members} == _MOVED.keys() else ():
            zone = a.devices[members[0][0]]["zone"]
            begin, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
            if since <= begin <= until and end <= a.now:
                of = [(m[1], a.amount_days[m[0], _MOVED[m[1]]].get(day, [])) for m in members]
                length_us = (end - begin) // timedelta(microseconds=1)
                if all(sum(r.measured_us for r in rows) >= 0.99 * length_us for _, rows in of):
                    found[project, day] = tuple(
                        sum(r.value for role, rows in of if role == one for r in rows)
                        for one in _MOVED
                    )
    return found


def energy_a_km(a: Account, since: datetime, until: datetime) -> float | None:
    """Return energy per kilometre of those days together. [kWh/km]"""
    wh, metres = (
        sum(column) for column in zip(*[(0, 0), *moved(a, since, until).values()], strict=True)
    )
    return wh / metres if metres else None


def km_by_day(a: Account, since: datetime, until: datetime) -> Figures:
    """Return energy per kilometre of each of those days. [kWh/km]"""
    return {
        (midnight(day, a.devices[a.members[project][0][0]]["zone"]), project): (
            wh / metres if metres else None,
        )
        for (project, day), (wh, metres) in moved(a, since, until).items()
    }


def charged(a: Account, since: datetime, until: datetime) -> Figures:
    """Return energy of intervals that begin within a span, by charger. [kWh]"""
    found: Figures = dict.fromkeys(a.of_class("ev_charger"))
    for one in a.amounts:
        if one.device in found and one.quantity == "energy_import" and since <= one.start <= until:
            found[one.device] = (found[one.device] or Decimal(0)) + Decimal(one.value) / 1000
    return found


def usual_days(a: Account, since: datetime, until: datetime) -> dict[tuple[str, date], Any]:
    """
    Return whole days within a span, by meter: consumption, and the mean of the same weekdays
    before.
    """
    wanted, found = a.device_days(since, until), {}
    for device in a.of_class(*METERED):
        zone = a.devices[device]["zone"]
        rows = a.amount_days[device, "energy_import"]
        sums = {
            d: (sum(r.value for r in of), sum(r.measured_us for r in of)) for d, of in rows.items()
        }
        for day, (value, measured) in sums.items():
            length = (midnight(day + timedelta(days=1), zone) - midnight(day, zone)).total_seconds()
            if not wanted(device, day) or day >= a.now.astimezone(zone).date():
                continue
            if min(1, measured / (1e6 * length)) <= 0.95:
                continue
            before = [
                v
                for d, (v, m) in sums.items()
                if 7 <= (day - d).days <= 56 and (day - d).days % 7 == 0 and m > 0.95 * 86_400e6
            ]
            found[device, day] = (value, Fraction(sum(before), len(before)) if before else None)
    return found


def against_usual(a: Account, since: datetime, until: datetime) -> Figures:
    """Return consumption and usual consumption by day. [kWh]"""
    days: Figures = {}
    for (device, day), (value, usual) in usual_days(a, since, until).items():
        at = midnight(day, a.devices[device]["zone"])
        drawn_, usual_ = days.get(at, (0, None))
        more = usual_ if usual is None else (usual_ or 0) + usual
        days[at] = (drawn_ + value, more)
    return {at: (float(v) / 1000, u and float(u) / 1000) for at, (v, u) in days.items()}


def furthest(which: int, a: Account, since: datetime, until: datetime) -> Figures:
    """Return sums by meter over days with known usual consumption. [kWh]"""
    found: Figures = dict.fromkeys(a.of_class(*METERED))
    for (device, _), values in usual_days(a, since, until).items():
        if values[1] is not None:
            found[device] = (found[device] or 0) + Fraction(values[which])
    return {d: None if v is None else float(v) / 1000 for d, v in found.items()}


def by_site(a: Account, since: datetime, until: datetime) -> dict[tuple[date, str], Any]:
    """Return energy per mass of each day and site that has both. [kWh/t]"""
    wanted = a.device_days(since, until)
    energy: dict[tuple[date, str], int] = defaultdict(int)
    mass: dict[tuple[date, str], int] = defaultdict(int)
    for sums, of, quantity in (
        (energy, METERED, "energy_import"),
        (mass, ("weighbridge", "recycling_line"), "mass"),
    ):
        for device in a.of_class(*of):
            for day, rows in a.amount_days[device, quantity].items():
                if wanted(device, day):
                    sums[day, a.devices[device]["site"]] += sum(r.value for r in rows)
    return {key: (energy[key], mass[key]) for key in energy.keys() & mass.keys()}


def specific(a: Account, since: datetime, until: datetime) -> float | None:
    """Return energy per mass of all days and sites that have both. [kWh/t]"""
    found = by_site(a, since, until).values()
    grams = sum(g for _, g in found)
    return sum(wh for wh, _ in found) * 1000 / grams if grams else None


def specific_by_site(a: Account, since: datetime, until: datetime) -> Figures:
    """The same by day and site."""
    return {
        (midnight(day, next(d["zone"] for d in a.devices.values() if d["site"] == site)), site): (
            wh * 1000 / grams,
        )
        for (day, site), (wh, grams) in by_site(a, since, until).items()
        if grams
    }


def project_figure(name: str, a: Account, since: datetime, until: datetime) -> Figures:
    """Return a column of the table of projects. [t]"""
    del since, until
    return {p: PROJECT[name](a, p) for p in a.projects}


def _begin(a: Account, project: str, day: date) -> datetime:
    return midnight(day, a.projects[project]["zone"])


def last_30_days(a: Account, project: str) -> Decimal | None:
    """Return the span of today and the 29 days before."""
    return a.tonnes([project], lambda p, d: d > a.today(p) - timedelta(days=30))


def this_year(a: Account, project: str) -> Decimal | None:
    """Return the span since 1 January."""
    return a.tonnes([project], lambda p, d: d.year == a.today(p).year)


def expected_this_year(a: Account, project: str) -> Decimal | None:
    """Return the span from 1 January until now."""
    return a.expected(project, _begin(a, project, date(a.today(project).year, 1, 1)))


def missed(a: Account, project: str) -> Decimal | None:
    """
    Return the span since the last data of all devices; None if one has
    data, or none is assigned.
    """
    serving = [m[0] for m in a.members.get(project, []) if m[2] <= a.now < m[3]]
    # a gateway's rule may call a device silent; by itself it is heard within its cadence
    heard = [a.states[d][1] for d in serving if a.states[d][1] is not None]
    if not serving or any(a.now - at <= timedelta(seconds=1800) for at in heard):
        return None
    if heard:
        return a.expected(project, max(heard))
    waited = [a.devices[d] for d in serving if a.devices[d]["commissioned"]]
    return a.expected(project, min(midnight(d["commissioned"], d["zone"]) for d in waited))


PROJECT: dict[str, Callable[[Account, str], Decimal | None]] = {
    "this_year_t": this_year,
    "expected_this_year_t": expected_this_year,
    "last_30_days_t": last_30_days,
    "expected_30_days_t": lambda a, p: a.expected(p, _begin(a, p, a.today(p) - timedelta(days=29))),
    "missed_t": missed,
}


def by_system(a: Account, since: datetime, until: datetime) -> Figures:
    """Return tonnes of this year by the system of the projects."""
    del since, until
    found: Figures = {}
    for project, one in a.projects.items():
        if one["system"] is not None:
            value = PROJECT["this_year_t"](a, project)
            found[one["system"]] = (
                value if found.get(one["system"]) is None else found[one["system"]] + (value or 0)
            )
    return found


def action_figure(name: str, a: Account, since: datetime, until: datetime) -> Figures:
    """Return a column of the table of actions, by action."""
    del since, until
    found: Figures = {}
    for action in a.actions:
        own = [p for p in a.projects if a.belongs(p, action)]
        if name == "monitored_t":
            found[action] = a.tonnes(own, lambda p, d: True)
        elif name == "expected_t_per_year":
            known = [Decimal(str(a.projects[p]["yearly"])) for p in own if a.projects[p]["yearly"]]
            found[action] = sum(known) if known else None
        elif name == "issued_t":
            credits_ = [
                s["credit_t"]
                for s in a.statements
                if s["project"] in own and s["state"] == "issued"
            ]
            found[action] = sum(credits_) if credits_ else None
        else:
            values = [v for p in own if (v := PROJECT[name](a, p)) is not None]
            found[action] = sum(values) if values else None
    return found


def by_action(a: Account, since: datetime, until: datetime) -> Figures:
    """Return tonnes of each day by top action: 1, 2, 3, 4 and other."""
    tops: dict[str, list[str]] = {top: [] for top in ("1", "2", "3", "4", "other")}
    for project in a.counted():
        top = (a.projects[project]["action"] or "").split("-")[0]
        tops[top if top in tops else "other"].append(project)
    parts = [by_day(lambda _, of=of: of, "reduction")(a, since, until) for of in tops.values()]
    days = {day for part in parts for day in part}
    return {day: tuple(part.get(day, (None,))[0] for part in parts) for day in days}


def credit(*states: str) -> Meaning:
    """Return whole tonnes of statements in given states."""

    def meaning(a: Account, since: datetime, until: datetime) -> int | None:
        del since, until
        found = [s["credit_t"] for s in a.statements if s["state"] in states]
        return sum(found) if found else None

    return meaning


def credit_by_state(a: Account, since: datetime, until: datetime) -> Figures:
    """The same by state."""
    return {s["state"]: credit(s["state"])(a, since, until) for s in a.statements}


def subject(one: dict[str, Any]) -> dict[str, Any]:
    """Return the claims of a statement."""
    return one["document"]["credentialSubject"]


def gaps(a: Account, since: datetime, until: datetime) -> list[Decimal]:
    """Return costs of gaps and deductions of all statements, as signed."""
    del since, until
    return sorted(
        Decimal(cut["cost_t"])
        for one in a.statements
        for key in ("gaps", "deductions")
        for cut in subject(one)[key]
    )


def sources(a: Account, since: datetime, until: datetime) -> Figures:
    """Return tonnes of each part of a project's account, by source and first day."""
    del since, until
    return {name: sum(ug for _, ug in of) * UG for name, (_, of) in _parts(a).items()}


def before_evidence(a: Account) -> Figures:
    """Return tonnes of each part if no evidence were missing."""
    return {name: a.before[span] for name, (span, _) in _parts(a).items() if span in a.before}


def _parts(a: Account) -> dict[tuple[str, str, str], tuple[int | None, list[tuple[date, int]]]]:
    found: dict[tuple[str, str, int | None], list[tuple[date, int]]] = defaultdict(list)
    for project, days in a.accounted.items():
        for day, rows in days.items():
            for row in rows:
                whole = getattr(row, "statement", "quarter hours")
                span = getattr(row, "span", None)
                found[project, a.source(whole), span].append((day, row.reduction))
    return {
        (project, source, str(min(d for d, _ in of))): (span, of)
        for (project, source, span), of in found.items()
    }


PANELS: dict[str, tuple[str | None, str | tuple[str, ...] | None, Meaning]] = {
    # name of the surface: column (None: all after the key), key, meaning
    "tonne-ev: Avoided": ("avoided_t", None, avoided(lambda a: a.serving(a.of_class("vehicle", "ev_charger")))),
    "tonne-ev: Energy charged": ("energy_kwh", None, drawn("energy_import", "ev_charger")),
    "tonne-ev: Energy per kilometre": ("kwh_km", None, energy_a_km),
    "tonne-ev: Energy per kilometre by day": (None, ("time", "metric"), km_by_day),
    "tonne-ev: Utilisation and faults: energy_kwh": ("energy_kwh", "device_id", charged),
    "tonne-factories: Avoided": ("avoided_t", None, avoided(lambda a: a.serving(a.of_class(*METERED)))),
    "tonne-factories: Energy consumed": ("energy_kwh", None, drawn("energy_import", *METERED)),
    "tonne-factories: Emissions of projects: baseline and project": (None, "day", by_day(lambda a: a.serving(a.of_class(*METERED)), "baseline", "emitted")),
    "tonne-factories: Energy and its usual value": (None, "time", against_usual),
    "tonne-factories: Highest above usual first: energy_kwh": ("energy_kwh", "device_id", partial(furthest, 0)),
    "tonne-factories: Highest above usual first: usual_kwh": ("usual_kwh", "device_id", partial(furthest, 1)),
    "tonne-factories: Specific energy": ("kwh_t", None, specific),
    "tonne-factories: Specific energy by site": (None, ("time", "metric"), specific_by_site),
    "tonne-fleet: Alarms: cost_t_per_day": ("cost_t_per_day", ("kind", "subject", "part"), alarm_costs),
    "tonne-fleet: Devices without data and lost reduction: cost_t": ("cost_t", "device_id", partial(costs, False)),
    "tonne-fleet: Devices without data and lost reduction: cost_t_per_day": ("cost_t_per_day", "device_id", partial(costs, True)),
    "tonne-mrv: Traceability of tonnes: reduction_t": ("reduction_t", ("project_id", "source", "first_day"), sources),
    "tonne-mrv: Traceability of tonnes: before_t": ("before_t", ("project_id", "source", "first_day"), lambda a, s, u: before_evidence(a)),
    "tonne-mrv: Avoided by day": (None, "day", by_day(lambda a: sorted(a.projects), "reduction")),
    "tonne-mrv: By state: credit_t": ("credit_t", "state", credit_by_state),
    "tonne-mrv: Deductions for gaps": ("cost_t", None, lambda a, s, u: sum(gaps(a, s, u)) if gaps(a, s, u) else None),
    "tonne-mrv: Gaps and deductions, highest first: cost_t": ("cost_t", (), gaps),
    "tonne-mrv: Issued": ("credit_t", None, credit("issued")),
    "tonne-mrv: Not issued yet": ("credit_t", None, credit(*ON_THE_WAY)),
    "tonne-mrv: Devices without data: cost_t": ("cost_t", "device_id", partial(project_costs, False)),
    "tonne-mrv: Devices without data: cost_t_per_day": ("cost_t_per_day", "device_id", partial(project_costs, True)),
    "tonne-mrv: Statements: credit_t": ("credit_t", "statement_id", lambda a, s, u: {one["id"]: one["credit_t"] for one in a.statements}),
    "tonne-mrv: Statements: reduction_t": ("reduction_t", "statement_id", lambda a, s, u: {one["id"]: Decimal(subject(one)["emissions"]["reduction"]["ug"]) * Decimal("1e-12") for one in a.statements}),
    "tonne-overview: Avoided by local day": (None, "day", by_action),
    "tonne-overview: Avoided this year": ("avoided_t", None, lambda a, s, u: a.tonnes(a.counted(), lambda p, d: d.year == a.today(p).year)),
    "tonne-overview: Avoided today": ("avoided_t", None, lambda a, s, u: a.tonnes(a.counted(), lambda p, d: d == a.today(p))),
    "tonne-overview: Reduction lost to outages": ("cost_t", None, cost_of_silence),
    "tonne-overview: Expected this year so far": ("expected_t", None, lambda a, s, u: sum(found) if (found := [v for p in a.counted() if (v := expected_this_year(a, p)) is not None]) else None),
    "tonne-overview: Generated today": ("energy_kwh", None, lambda a, s, u: kwh(a.energy(
        [d for d in a.of_class("pv_inverter") if not set(a.serving([d])) - set(a.counted())], "energy_export",
        lambda d, day: day == a.now.astimezone(a.devices[d]["zone"]).date()))),
    **{f"tonne-overview: Programme by action: {name}": (name, "action", partial(action_figure, name))
       for name in ("expected_t_per_year", "expected_this_year_t", "issued_t", "monitored_t", "this_year_t")},
    **{f"tonne-overview: Projects: actual and expected reduction: {name}": (name, "project_id", partial(project_figure, name)) for name in PROJECT},
    "tonne-overview: Current faults: cost_t": ("cost_t", ("what", "place"), wrong),
    "tonne-overview: Systems of the programme: this_year_t": ("this_year_t", "system", by_system),
    "tonne-pv: Avoided in range": ("avoided_t", None, avoided(lambda a: a.serving(a.of_class("pv_inverter")))),
    "tonne-pv: Energy by local day": (None, "day", day_energy("energy_export", Decimal("0.001"), "pv_inverter")),
    "tonne-pv: Energy in range": ("energy_kwh", None, drawn("energy_export", "pv_inverter")),
    "tonne-pv: Inverters, lowest yield first: energy_kwh": ("energy_kwh", "device_id", partial(last_week, 0)),
    "tonne-pv: Inverters, lowest yield first: yield_h": ("yield_h", "device_id", partial(last_week, 1)),
    "tonne-pv: Losses by day": (None, "day", losses_by_day),
    "tonne-pv: Losses, highest first: lost_kwh": ("lost_kwh", "device_id", partial(losses, False)),
    "tonne-pv: Losses, highest first: lost_t": ("lost_t", "device_id", partial(losses, True)),
    "tonne-pv: Specific yield per day": ("yield_h", None, yield_a_day),
    "tonne-water: Electricity by volume": ("kwh_m3", None, ratio(drawn("energy_import", "wastewater_plant"), amount("flow", 1_000_000, "wastewater_plant"))),
    "tonne-works: Steam: Devices: amount": ("amount", "device_id", device_amounts("steam_meter", "mass", Decimal("0.000001"))),
    "tonne-works: Waste heat: Devices: amount": ("amount", "device_id", device_amounts("waste_heat_turbine", "energy_export", Decimal("0.001"))),
    "tonne-works: Waste heat: Generated by local day": (None, "day", day_energy("energy_export", Decimal("0.001"), "waste_heat_turbine")),
    "tonne-wind: Avoided in range": ("avoided_t", None, avoided(lambda a: a.serving(a.of_class("wind_turbine")))),
    "tonne-wind: Energy in range": ("energy_kwh", None, drawn("energy_export", "wind_turbine")),
    "tonne-wind: Generated by local day": (None, "day", day_energy("energy_export", Decimal("0.001"), "wind_turbine")),
    "tonne-wind: Turbines, lowest capacity factor first: energy_kwh": ("energy_kwh", "device_id", device_amounts("wind_turbine", "energy_export", Decimal("0.001"))),
    "tonne-works: Steam: Steam delivered by local day": (None, "day", day_energy("mass", Decimal("0.000001"), "steam_meter")),
}  # fmt: skip


# the registry's own figure, not of an account
TYPED = {
    "tonne-overview: Programme by action: target_t_per_year",
    # energy that a tariff prices: no site of the city has one; test_money.py computes them
    *(f"tonne-{one}: Cost, saved and earned: energy_kwh" for one in ("ev", "pv", "wind")),
}  # fmt: skip


# kinds of figure that are shares of sums, and not sums: held to their last digits
NEARLY = 1e-9
