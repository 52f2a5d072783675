"""
The schema: numbered SQL files, each applied once, in order, whole or not at all.

A file that was applied is history: its checksum is kept, and a file that has
changed since is refused, because no one could say what the database holds.
Two that migrate at once wait for each other.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import psycopg

from ingest.errors import InputError
from services.store.postgres import columnstore
from services.store.postgres.pool import connect, shown
from services.store.postgres.prerequisites import make_extensions

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from psycopg import Connection
    from psycopg.rows import TupleRow

LOCK = 0x746F6E6E65  # "tonne"
FILE_NAME = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")


class SchemaError(InputError):
    """The schema in the database and the one in this version do not fit together."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A numbered SQL file."""

    version: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Checksum by which a changed file is found."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Report:
    """What `migrate` did: files applied now, the version reached, notes for the operator."""

    applied: tuple[str, ...]
    version: int
    notes: tuple[str, ...]


def load(folder: Traversable | None = None) -> list[Migration]:
    """
    Read the migrations of a folder, this version's by default.

    Raises
    ------
    SchemaError
        When a name is not `NNNN_name.sql` or a number comes twice.
    """
    folder = folder or resources.files("services.store") / "migrations"
    found = []
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        match = FILE_NAME.match(file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
        elif file.name.endswith(".sql"):
            raise SchemaError(f"migration {file.name!r} is not named NNNN_name.sql; rename it")
    versions = [m.version for m in found]
    if len(set(versions)) < len(versions):
        raise SchemaError(f"migrations are numbered {versions}; give each a number of its own")
    return found


def migrate(url: str, migrations: list[Migration] | None = None) -> Report:
    """
    Bring the schema of a database to this version.

    Parameters
    ----------
    url : str
        Database; the login must be allowed to create extensions and roles.
    migrations : list of Migration, optional
        This version's by default.

    Raises
    ------
    PrerequisiteError
        When PostgreSQL or TimescaleDB is missing or too old.
    SchemaError
        When an applied file has changed or the database is newer than we are.
    ServerError
        When the database cannot be reached.
    """
    migrations = load() if migrations is None else migrations
    with connect(url, autocommit=True, name="tonne migrate") as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        make_extensions(conn, shown(url))
        _make_history(conn)
        done = _history(conn)
        _check_history(migrations, done)
        pending = [m for m in migrations if m.version not in done]
        for migration in pending:
            _apply(conn, migration)
        notes = (columnstore.switch_on(conn),)
    return Report(tuple(_label(m) for m in pending), migrations[-1].version, notes)


def version_of(conn: Connection[TupleRow]) -> int:
    """Return the version of a database's schema."""
    row = conn.execute("SELECT max(version) FROM schema_migration").fetchone()
    return 0 if row is None else int(row[0] or 0)


def _label(migration: Migration) -> str:
    return f"{migration.version:04d}_{migration.name}"


def _make_history(conn: Connection[TupleRow]) -> None:
    """Make the table of applied files, if this is the first time."""
    if conn.execute("SELECT to_regclass('public.schema_migration')").fetchone() != (None,):
        return
    conn.execute(
        "CREATE TABLE schema_migration (version integer PRIMARY KEY, name text NOT NULL, "
        "sha256 text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"
    )
    conn.execute("GRANT SELECT ON schema_migration TO PUBLIC")


def _history(conn: Connection[TupleRow]) -> dict[int, tuple[str, str]]:
    rows = conn.execute("SELECT version, name, sha256 FROM schema_migration").fetchall()
    return {version: (name, sha256) for version, name, sha256 in rows}


def _check_history(migrations: list[Migration], done: dict[int, tuple[str, str]]) -> None:
    known = {m.version: m for m in migrations}
    for version, (name, sha256) in sorted(done.items()):
        ours = known.get(version)
        if ours is None:
            raise SchemaError(
                f"the database holds migration {version:04d}_{name}, which this version of tonne "
                "does not know; use the version that made it, or a newer one"
            )
        if ours.sha256 != sha256:
            raise SchemaError(
                f"migration {_label(ours)} was changed after it was applied "
                f"(applied {sha256[:12]}, now {ours.sha256[:12]}); restore the file and put the "
                "change into a new migration"
            )


def _apply(conn: Connection[TupleRow], migration: Migration) -> None:
    try:
        with conn.transaction():
            conn.execute(migration.text.encode())
            conn.execute("RESET ROLE")
            conn.execute(
                "INSERT INTO schema_migration (version, name, sha256) VALUES (%s, %s, %s)",
                [migration.version, migration.name, migration.sha256],
            )
    except psycopg.Error as error:
        reason = str(error).splitlines()[0]
        raise SchemaError(
            f"migration {_label(migration)} failed and was rolled back: {reason}; "
            "migrate as the owner of the database or a superuser"
        ) from error
