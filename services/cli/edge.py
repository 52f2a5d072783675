"""Command `tonne edge`: a field gateway that stores readings and forwards them."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import click

from ingest.errors import InputError
from services.cli import FILE
from services.edge import config as configuration
from services.edge.metrics import summary
from services.environment import METRICS_BIND, read_setting, split_bind
from services.local import LOOPBACK, choose
from services.logs import get_logger


@click.command()
@click.argument("config", type=FILE)
@click.option(
    "--check",
    is_flag=True,
    help="Check the configuration file, print the resulting settings, and end.",
)
@click.option(
    "--status",
    is_flag=True,
    help="Show the messages waiting in the outbox; also while the gateway runs.",
)
@click.option(
    "--enrol", is_flag=True, help="Create a key, and request its certificate with a one-time token."
)
@click.option(
    "--ca-sha256",
    metavar="HEX",
    help=(
        "With --enrol: SHA-256 digest of the certificate authority to trust; default: the "
        "ca.crt in the folder `identity`."
    ),
)
@click.option("--public-key", is_flag=True, help="Print the public signing key, for the registry.")
@click.option("--adopt", is_flag=True, help="Use an outbox that was created on another machine.")
def edge(
    config: Path,
    *,
    check: bool,
    status: bool,
    enrol: bool,
    ca_sha256: str | None,
    public_key: bool,
    adopt: bool,
) -> None:
    """
    Record readings of field devices on disk, and forward each until tonne confirms it.

    Polls Modbus TCP, Modbus RTU and SunSpec devices, subscribes to a local MQTT broker, and reads a
    folder of CSV files.  Recorded readings survive power cuts and days without network.  Metrics
    are served at TONNE_METRICS_BIND.

    If `enrolment` names a server (EST), --enrol fetches the first certificate with a token of
    `tonne registry enrol-token`; later certificates are renewed automatically.

    If `signing` names a file, forwarded readings are signed (COSE_Sign1) with a key created there;
    --public-key prints the public key for the gateway's `meter_keys` in the registry.

    \b
    Example:
      tonne edge /etc/tonne/edge.yaml --enrol
      tonne edge /etc/tonne/edge.yaml
      tonne edge /etc/tonne/edge.yaml --status
    """
    content = configuration.read(config)
    if check:
        click.echo(json.dumps(configuration.plain(content), indent=2))
        return
    if status:
        click.echo(json.dumps(summary(Path(content.outbox)), indent=2))
        return
    if enrol:
        _enrol(content, ca_sha256)
        return
    if public_key:
        click.echo(_public_key(content))
        return
    from services.edge.gateway import Gateway  # noqa: PLC0415 - pymodbus is an extra

    log = get_logger("edge")
    gateway = Gateway(content, log, adopt=adopt)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: gateway.stop())
    with ExitStack() as stack:
        gateway.scraped(_metrics_bind(), stack)
        gateway.run()
    log.info("stopped")


def _enrol(config: configuration.Config, ca_sha256: str | None) -> None:
    """Fetch the first certificate with a token from the terminal or standard input."""
    from services.edge import identity  # noqa: PLC0415 - only for --enrol

    if config.identity is None or config.enrolment is None:
        raise InputError("--enrol needs `identity` and `enrolment` in the configuration")
    token = str(click.prompt("token", hide_input=True, err=True)).strip()
    folder = Path(config.identity)
    until = identity.enrol(folder, config.enrolment, config.gateway, token, ca_sha256)
    click.echo(f"{folder}: certificate of {config.gateway} until {until:%Y-%m-%d}")


def _public_key(config: configuration.Config) -> str:
    """Return the public signing key in hex; the key is created if missing."""
    from services.edge.identity import Signer  # noqa: PLC0415 - only for --public-key

    if config.signing is None:
        raise InputError("--public-key needs `signing: {key: FILE}` in the configuration")
    return Signer(config.gateway, config.signing).public_key


def _metrics_bind() -> str:
    """Return the listening address for metrics: the setting, or by default a free port."""
    setting = read_setting(os.environ, Path(".env"), "metrics_bind")
    if setting is None:
        return f"{LOOPBACK}:{choose(split_bind(METRICS_BIND)[1])}"
    split_bind(setting or METRICS_BIND)
    return setting
