"""`tonne local`: servers for one machine."""

import json
from dataclasses import asdict

import click

from services.cli.errors import masked
from services.cli.options.common import Group, json_option
from services.cli.output.documents import print_result
from services.cli.output.text import table
from services.local import machine
from services.local.grafana import grafana_home
from services.local.kafka import binary, kafka_home
from services.local.stack import LocalStack, Status
from services.settings import Settings
from services.shipped import shipped

_show_passwords = click.option(
    "--show-passwords", "passwords", is_flag=True, help="Passwords in URLs, instead of ***."
)


@click.group(cls=Group)
def local() -> None:
    """
    Start and stop servers in TONNE_HOME (.tonne), on loopback only.

    Any local client may speak for any device there: for trying out and tests;
    with `up --secure` no client without an identity.

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
    "--prometheus/--no-prometheus",
    default=None,
    help="Prometheus too, over `tonne run` and `tonne api` where the settings have them listen,"
    " and what else TONNE_HOME/prometheus/targets.json names; the default is yes beside Grafana.",
)
@click.option(
    "--grafana/--no-grafana",
    default=False,
    help="Grafana too, with tonne's boards, where it is installed or GRAFANA_HOME names it.",
)
@_show_passwords
@json_option
def up(
    *,
    secure: bool | None,
    kafka: bool | None,
    prometheus: bool | None,
    grafana: bool,
    passwords: bool,
    as_json: bool,
) -> None:
    """
    Start PostgreSQL with TimescaleDB, mosquitto and a Kafka-compatible broker.

    Where KAFKA_HOME names a folder of Apache Kafka, that is started, with its data on disk;
    else a small broker of the same protocol that keeps its topics in memory.

    Servers that run already are left alone.  Data of earlier days is kept.
    As root, missing Debian packages are named and installed.

    With --secure only tonne may connect, and those to whom `tonne registry issue-credentials`
    gave a certificate or password; see docs/security.md.

    With --grafana any local client may look at the boards without a password; who edits
    them signs in as admin with what TONNE_HOME/grafana/admin.password holds.

    \b
    Example:
      tonne local up --no-kafka
      tonne local up --grafana
    """
    apache = kafka_home()
    settings = Settings()
    stack = LocalStack(settings.home, apache, grafana_home() if grafana else None)
    kafka = bool(apache or binary()) if kafka is None else kafka
    prometheus = grafana if prometheus is None else prometheus
    listening = {"run": settings.metrics_bind, "api": settings.api_bind}
    stack.up(
        kafka=kafka, secure=secure, prometheus=prometheus, grafana=grafana, processes=listening
    )
    _show(stack.status(), passwords=passwords, as_json=as_json)


@local.command()
@json_option
def down(*, as_json: bool) -> None:
    """
    Stop all local servers cleanly; their data stays.

    \b
    Example:
      tonne local down
    """
    stack = LocalStack(Settings().home)
    running = [name for name, one in stack.status().servers.items() if one.state == "up"]
    stack.down()
    said = f"stopped {', '.join(running)}; their data stays" if running else "nothing was running"
    print_result({"stopped": running}, said, as_json=as_json)


@local.command()
@_show_passwords
@json_option
def status(*, passwords: bool, as_json: bool) -> None:
    """
    Which servers run, and where.

    Passwords in URLs are shown as ***; --show-passwords shows them, and --json has the
    whole URLs, for programs that connect.

    \b
    Example:
      tonne local status --json
    """
    state = LocalStack(Settings().home).status()
    _show(state, passwords=passwords, as_json=as_json)


@local.command()
@click.option("--rabbitmq", is_flag=True, help="RabbitMQ too, for the tests of both brokers.")
@json_option
def install(*, rabbitmq: bool, as_json: bool) -> None:
    """
    Install the Debian packages that local servers need, and start nothing.

    \b
    Example:
      sudo tonne local install
    """
    lacking = machine.missing()
    machine.require()
    if rabbitmq:
        machine.require(machine.RABBITMQ)
    said = f"installed {', '.join(lacking)}" if lacking else "all packages are there"
    print_result({"installed": lacking}, said, as_json=as_json)


@local.command()
@json_option
def files(*, as_json: bool) -> None:
    """
    Print the folder of what comes with tonne: catalog, recordings, dashboards, rules.

    \b
    Example:
      tonne registry check "$(tonne local files)/catalog/haiphong"
    """
    print_result({"folder": str(shipped())}, str(shipped()), as_json=as_json)


def _show(state: Status, *, passwords: bool, as_json: bool) -> None:
    if as_json:
        servers = {name: asdict(server) for name, server in state.servers.items()}
        document = {"home": state.home, **asdict(state.urls), "servers": servers}
        click.echo(json.dumps(document, indent=2))
        return
    rows = [(name, one.state, one.pid, one.log) for name, one in state.servers.items()]
    click.echo(table(("server", "state", "process", "log"), rows, empty=""))
    click.echo()
    for setting, url in asdict(state.urls).items():
        shown = url or "-"
        click.echo(f"{setting:<14}  {shown if passwords else masked(shown)}")
