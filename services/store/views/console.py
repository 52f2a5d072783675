"""Data of the console's pages: sites, projects, accounts by day, newest values, systems."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg import Connection

from services.store.views.coverage import Accounted, accounted, added


@dataclass(frozen=True, slots=True)
class Site:
    """
    Site with its position [degrees] and numbers of devices.

    `expected`, `sending`: number expected to send data, and number sending data.
    """

    id: str
    name: str
    latitude: float
    longitude: float
    devices: int
    expected: int
    sending: int

    @property
    def state(self) -> str:
        """Return `all`, `some` or `none` of its devices sending data, or `new`."""
        return _reporting_state(self.expected, self.sending)


def _reporting_state(expected: int, sending: int) -> str:
    """Return how many expected devices send data: all, some, none; new if none is expected."""
    if not expected:
        return "new"
    return "none" if not sending else "all" if sending >= expected else "some"


@dataclass(frozen=True, slots=True)
class ProjectSums:
    """
    Project with the sums of its account and its expected tonnes.

    `reduction_ug`, `month_ug`: reduction in total, and of the last 30 local days; None without
    account.
    `expected_t`: expected reduction to date.  `missed_t`: expected reduction since data stopped.
    `counted`: whether the programme counts it.
    """

    id: str
    name: str
    methodology: str
    version: str
    action: str | None
    timezone: str
    crediting_from: date
    crediting_to: date
    expected: dict[str, Any]
    sites: tuple[str, ...]
    devices: int
    first: datetime | None
    last: datetime | None
    reduction_ug: Decimal | None
    month_ug: Decimal | None
    counted: bool
    state: str
    silent_since: datetime | None
    missed_t: Decimal | None
    expected_t: Decimal | None
    today: date


@dataclass(frozen=True, slots=True)
class EmissionDay:
    """Account of a project's local day. [ug CO2e]"""

    day: date
    baseline_ug: int
    project_ug: int
    leakage_ug: int
    reduction_ug: int


def sites(conn: Connection) -> list[Site]:
    """Return all sites with a device."""
    rows = conn.execute(
        "SELECT s.id, s.name, s.latitude, s.longitude, count(*),"
        " count(*) FILTER (WHERE h.state <> 'not commissioned'),"
        " count(*) FILTER (WHERE h.state IN ('online', 'late'))"
        " FROM site s JOIN v_device_health h ON h.site = s.id"
        " GROUP BY s.id ORDER BY s.name, s.id"
    )
    return [Site(*row) for row in rows]


def project_sums(
    conn: Connection, project: str | None = None, account: Sequence[Accounted] | None = None
) -> list[ProjectSums]:
    """Return projects by id, or one. `account`: of these projects, if already read."""
    made: dict[str, list[Accounted]] = {}
    for part in accounted(conn, project) if account is None else account:
        made.setdefault(part.project, []).append(part)
    rows = conn.execute(
        "SELECT p.id, p.name, p.methodology, p.version, p.action, p.timezone, p.crediting_from,"
        " p.crediting_to, p.expected, held.sites, held.devices, now.counted, now.state,"
        " now.silent_since, now.missed_t, now.expected_to_date_t, now.today"
        " FROM project p JOIN v_project_state now ON now.project_id = p.id"
        " CROSS JOIN LATERAL (SELECT coalesce(array_agg(DISTINCT s.name), '{}') AS sites,"
        "   count(DISTINCT d.id) AS devices FROM project_device m"
        "   JOIN device d ON d.id = m.device_id JOIN site s ON s.id = d.site"
        "   WHERE m.project_id = p.id) held"
        " WHERE %(id)s::text IS NULL OR p.id = %(id)s ORDER BY p.id",
        {"id": project},
    )
    return [
        ProjectSums(*(*row[:9], tuple(row[9]), row[10], *_made(made.get(row[0], ())), *row[11:]))
        for row in rows
    ]


