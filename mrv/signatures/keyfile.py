"""
Key files: JSON bytes of a secret key, and of trusted keys.

    secret    {"name", "role", "publicKeyMultibase", "secretKeyMultibase"},
              or with "encryptedSecretKey" in its place: PKCS #8 under a passphrase, as PEM,
              or with "signer" in its place: the external signer
    keyring   {"keys": [{"name", "role", "publicKeyMultibase"}, ...]}, optionally with
              "statusLists": [signed status lists] and
              "logPolicy": required witnesses (text, c2sp.org/tlog-policy)

A secret's file also contains its public key, so that a wrong file is found when it is read.  The
caller opens files and protects their permissions.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mrv.errors import EnrolmentError, SignatureError
from mrv.signatures import canonical
from mrv.signatures.keys import DistantKey, EnrolledKey, SigningKey, keyring

_SECRET = "secretKeyMultibase"  # noqa: S105  # the name of a field
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
    return _write({**holder.to_json(), _SECRET: key.secret_multikey})


def write_distant(holder: EnrolledKey, signer: Mapping[str, Any]) -> bytes:
    """Return the bytes of a signer's key file whose secret is elsewhere."""
    return _write({**holder.to_json(), _SIGNER: dict(signer)})


def read_secret(
    data: bytes, passphrase: bytes = b"", opened: Callable[[Mapping[str, Any]], Signs] | None = None
) -> tuple[SigningKey, EnrolledKey]:
    """
    Return key and holder of a key file.

    `passphrase`: passphrase of an encrypted secret.
    `opened`: makes of the file's `signer` a function that signs; without it such a file is refused.
    Raises SignatureError if it contains no secret, the secret does not match the public key in it,
    or the passphrase is another one.
    Raises EnrolmentError if name, role or public key cannot be used.
    """
    record = canonical.parse_object(data)
    if _ENCRYPTED in record:
        key = SigningKey.decrypted(record.pop(_ENCRYPTED), passphrase)
    elif _SECRET in record:
        key = SigningKey.from_multikey(record.pop(_SECRET))
    elif _SIGNER in record and opened is not None:
        signs = opened(record.pop(_SIGNER))
        key = DistantKey(str(record.get("publicKeyMultibase")), signs)
    else:
        raise SignatureError(f"key file has no {_SECRET}; pass the signer's own key file")
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
        raise EnrolmentError('a keyring is {"keys": [...]} without other keys; correct the file')
    if not all(isinstance(item, dict) for item in listed):
        raise EnrolmentError("a keyring lists keys as JSON objects; correct the file")
    return tuple(keyring(EnrolledKey.from_json(item) for item in listed).values())


def read_own_keyring(data: bytes) -> tuple[tuple[EnrolledKey, ...], tuple[bytes, ...], str | None]:
    """
    Return the reader's trusted keys, with status lists and policy of the same file.

    A status list is accepted by its own signature and dates, not because the file contains it.

    Raises EnrolmentError as `read_keyring`, or where a status list is not a JSON object, or the
    policy no text.

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
