"""
The account, calculated again in plain Python from the rows of the tables.

It uses no view and no sum of the database, so that each displayed figure is compared with an
independent one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import psycopg

from services.store.postgres.pool import exact

UG = Decimal(10) ** -12
_ON_THE_WAY = ("draft", "submitted", "under_verification", "verified")
YEAR_S = 365 * 86_400


class Emission(NamedTuple):
    """A stored 15-minute interval of a device in a project. [ug CO2e]"""

    project: str
    device: str
    start: datetime
    baseline: int
    emitted: int
    leakage: int
    reduction: int


class Amount(NamedTuple):
    """A stored 15-minute interval of a device's quantity. [base units]"""

    device: str
    quantity: str
    start: datetime
    value: int
    measured_us: int


class Part(NamedTuple):
    """A local day of a time that was accounted as a whole, with its statement if it has one."""

    span: int
    statement: str | None
    project: str
    day: date
    begin: datetime
    end: datetime
    baseline: int
    emitted: int
    leakage: int
    reduction: int


@dataclass
class Account:
    """All data with which a displayed figure is compared, as of `now`."""

    now: datetime
    emissions: list[Emission]
    amounts: list[Amount]
    projects: dict[str, dict[str, Any]]
    devices: dict[str, dict[str, Any]]
    members: dict[str, list[tuple[str, str, datetime, datetime]]]
    actions: list[str]
    statements: list[dict[str, Any]]
    states: dict[str, tuple[str, datetime | None]]
    alarms: list[tuple[str, str, str]]
    suns: dict[str, list[tuple[datetime, float | None, float | None, float | None]]]
    parts: list[Part]
    before: dict[int, Decimal]  # by span
    days: dict[str, dict[date, list[Emission]]] = field(default_factory=dict)
    accounted: dict[str, dict[date, list[Any]]] = field(default_factory=dict)
    kept: dict[tuple[Any, ...], Any] = field(default_factory=dict)  # what is asked for again

    def __post_init__(self) -> None:
        """Sort the rows into local days."""
        for project in self.projects:
            self.days[project] = defaultdict(list)
        for row in self.emissions:
            self.days[row.project][self.local(row.start, row.project)].append(row)
        self._account()
        self.amount_days: dict[tuple[str, str], dict[date, list[Amount]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for one in self.amounts:
            zone = self.devices[one.device]["zone"]
            day = one.start.astimezone(zone).date()
            self.amount_days[one.device, one.quantity][day].append(one)

    def _account(self) -> None:
        """
        Return the account of each day: of statements, of open time without
        one, else of intervals.
        """
        counting = [s for s in self.statements if s["state"] in {"issued", *_ON_THE_WAY}]
        accounting = {
            one["id"]
            for one in counting
            if one["state"] == "issued"
            or not any(
                o["project"] == one["project"] and o["from"] < one["to"] and one["from"] < o["to"]
                and (o["state"] == "issued" or o["created"] > one["created"])
                for o in counting if o is not one
            )
        }  # fmt: skip
        closed = [p for p in self.parts if p.statement in accounting]
        free = [
            p for p in self.parts
            if p.statement is None and not any(
                c.project == p.project and c.begin < p.end and p.begin < c.end for c in closed
            )
        ]  # fmt: skip
        for project, days in self.days.items():
            found = self.accounted[project] = defaultdict(list)
            for part in [p for p in (*closed, *free) if p.project == project]:
                found[part.day].append(part)
            whole = set(found)  # the city's statements begin and end at midnight
            for day in days.keys() - whole:
                found[day] = days[day]

    def source(self, statement: str | None) -> str:
        """Return the name of a part of an account, by its statement."""
        state = next((s["state"] for s in self.statements if s["id"] == statement), None)
        if state is not None:
            return "issued" if state == "issued" else "closed"
        return "open" if statement is None else statement

    def local(self, at: datetime, project: str) -> date:
        """Return the local day of a project."""
        return at.astimezone(self.projects[project]["zone"]).date()

    def counted(self) -> list[str]:
        """Return the projects of the programme's actions; all if there is no programme."""
        if not self.actions:
            return sorted(self.projects)
        return [p for p in sorted(self.projects) if any(self.belongs(p, a) for a in self.actions)]

    def belongs(self, project: str, action: str) -> bool:
        """Return whether a project's action is this one or a part of it."""
        own = self.projects[project]["action"] or ""
        return own == action or own.startswith(action + "-")

    def serving(self, devices: Iterable[str]) -> list[str]:
        """Return the projects to which some of these devices are or were assigned."""
        wanted = set(devices)
        return [p for p, of in self.members.items() if wanted & {one[0] for one in of}]

    def of_class(self, *classes: str) -> list[str]:
        """Return the devices of these classes."""
        return [d for d, one in self.devices.items() if one["class"] in classes]

    def tonnes(
        self, projects: Iterable[str], days: Callable[[str, date], bool], side: str = "reduction"
    ) -> Decimal | None:
        """Return the tonnes of whole projects over local days; None without rows."""
        found = [
            getattr(row, side)
            for project in projects
            for day, rows in self.accounted[project].items()
            if days(project, day)
            for row in rows
        ]
        return sum(found) * UG if found else None

    def within(self, since: datetime, until: datetime) -> Callable[[str, date], bool]:
        """Return the local days of a project whose midnight lies within a span."""
        return lambda project, day: since <= midnight(day, self.projects[project]["zone"]) <= until

    def today(self, project: str) -> date:
        """Return the current day in a project's time zone."""
        return self.local(self.now, project)

    def energy(
        self, devices: Iterable[str], quantity: str, days: Callable[[str, date], bool]
    ) -> int | None:
        """
        Return the quantity of devices over local days of their sites, in base units; None without
        rows.
        """
        found = [
            row.value
            for device in devices
            for day, rows in self.amount_days[device, quantity].items()
            if days(device, day)
            for row in rows
        ]
        return sum(found) if found else None

    def device_days(self, since: datetime, until: datetime) -> Callable[[str, date], bool]:
        """Return the local days of a device's site whose midnight lies within a span."""
        return lambda device, day: since <= midnight(day, self.devices[device]["zone"]) <= until

    def expected(
        self, project: str, begin: datetime | None = None, end: datetime | None = None
    ) -> Decimal | None:
        """Return the expected reduction of a project, in whole grams. [t]"""
        one = self.projects[project]
        if one["yearly"] is None or not self.members.get(project):
            return None
        since = max(one["from"], self.begins(project), begin or one["from"])
        quarter = self.now.replace(minute=self.now.minute // 15 * 15, second=0, microsecond=0)
        until = min(one["to"], quarter, end or one["to"])
        seconds = Fraction(max(0, (until - since) // timedelta(microseconds=1)), 10**6)
        micro = int(Fraction(str(one["yearly"])) * seconds / YEAR_S * 10**6)
        return Decimal(micro) / 10**6

    def begins(self, project: str) -> datetime:
        """Return when the first device is bound, installed and commissioned."""
        times = []
        for device, _, bound, *_ in self.members[project]:
            about = self.devices[device]
            dated = [bound, about["installed"]]
            if about["commissioned"] is not None:
                dated.append(midnight(about["commissioned"], self.projects[project]["zone"]))
            times.append(max(time for time in dated if time is not None))
        return min(times)

    def silent(self) -> list[str]:
        """Return the devices that are expected to report and do not."""
        return [d for d, (state, _) in self.states.items() if state in {"late", "offline"}]

    def usual_ug(self, project: str, device: str, last: datetime) -> Fraction | None:
        """Return the mean reduction of the four weeks before a device stopped sending. [ug/d]"""
        key = "usual_ug", project, device, last
        if key not in self.kept:
            self.kept[key] = self._usual_ug(project, device, last)
        return self.kept[key]

    def _usual_ug(self, project: str, device: str, last: datetime) -> Fraction | None:
        end = self.local(last, project)
        sums: dict[date, int] = defaultdict(int)
        for day, rows in self.days[project].items():
            if end - timedelta(days=28) <= day < end:
                for row in rows:
                    if row.device == device:
                        sums[day] += row.reduction
        return Fraction(sum(sums.values()), len(sums)) if sums else None


def kwh(wh: int | None) -> Decimal | None:
    """Return whole Wh as kWh."""
    return None if wh is None else Decimal(wh) / 1000


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a local day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def read(conn: psycopg.Connection[Any]) -> Account:
    """Return all data, as seen by the transaction."""
    (now,) = conn.execute("SELECT now()").fetchone() or ()
    zones = dict(conn.execute("SELECT id, timezone FROM site").fetchall())
    devices = {
        name: {"site": site, "class": class_id, "rated": rated, "gateway": gateway, "dc": dc,
               "gamma": gamma,
               "zone": ZoneInfo(zones[site]), "commissioned": commissioned,
               "installed": installed}
        for name, site, class_id, rated, gateway, commissioned, installed, dc, gamma in conn.execute(
            "SELECT id, site, class, rated_power_w, gateway, commissioned, installed, (SELECT a.dc_power_w FROM device_array a"
            "   WHERE a.device_id = device.id), (SELECT a.temperature_coefficient_percent"
            " FROM device_array a WHERE a.device_id = device.id) FROM device"
        )
    }  # fmt: skip
    projects = {
        name: {"zone": ZoneInfo(zone), "action": action, "from": begin, "to": end, "name": title,
               "yearly": (expected or {}).get("reduction_t_per_year"), "system": system,
               "methodology": method, "version": version, "parameters": exact(parameters)}
        for name, zone, action, begin, end, expected, title, system, method, version, parameters
        in conn.execute(
            "SELECT id, timezone, action, lower(crediting), upper(crediting), expected, name, system,"
            " methodology, version, parameters::text FROM project"
        )
    }  # fmt: skip
    members = defaultdict(list)
    for project, *one in conn.execute(
        "SELECT project_id, device_id, role, lower(during), upper(during) FROM project_device"
    ):
        members[project].append(tuple(one))
    return Account(
        now.astimezone(UTC),
        [Emission._make(row) for row in conn.execute(
            "SELECT project_id, device_id, start, baseline_ug, project_ug, leakage_ug, reduction_ug"
            " FROM interval_emission").fetchall()],
        [Amount._make(row) for row in conn.execute(
            "SELECT device_id, quantity, start, value, measured_us FROM interval_quantity"
        ).fetchall()],
        projects,
        devices,
        dict(members),
        [row[0] for row in conn.execute("SELECT id FROM programme_action ORDER BY position")],
        [{"id": name, "project": project, "credit_t": credit, "document": document, "state": state,
          "from": begin, "to": end, "created": created}
         for name, project, credit, document, state, begin, end, created in conn.execute(
            "SELECT s.id, s.project_id, s.credit_t, s.document, (SELECT e.state FROM statement_event e"
            " WHERE e.statement_id = s.id ORDER BY e.sequence DESC LIMIT 1), lower(s.period),"
            " upper(s.period), s.created FROM statement s")],
        {row[0]: (row[1], row[2]) for row in conn.execute(
            "SELECT device_id, state, last_reading FROM v_device_health")},
        conn.execute("SELECT kind, subject, part FROM v_alarm WHERE cleared IS NULL").fetchall(),
        _suns(conn),
        [Part._make(row) for row in conn.execute(
            "SELECT a.id, a.statement_id, d.project_id, d.day, d.begins, d.ends, d.baseline_ug,"
            " d.project_ug, d.leakage_ug, d.reduction_ug FROM account_span_day d"
            " JOIN account_span a ON a.id = d.span_id").fetchall()],
        {name: ug * UG for name, ug in conn.execute(
            "SELECT id, before_evidence_ug FROM account_span"
            " WHERE before_evidence_ug IS NOT NULL").fetchall()},
    )  # fmt: skip


def _suns(conn: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    """Return time, irradiance, module temperature and power of each inverter, in order of time."""
    found = defaultdict(list)
    for device, *row in conn.execute(
        "SELECT device_id, time, irradiance_w_m2, module_temperature_c, active_power_w"
        " FROM reading_pv_inverter ORDER BY device_id, time"
    ).fetchall():
        found[device].append(tuple(row))
    return found


Figures = dict[Any, Any]
Meaning = Callable[[Account, datetime, datetime], Any]