def _made(
    account: Sequence[Accounted],
) -> tuple[datetime | None, datetime | None, Decimal | None, Decimal | None]:
    """
    Return first and last day, reduction, and that of the last 30 days [ug CO2e].

    None without any.
    """
    return (
        min((part.begins for part in account), default=None),
        max((part.last_begins for part in account), default=None),
        added(part.reduction_ug for part in account),
        added(part.recent_ug for part in account),
    )


def account_days(conn: Connection, project: str, first: date, end: date) -> list[EmissionDay]:
    """Return a project's local days with stored emissions in [first, end)."""
    rows = conn.execute(
        "SELECT day, baseline_ug, project_ug, leakage_ug, reduction_ug FROM v_account_day"
        " WHERE project_id = %s AND day >= %s AND day < %s ORDER BY day",
        [project, first, end],
    )
    return [EmissionDay(day, *map(int, sums)) for day, *sums in rows]


class AccountSource(NamedTuple):
    """
    Part of a project's account, from a statement, the preliminary account, or intervals.

    `first`, `last`: days, both included.  `before_t`: reduction before deductions for missing
    evidence.
    `problem`: error that prevented the account.
    """

    source: str
    statement: str | None
    first: date
    last: date
    reduction_t: Decimal | None
    before_t: Decimal | None
    made: datetime | None
    problem: str | None

    @property
    def lacking_t(self) -> Decimal | None:
        """Return the reduction deducted for missing evidence; None for 0 or unknown. [t]"""
        if self.before_t is None or self.reduction_t is None:
            return None
        return self.before_t - self.reduction_t or None


def account_sources(conn: Connection, project: str) -> list[AccountSource]:
    """Return the sources of a project's account, newest first."""
    rows = conn.execute(
        "SELECT source, statement_id, first_day, last_day, reduction_t, before_t, made, problem"
        " FROM v_account_source WHERE project_id = %s ORDER BY first_day DESC, source",
        [project],
    )
    return [AccountSource(*row) for row in rows.fetchall()]


def account_quarters(
    conn: Connection, project: str, since: datetime, until: datetime
) -> list[tuple[datetime, int, int, int]]:
    """Return start, baseline, project emissions and reduction of a project's intervals. [ug]"""
    rows = conn.execute(
        "SELECT time, baseline_ug, project_ug, reduction_ug"
        " FROM tonne_account_quarters(%s, %s, %s) ORDER BY time",
        [project, since, until],
    )
    return [(time, *map(int, sums)) for time, *sums in rows]


def account_months(conn: Connection, project: str, year: int) -> list[int]:
    """Return the months of a year with an account, as numbers."""
    rows = conn.execute(
        "SELECT DISTINCT extract(month FROM day)::int FROM v_account_day WHERE project_id = %s"
        " AND day >= make_date(%s, 1, 1) AND day < make_date(%s + 1, 1, 1) ORDER BY 1",
        [project, year, year],
    )
    return [month for (month,) in rows]


def account_hours(
    conn: Connection, project: str, since: datetime, until: datetime
) -> list[tuple[datetime, Decimal]]:
    """Return a project's accounted tonnes by hour in [since, until). [tCO2e]"""
    rows = conn.execute(
        "SELECT date_trunc('hour', time), sum(reduction_ug) * 0.000000000001"
        " FROM tonne_account_quarters(%s, %s, %s) GROUP BY 1 ORDER BY 1",
        [project, since, until],
    )
    return rows.fetchall()


def expected_between(
    conn: Connection, project: str, edges: Sequence[datetime]
) -> list[Decimal | None]:
    """Return the expected tonnes between successive edges, up to now; None for 0 or unknown. [t]"""
    rows = conn.execute(
        "SELECT e.so_far FROM generate_series(1, %s) g"
        " LEFT JOIN tonne_expected_spans(%s, %s::timestamptz[]) e ON e.span = g ORDER BY g",
        [len(edges) - 1, project, list(edges)],
    )
    return [value or None for (value,) in rows]


