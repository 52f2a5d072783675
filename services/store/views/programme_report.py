"""
Programme report by system: expected, measured, issued and transferable tonnes; and its progress.

The city's modelled account by action and the projects' measured account are separate and never
added.  A system without methodology has no tonnes but a reason, and days of indicators, or assets.
Transferable tonnes are calculated from the measured account.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection

from ingest.errors import RegistryError
from mrv import environment
from mrv.calendar import zone
from mrv.countries import country_at
from mrv.registry import programme_systems as systems
from mrv.registry.programme_systems import TransferClass, rules, transferable
from mrv.texts import Text, render, text
from services.store.postgres.pool import exact
from services.store.registry import programme as stored
from services.store.registry import sewers
from services.store.registry.entries_from_rows import names as registered_names
from services.store.registry.programme import ActionYear, ProjectCredits
from services.store.views import alarms, console, parks
from services.store.views import parks as money

_ACCOUNTS = (
    "target and reported are the city's account, modelled; monitored and issued are the"
    " projects', measured. The two are never added, nor an action and its parts."
)


def progress_document(conn: Connection, year: int | None, language: str = "en") -> dict[str, Any]:
    """
    Return target and progress of each action in a year, and transferable credits.

    `year`: by default the last year with figures.
    Raises RegistryError if no programme is registered.
    Tonnes are decimal text, or None if unknown.
    """
    name = stored.name_of(conn)
    if name is None:
        raise RegistryError(
            "no programme is registered; import one with `tonne registry import`, under the"
            " key `programme`"
        )
    year = year or stored.last_year(conn)
    called = registered_names(conn)
    return {
        "programme": name,
        "year": year,
        "accounts": _ACCOUNTS,
        "actions": [
            _action(action, called.get(("action", action.action), {}).get(language, action.name))
            for action in stored.actions(conn, year)
        ],
        "transfer": _transfer(stored.credits_of(conn), language),
    }


def _transfer(every: Iterable[ProjectCredits], language: str) -> dict[str, Any] | None:
    """Return transferable credits of projects in countries with known rules; None if none."""
    own = [(decree, p) for p in every if (decree := rules(p.country)) is not None]
    if not own:
        return None
    decrees = dict.fromkeys(decree.id for decree, _ in own)
    titles = (render(text(f"transfer.rules_{d.replace('-', '_')}"), language) for d in decrees)
    return {
        "rules": "; ".join(titles),
        "in_force": max(decree.in_force for decree, _ in own).isoformat(),
        "projects": [_credits(project_credits, language) for _, project_credits in own],
    }


def _action(action_year: ActionYear, name: str) -> dict[str, Any]:
    return {
        "action": action_year.action,
        "name": name,
        "part_of": action_year.part_of,
        "city_model": {
            "target_t_per_year": _decimal(action_year.target_t),
            "target_year": action_year.target_year,
            "reported_t": _decimal(action_year.city_reported_t),
            "reported_percent_of_target": _percent_of(
                action_year.city_reported_t, action_year.target_t
            ),
        },
        "projects": {
            "count": action_year.projects,
            "expected_t_per_year": _decimal(action_year.expected_t),
            "monitored_t": _decimal(action_year.monitored_t),
            "monitored_percent_of_target": _percent_of(
                action_year.monitored_t, action_year.target_t
            ),
            "issued_credits_t": None if action_year.issued_t is None else int(action_year.issued_t),
        },
    }


def _credits(project_credits: ProjectCredits, language: str) -> dict[str, Any]:
    result = transferable(
        project_credits.issued_t, project_credits.transfer, project_credits.country
    )
    return {
        "project": project_credits.project,
        "action": project_credits.action,
        "issued_credits_t": project_credits.issued_t,
        "transferable_t": "not determined" if result.credit_t is None else result.credit_t,
        "basis": render(result.basis, language),
        "condition": result.condition,
    }


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _percent_of(part: Decimal | None, whole: Decimal | None) -> str | None:
    """Return a share in per cent with three decimals, as text; None if unknown."""
    return f"{part / whole * 100:.3f}" if part is not None and whole else None


_OF_YEAR = (
    "start >= tonne_clock(timezone, make_date(%(year)s, 1, 1)::timestamp)"
    " AND start < tonne_clock(timezone, make_date(%(year)s + 1, 1, 1)::timestamp)"
)
_PROJECTS = """
WITH live AS (
    SELECT project_id, sum(reduction_ug) AS reduction_ug,
           sum(reduction_ug) FILTER (WHERE source IN ('issued', 'closed')) * 0.000000000001
               AS by_statements,
           sum(reduction_ug) FILTER (WHERE source = 'open') * 0.000000000001 AS open_time,
           sum(reduction_ug) FILTER (WHERE source = 'quarter hours') * 0.000000000001 AS quarters
    FROM v_account_part
    WHERE day >= make_date(%(year)s, 1, 1) AND day < make_date(%(year)s + 1, 1, 1)
    GROUP BY project_id
), graded AS (
    -- a statement's credit by the grades of its evidence; 0.1.0 knew no grades
    SELECT project_id, jsonb_object_agg(grade, t::text) AS by_grade
    FROM (
        SELECT c.project_id, g.key AS grade,
               round(sum((v.vintage ->> 'credited_t')::numeric * g.value::numeric), 6) AS t
        FROM claim c JOIN statement s ON s.id = c.statement_id
        CROSS JOIN LATERAL jsonb_array_elements(
            s.document #> '{credentialSubject,credited,vintages}') AS v (vintage)
        CROSS JOIN LATERAL jsonb_each_text(
            s.document #> '{credentialSubject,evidence,shares}') AS g
        WHERE (v.vintage ->> 'year')::integer = %(year)s GROUP BY 1, 2
    ) each GROUP BY project_id
), issued AS (
    SELECT c.project_id, sum((v.vintage ->> 'credited_t')::numeric) AS credit_t,
           bool_or(EXISTS (SELECT FROM jsonb_array_elements(
               s.document #> '{credentialSubject,factors}') f WHERE (f ->> 'provisional')::boolean
           )) AS provisional
    FROM claim c JOIN statement s ON s.id = c.statement_id
    CROSS JOIN LATERAL jsonb_array_elements(
        s.document #> '{credentialSubject,credited,vintages}') AS v (vintage)
    WHERE (v.vintage ->> 'year')::integer = %(year)s GROUP BY c.project_id
)
SELECT p.id, p.name, p.system, p.action, p.methodology || ' ' || p.version,
       (p.expected ->> 'reduction_t_per_year')::numeric, live.reduction_ug * 0.000000000001,
       tonne_expected_t(p.id, tonne_clock(p.timezone, make_date(%(year)s, 1, 1)::timestamp),
           tonne_clock(p.timezone, make_date(%(year)s + 1, 1, 1)::timestamp)),
       issued.credit_t, issued.provisional, p.transfer::text, p.country, p.timezone,
       live.by_statements, live.open_time, live.quarters,
       tonne_expected_ahead_t(p.id, tonne_clock(p.timezone, make_date(%(year)s, 1, 1)::timestamp),
           tonne_clock(p.timezone, make_date(%(year)s + 1, 1, 1)::timestamp)),
       EXISTS (SELECT FROM v_counted_project n WHERE n.project_id = p.id), graded.by_grade
FROM project p LEFT JOIN live ON live.project_id = p.id
LEFT JOIN issued ON issued.project_id = p.id LEFT JOIN graded ON graded.project_id = p.id
ORDER BY p.id
"""
_INDICATORS = f"""
SELECT v.device_id, d.attributes ->> 'system', v.indicator, count(*),
       count(*) FILTER (WHERE v.grade = 'exceeded'), count(v.value), avg(v.value),
       max(v.value), min(v.value)
FROM indicator_value v JOIN device d ON d.id = v.device_id JOIN site s ON s.id = d.site
WHERE v.indicator = ANY(%(kinds)s) AND d.attributes ? 'system'
  AND v.{_OF_YEAR.replace("AND start", "AND v.start")}
GROUP BY 1, 2, 3 ORDER BY 2, 1, 3
"""
_FIELDS = f"""
SELECT d.id, d.attributes ->> 'system', low.value, high.value
FROM indicator_value low
JOIN indicator_value high ON high.device_id = low.device_id AND high.start = low.start
    AND high.indicator = '{environment.HIGHEST}'
JOIN device d ON d.id = low.device_id JOIN site s ON s.id = d.site
WHERE low.indicator = '{environment.LOWEST}' AND d.attributes ? 'system'
  AND low.{_OF_YEAR.replace("AND start", "AND low.start")}
ORDER BY d.id, low.start
"""
_ISSUED = """
SELECT s.id, s.project_id, p.name,
       s.document #>> '{credentialSubject,monitoringPeriod,localFrom}',
       s.document #>> '{credentialSubject,monitoringPeriod,localTo}',
       sum((v.vintage ->> 'credited_t')::numeric)
FROM claim c JOIN statement s ON s.id = c.statement_id JOIN project p ON p.id = s.project_id
CROSS JOIN LATERAL jsonb_array_elements(
    s.document #> '{credentialSubject,credited,vintages}') AS v (vintage)
WHERE (v.vintage ->> 'year')::integer = %(year)s AND (v.vintage ->> 'credited_t')::numeric > 0
GROUP BY s.id, p.name ORDER BY s.period DESC, s.id
"""
_MAX_ALARMS = 500
# indicator that summarises a day, one for each kind of station
_LIMITED = ("qcvn-05-2023", "limits")
DAILY = ("vn-aqi-daily", "qcvn-05-2023", "lden_dba", "limits", "vn-wqi")


def report_document(conn: Connection, year: int | None, language: str = "en") -> dict[str, Any]:
    """
    Return progress by system and action in a year.

    Raises RegistryError if no programme is registered.
    """
    progress = progress_document(conn, year, language)
    year = progress["year"] or datetime.now(UTC).year
    projects = _projects(conn, year, language)
    called = registered_names(conn)
    indicators = _indicators(conn, year)
    fields = _fields(conn, year)
    # the same numbers of devices as on the front page of the console
    devices = {of: (s.devices, s.sending) for of, s in console.system_sums(conn, []).items()}
    begin, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    result = [_system(conn, s, projects, indicators, devices) for s in systems.load().values()]
    return {
        **progress,
        "year": year,
        # only systems that have devices, projects or assets
        "systems": [
            {**item, "fields": [f for f in fields if f["system"] == item["system"]]}
            for item in result
            if item["devices"] or item["projects"] or (item["registry"] or {}).get("assets")
        ],
        "without_system": [p for p in projects if p["system"] is None],
        "statements": _statements(conn, year, language),
        "alarms": _alarms(conn, language) if year == datetime.now(UTC).year else [],
        "money": _money(conn, year, projects),
        "parks": [
            {**item, "members": [_named(member, called, language) for member in item["members"]]}
            for item in (parks.balance(conn, park, begin, end) for park in parks.park_ids(conn))
        ],
    }


def _named(
    member: dict[str, Any], called: Mapping[tuple[str, str], Mapping[str, str]], language: str
) -> dict[str, Any]:
    """Return a park's member with its site's name in a language."""
    names = called.get(("site", member["site"]), {})
    return {**member, "name": names.get(language, member["name"])}


def _statements(conn: Connection, year: int, language: str) -> list[dict[str, Any]]:
    """Return valid statements with their credits of the year, newest first."""
    called = registered_names(conn)
    return [
        {
            "statement": statement,
            "project": project,
            "name": called.get(("project", project), {}).get(language, name),
            "from": first,
            "to": end,
            "credited_t": int(credited),
        }
        for statement, project, name, first, end, credited in conn.execute(_ISSUED, {"year": year})
    ]


def _alarms(conn: Connection, language: str) -> list[dict[str, Any]]:
    """Return open alarms in the groups of the console; those without known cost last."""
    called = registered_names(conn)
    sites: dict[str, str] = dict(conn.execute("SELECT id, name FROM site").fetchall())
    standing, _ = alarms.standing(conn, None, _MAX_ALARMS)
    groups = alarms.grouped(standing)
    return [
        {
            "kind": group.kind,
            "severity": group.severity,
            "since": group.since.astimezone(zone(group.alarms[0]["timezone"])).isoformat(
                timespec="minutes"
            ),
            "subjects": [each["subject"] for each in group.alarms],
            "places": [
                called.get(("site", id_), {}).get(language, sites.get(id_, id_))
                for id_ in dict.fromkeys(each["site"] for each in group.alarms if each["site"])
            ],
            "cost_t_per_day": None if group.cost_t_per_day is None else f"{group.cost_t_per_day:f}",
        }
        for group in groups
    ]


def _money(conn: Connection, year: int, projects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return cost, savings and revenue of projects in a year; a row per kind and currency."""
    names = {project["project"]: project["name"] for project in projects}
    moneys = money.of_projects(conn, None, date(year, 1, 1), date(year + 1, 1, 1))
    return [
        {
            "project": project,
            "name": names.get(project, project),
            "kind": item.kind,
            "amount": f"{item.amount:f}",
            "currency": item.currency,
            "energy_kwh": f"{item.energy_kwh:f}",
        }
        for project, several in moneys.items()
        for item in several
    ]


def _system(
    conn: Connection,
    system: systems.System,
    projects: Sequence[dict[str, Any]],
    indicators: Sequence[dict[str, Any]],
    devices: dict[str, tuple[int, int]],
) -> dict[str, Any]:
    own = [p for p in projects if p["system"] == system.id]
    count, sending = devices.get(system.id, (0, 0))
    monitored = [Decimal(p["monitored_t"]) for p in own if p["monitored_t"] is not None]
    return {
        "system": system.id,
        "title": system.title,
        "kind": "carbon"
        if system.methods
        else "registry"
        if "registry" in system.id
        else "indicator",
        "reason": system.reason,
        "devices": count,
        "devices_heard": sending,
        # null, never 0, if there is no methodology or measurement
        "tCO2": f"{sum(monitored):f}" if monitored else None,
        "expected_t": _added(p["expected_t_so_far"] for p in own),
        "issued_credits_t": sum(p["issued_credits_t"] for p in own) if system.methods else None,
        "projects": own,
        "indicators": [i for i in indicators if i["system"] == system.id],
        "registry": sewers.summary(conn) if system.id == "sewerage-registry" else None,
    }


def _added(values: Any) -> str | None:
    known = [Decimal(v) for v in values if v is not None]
    return f"{sum(known):f}" if known else None


def _projects(conn: Connection, year: int, language: str) -> list[dict[str, Any]]:
    rows = conn.execute(_PROJECTS, {"year": year}).fetchall()
    called = registered_names(conn)
    return [_project(row, called, language) for row in rows]


def _project(
    row: Sequence[Any], called: Mapping[tuple[str, str], dict[str, str]], language: str
) -> dict[str, Any]:
    (name, title, system, action, method, yearly, monitored, expected, credit, rests, content,
     country, timezone, by_statements, open_time, quarters, ahead, counted,
     grades) = row  # fmt: skip
    issued = int(credit or 0)
    moved = transferable(
        issued,
        TransferClass(**exact(content)) if content else TransferClass(),
        country_at(country, timezone),
    )
    so_far = None if expected is None else f"{expected:f}"
    return {
        "project": name,
        "name": called.get(("project", name), {}).get(language, title),
        "counted": counted,
        "system": system,
        "action": action,
        "methodology": method,
        "expected_t_per_year": None if yearly is None else f"{yearly:f}",
        "expected_t_so_far": so_far,
        "expected_ahead_t": None if ahead is None else f"{ahead:f}",
        "monitored_t": None if monitored is None else f"{monitored:f}",
        "measured_percent_of_expected": _percent(monitored, so_far),
        "issued_credits_t": issued,
        "issued_by_grade_t": grades,
        "transferable_t": "not determined" if moved.credit_t is None else moved.credit_t,
        "transfer_basis": render(moved.basis, language),
        "provisional": [
            render(item, language)
            for item in _provisional(by_statements, open_time, quarters, rests=rests)
        ],
    }


def _percent(part: Decimal | None, whole: str | None) -> str | None:
    if part is None or whole is None or not Decimal(whole):
        return None
    return f"{part / Decimal(whole) * 100:.1f}"


def _provisional(
    by_statements: Decimal | None,
    open_time: Decimal | None,
    quarters: Decimal | None,
    *,
    rests: bool | None,
) -> Iterator[Text]:
    """
    Yield texts on the parts of a project's annual figure that may still change.

    `by_statements`, `open_time`, `quarters`: reduction by source of the account; None without. [t]
    `rests`: whether an issued statement uses the last published factor of another year.
    """
    if by_statements is not None and (open_time, quarters) != (None, None):
        yield text("provisional.of_statements", amount=f"{by_statements:.3f}")
    if open_time is not None:
        yield text("provisional.of_open_time", amount=f"{open_time:.3f}")
    if quarters is not None:
        yield text("provisional.of_live_intervals", amount=f"{quarters:.3f}")
    if rests:
        yield text("provisional.earlier_factor")


def _indicators(conn: Connection, year: int) -> list[dict[str, Any]]:
    rows = conn.execute(_INDICATORS, {"year": year, "kinds": list(DAILY)}).fetchall()
    return [
        {
            "device": device,
            "system": system,
            "indicator": indicator,
            "days": days,
            # number of days with a value, which can be compared with a limit
            "days_judged": judged,
            "days_exceeded": exceeded if judged and indicator in _LIMITED else None,
            "mean": None if mean is None else round(mean, 1),
            "highest": highest,
            "lowest": lowest,
        }
        for device, system, indicator, days, exceeded, judged, mean, highest, lowest in rows
    ]


def _fields(conn: Connection, year: int) -> list[dict[str, Any]]:
    """Return the drainages and floodings of each field, by the daily levels of its water tube."""
    days: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for device, system, low, high in conn.execute(_FIELDS, {"year": year}):
        days.setdefault((device, system), []).append((low, high))
    return [
        {"device": device, "system": system, **environment.season(result)._asdict()}
        for (device, system), result in days.items()
    ]
