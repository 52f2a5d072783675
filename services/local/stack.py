"""
All local servers together, and the file that tells other commands their URLs.

`local.json` in the data folder holds the URLs while the servers are up;
`services.settings` reads it.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ingest.mqtt.tls import Tls
from services.local import machine
from services.local.grafana import READER, Grafana
from services.local.kafka import ApacheKafka, Kafka
from services.local.mosquitto import Mosquitto
from services.local.postgres import DATABASE, Postgres
from services.local.prometheus import Prometheus
from services.local.server import Server
from services.settings import LOCAL_STATE


@dataclass(frozen=True)
class Urls:
    """Where the servers are; None for one that is not up."""

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
    """One server as it is now."""

    state: str
    pid: int | None
    port: int
    log: str


@dataclass(frozen=True)
class Status:
    """All servers as they are now."""

    home: str
    urls: Urls
    servers: dict[str, ServerStatus]


class LocalStack:
    """
    The servers of one data folder.

    Parameters
    ----------
    home : Path
        Data folder; made where it is missing.
    kafka : Path, optional
        Apache Kafka's own folder, see `kafka_home`; without it the broker is one that keeps its
        topics in memory.
    grafana : Path, optional
        Grafana's own folder, see `grafana_home`; without it Grafana cannot be started.
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
        """Every server, in the order of starting."""
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
        Start what does not run yet.

        Parameters
        ----------
        kafka : bool
            Whether to start the Kafka-compatible broker too.
        secure : bool, optional
            Whether the MQTT broker asks everybody who they are; as before, if not given.
        prometheus : bool
            Whether to start Prometheus too.
        grafana : bool
            Whether to start Grafana too.
        processes : mapping of str to str, optional
            Where tonne's processes listen, which Prometheus then scrapes: `run` to `host:port`.

        Raises
        ------
        InputError
            When a package is missing and cannot be installed, or Grafana is wanted and not there.
        ServerError
            When a server does not come up.
        """
        machine.require()
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
        """Stop all servers cleanly; their data stays."""
        if not self.home.exists():
            return
        with self._alone():
            for server in reversed(self.servers):
                server.stop()
                self._publish()

    def urls(self) -> Urls:
        """URLs of the servers that run."""
        running = [server.url if server.pid else None for server in self.servers]
        database, mqtt, kafka, prometheus, grafana = running
        tls = self.mosquitto.tls if mqtt and self.mosquitto.secure else Tls()
        ca, cert, key = (str(path) if path else None for path in (tls.ca, tls.cert, tls.key))
        return Urls(database, mqtt, kafka, ca, cert, key, prometheus, grafana)

    def status(self) -> Status:
        """Every server's state."""
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
        # the database URL holds the password
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self.urls()), file, indent=2)
        fresh.replace(path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock the folder: one command at a time starts and stops its servers."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