def expected_by_sun(conn: Connection, project: str) -> bool:
    """Return whether a project's estimate is distributed over the months by solar irradiation."""
    query = "SELECT FROM v_project_months WHERE project_id = %s AND basis = 'sun'"
    return conn.execute(query, [project]).fetchone() is not None


def expected_days(
    conn: Connection, project: str, timezone: str, first: date, end: date
) -> dict[date, Decimal]:
    """Return the expected tonnes of each local day in [first, end), up to now. [t]"""
    rows = conn.execute(
        "SELECT %(first)s::date + span - 1, so_far FROM tonne_expected_spans(%(project)s,"
        " ARRAY(SELECT tonne_clock(%(zone)s, d) FROM generate_series(%(first)s::timestamp,"
        "   %(end)s::timestamp, INTERVAL '1 day') d ORDER BY d))",
        {"zone": timezone, "project": project, "first": first, "end": end},
    )
    return {day: value for day, value in rows if value}


def device_day(
    conn: Connection, project: str, device: str, since: datetime, until: datetime
) -> list[tuple[datetime, str, int, int, int, int, int | None]]:
    """
    Return a device's intervals that start in [since, until), with the project's reduction.
    Each row: start, quantity, value, measured, estimated and unknown time [us], reduction [ug CO2e]
    or None.
    """
    rows = conn.execute(
        "SELECT i.start, i.quantity, i.value, i.measured_us, i.estimated_us, i.unknown_us,"
        " e.reduction_ug FROM interval_quantity i"
        " LEFT JOIN interval_emission e ON e.device_id = i.device_id AND e.start = i.start"
        "   AND e.project_id = %(project)s"
        " WHERE i.device_id = %(device)s AND i.start >= %(since)s AND i.start < %(until)s"
        " AND i.measured_us + i.estimated_us + i.unknown_us > 0 ORDER BY i.start, i.quantity",
        {"project": project, "device": device, "since": since, "until": until},
    )
    return rows.fetchall()


def stations(
    conn: Connection, listed: Collection[str]
) -> list[tuple[str, str, str, str, datetime, float | None, str]]:
    """Return each station's newest values: device, site, zone, indicator, start, value, grade."""
    rows = conn.execute(
        "SELECT v.device_id, s.name, s.timezone, v.indicator, v.start, v.value,"
        " coalesce(v.grade, '') FROM (SELECT DISTINCT ON (device_id, indicator) *"
        "   FROM indicator_value WHERE value IS NOT NULL AND indicator = ANY(%s)"
        "   AND start > (SELECT max(start) - INTERVAL '3 days' FROM indicator_value)"
        "   ORDER BY device_id, indicator, start DESC) v"
        " JOIN device d ON d.id = v.device_id JOIN site s ON s.id = d.site"
        " ORDER BY v.device_id, v.indicator",
        [list(listed)],
    )
    return rows.fetchall()


@dataclass(frozen=True, slots=True)
class Newest:
    """
    Device with its newest value; `projects`: to which it is or was assigned.

    `at`: time of the reading.  `value`: in the unit of the channel.  None without data.
    """

    device: str
    site: str
    class_id: str
    state: str
    at: datetime | None
    timezone: str
    value: float | None
    projects: tuple[str, ...]


# devices without data first
_STATES = (
    "SELECT h.device_id, s.name, h.class, h.state, h.last_reading, s.timezone,"
    " coalesce(m.projects, '{}'), count(*) OVER ()"
    " FROM v_device_health h JOIN site s ON s.id = h.site"
    " LEFT JOIN (SELECT device_id, array_agg(project_id::text) AS projects"
    "   FROM project_device GROUP BY device_id) m ON m.device_id = h.device_id"
    " WHERE %(scope)s::text[] IS NULL OR m.projects && %(scope)s"
    " ORDER BY array_position(ARRAY['offline', 'late', 'online'], h.state), s.name, h.device_id"
    " LIMIT %(most)s"
)


