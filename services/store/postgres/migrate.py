"""
Schema migrations: numbered SQL files, each applied once, in order, in one transaction.

The checksum of an applied file is stored, and a file that has changed since is an error.  Parallel
migrations wait for each other.

Files up to 0100 are the schema of version 0.1.0, one file per area; 0101 contains the changes of
0.2.0, and later changes follow from 0102 on.  Version 0.1.0 created its schema by 51 other files:
in a database with all of these, the files up to 0100 are recorded as applied.  Tables of readings
are created from the device classes, after the files up to 0100.

All parts of the schema belong to `tonne_owner`, except the function that deletes old dead letters,
which belongs to `tonne_retention`.  After `pg_restore --no-owner` they belong to the restoring
login, often a superuser, with whose rights the functions would run; migrations restore the owners.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

import psycopg
from psycopg import Connection

from ingest import classes
from ingest.errors import InputError, ServerError
from services.store.postgres import columnstore
from services.store.postgres.pool import connect, without_login

OWNER = "tonne_owner"
# functions owned by another role, the only one with the right to delete
_FUNCTION_OWNERS = {"tonne_expire_dead_letters(timestamp with time zone,text)": "tonne_retention"}
# parts of the schema with a given owner, except the table of migrations
_PARTS = """
    WITH part AS (
        SELECT 'pg_class'::regclass AS kind, oid, relowner AS owner, oid::regclass::text AS name,
               'TABLE' AS what FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
          AND relname <> 'schema_migration'
        UNION ALL
        SELECT 'pg_proc'::regclass, oid, proowner, oid::regprocedure::text, 'ROUTINE' FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
        UNION ALL
        SELECT 'pg_type'::regclass, oid, typowner, oid::regtype::text, 'TYPE' FROM pg_type
        WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e')
    )
    SELECT what, name FROM part WHERE owner = %s::regrole
      AND NOT EXISTS (  -- an extension's, or a sequence that goes with its column
        SELECT FROM pg_depend d WHERE d.classid = part.kind AND d.objid = part.oid
          AND (d.deptype = 'e' OR d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
               AND part.kind = 'pg_class'::regclass))
    ORDER BY kind, oid"""
_USERS = re.compile(r"GRANT USAGE(?:, CREATE)? ON SCHEMA public TO ([\w, ]+);")
_LACKING = """
    SELECT name FROM unnest(%s::text[]) name WHERE NOT EXISTS (
        SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
        WHERE n.nspname = 'public' AND a.grantee = to_regrole(name))
    ORDER BY name"""


def without_rights(conn: Connection, applied: Iterable[str]) -> list[str]:
    """
    Return roles that lack rights of the applied migrations, as after restoring a dump without
    privileges.  Only the rights on the schema are checked, which are lost together with the others.
    """
    names = {name for text in applied for some in _USERS.findall(text) for name in some.split(", ")}
    return [name for (name,) in conn.execute(_LACKING, [sorted(names)])]


def give_back(conn: Connection) -> str:
    """Restore the owners of a restored dump's parts; return a note on the former owner, or ''."""
    row = conn.execute(
        "SELECT relowner::regrole::text FROM pg_class WHERE oid = to_regclass('public.device')"
    ).fetchone()
    if row is None or row[0] == OWNER:
        return ""
    parts = conn.execute(_PARTS, row).fetchall()
    # without superuser rights, a function can only be given to a role that may create functions
    conn.execute("GRANT CREATE ON SCHEMA public TO tonne_retention")
    for what, name in parts:
        conn.execute(f"ALTER {what} {name} OWNER TO {_FUNCTION_OWNERS.get(name, OWNER)}".encode())
    conn.execute("REVOKE CREATE ON SCHEMA public FROM tonne_retention")
    return f"{len(parts)} tables, views, types and functions belonged to {row[0]}: given to {OWNER}"


POSTGRESQL = 16
TIMESCALEDB = (2, 15)
EXTENSIONS = ("timescaledb", "btree_gist")
INSTALL = "on Debian: apt-get install postgresql-17 postgresql-17-timescaledb"
PRELOAD = "set shared_preload_libraries = 'timescaledb' in postgresql.conf and restart the server"


class PrerequisiteError(InputError):
    """PostgreSQL or TimescaleDB is missing or too old; the message has the remedy."""


