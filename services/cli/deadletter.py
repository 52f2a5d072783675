"""`tonne deadletter`: what was refused and why, and once more after the cause is mended."""

import getpass
import json
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import click

from ingest.errors import InputError
from services.cli.database import database_url
from services.cli.legible import legible
from services.cli.moment import Moment
from services.cli.redeliver import PREFIX, Redeliverer
from services.cli.republish import Republisher
from services.settings import Settings, SettingsError
from services.store.dead_letters import (
    DeadLetter,
    Filter,
    count_letters,
    get_letter,
    list_letters,
    mark_replayed,
)
from services.store.pool import connect

_NAME = "tonne deadletter"
_SHOWN_BYTES = 2_000
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_reason = click.option("--reason", help="Only this reason.")
_device = click.option("--device", help="Only this device.")


@click.group()
def deadletter() -> None:
    """
    Refused messages: each is kept with its bytes and a reason.

    \b
    Example:
      tonne deadletter list --reason unknown_device
      tonne deadletter replay --reason unknown_device
    """


@deadletter.command("list")
@_reason
@_device
@click.option("--from", "begin", type=Moment(), help="Received at or after.")
@click.option("--to", "end", type=Moment(), help="Received before.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@_json
def list_(
    reason: str | None,
    device: str | None,
    begin: datetime | None,
    end: datetime | None,
    *,
    limit: int,
    as_json: bool,
) -> None:
    """
    Newest first.

    \b
    Example:
      tonne deadletter list --device inv-001 --from 2026-01-01T00:00:00+07:00
    """
    wanted = Filter(reason=reason, device=device, received_from=begin, received_to=end)
    with connect(database_url(), name=_NAME) as conn:
        letters = list_letters(conn, wanted, limit)
    if as_json:
        click.echo(json.dumps([_plain(letter) for letter in letters], indent=2))
        return
    for letter in letters:
        again = " (sent again)" if letter.replayed else ""
        click.echo(
            f"{letter.id:>8}  {letter.received:%Y-%m-%d %H:%M:%S}Z  {letter.reason:<18} "
            f"{letter.topic}: {letter.detail}{again}"
        )


@deadletter.command("count")
@_reason
@_device
@click.option("--from", "begin", type=Moment(), help="Received at or after.")
@click.option("--to", "end", type=Moment(), help="Received before.")
@_json
def count(
    reason: str | None,
    device: str | None,
    begin: datetime | None,
    end: datetime | None,
    *,
    as_json: bool,
) -> None:
    """
    By reason and device, the most frequent first.

    \b
    Example:
      tonne deadletter count --from 2026-01-01T00:00:00+07:00
    """
    wanted = Filter(reason=reason, device=device, received_from=begin, received_to=end)
    with connect(database_url(), name=_NAME) as conn:
        counts = count_letters(conn, wanted)
    if as_json:
        click.echo(json.dumps([_written(asdict(one)) for one in counts], indent=2))
        return
    for one in counts:
        click.echo(
            f"{one.refused:>8}  {one.reason:<18} {one.device or '-':<20} "
            f"last {one.last:%Y-%m-%d %H:%M:%S}Z, {one.waiting} not sent again"
        )


@deadletter.command()
@click.argument("letter", type=int)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the bytes to this file."
)
@_json
def show(letter: int, *, out: Path | None, as_json: bool) -> None:
    """
    One dead letter, what can be read of it, and its bytes (all of them into a file).

    \b
    Example:
      tonne deadletter show 17 --out refused.bin
    """
    with connect(database_url(), name=_NAME) as conn:
        found, payload = get_letter(conn, letter)
    if out is not None:
        out.write_bytes(payload)
    read = legible(payload, found.content_type, round(found.received.timestamp() * 1e6))
    if as_json:
        shown = {**_plain(found), "read": read, "payload_hex": payload.hex()}
        click.echo(json.dumps(shown, indent=2))
        return
    for name, value in _plain(found).items():
        click.echo(f"{name:<13} {'-' if value is None else value}")
    for line in read:
        click.echo(f"{'read':<13} {line}")
    if out is None:
        click.echo(ascii(payload[:_SHOWN_BYTES]))


@deadletter.command()
@click.argument("letters", nargs=-1, type=int)
@_reason
@_device
@click.option("--again", is_flag=True, help="Also those that were sent again before.")
@_json
def replay(
    letters: tuple[int, ...],
    reason: str | None,
    device: str | None,
    *,
    again: bool,
    as_json: bool,
) -> None:
    """
    Send dead letters to the broker, or to Kafka, once more, oldest first.

    Name numbers, a reason or a device.  They pass through the pipeline like any
    message; what is still refused becomes a new dead letter.  Records that workers
    could not read go back to the Kafka topic they came from.

    \b
    Example:
      tonne deadletter replay 17 18
      tonne deadletter replay --reason unknown_device
    """
    if not (letters or reason or device):
        raise click.UsageError("name dead letters: numbers, --reason or --device")
    wanted = Filter(ids=letters or None, reason=reason, device=device, waiting=not again)
    with connect(database_url(), name=_NAME, autocommit=True) as conn:
        found = list_letters(conn, wanted)[::-1]
        missing = set(letters) - {letter.id for letter in found}
        if missing:
            numbers = ", ".join(map(str, sorted(missing)))
            raise InputError(
                f"dead letters {numbers} are not known, or were sent again already (then --again)"
            )
        with _Senders() as senders:
            for letter in found:
                _, payload = get_letter(conn, letter.id)
                senders.send(letter, payload)
                mark_replayed(conn, letter.id, getpass.getuser())
    if as_json:
        click.echo(json.dumps([letter.id for letter in found]))
    else:
        click.echo(f"sent again: {len(found)}")


class _Senders(ExitStack):
    """Connections to the servers that letters came from, each made when it is needed."""

    @cached_property
    def _mqtt(self) -> Republisher:
        broker = Settings().mqtt_url
        if not broker:
            raise SettingsError("no broker is named; set TONNE_MQTT_URL, or run `tonne local up`")
        return self.enter_context(Republisher(broker))

    @cached_property
    def _kafka(self) -> Redeliverer:
        return self.enter_context(Redeliverer(Settings().require("kafka_url")))

    def send(self, letter: DeadLetter, payload: bytes) -> None:
        """Send a letter where it came from."""
        if letter.topic.startswith(PREFIX):
            self._kafka.send(letter.id, letter.topic, letter.detail, payload)
        else:
            self._mqtt.send(letter.id, letter.topic, payload, letter.content_type)


def _plain(letter: DeadLetter) -> dict[str, object]:
    return _written(asdict(letter))


def _written(row: dict[str, object]) -> dict[str, object]:
    """Times as text in UTC."""
    return {
        name: value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(value, datetime)
        else value
        for name, value in row.items()
    }
