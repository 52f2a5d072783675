"""
The gateway's certificate: its key is created locally, its certificate fetched by EST (RFC 7030).

The certificate is renewed when a third of its validity remains.  A new key pair is written next to
the old one and replaces it by renaming; an interrupted replacement is completed at the next start.
"""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError, ServerError, TonneError
from ingest.mqtt.tls import CA, CERTIFICATE, KEY
from services.identity.files import PUBLIC, write

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

    Parameters
    ----------
    ca_sha256 : str or None
        Digest of the authority's certificate; needed where the folder has no `ca.crt`.

    Raises
    ------
    InputError, ServerError
        If the request is refused, or the server's certificate is of another authority.
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

    Raises
    ------
    InputError, ServerError
        As `enrol` raises.
    """
    return _fetch(folder, url, "simplereenroll", name, {})


def due(folder: Path, now: datetime) -> bool:
    """Return whether a third or less of the certificate's validity remains."""
    certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return end - now <= (end - begin) * _LEFT


def _authority(url: str, digest: str) -> bytes:
    """
    Return the certificate of the authority, fetched without trust and compared with the
    digest.
    """
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


def _fetch(folder: Path, url: str, what: str, name: str, headers: dict[str, str]) -> datetime:
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .sign(key, hashes.SHA256())
    )
    body = base64.encodebytes(request.public_bytes(serialization.Encoding.DER))
    context = ssl.create_default_context(cafile=str(folder / CA))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if what == "simplereenroll":
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    headers = {**headers, "Content-Type": "application/pkcs10"}
    (made, *_) = _certificates(_ask(url, context, "POST", what, headers, body))
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
        key.unlink(missing_ok=True)  # no certificate of it was ever written
        return
    if key.exists():
        key.replace(folder / KEY)
    certificate.replace(folder / CERTIFICATE)


def _ask(
    url: str,
    context: ssl.SSLContext,
    method: str,
    what: str,
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
        connection.request(method, f"{ROOT}/{what}", body, headers)
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

    Parameters
    ----------
    renewed : callable
        Called after the key pair was replaced.
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
