"""`tonne run`: the embedded pipeline."""

from __future__ import annotations

import signal

import click
from prometheus_client import disable_created_metrics

from services.cli.metrics_bind import metrics_bind
from services.embedded.runner import Runner
from services.intake.receiver import BATCH
from services.logs import get_logger
from services.metrics import Metrics
from services.settings import Settings


@click.command(epilog="Example: tonne local up && tonne migrate && tonne run")
@click.option(
    "--client-id", default="tonne-run", show_default=True, help="Names the durable session."
)
@click.option(
    "--batch", type=click.IntRange(1, 20_000), default=BATCH, show_default=True,
    help="Most messages a transaction.",
)  # fmt: skip
def run(client_id: str, batch: int) -> None:
    """Take readings from MQTT, store them with their intervals and emissions."""
    settings = Settings()
    # a timestamp beside each counter would double what is scraped
    disable_created_metrics()  # type: ignore[no-untyped-call]
    log, metrics = get_logger("run"), Metrics()
    runner = Runner(
        settings.require("database_url"),
        settings.require("mqtt_url"),
        client_id,
        metrics,
        log,
        batch,
    )
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: runner.stop())
    bind = metrics_bind(settings)
    with metrics.serve(bind):
        log.info("metrics", bind=bind or "off")
        runner.run()
    log.info("stopped")
