"""`tonne topics`: the Kafka topic that bridges write and workers read, and its dead letters."""

from __future__ import annotations

import click

from services.cli.groups import Group
from services.cli.options.json_option import json_option
from services.cli.output.json_text import say
from services.cli.output.table import table
from services.cli.pipeline.kafka_options import load, topic_option
from services.settings import Settings


@click.group(cls=Group)
def topics() -> None:
    """
    The Kafka topic that bridges write and workers read.

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
@click.option(
    "--dead-hours", type=click.IntRange(1), default=8_760, show_default=True,
    help="How long records that could not be stored are kept.",
)  # fmt: skip
@click.option(
    "--dead-compact/--dead-delete", default=True, show_default=True,
    help="Keep one copy of a dead letter, or all; the topic of parcels is never compacted.",
)  # fmt: skip
@json_option
def apply_topic(
    topic: str,
    partitions: int,
    replication: int,
    retention_hours: int,
    dead_hours: int,
    *,
    dead_compact: bool,
    as_json: bool,
) -> None:
    """
    Make the topic and its dead-letter topic, or check that they are as asked for.

    \b
    Example:
      tonne topics apply --partitions 8 --replication 3
    """
    make, dead = load("services.intake.topics", "Topic"), load("services.intake.topics", "dead")
    url, apply = Settings().require("kafka_url"), load("services.intake.topics", "apply")
    done: list[dict[str, object]] = []
    for wanted in (
        make(topic, partitions, replication, retention_hours),
        make(dead(topic), 1, replication, dead_hours, compact=dead_compact),
    ):
        made = "made" if apply(url, wanted) else "as asked for"
        done.append({"topic": wanted.name, "result": made, "partitions": wanted.partitions})
    rows = [list(one.values()) for one in done]
    say(done, table(("topic", "result", "partitions"), rows, empty=""), as_json=as_json)
