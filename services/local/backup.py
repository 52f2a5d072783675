"""
Backup of an installation in one file: rows of the database, keys, identities, settings.

Rows are copied as text, table by table in one snapshot, and restored into a database created by
`tonne migrate`, possibly of another version.  Stream offsets and sessions are not included.
"""

from __future__ import annotations

import json
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from psycopg import Connection, errors, sql

from ingest.errors import InputError
from services.store.postgres import migrate
from services.store.postgres.pool import connect

_MANIFEST, _TABLES, _HOME, _DOTENV = "manifest.json", "tables/", "home/", "settings.env"
_FORM = 1
# tables of the servers, which are not included
_LEFT = {"schema_migration", "stream_offset", "stream_source", "api_session"}
# data of servers, and files that they write again
_SERVERS = {"postgres", "kafka", "grafana", "prometheus"}
_WRITTEN = {"lock", "local.json", "postgres.password"}
_CHUNK = 1 << 20
_COLUMNS = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
  AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY 1 ORDER BY 1
"""
_SEQUENCES = """
SELECT s.relname, t.relname, a.attname FROM pg_class s
JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i')
JOIN pg_class t ON t.oid = d.refobjid
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND s.relnamespace = 'public'::regnamespace ORDER BY 1
"""


class Contents(NamedTuple):
    """Contents of a backup: number of rows, of tables with rows, and of files."""

    rows: int
    tables: int
    files: int


def write(url: str, home: Path, file: Path, dotenv: Path | None = None) -> Contents:
    """
    Write a backup and return its numbers; only its owner may read the file, as it contains keys.

    Raises InputError if the file exists already, or the database is of another release.
    """
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InputError(f"{file} already exists; name a new file") from None
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}; name another file") from None
    try:
        with os.fdopen(handle, "wb") as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as box:
            return _write(url, home, box, dotenv)
    except BaseException:
        file.unlink(missing_ok=True)  # an incomplete backup is deleted
        raise


def _write(url: str, home: Path, box: zipfile.ZipFile, dotenv: Path | None) -> Contents:
    counts: dict[str, int] = {}
    columns: dict[str, list[str]] = {}
    with connect(url, name="tonne backup") as conn:
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _require_schema(conn)
        for table, names in conn.execute(_COLUMNS).fetchall():
            if table in _LEFT:
                continue
            columns[table], counts[table] = names, _out(conn, box, table, names)
        version = migrate.version_of(conn)
    files = [path for path in sorted(home.rglob("*")) if path.is_file() and _is_kept(path, home)]
    for file in files:
        box.write(file, _HOME + file.relative_to(home).as_posix())
    if dotenv is not None and dotenv.is_file():
        box.write(dotenv, _DOTENV)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = {"form": _FORM, "made": made, "schema": version, "columns": columns, "rows": counts}
    box.writestr(_MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))
    return Contents(sum(counts.values()), sum(n > 0 for n in counts.values()), len(files))


def _out(conn: Connection, box: zipfile.ZipFile, table: str, names: list[str]) -> int:
    """Write a table to the backup; return its number of rows."""
    # a SELECT reads the chunks of a hypertable, which COPY of the table does not
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(_listed(names), _named(table))
    with box.open(f"{_TABLES}{table}", "w", force_zip64=True) as out, conn.cursor() as cursor:
        with cursor.copy(query) as copy:
            for part in copy:
                out.write(part)
        return cursor.rowcount


def _is_kept(file: Path, home: Path) -> bool:
    parts = file.relative_to(home).parts
    if parts[0] in _SERVERS or parts[0] in _WRITTEN or parts[-1].endswith((".pid", ".port")):
        return False
    return not parts[-1].endswith((".log", ".out", ".db"))


def restore(url: str, home: Path, file: Path, dotenv: Path | None = None) -> Contents:
    """
    Restore a backup into an unused, migrated database and a folder; return its numbers.

    Raises InputError if the file is not a backup, of another release, or database or folder are in
    use.
    """
    try:
        with zipfile.ZipFile(file) as box:
            manifest = json.loads(box.read(_MANIFEST))
            if manifest.get("form") != _FORM:
                raise InputError(
                    f"{file} has another format; restore it with the release that wrote it"
                )
            return _restore(url, home, box, manifest, dotenv)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise InputError(
            f"{file} is not a backup of tonne, or is cut short: {error}; name another backup"
        ) from None


def _restore(
    url: str, home: Path, box: zipfile.ZipFile, manifest: dict[str, Any], dotenv: Path | None
) -> Contents:
    files = _checked(box, home)
    with connect(url, name="tonne restore") as conn:
        _require_schema(conn)
        if (version := migrate.version_of(conn)) != manifest["schema"]:
            raise InputError(
                f"the backup is of schema {manifest['schema']}, the database of {version}; restore"
                " it with the release that made it, then run `tonne migrate`"
            )
        _require_unused(conn)
        # without triggers, so that restored rows cause no events
        try:
            conn.execute("SET LOCAL session_replication_role = replica")
        except errors.InsufficientPrivilege as error:
            raise InputError(
                "the login has no right to write to append-only tables; restore as a superuser, or "
                "have a superuser GRANT SET ON PARAMETER session_replication_role to it"
            ) from error
        for table, names in manifest["columns"].items():
            _in(conn, box, table, names)
            row_count = _count(conn, table)
            if row_count != manifest["rows"][table]:
                raise InputError(
                    f"{table}: {manifest['rows'][table]} rows were saved, {row_count} restored; "
                    "restore into an empty database again"
                )
        for sequence, table, column in conn.execute(_SEQUENCES).fetchall():
            query = sql.SQL(
                "SELECT setval({}, greatest(max({c}), 1), max({c}) IS NOT NULL) FROM {t}"
            )
            of = sql.Literal(f"public.{sequence}")
            conn.execute(query.format(of, c=sql.Identifier(column), t=_named(table)))
    for name in files:
        _unpack(box, name, home / name.removeprefix(_HOME))
    if dotenv is not None and _DOTENV in box.namelist() and not dotenv.exists():
        _unpack(box, _DOTENV, dotenv)
    rows: dict[str, int] = manifest["rows"]
    return Contents(sum(rows.values()), sum(n > 0 for n in rows.values()), len(files))


def _checked(box: zipfile.ZipFile, home: Path) -> list[str]:
    """Return the names of files in a backup; refuse paths outside `home`, and existing keys."""
    files = [name for name in box.namelist() if name.startswith(_HOME)]
    for name in files:
        where = (home / name.removeprefix(_HOME)).resolve()
        if not where.is_relative_to(home.resolve()):
            raise InputError(
                f"{name} is outside of {home}, which no backup of tonne has; use another backup"
            )
        if where.exists() and name.startswith(f"{_HOME}keys/"):
            raise InputError(f"{where} already exists; restore into a TONNE_HOME without keys")
    return files


def _in(conn: Connection, box: zipfile.ZipFile, table: str, names: list[str]) -> None:
    # rows written by migrations are in the backup too
    conn.execute(sql.SQL("DELETE FROM {}").format(_named(table)))
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(_named(table), _listed(names))
    with (
        box.open(f"{_TABLES}{table}") as source,
        conn.cursor() as cursor,
        cursor.copy(query) as copy,
    ):
        while part := source.read(_CHUNK):
            copy.write(part)


def _unpack(box: zipfile.ZipFile, name: str, where: Path) -> None:
    where.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(box.read(name))


def _require_schema(conn: Connection) -> None:
    row = conn.execute("SELECT to_regclass('public.schema_migration') IS NULL").fetchone()
    lacks = "the database is empty" if row == (True,) else migrate.pending_work(conn)
    if lacks:
        raise InputError(f"{lacks}; run `tonne migrate`")


def _require_unused(conn: Connection) -> None:
    """Refuse a database with sites, devices, projects, log entries, statements or keys."""
    for table in ("site", "device", "project", "log_entry", "statement", "enrolled_key"):
        if _count(conn, table):
            raise InputError(
                f"the database has rows of `{table}`; restore into one that is new and migrated"
            )


def _count(conn: Connection, table: str) -> int:
    row = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(_named(table))).fetchone()
    return 0 if row is None else int(row[0])


def _named(table: str) -> sql.Identifier:
    return sql.Identifier("public", table)


def _listed(names: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
