"""
All local servers together, their URLs (`local.json`), and the PostgreSQL server.

`services.settings` reads the URLs in `local.json` while the servers run. PostgreSQL 17 with
TimescaleDB is started inside its data folder (`/proc/self/cwd`), so that the account `postgres`
needs no access to the parents; it listens on loopback only, with a password and without a Unix
socket.
"""

import fcntl
import json
import os
import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from ingest.addresses import Tls
from ingest.errors import ServerError
from services import local as process
from services.local import LOOPBACK, POSTGRES_BIN, Account, own_folder, require
from services.local.brokers import ApacheKafka, Kafka, Mosquitto
from services.local.grafana import READER, Grafana
from services.local.server import Prometheus, Server
from services.settings import LOCAL_STATE

_HERE = "/proc/self/cwd"
DATABASE = "tonne"
_CONFIG = """\
# overwritten at each start of `tonne local up`
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
max_connections = 100
password_encryption = 'scram-sha-256'
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off

# acknowledged means durable
fsync = on
full_page_writes = on
synchronous_commit = on

shared_buffers = 256MB
maintenance_work_mem = 128MB
max_wal_size = 2GB
wal_compression = on
# queries of many chunks have a high estimated cost but take milliseconds; compiling takes longer
jit = off
checkpoint_completion_target = 0.9
timescaledb.max_background_workers = 4
max_worker_processes = 12

timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C.UTF-8'

# one file for each weekday, overwritten after a week, without SQL statements and values
logging_collector = on
log_directory = 'log'
log_filename = 'postgres-%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_rotation_size = 0
log_checkpoints = off
log_autovacuum_min_duration = -1
log_min_error_statement = panic
"""


