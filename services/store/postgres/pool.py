"""
Database connections, with uniform errors for a wrong URL, an unreachable server or a missing
schema.
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
    Return an open connection whose session time zone is UTC.

    Parameters
    ----------
    url : str
        `postgresql://user@host:port/database`.
    role : str, optional
        Group role to work as (`tonne_ingest`, `tonne_mrv`, ..), to limit a more powerful login.
    name : str
        Name shown in `pg_stat_activity`.
    limits : sequence of str
        Server settings of the connection, such as `statement_timeout=5min`.

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
    Return the settings of each connection: UTC, a role, a name.

    Just-in-time compilation is off, as it takes up to a second for views over hypertables.
    Statements of the role `tonne_mrv` name many devices; from the sixth execution on, PostgreSQL
    would use a plan for any devices, which reads whole tables.  A random page costs hardly more
    than the next one on solid-state disks.
    """
    settings = ["timezone=UTC", "jit=off", "random_page_cost=1.1"]
    if role == "tonne_mrv":
        settings.append("plan_cache_mode=force_custom_plan")
    settings += [*([f"role={role}"] if role else []), *limits]
    options = " ".join(f"-c {setting}" for setting in settings)
    return {"application_name": name, "options": options, "connect_timeout": CONNECT_TIMEOUT_S}


def without_login(url: str) -> str:
    """Return the URL for printing: hosts, ports and database, no login."""
    try:
        parts = parts_of(url)
    except ValueError:
        return "URL"
    path = parts.rest.partition("?")[0].partition("#")[0]
    return f"{','.join(parts.hosts) or 'local socket'}{path}"
