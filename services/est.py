"""
EST server (RFC 7030) over HTTPS, and certificates for keys made by devices.

TLS ends here and not at a proxy, since a device renews with its certificate and a proxy's header
could be forged.  The process has the fleet's certificate authority, so it serves nothing else.

The key never leaves the device, which sends a signed request (PKCS #10).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509.oid import NameOID
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError, ServerError
from mrv.errors import EnrolmentError
from services.enrolment import principals
from services.identity import PublicKey
from services.identity.principals import IdentityFolder
from services.store.postgres.pool import connect
from services.store.registry import signing_keys
from services.store.registry import signing_keys as tokens
from services.store.registry.entries_from_rows import load_registry

ROOT = "/.well-known/est"
_LARGEST = 32_768
_SILENT_S, _LONGEST_S = 10.0, 30.0
_AT_ONCE, _PER_ADDRESS = 64, 8
_CERTIFICATES = "application/pkcs7-mime; smime-type=certs-only"


class Answer(NamedTuple):
    """Answer to a request: status, text or base64, type, further headers."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """
    Data for answering EST requests.

    `changed`: called after a certificate was issued by token, to update the broker.
    """

    url: str
    folder: IdentityFolder
    days: int
    log: FilteringBoundLogger
    changed: Callable[[], None]

    def answer(
        self, method: str, path: str, authorization: str, body: bytes, certificate: bytes | None
    ) -> Answer:
        """
        Return the answer to a request.

        `certificate`: the client's certificate, DER, verified by TLS.
        """
        try:
            return self._answer_of(method, path, authorization, body, certificate)
        except EnrolmentError as error:
            self.log.warning("refused", path=path, reason=str(error))
            challenge = (("WWW-Authenticate", 'Basic realm="tonne est"'),)
            return Answer(401, f"{error}\n".encode(), headers=challenge)
        except InputError as error:
            self.log.warning("refused", path=path, reason=str(error))
            return Answer(400, f"{error}\n".encode())
        except (ServerError, psycopg.Error) as error:
            self.log.warning("database away", error=" ".join(str(error).split())[:300])
            return Answer(
                503, b"the database is away; try again\n", headers=(("Retry-After", "30"),)
            )

    def _answer_of(
        self, method: str, path: str, authorization: str, body: bytes, certificate: bytes | None
    ) -> Answer:
        if (method, path) == ("GET", f"{ROOT}/cacerts"):
            return _certificates(self.folder.authority().certificate)
        if (method, path) == ("GET", f"{ROOT}/csrattrs"):
            return Answer(204, b"")  # no attributes besides the common name are required
        if method != "POST" or path not in (f"{ROOT}/simpleenroll", f"{ROOT}/simplereenroll"):
            return Answer(404, b"there is cacerts, simpleenroll and simplereenroll here\n")
        wanted = read_request(_decoded(body, "the body"))
        with connect(self.url, role="tonne_enrol", name="tonne est", autocommit=True) as conn:
            if path.endswith("/simplereenroll"):
                if certificate is None:
                    raise EnrolmentError(
                        "no certificate was presented; connect with the certificate to be "
                        "renewed (TLS)"
                    )
                made = renew(conn, self.folder, certificate, wanted, self.days)
                self.log.info("renewed", device=wanted.principal)
                return _certificates(made)
            user, token = _token(authorization)
            made = enrol(conn, self.folder, token, wanted, self.days, user)
        self.log.info("enrolled", device=wanted.principal)
        self.changed()
        return _certificates(made)


def _token(authorization: str) -> tuple[str, str]:
    """Return user and token of a header: `Basic` as in RFC 7030, or `Bearer`."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return "", rest.strip()
    if scheme.lower() == "basic":
        user, _, token = _decoded(rest.encode(), "Basic").decode(errors="replace").partition(":")
        return user, token
    raise EnrolmentError(
        "send the one-time token, as Basic authentication with the device's id or as Bearer"
    )


def _decoded(text: bytes, what: str) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{what} is not base64: {error}; encode it in base64") from error


def _certificates(pem: bytes) -> Answer:
    result = x509.load_pem_x509_certificates(pem)
    body = base64.encodebytes(pkcs7.serialize_certificates(result, Encoding.DER))
    headers = (("Content-Transfer-Encoding", "base64"),)
    return Answer(200, body, _CERTIFICATES, headers)


