"""
Apache Kafka with mutual TLS, and with OAUTHBEARER tokens of a provider run by the test.

Who has a valid certificate or token connects, another client gets the reason.
"""

import gc
import json
import ssl
import threading
import time
from base64 import b64encode
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from jwt.algorithms import RSAAlgorithm

from ingest.addresses import Tls
from ingest.errors import ServerError
from services.environment import TOKEN, KafkaAccess
from services.intake.topics import Topic, apply, dead, partitions
from tests.apache_kafka import APACHE, WHY, Quick, with_options
from tests.bench.load import Publisher
from tests.integration import field
from tests.integration.kafka_path import Processes
from tests.ports import free_port
from tests.registering import register
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.skipif(APACHE is None, reason=WHY)]
DAY = timedelta(days=1)
AUDIENCE, ISSUER = "tonne-kafka", "https://id.example.vn"
CLIENT, SECRET = "tonne bridge", "a:secret/with%signs"
_HANDLER = "org.apache.kafka.common.security.oauthbearer"


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


class Provider:
    """Issues tokens to one client, by client credentials (RFC 6749, 4.4) over TLS."""

    def __init__(self, authority):
        self._key = rsa.generate_private_key(65_537, 2_048)
        self.jwks = authority.folder / "jwks.json"
        public = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        self.jwks.write_text(json.dumps({"keys": [{**public, "kid": "one", "use": "sig"}]}))
        self._certificate = authority.issue("provider")
        self.given, self.audience, self.answer = 0, AUDIENCE, None

    def token(self):
        """Return a token that is valid for five seconds, as its answer states."""
        now = int(time.time())
        said = {"sub": "bridge", "iss": ISSUER, "aud": self.audience, "iat": now, "exp": now + 60}
        self.given += 1
        return jwt.encode(said, self._key, "RS256", headers={"kid": "one"})

    @contextmanager
    def serving(self):
        """Yield the address of its token endpoint."""
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, text = provider.answered(self.headers["Authorization"], body)
                self.send_response(status)
                self.send_header("Location", "http://localhost:1/")
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                """Log nothing."""

        server = HTTPServer(("localhost", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._certificate[:2])
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"https://localhost:{server.server_port}/token"
        finally:
            server.shutdown()
            server.server_close()

    def answered(self, authorization, body):
        """Return status and body of an answer."""
        if self.answer is not None:
            return self.answer
        pair = "tonne%20bridge:a%3Asecret%2Fwith%25signs"
        if authorization != f"Basic {b64encode(pair.encode()).decode()}":
            return 401, b'{"error": "invalid_client"}'
        assert body == b"grant_type=client_credentials"
        said = {"access_token": self.token(), "token_type": "Bearer", "expires_in": 5}
        return 200, json.dumps(said).encode()


class SecureKafka(Quick):
    """
    A broker that requires certificates, or tokens of the provider over TLS; one of its ports has
    an expired certificate.
    """

    def __init__(self, home, made, authority, provider):
        super().__init__(home, made)
        self._authority, self._provider = authority, provider
        self.secure, self.expired, self.by_token = free_port(), free_port(), free_port()

    def settings(self, port):
        """Return the content of `server.properties`."""
        *_, good = self._authority.issue("broker")
        *_, old = self._authority.issue("expired-broker", -DAY)
        listeners = {
            "SECURE": (self.secure, good, "SSL"),
            "EXPIRED": (self.expired, old, "SSL"),
            "TOKENS": (self.by_token, good, "SASL_SSL"),
        }
        lines = dict(line.split("=", 1) for line in super().settings(port).splitlines())
        for name, (at, store, protocol) in listeners.items():
            lines["listeners"] += f",{name}://localhost:{at}"
            lines["listener.security.protocol.map"] += f",{name}:{protocol}"
            own = f"listener.name.{name.lower()}.ssl"
            lines[f"{own}.keystore.type"], lines[f"{own}.keystore.location"] = "PEM", str(store)
            if protocol == "SSL":
                lines[f"{own}.truststore.type"] = "PEM"
                lines[f"{own}.truststore.location"] = str(self._authority.file)
                lines[f"{own}.client.auth"] = "required"
        own = "listener.name.tokens"
        return "".join(f"{key}={value}\n" for key, value in {
            **lines,
            f"{own}.sasl.enabled.mechanisms": "OAUTHBEARER",
            f"{own}.oauthbearer.sasl.jaas.config": f"{_HANDLER}.OAuthBearerLoginModule required;",
            f"{own}.oauthbearer.sasl.server.callback.handler.class":
                f"{_HANDLER}.OAuthBearerValidatorCallbackHandler",
            "sasl.oauthbearer.jwks.endpoint.url": self._provider.jwks.as_uri(),
            "sasl.oauthbearer.expected.audience": AUDIENCE,
            "sasl.oauthbearer.expected.issuer": ISSUER,
        }.items())  # fmt: skip

    def _environment(self):
        """Let the broker read the provider's keys from a file."""
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self._provider.jwks.as_uri()}"
        return with_options(super()._environment(), allowed)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Return an authority for brokers, clients and the provider."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def provider(authority):
    """Return the provider of tokens; a test serves it."""
    return Provider(authority)


