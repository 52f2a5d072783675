"""
A year of the programme's own projects: what they avoided, what was expected, what changed.

Tonnes come from the account's views, expectations from the one function that every surface
asks; a year is that of each project's own time zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from psycopg import Connection

_YEAR = (
    " CROSS JOIN LATERAL (SELECT tonne_clock(p.timezone, make_date(%(year)s, 1, 1)::timestamp) AS"
    " begins, tonne_clock(p.timezone, make_date(%(year)s + 1, 1, 1)::timestamp) AS ends) y"
)


@dataclass(frozen=True, slots=True)
class ProjectYear:
    """
    A project in a year. [t CO2e]

    Attributes
    ----------
    counted : bool
        Whether it belongs to the programme.
    avoided_t : Decimal, optional
        As accounted; None where nothing is.
    expected_t : Decimal, optional
        Of the year as far as it has come; None where the registry expects nothing.
    ahead_t : Decimal, optional
        Expected of what is left of the year.
    statements_t : Decimal, optional
        What of `avoided_t` statements say; None where none covers any of it.
    """

    project: str
    name: str
    system: str | None
    counted: bool
    avoided_t: Decimal | None
    expected_t: Decimal | None
    ahead_t: Decimal | None
    statements_t: Decimal | None

    @property
    def short_t(self) -> Decimal:
        """How much less was avoided than expected; zero where it was not less."""
        return max((self.expected_t or Decimal(0)) - (self.avoided_t or Decimal(0)), Decimal(0))

    @property
    def percent(self) -> int | None:
        """What was avoided of what was expected to date [%], rounded down; None where not known."""
        if self.avoided_t is None or not self.expected_t:
            return None
        return int(self.avoided_t / self.expected_t * 100)


@dataclass(frozen=True, slots=True)
class Change:
    """What is other than a day ago: days' tonnes of the counted projects, alarms, statements."""

    yesterday_t: Decimal | None
    day_before_t: Decimal | None
    raised: int
    cleared: int
    open: int
    issued: tuple[tuple[str, int], ...]


def years(conn: Connection) -> list[int]:
    """Return the years of which anything is accounted, and this one."""
    rows = conn.execute(
        "SELECT DISTINCT extract(year FROM day)::int FROM v_account_day"
        " UNION SELECT extract(year FROM now())::int ORDER BY 1"
    )
    return [year for (year,) in rows]


def project_years(conn: Connection, year: int) -> list[ProjectYear]:
    """Return every project's year."""
    rows = conn.execute(
        "SELECT p.id, p.name, p.system, EXISTS (SELECT FROM v_counted_project c"
        "   WHERE c.project_id = p.id), made.t, tonne_expected_t(p.id, y.begins, y.ends),"
        " tonne_expected_ahead_t(p.id, y.begins, y.ends), made.statements_t FROM project p"
        f"{_YEAR} LEFT JOIN (SELECT project_id, sum(reduction_ug) * 0.000000000001 AS t,"
        "   sum(reduction_ug) FILTER (WHERE statement_id IS NOT NULL) * 0.000000000001"
        "   AS statements_t FROM v_account_part"
        "   WHERE extract(year FROM day) = %(year)s GROUP BY 1) made ON made.project_id = p.id"
        " ORDER BY p.id",
        {"year": year},
    )
    return [ProjectYear(*row) for row in rows]


def estimates(conn: Connection, project: str | None = None) -> list[tuple[Any, ...]]:
    """Return project, methodology, version, expected kWh a year, and meters by role and power."""
    return conn.execute(
        "SELECT p.id, p.methodology, p.version, (p.expected ->> 'energy_kwh_per_year')::numeric,"
        " jsonb_agg(jsonb_build_array(m.role, d.class, d.rated_power_w)) FROM project p"
        " JOIN project_device m ON m.project_id = p.id AND m.during @> now()"
        " JOIN device d ON d.id = m.device_id"
        " WHERE p.expected ? 'energy_kwh_per_year' AND (%(of)s::text IS NULL OR p.id = %(of)s)"
        " GROUP BY p.id",
        {"of": project},
    ).fetchall()


