"""Database connections with uniform errors; conversion of values to and from PostgreSQL's text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import psycopg
from psycopg import Connection
from psycopg.types.json import Jsonb

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

    `url`: `postgresql://user@host:port/database`.
    `role`: group role of the session (`tonne_ingest`, `tonne_mrv`, ..), which limits the login's
    rights.
    `name`: name shown in `pg_stat_activity`.
    `limits`: server settings of the connection, such as `statement_timeout=5min`.
    Raises ServerError if the server cannot be reached, or rejects the login or role.
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
    Return the arguments of `psycopg.connect` for time zone UTC, role, name and planner.

    Just-in-time compilation is off, as it takes up to a second for views over hypertables.  Plans
    of the role `tonne_mrv` are made for the given devices: a generic plan, which PostgreSQL uses
    from the sixth execution on, reads whole tables.  The cost of a random page is set for
    solid-state disks.
    """
    settings = ["timezone=UTC", "jit=off", "random_page_cost=1.1"]
    if role == "tonne_mrv":
        settings.append("plan_cache_mode=force_custom_plan")
    settings += [*([f"role={role}"] if role else []), *limits]
    options = " ".join(f"-c {setting}" for setting in settings)
    return {"application_name": name, "options": options, "connect_timeout": CONNECT_TIMEOUT_S}


def without_login(url: str) -> str:
    """Return hosts, ports and database of a URL, without login, for messages."""
    try:
        parts = parts_of(url)
    except ValueError:
        return "URL"
    path = parts.rest.partition("?")[0].partition("#")[0]
    return f"{','.join(parts.hosts) or 'local socket'}{path}"


# a time later than all others; its negative is earlier than all others
FAR_US = 2**62
_BEYOND = 2**61


def stamp(us: int) -> str:
    """Return a time as text that PostgreSQL reads exactly; `infinity` beyond its range."""
    if abs(us) >= _BEYOND:
        return "infinity" if us > 0 else "-infinity"
    text = np.datetime_as_string(np.datetime64(us, "us"), timezone="UTC")
    return str(text)


def us_of(text: str) -> int:
    """Return the time in a text written by `stamp`. [us UTC]"""
    if text.endswith("infinity"):
        return -FAR_US if text.startswith("-") else FAR_US
    return int(np.datetime64(text.removesuffix("Z"), "us").astype(np.int64))


def of_numbers(numbers: Iterable[int]) -> str:
    """Return integers as PostgreSQL array text."""
    return "{" + ",".join(map(str, numbers)) + "}"


def of_ids(ids: Iterable[str]) -> str:
    """Return registry ids, which contain no quotes, as PostgreSQL array text."""
    text = '","'.join(ids)
    return '{"' + text + '"}' if text else "{}"


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def exact(text: str) -> Any:
    """Return the value of JSON text as given by PostgreSQL (`column::text`)."""
    return json.loads(text, parse_float=Decimal, parse_int=_whole)


def jsonb(value: Any) -> Jsonb:
    """Return a value wrapped as a jsonb parameter."""
    return Jsonb(value, dumps=_ENCODER.encode)


def _whole(text: str) -> int | Decimal:
    """
    Return the number in a text as int.

    Beyond 64 bits as Decimal, since the encoder has no longer int.
    """
    number = int(text)
    return number if -(2**63) < number < 2**63 else Decimal(text)