class Postgres(Server):
    """The database, with a superuser `tonne` and a database `tonne`."""

    name = "postgres"
    usual_port = 15_432
    user = "postgres"
    # PostgreSQL's "fast" shutdown: roll back open transactions, write a checkpoint, end
    stop_signal = signal.SIGINT
    output = "start.log"

    @property
    def url(self) -> str:
        """Return the connection URL, with the generated password."""
        return self._url(DATABASE, self.port)

    @property
    def log(self) -> Path:
        """Return the path of the newest log: the server's own, or the output of its start."""
        written = [*self.folder.glob(self.output), *self.folder.glob("log/*.log")]
        newest = max(written, key=lambda path: path.stat().st_mtime, default=None)
        return newest or self.folder / self.output

    def prepare(self, account: Account | None) -> None:
        """Create the cluster at the first start; later remove the remains of a killed server."""
        own_folder(self.folder, account)
        if not (self.folder / "PG_VERSION").exists():
            self._initdb(account)
        self._forget_dead_postmaster()

    def command(self, port: int) -> list[str]:
        """Write postgresql.conf and return the command line."""
        config = _CONFIG.format(host=LOOPBACK, port=port)
        (self.folder / "postgresql.conf").write_text(config, encoding="utf-8")
        return [str(POSTGRES_BIN / "postgres"), "-D", _HERE]

    def ready(self, port: int) -> bool:
        """Return whether the server accepts the generated login."""
        try:
            psycopg.connect(self._url("postgres", port), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def start(self) -> None:
        """Start, and create the database `tonne` if missing."""
        super().start()
        with psycopg.connect(self._url("postgres", self.port), autocommit=True) as connection:
            row = connection.execute(
                "SELECT FROM pg_database WHERE datname = %s", (DATABASE,)
            ).fetchone()
            if row is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def let_read(self, login: str, password: str) -> None:
        """Create a read-only login for the Grafana dashboards."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for role, may in (("tonne_grafana", "NOLOGIN"), (login, "LOGIN")):
                known = "SELECT FROM pg_roles WHERE rolname = %s"
                if connection.execute(known, (role,)).fetchone() is None:
                    connection.execute(
                        sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(role), sql.SQL(may))
                    )
                for setting in ("statement_timeout = '30s'", "default_transaction_read_only = on"):
                    connection.execute(
                        sql.SQL("ALTER ROLE {} SET {}").format(
                            sql.Identifier(role), sql.SQL(setting)
                        )
                    )
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(login), sql.Literal(password)
                )
            )
            connection.execute(sql.SQL("GRANT tonne_grafana TO {}").format(sql.Identifier(login)))

    def port_conflict(self, port: int) -> bool:
        """Return whether the port is in use, also while backends of a killed server still run."""
        return super().port_conflict(port) or "shared memory block" in self.last_lines()

    def _initdb(self, account: Account | None) -> None:
        # a file in memory, which only the account can read and which disappears when it is closed
        secret = os.memfd_create("password")
        try:
            os.write(secret, f"{self._password()}\n".encode())
            os.fchmod(secret, 0o400)
            if account is not None:
                os.fchown(secret, account.uid, account.gid)
            options = ["--username=tonne", f"--pwfile=/proc/self/fd/{secret}", "--data-checksums"]
            options += ["--auth=scram-sha-256", "--locale=C.UTF-8", "--encoding=UTF8"]
            command = [str(POSTGRES_BIN / "initdb"), "-D", _HERE, *options]
            done = process.run(command, self.folder, account, files=[secret])
        finally:
            os.close(secret)
        if done.returncode:
            raise ServerError(
                f"initdb in {self.folder} failed: {done.stderr.strip()}; correct the cause "
                "and start it again"
            )

    def _forget_dead_postmaster(self) -> None:
        """
        Remove the lock file of an ended server that was started here.

        PostgreSQL keeps it if another process has the same id, as after a container's restart.
        """
        lock = self.folder / "postmaster.pid"
        remembered = process.load(self._pid_file)
        if remembered and lock.exists() and not remembered.alive():
            owner = lock.read_text(encoding="utf-8").split("\n", 1)[0]
            if owner == str(remembered.pid):
                lock.unlink()

    def _password(self) -> str:
        path = self.home / "postgres.password"
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(24))
        return path.read_text(encoding="utf-8").strip()

    def _url(self, database: str, port: int) -> str:
        return f"postgresql://tonne:{self._password()}@{LOOPBACK}:{port}/{database}"


@dataclass(frozen=True)
class Urls:
    """Addresses of the servers; None for one that is not running."""

    database_url: str | None = None
    mqtt_url: str | None = None
    kafka_url: str | None = None
    mqtt_ca_file: str | None = None
    mqtt_cert_file: str | None = None
    mqtt_key_file: str | None = None
    prometheus_url: str | None = None
    grafana_url: str | None = None


@dataclass(frozen=True)
class ServerStatus:
    """Current state of one server."""

    state: str
    pid: int | None
    port: int
    log: str


@dataclass(frozen=True)
class Status:
    """Current state of all servers."""

    home: str
    urls: Urls
    servers: dict[str, ServerStatus]


class LocalStack:
    """
    Local servers of one data folder.

    `home`: data folder; created if missing.
    `kafka`: Apache Kafka's folder, see `kafka_home`; without it the broker keeps topics in memory.
    `grafana`: Grafana's folder, see `grafana_home`; required to start Grafana.
    """

    def __init__(self, home: Path, kafka: Path | None = None, grafana: Path | None = None) -> None:
        self.home = home.resolve()
        self.postgres = Postgres(self.home)
        self.mosquitto = Mosquitto(self.home)
        self.kafka = Kafka(self.home) if kafka is None else ApacheKafka(self.home, kafka)
        self.prometheus = Prometheus(self.home)
        self.grafana = Grafana(self.home, grafana)

    @property
    def servers(self) -> tuple[Server, ...]:
        """Return every server, in the order of starting."""
        return self.postgres, self.mosquitto, self.kafka, self.prometheus, self.grafana

    def up(
        self,
        *,
        kafka: bool = False,
        secure: bool | None = None,
        prometheus: bool = False,
        grafana: bool = False,
        processes: Mapping[str, str] | None = None,
    ) -> Urls:
        """
        Start servers that do not run; return the URLs.

        `kafka`: whether to start the Kafka-compatible broker too.
        `secure`: whether the MQTT broker authenticates all clients; unchanged if not given.
        `prometheus`: whether to start Prometheus too.
        `grafana`: whether to start Grafana too.
        `processes`: addresses of tonne's processes for Prometheus: `run` to `host:port`.
        Raises InputError if a package is missing and cannot be installed, or Grafana is required
        and not installed.
        Raises ServerError when a server does not come up.
        """
        require()
        with self._alone():
            if grafana:
                self.grafana.require()
            if secure is not None:
                self.mosquitto.become(secure=secure)
            wanted: dict[Server, bool] = {
                self.kafka: kafka,
                self.prometheus: prometheus,
                self.grafana: grafana,
            }
            if prometheus:
                self.prometheus.watch(processes or {})
            for server in self.servers:
                if wanted.get(server, True):
                    if server is self.grafana and server.pid is None:
                        self._provision()
                    server.start()
                    self._publish()
        return self.urls()

    def down(self) -> None:
        """Stop all servers cleanly; their data are kept."""
        if not self.home.exists():
            return
        with self._alone():
            for server in reversed(self.servers):
                server.stop()
                self._publish()

    def urls(self) -> Urls:
        """Return URLs of the running servers."""
        running = [server.url if server.pid else None for server in self.servers]
        database, mqtt, kafka, prometheus, grafana = running
        tls = self.mosquitto.tls if mqtt and self.mosquitto.secure else Tls()
        ca, cert, key = (str(path) if path else None for path in (tls.ca, tls.cert, tls.key))
        return Urls(database, mqtt, kafka, ca, cert, key, prometheus, grafana)

    def status(self) -> Status:
        """Return every server's state."""
        servers = {}
        for server in self.servers:
            state = "up" if server.pid else "down"
            servers[server.name] = ServerStatus(state, server.pid, server.port, str(server.log))
        return Status(str(self.home), self.urls(), servers)

    def _provision(self) -> None:
        self.grafana.provision(self.postgres.port, DATABASE, self.prometheus.url)
        self.postgres.let_read(READER, self.grafana.reader_password)

    def _publish(self) -> None:
        path = self.home / LOCAL_STATE
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        # readable by the owner only, as the database URL contains the password
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self.urls()), file, indent=2)
        fresh.replace(path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Context of a lock on the data folder: other `tonne local` commands wait until it ends."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
