"""
Connections to the database.

One function, so that a wrong URL, a server that is down and a database without
the schema all read the same, whichever command met them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import Connection

from ingest.addresses import parts_of
from ingest.errors import ServerError

CONNECT_TIMEOUT_S = 10


def connect(
    url: str,
    *,
    role: str | None = None,
    name: str = "tonne",
    autocommit: bool = False,
    limits: Sequence[str] = (),
) -> Connection:
    """
    Open a connection whose session time zone is UTC.

    Parameters
    ----------
    url : str
        `postgresql://user@host:port/database`.
    role : str, optional
        Group role to work as (`tonne_ingest`, `tonne_mrv`, ..): a login that
        may do more still does no more than its process needs.
    name : str
        What `pg_stat_activity` shows.
    limits : sequence of str
        Server settings of the connection, such as `statement_timeout=5min`, whatever the
        login or the database has.

    Raises
    ------
    ServerError
        When the server cannot be reached or refuses the login or role.
    """
    try:
        return psycopg.connect(url, autocommit=autocommit, **session_settings(role, name, limits))
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise ServerError(
            f"database {without_login(url)} cannot be used: {reason}; "
            "check TONNE_DATABASE_URL, start a local server with `tonne local up`, "
            "and make the schema with `tonne migrate`"
        ) from error


def session_settings(role: str | None, name: str, limits: Sequence[str] = ()) -> dict[str, Any]:
    """
    Return the settings of each connection: UTC, a role, a visible name.

    Just-in-time compilation is off: it takes up to a second for a view over hypertables whose rows
    take a tenth of that.
    """
    settings = ["timezone=UTC", "jit=off", *([f"role={role}"] if role else []), *limits]
    options = " ".join(f"-c {setting}" for setting in settings)
    return {"application_name": name, "options": options, "connect_timeout": CONNECT_TIMEOUT_S}


def without_login(url: str) -> str:
    """Return the URL as it may be printed: hosts, ports and database, no login."""
    try:
        parts = parts_of(url)
    except ValueError:
        return "URL"
    path = parts.rest.partition("?")[0].partition("#")[0]
    return f"{','.join(parts.hosts) or 'local socket'}{path}"