def make_extensions(conn: Connection, where: str) -> None:
    """
    Create the required extensions, after checking that the server has them.

    `conn`: connection in autocommit.
    `where`: the database's name in messages.
    Raises PrerequisiteError with the versions found and what to install.
    """
    major = conn.info.server_version // 10_000
    if major < POSTGRESQL:
        raise PrerequisiteError(
            f"{where} is PostgreSQL {major}; tonne needs {POSTGRESQL} or newer; {INSTALL}"
        )
    if conn.execute("SHOW transaction_read_only").fetchone() == ("on",):
        raise PrerequisiteError(
            f"{where} is read-only for this login: a standby, or default_transaction_read_only is"
            " on; name the server that writes in TONNE_DATABASE_URL, or switch that off"
        )
    if (encoding := conn.info.parameter_status("server_encoding")) != "UTF8":
        raise PrerequisiteError(
            f"{where} has the encoding {encoding}; tonne needs UTF8: create a new database with"
            " createdb --encoding UTF8 --template template0"
        )
    versions = _versions(conn)
    check_versions(versions, where)
    # creating the extension without its library would end the connection
    if conn.execute("SELECT current_setting('timescaledb.disable_load', true)").fetchone() in (
        None,
        (None,),
    ):
        raise PrerequisiteError(f"{where} did not load TimescaleDB at its start; {PRELOAD}")
    for name in EXTENSIONS:
        try:
            conn.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
        except psycopg.Error as error:
            raise PrerequisiteError(
                f"extension {name} cannot be made in {where}: {error}; "
                f"as a superuser of that database run: CREATE EXTENSION {name}"
            ) from error


def check_versions(versions: dict[str, str], where: str) -> None:
    """
    Reject a server whose extensions are missing or too old.

    `versions`: extension name to its version, installed or else available.
    `where`: the database's name in messages.
    Raises PrerequisiteError with the versions found and what to install.
    """
    wanted = ".".join(map(str, TIMESCALEDB))
    for name in EXTENSIONS:
        if name not in versions:
            raise PrerequisiteError(
                f"{where} has no {name} extension; tonne needs TimescaleDB {wanted} or newer "
                f"and btree_gist; {INSTALL}"
            )
    numbers = tuple(int(n) for n in re.findall(r"\d+", versions["timescaledb"])[:2])
    if numbers < TIMESCALEDB:
        raise PrerequisiteError(
            f"{where} has TimescaleDB {versions['timescaledb']}; tonne needs {wanted} or newer; "
            f"{INSTALL}, then ALTER EXTENSION timescaledb UPDATE"
        )


def _versions(conn: Connection) -> dict[str, str]:
    rows = conn.execute(
        "SELECT name, coalesce(installed_version, default_version) "
        "FROM pg_available_extensions WHERE name = ANY(%s)",
        [list(EXTENSIONS)],
    ).fetchall()
    return dict(rows)


LOCK = 0x746F6E6E65  # "tonne"
FILE_NAME = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
BASE = 100  # files up to this number create the schema of 0.1.0
# checksums in 0.1.0's history: of its first file, and of all 51 as lines "NNNN_name sha256"
FIRST_OF_0_1_0 = "2ed7ba382e10152e411ff5a702e920098d6af19608ffbd22a2b5276e5a5ba66e"
ALL_OF_0_1_0 = "851b7b8bc967b0490f0e35a5a5af3322c8b220be98581460401cd238ebb481e5"


class SchemaError(InputError):
    """The database's schema and this version do not match."""


@dataclass(frozen=True, slots=True)
class Migration:
    """Numbered SQL file of the schema."""

    version: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Return the file's checksum, to detect later changes."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Report:
    """Result of `migrate`: files applied now, the version reached, notes for the operator."""

    applied: tuple[str, ...]
    version: int
    notes: tuple[str, ...]


def load(folder: Traversable | None = None) -> list[Migration]:
    """
    Return the migrations in a folder, by default those of this version.

    Raises SchemaError when a name is not `NNNN_name.sql` or a number occurs twice.
    """
    folder = folder or resources.files("services.store") / "migrations"
    migrations = []
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        match = FILE_NAME.match(file.name)
        if match:
            migrations.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
        elif file.name.endswith(".sql"):
            raise SchemaError(f"migration {file.name!r} is not named NNNN_name.sql; rename it")
    versions = [m.version for m in migrations]
    if len(set(versions)) < len(versions):
        raise SchemaError(f"migrations are numbered {versions}; use a different number for each")
    return migrations


def migrate(url: str, migrations: list[Migration] | None = None) -> Report:
    """
    Update the schema of a database to this version; return what was done.

    `url`: database; the login must be allowed to create extensions and roles.
    `migrations`: this version's by default.
    Raises PrerequisiteError when PostgreSQL or TimescaleDB is missing or too old.
    Raises SchemaError when an applied file has changed, or the database is newer than this version
    or older than 0.1.0.
    Raises ServerError when the database cannot be reached.
    """
    migrations = load() if migrations is None else migrations
    with connect(url, autocommit=True, name="tonne migrate") as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        make_extensions(conn, without_login(url))
        _make_history(conn)
        _adopt_0_1_0(conn, migrations)
        done = _history(conn)
        _check_history(migrations, done)
        _check_rights(conn, [m.text for m in migrations if m.version in done])
        with _transaction(conn, "giving tables to their owner"):
            given = give_back(conn)
        pending = [m for m in migrations if m.version not in done]
        _apply_all(conn, [m for m in pending if m.version <= BASE])
        with _transaction(conn, "creating the tables of readings"):
            tables = columnstore.make(conn, classes.load())
        _apply_all(conn, [m for m in pending if m.version > BASE])
        notes = [columnstore.switch_on(conn)]
    if given:
        notes.append(given)
    if tables and done:
        notes.append(f"tables created or extended for device classes: {', '.join(tables)}")
    return Report(tuple(_label(m) for m in pending), migrations[-1].version, tuple(notes))


