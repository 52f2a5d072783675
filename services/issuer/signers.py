"""
Signers whose secret is not in our files: a key in a token (PKCS #11), or a command.

A key file names the signer in place of a secret:

    "signer": {"pkcs11": {"module": PATH, "token": LABEL, "key": LABEL}}
    "signer": {"command": [PROGRAM, ARGUMENT, ...]}

The command is the interface to any key service (KMS): it gets the bytes to be signed on
its standard input, and writes the Ed25519 signature of them (RFC 8032, 64 bytes, as they
are) to its standard output.  It is run without a shell, by the user who keeps the file.

python-pkcs11 rather than PyKCS11: both had a release within two months and both drive
SoftHSM2; it is of the MIT licence where PyKCS11 is of the GPL, and speaks of keys and
sessions where PyKCS11 mirrors the C structures.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ingest.errors import InputError, ServerError
from mrv.signatures.keyfile import Signs
from mrv.signatures.keys import encode_multikey
from services.settings import Settings

_WAIT_S = 30
_MOST_SAID = 300
# how PKCS #11 names the curve, and how it writes a point of it
_EDWARDS25519 = b"\x13\x0cedwards25519"
_POINT = b"\x04\x20"
_KEY_BYTES = 32
_FIELDS = {"module", "token", "key"}
_NUMBERED = re.compile(r"(.*)-([0-9]{1,6})")


def opened(signer: Mapping[str, Any]) -> Signs:
    """
    Return the function that signs, as a key file's `signer` names it.

    Raises
    ------
    InputError
        If it is neither a command nor a key in a token.
    """
    command, token = signer.get("command"), signer.get("pkcs11")
    if signer.keys() == {"command"} and isinstance(command, list) and _texts(command):
        return lambda message: _signed_by_command(command, message)
    if signer.keys() == {"pkcs11"} and isinstance(token, dict) and token.keys() == _FIELDS:
        return lambda message: _in_token(token, message)
    raise InputError(
        f"signer of a key file is {sorted(signer)}; it is a command, a list of texts, or pkcs11"
        " with module, token and key"
    )


def _texts(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values)


def _signed_by_command(command: list[str], message: bytes) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - the owner of the key file chose the command
            command, input=message, capture_output=True, check=False, timeout=_WAIT_S
        )
    except OSError as error:
        raise InputError(f"signer {command[0]}: {error.strerror}; correct the key file") from error
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"signer {command[0]} gave nothing in {_WAIT_S} s; try again") from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[:_MOST_SAID]
        raise ServerError(f"signer {command[0]} ended with {done.returncode}: {said or 'nothing'}")
    return done.stdout


def _in_token(where: Mapping[str, str], message: bytes) -> bytes:
    import pkcs11  # noqa: PLC0415 - loads the extra `pkcs11`

    with _session(where) as session:
        key = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=where["key"])
        return bytes(key.sign(message, mechanism=pkcs11.Mechanism.EDDSA))


def public_key(where: Mapping[str, str], *, make: bool = False) -> str:
    """
    Return the public Multikey of a token's Ed25519 key; with `make`, make it there first.

    Raises
    ------
    InputError
        If there is no such module, token or key, the PIN is another one, the key is of
        another kind, or one of that name is there already and is to be made.
    """
    import pkcs11  # noqa: PLC0415 - loads the extra `pkcs11`

    with _session(where, write=make) as session:
        if make:
            _make(session, where["key"])
        found = session.get_key(pkcs11.ObjectClass.PUBLIC_KEY, label=where["key"])
        point = bytes(found[pkcs11.Attribute.EC_POINT])
    if len(point) != len(_POINT) + _KEY_BYTES or not point.startswith(_POINT):
        raise InputError(f"key {where['key']!r} of the token is not of Ed25519; name another one")
    return encode_multikey(point[len(_POINT) :])


def next_in_token(where: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """
    Make the key that follows one in its token; the old one stays there.

    Returns
    -------
    multikey, where : str, dict
        Public part of the new key, and where it is: `plant-2` follows `plant`.

    Raises
    ------
    InputError, ServerError
        As `public_key`.
    """
    import pkcs11  # noqa: PLC0415 - loads the extra `pkcs11`

    match = _NUMBERED.fullmatch(where["key"])
    base, number = (match[1], int(match[2]) + 1) if match else (where["key"], 2)
    with _session(where, write=True) as session:
        while list(session.get_objects({pkcs11.Attribute.LABEL: f"{base}-{number}"})):
            number += 1
        _make(session, f"{base}-{number}")
    following = {**where, "key": f"{base}-{number}"}
    return public_key(following), following


def _make(session: Any, label: str) -> None:
    import pkcs11  # noqa: PLC0415 - loads the extra `pkcs11`

    if list(session.get_objects({pkcs11.Attribute.LABEL: label})):
        raise InputError(f"the token has a key {label!r} already; omit --make to use it")
    curve = session.create_domain_parameters(
        pkcs11.KeyType.EC_EDWARDS, {pkcs11.Attribute.EC_PARAMS: _EDWARDS25519}, local=True
    )
    # neither to be read nor to be copied out of the token
    kept = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}
    curve.generate_keypair(
        mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
        store=True,
        label=label,
        private_template=kept,
    )


@contextmanager
def _session(where: Mapping[str, str], *, write: bool = False) -> Iterator[Any]:
    """Open a session with the token, with the PIN of the settings."""
    import pkcs11  # noqa: PLC0415 - loads the extra `pkcs11`
    from pkcs11 import exceptions as wrong  # noqa: PLC0415

    pin = Settings().pkcs11_pin
    if pin is None:
        raise InputError(
            f"token {where['token']!r} asks for a PIN: set TONNE_PKCS11_PIN or"
            " TONNE_PKCS11_PIN_FILE"
        )
    told = f"token {where['token']!r} by {where['module']}"
    try:
        token = pkcs11.lib(where["module"]).get_token(token_label=where["token"])
        with token.open(rw=write, user_pin=pin) as session:
            yield session
    except (wrong.PinIncorrect, wrong.PinLenRange, wrong.PinLocked) as error:
        raise InputError(f"{told}: the PIN is refused ({type(error).__name__})") from error
    except (wrong.NoSuchToken, wrong.NoSuchKey, wrong.MultipleObjectsReturned) as error:
        raise InputError(
            f"{told}: {type(error).__name__} for key {where['key']!r}; list what it holds with"
            f" `pkcs11-tool --module {where['module']} --list-objects`"
        ) from error
    except (wrong.PKCS11Error, RuntimeError, OSError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise ServerError(f"{told} does not answer: {said}") from error