@pytest.fixture(scope="module")
def secure_kafka(tmp_path_factory, kafka_made, authority, provider):
    """Yield the broker."""
    found = SecureKafka(tmp_path_factory.mktemp("secure-kafka"), kafka_made, authority, provider)
    found.start()
    yield found
    found.stop()


def access(authority, port, certificate=None):
    crt, key, _ = certificate or (None, None, None)
    return KafkaAccess.of(
        f"kafkas://localhost:{port}", Tls(authority.file, crt, key, server="KAFKA")
    )


def test_fault_of_a_certificate_is_named(secure_kafka, authority, tmp_path):
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


@pytest.fixture
def travels(tmp_path, database_url, mqtt_broker, topic, authority):
    """Return a function that sends a reading over bridge and worker, and returns their logs."""

    def send(by, url, **settings):
        apply(by, Topic(topic, 2, 1, 24))
        apply(by, Topic(dead(topic), 1, 1, 24, compact=True))
        (name,) = field.fresh(1)
        register(database_url, tmp_path, yaml.safe_dump(field.registry([name])))
        settings["TONNE_KAFKA_CA_FILE"] = str(authority.file)
        processes = Processes(tmp_path, database_url, mqtt_broker.url, url, topic, **settings)
        with processes.running("worker", "--session", "6"), processes.running("bridge"):
            until(lambda: "receiving" in processes.logs(), 120, processes.logs, 0.1)
            publisher = Publisher(mqtt_broker.port)

            def sent_again():  # as a device does until its receipt: who receives may not yet hear
                publisher.send([(field.topic(name), field.payload(0))])
                return field.stored(database_url, name)

            until(sent_again, 120, processes.logs, 1.0)
            publisher.close()
        return processes.logs()

    return send


def test_a_reading_travels_by_mutual_tls(secure_kafka, authority, travels):
    """A setting that a bridge reads and a worker's reader does not would stop at the worker."""
    crt, key, _ = certificate = authority.issue("client")
    logs = travels(
        access(authority, secure_kafka.secure, certificate),
        f"kafkas://localhost:{secure_kafka.secure}",
        TONNE_KAFKA_CERT_FILE=str(crt),
        TONNE_KAFKA_KEY_FILE=str(key),
    )
    assert "PRIVATE KEY" not in logs


def address(port, secret=SECRET):
    quoted = secret.replace("%", "%25").replace("/", "%2F").replace(":", "%3A")
    return f"kafkas://tonne%20bridge:{quoted}@localhost:{port}"


def token_access(authority, port, tokens, secret=SECRET):
    return KafkaAccess.of(address(port, secret), Tls(authority.file, server="KAFKA"), TOKEN, tokens)


def test_a_reading_travels_by_tokens(secure_kafka, authority, provider, travels):
    """A managed Kafka with token login could not be used, or only until the first token expires."""
    port = secure_kafka.by_token
    with provider.serving() as tokens:
        by_token = token_access(authority, port, tokens)
        before = provider.given
        logs = travels(
            by_token,
            address(port),
            TONNE_KAFKA_SASL_MECHANISM="OAUTHBEARER",
            TONNE_KAFKA_TOKEN_URL=tokens,
        )
    assert provider.given > before + 2  # the topics' own, and those of bridge and worker
    assert SECRET not in logs


def test_fault_of_a_token_is_named(secure_kafka, authority, provider, monkeypatch):
    """An operator would look for a broker that is down where a secret has changed."""
    at = secure_kafka.by_token
    with provider.serving() as tokens:
        with pytest.raises(ServerError, match=r"TONNE_KAFKA_TOKEN_URL.*401") as found:
            partitions(token_access(authority, at, tokens, "wrong"), "any")
        assert "wrong" not in str(found.value)
        del found  # which holds that connection
        monkeypatch.setattr(provider, "audience", "another")
        with pytest.raises(ServerError, match="rejected the token"):
            partitions(token_access(authority, at, tokens), "any")
        for answer in ((200, b"<html>"), (200, b'{"token": 1}'), (500, b""), (302, b"")):
            monkeypatch.setattr(provider, "answer", answer)
            with pytest.raises(ServerError, match="TONNE_KAFKA_TOKEN_URL"):
                partitions(token_access(authority, at, tokens), "any")
    with pytest.raises(ServerError, match="TONNE_KAFKA_TOKEN_URL"):  # no server answers there
        partitions(token_access(authority, at, tokens), "any")
    gc.collect()
