"""Command `tonne webhooks`: signed events for other systems."""

from __future__ import annotations

import getpass
import signal
from datetime import UTC, datetime
from uuid import UUID

import click
from psycopg import Connection

from ingest.errors import InputError
from services import webhook_post
from services.cli import Choice, Group, json_option
from services.cli.output import counted, print_json, print_result, print_secret, table, time_text
from services.cli.server_options import METAVAR, database_url, metrics_bind, moment_us
from services.logs import get_logger
from services.metrics import Metrics
from services.settings import Settings
from services.store import webhooks as store
from services.store.postgres.pool import connect
from services.webhooks import MessageServers, Sender

_id = click.argument("id_", metavar="ID")
_author = click.option("--author", help="Name of the person acting; default: the system's user.")
_HOUR_S = 3600


@click.group(cls=Group)
def webhooks() -> None:
    """
    Manage webhooks, which send events to other systems: steps of statements, findings, alarms.

    Each event is CloudEvents 1.0 in JSON, signed according to Standard Webhooks, and sent up to ten
    times in about three days until it is accepted. `tonne watch` or `tonne webhooks send` sends the
    events.

    \b
    Example:
      tonne webhooks add registry --url https://registry.example/tonne --topic statement
    """


@webhooks.command()
@_id
@click.option("--url", required=True, help="Address to which events are posted; https.")
@click.option(
    "--topic",
    "topics",
    type=Choice(store.TOPICS),
    multiple=True,
    help="Topic of events that it receives; repeatable. Default: all.",
)
@click.option(
    "--project",
    "projects",
    multiple=True,
    metavar="ID",
    help="Only events of this project; repeatable. Default: all.",
)
@_author
@json_option
def add(
    id_: str,
    *,
    url: str,
    topics: tuple[str, ...],
    projects: tuple[str, ...],
    author: str | None,
    as_json: bool,
) -> None:
    """
    Register an address for events from now on; its signing secret is printed only once.

    \b
    Example:
      tonne webhooks add registry --url https://registry.example/tonne --topic statement
    """
    _check(url)
    secret = webhook_post.new_secret()
    with _database() as conn:
        made = store.add(conn, id_, url, topics or store.TOPICS, projects or None, secret,
                         author or getpass.getuser())  # fmt: skip
    message = f"{id_}: {', '.join(made.topics)} to {url}; the secret is not shown again"
    print_secret(_fields(made) | {"secret": secret}, secret, message, as_json=as_json)


@webhooks.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """
    List webhooks with their waiting and failed events.

    \b
    Example:
      tonne webhooks list
    """
    with _database() as conn:
        listed = store.webhooks(conn)
    if as_json:
        print_json([_fields(webhook) for webhook in listed])
        return
    head = ("webhook", "url", "topics", "projects", "waiting", "dead", "last delivered", "ended")
    rows = [
        (webhook.id, webhook.url, ", ".join(webhook.topics), ", ".join(webhook.projects or ["all"]),
         webhook.waiting, webhook.dead, webhook.delivered and time_text(webhook.delivered),
         webhook.reason)
        for webhook in listed
    ]  # fmt: skip
    click.echo(table(head, rows, empty="no webhooks"))


@webhooks.command()
@_id
@click.option(
    "--state", type=Choice(store.STATES), help="Only deliveries in this state; default: all."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, help="Maximum number of rows.")
@json_option
def show(id_: str, *, state: str | None, limit: int, as_json: bool) -> None:
    """
    Show deliveries of a webhook, newest first, with the receiver's answers.

    \b
    Example:
      tonne webhooks show registry --state dead
    """
    with _database() as conn:
        store.by_id(conn, id_)
        deliveries = store.deliveries(conn, id_, state, None, limit)
    if as_json:
        print_json([_fields(delivery) | {"event": str(delivery.event)} for delivery in deliveries])
        return
    head = ("event", "type", "subject", "state", "attempts", "tried", "said")
    rows = [
        (str(delivery.event), delivery.type, delivery.subject, delivery.state, delivery.attempts,
         delivery.tried and time_text(delivery.tried), delivery.error or delivery.status)
        for delivery in deliveries
    ]  # fmt: skip
    click.echo(table(head, rows, empty="no such deliveries"))


@webhooks.command()
@_id
@click.option("--overlap", "overlap_h", type=click.IntRange(0, 168), default=24,
              metavar="HOURS", help="Time for which the previous secret is also used.")  # fmt: skip
