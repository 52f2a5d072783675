"""
A gateway's certificate, and its signature of messages, with keys created and kept on it.

The certificate is renewed when a third of its validity remains.  A new key pair is written next to
the old one and replaces it by renaming; an interrupted replacement is completed at the next start.

A batch of one device's messages is signed with a sequence number and the time (COSE_Sign1). With
the public key anyone can verify what the gateway received, in which order, and whether a batch is
missing. It does not prove what the meter measured.
"""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID
from structlog.typing import FilteringBoundLogger

from ingest.addresses import CA, CERTIFICATE, KEY
from ingest.errors import InputError, ServerError, TonneError
from services import identity
from services.edge.config import Signing
from services.edge.outbox import Outbox, Waiting
from services.identity import PUBLIC, write

ROOT = "/.well-known/est"
_PORT = 8444
_WAIT_S = 20.0
_LARGEST = 1 << 20
_NEXT = ".next"
_LOOK_S = 3_600.0
_LEFT = 1 / 3


def enrol(folder: Path, url: str, name: str, token: str, ca_sha256: str | None) -> datetime:
    """
    Create a key, fetch its first certificate with a one-time token, and return the expiry time.

    `ca_sha256`: digest of the authority's certificate; needed where the folder has no `ca.crt`.
    Raises InputError or ServerError if the request is refused, or the server's certificate is of
    another authority.
    """
    if not (folder / CA).exists():
        if ca_sha256 is None:
            raise InputError(
                f"{folder / CA} is missing: pass the authority's digest by --ca-sha256, "
                "as `tonne registry enrol-token` printed it, or copy ca.crt there"
            )
        write(folder / CA, _authority(url, ca_sha256), PUBLIC)
    basic = base64.b64encode(f"{name}:{token}".encode()).decode()
    return _fetch(folder, url, "simpleenroll", name, {"Authorization": f"Basic {basic}"})


def renew(folder: Path, url: str, name: str) -> datetime:
    """
    Create a new key, fetch its certificate with the current one, and return the expiry time.

    Raises InputError or ServerError for the same reasons as `enrol`.
    """
    return _fetch(folder, url, "simplereenroll", name, {})


def due(folder: Path, now: datetime) -> bool:
    """Return whether a third or less of the certificate's validity remains."""
    certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return end - now <= (end - begin) * _LEFT


