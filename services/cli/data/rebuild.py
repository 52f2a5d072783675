"""`tonne rebuild`: derived rows calculated again from raw readings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import click

from ingest.heap import keep_freed
from services.cli.errors import Exit
from services.cli.options.common import json_option
from services.cli.options.servers import database_url
from services.cli.options.time_span import begin_option, end_option, span_us
from services.cli.output.progress import bar
from services.cli.output.text import counted, time_text
from services.processing.rebuild import AT_ONCE, Difference
from services.processing.rebuild import rebuild as rebuild_devices
from services.settle import Plan
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.store.registry.factors import load_book
from services.store.registry.known import require

_SHOWN = 20


@click.command()
@begin_option
@end_option
@click.option("--device", metavar="ID", help="Only this device.")
@click.option("--check", is_flag=True, help="Only compare; exit code 1 if rows differ.")
@json_option
def rebuild(begin: str, end: str, device: str | None, *, check: bool, as_json: bool) -> None:
    """
    Recalculate intervals and emissions from raw readings, and replace rows that differ.

    A day is one of each device's own zone. Each device's whole history is metered
    from nothing; rows that start in [from, to) are compared.

    \b
    Example:
      tonne rebuild --from 2026-01-01 --to 2026-02-01 --check
      tonne rebuild --from 2026-01-01 --to 2026-02-01 --device inv-001
    """
    span_us(begin, end, "UTC")  # what is no span is said before any work
    keep_freed()
    url = database_url()
    with connect(url, role="tonne_ingest", name="tonne rebuild", autocommit=True) as conn:
        require(conn, "device", device)
        plan = Plan.of(registry.load_fleet(conn), registry.load_projects(conn), load_book(conn))
        members = _members(plan, device)
        found: list[Difference] = []
        with bar("devices", len(members)) as progress:
            for zone, some in _by_zone(plan, members):
                span = span_us(begin, end, zone)
                found += rebuild_devices(conn, plan, some, *span, replace=not check)
                progress.advance(len(some))
    zones = {plan.fleet.devices[k].id: plan.fleet.devices[k].timezone for k in members}
    _show(found, zones, check=check, as_json=as_json)
    if check and found:
        click.get_current_context().exit(Exit.FALSE)


def _by_zone(plan: Plan, members: list[int]) -> Iterator[tuple[str, list[int]]]:
    """Devices of one time zone, as many as are done at once."""
    zones: dict[str, list[int]] = {}
    for member in members:
        zones.setdefault(plan.fleet.devices[member].timezone, []).append(member)
    for zone, found in zones.items():
        for k in range(0, len(found), AT_ONCE):
            yield zone, found[k : k + AT_ONCE]


def _members(plan: Plan, device: str | None) -> list[int]:
    if device is None:
        return list(range(len(plan.fleet)))
    return [plan.fleet.by_id[device]]


def _show(
    differences: list[Difference], zones: Mapping[str, str], *, check: bool, as_json: bool
) -> None:
    if as_json:
        document = {
            "devices": len(zones),
            "replaced": bool(differences) and not check,
            "differences": [difference._asdict() for difference in differences],
        }
        click.echo(json.dumps(document, indent=2))
        return
    for difference in differences[:_SHOWN]:
        was = "nothing" if difference.stored is None else difference.stored
        now = "nothing" if difference.computed is None else difference.computed
        click.echo(
            f"{difference.table} {_row(difference, zones)}: stored {was}, readings give {now}"
        )
    if len(differences) > _SHOWN:
        click.echo(f"and {len(differences) - _SHOWN} more; --json lists all")
    verb = "differs" if len(differences) == 1 else "differ"
    done = verb if check else "replaced"
    click.echo(f"{counted(len(zones), 'device')}, {counted(len(differences), 'row')} {done}")


def _row(difference: Difference, zones: Mapping[str, str]) -> str:
    """Which row it is, its time by the clock of the device's site."""
    at = time_text(difference.time, zones[difference.device])
    return " ".join(at if word == difference.time else word for word in difference.key)
