"""
Certificates for keys made by devices: with a one-time token, or with the current certificate.

The key never leaves the device, which sends a signed request (PKCS #10).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from psycopg import Connection

from ingest.errors import InputError
from mrv.errors import EnrolmentError
from services.enrolment.issue import principals
from services.identity.authority import PublicKey
from services.identity.folder import IdentityFolder
from services.store.registry import credentials
from services.store.registry import credentials as tokens
from services.store.registry.entries_from_rows import load_registry

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

    Raises
    ------
    InputError
        If it is invalid, its key is weak or of another kind, or its common name is not one name.
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

    Raises
    ------
    RegistryError
        Naming each that cannot, and why.
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

    Parameters
    ----------
    named : str, optional
        User name sent with the token.

    Raises
    ------
    EnrolmentError
        If the token is unknown, used with another key, expired, or another device's.
    """
    with conn.transaction():
        credentials.lock(conn)
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
    Return a device's next certificate, PEM, after it presented the current one.

    Parameters
    ----------
    certificate : bytes
        The certificate of the connection, DER, verified by TLS.

    Raises
    ------
    EnrolmentError
        If it was revoked, is not recorded, or is another device's.
    """
    serial = f"{x509.load_der_x509_certificate(certificate).serial_number:x}"
    with conn.transaction():
        credentials.lock(conn)
        on_record = credentials.by_serial(conn, serial)
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
    credential = credentials.in_use(conn).get(name)
    if credential is not None and credential.kind == "password":
        credentials.revoke(conn, name, BY_EST, "replaced by a certificate")
        folder.forget(name)
    issued = folder.authority().certify(name, wanted.key, days)
    row = (issued.serial, issued.fingerprint, issued.expires)
    credentials.record(conn, [(name, "certificate", *row)], BY_EST)
    return issued.certificate
