"""
Signing keys: files in `TONNE_HOME/keys`, external signers, and rotation of the log's key.

A key file is readable only by its owner; database and packs have public keys only.  Instead of a
secret the file may name an external signer:

    "signer": {"pkcs11": {"module": PATH, "token": LABEL, "key": LABEL}}
    "signer": {"command": [PROGRAM, ARGUMENT, ...]}

The command can be the client of any key service (KMS): it reads the bytes to be signed on standard
input, and writes their Ed25519 signature (RFC 8032, 64 bytes) to standard output.  It is run
without a shell, as the owner of the file.

python-pkcs11 (MIT licence) is used rather than PyKCS11 (GPL). Both are maintained and work with
SoftHSM2.

A log's key is rotated like the shards of Certificate Transparency and Rekor: the old log is closed
with its last head, and a new log with a new name begins with all its entries. Proofs of the new log
do not need the old key; a keyring with both also verifies earlier exports.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg import Connection

from ingest.errors import InputError, ServerError
from mrv.errors import EnrolmentError
from mrv.signatures import canonical
from mrv.signatures.key_bounds import NO_BOUNDS, KeyBounds
from mrv.signatures.keys import (
    DistantKey,
    EnrolledKey,
    Role,
    SigningKey,
    Signs,
    encode_multikey,
    read_secret,
    write_distant,
    write_secret,
)
from services.issuer.documents import Signer
from services.settings import Settings
from services.store.registry import signing_keys as enrolled
from services.store.statements import transparency_log as log

_WAIT_S = 30
_MAX_OUTPUT = 300
# PKCS #11 name of the curve; prefix of an encoded point
_EDWARDS25519 = b"\x13\x0cedwards25519"
_POINT = b"\x04\x20"
_KEY_BYTES = 32
_FIELDS = {"module", "token", "key"}
_NUMBERED = re.compile(r"(.*)-([0-9]{1,6})")


def opened(signer: Mapping[str, Any]) -> Signs:
    """
    Return the signing function named by a key file's `signer`.

    Raises InputError if it is neither a command nor a key in a token.
    """
    command, token = signer.get("command"), signer.get("pkcs11")
    texts = isinstance(command, list) and all(isinstance(part, str) for part in command)
    if signer.keys() == {"command"} and command and texts:
        return lambda message: _signed_by_command(command, message)
    if signer.keys() == {"pkcs11"} and isinstance(token, dict) and token.keys() == _FIELDS:
        return lambda message: _in_token(token, message)
    raise InputError(
        f"the field `signer` of the key file has {sorted(signer)}; it must be a command (a list "
        "of texts), or pkcs11 with module, token and key"
    )


def _signed_by_command(command: list[str], message: bytes) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - the owner of the key file chose the command
            command, input=message, capture_output=True, check=False, timeout=_WAIT_S
        )
    except OSError as error:
        raise InputError(f"signer {command[0]}: {error.strerror}; correct the key file") from error
    except subprocess.TimeoutExpired as error:
        raise ServerError(
            f"signer {command[0]} gave no answer within {_WAIT_S} s; try again"
        ) from error
    if done.returncode:
        line = " ".join(done.stderr.decode(errors="replace").split())[:_MAX_OUTPUT]
        raise ServerError(
            f"signer {command[0]} ended with exit code {done.returncode} and wrote: "
            f"{line or 'nothing'}; check the command in the key file"
        )
    return done.stdout


def _in_token(where: Mapping[str, str], message: bytes) -> bytes:
    import pkcs11  # noqa: PLC0415 - loads the extra `pkcs11`

    with _session(where) as session:
        key = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=where["key"])
        return bytes(key.sign(message, mechanism=pkcs11.Mechanism.EDDSA))


def public_key(where: Mapping[str, str], *, make: bool = False) -> str:
    """
    Return the public Multikey of a token's Ed25519 key; with `make` it is created first.

    Raises InputError if module, token or key do not exist, the PIN is wrong, the key is of another
    kind, or `make` finds a key of that name.
    """
    import pkcs11  # noqa: PLC0415 - loads the extra `pkcs11`

    with _session(where, write=make) as session:
        if make:
            _make(session, where["key"])
        result = session.get_key(pkcs11.ObjectClass.PUBLIC_KEY, label=where["key"])
        point = bytes(result[pkcs11.Attribute.EC_POINT])
    if len(point) != len(_POINT) + _KEY_BYTES or not point.startswith(_POINT):
        raise InputError(
            f"key {where['key']!r} of the token is not an Ed25519 key; name one that is"
        )
    return encode_multikey(point[len(_POINT) :])


def next_in_token(where: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """
    Create the successor of a key in its token; the old key stays there.

    Raises InputError or ServerError as `public_key`.

    Returns `multikey`, `where`: public key, and its location: `plant-2` follows `plant`.
    """
    import pkcs11  # noqa: PLC0415 - loads the extra `pkcs11`

    base, number = _following(where["key"])
    with _session(where, write=True) as session:
        while list(session.get_objects({pkcs11.Attribute.LABEL: f"{base}-{number}"})):
            number += 1
        _make(session, f"{base}-{number}")
    following = {**where, "key": f"{base}-{number}"}
    return public_key(following), following


def _following(name: str) -> tuple[str, int]:
    """Return base and number of a name's successor: `plant-2` follows `plant`."""
    match = _NUMBERED.fullmatch(name)
    return (match[1], int(match[2]) + 1) if match else (name, 2)


