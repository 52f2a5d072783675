"""`tonne watch`: what only the database knows, for Prometheus."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from functools import partial

import click

from services.cli.pipeline.metrics_bind import metrics_bind
from services.intake.broker_queue import BrokerQueue
from services.issuer import timestamps
from services.issuer.cosigning import Cosigning, Witnesses
from services.issuer.keys import LOG_KEY
from services.issuer.sealer import EVERY_S, Sealer
from services.issuer.watcher import AUDIT_S, LOOK_S, Keep, Watcher
from services.logs import get_logger
from services.metrics import Metrics
from services.settings import Settings
from services.webhooks import addresses
from services.webhooks.people import Ways
from services.webhooks.sender import Sender, may_send


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(1, 3600),
    default=LOOK_S,
    metavar="SECONDS",
    help="Pause between two looks.",
)
@click.option(
    "--audit",
    "audit_s",
    type=click.FloatRange(1, 604_800),
    default=AUDIT_S,
    metavar="SECONDS",
    help="Pause between two audits of the log.",
)
@click.option(
    "--seal/--no-seal",
    default=False,
    help="Seal days in the log once an hour too, with the key in TONNE_HOME/keys.",
)
@click.option(
    "--webhooks/--no-webhooks",
    default=True,
    help="Send events to webhooks too, where the login may (tonne_events).",
)
def watch(every: float, audit_s: float, *, seal: bool, webhooks: bool) -> None:
    """
    Count the fleet, statements and calibrations, add up days, audit the log.

    `tonne run` counts and adds up by itself, but leaves audits to `tonne watch`: they
    would take the core that it needs. One `tonne watch` is enough for a database; its
    login needs tonne_watch, and tonne_mrv with --seal. Metrics are served at TONNE_METRICS_BIND.
    Where TONNE_MQTT_URL names mosquitto, it tells too how much waits there, as the service
    `tonne-watch`.

    \b
    Example:
      tonne watch --seal
    """
    settings = Settings()
    log, metrics = get_logger("watch"), Metrics()
    url = settings.require("database_url")
    watcher = Watcher(
        url, metrics, log, every, audit_s, pulse=metrics.pulse, keep=Keep.by(settings)
    )
    stamps = partial(timestamps.policy_of, settings)
    sealer = Sealer(url, settings.home, LOG_KEY, EVERY_S, metrics, log, stamps=stamps)
    queue = BrokerQueue.by(settings, metrics, log) or nullcontext()
    whom = Witnesses.by(settings) if seal else None
    allowed = addresses.networks(settings.webhook_networks)
    sends = webhooks and may_send(url, log)
    ways = Ways(settings.smtp_url, settings.smtp_from, settings.apprise_config)
    events = Sender(url, metrics, log, allowed, ways=ways) if sends else nullcontext()
    cosigning = nullcontext() if whom is None else Cosigning(url, whom, metrics, log)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: watcher.stop())
    bind = metrics_bind(settings)
    with metrics.serve(bind):
        log.info("metrics", bind=bind or "off")
        with watcher, sealer if seal else nullcontext(), cosigning, queue, events:
            watcher.wait()
    log.info("stopped")
