"""
Result of a `tonne doctor` check, and its checks of broker, Kafka, pipeline and database.

Of the database: compression, archive, quotas, rated powers, retention, derived rows.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import psycopg
from cryptography import x509
from psycopg import Connection
from psycopg.rows import TupleRow

from ingest.addresses import Tls
from ingest.errors import InputError, ServerError
from services import archived_files as home
from services.cli.output import counted
from services.cli.server_options import load_kafka
from services.clock import now_us
from services.environment import KafkaAccess
from services.intake.receive import REFUSES, REMEDY
from services.issuer.watcher import Keep
from services.local import LOOPBACK
from services.local.brokers import greets
from services.registry.ratings import implausible_rating
from services.settings import Settings, split_bind
from services.store import archive_catalog as archived
from services.store import offsets
from services.store import offsets as source
from services.store.dead_letter_write import ALL
from services.store.offsets import Source
from services.store.postgres import columnstore
from services.store.postgres.pool import connect
from services.store.timeseries import remake_requests
from services.store.timeseries.measured_energy import beyond_rating
from services.store.views import fleet_metrics as store

_NAMED_PRINCIPALS = 3
_OVER = """
SELECT principal, sum(letters) FROM (
    SELECT principal, count(*) AS letters FROM dead_letter
    WHERE reason = 'rate' AND received > now() - interval '1 day' GROUP BY principal
    UNION ALL
    SELECT principal, letters FROM dead_letter_excess
    WHERE reason = 'rate' AND last > now() - interval '1 day'
) o GROUP BY principal ORDER BY sum(letters) DESC
"""


_LEFT_OUT = """
SELECT principal, sum(letters) FROM dead_letter_excess
WHERE reason <> 'rate' AND last > now() - interval '1 day'
GROUP BY principal ORDER BY sum(letters) DESC
"""
_DAYS_US = 7 * 86_400_000_000
_NAMED = 3
RETENTION_PATIENCE_S = 2 * 86_400
_NAMES = {
    "dead_letter": "dead letters",
    "webhook_event": "webhook events",
    "clear_sky_day": "clear skies",
}


def storage(conn: Connection) -> Iterator[Finding]:
    """Yield findings on compression and archive; none before the schema exists."""
    if conn.execute("SELECT to_regclass('public.archive_place')").fetchone() == (None,):
        return
    yield _columnstore(conn)
    if failing := columnstore.failed_jobs(conn):
        fix = (
            "timescaledb_information.job_errors has the reason; tonne adds no jobs: remove one with"
            " a number from 1000 on by SELECT delete_job(NUMBER)"
        )
        yield Finding("jobs", "wrong", f"TimescaleDB's jobs fail: {', '.join(failing)}", fix)
    yield _archive(conn)


def _columnstore(conn: Connection) -> Finding:
    """Return a finding: whether old chunks are compressed, whatever the settings state."""
    if count := columnstore.locked(conn):
        text = columnstore.LOCKED.format(columnstore.licence(conn) or "not set", count)
        return Finding("columnstore", "wrong", text, columnstore.UNLOCK)
    if reason := columnstore.why_not(conn):
        fix = (
            "TimescaleDB's Community edition (deploy/compose.yaml has it) compresses "
            "them; without it, plan disk space for uncompressed rows and run `tonne "
            "archive run`, see docs/archive.md"
        )
        return Finding("columnstore", "missing", reason, fix)
    if left := columnstore.without(conn):
        return Finding(
            "columnstore", "wrong", f"not set up for {', '.join(left)}", "run `tonne migrate`"
        )
    if late := columnstore.waiting(conn, columnstore.OVERDUE_DAYS):
        text = (
            f"{len(late)} chunks older than {columnstore.OVERDUE_DAYS} days are "
            f"not compressed, the oldest of {late[0].table}, {late[0].age_days:.0f} "
            "days"
        )
        return Finding("columnstore", "wrong", text, "`tonne columnstore run` states the reason")
    days = columnstore.OVERDUE_DAYS
    return Finding("columnstore", "ok", f"every chunk older than {days} days is compressed")


_ARCHIVE_FIX = "see the output of `tonne archive run`, and check that it runs once a day"
_DAY_US = 86_400_000_000
# days without an archive run before a warning: one run is made a day, and one may fail
_ARCHIVE_DAYS = 3


def _late(conn: Connection) -> str:
    """Return the days whose archiving is overdue, as text; '' for none."""
    keep = Settings().archive_days + _ARCHIVE_DAYS
    count, oldest = archived.waiting(conn, now_us() - keep * _DAY_US)
    if not count:
        return ""
    return f"{count} sealed days have waited for more than {keep} days, since {oldest}"


def _archive(conn: Connection) -> Finding:
    with conn.cursor() as cursor:
        if archived.home(cursor) is None:
            fix = "set TONNE_ARCHIVE_URL, and run `tonne archive run` once a day"
            return Finding("archive", "missing", "none: readings stay in the database", fix)
    try:
        place = home.find(conn)
    except (InputError, ServerError) as error:
        return Finding("archive", "wrong", str(error), "see `tonne archive verify`")
    late = _late(conn)
    if late:
        return Finding("archive", "wrong", f"{place.place.url}: {late}", _ARCHIVE_FIX)
    row = conn.execute(
        "SELECT count(*), coalesce(sum(bytes), 0), max(day) FROM archive_part"
    ).fetchone()
    files, size, last = row or (0, 0, None)
    contents = (
        f"{files} files, {size / 2**20:.1f} MiB, until {last}" if files else "nothing in it yet"
    )
    return Finding("archive", "ok", f"{place.place.url}: {contents}")


def quota(conn: Connection) -> Finding:
    """Return a finding on principals over the quota of messages or of stored rejected messages."""
    if rows := conn.execute(_OVER).fetchall():
        return Finding(
            "quota",
            "wrong",
            f"{counted(len(rows), 'principal')} over the quota within a day, messages: "
            f"{_principals(rows)}",
            "correct the sender; for a large gateway raise TONNE_PRINCIPAL_MESSAGES_A_MINUTE "
            "or TONNE_PRINCIPAL_BYTES_A_MINUTE, then run `tonne deadletter replay "
            "--reason rate`",
        )
    if rows := conn.execute(_LEFT_OUT).fetchall():
        return Finding(
            "quota",
            "wrong",
            "rejected messages of the last day that were counted but not stored, "
            f"for lack of space: {_principals(rows)}",
            "correct the sender; `tonne deadletter list` shows the stored ones, "
            f"`{ALL}` is the sum of all principals; TONNE_DEAD_LETTER_BYTES_A_DAY "
            "is the space of one principal",
        )
    return Finding("quota", "ok", "no principal exceeded its quota within a day")


def _principals(rows: Sequence[TupleRow]) -> str:
    names = ", ".join(
        f"{name or 'without a name'} {letters}" for name, letters in rows[:_NAMED_PRINCIPALS]
    )
    return names + (
        f" and {len(rows) - _NAMED_PRINCIPALS} more" if len(rows) > _NAMED_PRINCIPALS else ""
    )


def ratings(conn: Connection) -> Finding:
    """Return a finding: devices with a rated power that is implausible or that they exceed."""
    now = now_us()
    risen = [*beyond_rating(conn, now - _DAYS_US, now)]
    named = {beyond.device for beyond in risen}
    lines = [str(beyond.text()) for beyond in risen]
    for device, class_id, watt in conn.execute(
        "SELECT id, class, rated_power_w FROM device WHERE removed IS NULL ORDER BY id"
    ):
        doubt = None if device in named else implausible_rating(class_id, watt)
        if doubt is not None:
            lines.append(f"{device}: {doubt}")
    if not lines:
        return Finding("rated powers", "ok", "every rated power is plausible")
    more = f"; and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    return Finding(
        "rated powers",
        "wrong" if risen else "missing",
        "; ".join(lines[:_NAMED]) + more,
        "correct `rated_power_w` in the registry file and import it; then send "
        "rejected messages again with `tonne deadletter replay`",
    )


def retention(conn: Connection, settings: Settings) -> Finding:
    """Return a finding: whether rows beyond the retention period were deleted."""
    days = Keep.by(settings).days
    late = {
        table: waits_s
        for table, waits_s in store.overdue_s(conn, days).items()
        if waits_s > RETENTION_PATIENCE_S
    }
    if late:
        named = ", ".join(
            f"{_NAMES[table]} {waits_s / 86_400:.0f} days beyond the limit of {days[table]} days"
            for table, waits_s in late.items()
        )
        return Finding(
            "retention",
            "wrong",
            f"kept too long: {named}",
            "run `tonne watch` or `tonne run`; its log states the reason",
        )
    kept = ", ".join(
        f"{_NAMES[table]} {f'for {kept} days' if kept else 'without limit'}"
        for table, kept in days.items()
    )
    return Finding("retention", "ok", f"kept: {kept}")


# rows follow readings within a second; after this time no process derives them
_LONG_S = 60.0


def rows(conn: Connection) -> Finding:
    """Return a finding: how far intervals and emissions are behind the stored readings. [s]"""
    age_s, waiting = remake_requests.age_s(conn), remake_requests.count(conn)
    text = f"{age_s:.1f} s behind the readings"
    if waiting:
        text += f"; {counted(waiting, 'device')} with longer time spans to calculate"
    if age_s <= _LONG_S:
        return Finding("rows", "ok", text)
    fix = "start `tonne run` or a worker; if one runs, read its log"
    return Finding("rows", "wrong", text, fix)


_PING_PORTS = {"mqtt": 1_883, "mqtts": 8_883}
_PING_S = 5.0
_BROKER, _IDENTITY = "MQTT broker", "MQTT identity"
_ENDING = timedelta(days=30)
_BROKER_FIX = "check TONNE_MQTT_URL, or run `tonne local up`"
_SECURE_FIX = (
    "check TONNE_MQTT_URL, and TONNE_MQTT_CA_FILE, TONNE_MQTT_CERT_FILE "
    "and TONNE_MQTT_KEY_FILE against docs/security.md; the broker's log "
    "states which client it rejected"
)
_PATIENCE_S = 5.0
_ANYWHERE = {"0.0.0.0", "::"}  # noqa: S104 (where a process listens that we ask)
_TOPIC = "tonne-parcels"
_GROUP = "tonne-worker"


@dataclass(frozen=True)
class Finding:
    """
    Result of one check.

    `what`: name of the check.  `state`: `ok`, `missing` (optional) or `wrong`.
    `found`: what was found.  `fix`: the remedy; empty for `ok`.
    """

    what: str
    state: str
    found: str
    fix: str = ""


def greet_broker(url: str, tls: Tls) -> str | None:
    """
    Return why the MQTT broker at `url` does not answer; None when it answers.

    Raises InputError when a file of `tls` cannot be used.
    """
    parts = urlsplit(url)
    try:
        with _connect(url) as plain:
            if parts.scheme == "mqtts":
                with tls.context().wrap_socket(plain, server_hostname=parts.hostname) as secure:
                    try:
                        is_broker = greets(secure)
                    except OSError:  # with TLS 1.3 a client learns of a refusal only now
                        return (
                            f"{_place(url)}: it closes the connection after the client certificate "
                            "is presented"
                        )
            else:
                is_broker = greets(plain)
    except OSError as error:
        return f"{_place(url)}: {error}"
    return None if is_broker else f"{_place(url)}: the server there is not an MQTT broker"


def greet_kafka(kafka: KafkaAccess) -> str | None:
    """Return the Kafka brokers that cannot be reached, with reasons; None when all answer."""
    silent = []
    for server in kafka.servers:
        try:
            socket.create_connection(server, timeout=_PING_S).close()
        except OSError as error:
            silent.append(f"{server[0]}:{server[1]}: {error}")
    return "; ".join(silent) or None


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection(
        (parts.hostname or "localhost", parts.port or _PING_PORTS[parts.scheme]), timeout=_PING_S
    )


def _place(url: str) -> str:
    """Return host and port of a URL, without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PING_PORTS[parts.scheme]}"