def pending_work(conn: Connection) -> str:
    """Return the pending work of `tonne migrate` as text; empty if there is none."""
    versions, wanted = version_of(conn), load()[-1].version
    if versions != wanted:
        return f"the schema is of version {versions}, this version of tonne needs {wanted}"
    lacking = columnstore.lacking(conn)
    return f"the schema lacks {', '.join(lacking)} of the device classes" if lacking else ""


def version_of(conn: Connection) -> int:
    """Return the schema version of a database."""
    row = conn.execute("SELECT max(version) FROM schema_migration").fetchone()
    return 0 if row is None else int(row[0] or 0)


def _label(migration: Migration) -> str:
    return f"{migration.version:04d}_{migration.name}"


def _make_history(conn: Connection) -> None:
    """Create the table of applied files if it is missing."""
    if conn.execute("SELECT to_regclass('public.schema_migration')").fetchone() != (None,):
        return
    conn.execute(
        "CREATE TABLE schema_migration (version integer PRIMARY KEY, name text NOT NULL, "
        "sha256 text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"
    )
    conn.execute("GRANT SELECT ON schema_migration TO PUBLIC")


def _history(conn: Connection) -> dict[int, tuple[str, str]]:
    rows = conn.execute("SELECT version, name, sha256 FROM schema_migration").fetchall()
    return {version: (name, sha256) for version, name, sha256 in rows}


def _adopt_0_1_0(conn: Connection, migrations: list[Migration]) -> None:
    """Record the files up to `BASE` as applied to a database created by 0.1.0."""
    done = _history(conn)
    if done.get(1) != ("roles", FIRST_OF_0_1_0):
        return
    lines = [f"{version:04d}_{name} {sha256}\n" for version, (name, sha256) in sorted(done.items())]
    if hashlib.sha256("".join(lines).encode()).hexdigest() != ALL_OF_0_1_0:
        newest = max(done)
        raise SchemaError(
            "the database is of tonne 0.1.0 or older, and lacks some of its migrations (newest: "
            f"{newest:04d}_{done[newest][0]}); run `tonne migrate` of version "
            "0.1.0 on it first, then this one"
        )
    with conn.transaction():
        conn.execute("DELETE FROM schema_migration")
        for migration in migrations:
            if migration.version <= BASE:
                _note(conn, migration)


def _check_history(migrations: list[Migration], done: dict[int, tuple[str, str]]) -> None:
    known = {m.version: m for m in migrations}
    for version, (name, sha256) in sorted(done.items()):
        ours = known.get(version)
        if ours is None:
            raise SchemaError(
                f"the database has migration {version:04d}_{name}, which this version of tonne "
                "does not know; use the version that made it, or a newer one"
            )
        if ours.sha256 != sha256:
            raise SchemaError(
                f"migration {_label(ours)} was changed after it was applied "
                f"(applied {sha256[:12]}, now {ours.sha256[:12]}); restore the file and put the "
                "change into a new migration"
            )


def _check_rights(conn: Connection, applied: list[str]) -> None:
    """Reject a database that was restored without its roles' rights."""
    if lacking := without_rights(conn, applied):
        raise SchemaError(
            f"{', '.join(lacking)}: the privileges of these roles were lost when the database was "
            "restored, because the roles were missing or privileges were excluded (--no-acl); "
            "create them (`tonne migrate` on an empty database of this server does), and restore "
            "again"
        )


def _apply_all(conn: Connection, migrations: list[Migration]) -> None:
    for migration in migrations:
        _apply(conn, migration)


def _apply(conn: Connection, migration: Migration) -> None:
    with _transaction(conn, f"migration {_label(migration)}"):
        conn.execute(migration.text.encode())
        conn.execute("RESET ROLE")
        _note(conn, migration)


@contextmanager
def _transaction(conn: Connection, task: str) -> Iterator[None]:
    """
    Context of one transaction, which is rolled back on an error of the database.

    Raises ServerError if the connection was lost, else SchemaError; both name the task.
    """
    try:
        with conn.transaction():
            yield
    except psycopg.Error as error:
        reason = str(error).splitlines()[0]
        if conn.closed:
            raise ServerError(
                f"the connection to the database was lost during {task}; none of its changes was"
                f" applied: {reason}; run `tonne migrate` again"
            ) from error
        raise SchemaError(
            f"{task} failed and was rolled back: {reason}; "
            "migrate as the owner of the database or a superuser"
        ) from error


def _note(conn: Connection, migration: Migration) -> None:
    conn.execute(
        "INSERT INTO schema_migration (version, name, sha256) VALUES (%s, %s, %s)",
        [migration.version, migration.name, migration.sha256],
    )
