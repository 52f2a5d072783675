"""
Commands `tonne quality` (flags of readings, meter comparison), `tonne intervals` and `tonne
indicators`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from psycopg import Connection

from ingest.quality.runs import Difference, compare
from mrv.environment.kinds import KINDS
from services.cli import Choice, json_option
from services.cli.output import amount_text, counted, mass_text, table, time_text
from services.cli.server_options import begin_option, database_url, end_option, span_us
from services.store.postgres.pool import connect
from services.store.registry import require
from services.store.registry.load import load_fleet
from services.store.timeseries import queries as flagged
from services.store.timeseries import queries as series
from services.store.timeseries.queries import Flagged

_HEAD = ("start", "device", "period", "indicator", "value", "unit", "covered", "grade")


@click.command()
@click.option("--device", metavar="ID", help="Device whose interval quantities are printed.")
@click.option(
    "--project", metavar="ID", help="Project whose emissions are printed, all devices together."
)
@begin_option
@end_option
@json_option
def intervals(
    device: str | None, project: str | None, begin: str, end: str, *, as_json: bool
) -> None:
    """
    Print stored 15-minute intervals in order of start time.

    A day begins at midnight in the time zone of the site or project, which the table's times use
    too. The table uses rounded units; JSON has exact whole numbers: Wh, m or mL of a device,
    micrograms of CO2e of a project, and times in UTC.

    \b
    Example:
      tonne intervals --device inv-001 --from 2026-01-01 --to 2026-01-02
      tonne intervals --project roof-1 --from 2026-01-01 --to 2026-01-02 --json
    """
    if (device is None) == (project is None):
        raise click.UsageError("use either --device ID or --project ID")
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
    lines = _of_device(rows, zone) if device is not None else _of_project(rows, zone)
    nothing = f"no data of {device or project} from {begin} to {end} are stored"
    click.echo(table(*lines, empty=nothing))


def _of_device(rows: Sequence[dict[str, Any]], zone: str) -> tuple[list[str], list[list[str]]]:
    head = ["start", "quantity", "value", "quality", "measured"]
    cells = [
        [
            time_text(r["start"], zone),
            r["quantity"],
            amount_text(r["value"], r["unit"]),
            r["quality"],
            f"{r['measured_share'] * 100:.0f} %",
        ]
        for r in rows
    ]
    return head, cells


def _of_project(rows: Sequence[dict[str, Any]], zone: str) -> tuple[list[str], list[list[str]]]:
    sides = ("baseline", "project", "leakage", "reduction")
    return ["start", *sides], [
        [time_text(r["start"], zone), *(mass_text(r[f"{side}_ug"]) for side in sides)] for r in rows
    ]


@click.command()
@click.option("--device", metavar="ID", help="Station whose values are printed.")
@click.option("--site", metavar="ID", help="Site whose stations' values are printed.")
@begin_option
@end_option
@click.option(
    "--period",
    type=Choice(["hour", "day"]),
    help="Only hourly or only daily values; default: both.",
)
@click.option(
    "--name",
    type=Choice([k.name for k in KINDS]),
    metavar="NAME",
    help="Only this indicator, such as pm2_5_24h_ug_m3; default: all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON with all details.")
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
    Print stored hourly and daily indicator values of stations, in the site's local time.

    A day begins at midnight in the site's time zone. An hour or day with less than three quarters
    of its data has no value. Indicators are not carbon figures.

    \b
    Example:
      tonne indicators --device air-1 --from 2026-01-01 --to 2026-01-02
      tonne indicators --site port --from 2026-01-01 --to 2026-02-01 --name pm2_5_24h_ug_m3
    """
    if (device is None) == (site is None):
        raise click.UsageError("use either --device ID or --site ID")
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
    nothing = f"no data of {device or site} from {begin} to {end} are stored"
    click.echo(table(_HEAD, [_indicator_row(row, zone) for row in kept], empty=nothing))


def _indicator_row(row: dict[str, Any], zone: str) -> list[object]:
    line = row | {"start": time_text(row["start"], zone)}
    if line["covered"] is not None:
        line["covered"] = f"{line['covered'] * 100:.0f} %"
    return [line[key] for key in _HEAD]


