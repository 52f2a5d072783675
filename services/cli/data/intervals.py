"""`tonne intervals`: stored interval quantities and emissions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from services.cli.options.database_url import database_url
from services.cli.options.json_option import json_option
from services.cli.options.time_span import begin_option, end_option, span_us
from services.cli.output.amounts import shown_amount, shown_mass
from services.cli.output.table import table
from services.cli.output.times import shown_time
from services.store.postgres.pool import connect
from services.store.timeseries import queries as series


@click.command()
@click.option("--device", metavar="ID", help="Interval quantities of a device.")
@click.option("--project", metavar="ID", help="Emissions of a project, all devices together.")
@begin_option
@end_option
@json_option
def intervals(
    device: str | None, project: str | None, begin: str, end: str, *, as_json: bool
) -> None:
    """
    Print what is stored on the 15-minute grid, by start.

    A day is one of the site's zone, or of the project's, and the table's times are by the
    same clock. The table rounds to units that fit; JSON has exact whole Wh, m or mL of a
    device, micrograms of CO2e of a project, and times in UTC.

    \b
    Example:
      tonne intervals --device inv-001 --from 2026-01-01 --to 2026-01-02
      tonne intervals --project nck-pv --from 2026-01-01 --to 2026-01-02 --json
    """
    if (device is None) == (project is None):
        raise click.UsageError("give --device ID or --project ID, one of them")
    with connect(database_url(), role="tonne_mrv", name="tonne intervals", autocommit=True) as conn:
        if device is not None:
            zone = series.device_timezone(conn, device)
            rows = series.quantities(conn, device, *span_us(begin, end, zone))
        else:
            zone = series.project_timezone(conn, str(project))
            rows = series.emissions(conn, str(project), *span_us(begin, end, zone))
    if as_json:
        click.echo(json.dumps(rows))
        return
    shown = _of_device(rows, zone) if device is not None else _of_project(rows, zone)
    nothing = f"nothing is stored of {device or project} from {begin} to {end}"
    click.echo(table(*shown, empty=nothing))


def _of_device(rows: Sequence[dict[str, Any]], zone: str) -> tuple[list[str], list[list[str]]]:
    head = ["start", "quantity", "value", "quality", "measured"]
    cells = [
        [
            shown_time(r["start"], zone),
            r["quantity"],
            shown_amount(r["value"], r["unit"]),
            r["quality"],
            f"{r['measured_share'] * 100:.0f} %",
        ]
        for r in rows
    ]
    return head, cells


def _of_project(rows: Sequence[dict[str, Any]], zone: str) -> tuple[list[str], list[list[str]]]:
    sides = ("baseline", "project", "leakage", "reduction")
    return ["start", *sides], [
        [shown_time(r["start"], zone), *(shown_mass(r[f"{side}_ug"]) for side in sides)]
        for r in rows
    ]
