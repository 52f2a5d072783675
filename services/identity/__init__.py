"""
Identities for brokers, as files: secrets, certificates, passwords, permissions of each principal.

`__init__` has the writing of secrets, and the fleet's certificate authority (X.509).

A certificate's common name and only DNS name are its principal's id, which RabbitMQ compares with
the client id.  Devices' certificates are for clients only and the broker's for servers only, so a
stolen device key cannot imitate the broker. Validity begins two days earlier, for slow clocks.

Files are written completely or not at all.  Passwords, for devices that cannot hold a certificate,
have 192 random bits, so a salted hash with few rounds is sufficient and fast when a fleet
reconnects.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ingest.errors import InputError

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

_CA_DAYS = 7_305
_BACK = timedelta(days=2)
_CLIENT, _SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key (empty if made elsewhere), PEM, and its identifiers."""

    certificate: bytes
    key: bytes
    serial: str
    fingerprint: str
    expires: datetime


class Authority:
    """The authority in a folder: `ca.crt`, `ca.key` (secret), `ca.crl`."""

    def __init__(
        self, folder: Path, key: ec.EllipticCurvePrivateKey, own: x509.Certificate
    ) -> None:
        self.folder = folder
        self._key = key
        self._own = own

    @classmethod
    def open(cls, folder: Path) -> Authority:
        """
        Return the authority of a folder, created if missing.

        Raises InputError when its files cannot be read or do not match.
        """
        if not (folder / "ca.crt").exists() and not (folder / "ca.key").exists():
            return cls._make(folder)
        certificate = read(folder / "ca.crt", "the authority's certificate")
        key = read(folder / "ca.key", "the authority's key")
        try:
            own = x509.load_pem_x509_certificate(certificate)
            private = serialization.load_pem_private_key(key, None)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{folder}: ca.crt or ca.key is not PEM: {error}; restore both from a backup"
            ) from error
        if own.public_key() != private.public_key() or not isinstance(
            private, ec.EllipticCurvePrivateKey
        ):
            raise InputError(f"{folder}: ca.key is not the key of ca.crt; restore both together")
        return cls(folder, private, own)

    @classmethod
    def _make(cls, folder: Path) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tonne device authority")])
        own = (
            _builder(name, name, key.public_key(), timedelta(days=_CA_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        write(folder / "ca.key", _private(key))
        write(folder / "ca.crt", own.public_bytes(serialization.Encoding.PEM), PUBLIC)
        authority = cls(folder, key, own)
        authority.write_crl(())
        return authority

    @property
    def certificate(self) -> bytes:
        """Return the authority's own certificate, PEM, which every client trusts."""
        return self._own.public_bytes(serialization.Encoding.PEM)

    def issue(self, principal: str, days: int) -> Issued:
        """Return a new key pair for a principal, for `days` from now."""
        return self._issue(principal, days, _CLIENT, [x509.DNSName(principal)])

    def certify(self, principal: str, key: PublicKey, days: int) -> Issued:
        """Return a certificate for a principal's own key, for `days` from now."""
        return self._certify(principal, key, days, _CLIENT, [x509.DNSName(principal)])

    def issue_server(self, hosts: Sequence[str], days: int) -> Issued:
        """Return the broker's key pair, valid for any of these names or addresses."""
        return self._issue(hosts[0], days, _SERVER, [_host(name) for name in hosts])

    def _issue(
        self, name: str, days: int, use: x509.ObjectIdentifier, names: list[x509.GeneralName]
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        return replace(self._certify(name, key.public_key(), days, use, names), key=_private(key))

    def _certify(
        self,
        name: str,
        key: PublicKey,
        days: int,
        use: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
    ) -> Issued:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        certificate = (
            _builder(subject, self._own.subject, key, timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return Issued(
            certificate.public_bytes(serialization.Encoding.PEM),
            b"",
            f"{certificate.serial_number:x}",
            certificate.fingerprint(hashes.SHA256()).hex(),
            certificate.not_valid_after_utc,
        )

    def write_crl(self, revoked: Iterable[tuple[str, datetime]]) -> None:
        """
        Write the list of revoked certificates, by serial number and time.

        Brokers refuse everyone if the list is expired, so it is valid as long as the authority; it
        is written with each revocation.
        """
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._own.subject)
            .last_update(now - _BACK)
            .next_update(self._own.not_valid_after_utc)
        )
        for serial, at in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(int(serial, 16))
                .revocation_date(at)
                .build()
            )
        crl = builder.sign(self._key, hashes.SHA256())
        write(self.folder / "ca.crl", crl.public_bytes(serialization.Encoding.PEM), PUBLIC)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, validity: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign, key_cert_sign=sign, crl_sign=sign,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


SECRET, PUBLIC = 0o600, 0o644
_ROUNDS = 101  # as in mosquitto


def make_folder(folder: Path) -> None:
    """Create a folder that only its owner may enter. Raises InputError when it cannot be made."""
    try:
        if not folder.parent.exists():
            make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be created: {error.strerror}; name another folder"
        ) from error


def write(path: Path, content: bytes, mode: int = SECRET) -> None:
    """
    Write a file atomically, with its permissions from the first byte on.

    Raises InputError when it cannot be written.
    """
    make_folder(path.parent)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        fresh.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}; free space there or name another folder"
        ) from error


def read(path: Path, content: str) -> bytes:
    """Return the contents of a file. Raises InputError, naming the expected content."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {content} cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Hashed:
    """Password as hashed for each broker."""

    salt: str
    pbkdf2_sha512: str
    iterations: int
    rabbit_sha256: str


def make() -> str:
    """Return a new password: 192 random bits, in characters safe in a URL."""
    return secrets.token_urlsafe(24)


def hashed(password: str) -> Hashed:
    """Return a password hashed for mosquitto and for RabbitMQ."""
    salt = os.urandom(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS, 64)
    rabbit = os.urandom(4)
    digest = hashlib.sha256(rabbit + password.encode()).digest()
    return Hashed(_b64(salt), _b64(key), _ROUNDS, _b64(rabbit + digest))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
