"""
The programme's two accounts: the city's modelled one, and the projects' measured one.

The city's has targets and reported values, the projects' monitored reductions and issued credits.
No query adds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from psycopg import Connection

from mrv.countries import country_at
from mrv.registry.article6_transfer import TransferClass
from services.store.postgres.values import exact


@dataclass(frozen=True, slots=True)
class ActionYear:
    """
    Figures of an action in a year: the city's account, then the projects'. [t CO2e]

    `part_of`: the action that includes these figures; None values are unknown.
    """

    action: str
    name: str
    part_of: str | None
    target_t: Decimal | None
    target_year: int | None
    city_reported_t: Decimal | None
    projects: int
    expected_t: Decimal | None
    monitored_t: Decimal | None
    issued_t: Decimal | None


@dataclass(frozen=True, slots=True)
class ProjectCredits:
    """A project's issued whole tonnes of all vintages, and its class for transfers abroad."""

    project: str
    action: str | None
    issued_t: int
    transfer: TransferClass
    country: str | None


def name_of(conn: Connection) -> str | None:
    """Return the programme's name, if one is registered."""
    row = conn.execute("SELECT name FROM programme").fetchone()
    return None if row is None else str(row[0])


def issue_signatures(conn: Connection) -> int:
    """Return the number of operators that have to approve an issue; 1 by default."""
    row = conn.execute("SELECT issue_signatures FROM programme").fetchone()
    return 1 if row is None or row[0] is None else int(row[0])


def public_url(conn: Connection) -> str | None:
    """Return the public address of the API; None where the registry has none."""
    row = conn.execute("SELECT public_url FROM programme").fetchone()
    return None if row is None else row[0]


def last_year(conn: Connection) -> int | None:
    """Return the last year with figures in either account."""
    row = conn.execute("SELECT max(year) FROM v_programme_year").fetchone()
    return None if row is None or row[0] is None else int(row[0])


def actions(conn: Connection, year: int | None) -> list[ActionYear]:
    """Return all actions in the programme's order, with their figures of a year."""
    rows = conn.execute(
        "SELECT p.action, p.name, p.part_of, p.target_t_per_year, p.target_year,"
        " y.city_reported_t, p.projects, p.expected_t_per_year, y.monitored_t, y.issued_t"
        " FROM v_programme_progress p"
        " JOIN programme_action a ON a.id = p.action"
        " LEFT JOIN v_programme_year y ON y.action = p.action AND y.year = %s"
        " ORDER BY a.position",
        [year],
    )
    return [ActionYear(*row) for row in rows]


def credits_of(conn: Connection) -> list[ProjectCredits]:
    """Return all projects with their issued and valid tonnes, without superseded ones."""
    rows = conn.execute(
        "SELECT p.id, p.action, coalesce(sum(s.credit_t), 0)::bigint, p.transfer::text,"
        " p.country, p.timezone"
        " FROM project p"
        " LEFT JOIN claim c ON c.project_id = p.id"
        " LEFT JOIN statement s ON s.id = c.statement_id"
        " GROUP BY p.id ORDER BY p.id"
    )
    return [
        ProjectCredits(
            project,
            action,
            issued,
            TransferClass(**exact(content)) if content else TransferClass(),
            country_at(country, timezone),
        )
        for project, action, issued, content, country, timezone in rows
    ]
