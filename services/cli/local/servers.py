"""Command `tonne local`: servers on one machine for trials and tests."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from services import local as machine
from services.cli import FILE, NEW_FILE, Group, json_option
from services.cli.output import masked, print_result, table
from services.extras import shipped
from services.local import backup as backups
from services.local.brokers import binary, kafka_home
from services.local.grafana import grafana_home
from services.local.stack import LocalStack, Status
from services.settings import Settings

_show_passwords = click.option(
    "--show-passwords", "passwords", is_flag=True, help="Show passwords in URLs, instead of ***."
)


@click.group(cls=Group)
def local() -> None:
    """
    Start and stop servers in TONNE_HOME (.tonne), on loopback only.

    By default any local client may publish for any device; with `up --secure` each client needs an
    identity.

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
    help="Whether the MQTT broker accepts only TLS connections, each client "
    "with its own certificate or password; otherwise it is open to local "
    "clients. Default: as last time; open the first time.",
)
@click.option(
    "--kafka/--no-kafka",
    default=None,
    help="Also start the Kafka-compatible broker; default: yes if it is installed.",
)
@click.option(
    "--prometheus/--no-prometheus",
    default=None,
    help="Also start Prometheus; it reads `tonne run` and `tonne api` at the addresses in the "
    "settings, and the targets in TONNE_HOME/prometheus/targets.json. Default: yes with "
    "Grafana.",
)
@click.option(
    "--grafana/--no-grafana",
    default=False,
    help="Also start Grafana with tonne's boards, if it is installed or GRAFANA_HOME is set.",
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

    If KAFKA_HOME is a folder of Apache Kafka, that is started and stores its data on disk.
    Otherwise a small compatible broker keeps topics in memory.

    Running servers are not restarted; existing data are kept.  As root, missing Debian
    packages are installed; otherwise the command to install them is printed.

    With --secure only tonne and holders of a certificate or password by
    `tonne registry issue-credentials` can connect; see docs/security.md.

    With --grafana local clients can view the dashboards without a password.  To edit them, sign
    in as `admin` with the password in TONNE_HOME/grafana/admin.password.

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
@click.argument("file", type=NEW_FILE)
@json_option
def backup(file: Path, *, as_json: bool) -> None:
    """
    Back up this installation into one file: rows, keys, identities, settings.

    The file contains secret keys: only its owner can read it; keep it in a safe place. Servers keep
    running; rows stored after the start of the backup are not included.

    \b
    Example:
      tonne local backup tonne-2026-12-01.zip
    """
    settings = Settings()
    counts = backups.write(settings.require("database_url"), settings.home, file, Path(".env"))
    print_result(
        {"file": str(file), **counts._asdict()},
        f"{file}: {counts.rows:,} rows of {counts.tables} tables, {counts.files} files",
        as_json=as_json,
    )


@local.command()
@click.argument("file", type=FILE)
@json_option
def restore(file: Path, *, as_json: bool) -> None:
    """
    Restore a backup into a new, migrated database and into TONNE_HOME.

    The target may differ from the source: `tonne local up`, containers, a cluster, another version
    of PostgreSQL or TimescaleDB. The login must be the database's owner or a superuser. An existing
    `.env` is not changed.

    \b
    Example:
      tonne local up && tonne migrate && tonne local restore tonne-2026-12-01.zip
    """
    settings = Settings()
    counts = backups.restore(settings.require("database_url"), settings.home, file, Path(".env"))
    print_result(
        {"file": str(file), **counts._asdict()},
        f"{counts.rows:,} rows of {counts.tables} tables and {counts.files} files are restored",
        as_json=as_json,
    )


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
    running = [name for name, server in stack.status().servers.items() if server.state == "up"]
    stack.down()
    message = (
        f"stopped {', '.join(running)}; their data is kept" if running else "nothing was running"
    )
    print_result({"stopped": running}, message, as_json=as_json)


@local.command()
@_show_passwords
@json_option
def status(*, passwords: bool, as_json: bool) -> None:
    """
    Show which servers run and their addresses.

    Passwords in URLs are shown as ***; --show-passwords shows them, and --json prints complete URLs
    for programs.

    \b
    Example:
      tonne local status --json
    """
    state = LocalStack(Settings().home).status()
    _show(state, passwords=passwords, as_json=as_json)


@local.command()
@click.option(
    "--rabbitmq", is_flag=True, help="Also install RabbitMQ, for the tests with both brokers."
)
@json_option
def install(*, rabbitmq: bool, as_json: bool) -> None:
    """
    Install the Debian packages needed by local servers; starts no server.

    \b
    Example:
      sudo tonne local install
    """
    lacking = machine.missing()
    machine.require()
    if rabbitmq:
        machine.require(machine.RABBITMQ)
    message = f"installed {', '.join(lacking)}" if lacking else "all packages are installed"
    print_result({"installed": lacking}, message, as_json=as_json)


@local.command()
@json_option
def files(*, as_json: bool) -> None:
    """
    Print the folder of the files shipped with tonne: catalog, recordings, dashboards, alarm rules.

    \b
    Example:
      tonne registry check "$(tonne local files)/catalog/freiburg"
    """
    print_result({"folder": str(shipped())}, str(shipped()), as_json=as_json)


def _show(state: Status, *, passwords: bool, as_json: bool) -> None:
    if as_json:
        servers = {name: asdict(server) for name, server in state.servers.items()}
        document = {"home": state.home, **asdict(state.urls), "servers": servers}
        click.echo(json.dumps(document, indent=2))
        return
    rows = [(name, server.state, server.pid, server.log) for name, server in state.servers.items()]
    click.echo(table(("server", "state", "process", "log"), rows, empty=""))
    click.echo()
    for setting, url in asdict(state.urls).items():
        address = url or "-"
        click.echo(f"{setting:<14}  {address if passwords else masked(address)}")
