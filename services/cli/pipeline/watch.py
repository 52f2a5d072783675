"""
Further processes: `tonne watch` for Prometheus, `tonne signer` for the log.

`tonne watch`: what only the database knows, for Prometheus.

`tonne signer`: the process that holds the log's key, apart from whatever answers HTTP.
"""

from __future__ import annotations

import signal
from contextlib import ExitStack, nullcontext
from functools import partial

import click

from services.cli.options.servers import database_url, metrics_bind
from services.intake.broker_queue import BrokerQueue
from services.issuer import timestamps
from services.issuer import transitions as life
from services.issuer.cosigning import Cosigning, Witnesses
from services.issuer.keys import LOG_KEY
from services.issuer.request_runner import Runner
from services.issuer.requests import Desk
from services.issuer.seal import EVERY_S, Sealer
from services.issuer.watcher import AUDIT_S, LOOK_S, Keep, Watcher
from services.logs import get_logger
from services.metrics import Metrics
from services.settings import Settings
from services.store.postgres.pool import connect
from services.webhooks import post
from services.webhooks.people import Ways
from services.webhooks.sender import Sender, may_send


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(1, 3600),
    default=LOOK_S,
    metavar="SECONDS",
    help="Pause between two counts.",
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
    help="Also seal days in the log once an hour, with the key in TONNE_HOME/keys.",
)
@click.option(
    "--webhooks/--no-webhooks",
    default=True,
    help="Also send events to webhooks, if the login has that right (tonne_events).",
)
def watch(every: float, audit_s: float, *, seal: bool, webhooks: bool) -> None:
    """
    Count devices, statements and calibrations, sum days, audit the log.

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
    allowed = post.networks(settings.webhook_networks)
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


@click.command()
@click.option(
    "--log-key",
    default=LOG_KEY,
    metavar="N",
    help="Key that signs the log's heads; made and enrolled the first time.",
)
@click.option("--seal/--no-seal", default=True, help="Also seal days in the log once an hour.")
def signer(log_key: str, *, seal: bool) -> None:
    """
    Run the tasks that need the log's key: seal days, issue statements, accept signed documents.

    `tonne api` puts in a queue of the database what it is asked for, where its login holds
    tonne_api alone; this process does it, and nothing else can. It opens no port but
    TONNE_METRICS_BIND, for Prometheus. Its login needs tonne_mrv, and TONNE_HOME/keys the
    log's key. Two of them beside each other are safe.

    \b
    Example:
      tonne signer
    """
    settings = Settings()
    log, metrics, url = get_logger("signer"), Metrics(), database_url()
    with connect(url, role="tonne_mrv", name="tonne signer", autocommit=True) as conn:
        holder = life.log_signer(conn, settings.home, log_key).holder
    whom, stamps = Witnesses.by(settings), partial(timestamps.policy_of, settings)
    desk = Desk(
        settings.home,
        settings.require_accepted_factors,
        log_key,
        stamps,
        waits=whom is not None and whom.waits,
    )
    runner = Runner(url, desk, metrics, log, pulse=metrics.pulse)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: runner.stop())
    bind = metrics_bind(settings)
    with ExitStack() as stack:
        stack.enter_context(metrics.serve(bind))
        log.info("metrics", bind=bind or "off")
        log.info("signs", log=holder.name, key=holder.multikey)
        if seal:
            stack.enter_context(
                Sealer(
                    url, settings.home, log_key, EVERY_S, metrics, log, first_s=0.0, stamps=stamps
                )
            )
        if whom is not None:
            stack.enter_context(Cosigning(url, whom, metrics, log))
        stack.enter_context(runner)
        runner.wait()
    log.info("stopped")
