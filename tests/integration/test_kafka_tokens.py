"""Apache Kafka with OAUTHBEARER: tokens of a provider run by the test, verified by Kafka."""

import gc
import json
import ssl
import threading
import time
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from ingest.addresses import Tls
from ingest.errors import ServerError
from services.environment import TOKEN, KafkaAccess
from services.intake.topics import Topic, apply, dead, partitions
from tests.apache_kafka import APACHE, WHY, Quick, with_options
from tests.bench.load import Publisher
from tests.integration import field
from tests.integration.kafka_path import Processes
from tests.integration.test_kafka_tls import Authority
from tests.ports import free_port
from tests.registering import register
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.skipif(APACHE is None, reason=WHY)]
AUDIENCE, ISSUER = "tonne-kafka", "https://id.example.vn"
CLIENT, SECRET = "tonne bridge", "a:secret/with%signs"
_HANDLER = "org.apache.kafka.common.security.oauthbearer"


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


class TokenKafka(Quick):
    """A broker that requires tokens of the provider, over TLS."""

    def __init__(self, home, made, authority, provider):
        super().__init__(home, made)
        self._authority, self._provider = authority, provider
        self.secure = free_port()

    def settings(self, port):
        """Return the content of `server.properties`."""
        *_, store = self._authority.issue("token-broker")
        lines = dict(line.split("=", 1) for line in super().settings(port).splitlines())
        lines["listeners"] += f",TOKENS://localhost:{self.secure}"
        lines["listener.security.protocol.map"] += ",TOKENS:SASL_SSL"
        own = "listener.name.tokens"
        return "".join(f"{key}={value}\n" for key, value in {
            **lines,
            f"{own}.ssl.keystore.type": "PEM",
            f"{own}.ssl.keystore.location": store,
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
    """Return an authority for broker and provider."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def provider(authority):
    """Return the provider of tokens; the test serves it."""
    return Provider(authority)


@pytest.fixture(scope="module")
def token_kafka(tmp_path_factory, kafka_made, authority, provider):
    """Yield the broker."""
    home = tmp_path_factory.mktemp("token-kafka")
    found = TokenKafka(home, kafka_made, authority, provider)
    found.start()
    yield found
    found.stop()


def address(port, secret=SECRET):
    quoted = secret.replace("%", "%25").replace("/", "%2F").replace(":", "%3A")
    return f"kafkas://tonne%20bridge:{quoted}@localhost:{port}"


def access(authority, port, tokens, secret=SECRET):
    return KafkaAccess.of(address(port, secret), Tls(authority.file, server="KAFKA"), TOKEN, tokens)


def test_a_reading_travels_by_tokens(
    token_kafka, authority, provider, tmp_path, database_url, mqtt_broker, topic
):
    """A managed Kafka with token login could not be used, or only until the first token expires."""
    (name,) = field.fresh(1)
    register(database_url, tmp_path, yaml.safe_dump(field.registry([name])))
    with provider.serving() as tokens:
        by_token = access(authority, token_kafka.secure, tokens)
        apply(by_token, Topic(topic, 2, 1, 24))
        apply(by_token, Topic(dead(topic), 1, 1, 24, compact=True))
        processes = Processes(
            tmp_path,
            database_url,
            mqtt_broker.url,
            address(token_kafka.secure),
            topic,
            TONNE_KAFKA_CA_FILE=str(authority.file),
            TONNE_KAFKA_SASL_MECHANISM="OAUTHBEARER",
            TONNE_KAFKA_TOKEN_URL=tokens,
        )
        before = provider.given
        with processes.running("worker", "--session", "6"), processes.running("bridge"):
            until(lambda: "receiving" in processes.logs(), 120, processes.logs, 0.1)
            publisher = Publisher(mqtt_broker.port)

            def sent_again():  # as a device does until its receipt: who receives may not yet hear
                publisher.send([(field.topic(name), field.payload(0))])
                return field.stored(database_url, name)

            until(sent_again, 120, processes.logs, 1.0)
            publisher.close()
    assert provider.given > before
    assert SECRET not in processes.logs()


def test_what_is_wrong_with_a_token_is_told(token_kafka, authority, provider, monkeypatch):
    """An operator would look for a broker that is down where a secret has changed."""
    at = token_kafka.secure
    with provider.serving() as tokens:
        with pytest.raises(ServerError, match=r"TONNE_KAFKA_TOKEN_URL.*401") as found:
            partitions(access(authority, at, tokens, "wrong"), "any")
        assert "wrong" not in str(found.value)
        del found  # which holds that connection
        monkeypatch.setattr(provider, "audience", "another")
        with pytest.raises(ServerError, match="rejected token"):
            partitions(access(authority, at, tokens), "any")
        for answer in ((200, b"<html>"), (200, b'{"token": 1}'), (500, b""), (302, b"")):
            monkeypatch.setattr(provider, "answer", answer)
            with pytest.raises(ServerError, match="TONNE_KAFKA_TOKEN_URL"):
                partitions(access(authority, at, tokens), "any")
    with pytest.raises(ServerError, match="TONNE_KAFKA_TOKEN_URL"):  # nobody answers there
        partitions(access(authority, at, tokens), "any")
    gc.collect()
