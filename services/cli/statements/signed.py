"""Commands `tonne signed`: values signed by meters, stored as evidence, and their verification."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ingest.errors import InputError
from mrv.signed_values import (
    NOT_CHECKED,
    REFUSED,
    VERIFIED,
    Checked,
    DatedKey,
    Item,
    check_items,
    of_device,
    plain,
    read_items,
)
from mrv.signed_values.meter_keys import parse_key
from mrv.statement.signed_rows import ROLE
from services.cli import FILE, NEW_FILE, Group, json_option
from services.cli.output import Exit, counted, print_json, print_result, table, time_text
from services.cli.server_options import (
    database_url,
    maybe_begin_option,
    maybe_end_option,
    maybe_span,
)
from services.issuer import keys as key_files
from services.registry.files import read_files
from services.registry.invoices import sign_file
from services.registry.meters import by_name
from services.settings import Settings
from services.store import signed_values as store
from services.store.postgres.pool import connect
from services.store.registry import names, require, unknown, zones_of
from services.store.registry.entries_from_rows import load_registry

_NAME = "tonne signed"
_path = click.Path(exists=True, path_type=Path)


@click.command("verify")
@click.argument("file", required=False, type=FILE)
@click.option(
    "--key",
    "given",
    multiple=True,
    metavar="[NAME=]KEY",
    help=(
        "Trusted public key of a meter or gateway: a file, hex or base64; repeatable. "
        "Default: the keys of the registry."
    ),
)
@click.option(
    "--registry",
    "files",
    multiple=True,
    type=_path,
    help="Registry file or folder with the keys; repeatable. Default: the database.",
)
@click.option(
    "--device", metavar="ID", help="Without FILE: only stored values of this device; default: all."
)
@maybe_begin_option
@maybe_end_option
@json_option
def verify(
    file: Path | None,
    given: tuple[str, ...],
    files: tuple[Path, ...],
    device: str | None,
    begin: str | None,
    end: str | None,
    *,
    as_json: bool,
) -> None:
    """
    Verify values signed by meters (OCMF) and by meters or gateways (COSE_Sign1).

    FILE is XML of the S.A.F.E. transparency software, text, or batches as bytes, hex or base64.
    Without FILE the stored values are checked.  Public keys are those of the registry
    (`meter_keys`) or of --key, by serial number or id.  A key delivered with a value is never
    trusted.

    Exit status 0 if every value is valid, 1 if one is invalid, 4 if one could not be checked: no
    key of its meter, unsupported curve or format.

    \b
    Example:
      tonne signed verify session.xml
      tonne signed verify session.xml --key 1EMH0012345678=meter.pem
      tonne signed verify batches.cose --key gw-1=gateway.pem
      tonne signed verify --device charger-7 --from 2026-01-01
    """
    if file is None:
        if given or files:
            raise click.UsageError("--key and --registry are for a FILE; pass FILE, or omit them")
        values = _stored(device, begin, end)
    else:
        if device or begin or end:
            raise click.UsageError(
                "--device, --from and --to are for stored values; pass them without FILE"
            )
        values = _of_file(file, given, files)
    _show(values, as_json=as_json)
    outcomes = {value.outcome for _, value in values}
    code = Exit.FALSE if REFUSED in outcomes else Exit.DONE
    if code is Exit.DONE and NOT_CHECKED in outcomes:
        code = Exit.NOT_ENOUGH
    click.get_current_context().exit(code)


def _of_file(file: Path, given: Sequence[str], files: Sequence[Path]) -> list[tuple[str, Checked]]:
    items = read_items(file.read_bytes())
    if given:
        keys = _given(given, items)
    elif files:
        incoming = read_files(files)
        if incoming.problems:
            raise InputError(next(iter(incoming.problems.values()))[0])
        keys = by_name(incoming.registry)
    else:
        with connect(database_url(), name=_NAME) as conn:
            keys = by_name(load_registry(conn))
    return [(f"{at}", value) for at, value in enumerate(check_items(items, keys), 1)]


def _given(texts: Sequence[str], items: Sequence[Item]) -> dict[str, list[DatedKey]]:
    """Return the keys of `--key` by signer; a key without a name is the file's only signer's."""
    keys: dict[str, list[DatedKey]] = {}
    for text in texts:
        serial, gap, rest = text.partition("=")
        if not gap or not rest.strip("="):  # base64 padding may follow
            serial, rest = _only(items), text
        named = Path(rest)
        content = named.read_text(encoding="utf-8") if _is_file(named) else rest
        keys.setdefault(serial, []).append(DatedKey(parse_key(content), None, serial))
    return keys


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a hexadecimal key is longer than a file name may be
        return False


def _only(items: Sequence[Item]) -> str:
    signers = {name for value in check_items(items, {}) if (name := _signer(value))}
    if len(signers) > 1:
        raise InputError(
            f"the file has values of {', '.join(sorted(signers))}; name the holder of each key, "
            "--key NAME=KEY"
        )
    return signers.pop() if signers else ""


def _signer(value: Checked) -> str | None:
    if value.batch is not None:
        return value.batch.signer
    return None if value.record is None else value.record.meter or value.record.gateway


def _stored(device: str | None, begin: str | None, end: str | None) -> list[tuple[str, Checked]]:
    with connect(database_url(), name=_NAME) as conn:
        if device is not None:
            require(conn, "device", device)
        zone_of = device if device in names(conn, "device") else None
        rows = store.find(conn, device, *maybe_span(conn, begin, end, zone_of), None)
        registry = load_registry(conn)
    # in order of arrival: of two values with equal number or page the later one is refused
    rows.sort(key=lambda row: row.id)
    items = [Item(plain(row.data), received=row.received) for row in rows]
    checked = check_items(items, by_name(registry))
    return [
        (f"{row.id}", of_device(value, row.device))
        for row, value in zip(rows, checked, strict=True)
    ]


def _show(values: Sequence[tuple[str, Checked]], *, as_json: bool) -> None:
    counts = {
        what: sum(value.outcome == what for _, value in values)
        for what in (VERIFIED, REFUSED, NOT_CHECKED)
    }
    if as_json:
        print_json(
            {"ok": counts[VERIFIED] == len(values)}
            | {what.replace(" ", "_"): count for what, count in counts.items()}
            | {"values": [_json(name, value) for name, value in values]}
        )
        return
    for name, checked_value in values:
        click.echo(
            f"{name:>3}  {checked_value.outcome:<11}  {_named(checked_value)}: "
            f"{checked_value.detail}"
        )
        for reading in checked_value.record.readings if checked_value.record else ():
            value = "no value" if reading.value is None else f"{reading.value} {reading.unit}"
            click.echo(
                f"     {reading.time.isoformat()} {reading.clock}"
                f"  {reading.reason or '-'}  {reading.obis or '-'}  {value}"
            )
        if checked_value.batch is not None:
            at = datetime.fromtimestamp(checked_value.batch.at_ms / 1_000, UTC)
            click.echo(
                f"     {checked_value.batch.named_algorithm}, signed on {at:%Y-%m-%dT%H:%M:%SZ}"
            )
        for note in checked_value.notes:
            click.echo(f"     (note) {note}")
    summary = ", ".join(f"{count} {what}" for what, count in counts.items())
    click.echo(f"{counted(len(values), 'signed value')}: {summary}")


def _named(value: Checked) -> str:
    if value.batch is not None:
        return f"{value.batch.signer} for {value.batch.device}, number {value.batch.sequence}"
    return f"{value.record.name}, page {value.record.page}" if value.record else "a value"


def _json(name: str, value: Checked) -> dict[str, Any]:
    document: dict[str, Any] = {
        "value": name, "outcome": value.outcome, "detail": value.detail, "holder": value.holder,
        "device": value.device, "notes": list(value.notes),
    }  # fmt: skip
    record, batch = value.record, value.batch
    if batch is not None:
        return document | {
            "signer": batch.signer,
            "names_device": batch.device,
            "sequence": batch.sequence,
            "signed_at": datetime.fromtimestamp(batch.at_ms / 1_000, UTC),
            "algorithm": batch.named_algorithm,
            "content_type": batch.content_type,
            "messages": batch.messages.decode(errors="replace"),
        }
    if record is None:
        return document
    return document | {
        "meter": record.meter,
        "gateway": record.gateway,
        "page": record.page,
        "algorithm": record.algorithm,
        "readings": [
            {
                "time": reading.time.astimezone(UTC),
                "clock": reading.clock,
                "reason": reading.reason,
                "obis": reading.obis,
                "value": reading.value,
                "unit": reading.unit,
                "energy_wh": reading.energy_wh,
                "status": reading.status,
                "errors": reading.errors,
                "usable": reading.usable,
            }
            for reading in record.readings
        ],
    }


_MAX_CHARACTERS = 60


@click.group(cls=Group)
def signed() -> None:
    """
    List and verify values signed by meters (OCPP); sign rows as a supplier or laboratory.

    \b
    Example:
      tonne signed row march.csv --key power-company --timezone Europe/Berlin --out signed.csv
      tonne signed list --device charger-7 --from 2026-01-01
      tonne signed show 12 --out message.json
      tonne signed verify --device charger-7
    """


signed.add_command(verify)


@signed.command()
@click.argument("file", type=FILE)
@click.option("--key", "name", required=True, metavar="N", help="Your third-party key, by name.")
@click.option(
    "--timezone",
    metavar="ZONE",
    help="Time zone of the project: days of invoices are local. Required for invoices.",
)
@click.option("--cose", is_flag=True, help="Sign as COSE_Sign1; default: detached JWS.")
@click.option("--out", type=NEW_FILE, required=True, help="Signed file to write.")
@json_option
def row(
    file: Path, name: str, timezone: str | None, *, cose: bool, out: Path, as_json: bool
) -> None:
    """
    Sign the rows of FILE issued by your organisation, which gives them evidence grade A.

    For suppliers, laboratories and manufacturers, on their own machine: invoices (YAML or CSV), or
    `laboratory` and `documents` of a registry file. Use a key with the role third-party; the
    operator enrols its public part and imports the signed file. With --json the signed canonical
    bytes are printed as well.

    \b
    Example:
      tonne keys create --role third-party --name lab --organisation "Quatest 1" --no-enroll
      tonne signed row samples.yaml --key lab --out signed.yaml
      tonne signed row march.csv --key power-company --timezone Europe/Berlin --out signed.csv
    """
    key, holder = key_files.load(Settings().home, name)
    if holder.role != ROLE:
        raise InputError(
            f"{name!r} is a key of role {holder.role}; rows are signed by a key "
            f"of role {ROLE}: `tonne keys create --role {ROLE}`"
        )
    signed_rows = sign_file(file, key, holder, timezone, cose=cose)
    out.write_text(signed_rows.text, "utf-8")
    done = {"file": out, "signed_by": key.public_multikey, "rows": signed_rows.rows}
    names = ", ".join(row.row for row in signed_rows.rows)
    print_result(done, f"{out}: {names}, signed by {name}", as_json=as_json)
    if signed_rows.others:
        click.echo(
            f"not signed, as another issuer is stated: {', '.join(signed_rows.others)}", err=True
        )


@signed.command("list")
@click.option("--device", metavar="ID", help="Only this device; default: all.")
@maybe_begin_option
@maybe_end_option
@click.option("--limit", type=click.IntRange(1), default=100, help="Maximum number of rows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the complete signed data.")
def list_(
    device: str | None, begin: str | None, end: str | None, *, limit: int, as_json: bool
) -> None:
    """
    List signed values by time, with the hash of the message that contained them.

    \b
    Example:
      tonne signed list --device charger-7 --json
    """
    with connect(database_url(), name=_NAME) as conn:
        registered = device in names(conn, "device")
        if device is not None and not registered and device not in store.devices(conn):
            raise unknown(conn, "device", device, store.devices(conn))
        zone_of = device if registered else None
        values = store.find(conn, device, *maybe_span(conn, begin, end, zone_of), limit)
        zones = zones_of(conn, [row.device for row in values])
    if as_json:
        print_json(values)
        return
    rows = [
        (row.id, time_text(row.time, zones[row.device]), row.device, row.channel, row.context,
         row.encoding, row.data[:_MAX_CHARACTERS])
        for row in values
    ]  # fmt: skip
    head = ("number", "time", "device", "channel", "context", "encoding", "data")
    click.echo(table(head, rows, empty="no such signed value is stored"))


@signed.command()
@click.argument("number", type=int)
@click.option("--out", type=NEW_FILE, required=True, help="File to write, with the message.")
@json_option
def show(number: int, out: Path, *, as_json: bool) -> None:
    """
    Write the complete message that contained a signed value, as received.

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
