"""The two brokers, each with the same users: a pipeline, devices A and B, one with a password."""

import os
import shutil
import socket
import ssl
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.addresses import Tls
from services import enrolment as written
from services import local
from services.identity import Authority, mosquitto, principals, write
from services.identity.mosquitto import Listening
from services.identity.principals import IdentityFolder
from services.local import LOOPBACK
from services.local.brokers import PASSWORDS, Mosquitto
from services.registry.entries import Device
from tests.ports import give_ports
from tests.security import rabbitmq
from tests.security.probe import Probe

DEVICES = ("devA", "devB", "devC", "devX", "devP")
PACKET = 65_536


def _device(name):
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return Device(name, "s", "pv_inverter", "generic", None, None, moment, None, None, {}, (), ())


class Secured:
    """A secured broker and its users."""

    def __init__(self, kind, home):
        self.kind = kind
        self.home = home
        self.reread = False
        self.folder = IdentityFolder(home / "identity")
        self.authority = self.folder.authority()
        for name in DEVICES[:-1]:
            self.folder.hand_out(
                self.folder.device(name), self.authority, self.authority.issue(name, 365)
            )
        self.folder.hand_out_password("devP", self.authority)
        self.server = self._mosquitto() if kind == "mosquitto" else self._rabbitmq()

    def everybody(self, names=DEVICES):
        """Return the users of the broker."""
        hashes = self.folder.passwords(n for n in names if n == "devP")
        field = principals.field([_device(n) for n in names], [], hashes, names)
        return [principals.service(n) for n in ("tonne", "tonne-admin")] + field

    def _mosquitto(self):
        server = Mosquitto(give_ports(self.home, "mosquitto"))
        server._listening = lambda port: Listening(
            LOOPBACK, port, port + PASSWORDS, packet=PACKET, arch=os.uname().machine
        )
        server.become(secure=True)
        write(server.folder / mosquitto.SECURITY, mosquitto.security(self.everybody()))
        return server

    def _rabbitmq(self):
        for name in ("tonne", "tonne-admin"):
            self.folder.ensure_service(name)

        def write_all(port, where):
            at = Listening(LOOPBACK, port, port, packet=PACKET)  # passwords too
            hosts = [LOOPBACK, "localhost"]
            return written.write_rabbitmq(self.folder, self.everybody(), at, hosts, where)

        # the clients' port, and two of its own
        give_ports(self.home, "rabbitmq", count=3)
        return rabbitmq.RabbitMQ(self.home, write_all, self._answers)

    def _answers(self, port):
        probe = Probe(port, self.service_tls("tonne-admin").context(), "tonne-admin")
        try:
            return probe.open()
        finally:
            probe.close()

    def service_tls(self, name):
        """Return the identity of a service of tonne."""
        return Tls.of(self.folder.service(name))

    def tls(self, name):
        """Return the TLS context of a device with its own certificate."""
        return Tls.of(self.folder.device(name)).context()

    def context(self, certificate, key):
        """Return a TLS context with any certificate; the broker is trusted."""
        folder = self.home / "made"
        write(folder / "c.crt", certificate)
        write(folder / "c.key", key)
        return Tls(self.folder.path / "ca.crt", folder / "c.crt", folder / "c.key").context()

    def trusting(self):
        """Return a TLS context without a certificate."""
        return Tls(self.folder.path / "ca.crt").context()

    @contextmanager
    def client(self, name="devA", **words):
        """Yield a connected device."""
        tls = words.pop("tls", None) or self.tls(name)
        probe = Probe(self.server.port, tls, words.pop("client_id", name), **words)
        try:
            yield probe
        finally:
            probe.close()

    @contextmanager
    def pipeline(self, *topics, **words):
        """Yield the connected pipeline."""
        tls = self.service_tls("tonne").context()
        probe = Probe(self.server.port, tls, "tonne", **words)
        try:
            assert probe.open()
            for topic in topics:
                assert probe.subscribe(topic)
            yield probe
        finally:
            probe.close()

    def listening(self):
        """Return the ports on which the broker's processes listen."""
        found, waiting = set(), [self.server.pid]
        while waiting:
            pid = waiting.pop()
            found |= listening_ports(pid)
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
            waiting += map(int, children.split())
        return found

    @property
    def password_port(self):
        """Return the port for logins by password."""
        return self.server.port + (PASSWORDS if self.kind == "mosquitto" else 0)

    def revoke(self, name):
        """Revoke a device as the documentation describes."""
        certificate = (self.folder.device(name) / "client.crt").read_bytes()
        from cryptography import x509  # noqa: PLC0415

        serial = f"{x509.load_pem_x509_certificate(certificate).serial_number:x}"
        self.authority.write_crl([(serial, datetime.now(UTC))])
        rest = self.everybody([n for n in DEVICES if n != name])
        if self.kind == "mosquitto":
            self.server.take_up_revocations()
            self.reread = True
            written.apply(self.folder, lambda _: rest, self.server.url, sparkplug=False)
        else:
            self.server.ctl("delete_user", name)


def rogue(home, name):
    """Return a certificate with that name from an authority that no one trusts."""
    return Authority.open(home / "rogue").issue(name, 10)


@pytest.fixture(scope="module", params=["mosquitto", "rabbitmq"])
def secured(request, tmp_path_factory):
    """Yield a running broker with its users."""
    local.require()
    if request.param == "rabbitmq":
        local.require(local.RABBITMQ)
    home = tmp_path_factory.mktemp(request.param)
    found = Secured(request.param, home)
    found.server.start()
    yield found
    found.server.stop()
    shutil.rmtree(home, ignore_errors=True)


def listening_ports(pid):
    """Return the ports on which a process listens."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.startswith("socket:"):
            inodes.add(target[8:-1])
    table = Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows = [line.split() for line in table]
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in inodes}


def speaks_plain(port):
    """Return whether a port answers MQTT without TLS."""
    with socket.create_connection((LOOPBACK, port), timeout=60) as connection:
        connection.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x05\x00\x04devA")
        connection.settimeout(5)
        try:
            return connection.recv(4)[:1] == b"\x20"
        except OSError:
            return False


def old_tls(context):
    """Make a context use TLS 1.1 at most."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context
