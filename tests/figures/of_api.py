"""Expected value of every API field in tonnes or energy, from the account of a city."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import isclose

from tests.figures.account import midnight
from tests.figures.costs import alarm_cost, silences
from tests.figures.panels import before_evidence
from tests.figures.pv import pv_losses


def number(text):
    return None if text is None else Decimal(text)


def fields(city, a):
    yield from _series(city, a)
    year = a.now.year
    for path in ("programme", "programme/report"):
        body = city.get(f"/v1/{path}", year=year) if a.actions else None
        for one in (body or {}).get("actions", ()):
            yield from _action(a, f"/v1/{path}", one, year)
        for one in (body or {"transfer": {"projects": ()}})["transfer"]["projects"]:
            issued = sum(
                s["credit_t"]
                for s in a.statements
                if s["project"] == one["project"] and s["state"] == "issued"
            )
            yield f"/v1/{path}: issued_credits_t", one["issued_credits_t"], issued
            yield f"/v1/{path}: transferable_t", one["transferable_t"], "not determined"
        if path == "programme/report" and body:
            yield from _report(a, body, year)
    park = city.get("/v1/parks/nck", year=year)
    if park is not None:
        yield "/v1/parks/{park}: monitored_t", number(park["monitored_t"]), of_park(a, year)
    yield from _devices(city, a)
    yield from _alarms(city, a)
    for project in a.projects:
        path, parts = "/v1/projects/{project}", city.get(f"/v1/projects/{project}")["account"]
        known = [Decimal(p["reduction_t"]) for p in parts if p["reduction_t"] is not None]
        yield (
            f"{path}: reduction_t",
            sum(known) if known else None,
            a.tonnes([project], lambda *_: True),
        )
        for one in [p for p in parts if p["before_t"] is not None]:
            wanted = before_evidence(a)[project, one["source"], one["first_day"]]
            yield f"{path}: before_t", number(one["before_t"]), wanted
    for one in city.get("/v1/statements")["items"]:
        same = next(s for s in a.statements if s["id"] == one["statement"])
        yield "/v1/statements: credit_t", one["credit_t"], same["credit_t"]
        whole = city.get(f"/v1/statements/{one['statement']}")
        yield "/v1/statements/{statement}: credit_t", whole["credit_t"], same["credit_t"]


def _devices(city, a):
    path, silenced = "/v1/devices/{device}", silences(a)
    for device in [d for d in a.devices if d in a.silent() or d.endswith("1")]:
        page = city.get(f"/v1/devices/{device}")
        today = a.now.astimezone(a.devices[device]["zone"]).date()
        wanted = {
            (str(day), quantity): sum(r.value for r in rows)
            for (name, quantity), days in a.amount_days.items()
            if name == device
            for day, rows in days.items()
            if day > today - timedelta(days=28)
        }
        shown = {(one["day"], one["quantity"]): one["value"] for one in page["days"]}
        yield f"{path}: value", shown, wanted
        quarters = {
            q: sum(o["value"] for o in page["today"] if o["quantity"] == q)
            for q in {o["quantity"] for o in page["today"]}
        }
        so_far = {q: v for (day, q), v in wanted.items() if day == str(today)}
        yield f"{path}: value", quarters, so_far
        so_far_t, daily = silenced.get(device, (None, None))
        yield f"{path}: cost_t_per_day", *_near(page["cost_t_per_day"], daily)
        yield from _pv(a, path, device, page)
        # it grows from one moment to the next
        shown_t = page["cost_t"] and float(page["cost_t"])
        yield f"{path}: cost_t", *grown(a, shown_t, so_far_t, daily)


def _pv(a, path, device, page):
    """Return the energy of an inverter's days, the expectation, and losses by cause."""
    today = a.now.astimezone(a.devices[device]["zone"]).date()
    lost = pv_losses(a, a.now - timedelta(days=28), a.now)
    for one in (page["pv"] or {"days": ()})["days"]:
        day = date.fromisoformat(one["day"])
        assert day < today
        wanted = sum(r.value for r in a.amount_days[device, "energy_export"][day]) / 1000
        yield f"{path}: energy_kwh", *_near(one["energy_kwh"], wanted)
        parts = lost.get((device, day), (None,) * 4)
        for name, value in zip(("standing", "clipped", "other", "expected"), parts, strict=True):
            shown = one[f"{name}_kwh"]
            yield f"{path}: {name}_kwh", *_near(shown, value, 6)