def _make(session: Any, label: str) -> None:
    import pkcs11  # noqa: PLC0415 - loads the extra `pkcs11`

    if list(session.get_objects({pkcs11.Attribute.LABEL: label})):
        raise InputError(f"the token has a key {label!r} already; omit --make to use it")
    curve = session.create_domain_parameters(
        pkcs11.KeyType.EC_EDWARDS, {pkcs11.Attribute.EC_PARAMS: _EDWARDS25519}, local=True
    )
    # the secret cannot be read nor copied out of the token
    kept = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}
    curve.generate_keypair(
        mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
        store=True,
        label=label,
        private_template=kept,
    )


@contextmanager
def _session(where: Mapping[str, str], *, write: bool = False) -> Iterator[Any]:
    """Context with an open session of the token, using the configured PIN."""
    import pkcs11  # noqa: PLC0415 - loads the extra `pkcs11`
    from pkcs11 import exceptions as wrong  # noqa: PLC0415

    pin = Settings().pkcs11_pin
    if pin is None:
        raise InputError(
            f"token {where['token']!r} asks for a PIN: set TONNE_PKCS11_PIN or"
            " TONNE_PKCS11_PIN_FILE"
        )
    message = f"token {where['token']!r} by {where['module']}"
    try:
        token = pkcs11.lib(where["module"]).get_token(token_label=where["token"])
        with token.open(rw=write, user_pin=pin) as session:
            yield session
    except (wrong.PinIncorrect, wrong.PinLenRange, wrong.PinLocked) as error:
        raise InputError(
            f"{message}: the PIN is rejected ({type(error).__name__}); correct TONNE_PKCS11_PIN"
        ) from error
    except (wrong.NoSuchToken, wrong.NoSuchKey, wrong.MultipleObjectsReturned) as error:
        raise InputError(
            f"{message}: {type(error).__name__} for key {where['key']!r}; list its objects with "
            f"`pkcs11-tool --module {where['module']} --list-objects`"
        ) from error
    except (wrong.PKCS11Error, RuntimeError, OSError) as error:
        line = " ".join(str(error).split()) or type(error).__name__
        raise ServerError(
            f"{message} does not answer: {line}; check the token and its module"
        ) from error


LOG_KEY = "tonne-log"  # default name
# name of a key, its file, and the log in its signed heads
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OTHERS_MODE = 0o077
# no document begins with this text, so the signature cannot be used for a document
_TEST_MESSAGE = b"tonne tries whether this key signs\n"


def create(home: Path, name: str, role: Role, bounds: KeyBounds = NO_BOUNDS) -> EnrolledKey:
    """
    Create a key, write its secret to a new file, and return the public entry.

    The file is encrypted if a passphrase is set.

    Raises InputError if the name is not a file name, or a key of that name exists.
    """
    _path(home, name)
    key = SigningKey.generate()
    holder = EnrolledKey(name, role, key.public_multikey, bounds=bounds)
    _keep(home, holder, write_secret(key, holder, Settings().key_passphrase_bytes))
    return holder