def _authority(url: str, digest: str) -> bytes:
    """Return the authority's certificate, fetched without trust and compared with the digest."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    (result, *_) = _certificates(_ask(url, context, "GET", "cacerts", {}, None))
    own = result.fingerprint(hashes.SHA256()).hex()
    if own != digest.lower().replace(":", ""):
        raise InputError(
            f"{url} presents another certificate authority, {own}, than --ca-sha256: "
            "the connection may be intercepted; keep the token secret"
        )
    return result.public_bytes(serialization.Encoding.PEM)


def _fetch(folder: Path, url: str, operation: str, name: str, headers: dict[str, str]) -> datetime:
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .sign(key, hashes.SHA256())
    )
    body = base64.encodebytes(request.public_bytes(serialization.Encoding.DER))
    context = ssl.create_default_context(cafile=str(folder / CA))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if operation == "simplereenroll":
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    headers = {**headers, "Content-Type": "application/pkcs10"}
    (made, *_) = _certificates(_ask(url, context, "POST", operation, headers, body))
    if made.public_key() != key.public_key():
        raise ServerError(
            f"{url} certified another key than the requested one; inform its operator"
        )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write(folder / (KEY + _NEXT), secret)
    write(folder / (CERTIFICATE + _NEXT), made.public_bytes(serialization.Encoding.PEM), PUBLIC)
    settle(folder)
    return made.not_valid_after_utc


def settle(folder: Path) -> None:
    """Replace the old key pair by the new one; completes an interrupted replacement."""
    key, certificate = folder / (KEY + _NEXT), folder / (CERTIFICATE + _NEXT)
    if not certificate.exists():
        key.unlink(missing_ok=True)  # the key is useless, as no certificate was issued for it
        return
    if key.exists():
        key.replace(folder / KEY)
    certificate.replace(folder / CERTIFICATE)


def _ask(
    url: str,
    context: ssl.SSLContext,
    method: str,
    operation: str,
    headers: dict[str, str],
    body: bytes | None,
) -> bytes:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise InputError(
            f"enrolment: {url!r} must be an https:// address, such as https://host:{_PORT}"
        )
    connection = HTTPSConnection(
        parts.hostname, parts.port or _PORT, context=context, timeout=_WAIT_S
    )
    try:
        connection.request(method, f"{ROOT}/{operation}", body, headers)
        answer = connection.getresponse()
        data, status = answer.read(_LARGEST), answer.status
    except (OSError, HTTPException) as error:
        raise ServerError(
            f"{url} did not issue a certificate: {error}; ask its operator"
        ) from error
    finally:
        connection.close()
    if status == 200:  # noqa: PLR2004 - HTTP
        return data
    problem = f"{url} answers {status}: {data.decode(errors='replace').strip()[:300]}"
    raise (ServerError if status >= 500 else InputError)(problem)  # noqa: PLR2004 - HTTP


def _certificates(data: bytes) -> list[x509.Certificate]:
    try:
        certificates = pkcs7.load_der_pkcs7_certificates(base64.b64decode(data))
    except ValueError as error:
        raise ServerError(
            f"the answer contains no certificate: {error}; check that the address is the "
            "enrolment service"
        ) from error
    if not certificates:
        raise ServerError(
            "the answer contains no certificate; check that the address is the enrolment service"
        )
    return certificates


class Renewal(threading.Thread):
    """
    Thread that checks once an hour whether the certificate must be renewed.

    `renewed`: called after the key pair was replaced.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        name: str,
        renewed: Callable[[], None],
        stopping: threading.Event,
        log: FilteringBoundLogger,
    ) -> None:
        super().__init__(name="renewal", daemon=True)
        self._folder, self._url, self._gateway = folder, url, name
        self._renewed, self._stopping, self._log = renewed, stopping, log

    def run(self) -> None:
        """Check and renew until stopped; a failure is retried in the next hour."""
        while not self._stopping.is_set():
            self.once()
            self._stopping.wait(_LOOK_S)

    def once(self) -> None:
        """Renew the certificate if due."""
        try:
            if not due(self._folder, datetime.now(UTC)):
                return
            until = renew(self._folder, self._url, self._gateway)
            self._renewed()
        except (TonneError, OSError, ValueError) as error:
            self._log.error("certificate not renewed", reason=" ".join(str(error).split())[:300])
        else:
            self._log.info("certificate renewed", until=f"{until:%Y-%m-%dT%H:%M:%SZ}")


CONTENT_TYPE = 'application/cose; cose-type="cose-sign1"'
EDDSA, ES256 = "EdDSA", "ES256"
_HALF = 32
_VALUES, _OURS = b'"values"', "application/vnd.tonne."
# maximum of one message: after a lost receipt the whole message is sent again
_MAX, _MAX_BYTES = 50, 100_000


class Signed(NamedTuple):
    """Signed batch: its messages and its bytes."""

    messages: tuple[Waiting, ...]
    data: bytes


