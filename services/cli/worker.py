"""`tonne worker`: Kafka to TimescaleDB."""

from __future__ import annotations

import asyncio

import click

from services.cli.kafka import load, topic_option
from services.cli.metrics_bind import metrics_bind
from services.logs import get_logger
from services.metrics import Metrics
from services.settings import Settings


@click.command(epilog="Example: tonne worker --instance worker-0")
@topic_option
@click.option(
    "--group",
    default="tonne-worker",
    show_default=True,
    help="Consumer group; the same for all workers of a topic.",
)
@click.option(
    "--session",
    "session_s",
    type=click.FloatRange(6, 300),
    default=30,
    show_default=True,
    help="Seconds of silence after which a worker is thought dead.",
)
@click.option("--instance", metavar="NAME", help="A name that stays over restarts of this worker.")
def worker(topic: str, group: str, session_s: float, instance: str | None) -> None:  # fmt: skip
    """Store what bridges put into Kafka, with intervals and emissions."""
    settings = Settings()
    log, metrics = get_logger("worker"), Metrics()
    work = load("services.stream.worker", "work")
    with metrics.serve(metrics_bind(settings)):
        asyncio.run(
            work(settings, topic, metrics, log, group=group, session_s=session_s, instance=instance)
        )
    log.info("stopped")
