"""Connection options of aiokafka, and explanations of Kafka's errors."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self, TypeVar

from aiokafka import errors
from aiokafka.abc import AbstractTokenProvider

from ingest.errors import ServerError
from services.environment import TOKEN, KafkaAccess

T = TypeVar("T")

MAX_RECORD = 900_000  # maximum bytes of a record
LARGEST = MAX_RECORD + 65_536  # maximum with Kafka's overhead
_TOKEN_TIMEOUT_S, _TOKEN_BYTES = 10.0, 262_144
_TURNS = 4
_LOOK_S = 2.0  # time for a broker to state why it closed a connection [s]
_OUT_OF_TIME = (9, 10)  # OpenSSL's codes for certificates: not yet valid, expired
_SPENT = 0.8  # share of a token's validity after which a new one is requested
_ACCESS = "; `tonne topics access` prints what each user needs, --apply sets it"
# meaning and remedy of a refusal, by the name of Kafka's error
_WORDS: dict[type[BaseException], str] = {
    errors.NotEnoughReplicasError: "the partition has fewer copies in sync than"
    " min.insync.replicas requires; start the other brokers",
    errors.UnknownTopicOrPartitionError: "the topic, or this partition of it, does not exist;"
    " create it with `tonne topics apply`",
    errors.SaslAuthenticationFailed: "Kafka rejects this user or password; check TONNE_KAFKA_URL",
    errors.UnsupportedSaslMechanismError: "the broker does not support this SASL mechanism;"
    " check TONNE_KAFKA_SASL_MECHANISM",
    errors.MessageSizeTooLargeError: "a record is larger than the topic allows; raise"
    " max.message.bytes with `tonne topics apply --alter`",
    errors.UnknownError: "Kafka rejects it, and Kafka's log states the reason; a compacted topic"
    " accepts no such record, `tonne topics apply` compares its settings",
    errors.KafkaConnectionError: "no Kafka broker answers",
    errors.NodeNotReadyError: "no Kafka broker answers",
}
_NOT_BELIEVED = (
    "the broker rejected the token; check that the audience and issuer of tokens from"
    " TONNE_KAFKA_TOKEN_URL are those that it expects"
)
# refusals of a topic, of a group, and of the cluster if a producer may write to no topic
_REFUSED = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
)
_WORDS[errors.NotEnoughReplicasAfterAppendError] = _WORDS[errors.NotEnoughReplicasError]
_WORDS[errors.AuthenticationFailedError] = _WORDS[errors.SaslAuthenticationFailed]


def client_options(access: KafkaAccess) -> dict[str, Any]:
    """
    Return the options of an aiokafka client.

    Raises InputError, naming a TLS file that cannot be used.
    """
    return {"bootstrap_servers": access.bootstrap, **security_options(access)}


def security_options(access: KafkaAccess) -> dict[str, Any]:
    """Return the options for protocol and authentication."""
    result: dict[str, Any] = {"security_protocol": access.protocol}
    if access.secure:
        result["ssl_context"] = access.context()
    if access.user is not None:
        result["sasl_mechanism"] = access.mechanism
        if access.mechanism == TOKEN:
            result["sasl_oauth_token_provider"] = Tokens(access)
        else:
            result["sasl_plain_username"] = access.user
            result["sasl_plain_password"] = access.password
    return result


def words(error: BaseException, doing: str = "do this") -> str:
    """
    Return the meaning of a Kafka error in words, with the remedy where one is known.

    `doing`: the operation that was rejected, for the text, as Kafka's error does not name it.
    """
    if isinstance(error, _REFUSED):
        return f"this Kafka user may not {doing}{_ACCESS}"
    for kind, meaning in _WORDS.items():
        if isinstance(error, kind):
            return meaning
    if isinstance(error, ssl.SSLError):
        return _words_of_tls(error)
    if isinstance(error, TimeoutError):
        return str(error) or "no answer in time"
    if isinstance(error, OSError):
        return f"no Kafka broker answers ({error.strerror or error})"
    return " ".join(str(error).split()) or type(error).__name__


def _words_of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        check = "check TONNE_KAFKA_CA_FILE"
        if error.verify_code in _OUT_OF_TIME:
            check = "give the broker another one, and check this machine's clock"
        return f"the broker's certificate is rejected ({error.verify_message}); {check}"
    reason = error.reason or ""
    if "CERTIFICATE_REQUIRED" in reason:
        return "the broker requires a client certificate; set TONNE_KAFKA_CERT_FILE and _KEY_FILE"
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        why = reason.partition("ALERT_")[2].lower().replace("_", " ")
        return (
            f"the broker rejects this client's certificate ({why}): it has expired, or is of an"
            " authority that the broker does not trust; check TONNE_KAFKA_CERT_FILE"
        )
    return f"TLS failed ({reason}); check TONNE_KAFKA_URL and TONNE_KAFKA_CERT_FILE"


def without_leader(client: Any, topic: str) -> str | None:
    """Return the error text for partitions without a leader; None with one."""
    cluster = client.cluster
    led = cluster.available_partitions_for_topic(topic) or set()
    if gone := sorted((cluster.partitions_for_topic(topic) or set()) - led):
        named = ", ".join(map(str, gone))
        return (
            f"partition {named} of topic {topic!r} has no leader: the brokers that have it are"
            " not running; start them"
        )
    return None


def unreachable(access: KafkaAccess, error: BaseException, doing: str = "do this") -> ServerError:
    """Return the error for a broker that cannot be reached, or refuses, with the remedy."""
    servers = ", ".join(access.bootstrap)
    if isinstance(error, _REFUSED):  # the broker was reached
        return ServerError(f"Kafka {servers}: {words(error, doing)}")
    return ServerError(
        f"Kafka {servers}: {words(error, doing)}; check TONNE_KAFKA_URL, "
        "or start a broker with `tonne local up --kafka`"
    )


class Reasons(logging.Handler):
    """
    Context that collects the causes of failures from aiokafka's log.

    aiokafka repeats a refused connection or record, and its exceptions do not name the cause.
    """

    def __init__(self, access: KafkaAccess) -> None:
        super().__init__(logging.WARNING)
        self._access = access
        self._last: BaseException | None = None

    def __enter__(self) -> Self:
        """Start collecting."""
        logging.getLogger("aiokafka").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop collecting."""
        logging.getLogger("aiokafka").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Store the error of a log line."""
        lines = record.args if isinstance(record.args, tuple) else ()
        for item in lines:
            if isinstance(item, BaseException):
                self._last = item
            elif isinstance(item, type) and issubclass(item, BaseException):
                self._last = item()

    def of(self, error: BaseException) -> BaseException:
        """Return the logged reason of an error, or the error itself."""
        if self._token_refused(error):
            return NoTokenError(_NOT_BELIEVED)
        vague = isinstance(error, errors.KafkaConnectionError | TimeoutError)
        result = self._last if vague and self._last is not None else error
        if self._access.secure and isinstance(result, errors.KafkaConnectionError):
            return _refusal(self._access, str(result)) or result
        return result

    def _token_refused(self, error: BaseException) -> bool:
        """Return whether a token was refused; aiokafka reports only that no broker is known."""
        away = isinstance(error, errors.NodeNotReadyError | errors.KafkaConnectionError)
        by_token = self._access.user is not None and self._access.mechanism == TOKEN
        return by_token and away and isinstance(self._last, errors.StaleMetadata)


def _refusal(access: KafkaAccess, message: str) -> ssl.SSLError | None:
    """
    Return the TLS error for which a broker closed a connection; None if TLS was not the reason.

    With TLS 1.3 a client gets the refusal of its certificate only after the handshake, and aiokafka
    reports a closed connection.
    """
    context = access.context()
    for (host, port), name in zip(access.servers, access.bootstrap, strict=True):
        if context is None or f"{name} closed" not in message:
            continue
        with suppress(TimeoutError, ConnectionError, socket.gaierror):
            try:
                with (
                    socket.create_connection((host, port), _LOOK_S) as plain,
                    context.wrap_socket(plain, server_hostname=host) as secure,
                ):
                    secure.recv(1)
            except ssl.SSLError as error:
                return error
    return None


class NoTokenError(errors.KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """No token for a broker could be obtained; passed through aiokafka as a Kafka error."""

    def __str__(self) -> str:
        """Return the reason without the class's name."""
        return str(self.args[0])


class Tokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """OAuth tokens by client credentials (RFC 6749, 4.4), renewed after 80 % of their validity."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._cached, self._until_s = "", 0.0

    async def token(self) -> str:
        """Return a valid token."""
        if time.monotonic() >= self._until_s:
            self._cached, life_s = await asyncio.to_thread(self._ask)
            self._until_s = time.monotonic() + life_s * _SPENT
        return self._cached

    def _ask(self) -> tuple[str, float]:
        access = self._access
        pair = ":".join(
            urllib.parse.quote(part or "", safe="") for part in (access.user, access.password)
        )
        request = urllib.request.Request(  # noqa: S310 (the settings refuse all but https)
            access.token_url or "",
            b"grant_type=client_credentials",
            {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"},
        )
        ask = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=access.context()), _Stay()
        )
        try:
            with ask.open(request, timeout=_TOKEN_TIMEOUT_S) as answer:
                content = json.loads(answer.read(_TOKEN_BYTES))
            return str(content["access_token"]), float(content.get("expires_in", 60))
        except urllib.error.HTTPError as error:
            why = f"it answers {error.code}; check the user and password of TONNE_KAFKA_URL"
        except OSError as error:
            why = f"no answer ({getattr(error, 'reason', None) or error})"
        except (ValueError, TypeError, KeyError, RecursionError):
            why = "its answer contains no access_token"
        raise NoTokenError(
            f"no token was issued by TONNE_KAFKA_TOKEN_URL {access.token_url}: {why}; check "
            "client id and secret"
        )


class _Stay(urllib.request.HTTPRedirectHandler):
    """Refuses HTTP redirects, as the client's secret would be sent along."""

    def redirect_request(self, *_: object) -> None:
        """Treat the redirect as the answer."""


