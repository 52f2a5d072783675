"""`tonne local`: servers for one machine."""

import json
from dataclasses import asdict

import click

from services.local import packages
from services.local.kafka import binary
from services.local.stack import LocalStack, Status
from services.settings import Settings
from services.shipped import shipped

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def local() -> None:
    """
    Start and stop servers in TONNE_HOME (.tonne), on loopback only.

    Any local client may speak for any device there: for trying out and tests;
    with `up --secure` nobody without an identity.

    \b
    Example:
      tonne local up
      tonne local status --json
      tonne local down
    """


@local.command()
@click.option(
    "--secure/--open",
    default=None,
    help="The MQTT broker by TLS alone, each client by its own certificate or password;"
    " or open to any local client. As it was before by default, open at first.",
)
@click.option(
    "--kafka/--no-kafka",
    default=None,
    help="The Kafka-compatible broker too; the default is yes where it is installed.",
)
@click.option(
    "--prometheus/--no-prometheus", default=False, show_default=True,
    help="Prometheus too, over the processes in TONNE_HOME/prometheus/targets.json.",
)  # fmt: skip
@_json
def up(*, secure: bool | None, kafka: bool | None, prometheus: bool, as_json: bool) -> None:
    """
    Start PostgreSQL with TimescaleDB, mosquitto and a Kafka-compatible broker.

    Servers that run already are left alone.  Data of earlier days is kept.
    As root, missing Debian packages are named and installed.

    With --secure nobody may connect but tonne and whoever `tonne registry issue-credentials`
    gave a certificate or password; see docs/security.md.

    \b
    Example:
      tonne local up --no-kafka
    """
    stack = LocalStack(Settings().home)
    kafka = binary() is not None if kafka is None else kafka
    stack.up(kafka=kafka, secure=secure, prometheus=prometheus)
    _show(stack.status(), as_json=as_json)


@local.command()
def down() -> None:
    """
    Stop all local servers cleanly; their data stays.

    \b
    Example:
      tonne local down
    """
    LocalStack(Settings().home).down()


@local.command()
@_json
def status(*, as_json: bool) -> None:
    """
    Which servers run, and where.

    \b
    Example:
      tonne local status --json
    """
    _show(LocalStack(Settings().home).status(), as_json=as_json)


@local.command()
@click.option("--rabbitmq", is_flag=True, help="RabbitMQ too, for the tests of both brokers.")
def install(*, rabbitmq: bool) -> None:
    """
    Install the Debian packages that local servers need, and start nothing.

    \b
    Example:
      sudo tonne local install
    """
    packages.require()
    if rabbitmq:
        packages.require(packages.RABBITMQ)


@local.command()
def files() -> None:
    """
    Print the folder of what comes with tonne: catalog, recordings, dashboards, rules.

    \b
    Example:
      tonne registry check "$(tonne local files)/catalog/haiphong"
    """
    click.echo(shipped())


def _show(state: Status, *, as_json: bool) -> None:
    if as_json:
        servers = {name: asdict(server) for name, server in state.servers.items()}
        document = {"home": state.home, **asdict(state.urls), "servers": servers}
        click.echo(json.dumps(document, indent=2))
        return
    for name, server in state.servers.items():
        process = f"process {server.pid}" if server.pid else ""
        click.echo(f"{name:<13} {server.state:<5} {process:<16} {server.log}")
    for setting, url in asdict(state.urls).items():
        click.echo(f"{setting:<13} {url or '-'}")
