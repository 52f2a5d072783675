"""What the server must bring before a schema can be made in it."""

from __future__ import annotations

import re

import psycopg
from psycopg import Connection

from ingest.errors import InputError

POSTGRESQL = 16
TIMESCALEDB = (2, 15)
EXTENSIONS = ("timescaledb", "btree_gist")
INSTALL = "on Debian: apt-get install postgresql-17 postgresql-17-timescaledb"
PRELOAD = "set shared_preload_libraries = 'timescaledb' in postgresql.conf and restart the server"


class PrerequisiteError(InputError):
    """PostgreSQL or TimescaleDB is missing or too old; the message says what to install."""


def make_extensions(conn: Connection, where: str) -> None:
    """
    Make the extensions, after checking that they can be made.

    Parameters
    ----------
    conn : Connection
        In autocommit.
    where : str
        The database as messages name it.

    Raises
    ------
    PrerequisiteError
        With what was found and what to install.
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
    found = _versions(conn)
    check_versions(found, where)
    # Making the extension without its library would end the connection.
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


def check_versions(found: dict[str, str], where: str) -> None:
    """
    Refuse a server whose extensions are missing or too old.

    Parameters
    ----------
    found : dict
        Extension name to its version, installed or else available.

    Raises
    ------
    PrerequisiteError
        With what was found and what to install.
    """
    wanted = ".".join(map(str, TIMESCALEDB))
    for name in EXTENSIONS:
        if name not in found:
            raise PrerequisiteError(
                f"{where} has no {name} extension; tonne needs TimescaleDB {wanted} or newer "
                f"and btree_gist; {INSTALL}"
            )
    numbers = tuple(int(n) for n in re.findall(r"\d+", found["timescaledb"])[:2])
    if numbers < TIMESCALEDB:
        raise PrerequisiteError(
            f"{where} has TimescaleDB {found['timescaledb']}; tonne needs {wanted} or newer; "
            f"{INSTALL}, then ALTER EXTENSION timescaledb UPDATE"
        )


def _versions(conn: Connection) -> dict[str, str]:
    rows = conn.execute(
        "SELECT name, coalesce(installed_version, default_version) "
        "FROM pg_available_extensions WHERE name = ANY(%s)",
        [list(EXTENSIONS)],
    ).fetchall()
    return dict(rows)
