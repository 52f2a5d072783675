"""`tonne deadletter expire`: remove what policy no longer keeps, and leave a record of it."""

import getpass
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import click

from services.cli.data.dead_letters_options import NAME
from services.cli.options.database_url import database_url
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def expire_(days: int | None, *, dry_run: bool, history: bool, as_json: bool) -> None:
    """
    Remove dead letters older than policy keeps; what went is recorded for good.

    Without a policy nothing ever goes.  Run it once a day, by cron or by hand.

    \b
    Example:
      tonne deadletter expire --days 400 --dry-run
      tonne deadletter expire --history
    """
    if history:
        _tell_history(as_json=as_json)
        return
    kept = days or Settings().dead_letter_days
    if kept is None:
        raise click.UsageError("no policy: give --days, or set TONNE_DEAD_LETTER_DAYS")
    before = datetime.now(UTC) - timedelta(days=kept)
    with connect(database_url(), name=NAME, autocommit=True) as conn:
        groups = group_letters(conn, Filter(received_to=before), ["reason"])
        count = sum(group["refused"] for group in groups)
        if not dry_run:
            count = expire(conn, before, getpass.getuser())
    if as_json:
        said = {"before": before.isoformat(), "letters": count, "removed": not dry_run}
        click.echo(json.dumps(said))
        return
    verb = "would go" if dry_run else "removed"
    click.echo(f"{verb}: {count} dead letters received before {before:%Y-%m-%d %H:%M:%S}Z")
    for group in groups:
        click.echo(f"{group['refused']:>8}  {group['reason']}, {group['waiting']} never sent again")


def _tell_history(*, as_json: bool) -> None:
    with connect(database_url(), name=NAME) as conn:
        found = removals(conn)
    for one in found:
        if not as_json:
            reasons = ", ".join(f"{reason} {count}" for reason, count in one.reasons.items())
            click.echo(
                f"{one.removed.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z  {one.letters:>8} letters "
                f"received before {one.before.astimezone(UTC):%Y-%m-%d}, by {one.author}: {reasons}"
            )
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2, default=str))