def _alarms(city, a):
    for one in city.get("/v1/alarms")["items"]:
        wanted = alarm_cost(a, one["kind"], one["subject"])
        yield "/v1/alarms: cost_t_per_day", *_near(one["cost_t_per_day"], wanted)
        whole = city.get(f"/v1/alarms/{one['id']}")
        yield "/v1/alarms/{alarm}: cost_t_per_day", *_near(whole["cost_t_per_day"], wanted)


def grown(a, shown, wanted, daily):
    """Return whether a cost agrees within a hundredth, with its growth since the account's time."""
    if shown is None or wanted is None:
        return shown, wanted
    growth = float(daily) * ((datetime.now(UTC) - a.now) / timedelta(days=1))
    low, high = float(wanted) * 0.99 - 1e-6, (float(wanted) + growth) * 1.01 + 1e-6
    return low <= float(shown) <= high, True


def _near(shown, wanted, digits=9):
    """Return two values, the same one twice where they differ by rounding only."""
    if shown is None or wanted is None:
        return shown, wanted
    shown, wanted = float(shown), float(wanted)
    return shown, shown if isclose(shown, wanted, rel_tol=10.0**-digits) else wanted


def _series(city, a):
    begin, end = a.now - timedelta(days=60), a.now + timedelta(days=1)
    if a.emissions:  # a day of the data
        begin = max(r.start for r in a.emissions) - timedelta(hours=9)
        end = begin + timedelta(hours=9)
    span = {"from": begin.isoformat(), "to": end.isoformat(), "limit": 1000}
    for project, days in a.accounted.items():
        zone = a.projects[project]["zone"]
        for day in sorted(days)[-3:]:  # statements, open time and quarter hours alike
            edges = (midnight(one, zone) for one in (day, day + timedelta(days=1)))
            since, until = (one.isoformat() for one in edges)
            asked = {"project": project, "from": since, "to": until, "limit": 1000}
            rows = city.get("/v1/emissions", **asked)["items"]
            for k, side in enumerate(("baseline_ug", "project_ug", "leakage_ug", "reduction_ug")):
                wanted = sum(one[len(one) - 4 + k] for one in days[day])
                yield f"/v1/emissions: {side}", sum(r[side] for r in rows), wanted
    for device in list(a.devices)[::4]:
        rows = city.get("/v1/intervals", device=device, **span)["items"]
        wanted = {(r.start, r.quantity): r.value for r in a.amounts
                  if r.device == device and begin <= r.start < end}  # fmt: skip
        shown = {(datetime.fromisoformat(r["start"]), r["quantity"]): r["value"] for r in rows}
        yield "/v1/intervals: value", shown, wanted


def of_year(a, projects, year):
    return a.tonnes(projects, lambda p, d: d.year == year)


def _action(a, path, one, year):
    own = [p for p in a.projects if a.belongs(p, one["action"])]
    said = one["projects"]
    monitored = of_year(a, own, year)
    yield f"{path}: monitored_t", number(said["monitored_t"]), monitored
    target = one["city_model"]["target_t_per_year"]
    percent = (
        None if monitored is None or not target else f"{monitored / Decimal(target) * 100:.3f}"
    )
    yield f"{path}: monitored_percent_of_target", said["monitored_percent_of_target"], percent
    yearly = [Decimal(str(a.projects[p]["yearly"])) for p in own if a.projects[p]["yearly"]]
    wanted = sum(yearly) if yearly else None
    yield f"{path}: expected_t_per_year", number(said["expected_t_per_year"]), wanted
    yield f"{path}: issued_credits_t", said["issued_credits_t"], issued(a, own, year)


