"""`tonne intervals`: stored interval quantities and emissions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from services.cli.options.database_url import database_url
from services.cli.options.time_span import span_us
from services.store.postgres.pool import connect
from services.store.timeseries import queries as series

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.option("--device", metavar="ID", help="Interval quantities of a device.")
@click.option("--project", metavar="ID", help="Emissions of a project, all devices together.")
@click.option("--from", "begin", required=True, metavar="T", help="Begin, with.")
@click.option("--to", "end", required=True, metavar="T", help="End, without.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def intervals(
    device: str | None, project: str | None, begin: str, end: str, *, as_json: bool
) -> None:
    """
    Print what is stored on the 15-minute grid, by start.

    T is RFC 3339 with its offset, or a local date of the site. A device's
    values are whole Wh, m or mL; a project's are micrograms of CO2e.

    \b
    Example:
      tonne intervals --device inv-001 --from 2026-01-01 --to 2026-01-02
      tonne intervals --project nck-pv --from 2026-01-01 --to 2026-01-02 --json
    """
    if (device is None) == (project is None):
        raise click.UsageError("give --device ID or --project ID, one of them")
    with connect(database_url(), role="tonne_mrv", name="tonne intervals", autocommit=True) as conn:
        if device is not None:
            span = span_us(begin, end, series.device_timezone(conn, device))
            rows = series.quantities(conn, device, *span)
        else:
            span = span_us(begin, end, series.project_timezone(conn, str(project)))
            rows = series.emissions(conn, str(project), *span)
    click.echo(json.dumps(rows) if as_json else table(rows))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as aligned text, the keys of the first as its head."""
    if not rows:
        return "nothing is stored there"
    cells = [list(rows[0]), *([str(v) for v in row.values()] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
