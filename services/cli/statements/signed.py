"""`tonne signed`: values that their meter signed, kept as evidence and verified."""

from pathlib import Path

import click

from ingest.errors import InputError
from mrv.statement.signed_rows import ROLE
from services.cli.options.common import Group, json_option
from services.cli.options.servers import database_url
from services.cli.options.time_span import maybe_begin_option, maybe_end_option, maybe_span
from services.cli.output.documents import print_json, print_result
from services.cli.output.text import counted, table, time_text
from services.cli.statements.signed_verify import verify
from services.issuer import keys as key_files
from services.registry.signed_files import sign_file
from services.settings import Settings
from services.store.messages import signed_values as store
from services.store.postgres.pool import connect
from services.store.registry.known import names, unknown, zones_of

_NAME = "tonne signed"
_SHOWN = 60
_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(cls=Group)
def signed() -> None:
    """
    Values that their meter signed (OCPP), and rows that suppliers and laboratories sign.

    \b
    Example:
      tonne signed row march.csv --key power-company --timezone Asia/Ho_Chi_Minh --out signed.csv
      tonne signed list --device charger-7 --from 2026-01-01
      tonne signed show 12 --out message.json
      tonne signed verify --device charger-7
    """


signed.add_command(verify)


@signed.command()
@click.argument("file", type=_file)
@click.option("--key", "name", required=True, metavar="N", help="Your third-party key, by name.")
@click.option("--timezone", metavar="ZONE", help="Of the project: the days of invoices are local.")
@click.option("--cose", is_flag=True, help="As COSE_Sign1; a detached JWS where absent.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Write the file with its signatures here.",
)
@json_option
def row(
    file: Path, name: str, timezone: str | None, *, cose: bool, out: Path, as_json: bool
) -> None:
    """
    Sign the rows of FILE that your organisation issued: they count as grade A.

    For suppliers, laboratories and makers, on their own machine: invoices (YAML or CSV), or
    `laboratory` and `documents` of a registry file. Their key has the role third-party; the
    operator enrols its public part and imports the signed file. With --json the canonical bytes
    that are signed are printed as well.

    \b
    Example:
      tonne keys create --role third-party --name lab --organisation "Quatest 1" --no-enroll
      tonne signed row samples.yaml --key lab --out signed.yaml
      tonne signed row march.csv --key power-company --timezone Asia/Ho_Chi_Minh --out signed.csv
    """
    key, holder = key_files.load(Settings().home, name)
    if holder.role != ROLE:
        raise InputError(
            f"{name!r} is a key of role {holder.role}; rows are signed by one of role {ROLE}:"
            f" `tonne keys create --role {ROLE}`"
        )
    found = sign_file(file, key, holder, timezone, cose=cose)
    out.write_text(found.text, "utf-8")
    done = {"file": out, "signed_by": key.public_multikey, "rows": found.rows}
    names = ", ".join(one.row for one in found.rows)
    print_result(done, f"{out}: {names}, signed by {name}", as_json=as_json)
    if found.others:
        click.echo(f"not signed, of other issuers: {', '.join(found.others)}", err=True)


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