_MAX_LISTED = 20
_FEW = 3


@click.command()
@click.option("--device", required=True, metavar="ID", help="Device whose flags are listed.")
@begin_option
@end_option
@click.option(
    "--against",
    metavar="ID",
    multiple=True,
    help=(
        "Meter to compare with; if repeated, their sum. Default: the registered check meters "
        "(`check_of`)."
    ),
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 100),
    help="Maximum difference in percent; default: `check_percent` of the registry.",
)
@json_option
def quality(
    device: str,
    begin: str,
    end: str,
    against: tuple[str, ...],
    *,
    tolerance: float | None,
    as_json: bool,
) -> None:
    """
    List quality flags of readings: range, spikes, rate, flat lines, gaps, night generation, unit.

    A day begins at midnight in the site's time zone. Flags change no reading and no quantity. A
    main meter and its check meter in the registry are compared in each 15-minute interval.

    \b
    Example:
      tonne quality --device inv-001 --from 2026-01-01 --to 2026-02-01
      tonne quality --device main --against sub-1 --against sub-2 --from 2026-01-01 --to 2026-02-01
    """
    with connect(database_url(), role="tonne_mrv", name="tonne quality", autocommit=True) as conn:
        require(conn, "device", device, *against)
        zone = series.device_timezone(conn, device)
        begin_us, end_us = span_us(begin, end, zone)
        fleet = load_fleet(conn)
        registered = fleet.devices[fleet.by_id[device]]
        readings = flagged.count_readings(conn, registered, begin_us, end_us)
        flags = flagged.flags_of(conn, registered, begin_us, end_us)
        clock = flagged.clock_of(conn, device)
        others, percent = (against, 2.0) if against else flagged.beside(conn, device)
        share = (percent if tolerance is None else tolerance) / 100
        meters = (device, *others) if others else ()
        measured = [_measured(conn, meter, begin_us, end_us) for meter in meters]
    compared, apart = compare(registered, measured[0], measured[1:], share) if others else (0, [])
    if as_json:
        click.echo(json.dumps([*(row._asdict() for row in flags), *map(_apart, apart)]))
        return
    click.echo(
        f"{counted(readings, 'reading')} of {device}" + (f"; clock {clock}" if clock else "")
    )
    click.echo(
        table(
            ("test", "channel", "times", "when"),
            _flag_rows(flags, zone),
            empty="nothing is flagged",
        )
    )
    if others:
        differ = f"{len(apart):,} {'differs' if len(apart) == 1 else 'differ'}"
        click.echo(
            f"\n{counted(compared, 'interval')} compared with {' + '.join(others)}, {differ}"
        )
    if apart:
        rows = [
            (time_text(d.start, zone), d.quantity, d.whole, d.parts) for d in apart[:_MAX_LISTED]
        ]
        click.echo(table(("start", "quantity", "this meter", "the others"), rows, empty=""))
        if len(apart) > _MAX_LISTED:
            click.echo(f"and {len(apart) - _MAX_LISTED} more; --json lists all")


def _measured(
    conn: Connection, device: str, begin_us: int, end_us: int
) -> dict[tuple[str, str], int]:
    """Return the energy [Wh] of fully measured intervals, by quantity and start."""
    return {
        (row["start"], row["quantity"]): row["value"]
        for row in series.quantities(conn, device, begin_us, end_us)
        if row["measured_share"] == 1
    }


def _apart(difference: Difference) -> dict[str, Any]:
    return {
        "time": difference.start,
        "channel": difference.quantity,
        "test": "sum_check",
        "value": difference.whole,
        "others": difference.parts,
    }


def _flag_rows(flags: list[Flagged], zone: str) -> list[tuple[str, str, int, str]]:
    """Return one table row per test and channel: count and first times."""
    times: dict[tuple[str, str], list[str]] = {}
    for flag in flags:
        times.setdefault((flag.test, flag.channel), []).append(time_text(flag.time, zone))
    return [
        (
            test,
            channel,
            len(at),
            ", ".join(at[:_FEW]) + (f" and {len(at) - _FEW} more" if len(at) > _FEW else ""),
        )
        for (test, channel), at in sorted(times.items())
    ]
