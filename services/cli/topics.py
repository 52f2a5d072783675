"""`tonne topics`: the Kafka topic that bridges write and workers read."""

from __future__ import annotations

import click

from services.cli.kafka import load, topic_option
from services.settings import Settings


@click.group()
def topics() -> None:
    """
    The Kafka topic that bridges write and workers read.

    \b
    Example:
      tonne topics apply --partitions 8 --replication 3
    """


@topics.command(name="apply", epilog="Example: tonne topics apply --partitions 8 --replication 3")
@topic_option
@click.option(
    "--partitions",
    type=click.IntRange(1, 10_000),
    default=8,
    show_default=True,
    help="The most workers that can share the work.",
)
@click.option(
    "--replication",
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    help="Copies of each record; 3 in production.",
)
@click.option(
    "--retention-hours", type=click.IntRange(1), default=168, show_default=True,
    help="How long records are kept: the longest time workers may be away.",
)  # fmt: skip
def apply_topic(topic: str, partitions: int, replication: int, retention_hours: int) -> None:
    """Make the topic, or check that it is as asked for."""
    wanted = load("services.intake.topics", "Topic")(
        topic, partitions, replication, retention_hours
    )
    made = load("services.intake.topics", "apply")(Settings().require("kafka_url"), wanted)
    click.echo(f"{topic}: {'made' if made else 'as asked for'}, {partitions} partitions")
