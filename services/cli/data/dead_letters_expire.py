"""`tonne deadletter expire`: remove what policy no longer keeps, and leave a record of it."""

import getpass
from datetime import UTC, datetime, timedelta

import click

from services.cli.data.dead_letters_options import NAME
from services.cli.options.database_url import database_url
from services.cli.options.json_option import json_option
from services.cli.output.counts import counted
from services.cli.output.json_text import print_json, print_result
from services.cli.output.table import table
from services.cli.output.times import shown_time
from services.settings import Settings
from services.store.messages.dead_letter_expiry import LEAST_DAYS, expire, removals
from services.store.messages.dead_letter_groups import group_letters
from services.store.messages.dead_letter_query import Filter
from services.store.postgres.pool import connect


@click.command("expire")
@click.option(
    "--days",
    type=click.IntRange(LEAST_DAYS),
    help=f"Keep this many days, {LEAST_DAYS} at least; else TONNE_DEAD_LETTER_DAYS.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--history", is_flag=True, help="What was ever removed, when and by whom.")
@json_option
def expire_(days: int | None, *, dry_run: bool, history: bool, as_json: bool) -> None:
    """
    Remove dead letters older than policy keeps; what went is recorded for good.

    `tonne run` and `tonne watch` do it by themselves, by TONNE_DEAD_LETTER_DAYS: 90 where
    it is not set, for ever where it is 0.

    \b
    Example:
      tonne deadletter expire --days 400 --dry-run
      tonne deadletter expire --history
    """
    if history:
        _tell_history(as_json=as_json)
        return
    kept = days or Settings().dead_letter_days
    if not kept:
        raise click.UsageError("TONNE_DEAD_LETTER_DAYS is 0, which keeps all: give --days")
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
    click.echo(f"{verb}: {counted(count, 'dead letter')} received before {shown_time(before)}")
    rows = [(group["refused"], group["waiting"], group["reason"]) for group in groups]
    if rows:
        click.echo(table(("letters", "never sent again", "reason"), rows, empty=""))


def _tell_history(*, as_json: bool) -> None:
    with connect(database_url(), name=NAME) as conn:
        found = removals(conn)
    rows = [
        (shown_time(one.removed), one.letters, shown_time(one.before), one.author,
         ", ".join(f"{reason} {count}" for reason, count in one.reasons.items()))
        for one in found
    ]  # fmt: skip
    head = ("removed", "letters", "received before", "by", "reasons")
    print_result(found, table(head, rows, empty="nothing was ever removed"), as_json=as_json)
