"""
Command `tonne deadletter`: rejected messages with reasons, and resending them once the cause
is removed.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from psycopg import Connection

from ingest import sparkplug
from ingest.errors import InputError, did_you_mean
from services.cli import NEW_FILE, Choice, Group, json_option
from services.cli import json_option as json_
from services.cli.output import bar, counted, print_json, print_result, table, time_text
from services.cli.payload_text import (
    PREFIX,
    Redeliverer,
    Republisher,
    dump,
    legible,
    metrics,
    partial,
)
from services.cli.server_options import database_url, maybe_span, operator_tls
from services.cli.server_options import maybe_begin_option as begin_
from services.cli.server_options import maybe_end_option as end_
from services.settings import Settings, SettingsError
from services.store.dead_letter_query import (
    GROUPS,
    LEAST_DAYS,
    REASONS,
    DeadLetter,
    Filter,
    count_letters,
    expire,
    get_letter,
    group_letters,
    list_letters,
    mark_replayed,
    removals,
)
from services.store.postgres.pool import connect
from services.store.registry import names, zones_of

__all__ = ["NAME", "begin_", "device_", "end_", "json_", "principal_", "reason_", "selected"]

NAME = "tonne deadletter"

reason_ = click.option(
    "--reason",
    help="Only messages rejected for this reason; docs/rejected.md lists them. Default: all.",
)
device_ = click.option(
    "--device", metavar="ID", help="Only messages about this device; default: all."
)
principal_ = click.option(
    "--principal",
    metavar="ID",
    help="Only messages of this sender, even if the device is unknown; default: all.",
)


def selected(
    conn: Connection,
    reason: str | None,
    device: str | None,
    begin: str | None,
    end: str | None,
    ids: Sequence[int] | None = None,
    *,
    waiting: bool = False,
    principal: str | None = None,
) -> Filter:
    """
    Return the filter for the selected dead letters, received in [begin, end).

    Raises InputError for an unknown reason, or a device neither registered nor named by a dead
    letter.
    Raises PeriodError for an invalid time span.
    """
    if reason is not None and reason not in REASONS:
        _known(reason, "reason", {*REASONS, *_distinct(conn, "reason")})
    registered = set(names(conn, "device"))
    if device is not None and device not in registered:
        _known(device, "device", registered | _distinct(conn, "device_id"))
    if principal is not None and principal not in registered:
        _known(principal, "principal", registered | _distinct(conn, "principal"))
    zone_of = next((name for name in (device, principal) if name in registered), None)
    span = maybe_span(conn, begin, end, zone_of)
    return Filter(ids, reason, device, *span, waiting=waiting, principal=principal)


def _distinct(conn: Connection, column: str) -> set[str]:
    query = {
        "reason": "SELECT DISTINCT reason FROM dead_letter",
        "principal": "SELECT DISTINCT principal FROM dead_letter",
        "device_id": "SELECT DISTINCT device_id FROM dead_letter WHERE device_id IS NOT NULL",
    }[column]
    return {str(row[0]) for row in conn.execute(query)}


def _known(name: str, kind: str, known: set[str]) -> None:
    if name not in known:
        near = did_you_mean(name, known) or "`tonne deadletter count` lists the known ones"
        raise InputError(f"no {kind} {name!r} is known; {near}")


@click.command("expire")
@click.option(
    "--days",
    type=click.IntRange(LEAST_DAYS),
    help=f"Number of days to keep, at least {LEAST_DAYS}; default: TONNE_DEAD_LETTER_DAYS.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.option(
    "--history", is_flag=True, help="List all earlier deletions: messages, time and person."
)
@json_option
def expire_(days: int | None, *, dry_run: bool, history: bool, as_json: bool) -> None:
    """
    Delete dead letters beyond the retention period; each deletion is recorded.

    `tonne run` and `tonne watch` delete them automatically after TONNE_DEAD_LETTER_DAYS (default
    90; 0 keeps all).

    \b
    Example:
      tonne deadletter expire --days 400 --dry-run
      tonne deadletter expire --history
    """
    if history:
        _print_history(as_json=as_json)
        return
    kept = days or Settings().dead_letter_days
    if not kept:
        raise click.UsageError(
            "TONNE_DEAD_LETTER_DAYS is 0, so all dead letters are kept: use --days"
        )
    before = datetime.now(UTC) - timedelta(days=kept)
    with connect(database_url(), name=NAME, autocommit=True) as conn:
        groups = group_letters(conn, Filter(received_to=before), ["reason"])
        count = sum(group["refused"] for group in groups)
        if not dry_run:
            count = expire(conn, before, getpass.getuser())
    if as_json:
        print_json({"before": before, "letters": count, "removed": not dry_run})
        return
    verb = "would go" if dry_run else "removed"
    click.echo(f"{verb}: {counted(count, 'dead letter')} received before {time_text(before)}")
    rows = [(group["refused"], group["waiting"], group["reason"]) for group in groups]
    if rows:
        click.echo(table(("letters", "never sent again", "reason"), rows, empty=""))


def _print_history(*, as_json: bool) -> None:
    with connect(database_url(), name=NAME) as conn:
        removed = removals(conn)
    rows = [
        (time_text(letter.removed), letter.letters, time_text(letter.before), letter.author,
         ", ".join(f"{reason} {count}" for reason, count in letter.reasons.items()))
        for letter in removed
    ]  # fmt: skip
    head = ("removed", "letters", "received before", "by", "reasons")
    print_result(
        removed, table(head, rows, empty="no dead letter was ever removed"), as_json=as_json
    )


@click.command()
@click.argument("letters", nargs=-1, type=int)
@reason_
@device_
@principal_
@begin_
@end_
@click.option("--again", is_flag=True, help="Include messages that were already resent.")
@json_
def replay(
    letters: tuple[int, ...],
    reason: str | None,
    device: str | None,
    principal: str | None,
    begin: str | None,
    end: str | None,
    *,
    again: bool,
    as_json: bool,
) -> None:
    """
    Resend dead letters to the broker or to Kafka, oldest first.

    Select by number, reason, device or time span.  The messages pass through the pipeline again;
    those rejected again become new dead letters.  Records that workers could not read go back to
    their Kafka topic.

    \b
    Example:
      tonne deadletter replay 17 18
      tonne deadletter replay --reason unknown_device --from 2026-01-01
    """
    if not (letters or reason or device or principal or begin or end):
        raise click.UsageError(
            "no dead letter is named; pass numbers, --reason, --device, --principal, --from or --to"
        )
    with connect(database_url(), name=NAME, autocommit=True) as conn:
        wanted = selected(
            conn, reason, device, begin, end, letters or None,
            waiting=not again, principal=principal,
        )  # fmt: skip
        chosen = list_letters(conn, wanted)[::-1]
        missing = set(letters) - {letter.id for letter in chosen}
        if missing:
            numbers = ", ".join(map(str, sorted(missing)))
            raise InputError(
                f"dead letters {numbers} are unknown, or were sent again earlier; to repeat "
                "them, use --again"
            )
        with _Senders() as senders, bar("dead letters", len(chosen)) as progress:
            for letter in chosen:
                _, payload = get_letter(conn, letter.id)
                senders.send(letter, payload)
                mark_replayed(conn, letter.id, getpass.getuser())
                progress.advance()
    if as_json:
        click.echo(json.dumps([letter.id for letter in chosen]))
    else:
        click.echo(f"{counted(len(chosen), 'dead letter')} sent again")


class _Senders(ExitStack):
    """Connections to the brokers of the dead letters, each opened at first use."""

    @cached_property
    def _mqtt(self) -> Republisher:
        settings = Settings()
        broker = settings.mqtt_url
        if not broker:
            raise SettingsError("no broker is set; set TONNE_MQTT_URL, or run `tonne local up`")
        return self.enter_context(Republisher(broker, operator_tls(settings)))

    @cached_property
    def _kafka(self) -> Redeliverer:
        return self.enter_context(Redeliverer(Settings().require_kafka()))

    def send(self, letter: DeadLetter, payload: bytes) -> None:
        """Send a dead letter's payload to its original topic."""
        if letter.topic.startswith(PREFIX):
            self._kafka.send(letter.id, letter.topic, letter.detail, payload)
        else:
            self._mqtt.send(letter.id, letter.topic, payload, letter.content_type)


_DISPLAYED_BYTES = 2_000
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
@click.option("--limit", type=click.IntRange(1), default=100, help="Maximum number of rows.")
@click.option(
    "--group-by",
    "groups",
    multiple=True,
    type=Choice(list(GROUPS)),
    help="Print counts by this column instead of messages; repeatable. Default: messages.",
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
            counts = group_letters(conn, wanted, groups)[:limit]
            zones = zones_of(conn, [group.get("device") for group in counts])
            _print_groups(counts, groups, zones, as_json=as_json)
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


def _print_groups(
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
    head = ("rejected", "not sent again", *by, "last", "such as")
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
    head = ("rejected", "not sent again", "reason", "device", "last")
    print_result(counts, table(head, rows, empty=_NONE), as_json=as_json)


@deadletter.command()
@click.argument("letter", type=int)
@click.option("--out", type=NEW_FILE, help="Write the bytes to this file; default: no file.")
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
        click.echo(ascii(payload[:_DISPLAYED_BYTES]))