def broker(url: str | None, tls: Tls) -> Iterator[Finding]:
    """
    Yield findings on the MQTT broker, connected to with the configured identity.

    No client id is sent, so no running session is taken over; a secured broker then refuses the
    connection.
    """
    if url is None:
        fix = "set TONNE_MQTT_URL, or run `tonne local up`"
        yield Finding(_BROKER, "wrong", "no URL is set", fix)
        return
    secure = url.startswith("mqtts://")
    try:
        trouble = greet_broker(url, tls)
    except InputError as error:
        trouble = str(error)
    if trouble is None:
        yield Finding(_BROKER, "ok", "answers by TLS" if secure else "answers")
    else:
        yield Finding(_BROKER, "wrong", trouble, _SECURE_FIX if secure else _BROKER_FIX)
    if secure and tls.cert is not None and tls.cert.is_file():
        yield _identity(tls.cert.read_bytes())


def _identity(certificate: bytes) -> Finding:
    try:
        own = x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        fix = "set TONNE_MQTT_CERT_FILE to the client.crt that was issued"
        return Finding(_IDENTITY, "wrong", f"is not a certificate: {error}", fix)
    left = own.not_valid_after_utc - datetime.now(UTC)
    names = own.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    name = names[0].value if names else "(no common name)"
    text = f"{name!s}, until {own.not_valid_after_utc:%Y-%m-%d}"
    if left > _ENDING:
        return Finding(_IDENTITY, "ok", text)
    fix = (
        "get a new one: `tonne registry issue-credentials ID --renew`; that "
        "of a service is in services/"
    )
    return Finding(_IDENTITY, "wrong", text, fix)


