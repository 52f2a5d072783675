"""
Keys of people: holder, role, encoding and files.

The form of a key is a Multikey (W3C Controlled Identifiers): multibase text of two bytes, which
state Ed25519 and whether it is secret, then 32 bytes.  `did:key` identifies its holder by the key
itself, so that no look-up is needed.  Only enrolled keys are trusted; a key is checked when it is
enrolled.

Key files: JSON bytes of a secret key, and of trusted keys.

    secret    {"name", "role", "publicKeyMultibase", "secretKeyMultibase"},
              or with "encryptedSecretKey" in its place: PKCS #8 under a passphrase, as PEM,
              or with "signer" in its place: the external signer
    keyring   {"keys": [{"name", "role", "publicKeyMultibase"}, ...]}, optionally with
              "statusLists": [signed status lists] and
              "logPolicy": required witnesses (text, c2sp.org/tlog-policy)

A secret's file also contains its public key, so that a wrong file is detected when it is read.  The
caller opens files and protects their permissions.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, Self, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mrv.errors import CanonicalError, EnrolmentError, SignatureError
from mrv.signatures import canonical, ed25519
from mrv.signatures.ed25519 import decode_base58, encode_base58
from mrv.signatures.key_bounds import NAMES, NO_BOUNDS, KeyBounds

# a third party is a supplier, laboratory or manufacturer that signs rows
# (`mrv.statement.signed_rows`)
Role = Literal["operator", "verifier", "log", "witness", "programme", "third-party"]
ROLES: tuple[str, ...] = get_args(Role)

_PUBLIC = bytes.fromhex("ed01")
_SECRET = bytes.fromhex("8026")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class SigningKey:
    """A secret Ed25519 key; printing shows only its public part."""

    __slots__ = ("_private", "public", "public_multikey")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != ed25519.KEY_BYTES:
            raise SignatureError(f"a secret key has 32 bytes, not {len(seed)}; copy it again")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()
        self.public_multikey = encode_multikey(self.public)

    @classmethod
    def generate(cls) -> Self:
        """Return a new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_multikey(cls, secret: str) -> Self:
        """Return the key of a secret Multikey (`z3u2...`)."""
        return cls(_decode(secret, _SECRET, "a secret"))

    @classmethod
    def decrypted(cls, pem: object, passphrase: bytes) -> Self:
        """
        Return the key from the result of `encrypted`.

        Raises SignatureError for another passphrase.
        """
        try:
            key = load_pem_private_key(str(pem).encode(), passphrase or None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SignatureError(
                "the secret key cannot be decrypted; set TONNE_KEY_PASSPHRASE or"
                " TONNE_KEY_PASSPHRASE_FILE to its passphrase"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SignatureError("the secret key is not an Ed25519 key; pass the signer's own file")
        return cls(key.private_bytes_raw())

    def encrypted(self, passphrase: bytes) -> str:
        """Return the secret key as PKCS #8 under a passphrase, in PEM."""
        scheme = BestAvailableEncryption(passphrase)
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, scheme).decode()

    @property
    def secret_multikey(self) -> str:
        """Return the secret Multikey; with it, anyone can sign."""
        return encode_base58(_SECRET + self._private.private_bytes_raw())

    @property
    def verification_method(self) -> str:
        """Return the `verificationMethod` of a proof by this key."""
        return verification_method(self.public_multikey)

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of the message, 64 bytes."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey(public_multikey={self.public_multikey!r})"


class DistantKey(SigningKey):
    """
    A key whose secret is in a token or a signing service.

    `multikey`: public key.
    `sign`: takes the message's bytes, returns the Ed25519 signature, 64 bytes.
    """

    __slots__ = ("_elsewhere",)

    def __init__(self, multikey: str, sign: Callable[[bytes], bytes]) -> None:
        self._elsewhere = sign
        self.public = decode_multikey(multikey)
        self.public_multikey = multikey

    def encrypted(self, passphrase: bytes) -> str:
        """Raise SignatureError, as the secret is not available here."""
        del passphrase
        raise self._not_here()

    @property
    def secret_multikey(self) -> str:
        """Raise SignatureError, as the secret is not available here."""
        raise self._not_here()

    def _not_here(self) -> SignatureError:
        return SignatureError(
            f"the secret of {self.public_multikey} is kept elsewhere and cannot be written"
        )

    def sign(self, message: bytes) -> bytes:
        """Return a signature of the message, verified before use."""
        signature = self._elsewhere(message)
        if not ed25519.verifies(self.public, signature, message):
            raise SignatureError(
                f"the signer for {self.public_multikey} returned {len(signature)} bytes that are "
                "not a signature of the message by that key (Ed25519, 64 raw bytes); check "
                "`signer` in the key file"
            )
        return signature


@dataclass(frozen=True, slots=True)
class EnrolledKey:
    """
    A trusted public key, for one role.

    `name`: name of the holder.
    `role`: role in which its signature is accepted.
    `multikey`: public Multikey (`z6Mk...`); weak keys are rejected.
    `valid_from`, `valid_until`: RFC 3339 in UTC, whole seconds: signatures are accepted from the
    first and before the second time.  Not part of the comparison of keys.
    `bounds`: its holder's organisation and its limits.  Not part of the comparison of keys.
    """

    name: str
    role: Role
    multikey: str
    valid_from: str | None = field(default=None, compare=False)
    valid_until: str | None = field(default=None, compare=False)
    bounds: KeyBounds = field(default=NO_BOUNDS, compare=False)

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise EnrolmentError("an enrolled key needs the name of its holder; enter a name")
        if self.role not in ROLES:
            raise EnrolmentError(
                f"role {self.role!r} of key {self.name!r} is unknown; use one of {', '.join(ROLES)}"
            )
        decode_multikey(self.multikey)
        for name, text in (("validFrom", self.valid_from), ("validUntil", self.valid_until)):
            if text is not None and not _MOMENT.fullmatch(text):
                raise EnrolmentError(
                    f"{name} of key {self.name!r} is {text!r}; write it like 2026-01-01T00:00:00Z"
                )

    def check_valid(self, moment: str) -> None:
        """
        Check that a signature is within the key's validity.

        `moment`: RFC 3339 in UTC, as a proof's `created`.
        Raises EnrolmentError that names the key, the time and the exceeded limit.
        """
        at = datetime.fromisoformat(moment)
        if self.valid_from is not None and at < datetime.fromisoformat(self.valid_from):
            edge = f"from {self.valid_from}"
        elif self.valid_until is not None and at >= datetime.fromisoformat(self.valid_until):
            edge = f"until {self.valid_until}"
        else:
            return
        raise EnrolmentError(
            f"signed at {moment} with key {self.name!r} ({self.multikey}), which is valid {edge}; "
            "have it signed by a valid key"
        )

    def has_ended(self, at: datetime) -> bool:
        """Return whether the key has ended by a time; True if only a log entry ends it."""
        if self.valid_until is None:
            return self.bounds.ends_at is not None
        return datetime.fromisoformat(self.valid_until) <= at

    @property
    def public(self) -> bytes:
        """Return the 32 bytes of the key."""
        return decode_multikey(self.multikey)

    @property
    def did(self) -> str:
        """Return the identifier of the holder, `did:key:z6Mk...`."""
        return did_key(self.multikey)

    def to_json(self) -> dict[str, Any]:
        """Return the key as in a key file, a keyring and an evidence pack."""
        times = {"validFrom": self.valid_from, "validUntil": self.valid_until}
        record = {"name": self.name, "role": self.role, "publicKeyMultibase": self.multikey}
        moments = {name: text for name, text in times.items() if text is not None}
        return record | moments | self.bounds.to_json()

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the key from the result of `to_json`; unknown and missing fields are rejected."""
        wanted, may = {"name", "role", "publicKeyMultibase"}, {"validFrom", "validUntil"}
        if not wanted <= record.keys() <= wanted | may | set(NAMES):
            raise EnrolmentError(
                f"the entry of an enrolled key has the fields {', '.join(sorted(record))}; it needs"
                f" {', '.join(sorted(wanted))},"
                f" and may have {', '.join(sorted(may | set(NAMES)))}"
            )
        for name in record.keys() & {"name", *may}:
            if not isinstance(record[name], str):
                raise EnrolmentError(
                    f"{name} of enrolled key is {record[name]!r}; write it as text"
                )
        times = (record.get("validFrom"), record.get("validUntil"))
        bounds = KeyBounds.from_json(record)
        return cls(record["name"], record["role"], record["publicKeyMultibase"], *times, bounds)


def keyring(keys: Iterable[EnrolledKey]) -> dict[str, EnrolledKey]:
    """
    Return trusted keys by their Multikey.

    Raises EnrolmentError if one key is enrolled twice, as preparer and verifier could then be one
    person.
    """
    ring: dict[str, EnrolledKey] = {}
    for key in keys:
        other = ring.setdefault(key.multikey, key)
        if other != key:
            raise EnrolmentError(
                f"key {key.multikey} is enrolled for {other.name!r} as {other.role} and for "
                f"{key.name!r} as {key.role}; enrol a key once"
            )
    return ring


def public_multikey(data: bytes) -> str:
    """
    Return the public Multikey of a file: a Multikey's text, or PEM (SubjectPublicKeyInfo).

    Raises SignatureError if it is neither, or not of Ed25519.
    """
    text = data.decode(errors="replace").strip()
    if not text.startswith("-----"):
        decode_multikey(text)
        return text
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureError("the file contains no public key in PEM; export it again") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError("the public key is not an Ed25519 key; pass the signer's public key")
    return encode_multikey(key.public_bytes_raw())


def encode_multikey(public: bytes) -> str:
    """Return the public Multikey of 32 bytes."""
    return encode_base58(_PUBLIC + public)


# The curve check takes milliseconds, and few different keys are used.
@lru_cache(maxsize=256)
def decode_multikey(multikey: str) -> bytes:
    """
    Return the bytes of a public Multikey.

    Raises SignatureError if it is not an Ed25519 public Multikey or the key is weak.
    """
    public = _decode(multikey, _PUBLIC, "a public")
    ed25519.check_public_key(public)
    return public


def did_key(multikey: str) -> str:
    """Return the `did:key` identifier of a public Multikey."""
    return f"did:key:{multikey}"


def verification_method(multikey: str) -> str:
    """Return the `verificationMethod` of a key: the only one of its `did:key` identifier."""
    return f"did:key:{multikey}#{multikey}"


def multikey_of(method: object) -> str:
    """
    Return the public Multikey of a `verificationMethod`.

    Raises SignatureError if it is not `did:key:KEY#KEY`; other methods would need a look-up on the
    network.
    """
    multikey = method.rpartition("#")[2] if isinstance(method, str) else ""
    if not multikey or method != verification_method(multikey):
        raise SignatureError(
            f"verificationMethod {method!r} is not did:key:KEY#KEY; sign with such a method"
        )
    return multikey


def _decode(text: object, prefix: bytes, kind: str) -> bytes:
    if not isinstance(text, str):
        raise SignatureError(f"{kind} key is not text; write it as a Multikey text")
    try:
        raw = decode_base58(text)
    except CanonicalError as error:
        raise SignatureError(
            f"{kind} key cannot be read: it is not a Multikey; copy the whole key again"
        ) from error
    if raw[:2] != prefix or len(raw) != 2 + ed25519.KEY_BYTES:
        raise SignatureError(
            f"not {kind} Ed25519 Multikey (it starts with bytes {prefix.hex()} and "
            f"has 34 bytes; this one starts with {raw[:2].hex()} and has {len(raw)}); "
            "copy it again"
        )
    return raw[2:]


_SECRET_FIELD = "secretKeyMultibase"  # noqa: S105  # the name of a field
_ENCRYPTED = "encryptedSecretKey"
_LISTS = "statusLists"
_POLICY = "logPolicy"
_SIGNER = "signer"
Signs = Callable[[bytes], bytes]


def write_secret(key: SigningKey, holder: EnrolledKey, passphrase: bytes = b"") -> bytes:
    """Return the bytes of a signer's key file, which must be kept secret."""
    _check_pair(key, holder)
    if passphrase:
        return _write({**holder.to_json(), _ENCRYPTED: key.encrypted(passphrase)})
    return _write({**holder.to_json(), _SECRET_FIELD: key.secret_multikey})


def write_distant(holder: EnrolledKey, signer: Mapping[str, Any]) -> bytes:
    """Return the bytes of a signer's key file without the secret, which the signer keeps."""
    return _write({**holder.to_json(), _SIGNER: dict(signer)})


def read_secret(
    data: bytes, passphrase: bytes = b"", opened: Callable[[Mapping[str, Any]], Signs] | None = None
) -> tuple[SigningKey, EnrolledKey]:
    """
    Return key and holder of a key file.

    `passphrase`: passphrase of an encrypted secret.
    `opened`: returns a function that signs for the file's `signer`; without it such a file is
    rejected.
    Raises SignatureError if it contains no secret, the secret does not match the public key in it,
    or the passphrase is another one.
    Raises EnrolmentError if name, role or public key cannot be used.
    """
    record = canonical.parse_object(data)
    if _ENCRYPTED in record:
        key = SigningKey.decrypted(record.pop(_ENCRYPTED), passphrase)
    elif _SECRET_FIELD in record:
        key = SigningKey.from_multikey(record.pop(_SECRET_FIELD))
    elif _SIGNER in record and opened is not None:
        signs = opened(record.pop(_SIGNER))
        key = DistantKey(str(record.get("publicKeyMultibase")), signs)
    else:
        raise SignatureError(f"key file has no {_SECRET_FIELD}; pass the signer's own key file")
    holder = EnrolledKey.from_json(record)
    _check_pair(key, holder)
    return key, holder


def write_keyring(
    keys: Iterable[EnrolledKey], status_lists: Iterable[Mapping[str, Any]] = ()
) -> bytes:
    """Return the bytes of a keyring: trusted public keys, and signed status lists."""
    record: dict[str, Any] = {"keys": [key.to_json() for key in keyring(keys).values()]}
    if lists := list(status_lists):
        record[_LISTS] = lists
    return _write(record)


def read_keyring(data: bytes) -> tuple[EnrolledKey, ...]:
    """
    Return the trusted keys of a file.

    Raises EnrolmentError if the file has another form, a weak key, or a key twice.
    """
    record = canonical.parse_object(data)
    listed = record.get("keys")
    if record.keys() != {"keys"} or not isinstance(listed, list):
        raise EnrolmentError('a keyring is {"keys": [...]} without other members; correct the file')
    if not all(isinstance(item, dict) for item in listed):
        raise EnrolmentError("a keyring lists keys as JSON objects; correct the file")
    return tuple(keyring(EnrolledKey.from_json(item) for item in listed).values())


def read_own_keyring(data: bytes) -> tuple[tuple[EnrolledKey, ...], tuple[bytes, ...], str | None]:
    """
    Return the reader's trusted keys, with status lists and policy of the same file.

    A status list is accepted by its own signature and dates, not because the file contains it.

    Raises EnrolmentError as `read_keyring`, or if a status list is not a JSON object, or the policy
    is not a text.

    Returns keys, status lists (canonical JSON, a signed document each), and the text of a policy of
    witnesses.
    """
    record = canonical.parse_object(data)
    lists = record.pop(_LISTS, [])
    if not isinstance(lists, list) or not all(isinstance(document, dict) for document in lists):
        raise EnrolmentError(f"{_LISTS} of a keyring must be signed status lists; correct the file")
    policy = record.pop(_POLICY, None)
    if policy is not None and not isinstance(policy, str):
        raise EnrolmentError(
            f"{_POLICY} of a keyring must be the text of a policy; correct the file"
        )
    return read_keyring(canonical.encode(record)), tuple(map(canonical.encode, lists)), policy


def _check_pair(key: SigningKey, holder: EnrolledKey) -> None:
    if key.public_multikey != holder.multikey:
        raise SignatureError(
            f"secret key of {holder.name!r} belongs to {key.public_multikey}, not to "
            f"{holder.multikey} in the same file; the file mixes two keys"
        )


def _write(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()
