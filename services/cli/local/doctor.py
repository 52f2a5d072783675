"""Command `tonne doctor`: checks the configuration and says how to correct it."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import click
import psycopg

from ingest.mqtt.tls import Tls
from services.cli.errors import Exit, masked
from services.cli.local.doctor_database import quota, ratings, retention, rows, storage
from services.cli.local.doctor_servers import Finding, broker, greet_kafka, pipeline, topics
from services.cli.local.doctor_signing import seals, signer, stamps, webhooks, witnesses
from services.cli.options.common import json_option
from services.clock import now_us
from services.extras import command
from services.intake.start import database_offset_us
from services.local import machine
from services.local.kafka import binary
from services.local.stack import LocalStack
from services.settings import Settings
from services.store.postgres.migrate import load, what_lacks

_PYTHON = (3, 11)
_TIMESCALEDB = (2, 15)
_DISK_FREE_BYTES = 2 << 30
_RELEASED_US = 1_767_225_600_000_000  # 2026-01-01: no clock that is right says earlier
_CLOCKS_APART_US = 5_000_000  # the database's own `now()` against ours


@click.command()
@click.option(
    "--identity",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Connect to the broker with the identity in this folder.",
)
@json_option
@click.pass_context
def doctor(context: click.Context, *, identity: Path | None, as_json: bool) -> None:
    """
    Check all requirements; report what is missing and how to fix it.

    Exit status 1 if a check fails.

    \b
    Example:
      tonne doctor
      tonne doctor --json
      tonne doctor --identity /etc/tonne/gw-1
    """
    findings = [_hidden(finding) for finding in _examine(Settings(), identity)]
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        click.echo(f"{'STATE':<8} {'WHAT':<16} FOUND")
        for finding in findings:
            click.echo(f"{finding.state:<8} {finding.what:<16} {finding.found}")
            if finding.fix:
                click.echo(f"{'':<8} {'':<16} fix: {finding.fix}")
    if any(finding.state == "wrong" for finding in findings):
        context.exit(Exit.FALSE)


def _hidden(finding: Finding) -> Finding:
    """Return a finding with passwords masked, as the report may be sent to support."""
    return replace(finding, found=masked(finding.found))


def _examine(settings: Settings, identity: Path | None) -> Iterator[Finding]:
    yield _python()
    yield _disk(settings.home)
    yield _clock()
    yield _packages()
    yield _local(settings.home)
    yield from _database(settings.database_url, settings)
    yield from broker(
        settings.mqtt_url, settings.mqtt_tls if identity is None else Tls.of(identity)
    )
    yield from pipeline(settings.metrics_bind)
    kafka = _kafka(settings)
    yield kafka
    if kafka.state == "ok":
        yield from topics(settings.require_kafka(), settings.database_url)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= _PYTHON:
        return Finding("Python", "ok", version)
    return Finding("Python", "wrong", version, "install Python 3.11 or newer and run `make setup`")


def _disk(home: Path) -> Finding:
    there = next(path for path in (home, *home.resolve().parents) if path.exists())
    free = shutil.disk_usage(there).free
    space = f"{free / 2**30:.1f} GiB free for {home}"
    if free >= _DISK_FREE_BYTES:
        return Finding("disk", "ok", space)
    return Finding("disk", "wrong", space, "free at least 2 GiB: a full disk stops the database")


def _clock() -> Finding:
    if now_us() >= _RELEASED_US:
        return Finding("clock", "ok", "after this release")
    return Finding(
        "clock",
        "wrong",
        "before 2026; readings would be rejected as being in the future",
        "switch time synchronisation on: timedatectl set-ntp true",
    )


def _packages() -> Finding:
    names = machine.missing()
    if names:
        fix = f"as root: apt-get install {' '.join(names)}; not needed with servers elsewhere"
        return Finding("local packages", "missing", f"not installed: {', '.join(names)}", fix)
    if binary() is None:
        fix = f"{command('local')}; only needed to run Kafka on this machine"
        return Finding("local packages", "missing", "Kafka-compatible broker", fix)
    return Finding(
        "local packages", "ok", "PostgreSQL 17, TimescaleDB, mosquitto, Kafka-compatible"
    )


def _local(home: Path) -> Finding:
    states = {name: server.state for name, server in LocalStack(home).status().servers.items()}
    servers = ", ".join(f"{name} {state}" for name, state in states.items())
    if "up" in states.values():
        return Finding("local servers", "ok", servers)
    return Finding(
        "local servers", "missing", servers, "`tonne local up`, unless servers are elsewhere"
    )


def _database(url: str | None, settings: Settings) -> Iterator[Finding]:
    if url is None:
        fix = "set TONNE_DATABASE_URL, or run `tonne local up`"
        yield Finding("database", "wrong", "no URL is set", fix)
        return
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            yield _version(connection)
            yield _timescaledb(connection)
            schema = _schema(connection)
            yield schema
            yield _clocks(connection)
            yield from storage(connection)
            if schema.state == "ok":
                yield seals(connection)
                yield witnesses(connection, settings)
                yield stamps(connection, settings)
                yield signer(connection)
                yield webhooks(connection)
                yield quota(connection)
                yield ratings(connection)
                yield rows(connection)
                yield retention(connection, settings)
                yield _devices(connection)
    except psycopg.Error as error:
        fix = "check TONNE_DATABASE_URL, or run `tonne local up`"
        yield Finding("database", "wrong", str(error).strip(), fix)


def _version(connection: psycopg.Connection) -> Finding:
    major, minor = divmod(connection.info.server_version, 10_000)
    server = f"PostgreSQL {major}.{minor} at {connection.info.host}"
    row = connection.execute(
        "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
    ).fetchone()
    standby, read_only = row or (False, False)
    if standby:
        fix = "name the server that writes in TONNE_DATABASE_URL, or promote this one"
        return Finding("database", "wrong", f"{server} is a standby, which is read-only", fix)
    if read_only:
        fix = "ALTER DATABASE (or ROLE) .. RESET default_transaction_read_only"
        return Finding("database", "wrong", f"{server} is read-only for this login", fix)
    return Finding("database", "ok", server)


def _timescaledb(connection: psycopg.Connection) -> Finding:
    row = connection.execute(
        "SELECT default_version, installed_version FROM pg_available_extensions "
        "WHERE name = 'timescaledb'"
    ).fetchone()
    if row is None:
        fix = "install TimescaleDB 2.15 or newer for this server and preload it"
        return Finding("TimescaleDB", "wrong", "not available in this server", fix)
    extension = str(row[1] or row[0])
    if tuple(map(int, re.findall(r"\d+", extension)[:2])) < _TIMESCALEDB:
        return Finding("TimescaleDB", "wrong", extension, "upgrade it to 2.15 or newer")
    return Finding(
        "TimescaleDB", "ok", extension if row[1] else f"{extension}, not yet in this database"
    )


def _schema(connection: psycopg.Connection) -> Finding:
    there = connection.execute("SELECT to_regclass('public.schema_migration')").fetchone()
    if there == (None,):
        return Finding("schema", "wrong", "not applied", "tonne migrate")
    row = connection.execute("SELECT max(version) FROM public.schema_migration").fetchone()
    applied, known = int(row[0] or 0) if row else 0, load()[-1].version
    schema = f"version {applied} of {known}"
    if applied < known:
        return Finding("schema", "wrong", schema, "tonne migrate")
    if applied > known:
        fix = "install the version of tonne that migrated this database, or a newer one"
        return Finding("schema", "wrong", schema, fix)
    lacks = what_lacks(connection)
    return Finding("schema", *(("wrong", lacks, "tonne migrate") if lacks else ("ok", schema)))


def _devices(connection: psycopg.Connection) -> Finding:
    """Return the number of devices by state; names those not commissioned, which raise no alarm."""
    rows = connection.execute(
        "SELECT state, count(*) FROM v_device_health GROUP BY state ORDER BY 1"
    )
    counts = {str(state): int(number) for state, number in rows.fetchall()}
    alarms = ", ".join(f"{number} {state}" for state, number in counts.items()) or "none registered"
    if "not commissioned" not in counts:
        return Finding("devices", "ok", alarms)
    fix = (
        'tonne devices list --state "not commissioned": connect them, or enter `commissioned` in'
        " the registry to be alarmed from that day on"
    )
    return Finding("devices", "missing", alarms, fix)


def _clocks(connection: psycopg.Connection) -> Finding:
    apart = database_offset_us(connection)
    offset = f"{apart / 1000000.0:.1f} s from the clock of this machine"
    if apart <= _CLOCKS_APART_US:
        return Finding("database clock", "ok", offset)
    return Finding("database clock", "wrong", offset, "synchronise the clocks of both machines")


def _kafka(settings: Settings) -> Finding:
    fix = "set TONNE_KAFKA_URL, or run `tonne local up`"
    if settings.kafka_url is None:
        return Finding("Kafka", "missing", "no URL is set", fix)
    trouble = greet_kafka(settings.require_kafka())
    if trouble is None:
        return Finding("Kafka", "ok", "answers")
    return Finding("Kafka", "wrong", trouble, fix.replace("set", "check"))
