"""Commands `tonne units` (issued units) and `tonne certificates` (energy certificates)."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args

import click
from psycopg import Connection

from ingest.errors import InputError
from ingest.model import INTERVAL_US
from services.cli import Choice, Group, json_option
from services.cli.output import print_json, print_result, table, time_text, write_folder
from services.cli.server_options import begin_option, database_url, end_option, span_us
from services.store.postgres.pool import connect
from services.store.registry import zones_of
from services.store.statements import units as issued_units
from services.store.statements.statements import find
from services.store.statements.units import UnitState
from services.store.timeseries.queries import device_timezone


@click.group(cls=Group)
def units() -> None:
    """
    Record the life of issued units: whole tonnes by vintage year, numbered from 1.

    \b
    Example:
      tonne units enter TN-roof-1-20260101-20260201-1 issued --vintage 2026 \\
        --first 1 --last 12 --day 2026-03-01 --document "registry letter 7"
      tonne units balance --year 2026
    """


@units.command()
@click.argument("statement")
@click.argument("event", type=Choice(get_args(issued_units.UnitState)))
@click.option("--vintage", type=int, required=True, help="Calendar year of the reductions.")
@click.option("--first", type=int, required=True, help="First unit of the range.")
@click.option("--last", type=int, required=True, help="Last unit of the range, included.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Day of the event.")
@click.option("--document", required=True, help="Document that records the event.")
@click.option("--holder", help="Holder from that day on; default: not stated.")
@json_option
def enter(
    statement: str,
    event: UnitState,
    vintage: int,
    first: int,
    last: int,
    day: datetime,
    document: str,
    holder: str | None,
    *,
    as_json: bool,
) -> None:
    """
    Enter an event for a range of units; it cannot be changed later.

    Rejected if a unit would be issued twice or beyond the credited tonnes, if a transfer would
    precede the event `first_transferred`, or if the unit is already cancelled or retired.

    \b
    Example:
      tonne units enter TN-roof-1-20260101-20260201-1 retired --vintage 2026 \\
        --first 1 --last 5 --day 2026-06-01 --document "letter 9"
    """
    unit_event = issued_units.UnitEvent(
        statement, vintage, first, last, event, day.date(), document, holder
    )
    with _database() as conn:
        find(conn, statement)
        number = issued_units.enter_event(conn, unit_event, getpass.getuser())
    message = f"{statement}: units {first} to {last} of {vintage} are {event} (entry {number})"
    print_result({"entry": number, **unit_event._asdict()}, message, as_json=as_json)


@units.command("list")
@click.option("--statement", metavar="ID", help="Only this statement; default: all.")
@json_option
def list_(statement: str | None, *, as_json: bool) -> None:
    """
    List entered events, in order of entry.

    \b
    Example:
      tonne units list --statement TN-roof-1-20260101-20260201-1
    """
    with _database() as conn:
        if statement is not None:
            find(conn, statement)
        events = issued_units.events(conn, statement)
    if as_json:
        print_json([row._asdict() for row in events])
        return
    head = ("statement", "vintage", "first", "last", "event", "day", "document", "holder")
    click.echo(table(head, events, empty="no unit was entered; run `tonne units enter`"))


@units.command()
@click.option(
    "--year",
    type=click.IntRange(2000, 9998),
    required=True,
    help="Balance at 31 December of this year.",
)
@json_option
def balance(year: int, *, as_json: bool) -> None:
    """
    Show the numbers of units issued, first transferred, cancelled, retired and held.

    \b
    Example:
      tonne units balance --year 2026
    """
    with _database() as conn:
        balances = issued_units.balances(conn, date(year, 12, 31))
    if as_json:
        print_json([{**holding._asdict(), "held": holding.held} for holding in balances])
        return
    head = ("statement", "vintage", "issued", "first transferred", "cancelled", "retired", "held")
    rows = [(*holding, holding.held) for holding in balances]
    click.echo(table(head, rows, empty=f"no unit was issued up to the end of {year}"))


def _database() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne units", autocommit=True)


_device = click.option(
    "--device", required=True, metavar="ID", help="Meter that measured the certified energy."
)
_body = click.option("--issuing-body", required=True, help="Issuing body of the certificate.")
_document = click.option("--document", required=True, help="Title of the certificate's document.")
_owner = click.option("--owner", help="Owner of the certificate; default: not stated.")


@click.group(cls=Group)
def certificates() -> None:
    """
    Enter and export energy certificates (granular certificates, I-REC); certified energy is not
    credited.

    Certified energy of a 15-minute interval gives no credits; the remaining energy does. The
    statement names the certificate. Energy credited by a submitted or issued statement cannot be
    certified.

    \b
    Example:
      tonne certificates enter IREC-2026-17 --scheme I-REC --device inv-001 --wh 1000000 \\
        --from 2026-03-01 --to 2026-04-01 \\
        --issuing-body "The registry" --document "certificate 17"
    """


@certificates.command("enter")
@click.argument("id_", metavar="ID")
@click.option("--scheme", required=True, help="Scheme, such as I-REC or EnergyTag GC.")
@_device
@begin_option
@end_option
@click.option("--wh", type=click.IntRange(1), required=True, help="Certified energy. [Wh]")
@_body
@_document
@_owner
@json_option
def enter_(
    id_: str,
    scheme: str,
    device: str,
    begin: str,
    end: str,
    wh: int,
    issuing_body: str,
    document: str,
    owner: str | None,
    *,
    as_json: bool,
) -> None:
    """
    Enter a certificate issued by another registry; it cannot be changed.

    Its energy is assigned to the device's 15-minute intervals in order, up to the measured energy
    of each. Rejected if the measured energy is too small, or a statement credits it.

    \b
    Example:
      tonne certificates enter IREC-2026-17 --scheme I-REC --device inv-001 --wh 1000000 \\
        --from 2026-03-01 --to 2026-04-01 \\
        --issuing-body "The registry" --document "certificate 17"
    """
    with _connect() as conn:
        span = _span(conn, device, begin, end)
        certificate = issued_units.Certificate(
            id_, scheme, device, *span, wh, issuing_body, document, owner
        )
        issued_units.enter_certificate(conn, certificate, getpass.getuser())
    print_result(
        {"certificate": id_, "wh": wh}, f"{id_}: {wh} Wh of {device} are certified", as_json=as_json
    )


@certificates.command("export")
@click.argument("id_", metavar="ID")
@_device
@begin_option
@end_option
@_body
@_document
@_owner
@click.option(
    "--energy-source",
    help="Technology, such as solar_pv, by the issuing body's list; default: not stated.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder to write.")
@json_option
def export_(
    id_: str,
    device: str,
    begin: str,
    end: str,
    issuing_body: str,
    document: str,
    owner: str | None,
    energy_source: str | None,
    out: Path,
    *,
    as_json: bool,
) -> None:
    """
    Write granular certificates for all generation not yet certified, and enter them as ID.

    One certificate bundle per hour, as EnergyTag requires. Certified energy is not credited.

    \b
    Example:
      tonne certificates export GC-2026-03 --device inv-001 --out gc \\
        --from 2026-03-01 --to 2026-04-01 \\
        --issuing-body "The registry" --document "order 4"
    """
    if out.exists():
        raise InputError(f"--out {out} already exists; name a new folder")
    with _connect() as conn, conn.transaction():
        span = _span(conn, device, begin, end)
        wh = issued_units.free_wh(conn, device, *span)
        if wh == 0:
            raise InputError(
                f"{device} has no generation in that time without a certificate; choose "
                "another time"
            )
        certificate = issued_units.Certificate(
            id_, "EnergyTag GC", device, *span, wh, issuing_body, document, owner, exported=True
        )
        issued_units.enter_certificate(conn, certificate, getpass.getuser())
        bundles = [
            _bundle(certificate, hour, energy_source) for hour in issued_units.hours(conn, id_)
        ]
        whole = json.dumps({"certificate": id_, "bundles": bundles}, indent=2, ensure_ascii=False)
        write_folder(out, {"bundles.json": f"{whole}\n".encode()})
    print_result(
        {"certificate": id_, "wh": wh, "bundles": len(bundles), "folder": out},
        f"{out}: {len(bundles)} bundles, {wh} Wh",
        as_json=as_json,
    )


@certificates.command("list")
@click.option("--device", metavar="ID", help="Only certificates of this device; default: all.")
@json_option
def list_certificates(device: str | None, *, as_json: bool) -> None:
    """
    List energy certificates.

    \b
    Example:
      tonne certificates list --device inv-001
    """
    with _connect() as conn:
        listed = issued_units.certificates(conn, device)
        zones = zones_of(conn, [certificate.device for certificate in listed])
    if as_json:
        print_json([certificate._asdict() for certificate in listed])
        return
    head = ("certificate", "scheme", "device", "from", "to", "Wh", "exported")
    rows = [
        (certificate.id, certificate.scheme, certificate.device,
         time_text(certificate.begin, zones[certificate.device]),
         time_text(certificate.end, zones[certificate.device]), certificate.wh,
         "yes" if certificate.exported else "no")
        for certificate in listed
    ]  # fmt: skip
    click.echo(table(head, rows, empty="nothing is certified"))


def _span(conn: Connection, device: str, begin: str, end: str) -> tuple[datetime, datetime]:
    """
    Return the times of --from and --to, at multiples of 15 minutes; days are in the zone of the
    device's site.
    """
    edges = span_us(begin, end, device_timezone(conn, device))
    if any(edge % INTERVAL_US for edge in edges):
        raise InputError(f"--from {begin} --to {end}: pass the start of 15-minute intervals")
    first, last = (datetime.fromtimestamp(edge / 1e6, UTC) for edge in edges)
    return first, last


def _bundle(
    certificate: issued_units.Certificate,
    hour: issued_units.CertifiedHour,
    energy_source: str | None,
) -> dict[str, object]:
    """
    Return an hour's certificate bundle with the known fields; ids and states are given by
    the issuing registry.
    """
    end = min(hour.begin + timedelta(hours=1), certificate.end)
    return {
        "device_id": certificate.device,
        "energy_carrier": "electricity",
        "energy_source": energy_source,
        "face_value": hour.wh,
        "production_starting_interval": max(hour.begin, certificate.begin).isoformat(),
        "production_ending_interval": end.isoformat(),
        "issuing_body": certificate.issuing_body,
        "owner": certificate.owner,
    }


def _connect() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne certificates", autocommit=True)
