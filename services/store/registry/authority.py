"""Rows of authorities' and registries' data, and submissions as filed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from psycopg import Connection, Cursor

from mrv.exports.aef import digest, tables
from mrv.exports.entered import Submission
from mrv.exports.source import Draft
from services.registry.authority import TYPES, document, entered_records
from services.registry.entries import Entered, Registry
from services.store.postgres.values import jsonb


@dataclass(frozen=True, slots=True)
class Issued:
    """Issued and valid statement with its whole tonnes by vintage. [t]"""

    name: str
    vintages: Mapping[int, int]

    def vintage(self, year: int) -> int | None:
        """Return the whole tonnes credited for a vintage; None without any. [t]"""
        return self.vintages.get(year)


def issued(conn: Connection) -> list[Issued]:
    """Return every issued and valid statement."""
    rows = conn.execute(
        "SELECT s.id, s.document #> '{credentialSubject,credited,vintages}'"
        " FROM claim c JOIN statement s ON s.id = c.statement_id ORDER BY s.id"
    )
    return [
        Issued(name, {int(v["year"]): int(v["credited_t"]) for v in vintages or ()})
        for name, vintages in rows
    ]


def load(conn: Connection) -> list[Entered]:
    """Return the last row of each entry, by kind and name."""
    rows = conn.execute(
        "SELECT DISTINCT ON (kind, id) kind, id, record FROM authority_entry"
        " ORDER BY kind, id, sequence DESC"
    )
    return [
        Entered(kind, name, msgspec.convert(record, TYPES[kind])) for kind, name, record in rows
    ]


def write(cur: Cursor, changed: Sequence[Entered], merged: Registry, author: str) -> None:
    """Insert rows; store the tables of submissions that they mark as filed."""
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
