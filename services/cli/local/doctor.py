"""
Command `tonne doctor`: checks the configuration and says how to correct it.

Includes checks of seals, time stamps, signer, webhooks and witnesses.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import click
import psycopg
from psycopg import Connection

from ingest.addresses import Tls
from ingest.errors import InputError
from services import local as machine
from services.cli import json_option
from services.cli.local.doctor_checks import (
    Finding,
    broker,
    greet_kafka,
    pipeline,
    quota,
    ratings,
    retention,
    rows,
    storage,
    topics,
)
from services.cli.output import Exit, counted, masked
from services.clock import now_us
from services.extras import command
from services.intake.retry import database_offset_us
from services.issuer import timestamps
from services.issuer.cosigning import Witnesses, look
from services.issuer.sealed_contents import SEAL_LIMIT_US, ended, overdue
from services.local.brokers import binary
from services.local.stack import LocalStack
from services.settings import Settings
from services.store import webhooks as store
from services.store.postgres.migrate import load, pending_work
from services.store.registry import load as registry
from services.store.statements import late_readings, sealed_days, transparency_log
from services.store.statements import queues as queue

_PYTHON = (3, 11)
_TIMESCALEDB = (2, 15)
_DISK_FREE_BYTES = 2 << 30
_RELEASED_US = 1_767_225_600_000_000  # 2026-01-01: a correct clock shows no earlier time
# maximum difference between this machine's clock and the database's [us]
_CLOCKS_APART_US = 5_000_000


@click.command()
@click.option(
    "--identity",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=("Connect to the broker with the identity in this folder; default: that of the settings."),
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
        click.echo(f"{'STATE':<8} {'CHECK':<16} RESULT")
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
        return Finding("clock", "ok", "later than the release of this version")
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
        return Finding("schema", "wrong", "not applied", "run `tonne migrate`")
    row = connection.execute("SELECT max(version) FROM public.schema_migration").fetchone()
    applied, known = int(row[0] or 0) if row else 0, load()[-1].version
    schema = f"version {applied} of {known}"
    if applied < known:
        return Finding("schema", "wrong", schema, "run `tonne migrate`")
    if applied > known:
        fix = "install the version of tonne that migrated this database, or a newer one"
        return Finding("schema", "wrong", schema, fix)
    lacks = pending_work(connection)
    return Finding(
        "schema", *(("wrong", lacks, "run `tonne migrate`") if lacks else ("ok", schema))
    )


def _devices(connection: psycopg.Connection) -> Finding:
    """
    Return a finding with the number of devices by state.

    `missing` if some are not commissioned.
    """
    rows = connection.execute(
        "SELECT state, count(*) FROM v_device_health GROUP BY state ORDER BY 1"
    )
    counts = {str(state): int(number) for state, number in rows.fetchall()}
    found = ", ".join(f"{number} {state}" for state, number in counts.items()) or "none registered"
    if "not commissioned" not in counts:
        return Finding("devices", "ok", found)
    fix = (
        'tonne devices list --state "not commissioned": connect them, or enter `commissioned` in'
        " the registry to be alarmed from that day on"
    )
    return Finding("devices", "missing", found, fix)


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


_MAX_LISTED = 3
_STAMP_S = 6 * 3600
_MONTH_US = 31 * 86_400_000_000
SIGNER_PATIENCE_S = 60.0
# a login that has both roles; as set up in deploy/ the login of the web service has the role
# tonne_api only
_BOTH = (
    "SELECT rolname FROM pg_roles WHERE rolname = 'tonne_service' AND NOT rolsuper"
    " AND pg_has_role(oid, 'tonne_mrv', 'MEMBER')"
)
EVENT_PATIENCE_S = 7200.0
_WHAT = "witnesses"
_LATE_S = 900


def seals(conn: Connection) -> Finding:
    """Return a finding: whether every day was sealed within 36 hours of its end."""
    now = now_us()
    jobs = ended(conn, registry.load_fleet(conn), now - SEAL_LIMIT_US)
    unsealed = overdue(jobs, sealed_days.first_sealed(conn), now)
    late = unsealed.waiting
    if not late and (waits := _late_readings(conn, now - SEAL_LIMIT_US)):
        fix = "`tonne log seal` seals them, or names manual changes on the same days"
        return Finding("seals", "wrong", waits, fix)
    if not late:
        lately = [job for job, at in unsealed.sealed_late if at.timestamp() * 1e6 > now - _MONTH_US]
        if not lately:
            return Finding("seals", "ok", "every day is sealed within 36 hours")
        return Finding(
            "seals",
            "ok",
            f"every day is sealed; {len(lately)} in the last 31 days later than "
            "36 hours after their end, for example after an import of old readings "
            "or while no process sealed",
        )
    listed = "; ".join(map(str, islice(late, _MAX_LISTED)))
    more = f" and {len(late) - _MAX_LISTED} more" if len(late) > _MAX_LISTED else ""
    return Finding(
        "seals",
        "wrong",
        f"not sealed 36 hours after their end: {listed}{more}",
        "run `tonne log seal` now, and `tonne run` or `tonne watch --seal` from now on",
    )


def _late_readings(conn: Connection, before_us: int) -> str:
    """Return devices whose late readings still await sealing, as text; '' for none."""
    waiting = [
        note for note in late_readings.waiting(conn) if note.noted.timestamp() * 1e6 < before_us
    ]
    if not waiting:
        return ""
    devices = ", ".join(islice(dict.fromkeys(note.device for note in waiting), _MAX_LISTED))
    since = min(note.noted for note in waiting)
    return f"late readings of {devices} have waited for their seal since {since:%Y-%m-%d}"


def stamps(conn: Connection, settings: Settings) -> Finding:
    """Return a finding: whether sealed entries have time stamps of the configured authorities."""
    try:
        policy = timestamps.policy_of(settings)
    except InputError as error:
        return Finding("time stamps", "wrong", str(error), "correct the setting or the file")
    if policy is None:
        return Finding(
            "time stamps",
            "missing",
            "no time-stamp authority is configured, so only this machine's clock "
            "states when days were sealed",
            "set TONNE_TIMESTAMP_URLS and TONNE_TIMESTAMP_AUTHORITIES",
        )
    waits = timestamps.waiting_s(conn, policy.rule.threshold)
    if waits <= _STAMP_S:
        return Finding(
            "time stamps", "ok", f"by {policy.rule.threshold} of {policy.accepted_authorities}"
        )
    return Finding(
        "time stamps",
        "wrong",
        f"entries sealed {waits / 3600:.0f} h ago were not stamped by {policy.rule.threshold} "
        f"of {policy.accepted_authorities}",
        "run `tonne timestamp request`, which names the authorities not available",
    )


def signer(conn: Connection) -> Finding:
    """Return a finding: whether the signer answers, and whether another process could sign."""
    waits = queue.waiting(conn)
    if waits.requests and waits.oldest_s > SIGNER_PATIENCE_S:
        verb = "waits" if waits.requests == 1 else "wait"
        return Finding(
            "signer",
            "wrong",
            f"{counted(waits.requests, 'request')} {verb}, the oldest for {waits.oldest_s:.0f} s",
            "start `tonne signer` with the log's key in TONNE_HOME/keys, and read its log",
        )
    if conn.execute(_BOTH).fetchone() is not None:
        return Finding(
            "signer",
            "wrong",
            "the login tonne_service, of `tonne api`, may calculate statements and enrol keys",
            "run deploy/timescaledb/logins.sql again (compose: the service `logins`)",
        )
    last = queue.last_answer(conn)
    if last is None:
        return Finding("signer", "ok", "no request: processes sign with their own key")
    return Finding(
        "signer", "ok", f"no request waits; the last was answered {last:%Y-%m-%d %H:%M}Z"
    )


def webhooks(conn: Connection) -> Finding:
    """Return a finding: whether events are delivered to their webhooks."""
    open_ones = [webhook for webhook in store.webhooks(conn) if webhook.ended is None]
    waits = store.waiting(conn)
    if not open_ones:
        return Finding("webhooks", "ok", "no webhook is registered")
    if waits.waiting and waits.oldest_s > EVENT_PATIENCE_S:
        return Finding(
            "webhooks",
            "wrong",
            f"{counted(waits.waiting, 'event')} not delivered, the oldest for"
            f" {waits.oldest_s / 3600:.0f} h",
            "see `tonne webhooks list`; `tonne watch` needs a login with the role tonne_events",
        )
    state = f"{counted(len(open_ones), 'webhook')}, {counted(waits.waiting, 'event')} in delivery"
    dead = sum(webhook.dead for webhook in open_ones)
    if dead:
        return Finding(
            "webhooks",
            "wrong",
            f"{state}; {counted(dead, 'event')} not delivered after all attempts",
            "see `tonne webhooks list`, then `tonne webhooks replay ID --dead`",
        )
    return Finding("webhooks", "ok", state)


def witnesses(conn: Connection, settings: Settings) -> Finding:
    """Return a finding: whether enough witnesses cosign the log's heads."""
    try:
        whom = Witnesses.by(settings)
    except InputError as error:
        return Finding(_WHAT, "wrong", str(error), "correct the file that it names")
    if whom is None:
        return Finding(
            _WHAT,
            "ok",
            "no witness is configured: only the log itself confirms its heads (docs/witnesses.md)",
        )
    outcomes = look(conn, whom)
    bad = [
        f"{name} {outcome.state}: {outcome.why}"
        for name, outcome in outcomes.items()
        if outcome.why
    ]
    if any(outcome.state == "contradicts" for outcome in outcomes.values()):
        return Finding(
            _WHAT,
            "wrong",
            "; ".join(bad),
            "issue no statement; run `tonne log audit` with a head that the witness has",
        )
    lacks = whom.policy.lacks(
        [whom.with_url[n].key for n, outcome in outcomes.items() if outcome.state == "cosigned"]
    )
    waiting_s = transparency_log.waiting_s(conn)
    if outcomes and lacks is not None:
        return Finding(
            _WHAT,
            "wrong",
            f"the last head lacks {lacks}; {'; '.join(bad)}",
            "ask the witness's operator; statements are still issued until then"
            + (" not at all" if whom.waits else " without enough cosignatures"),
        )
    if waiting_s > _LATE_S:
        return Finding(
            _WHAT,
            "wrong",
            f"witnesses answer, and no process has asked them for {waiting_s / 60:.0f} minutes",
            "run `tonne run` or `tonne watch --seal` with TONNE_WITNESS_POLICY",
        )
    names = ", ".join(outcomes) or "none yet, as the log is empty"
    return Finding(_WHAT, "ok", f"cosigned by {names}" + (f"; {'; '.join(bad)}" if bad else ""))
