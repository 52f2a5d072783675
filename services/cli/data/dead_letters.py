"""`tonne deadletter`: what was refused and why, and once more after the cause is mended."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from ingest import sparkplug
from services.cli.data.dead_letters_expire import expire_
from services.cli.data.dead_letters_options import NAME, begin_, device_, end_, json_, reason_
from services.cli.data.dead_letters_replay import replay
from services.cli.data.payload_dump import dump, partial
from services.cli.data.payload_text import legible, metrics
from services.cli.options.database_url import database_url
from services.store.messages.dead_letter_groups import GROUPS, group_letters
from services.store.messages.dead_letter_query import (
    DeadLetter,
    Filter,
    count_letters,
    get_letter,
    list_letters,
)
from services.store.postgres.pool import connect

_SHOWN_BYTES = 2_000


@click.group()
def deadletter() -> None:
    """
    Refused messages: each is kept with its bytes and a reason.

    \b
    Example:
      tonne deadletter list --reason unknown_device
      tonne deadletter replay --reason unknown_device
    """


deadletter.add_command(expire_)
deadletter.add_command(replay)


@deadletter.command("list")
@reason_
@device_
@begin_
@end_
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option(
    "--group-by",
    "groups",
    multiple=True,
    type=click.Choice(list(GROUPS)),
    help="Counts instead of letters; may be given several times.",
)
@json_
def list_(
    reason: str | None,
    device: str | None,
    begin: datetime | None,
    end: datetime | None,
    *,
    limit: int,
    groups: tuple[str, ...],
    as_json: bool,
) -> None:
    """
    Newest first, or in groups, the largest first.

    \b
    Example:
      tonne deadletter list --device inv-001 --from 2026-01-01T00:00:00+07:00
      tonne deadletter list --group-by reason --group-by device
    """
    wanted = Filter(reason=reason, device=device, received_from=begin, received_to=end)
    if groups:
        _tell_groups(wanted, groups, limit, as_json=as_json)
        return
    with connect(database_url(), name=NAME) as conn:
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


def _tell_groups(wanted: Filter, by: Sequence[str], limit: int, *, as_json: bool) -> None:
    with connect(database_url(), name=NAME) as conn:
        found = group_letters(conn, wanted, by)[:limit]
    if as_json:
        click.echo(json.dumps([_written(one) for one in found], indent=2))
        return
    for one in found:
        names = "  ".join(f"{one[name] or '-':<20}" for name in by)
        click.echo(
            f"{one['refused']:>8}  {names} last {one['last'].astimezone(UTC):%Y-%m-%d %H:%M:%S}Z, "
            f"{one['waiting']} not sent again, such as {one['example']}"
        )


@deadletter.command("count")
@reason_
@device_
@begin_
@end_
@json_
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
    with connect(database_url(), name=NAME) as conn:
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
@json_
def show(letter: int, *, out: Path | None, as_json: bool) -> None:
    """
    One dead letter, what can be read of it, where it breaks off, and its bytes.

    \b
    Example:
      tonne deadletter show 17 --out refused.bin
    """
    with connect(database_url(), name=NAME) as conn:
        found, payload = get_letter(conn, letter)
    if out is not None:
        out.write_bytes(payload)
    if found.topic.startswith(sparkplug.PREFIX):
        read = metrics(payload)
    else:
        read = legible(payload, found.content_type, round(found.received.timestamp() * 1e6))
    far = partial(payload)
    if as_json:
        shown = {
            **_plain(found), "read": read, "position": far.position, "broken": far.why or None,
            "before": far.values, "payload_hex": payload.hex(),
        }  # fmt: skip
        click.echo(json.dumps(shown, indent=2))
        return
    for name, value in _plain(found).items():
        click.echo(f"{name:<13} {'-' if value is None else value}")
    for line in read:
        click.echo(f"{'read':<13} {line}")
    if far.position is not None:
        click.echo(f"{'broken':<13} at byte {far.position}: {far.why}")
    for value in far.values:
        click.echo(f"{'before':<13} {value}")
    for line in dump(payload, far.position):
        click.echo(line)
    if out is None:
        click.echo(ascii(payload[:_SHOWN_BYTES]))


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
