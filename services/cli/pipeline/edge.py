"""`tonne edge`: the outbox of a gateway in the field."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import click

from services.edge import config as configuration
from services.edge.outbox_status import summary
from services.environment import METRICS_BIND, one_setting, split_bind
from services.local.ports import LOOPBACK, choose
from services.logs import get_logger


@click.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Read the configuration, say what it means, and end.")
@click.option("--status", is_flag=True, help="What waits in the outbox; also while it runs.")
@click.option("--adopt", is_flag=True, help="Take over an outbox that another machine made.")
def edge(config: Path, *, check: bool, status: bool, adopt: bool) -> None:
    """
    Record what field devices measure and forward it, each until its receipt.

    Polls Modbus TCP and RTU and SunSpec, listens to a local MQTT broker, watches a
    folder of CSV files.  What is recorded is on disk; it survives power cuts and
    days without network.  Metrics are served at TONNE_METRICS_BIND.

    \b
    Example:
      tonne registry issue-credentials gw-1
      tonne edge /etc/tonne/edge.yaml
      tonne edge /etc/tonne/edge.yaml --status
    """
    found = configuration.read(config)
    if check:
        click.echo(json.dumps(configuration.plain(found), indent=2))
        return
    if status:
        click.echo(json.dumps(summary(Path(found.outbox)), indent=2))
        return
    from services.edge.gateway import Gateway  # noqa: PLC0415 - pymodbus is an extra

    log = get_logger("edge")
    gateway = Gateway(found, log, adopt=adopt)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: gateway.stop())
    with ExitStack() as stack:
        gateway.scraped(_metrics_bind(), stack)
        gateway.run()
    log.info("stopped")


def _metrics_bind() -> str:
    """Return where it answers Prometheus, as `metrics_bind` does for the other commands."""
    told = one_setting(os.environ, Path(".env"), "metrics_bind")
    if told is None:
        return f"{LOOPBACK}:{choose(split_bind(METRICS_BIND)[1])}"
    split_bind(told or METRICS_BIND)
    return told
