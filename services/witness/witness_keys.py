"""
Keys of a witness: Ed25519 and ML-DSA-44, in a file readable only by its owner.

It is separate from `tonne keys`, as `tonne log cosign` keeps another record of signed heads, and
one key with two records could sign two histories.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ingest.errors import InputError
from mrv.log.note import COSIGNATURE, ML_DSA_COSIGNATURE, Vkey
from mrv.signatures.keys import SigningKey
from mrv.signatures.ml_dsa import MlDsaKey

FILE = "keys.json"
_NAME, _ED25519, _ML_DSA = "name", "ed25519", "ml-dsa-44"
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class WitnessKeys:
    """Name of a witness, and its signing keys."""

    name: str
    ed25519: SigningKey
    ml_dsa: MlDsaKey

    @property
    def vkeys(self) -> tuple[Vkey, Vkey]:
        """Return the public keys for logs and readers: Ed25519 first."""
        return (
            Vkey(self.name, COSIGNATURE, self.ed25519.public),
            Vkey(self.name, ML_DSA_COSIGNATURE, self.ml_dsa.public),
        )


def create(folder: Path, name: str, passphrase: bytes = b"") -> WitnessKeys:
    """
    Create the keys of a witness.

    Parameters
    ----------
    name : str
        Like `witness.example/w1`: a URL without its scheme, used by this witness only.
    passphrase : bytes
        Encrypts the file's secrets; empty for no encryption.

    Raises
    ------
    InputError
        If there are keys already, or the name is invalid.
    """
    path = folder / FILE
    if path.exists():
        raise InputError(
            f"{path} already contains the keys of a witness; use another TONNE_HOME for a "
            "second one"
        )
    first, second = Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate()
    made = WitnessKeys(
        name, SigningKey(first.private_bytes_raw()), MlDsaKey(second.private_bytes_raw())
    )
    made.vkeys  # noqa: B018 - refuses a name that cannot stand in a note
    kept = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    secrets: dict[str, Ed25519PrivateKey | MLDSA44PrivateKey] = {_ED25519: first, _ML_DSA: second}
    record = {_NAME: name} | {
        kind: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, kept).decode()
        for kind, key in secrets.items()
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(record, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return made


def load(folder: Path, passphrase: bytes = b"") -> WitnessKeys:
    """
    Return the keys of a witness.

    Raises
    ------
    InputError
        If there are none, others may read them, or the passphrase is wrong.
    """
    path = folder / FILE
    try:
        mode, record = path.stat().st_mode, json.loads(path.read_bytes())
        if mode & _OTHERS:
            raise InputError(f"{path} can be read by others; run `chmod 600 {path}`")
        result = {
            kind: load_pem_private_key(record[kind].encode(), passphrase or None)
            for kind in (_ED25519, _ML_DSA)
        }
        first, second = result[_ED25519], result[_ML_DSA]
        if not isinstance(first, Ed25519PrivateKey) or not isinstance(second, MLDSA44PrivateKey):
            raise InputError(f"{path} contains keys of other types than it states; restore it")
        return WitnessKeys(
            record[_NAME],
            SigningKey(first.private_bytes_raw()),
            MlDsaKey(second.private_bytes_raw()),
        )
    except FileNotFoundError as error:
        raise InputError(
            f"there is no {path}; `tonne witness create --name witness.example/w1` creates the keys"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"{path} cannot be read: {error}; set TONNE_KEY_PASSPHRASE_FILE to its passphrase, or"
            " restore it"
        ) from error