def newest(
    conn: Connection,
    channels: Mapping[str, str],
    scope: Sequence[str] | None = None,
    maximum: int | None = None,
) -> tuple[list[Newest], int]:
    """
    Return devices with their newest values, those without data first, and their total number.

    `channels`: displayed channel by device class.
    `scope`: projects of the caller; None for all.
    `maximum`: maximum number of devices; all by default.
    """
    bounds = {"scope": None if scope is None else list(scope), "most": maximum}
    rows = conn.execute(_STATES, bounds).fetchall()
    classes: dict[str, list[str]] = {}
    for device, _, class_id, *_ in rows:
        classes.setdefault(class_id, []).append(device)
    values: dict[str, float] = {}
    for class_id, devices in classes.items():
        channel = channels[class_id]
        newest_values = conn.execute(
            f"SELECT d.id, r.{channel} FROM unnest(%s::text[]) d (id)"
            f" CROSS JOIN LATERAL (SELECT {channel} FROM reading_{class_id}"
            f" WHERE device_id = d.id ORDER BY time DESC LIMIT 1) r WHERE r.{channel} IS NOT NULL",
            [devices],
        )
        values.update((device, float(value)) for device, value in newest_values)
    return [
        Newest(device, site, class_id, state, at, zone, values.get(device), tuple(projects))
        for device, site, class_id, state, at, zone, projects, _ in rows
    ], rows[0][-1] if rows else 0


@dataclass(frozen=True, slots=True)
class SystemSums:
    """
    Numbers of a system's devices (all, expected to send data, sending data); its projects.

    `last`: time of the newest reading; None without data.  `projects`: id and name of each.
    """

    devices: int
    expected: int
    sending: int
    last: datetime | None
    timezone: str
    projects: tuple[tuple[str, str], ...]

    @property
    def state(self) -> str:
        """Return `all`, `some` or `none` of its devices sending data, or `new`."""
        return _reporting_state(self.expected, self.sending)


def system_sums(conn: Connection, projects: Sequence[ProjectSums]) -> dict[str, SystemSums]:
    """
    Return devices and projects of each system of the programme.

    A device belongs to the system in its attributes, else to that of its last project.
    """
    named = {project.id: project for project in projects}
    of = conn.execute("SELECT id, system FROM project WHERE system IS NOT NULL ORDER BY id")
    members: dict[str, list[ProjectSums]] = {}
    for id_, system in of:
        if id_ in named:
            members.setdefault(system, []).append(named[id_])
    rows = conn.execute(
        "SELECT system, count(*), count(*) FILTER (WHERE state <> 'not commissioned'),"
        " count(*) FILTER (WHERE state IN ('online', 'late')), max(last_reading),"
        " (array_agg(timezone ORDER BY last_reading DESC NULLS LAST, timezone))[1]"
        " FROM (SELECT coalesce(d.attributes ->> 'system', of.system) AS system, h.state,"
        "   h.last_reading, s.timezone"
        "   FROM device d JOIN v_device_health h ON h.device_id = d.id"
        "   JOIN site s ON s.id = d.site"
        "   LEFT JOIN (SELECT DISTINCT ON (m.device_id) m.device_id, p.system"
        "     FROM project_device m JOIN project p ON p.id = m.project_id"
        "     ORDER BY m.device_id, upper(m.during) DESC) of ON of.device_id = d.id) found"
        " WHERE system IS NOT NULL GROUP BY system"
    )
    sending = {system: row for system, *row in rows}
    system_sumses: dict[str, SystemSums] = {}
    for system in sending.keys() | members.keys():
        own = members.get(system, [])
        count, expected, lately, last, timezone = sending.get(system, (0, 0, 0, None, "UTC"))
        system_sumses[system] = SystemSums(
            count, expected, lately, last, timezone, tuple((sums.id, sums.name) for sums in own)
        )
    return system_sumses