def adopt(home: Path, holder: EnrolledKey, signer: Mapping[str, Any]) -> EnrolledKey:
    """
    Store a reference to a key outside this machine, after a test signature; return its public
    entry.

    Raises InputError, ServerError or SignatureError if the signer does not answer, or its signature
    is not by that key.
    """
    DistantKey(holder.multikey, opened(signer)).sign(_TEST_MESSAGE)
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
    Return a signer's secret key and public entry.

    Raises InputError if there is no key of that name, others may read the file, or it is damaged.
    """
    path = _path(home, name)
    if not path.exists():
        known = ", ".join(names(home)) or "none"
        raise InputError(
            f"there is no key {name!r} in {path.parent}; there are: {known};"
            f" create it with `tonne keys create --role ROLE --name {name}`"
        )
    if path.stat().st_mode & _OTHERS_MODE:
        raise InputError(f"{path} can be read by others; run `chmod 600 {path}`")
    return read_secret(path.read_bytes(), Settings().key_passphrase_bytes, opened)


def token_of(home: Path, name: str) -> dict[str, str] | None:
    """
    Return module, token and key label (`where`) of a key whose secret is in a token.

    None for a secret in a file or behind a command.

    Raises InputError as `load` raises.
    """
    load(home, name)
    signer = canonical.parse_object(_path(home, name).read_bytes()).get("signer", {})
    result: dict[str, str] | None = signer.get("pkcs11")
    return result


def follow_in_token(
    home: Path, holder: EnrolledKey, made: tuple[str, Mapping[str, str]]
) -> EnrolledKey:
    """
    Store a key made by `next_in_token` as the successor of `holder`; return its public entry.

    It has the name, role and limits of `holder`.
    """
    multikey, where = made
    new = EnrolledKey(holder.name, holder.role, multikey, bounds=holder.bounds)
    return adopt(home, new, {"pkcs11": dict(where)})


def retire(home: Path, name: str, moment: str) -> Path:
    """
    Add the time of a key's end to its file's name, so that a new key can use the name.

    Return the file's new path.  `moment`: the time as text (RFC 3339).

    Raises InputError as `load` raises.
    """
    load(home, name)
    path = _path(home, name)
    aside = path.with_name(f"{name}.until-{moment.replace(':', '').replace('-', '')}.json")
    path.rename(aside)
    return aside


def names(home: Path) -> list[str]:
    """Return the names of the keys stored here."""
    return sorted(path.stem for path in (home / "keys").glob("*.json"))


def _path(home: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is not a valid key name; use up to 64 letters, digits, dots, - and _"
        )
    return home / "keys" / f"{name}.json"


_ROTATED = "log_key"


def rotate(conn: Connection, home: Path, name: str, now: datetime) -> EnrolledKey:
    """
    Close a log, open its successor, and return the new log's key.

    `conn` is in autocommit.  `name`: holder of the log's present key, which may be revoked already.
    Raises EnrolmentError if that is not the log's last key.
    """
    with conn.transaction():
        log.lock(conn)
        holders = [e.key for e in enrolled.load(conn) if e.key.role == "log"]
        if not holders or holders[-1].name != name:
            known = holders[-1].name if holders else "none"
            raise EnrolmentError(f"{name!r} is not the key of the log; sign with {known!r}")
        old, head = holders[-1], log.checkpoint(conn)
        if old.valid_until is None:
            enrolled.revoke(conn, name, now)
        following = "{}-{}".format(*_following(name))
        # an existing key of the next name is used, for instance one in a token
        made = load(home, following)[1] if following in names(home) else _made(home, old, following)
        enrolled.enroll(conn, made)
        if head is not None:
            enrolled.close_log(conn, old, head)
            _begin_log(conn, Signer(*load(home, made.name)), old, head)
    if name in names(home):
        retire(home, name, now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    return made


def _made(home: Path, old: EnrolledKey, name: str) -> EnrolledKey:
    """Return the next log's key, created where the old one is: in its token, or as a file."""
    token = token_of(home, old.name) if old.name in names(home) else None
    if token is None:
        return create(home, name, "log")
    holder = replace(old, name=name, valid_from=None, valid_until=None)
    return follow_in_token(home, holder, next_in_token(token))


def _begin_log(conn: Connection, new: Signer, old: EnrolledKey, head: str) -> None:
    """Append the end of the preceding log to the new log, and sign the new log's first head."""
    entry = {
        "event": _ROTATED,
        "from": {"name": old.name, "publicKeyMultibase": old.multikey, "finalHead": head},
        "to": {"name": new.holder.name, "publicKeyMultibase": new.holder.multikey},
    }
    log.append(conn, _ROTATED, None, canonical.encode(entry))
    log.sign_head(conn, new.holder.name, new.key)
