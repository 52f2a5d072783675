"""`tonne rebuild`: derived rows again from raw readings."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from ingest.errors import RegistryError
from services.cli.errors import Exit
from services.cli.options.database_url import database_url
from services.cli.options.time_span import span_us
from services.processing.rebuild import AT_ONCE
from services.processing.rebuild import rebuild as rebuild_devices
from services.settle import Plan
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.store.registry.factors import load_book

if TYPE_CHECKING:
    from services.processing.rebuild import Difference

_SHOWN = 20


@click.command()
@click.option("--from", "begin", required=True, metavar="T", help="Begin, with.")
@click.option("--to", "end", required=True, metavar="T", help="End, without.")
@click.option("--device", metavar="ID", help="Only this device.")
@click.option("--check", is_flag=True, help="Only compare; ends with 1 where rows differ.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rebuild(begin: str, end: str, device: str | None, *, check: bool, as_json: bool) -> None:
    """
    Compute intervals and emissions again from raw readings, and replace what differs.

    T is RFC 3339 with its offset, or a UTC date. Each device's whole history is
    metered from nothing; rows that start in [from, to) are compared.

    \b
    Example:
      tonne rebuild --from 2026-01-01 --to 2026-02-01 --check
      tonne rebuild --from 2026-01-01 --to 2026-02-01 --device inv-001
    """
    span = span_us(begin, end, "UTC")
    url = database_url()
    with connect(url, role="tonne_ingest", name="tonne rebuild", autocommit=True) as conn:
        plan = Plan.of(registry.load_fleet(conn), registry.load_projects(conn), load_book(conn))
        members = _members(plan, device)
        found: list[Difference] = []
        with click.progressbar(
            range(0, len(members), AT_ONCE),
            label="devices",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as parts:
            for k in parts:
                found += rebuild_devices(
                    conn, plan, members[k : k + AT_ONCE], *span, replace=not check
                )
    _show(found, len(members), check=check, as_json=as_json)
    if check and found:
        click.get_current_context().exit(Exit.FALSE)


def _members(plan: Plan, device: str | None) -> list[int]:
    if device is None:
        return list(range(len(plan.fleet)))
    if device not in plan.fleet.by_id:
        raise RegistryError(
            f"device {device!r} is not registered; `tonne registry export` lists what is"
        )
    return [plan.fleet.by_id[device]]


def _show(found: list[Difference], devices: int, *, check: bool, as_json: bool) -> None:
    if as_json:
        document = {
            "devices": devices,
            "replaced": bool(found) and not check,
            "differences": [one._asdict() for one in found],
        }
        click.echo(json.dumps(document, indent=2))
        return
    for one in found[:_SHOWN]:
        was = "nothing" if one.stored is None else one.stored
        now = "nothing" if one.computed is None else one.computed
        click.echo(f"{one.table} {' '.join(one.key)}: stored {was}, readings give {now}")
    if len(found) > _SHOWN:
        click.echo(f"and {len(found) - _SHOWN} more; --json lists all")
    done = "differ" if check else "replaced"
    click.echo(f"{devices} devices, {len(found)} rows {done}")
