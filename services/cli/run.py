"""
Commands of processes: `tonne run` (pipeline), `watch` (database metrics), `signer` (holds the
log's key).
"""

from __future__ import annotations

import signal
from contextlib import ExitStack, nullcontext
from functools import partial

import click

from services import webhook_post
from services.cli.server_options import database_url, metrics_bind, wait_option
from services.embedded import Runner
from services.intake.broker_queue import BrokerQueue
from services.intake.principal_quota import Limits
from services.intake.receive import BATCH
from services.intake.sparkplug import sparkplug_nodes
from services.issuer import timestamps
from services.issuer import transitions as life
from services.issuer.cosigning import Cosigning, Witnesses
from services.issuer.keys import LOG_KEY
from services.issuer.requests import Desk
from services.issuer.requests import Runner as RequestRunner
from services.issuer.seal import EVERY_S, Sealer
from services.issuer.watcher import AUDIT_S, LOOK_S, Keep, Watcher
from services.logs import get_logger
from services.metrics import Metrics
from services.settings import Settings
from services.store.postgres.pool import connect
from services.webhooks import MessageServers, Sender, may_send


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


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(1, 3600),
    default=LOOK_S,
    metavar="SECONDS",
    help="Time between two counts.",
)
@click.option(
    "--audit",
    "audit_s",
    type=click.FloatRange(1, 604_800),
    default=AUDIT_S,
    metavar="SECONDS",
    help="Time between two audits of the log.",
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
    Count devices, statements and calibrations, update daily totals, and audit the log at intervals.

    `tonne run` counts too, but leaves audits to `tonne watch`, as they use much processor time. One
    `tonne watch` per database is enough; its database login needs the role tonne_watch, with --seal
    also tonne_mrv. Metrics are served at TONNE_METRICS_BIND. If TONNE_MQTT_URL names mosquitto, it
    also reports the messages waiting there, as the service `tonne-watch`.

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
    allowed = webhook_post.networks(settings.webhook_networks)
    sends = webhooks and may_send(url, log)
    message_servers = MessageServers(settings.smtp_url, settings.smtp_from, settings.apprise_config)
    events = (
        Sender(url, metrics, log, allowed, message_servers=message_servers)
        if sends
        else nullcontext()
    )
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
    help="Name of the key that signs the log's heads; created at first use.",
)
@click.option("--seal/--no-seal", default=True, help="Also seal days in the log once an hour.")
def signer(log_key: str, *, seal: bool) -> None:
    """
    Run the tasks that need the log's key: seal days, issue statements, accept signed documents.

    If the login of `tonne api` has only the role tonne_api, requests are queued in the database and
    this process carries them out. It opens no port except TONNE_METRICS_BIND, for Prometheus. Its
    database login needs the role tonne_mrv, and TONNE_HOME/keys must contain the log's key. Two
    signers may run at the same time.

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
    runner = RequestRunner(url, desk, metrics, log, pulse=metrics.pulse)
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