class Server(ThreadingHTTPServer):
    """
    HTTPS server.  Connections last at most half a minute; their number is limited in total and per
    address.

    `bind`: host and port.
    `server`: folder of `server.crt`, `server.key` and `ca.crt`.
    Raises ServerError if the port is in use.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, bind: tuple[str, int], server: Path, desk: Desk) -> None:
        self.desk = desk
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.load_cert_chain(server / "server.crt", server / "server.key")
        self._context.load_verify_locations(server / "ca.crt")
        # a device without a certificate may connect to fetch its first one
        self._context.verify_mode = ssl.CERT_OPTIONAL
        self._inside: dict[str, int] = {}
        self._lock = threading.Lock()
        try:
            super().__init__(bind, _Handler)
        except OSError as error:
            raise ServerError(
                f"cannot listen at {bind[0]}:{bind[1]}: {error}; choose another address"
            ) from error

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Return whether a connection is within the limits of its address and in total."""
        del request
        with self._lock:
            mine = self._inside.get(client_address[0], 0)
            if mine >= _PER_ADDRESS or sum(self._inside.values()) >= _AT_ONCE:
                return False
            self._inside[client_address[0]] = mine + 1
            return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection in its thread, for half a minute at most."""
        end = threading.Timer(_LONGEST_S, _hang_up, [request])
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            with self._lock:
                remaining = self._inside.get(client_address[0], 1) - 1
                self._inside[client_address[0]] = remaining
                if remaining <= 0:
                    del self._inside[client_address[0]]

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake in the connection's own thread: a slow client blocks no other."""
        request.settimeout(_SILENT_S)
        with self._context.wrap_socket(request, server_side=True) as secure:
            _Handler(secure, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a broken connection."""
        del request
        self.desk.log.debug("connection ended", client=client_address[0])


def _hang_up(request: socket.socket) -> None:
    with suppress(OSError):  # the client has disconnected
        request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "tonne", ""
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _SILENT_S

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _LARGEST:
            self._send(
                Answer(413, f"the body must state its length, at most {_LARGEST} bytes".encode())
            )
            self.close_connection = True
            return
        self._serve(self.rfile.read(int(length)))

    def _serve(self, body: bytes) -> None:
        certificate = self.connection.getpeercert(binary_form=True)
        authorization = self.headers.get("Authorization", "")
        path = self.path.partition("?")[0]
        self._send(self.server.desk.answer(self.command, path, authorization, body, certificate))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != 204:  # noqa: PLR2004 - no content has no length
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Suppress the server's own log lines."""


DAYS = 90
TOKEN_HOURS = 72
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_RSA_BITS = (2048, 4096)
BY_EST = "est"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Requester of a certificate, and its public key."""

    principal: str
    key: PublicKey

    @property
    def key_sha256(self) -> bytes:
        """Return the digest of the key, which identifies a repeated request."""
        der = self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).digest()


def read_request(data: bytes) -> Wanted:
    """
    Return a certificate request (PKCS #10, DER), with its signature verified.

    Raises InputError if it is invalid, its key is weak or of another kind, or its common name is
    not one name.
    """
    try:
        request = x509.load_der_x509_csr(data)
        signed, key = request.is_signature_valid, request.public_key()
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise InputError(
            f"the body is not a certificate request (PKCS #10 in base64): {error}; send one"
        ) from error
    if not signed:
        raise InputError("the request is not signed by its own key; create it again")
    if len(names) != 1:
        raise InputError(
            f"the request has {len(names)} common names; enter the device's id as the only one"
        )
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return Wanted(str(names[0].value), key)
    if isinstance(key, rsa.RSAPublicKey) and _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
        return Wanted(str(names[0].value), key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return Wanted(str(names[0].value), key)
    raise InputError(
        "the request's key is not accepted: use EC P-256 or P-384, Ed25519, or RSA of "
        f"{_RSA_BITS[0]} to {_RSA_BITS[1]} bits"
    )


def make_tokens(
    conn: Connection, names: Sequence[str], hours: float, author: str
) -> list[tuple[str, str, datetime]]:
    """
    Return a new one-time token for each device: id, token, end of validity.

    Raises RegistryError that names each device that cannot have a token, and the reason.
    """
    until = datetime.now(UTC) + timedelta(hours=hours)
    with conn.transaction():
        meant = principals(load_registry(conn).devices, names, every=False)
        return [(name, tokens.make(conn, name, until, author), until) for name in meant]


def enrol(
    conn: Connection,
    folder: IdentityFolder,
    token: str,
    wanted: Wanted,
    days: int = DAYS,
    named: str | None = None,
) -> bytes:
    """
    Return a device's first certificate, PEM, and mark its token as used.

    The same token with the same key returns the same certificate, as an answer may be lost.

    `named`: user name sent with the token.
    Raises EnrolmentError if the token is unknown, used with another key, expired, or another
    device's.
    """
    with conn.transaction():
        signing_keys.lock(conn)
        result = tokens.take(conn, token)
        if result is None or result.expires <= datetime.now(UTC):
            raise EnrolmentError(
                "the token is unknown or expired; `tonne registry enrol-token ID` makes a new one"
            )
        if wanted.principal != result.principal or named not in (None, "", result.principal):
            raise EnrolmentError("the token is for another device; the common name must be its id")
        if result.certificate is not None:
            if result.key != wanted.key_sha256:
                raise EnrolmentError("the token was used with another key; request a new token")
            return result.certificate
        certificate = _issue(conn, folder, wanted, days)
        tokens.use(conn, token, wanted.key_sha256, certificate)
    return certificate


def renew(
    conn: Connection, folder: IdentityFolder, certificate: bytes, wanted: Wanted, days: int = DAYS
) -> bytes:
    """
    Return the next certificate, PEM, of a device that presented the current one.

    `certificate`: the certificate of the connection, DER, verified by TLS.
    Raises EnrolmentError if it was revoked, is not recorded, or is another device's.
    """
    serial = f"{x509.load_der_x509_certificate(certificate).serial_number:x}"
    with conn.transaction():
        signing_keys.lock(conn)
        on_record = signing_keys.by_serial(conn, serial)
        if on_record is None or on_record.revoked is not None:
            raise EnrolmentError(
                "the certificate of this connection was revoked, or does not belong to a device; "
                "connect with the device's valid certificate"
            )
        if on_record.principal != wanted.principal:
            raise EnrolmentError(
                f"the certificate of this connection is {on_record.principal!r}'s; the request "
                "must have the same common name"
            )
        return _issue(conn, folder, wanted, days)


def _issue(conn: Connection, folder: IdentityFolder, wanted: Wanted, days: int) -> bytes:
    (name,) = principals(load_registry(conn).devices, [wanted.principal], every=False)
    credential = signing_keys.in_use(conn).get(name)
    if credential is not None and credential.kind == "password":
        signing_keys.revoke_credential(conn, name, BY_EST, "replaced by a certificate")
        folder.forget(name)
    issued = folder.authority().certify(name, wanted.key, days)
    row = (issued.serial, issued.fingerprint, issued.expires)
    signing_keys.record(conn, [(name, "certificate", *row)], BY_EST)
    return issued.certificate
