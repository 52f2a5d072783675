"""
The programme's accounts; entries of authorities and carbon registries, and filed submissions.

The city's account has targets and reported values; the projects' account has monitored reductions
and issued credits.  No query adds the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from psycopg import Connection, Cursor

from mrv.countries import country_at
from mrv.exports import Draft
from mrv.exports.aef import digest, tables
from mrv.exports.entered import Submission
from mrv.registry.programme_systems import TransferClass
from services.registry.authority import TYPES, document, entered_records
from services.registry.entries import Entered, Registry
from services.store.postgres.pool import exact, jsonb


@dataclass(frozen=True, slots=True)
class ActionYear:
    """
    Figures of an action in a year, by the city's account and by the projects'. [t CO2e]
    `part_of`: action that includes these figures.  None: unknown.
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
    """A project's issued whole tonnes of all vintages; its class for international transfers."""

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
    """Return the public address of the API; None if not registered."""
    row = conn.execute("SELECT public_url FROM programme").fetchone()
    return None if row is None else row[0]


def last_year(conn: Connection) -> int | None:
    """Return the last year with figures in either account; None without figures."""
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


@dataclass(frozen=True, slots=True)
class Issued:
    """Issued and valid statement with its whole tonnes by vintage. [t]"""

    name: str
    vintages: Mapping[int, int]

    def vintage(self, year: int) -> int | None:
        """Return the whole tonnes credited for a vintage; None without any. [t]"""
        return self.vintages.get(year)


def issued(conn: Connection) -> list[Issued]:
    """Return all issued and valid statements."""
    rows = conn.execute(
        "SELECT s.id, s.document #> '{credentialSubject,credited,vintages}'"
        " FROM claim c JOIN statement s ON s.id = c.statement_id ORDER BY s.id"
    )
    return [
        Issued(name, {int(v["year"]): int(v["credited_t"]) for v in vintages or ()})
        for name, vintages in rows
    ]


def load_entered(conn: Connection) -> list[Entered]:
    """Return the current entries of authorities, by kind and name."""
    rows = conn.execute(
        "SELECT DISTINCT ON (kind, id) kind, id, record FROM authority_entry"
        " ORDER BY kind, id, sequence DESC"
    )
    return [
        Entered(kind, name, msgspec.convert(record, TYPES[kind])) for kind, name, record in rows
    ]


def write(cur: Cursor, changed: Sequence[Entered], merged: Registry, author: str) -> None:
    """Insert entries of authorities, and the tables of submissions marked as filed."""
    cur.executemany(
        "INSERT INTO authority_entry (kind, id, record, author) VALUES (%s, %s, %s, %s)",
        [(entry.kind, entry.id, jsonb(_plain(entry)), author) for entry in changed],
    )
    for entered in changed:
        record = entered.record
        if isinstance(record, Submission) and record.filed is not None:
            made = tables(entered_records(merged), record)
            cur.execute(
                "INSERT INTO filed_submission (party, year, version, sha256, tables, author)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [
                    record.party,
                    record.year,
                    record.version,
                    digest(made),
                    jsonb(made.tables),
                    author,
                ],
            )


def filed(conn: Connection, party: str, year: int, version: int) -> Draft | None:
    """Return the tables of a submission as filed; None if it is not filed."""
    row = conn.execute(
        "SELECT tables FROM filed_submission WHERE party = %s AND year = %s AND version = %s",
        [party, year, version],
    ).fetchone()
    return None if row is None else Draft(row[0])


def _plain(entered: Entered) -> dict[str, Any]:
    return dict(msgspec.to_builtins(document(entered)))