def pipeline(bind: str) -> Iterator[Finding]:
    """
    Yield a finding if the broker refuses topics, as the process at `TONNE_METRICS_BIND` reports.

    A test connection with the pipeline's client id would end its session.
    """
    if not bind:
        return
    host, port = split_bind(bind)
    host = LOOPBACK if host in _ANYWHERE else host
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # without a proxy, which could not reach the address; a stalled process answers 503 with a text
    connection = HTTPConnection(host, port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse().read(10_000).decode("utf-8", "replace").strip()
    # no process runs, or it is stalled: another check reports that
    except (OSError, HTTPException):
        return
    finally:
        connection.close()
    if REFUSES in answer:
        yield Finding("MQTT topics", "wrong", f"the process at {place}: {answer}", REMEDY)


def topics(kafka: KafkaAccess, database_url: str | None, group: str = _GROUP) -> Iterator[Finding]:
    """
    Yield findings on the Kafka topic of the workers and on its dead-letter topic.

    Before the first worker has run, the default topic is checked.
    """
    read, stored = _read(database_url)
    topic = read.topic if read else _TOPIC
    try:
        count, name = (load_kafka("services.intake.topics", n) for n in ("partitions", "dead"))
        partitions, dead = count(kafka, topic), name(topic)
        count(kafka, dead)
    except (InputError, ServerError) as error:
        fix = "`tonne topics apply`, if bridges and workers are to run here"
        yield Finding("Kafka topics", "wrong" if read else "missing", str(error), fix)
        return
    if read and partitions < read.partitions:
        text = f"{topic!r} has {partitions} partitions; workers recorded {read.partitions}"
        yield Finding("Kafka topics", "wrong", text, "it was created again: use a new --topic")
        return
    done = sum(stored.values())
    text = f"{topic!r} with {partitions} partitions, {done} records stored; {dead!r}"
    yield Finding("Kafka topics", "ok", text)
    if read is not None:
        yield from _workers(kafka, topic, stored, group)


def _workers(
    kafka: KafkaAccess, topic: str, stored: dict[int, int], group: str
) -> Iterator[Finding]:
    """Yield findings on the lag of each partition and on partitions without a worker."""
    try:
        state = load_kafka("services.stream.partitions", "topic_state")(kafka, topic, stored, group)
    except ServerError as error:
        yield Finding("Kafka workers", "wrong", str(error), "check Kafka first")
        return
    if state.cut:
        text = ", ".join(f"partition {p} ends at {end}" for p, end in state.cut.items())
        fix = "the topic was created again, or its log was truncated: use a new --topic"
        yield Finding("Kafka workers", "wrong", f"{text}, which is below the stored offset", fix)
        return
    waiting = {p: lag for p, lag in state.lag.items() if lag}
    behind = f"{sum(waiting.values())} records not stored"
    if waiting:
        behind += f", the oldest for {state.oldest_s:.0f} s"
    if state.unassigned is None:
        yield Finding(
            "Kafka workers", "missing", f"{behind}; the owners of partitions: {state.no_answer}"
        )
    elif state.unassigned:
        named = ", ".join(str(p) for p in state.unassigned)
        fix = (
            f"start workers of the group {group!r}; running workers take them over within a minute"
        )
        yield Finding("Kafka workers", "wrong", f"no worker has partitions {named}; {behind}", fix)
    else:
        yield Finding("Kafka workers", "ok", f"every partition has a worker; {behind}")


def _read(database_url: str | None) -> tuple[Source | None, dict[int, int]]:
    """
    Return the workers' Kafka topic and stored offsets by partition.

    (None, {}) without a database.
    """
    if database_url is None:
        return None, {}
    try:
        with connect(database_url, autocommit=True) as connection:
            topic_read = source.read(connection)
            return topic_read, offsets.stored(connection, topic_read.topic) if topic_read else {}
    except (psycopg.Error, ServerError):
        return None, {}