class Signer:
    """
    Signer with the gateway's own key; the key file is created if missing.

    `gateway`: its id in the registry, where the public key is entered.
    Raises InputError if the file contains no key of the algorithm.
    """

    def __init__(self, gateway: str, signing: Signing) -> None:
        self._gateway, self._path = gateway, Path(signing.key)
        self._algorithm, self.gather_s = signing.algorithm, signing.gather_s
        if not self._path.exists():
            identity.write(self._path, _pem(_new(self._algorithm)))
        self._key = self._loaded()

    def _loaded(self) -> Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
        data = identity.read(self._path, "signing key")
        try:
            load_pem_private_key = serialization.load_pem_private_key(data, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InputError(
                f"{self._path} contains no private key in PEM: {error}; name the file of the key"
            ) from error
        if self._algorithm == EDDSA and isinstance(load_pem_private_key, Ed25519PrivateKey):
            return load_pem_private_key
        curve = (
            load_pem_private_key.curve
            if isinstance(load_pem_private_key, ec.EllipticCurvePrivateKey)
            else None
        )
        if self._algorithm == ES256 and isinstance(curve, ec.SECP256R1):
            return cast("ec.EllipticCurvePrivateKey", load_pem_private_key)
        raise InputError(
            f"{self._path} has no key of {self._algorithm}; set signing.algorithm "
            "to the algorithm of the key, or name a new file"
        )

    @property
    def public_key(self) -> str:
        """Return the public key in hex, as in `meter_keys` of the registry."""
        return (
            self._key.public_key()
            .public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .hex()
        )

    def sign(self, number: int, at_ms: int, of: Waiting, messages: bytes) -> bytes:
        """
        Return the signed bytes (COSE_Sign1) of a batch of one device's messages.

        `number`: sequence number of the batch.
        `at_ms`: time of signing. [ms UTC]
        `of`: one of the messages, for device id and content type.
        `messages`: payload bytes of the whole batch.
        """
        # imported here, since a gateway that does not sign needs no cbor2
        from ingest.codecs import cose_sign1  # noqa: PLC0415

        batch = number, at_ms, of.device, of.content_type, messages
        algorithm = cose_sign1.EDDSA if self._algorithm == EDDSA else cose_sign1.ES256
        return cose_sign1.write(batch, self._gateway, algorithm, self._sign)

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(data)
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


class Batches:
    """
    Signed batches without a receipt; a batch that is sent again is unchanged.

    `outbox`: stores the number of the last batch of each device.
    """

    def __init__(self, signer: Signer, outbox: Outbox) -> None:
        self._signer, self._outbox = signer, outbox
        self._made: dict[tuple[str, str], Signed] = {}
        self._since: dict[str, float] = {}

    def gathers(self, waiting: Sequence[Waiting], now_s: float) -> bool:
        """Return whether a device's messages wait for more, to be signed together."""
        if not waiting or (waiting[0].device, waiting[0].id) in self._made:
            return False
        device = waiting[0].device
        since = self._since.setdefault(device, now_s)
        if len(waiting) < _MAX and now_s - since < self._signer.gather_s:
            return True
        del self._since[device]
        return False

    def of(self, waiting: Sequence[tuple[Waiting, bytes]], at_ms: int) -> Iterator[Signed]:
        """
        Yield the signed batches of one device's messages; an existing batch is reused.

        `waiting`: messages in order, each with its payload.
        `at_ms`: best estimate of the current time. [ms UTC]
        """
        run: list[tuple[Waiting, bytes]] = []
        done: set[str] = set()
        for item, data in waiting:
            known = self._made.get((item.device, item.id))
            if run and (known or not _fits(run, item, data)):
                yield self._batch(run, at_ms)
                run = []
            if known is None:
                run.append((item, data))
            elif item.id not in done:
                done |= {message.id for message in known.messages}
                yield known
        if run:
            yield self._batch(run, at_ms)

    def _batch(self, run: Sequence[tuple[Waiting, bytes]], at_ms: int) -> Signed:
        first = run[0][0]
        bodies = [data for _, data in run]
        messages = bodies[0] if len(bodies) == 1 else b"[" + b",".join(bodies) + b"]"
        number = self._outbox.next_number(first.device)
        made = Signed(tuple(w for w, _ in run), self._signer.sign(number, at_ms, first, messages))
        self._made.update({(waiting.device, waiting.id): made for waiting, _ in run})
        return made

    def free(self, device: str, ids: Sequence[str]) -> None:
        """Delete batches with a receipt."""
        for value in ids:
            self._made.pop((device, value), None)


def _fits(run: Sequence[tuple[Waiting, bytes]], waiting: Waiting, data: bytes) -> bool:
    """
    Return whether a message can be added to a batch.

    Only messages that form a JSON array of readings share a batch.

    `run`: messages of the batch so far.  `data`: payload of `waiting`.
    """
    ours = (waiting.content_type or "").startswith(_OURS)
    listed = ours or (_VALUES in data and _VALUES in run[-1][1])
    return (
        listed
        and len(run) < _MAX
        and run[0][0].content_type == waiting.content_type
        and sum(len(payload) for _, payload in run) + len(data) <= _MAX_BYTES
    )


def _new(algorithm: str) -> Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
    return (
        Ed25519PrivateKey.generate()
        if algorithm == EDDSA
        else ec.generate_private_key(ec.SECP256R1())
    )


def _pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