def issued(a, projects, year):
    found = [int(v["credited_t"]) for s in a.statements
             if s["project"] in projects and s["state"] == "issued"
             for v in s["document"]["credentialSubject"]["credited"]["vintages"]
             if v["year"] == year]  # fmt: skip
    return sum(found) if found else None


def _report(a, body, year):
    path = "/v1/programme/report"
    for one in body["statements"]:
        same = [s for s in a.statements if s["id"] == one["statement"]]
        wanted = [
            v for s in same for v in s["document"]["credentialSubject"]["credited"]["vintages"]
        ]
        of = sum(int(v["credited_t"]) for v in wanted if v["year"] == year)
        yield f"{path}: credited_t", one["credited_t"], of
    for one in body["alarms"]:
        costs = [alarm_cost(a, one["kind"], subject) for subject in one["subjects"]]
        known = [cost for cost in costs if cost is not None]
        wanted = sum(known) if known else None
        yield f"{path}: cost_t_per_day", *_near(one["cost_t_per_day"], wanted)
    for one in body["systems"]:
        own = [p["project"] for p in one["projects"]]
        known = [v for p in own if (v := expected_of(a, p, year)) is not None]
        yield f"{path}: expected_t", number(one["expected_t"]), sum(known) if known else None
        if one["kind"] == "carbon":
            yield f"{path}: tCO2", number(one["tCO2"]), of_year(a, own, year)
            yield f"{path}: issued_credits_t", one["issued_credits_t"], issued(a, own, year) or 0
    for one in [p for s in body["systems"] for p in s["projects"]] + body["without_system"]:
        name, monitored = one["project"], of_year(a, [one["project"]], year)
        expected = expected_of(a, name, year)
        yield f"{path}: monitored_t", number(one["monitored_t"]), monitored
        yield f"{path}: expected_t_so_far", number(one["expected_t_so_far"]), expected
        ahead = ahead_of(a, name)
        yield f"{path}: expected_ahead_t", number(one["expected_ahead_t"]), ahead
        grades = one["issued_by_grade_t"]
        yield (
            f"{path}: issued_by_grade_t",
            None if grades is None else sum(map(Decimal, grades.values())),
            None if grades is None else issued(a, [name], year),
        )
        share = None if monitored is None or not expected else f"{monitored / expected * 100:.1f}"
        yield f"{path}: measured_percent_of_expected", one["measured_percent_of_expected"], share
        yearly = a.projects[name]["yearly"]
        wanted = None if yearly is None else Decimal(str(yearly))
        yield f"{path}: expected_t_per_year", number(one["expected_t_per_year"]), wanted
        yield f"{path}: issued_credits_t", one["issued_credits_t"], issued(a, [name], year) or 0
    for one in body["parks"]:
        yield f"{path}: monitored_t", number(one["monitored_t"]), of_park(a, year)


def expected_of(a, project, year):
    zone = a.projects[project]["zone"]
    return a.expected(
        project, midnight(date(year, 1, 1), zone), midnight(date(year + 1, 1, 1), zone)
    )


def ahead_of(a, project, first=None, last=None):
    """Return the expected reduction of a project for the rest of a time, else of the year. [t]"""
    one = a.projects[project]
    if one["yearly"] is None or not a.members.get(project):
        return None
    quarter = a.now.replace(minute=a.now.minute // 15 * 15, second=0, microsecond=0)
    first, last = first or date(a.now.year, 1, 1), last or date(a.now.year + 1, 1, 1)
    begins = max(
        one["from"], min(m[2] for m in a.members[project]), quarter, midnight(first, one["zone"])
    )
    until = min(one["to"], midnight(last, one["zone"]))
    seconds = Fraction(max(0, int((until - begins).total_seconds())))
    micro = int(Fraction(str(one["yearly"])) * seconds / (365 * 86_400) * 10**6)
    return Decimal(micro) / 10**6


def of_park(a, year):
    """Return the projects that are completely within the park."""
    own = [p for p, of in a.members.items()
           if {a.devices[m[0]]["site"] for m in of} == {"nam-cau-kien"}]  # fmt: skip
    return of_year(a, own, year)
