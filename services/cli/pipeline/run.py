"""`tonne run`: the embedded pipeline."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from functools import partial

import click

from services.cli.options.servers import metrics_bind, wait_option
from services.embedded import Runner
from services.intake.principal_quota import Limits
from services.intake.receive import BATCH
from services.intake.sparkplug import sparkplug_nodes
from services.issuer import timestamps
from services.issuer.cosigning import Cosigning, Witnesses
from services.issuer.keys import LOG_KEY
from services.issuer.seal import EVERY_S, Sealer
from services.issuer.watcher import Keep, Watcher
from services.logs import get_logger
from services.metrics import Metrics
from services.settings import Settings


@click.command()
@click.option("--client-id", default="tonne-run", help="MQTT client id of the persistent session.")
@click.option(
    "--batch",
    type=click.IntRange(1, 20_000),
    default=BATCH,
    help="Maximum number of messages per transaction.",
)
@click.option(
    "--seal/--no-seal",
    default=True,
    help="Also seal days in the log at regular intervals, with the key in TONNE_HOME/keys.",
)
@click.option(
    "--watch/--no-watch",
    default=True,
    help="Also count devices, statements and calibrations at regular intervals, for metrics.",
)
@wait_option
def run(client_id: str, batch: int, *, seal: bool, watch: bool, wait_s: float) -> None:
    """
    Receive readings from MQTT and store them with their 15-minute intervals and emissions.

    Runs until stopped; writes its log as one JSON object per line.

    \b
    Example:
      tonne local up && tonne migrate && tonne run
    """
    settings = Settings()
    log, metrics = get_logger("run"), Metrics()
    runner = Runner(
        settings.require("database_url"),
        settings.require("mqtt_url"),
        client_id,
        metrics,
        log,
        batch,
        sparkplug_nodes(settings),
        settings.sparkplug_host_id,
        settings.mqtt_tls,
        wait_s=wait_s,
        letter_bytes=settings.dead_letter_bytes_a_day,
        limits=Limits.by(settings),
    )
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: runner.stop())
    bind = metrics_bind(settings)
    with metrics.serve(bind):
        log.info("metrics", bind=bind or "off")
        sealer = Sealer(
            settings.require("database_url"),
            settings.home,
            LOG_KEY,
            EVERY_S,
            metrics,
            log,
            stamps=partial(timestamps.policy_of, settings),
        )
        watcher = (
            Watcher(settings.require("database_url"), metrics, log, keep=Keep.by(settings))
            if watch
            else nullcontext()
        )
        whom = Witnesses.by(settings) if seal else None
        cosigning = (
            nullcontext()
            if whom is None
            else Cosigning(settings.require("database_url"), whom, metrics, log)
        )
        with sealer if seal else nullcontext(), cosigning, watcher:
            runner.run()
    log.info("stopped")
