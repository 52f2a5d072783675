"""`tonne signed`: values that their meter signed, kept as evidence and verified."""

from pathlib import Path

import click

from ingest.errors import InputError
from services.cli.options.common import Group, json_option
from services.cli.options.servers import database_url
from services.cli.options.time_span import maybe_begin_option, maybe_end_option, maybe_span
from services.cli.output.documents import print_json
from services.cli.output.text import counted, table, time_text
from services.cli.statements.signed_verify import verify
from services.store.messages import signed_values as store
from services.store.postgres.pool import connect
from services.store.registry.known import names, unknown, zones_of

_NAME = "tonne signed"
_SHOWN = 60


@click.group(cls=Group)
def signed() -> None:
    """
    Values that their meter signed (OCPP), kept beside the readings.

    \b
    Example:
      tonne signed list --device charger-7 --from 2026-01-01
      tonne signed show 12 --out message.json
      tonne signed verify --device charger-7
    """


signed.add_command(verify)


@signed.command("list")
@click.option("--device", metavar="ID", help="Only this device.")
@maybe_begin_option
@maybe_end_option
@click.option("--limit", type=click.IntRange(1), default=100)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the signed data whole.")
def list_(
    device: str | None, begin: str | None, end: str | None, *, limit: int, as_json: bool
) -> None:
    """
    In order of time; the hash is that of the message each stood in.

    \b
    Example:
      tonne signed list --device charger-7 --json
    """
    with connect(database_url(), name=_NAME) as conn:
        registered = device in names(conn, "device")
        if device is not None and not registered and device not in store.devices(conn):
            raise unknown(conn, "device", device, store.devices(conn))
        zone_of = device if registered else None
        found = store.find(conn, device, *maybe_span(conn, begin, end, zone_of), limit)
        zones = zones_of(conn, [one.device for one in found])
    if as_json:
        print_json(found)
        return
    rows = [
        (one.id, time_text(one.time, zones[one.device]), one.device, one.channel, one.context,
         one.encoding, one.data[:_SHOWN])
        for one in found
    ]  # fmt: skip
    head = ("number", "time", "device", "channel", "context", "encoding", "data")
    click.echo(table(head, rows, empty="no such signed value is stored"))


@signed.command()
@click.argument("number", type=int)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Write the message to this file.",
)
@json_option
def show(number: int, out: Path, *, as_json: bool) -> None:
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
    if as_json:
        print_json({"number": number, "file": out, "bytes": len(payload)})
        return
    click.echo(f"{out}: {counted(len(payload), 'byte')}")
