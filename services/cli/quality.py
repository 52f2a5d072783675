"""`tonne quality`: what is unusual in a device's stored readings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ingest.pipeline.compare import compare
from ingest.pipeline.judge import judge
from services.cli.database import database_url
from services.cli.times import span_us
from services.store import readings, series
from services.store.pool import connect
from services.store.registry import load_fleet
from services.store.registry_rows import load_registry

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    from ingest.model import Frame
    from ingest.pipeline.compare import Difference
    from ingest.pipeline.judge import Finding

_SHOWN = 20


@click.command()
@click.option("--device", required=True, metavar="ID")
@click.option("--from", "begin", required=True, metavar="T", help="Begin, with.")
@click.option("--to", "end", required=True, metavar="T", help="End, without.")
@click.option(
    "--against",
    metavar="ID",
    multiple=True,
    help="Its check meter, or the meters behind it (repeat): the sums must agree.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 100),
    default=2.0,
    show_default=True,
    help="Largest difference from them, percent.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def quality(
    device: str, begin: str, end: str, against: tuple[str, ...], *, tolerance: float, as_json: bool
) -> None:
    """
    Judge a device's stored readings: range, spikes, rate, flat lines, gaps, nights, unit.

    T is RFC 3339 with its offset, or a local date of the site. Readings are
    marked, never changed; the limits are those of the device's class and profile.
    With --against, the measured intervals of meters are compared too.

    \b
    Example:
      tonne quality --device inv-001 --from 2026-01-01 --to 2026-02-01
      tonne quality --device main --against sub-1 --against sub-2 --from 2026-01-01 --to 2026-02-01
    """
    with connect(database_url(), role="tonne_mrv", name="tonne quality", autocommit=True) as conn:
        begin_us, end_us = span_us(begin, end, series.device_timezone(conn, device))
        fleet = load_fleet(conn)
        index = fleet.by_id[device]
        held = fleet.devices[index]
        site = load_registry(conn).sites[held.site]
        with conn.cursor() as cursor:
            frame = readings.fetch(
                cursor, fleet, held.class_id, {index: begin_us - 1}, until_us=end_us
            )
        meters = (device, *against) if against else ()
        measured = [_measured(conn, one, begin_us, end_us) for one in meters]
    found = judge(held, frame, (site.latitude, site.longitude))
    compared, apart = (
        compare(held, measured[0], measured[1:], tolerance / 100) if against else (0, [])
    )
    if as_json:
        rows = [row for one in found for row in _rows(one, frame)]
        click.echo(json.dumps([*rows, *map(_apart, apart)]))
        return
    click.echo(f"{len(frame)} readings of {device}")
    for one in found:
        click.echo(_told(one, frame))
    if against:
        others = " + ".join(against)
        click.echo(f"{compared} intervals compared with {others}, {len(apart)} differ")
    for difference in apart[:_SHOWN]:
        click.echo(
            f"{'sum_check':<16} {difference.quantity:<22} {difference.start}: "
            f"{difference.whole} against {difference.parts}"
        )


def _measured(
    conn: Connection[TupleRow], device: str, begin_us: int, end_us: int
) -> dict[tuple[str, str], int]:
    """Intervals of a device that were measured throughout; others say nothing of a meter."""
    series.device_timezone(conn, device)  # a device that is not there is an error, not silence
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


def _rows(finding: Finding, frame: Frame) -> list[dict[str, Any]]:
    """One object a marked reading."""
    values = frame.columns.get(finding.channel)
    return [
        {
            "time": readings.stamp(int(frame.time_us[row])),
            "channel": finding.channel,
            "test": finding.test,
            "value": None if values is None else values[row].item(),
        }
        for row in finding.rows
    ]


def _told(finding: Finding, frame: Frame) -> str:
    first = [readings.stamp(int(frame.time_us[row])) for row in finding.rows[:_SHOWN]]
    more = len(finding.rows) - len(first)
    shown = finding.detail or ", ".join(first) + (f" and {more} more" if more else "")
    return f"{finding.test:<16} {finding.channel:<22} {len(finding.rows):>6}  {shown}"
