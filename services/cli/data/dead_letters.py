"""
Command `tonne deadletter`: rejected messages with reasons, and resending them once the cause
is removed.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ingest import sparkplug
from services.cli.data.dead_letters_replay import (
    NAME,
    begin_,
    device_,
    end_,
    expire_,
    json_,
    principal_,
    reason_,
    replay,
    selected,
)
from services.cli.data.payload_text import dump, legible, metrics, partial
from services.cli.options.common import Choice, Group
from services.cli.options.servers import database_url
from services.cli.output.text import print_json, print_result, table, time_text
from services.store.messages.dead_letter_query import (
    GROUPS,
    count_letters,
    get_letter,
    group_letters,
    list_letters,
)
from services.store.postgres.pool import connect
from services.store.registry.known import zones_of

_SHOWN_BYTES = 2_000
_NONE = "no such dead letter"


@click.group(cls=Group)
def deadletter() -> None:
    """
    List and resend rejected messages, which are stored unchanged with the reason.

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
@principal_
@begin_
@end_
@click.option("--limit", type=click.IntRange(1), default=100)
@click.option(
    "--group-by",
    "groups",
    multiple=True,
    type=Choice(list(GROUPS)),
    help="Print counts by this column instead of messages; repeatable.",
)
@json_
def list_(
    reason: str | None,
    device: str | None,
    principal: str | None,
    begin: str | None,
    end: str | None,
    *,
    limit: int,
    groups: tuple[str, ...],
    as_json: bool,
) -> None:
    """
    List dead letters, newest first; with --group-by, counts per group, largest first.

    \b
    Example:
      tonne deadletter list --device inv-001 --from 2026-01-01
      tonne deadletter list --principal new-meter
      tonne deadletter list --group-by reason --group-by device
    """
    with connect(database_url(), name=NAME) as conn:
        wanted = selected(conn, reason, device, begin, end, principal=principal)
        if groups:
            groups_found = group_letters(conn, wanted, groups)[:limit]
            zones = zones_of(conn, [group.get("device") for group in groups_found])
            _tell_groups(groups_found, groups, zones, as_json=as_json)
            return
        letters = list_letters(conn, wanted, limit)
        zones = zones_of(conn, [letter.device for letter in letters])
    if as_json:
        print_json(letters)
        return
    rows = [
        (
            letter.id,
            time_text(letter.received, zones[letter.device]),
            letter.reason,
            "yes" if letter.replayed else "no",
            f"{letter.topic}: {letter.detail}",
        )
        for letter in letters
    ]
    head = ("number", "received", "reason", "sent again", "topic and detail")
    click.echo(table(head, rows, empty=_NONE))
    if len(letters) == limit:
        click.echo(f"the newest {limit:,}; --limit shows more")


def _tell_groups(
    groups_: list[dict[str, Any]], by: Sequence[str], zones: dict[str | None, str], *, as_json: bool
) -> None:
    rows = [
        (
            group["refused"],
            group["waiting"],
            *(group[name] for name in by),
            time_text(group["last"], zones[group.get("device")]),
            group["example"],
        )
        for group in groups_
    ]
    head = ("refused", "not sent again", *by, "last", "such as")
    print_result(groups_, table(head, rows, empty=_NONE), as_json=as_json)


@deadletter.command("count")
@reason_
@device_
@begin_
@end_
@json_
def count(
    reason: str | None, device: str | None, begin: str | None, end: str | None, *, as_json: bool
) -> None:
    """
    Count dead letters by reason and device, most frequent first.

    \b
    Example:
      tonne deadletter count --from 2026-01-01
    """
    with connect(database_url(), name=NAME) as conn:
        counts = count_letters(conn, selected(conn, reason, device, begin, end))
        zones = zones_of(conn, [count.device for count in counts])
    rows = [
        (c.refused, c.waiting, c.reason, c.device, time_text(c.last, zones[c.device]))
        for c in counts
    ]
    head = ("refused", "not sent again", "reason", "device", "last")
    print_result(counts, table(head, rows, empty=_NONE), as_json=as_json)


@deadletter.command()
@click.argument("letter", type=int)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the bytes to this file."
)
@json_
def show(letter: int, *, out: Path | None, as_json: bool) -> None:
    """
    Show one dead letter: decoded contents, position of the error, raw bytes.

    \b
    Example:
      tonne deadletter show 17 --out refused.bin
    """
    with connect(database_url(), name=NAME) as conn:
        letter_row, payload = get_letter(conn, letter)
        zone = zones_of(conn, [letter_row.device])[letter_row.device]
    if out is not None:
        out.write_bytes(payload)
    if letter_row.topic.startswith(sparkplug.PREFIX):
        read = metrics(payload)
    else:
        read = legible(
            payload, letter_row.content_type, round(letter_row.received.timestamp() * 1e6)
        )
    far = partial(payload)
    if as_json:
        fields = {
            **asdict(letter_row),
            "read": read,
            "position": far.position,
            "broken": far.why or None,
            "before": far.values,
            "payload_hex": payload.hex(),
        }
        print_json(fields)
        return
    for name, value in asdict(letter_row).items():
        text = time_text(value, zone) if isinstance(value, datetime) else value
        click.echo(f"{name:<13} {'-' if text is None else text}")
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
