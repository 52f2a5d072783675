"""
Key files of signers, in `TONNE_HOME/keys`: readable by their owner alone.

The secret never leaves this file: the database and packs hold public parts.  A file may
name a signer in its place (`services.issuer.signers`): a key in a token, or a command.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ingest.errors import InputError
from mrv.signatures import canonical
from mrv.signatures.key_bounds import NO_BOUNDS, KeyBounds
from mrv.signatures.keyfile import read_secret, write_distant, write_secret
from mrv.signatures.keys import DistantKey, EnrolledKey, Role, SigningKey
from services.issuer import signers
from services.settings import Settings

LOG_KEY = "tonne-log"  # unless another name is given
# Also the name of a file, and of a log in its signed heads.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OTHERS = 0o077
# no document begins so: a signature over it counts for nothing
_TRY = b"tonne tries whether this key signs\n"


def create(home: Path, name: str, role: Role, bounds: KeyBounds = NO_BOUNDS) -> EnrolledKey:
    """
    Make a key and keep its secret in a new file, encrypted where there is a passphrase.

    Raises
    ------
    InputError
        If the name is no file name, or there is a key of that name already.
    """
    _path(home, name)
    key = SigningKey.generate()
    holder = EnrolledKey(name, role, key.public_multikey, bounds=bounds)
    _keep(home, holder, write_secret(key, holder, Settings().key_passphrase_bytes))
    return holder


def adopt(home: Path, holder: EnrolledKey, signer: Mapping[str, Any]) -> EnrolledKey:
    """
    Keep a key whose secret is elsewhere, once it has signed a try.

    Raises
    ------
    InputError, ServerError, SignatureError
        If the signer cannot be asked, or what it gives is not by that key.
    """
    DistantKey(holder.multikey, signers.opened(signer)).sign(_TRY)
    _keep(home, holder, write_distant(holder, signer))
    return holder


def _keep(home: Path, holder: EnrolledKey, data: bytes) -> None:
    path = _path(home, holder.name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InputError(
            f"{path} exists and is not overwritten: a lost key cannot be replaced;"
            " choose another name"
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def load(home: Path, name: str) -> tuple[SigningKey, EnrolledKey]:
    """
    Read a signer's key.

    Raises
    ------
    InputError
        If there is none of that name, others may read it, or it is damaged.
    """
    path = _path(home, name)
    if not path.exists():
        known = ", ".join(names(home)) or "none"
        raise InputError(
            f"there is no key {name!r} in {path.parent}; there are: {known};"
            f" make it with `tonne keys create --role ROLE --name {name}`"
        )
    if path.stat().st_mode & _OTHERS:
        raise InputError(f"{path} can be read by others; run `chmod 600 {path}`")
    return read_secret(path.read_bytes(), Settings().key_passphrase_bytes, signers.opened)


def token_of(home: Path, name: str) -> dict[str, str] | None:
    """
    Return the token that keeps a key's secret; None where it is in the file or behind a command.

    Raises
    ------
    InputError
        As `load` raises.
    """
    load(home, name)
    signer = canonical.parse_object(_path(home, name).read_bytes()).get("signer", {})
    found: dict[str, str] | None = signer.get("pkcs11")
    return found


def follow_in_token(
    home: Path, holder: EnrolledKey, made: tuple[str, Mapping[str, str]]
) -> EnrolledKey:
    """Keep a key that `signers.next_in_token` made, with the name, role and bounds of a holder."""
    multikey, where = made
    new = EnrolledKey(holder.name, holder.role, multikey, bounds=holder.bounds)
    return adopt(home, new, {"pkcs11": dict(where)})


def retire(home: Path, name: str, moment: str) -> Path:
    """
    Put a key's file aside under the time of its end, so that a new one may take its name.

    Raises
    ------
    InputError
        As `load` raises.
    """
    load(home, name)
    path = _path(home, name)
    aside = path.with_name(f"{name}.until-{moment.replace(':', '').replace('-', '')}.json")
    path.rename(aside)
    return aside


def names(home: Path) -> list[str]:
    """Return the names of the keys whose secrets are here."""
    return sorted(path.stem for path in (home / "keys").glob("*.json"))


def _path(home: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is not a valid key name; use up to 64 letters, digits, dots, - and _"
        )
    return home / "keys" / f"{name}.json"
