"""`tonne indicators`: stored hours and days of air, noise and wastewater stations."""

from __future__ import annotations

import json
from typing import Any

import click

from mrv.environment.kinds import KINDS
from services.cli.options.choice import Choice
from services.cli.options.database_url import database_url
from services.cli.options.time_span import begin_option, end_option, span_us
from services.cli.output.table import table
from services.cli.output.times import shown_time
from services.store.postgres.pool import connect
from services.store.timeseries import queries as series

_HEAD = ("start", "device", "period", "indicator", "value", "unit", "covered", "grade")


@click.command()
@click.option("--device", metavar="ID", help="Values of a station.")
@click.option("--site", metavar="ID", help="Values of all stations of a site.")
@begin_option
@end_option
@click.option("--period", type=Choice(["hour", "day"]), help="Only hours, or only days.")
@click.option(
    "--name",
    type=Choice([k.name for k in KINDS]),
    metavar="NAME",
    help="Only this value, such as vn-aqi-hourly.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, details with it.")
def indicators(
    device: str | None,
    site: str | None,
    begin: str,
    end: str,
    period: str | None,
    name: str | None,
    *,
    as_json: bool,
) -> None:
    """
    Print stored values of stations: hourly and daily, by the clock of their site.

    A day is one of the site's zone. An hour or a day of which less than three
    quarters were measured has no value. None is carbon.

    \b
    Example:
      tonne indicators --device air-1 --from 2026-01-01 --to 2026-01-02
      tonne indicators --site port --from 2026-01-01 --to 2026-02-01 --name vn-aqi-daily
    """
    if (device is None) == (site is None):
        raise click.UsageError("give --device ID or --site ID, one of them")
    url = database_url()
    with connect(url, role="tonne_mrv", name="tonne indicators", autocommit=True) as conn:
        zone = (
            series.site_timezone(conn, str(site))
            if device is None
            else series.device_timezone(conn, device)
        )
        span = span_us(begin, end, zone)
        rows = series.indicators(conn, *span, device=device, site=site)
    kept = [r for r in rows if period in {None, r["period"]} and name in {None, r["indicator"]}]
    if as_json:
        click.echo(json.dumps(kept))
        return
    nothing = f"nothing is stored of {device or site} from {begin} to {end}"
    click.echo(table(_HEAD, [_shown(row, zone) for row in kept], empty=nothing))


def _shown(row: dict[str, Any], zone: str) -> list[object]:
    """Return a line without details."""
    line = row | {"start": shown_time(row["start"], zone)}
    if line["covered"] is not None:
        line["covered"] = f"{line['covered'] * 100:.0f} %"
    return [line[key] for key in _HEAD]
