"""
Public keys of meters and gateways, and their signatures (ECDSA with SHA-256, Ed25519).

A key is a DER SubjectPublicKeyInfo or a bare point (SEC 1, section 2.3.3), written in hex, base64
or PEM.  The algorithm of the value determines the curve of a bare point.  The curves are those of
OCMF table 22 that `cryptography` supports.  Values signed on curves of 192 bits are not checked:
these have 96 bits of security (no longer in NIST SP 800-186), and no library here has secp192k1.

COSE (RFC 9053) has EdDSA with Ed25519, and ES256 on P-256 with both numbers of the signature
concatenated.  No COSE library is used: pycose depends on unmaintained packages, and cwt requires an
older cbor2.

A reader can supply keys of meters and gateways, from labels or a manufacturer's list, in a file
with one line per key, `NAME KEY`: the device's id or serial number, then the public key in hex or
base64 (DER or a point).  Text after `#` is a comment.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from mrv.errors import SignedValueError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


_ALGORITHM = re.compile(r"ECDSA-(.+)-SHA256")
_CURVES: dict[str, ec.EllipticCurve] = {
    "secp256r1": ec.SECP256R1(),
    "secp256k1": ec.SECP256K1(),
    "secp384r1": ec.SECP384R1(),
    "brainpool256r1": ec.BrainpoolP256R1(),
    "brainpool384r1": ec.BrainpoolP384R1(),
}
_OURS = {curve.name: name for name, curve in _CURVES.items()}
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----(.*)-----END PUBLIC KEY-----", re.DOTALL)
_POINT, _SEQUENCE = (2, 3, 4), 0x30
_LONGEST = 4_096
_EDDSA, _ES256 = (-8, -19), (-7, -9)  # the second number of each is of RFC 9864
_HALF = 32


class NotCheckedError(SignedValueError):
    """A signature cannot be checked on this machine; it is neither valid nor invalid."""


@dataclass(frozen=True, slots=True)
class MeterKey:
    """A public key as bytes: DER, or a bare point with the curve named by the algorithm."""

    raw: bytes

    @property
    def hex(self) -> str:
        """Return the key in hex, as in registries."""
        return self.raw.hex()


def parse_key(text: str) -> MeterKey:
    """
    Return the key of its text: hex (with blanks allowed), base64 or PEM.

    Raises SignedValueError if it is not a key, or of an unsupported kind.
    """
    try:
        return _supported(decode_key(text))
    except NotCheckedError as error:
        raise SignedValueError(
            f"this key cannot be used: {error}; pass the meter's public key in hex or base64"
        ) from error


def decode_key(text: str) -> MeterKey:
    """
    Return the bytes of a key's text, of any kind of key.

    Raises SignedValueError if it is neither hex, base64 nor PEM of a key.
    """
    match = _PEM.search(text)
    packed = "".join((match[1] if match else text).split())
    try:
        raw = bytes.fromhex(packed)
    except ValueError:
        try:
            raw = b64decode(packed, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
    if not raw or len(raw) > _LONGEST or raw[0] not in (*_POINT, _SEQUENCE):
        raise SignedValueError(
            f"{text.strip()[:24]!r} is not a public key; pass DER or a point, in hex, base64 or PEM"
        )
    return MeterKey(raw)


def same_key(meter_key: MeterKey, other: MeterKey) -> bool:
    """
    Return whether two keys are the same, as DER, point, or compressed point.

    Raises SignedValueError if one is damaged, or of an unsupported kind.
    """
    return meter_key == other or bool(_points(meter_key) & _points(other))


def _points(key: MeterKey) -> set[tuple[str, bytes]]:
    """Return curve names and points of a key; a bare point may be on several curves."""
    if key.raw[0] == _SEQUENCE:
        public = _read(key.raw)
        if isinstance(public, Ed25519PublicKey):
            return {("ed25519", public.public_bytes_raw())}
        result = [_loaded(key.raw)]
    else:
        result = []
        for curve in _CURVES.values():
            with suppress(ValueError):
                result.append(ec.EllipticCurvePublicKey.from_encoded_point(curve, key.raw))
    whole = Encoding.X962, PublicFormat.UncompressedPoint
    return {(point.curve.name, point.public_bytes(*whole)) for point in result}


def _supported(key: MeterKey) -> MeterKey:
    """
    Return the key unchanged.

    Raises SignedValueError for a point on no curve, or an unsupported curve.
    """
    if key.raw[0] == _SEQUENCE:
        if not isinstance(_read(key.raw), Ed25519PublicKey):
            _loaded(key.raw)
        return key
    for curve in _CURVES.values():
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(curve, key.raw)
        except ValueError:
            continue
        return key
    raise SignedValueError(
        f"point {key.hex[:16]}.. is not on a supported curve; pass the key as DER"
    )


def verifies(key: MeterKey, algorithm: str, signature: bytes, signed: bytes) -> bool:
    """
    Return whether a key's signature is valid for these bytes.

    Raises NotCheckedError if this algorithm, or that of the key, is not supported.
    Raises SignedValueError if the key is damaged.
    """
    match = _ALGORITHM.fullmatch(algorithm)
    name = (match[1] if match else "").replace("brainpoolP", "brainpool")
    curve = _CURVES.get(name)
    if curve is None:
        raise NotCheckedError(f"{algorithm} is not supported; supported: {', '.join(_CURVES)}")
    if key.raw[0] == _SEQUENCE:
        public = _loaded(key.raw)
        if _OURS[public.curve.name] != name:
            return False  # the key is not the signer's
    else:
        try:
            public = ec.EllipticCurvePublicKey.from_encoded_point(curve, key.raw)
        except ValueError:
            return False  # the key is a point of another curve
    try:
        public.verify(signature, signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    except UnsupportedAlgorithm as error:
        raise NotCheckedError(
            f"the crypto library of this machine has no {name}: {error}; verify on another machine"
        ) from error
    return True


def verifies_cose(key: MeterKey, algorithm: int, signature: bytes, signed: bytes) -> bool:
    """
    Return whether a key's signature is valid for these bytes, as in COSE (RFC 9053, section 2).

    `algorithm`: -8 EdDSA or -7 ES256; -19 and -9 are the same with their curve.
    Raises NotCheckedError if this algorithm is not supported.
    Raises SignedValueError if the key is damaged.
    """
    if algorithm not in _EDDSA + _ES256:
        raise NotCheckedError(f"algorithm {algorithm} is not supported; supported: EdDSA, ES256")
    public = _point(key.raw) if key.raw[0] != _SEQUENCE else _read(key.raw)
    try:
        if isinstance(public, Ed25519PublicKey) and algorithm in _EDDSA:
            public.verify(signature, signed)
            return True
        if isinstance(public, ec.EllipticCurvePublicKey) and algorithm in _ES256:
            if not isinstance(public.curve, ec.SECP256R1) or len(signature) != 2 * _HALF:
                return False
            halves = signature[:_HALF], signature[_HALF:]
            both = encode_dss_signature(*(int.from_bytes(half, "big") for half in halves))
            public.verify(both, signed, ec.ECDSA(SHA256()))
            return True
    except InvalidSignature:
        return False
    return False  # the key is of another kind


def _point(raw: bytes) -> ec.EllipticCurvePublicKey | None:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    except ValueError:
        return None


def _read(raw: bytes) -> PublicKeyTypes:
    try:
        return load_der_public_key(raw)
    except UnsupportedAlgorithm as error:
        raise NotCheckedError(
            f"its curve is not in the crypto library of this machine: {error}; verify on another "
            "machine"
        ) from error
    except ValueError as error:
        raise SignedValueError(
            f"key {raw.hex()[:24]}.. is damaged: {error}; copy the whole key again"
        ) from error


def _loaded(raw: bytes) -> ec.EllipticCurvePublicKey:
    public = _read(raw)
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name not in _OURS:
        raise NotCheckedError(f"it is of another kind or curve; known: {', '.join(_CURVES)}")
    return public


OwnKeys = Mapping[str, tuple[MeterKey, ...]]


def read_own_keys(text: str) -> dict[str, tuple[MeterKey, ...]]:
    """
    Return keys by meter name; a name may have several lines.

    Raises SignedValueError, naming the first line that is not a name with a key, or if there is
    none.
    """
    own_keys: dict[str, tuple[MeterKey, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.partition("#")[0].split(maxsplit=1)
        if not parts:
            continue
        if len(parts) == 1:
            raise SignedValueError(
                f"line {number} is not a name and a key; write an id or serial number, a "
                "blank, and a key"
            )
        try:
            own_keys[parts[0]] = (*own_keys.get(parts[0], ()), parse_key(parts[1]))
        except SignedValueError as error:
            raise SignedValueError(f"line {number}: {error}") from error
    if not own_keys:
        raise SignedValueError("it contains no key; pass a line `NAME KEY` for each meter")
    return own_keys