def avoided_by_day(conn: Connection, year: int) -> list[tuple[str, date, Decimal]]:
    """Return project, local day and tonnes of a year, of which anything is accounted."""
    rows = conn.execute(
        "SELECT project_id, day, avoided_t FROM v_account_day"
        " WHERE day >= make_date(%(year)s, 1, 1) AND day < make_date(%(year)s + 1, 1, 1)"
        " ORDER BY day, project_id",
        {"year": year},
    )
    return rows.fetchall()


def expected_by_month(conn: Connection, year: int) -> list[Decimal | None]:
    """Return what is expected of the counted projects in each month, past and to come. [t]"""
    rows = conn.execute(
        "SELECT sum(coalesce(tonne_expected_t(p.project_id, tonne_clock(p.timezone, b.at),"
        "     tonne_clock(p.timezone, b.at + INTERVAL '1 month')), 0)"
        "   + coalesce(tonne_expected_ahead_t(p.project_id, tonne_clock(p.timezone, b.at),"
        "     tonne_clock(p.timezone, b.at + INTERVAL '1 month')), 0))"
        " FROM generate_series(make_date(%(year)s, 1, 1)::timestamp,"
        "   make_date(%(year)s, 12, 1)::timestamp, INTERVAL '1 month') b (at)"
        " CROSS JOIN v_counted_project p GROUP BY b.at ORDER BY b.at",
        {"year": year},
    )
    return [value for (value,) in rows]


def main_sites(conn: Connection) -> dict[str, str]:
    """Return the site of each project: where most of its devices are."""
    rows = conn.execute(
        "SELECT DISTINCT ON (m.project_id) m.project_id, d.site FROM project_device m"
        " JOIN device d ON d.id = m.device_id GROUP BY m.project_id, d.site"
        " ORDER BY m.project_id, count(DISTINCT d.id) DESC, d.site"
    )
    return dict(rows.fetchall())


@dataclass(frozen=True, slots=True)
class Part:
    """What of a year's account is of one source: projects, tonnes, and its first and last day."""

    source: str
    projects: int
    tonnes: Decimal | None
    first: date
    last: date


def parts(conn: Connection, year: int) -> list[Part]:
    """Return of what a year's account of the counted projects is made."""
    rows = conn.execute(
        "SELECT source, count(DISTINCT project_id), sum(reduction_ug) * 0.000000000001,"
        " min(day), max(day) FROM v_account_part JOIN v_counted_project USING (project_id)"
        " WHERE extract(year FROM day) = %s GROUP BY 1 ORDER BY 1",
        [year],
    )
    return [Part(*row) for row in rows.fetchall()]


def changes(conn: Connection) -> Change:
    """Return what is other than a day ago."""
    days = conn.execute(
        "SELECT sum(a.avoided_t) FILTER (WHERE a.day = tonne_clock(a.timezone, now())::date - 1),"
        " sum(a.avoided_t) FILTER (WHERE a.day = tonne_clock(a.timezone, now())::date - 2)"
        " FROM v_account_day a JOIN v_counted_project c USING (project_id)"
        " WHERE a.day >= tonne_clock(a.timezone, now())::date - 2"
    ).fetchone()
    alarms = conn.execute(
        "SELECT count(*) FILTER (WHERE raised > now() - INTERVAL '1 day'),"
        " count(*) FILTER (WHERE cleared > now() - INTERVAL '1 day'),"
        " count(*) FILTER (WHERE cleared IS NULL) FROM v_alarm"
    ).fetchone()
    issued = conn.execute(
        "SELECT s.id, s.credit_t FROM statement_event e JOIN statement s ON s.id = e.statement_id"
        " WHERE e.state = 'issued' AND e.at > now() - INTERVAL '1 day' ORDER BY e.at"
    ).fetchall()
    yesterday, before = days or (None, None)
    raised, cleared, open_ = alarms or (0, 0, 0)
    return Change(yesterday, before, raised, cleared, open_, tuple(issued))