@json_option
def rotate(id_: str, *, overlap_h: int, as_json: bool) -> None:
    """
    Replace a webhook's signing secret; the previous one is also used for some hours. Printed only
    once.

    \b
    Example:
      tonne webhooks rotate registry --overlap 24
    """
    secret = webhook_post.new_secret()
    with _database() as conn:
        store.rotate(conn, id_, secret, overlap_h * _HOUR_S)
    message = f"{id_}: the previous secret ends in {overlap_h} h; the new one is not shown again"
    made = {"webhook": id_, "secret": secret, "overlap_h": overlap_h}
    print_secret(made, secret, message, as_json=as_json)


@webhooks.command()
@_id
@click.option(
    "--event",
    "events",
    type=click.UUID,
    multiple=True,
    help="Id of an event to resend; repeatable.",
)
@click.option(
    "--since",
    metavar=METAVAR,
    help="Resend all events from this time on, including those before the webhook was added.",
)
@click.option("--dead", is_flag=True, help="Resend all failed events.")
@json_option
def replay(
    id_: str, *, events: tuple[UUID, ...], since: str | None, dead: bool, as_json: bool
) -> None:
    """
    Resend events with their original ids, all or none.

    Events are deleted after TONNE_WEBHOOK_EVENT_DAYS; naming a deleted event is an error.

    \b
    Example:
      tonne webhooks replay registry --dead
      tonne webhooks replay registry --since 2026-03-01
    """
    if not (events or since or dead):
        raise InputError("use one of --event ID, --since TIME and --dead")
    with _database() as conn:
        begin = (
            None
            if since is None
            else datetime.fromtimestamp(moment_us(conn, "--since", since) / 1e6, UTC)
        )
        count = store.replay(conn, id_, events=events, since=begin, dead=dead)
        first = store.oldest(conn)
    text = f"{id_}: {counted(count, 'event')} sent again"
    if begin is not None and first is not None and begin < first:
        text += f"; the oldest stored event is of {time_text(first)}"
    print_result(
        {"webhook": id_, "events": count, "oldest_kept": first and first.isoformat()},
        text,
        as_json=as_json,
    )


@webhooks.command()
@_id
@click.option("--reason", default="removed", help="Reason; shown in the list.")
@json_option
def remove(id_: str, *, reason: str, as_json: bool) -> None:
    """
    Remove a webhook: no more events are sent, and waiting events fail.

    \b
    Example:
      tonne webhooks remove registry --reason "moved to another registry"
    """
    with _database() as conn:
        store.by_id(conn, id_)
        store.end(conn, id_, reason)
    print_result({"webhook": id_, "ended": True}, f"{id_}: ended", as_json=as_json)


@webhooks.command()
@click.option("--once", is_flag=True, help="Send events that are due now, then end.")
@json_option
def send(*, once: bool, as_json: bool) -> None:
    """
    Send events in a separate process, instead of in `tonne watch`.

    Its database login needs the role tonne_events, the only one that reads secrets. Non-public
    addresses are rejected unless listed in TONNE_WEBHOOK_NETWORKS.

    \b
    Example:
      tonne webhooks send
    """
    settings = Settings()
    log, metrics = get_logger("webhooks"), Metrics()
    allowed = webhook_post.networks(settings.webhook_networks)
    message_servers = MessageServers(settings.smtp_url, settings.smtp_from, settings.apprise_config)
    sender = Sender(
        settings.require("database_url"), metrics, log, allowed, message_servers=message_servers
    )
    if once:
        done = sender.once()
        print_result(
            {"taken": done.taken, "failed": done.failed, "dead": done.dead},
            f"{done.taken} delivered, {done.failed} failed, of these {done.dead} "
            "after the last attempt",
            as_json=as_json,
        )
        return
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: sender.stop())
    bind = metrics_bind(settings)
    with metrics.serve(bind):
        log.info("metrics", bind=bind or "off")
        with sender:
            sender.wait()
    log.info("stopped")


def _check(url: str) -> None:
    """Refuse an invalid or non-public URL; a name that does not resolve yet is accepted."""
    target = webhook_post.target_of(url)
    try:
        webhook_post.addresses_of(target, webhook_post.networks(Settings().webhook_networks))
    except OSError as error:
        click.echo(f"tonne: {target.host} does not resolve now: {error}", err=True)


def _fields(row: store.Webhook | store.Delivery) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row._asdict().items()
    }


def _database() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne webhooks", autocommit=True)
