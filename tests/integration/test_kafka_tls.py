"""
Apache Kafka with mutual TLS: a client with a certificate connects,
another one gets the reason.
"""

from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ingest.addresses import Tls
from ingest.errors import ServerError
from services.environment import KafkaAccess
from services.intake.topics import Topic, apply, dead, partitions
from tests.apache_kafka import APACHE, WHY, Quick
from tests.bench.load import Publisher
from tests.integration import field
from tests.integration.kafka_path import Processes
from tests.ports import free_port
from tests.registering import register
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.skipif(APACHE is None, reason=WHY)]
DAY = timedelta(days=1)


class Authority:
    """Issues valid and invalid certificates."""

    def __init__(self, folder):
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Kafka's authority")])
        self.file = folder / "ca.pem"
        self.file.write_bytes(_pem(self._made(self._key, self._name, timedelta(days=9), ca=True)))

    def _made(self, key, name, ends, *, ca=False):
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * DAY)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(_usage(ca=ca), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        return made.sign(self._key, hashes.SHA256())

    def issue(self, name, ends=9 * DAY):
        """
        Issue a certificate; return its files, and one file with key and
        chain as Kafka requires.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = _pem(self._made(key, subject, ends))
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        files = [self.folder / f"{name}.{kind}" for kind in ("crt", "key", "pem")]
        for file, text in zip(
            files,
            (certificate, private, private + certificate + self.file.read_bytes()),
            strict=True,
        ):
            file.write_bytes(text)
        return files


def _usage(*, ca):
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


class SecureKafka(Quick):
    """A broker that requires certificates; one of its ports has an expired certificate."""

    def __init__(self, home, made, authority):
        super().__init__(home, made)
        self._authority = authority
        self.secure, self.expired = free_port(), free_port()

    def settings(self, port):
        """Return the content of `server.properties`."""
        *_, good = self._authority.issue("broker")
        *_, old = self._authority.issue("expired-broker", -DAY)
        listeners = {"SECURE": (self.secure, good), "EXPIRED": (self.expired, old)}
        lines = dict(line.split("=", 1) for line in super().settings(port).splitlines())
        for name, (at, store) in listeners.items():
            lines["listeners"] += f",{name}://localhost:{at}"
            lines["listener.security.protocol.map"] += f",{name}:SSL"
            own = f"listener.name.{name.lower()}.ssl"
            lines[f"{own}.keystore.type"] = lines[f"{own}.truststore.type"] = "PEM"
            lines[f"{own}.keystore.location"] = str(store)
            lines[f"{own}.truststore.location"] = str(self._authority.file)
            lines[f"{own}.client.auth"] = "required"
        return "".join(f"{key}={value}\n" for key, value in lines.items())


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Return an authority for brokers and clients."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure_kafka(tmp_path_factory, kafka_made, authority):
    """Yield the broker."""
    found = SecureKafka(tmp_path_factory.mktemp("secure-kafka"), kafka_made, authority)
    found.start()
    yield found
    found.stop()


def access(authority, port, certificate=None):
    crt, key, _ = certificate or (None, None, None)
    return KafkaAccess.of(
        f"kafkas://localhost:{port}", Tls(authority.file, crt, key, server="KAFKA")
    )


def test_what_is_wrong_with_a_certificate_is_told(secure_kafka, authority, tmp_path):
    """An operator would look for a broker that is down, on the day that a certificate ends."""
    good, ended = authority.issue("client"), authority.issue("ended", -DAY)
    stranger = Authority(tmp_path).issue("stranger")
    for at, certificate, sentence in (
        (secure_kafka.expired, good, r"broker's certificate is rejected \(certificate has expired"),
        (secure_kafka.secure, ended, "rejects this client's certificate.*TONNE_KAFKA_CERT_FILE"),
        (secure_kafka.secure, stranger, "rejects this client's certificate.*TONNE_KAFKA_CERT_FILE"),
        (secure_kafka.secure, None, "requires a client certificate; set TONNE_KAFKA_CERT_FILE"),
    ):
        with pytest.raises(ServerError, match=sentence):
            partitions(access(authority, at, certificate), "any")


def test_a_reading_travels_by_mutual_tls(
    secure_kafka, authority, tmp_path, database_url, mqtt_broker, topic
):
    """A setting that a bridge reads and a worker's reader does not would stop at the worker."""
    crt, key, _ = certificate = authority.issue("client")
    by_tls = access(authority, secure_kafka.secure, certificate)
    apply(by_tls, Topic(topic, 2, 1, 24))
    apply(by_tls, Topic(dead(topic), 1, 1, 24, compact=True))
    url = f"kafkas://localhost:{secure_kafka.secure}"
    processes = Processes(
        tmp_path,
        database_url,
        mqtt_broker.url,
        url,
        topic,
        TONNE_KAFKA_CA_FILE=str(authority.file),
        TONNE_KAFKA_CERT_FILE=str(crt),
        TONNE_KAFKA_KEY_FILE=str(key),
    )
    (name,) = field.fresh(1)
    register(database_url, tmp_path, yaml.safe_dump(field.registry([name])))
    with processes.running("worker", "--session", "6"), processes.running("bridge"):
        until(lambda: "receiving" in processes.logs(), 120, processes.logs, 0.1)
        publisher = Publisher(mqtt_broker.port)
        publisher.send([(field.topic(name), field.payload(0))])
        publisher.close()
        until(lambda: field.stored(database_url, name), 120, processes.logs, 0.1)
    assert "PRIVATE KEY" not in processes.logs()
