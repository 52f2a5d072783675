"""`tonne quality`: flags of a device's readings, and its meter compared with another."""

from __future__ import annotations

import json
from typing import Any

import click
from psycopg import Connection

from ingest.pipeline.meter_comparison import Difference, compare
from services.cli.options.common import json_option
from services.cli.options.servers import database_url
from services.cli.options.time_span import begin_option, end_option, span_us
from services.cli.output.text import counted, table, time_text
from services.store.postgres.pool import connect
from services.store.registry.known import require
from services.store.registry.load import load_fleet
from services.store.timeseries import device_quality as flagged
from services.store.timeseries import queries as series
from services.store.timeseries.device_quality import Flagged

_SHOWN = 20
_FEW = 3


@click.command()
@click.option("--device", required=True, metavar="ID")
@begin_option
@end_option
@click.option(
    "--against",
    metavar="ID",
    multiple=True,
    help="Meters for comparison (repeatable; their sum is used); default: those of `check_of`.",
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

    A day is one of the site's zone. Flags change no reading and no quantity. A meter
    that the registry calls the check meter of another, or its main meter, is compared
    with it quarter hour by quarter hour.

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
        found = flagged.flags_of(conn, registered, begin_us, end_us)
        clock = flagged.clock_of(conn, device)
        others, percent = (against, 2.0) if against else flagged.beside(conn, device)
        share = (percent if tolerance is None else tolerance) / 100
        meters = (device, *others) if others else ()
        measured = [_measured(conn, meter, begin_us, end_us) for meter in meters]
    compared, apart = compare(registered, measured[0], measured[1:], share) if others else (0, [])
    if as_json:
        click.echo(json.dumps([*(one._asdict() for one in found), *map(_apart, apart)]))
        return
    click.echo(
        f"{counted(readings, 'reading')} of {device}" + (f"; clock {clock}" if clock else "")
    )
    click.echo(
        table(
            ("test", "channel", "times", "when"),
            _flag_rows(found, zone),
            empty="nothing is flagged",
        )
    )
    if others:
        differ = f"{len(apart):,} {'differs' if len(apart) == 1 else 'differ'}"
        click.echo(
            f"\n{counted(compared, 'interval')} compared with {' + '.join(others)}, {differ}"
        )
    if apart:
        rows = [(time_text(d.start, zone), d.quantity, d.whole, d.parts) for d in apart[:_SHOWN]]
        click.echo(table(("start", "quantity", "this meter", "the others"), rows, empty=""))
        if len(apart) > _SHOWN:
            click.echo(f"and {len(apart) - _SHOWN} more; --json lists all")


def _measured(
    conn: Connection, device: str, begin_us: int, end_us: int
) -> dict[tuple[str, str], int]:
    """Intervals of a device that were measured throughout; others say nothing of a meter."""
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


def _flag_rows(flaggeds: list[Flagged], zone: str) -> list[tuple[str, str, int, str]]:
    """One line a test and channel, with the first times."""
    times: dict[tuple[str, str], list[str]] = {}
    for one in flaggeds:
        times.setdefault((one.test, one.channel), []).append(time_text(one.time, zone))
    return [
        (
            test,
            channel,
            len(at),
            ", ".join(at[:_FEW]) + (f" and {len(at) - _FEW} more" if len(at) > _FEW else ""),
        )
        for (test, channel), at in sorted(times.items())
    ]
