"""`tonne bridge`: MQTT to Kafka."""

from __future__ import annotations

import signal

import click

from services.cli.options.servers import load_kafka, metrics_bind, topic_option, wait_option
from services.intake.principal_quota import Limits
from services.intake.receive import BATCH
from services.logs import LibraryLog, get_logger
from services.metrics import Metrics
from services.settings import Settings


@click.command()
@topic_option
@click.option(
    "--client-id", default="tonne-bridge", help="Names the durable session; each bridge its own."
)
@click.option("--share", metavar="NAME", help="Split the messages with bridges of this name.")
@click.option(
    "--batch", type=click.IntRange(1, 20_000), default=BATCH, help="Most messages sent at once."
)
@wait_option
def bridge(topic: str, client_id: str, share: str | None, batch: int, wait_s: float) -> None:
    """
    Take readings from MQTT and put them into Kafka; acknowledge once it has them.

    \b
    Example:
      tonne topics apply && tonne bridge
    """
    if share is not None and (not share or set(share) & set("/+#")):
        raise click.BadParameter("a name without / + #", param_hint="--share")
    settings = Settings()
    log, metrics = get_logger("bridge"), Metrics()
    running = load_kafka("services.bridge.bridge", "Bridge")(
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