def run_once(work: Coroutine[Any, Any, T]) -> T:
    """
    Return the result of aiokafka work in a separate loop, closing all its connections.

    aiokafka does not wait for the closing of a connection whose login failed; with TLS socket and
    transport would stay open.
    """
    return asyncio.run(_ended_with(work))


async def _ended_with(work: Coroutine[Any, Any, T]) -> T:
    made = Connections(asyncio.get_running_loop())
    try:
        return await work
    finally:
        await made.end()


class Connections:
    """List of the connections that an event loop opens after this object is made."""

    def __init__(self, loop: Any) -> None:
        self._create = loop.create_connection
        self._transports: list[Any] = []
        loop.create_connection = self._noted

    async def _noted(self, *where: Any, **how: Any) -> tuple[Any, Any]:
        transport, protocol = await self._create(*where, **how)
        self._transports = [transport for transport in self._transports if _open(transport)]
        self._transports.append(transport)
        return transport, protocol

    async def end(self) -> None:
        """Close all connections, also those already closing."""
        for transport in self._transports:
            transport.abort()
        self._transports.clear()
        # the loop closes an aborted socket in its next turn, a TLS socket in the following one
        for _ in range(_TURNS):
            await asyncio.sleep(0)


def _open(transport: Any) -> bool:
    socket_ = transport.get_extra_info("socket")  # a closed TLS transport has none
    return socket_ is not None and socket_.fileno() >= 0
