"""Options that the commands of `tonne deadletter` share, and what they select."""

from __future__ import annotations

from collections.abc import Sequence

import click
from psycopg import Connection

from ingest.errors import InputError
from services.cli.options.json_option import json_option as json_
from services.cli.options.time_span import maybe_begin_option as begin_
from services.cli.options.time_span import maybe_end_option as end_
from services.cli.options.time_span import maybe_span
from services.nearest import did_you_mean
from services.store.messages.dead_letter_query import Filter
from services.store.messages.reasons import REASONS
from services.store.registry.known import names

__all__ = ["NAME", "begin_", "device_", "end_", "json_", "principal_", "reason_", "selected"]

NAME = "tonne deadletter"

reason_ = click.option("--reason", help="Only this reason; docs/devices.md lists them.")
device_ = click.option("--device", metavar="ID", help="Only this device.")
principal_ = click.option(
    "--principal", metavar="ID", help="Only of who sent it, also before a device is known."
)


def selected(
    conn: Connection,
    reason: str | None,
    device: str | None,
    begin: str | None,
    end: str | None,
    ids: Sequence[int] | None = None,
    *,
    waiting: bool = False,
    principal: str | None = None,
) -> Filter:
    """
    Return which dead letters are asked for; received in [begin, end).

    Raises
    ------
    InputError
        For a reason that nothing is refused for, and for a device that is neither
        registered nor named by any dead letter.
    PeriodError
        As `services.cli.options.time_span.maybe_span` raises.
    """
    if reason is not None and reason not in REASONS:
        _known(reason, "reason", {*REASONS, *_distinct(conn, "reason")})
    registered = set(names(conn, "device"))
    if device is not None and device not in registered:
        _known(device, "device", registered | _distinct(conn, "device_id"))
    if principal is not None and principal not in registered:
        _known(principal, "principal", registered | _distinct(conn, "principal"))
    zone_of = next((one for one in (device, principal) if one in registered), None)
    span = maybe_span(conn, begin, end, zone_of)
    return Filter(ids, reason, device, *span, waiting=waiting, principal=principal)


def _distinct(conn: Connection, column: str) -> set[str]:
    query = {
        "reason": "SELECT DISTINCT reason FROM dead_letter",
        "principal": "SELECT DISTINCT principal FROM dead_letter",
        "device_id": "SELECT DISTINCT device_id FROM dead_letter WHERE device_id IS NOT NULL",
    }[column]
    return {str(row[0]) for row in conn.execute(query)}


def _known(name: str, kind: str, known: set[str]) -> None:
    if name not in known:
        near = did_you_mean(name, known) or "`tonne deadletter count` lists those there are"
        raise InputError(f"no {kind} {name!r} is known; {near}")
