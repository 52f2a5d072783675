"""`tonne signed`: values that their meter signed, as evidence for whoever holds its key."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from ingest.errors import InputError
from services.cli.options.database_url import database_url
from services.cli.options.time_option import Moment
from services.store.messages import signed_values as store
from services.store.postgres.pool import connect

_NAME = "tonne signed"
_SHOWN = 60


@click.group()
def signed() -> None:
    """
    Values that their meter signed (OCPP), kept beside the readings.

    \b
    Example:
      tonne signed list --device charger-7 --from 2026-01-01T00:00:00Z
      tonne signed show 12 --out message.json
    """


@signed.command("list")
@click.option("--device", help="Only this device.")
@click.option("--from", "begin", type=Moment(), help="Measured at or after.")
@click.option("--to", "end", type=Moment(), help="Measured before.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the signed data whole.")
def list_(
    device: str | None, begin: datetime | None, end: datetime | None, *, limit: int, as_json: bool
) -> None:
    """
    In order of time; the hash is that of the message each stood in.

    \b
    Example:
      tonne signed list --device charger-7 --json
    """
    with connect(database_url(), name=_NAME) as conn:
        found = store.find(conn, device, begin, end, limit)
    if as_json:
        click.echo(json.dumps([_plain(one) for one in found], indent=2))
        return
    for one in found:
        click.echo(
            f"{one.id:>8}  {one.time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z  {one.device or '-'}  "
            f"{one.channel}  {one.context or '-'}  {one.encoding or '-'}  {one.data[:_SHOWN]}"
        )


@signed.command()
@click.argument("number", type=int)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Write the message to this file.",
)
def show(number: int, out: Path) -> None:
    """
    Write the whole message of a signed value, as it was received.

    \b
    Example:
      tonne signed show 12 --out message.json
    """
    with connect(database_url(), name=_NAME) as conn:
        payload = store.message(conn, number)
    if payload is None:
        raise InputError(f"signed value {number} is not known; see `tonne signed list`")
    out.write_bytes(payload)
    click.echo(f"{out}: {len(payload)} bytes")


def _plain(one: store.SignedValue) -> dict[str, object]:
    return {
        name: value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(value, datetime)
        else value
        for name, value in asdict(one).items()
    }
