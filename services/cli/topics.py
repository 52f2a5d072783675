"""
Commands `tonne topics` (Kafka topic and its dead-letter topic) and `tonne bridge` (MQTT to
Kafka).
"""

from __future__ import annotations

import signal
from typing import Any

import click

from ingest.errors import InputError
from services.cli import Group, json_option
from services.cli.output import print_result, table
from services.cli.server_options import load_kafka, metrics_bind, topic_option, wait_option
from services.intake.principal_quota import Limits
from services.intake.receive import BATCH
from services.logs import LibraryLog, get_logger
from services.metrics import Metrics
from services.settings import Settings


@click.group(cls=Group)
def topics() -> None:
    """
    Manage the Kafka topic written by `tonne bridge` and read by `tonne worker`.

    \b
    Example:
      tonne topics apply --partitions 8 --replication 3
    """


@topics.command(name="apply")
@topic_option
@click.option(
    "--partitions",
    type=click.IntRange(1, 10_000),
    default=8,
    help="Number of partitions: the maximum number of workers that can share the work.",
)
@click.option(
    "--replication",
    type=click.IntRange(1, 10),
    default=1,
    help="Number of copies of each record; 3 in production.",
)
@click.option(
    "--retention-hours",
    type=click.IntRange(1),
    default=168,
    help="Retention of records in hours: longer than any outage of the workers.",
)
@click.option(
    "--dead-hours",
    type=click.IntRange(1),
    default=8_760,
    help="Retention in hours of dead letters, which are records that could not be stored.",
)
@click.option(
    "--dead-compact/--dead-delete",
    default=True,
    help="Keep only the last copy of each dead letter, or all until they expire.",
)
@click.option(
    "--alter",
    is_flag=True,
    help="Change settings that differ, where possible; new partitions reassign devices.",
)
@json_option
def apply_topic(
    topic: str,
    partitions: int,
    replication: int,
    retention_hours: int,
    dead_hours: int,
    *,
    dead_compact: bool,
    alter: bool,
    as_json: bool,
) -> None:
    """
    Create the topic and its dead-letter topic, or check their settings.

    A record counts as stored once all copies except one have it (min.insync.replicas).

    \b
    Example:
      tonne topics apply --partitions 8 --replication 3
    """
    make, dead, settle, brokers = (
        load_kafka("services.intake.topics", name)
        for name in ("Topic", "dead", "settle", "brokers")
    )
    kafka = Settings().require_kafka()
    count = brokers(kafka)
    if replication == 1 and count > 1:
        click.echo(
            f"one copy of each record on {count} brokers: the loss of a broker loses "
            "its records; use --replication 3",
            err=True,
        )
    done: list[dict[str, object]] = []
    left: list[Any] = []
    for wanted in (
        make(topic, partitions, replication, retention_hours),
        make(dead(topic), 1, replication, dead_hours, compact=dead_compact),
    ):
        made, differ = settle(kafka, wanted, alter=alter)
        left += differ
        result = "made" if made else "differs" if differ else "as asked for"
        done.append({"topic": wanted.name, "result": result, "partitions": wanted.partitions})
    rows = [list(row.values()) for row in done]
    print_result(done, table(("topic", "result", "partitions"), rows, empty=""), as_json=as_json)
    if left:
        rows_left = [
            (
                difference.topic,
                difference.setting,
                difference.present,
                difference.wanted,
                difference.how,
            )
            for difference in left
        ]
        heads = ("topic", "setting", "is", "requested", "change")
        raise InputError(
            f"Kafka topics differ from the requested settings; make each"
            f" change:\n{table(heads, rows_left, empty='')}"
        )


@topics.command()
@topic_option
@click.option("--group", default="tonne-worker", help="Consumer group of the workers.")
@click.option("--bridge", default="tonne-bridge", help="Kafka user of the bridges.")
@click.option("--worker", default="tonne-worker", help="Kafka user of the workers.")
@click.option("--admin", default="tonne-admin", help="Kafka user of the administrator.")
@click.option(
    "--apply",
    "apply_",
    is_flag=True,
    help="Set the access rights; the user needs permission to do so.",
)
@json_option
def access(
    topic: str, group: str, bridge: str, worker: str, admin: str, *, apply_: bool, as_json: bool
) -> None:
    """
    Show the access rights that each Kafka user needs, and those that the broker has.

    The bridge writes the topic. The worker reads it, writes its dead-letter topic and uses its
    consumer group. The administrator creates topics, resends dead letters and reads settings. No
    other rights are needed.

    \b
    Example:
      tonne topics access
      tonne topics access --apply
    """
    needed = load_kafka("services.intake.topics", "needed")
    grants = needed(topic, group, bridge, worker, admin)
    if apply_:
        load_kafka("services.intake.topics", "grant")(Settings().require_kafka(), grants)
    rows = [(grant.user, grant.operation, grant.resource, grant.name) for grant in grants]
    heads = ("user", "may", "of", "name")
    text = table(heads, rows, empty="")
    commands = "\n".join(grant.command for grant in grants)
    print_result(
        [dict(zip(heads, row, strict=True)) for row in rows],
        text if apply_ else f"{text}\n\n{commands}",
        as_json=as_json,
    )


@click.command()
@topic_option
@click.option(
    "--client-id",
    default="tonne-bridge",
    help="MQTT client id of the persistent session, different for each bridge.",
)
@click.option(
    "--share",
    metavar="NAME",
    help=(
        "Divide the messages among all bridges of this group (MQTT shared subscription); "
        "default: this bridge gets all."
    ),
)
@click.option(
    "--batch",
    type=click.IntRange(1, 20_000),
    default=BATCH,
    help="Maximum number of messages sent at once.",
)
@wait_option
def bridge(topic: str, client_id: str, share: str | None, batch: int, wait_s: float) -> None:
    """
    Copy readings from MQTT to Kafka; each is acknowledged once Kafka has stored it.

    \b
    Example:
      tonne topics apply && tonne bridge
    """
    if share is not None and (not share or set(share) & set("/+#")):
        raise click.BadParameter(f"{share!r} is not a name without / + #", param_hint="--share")
    settings = Settings()
    log, metrics = get_logger("bridge"), Metrics()
    running = load_kafka("services.bridge", "Bridge")(
        settings.require("database_url"),
        settings.require("mqtt_url"),
        settings.require_kafka(),
        topic,
        client_id,
        metrics,
        log,
        batch,
        share,
        rebirth_s=settings.sparkplug_rebirth_s,
        host_id=settings.sparkplug_host_id,
        tls=settings.mqtt_tls,
        wait_s=wait_s,
        limits=Limits.by(settings),
    )
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: running.stop())
    bind = metrics_bind(settings)
    with LibraryLog(log), metrics.serve(bind):
        log.info("metrics", bind=bind or "off")
        running.run()
    log.info("stopped")
