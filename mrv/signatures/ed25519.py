"""
Ed25519 with unambiguous keys (RFC 8032), and bytes as text in a strict encoding.

OpenSSL accepts any 32 bytes as a key, including points of small order, for which one signature is
valid for many messages.  A key is therefore checked before it is trusted: canonical encoding, on
the curve, and of the prime order L.  With such a key, OpenSSL's check, which recalculates R and
compares its bytes, accepts only one form of a signature.

Tolerant decoders (blanks, unused bits that are not zero) accept two texts for one signature.  Here
a decoded text always encodes to the same text.  Base58btc is the alphabet of draft-msporny-base58;
multibase marks it with the prefix `z`.
"""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mrv.errors import CanonicalError, SignatureError
from mrv.signatures.canonical import sha256

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_ONE = pow(2, (_P - 1) // 4, _P)

# Extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, x y = T/Z.
_Point = tuple[int, int, int, int]
_IDENTITY: _Point = (0, 1, 1, 0)


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether the secret key of this public key signed the message."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=4_096)  # documents have the same few keys, and a check takes 3 ms
def check_public_key(public: bytes) -> None:
    """
    Raise SignatureError for a weak or malformed public key.

    `public`: the 32 bytes of RFC 8032, section 5.1.5.
    Raises SignatureError if the length or encoding is wrong, the point is not on the curve, or its
    order is not the prime L.
    """
    point = _decode(public)
    if _is_identity(_multiply(8, point)):
        raise _refused(public, "has small order, so anyone can sign with it")
    if not _is_identity(_multiply(_L, point)):
        raise _refused(
            public,
            "is a point with a part of small order, on which programs that verify signatures may"
            " disagree; use another key",
        )


def _decode(public: bytes) -> _Point:
    if len(public) != KEY_BYTES:
        raise _refused(public, f"has {len(public)} bytes instead of {KEY_BYTES}")
    number = int.from_bytes(public, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= _P:
        raise _refused(public, "is not canonically encoded (y is not below 2**255 - 19)")
    x = _square_root((y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P)
    if x is None:
        raise _refused(public, "is not a point on the curve")
    if x == 0 and sign:
        raise _refused(public, "is not canonically encoded (x is 0 with a sign)")
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _square_root(square: int) -> int | None:
    root = pow(square, (_P + 3) // 8, _P)
    if (root * root - square) % _P:
        root = root * _SQRT_MINUS_ONE % _P
    return None if (root * root - square) % _P else root


def _add(p: _Point, q: _Point) -> _Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] * _D % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(scalar: int, point: _Point) -> _Point:
    total = _IDENTITY
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point = _add(point, point)
        scalar >>= 1
    return total


def _is_identity(point: _Point) -> bool:
    return point[0] % _P == 0 and (point[1] - point[2]) % _P == 0


def _refused(public: bytes, why: str) -> SignatureError:
    return SignatureError(f"public key {public.hex()} {why}; make a new key pair")


_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUE = {char: number for number, char in enumerate(_ALPHABET)}
# Longer than any key, digest or signature here; limited as decoding takes quadratic time.
_LONGEST = 256
_SHA2_256 = bytes([0x12, 0x20])  # multihash: function code, length


def encode_base58(data: bytes) -> str:
    """Return the multibase text of bytes: `z` and base58btc."""
    number = int.from_bytes(data, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "z" + _ALPHABET[0] * zeros + "".join(reversed(digits))


def decode_base58(text: str) -> bytes:
    """
    Return the bytes of a multibase text `z...`.

    Raises CanonicalError if the prefix, a letter or the length is not of this encoding.
    """
    if not text.startswith("z") or len(text) > _LONGEST:
        raise CanonicalError(
            f"{text[:24]!r} is not multibase base58btc, which starts with z and is short; copy "
            "the whole text again"
        )
    number = 0
    for char in text[1:]:
        if char not in _VALUE:
            raise CanonicalError(
                f"{char!r} in {text[:24]!r}... is not a base58 letter; copy it again"
            )
        number = number * 58 + _VALUE[char]
    body = text[1:]
    zeros = len(body) - len(body.lstrip(_ALPHABET[0]))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """
    Return the bytes of standard base64, in exactly the form that `encode_base64` writes.

    Raises CanonicalError for other letters, missing padding or unused bits that are not zero.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise CanonicalError(f"{text[:24]!r} is not base64: {error}; copy it again") from error
    if encode_base64(data) != text:
        raise CanonicalError(
            f"{text[:24]!r} is base64 whose unused bits are not zero; copy it again"
        )
    return data


def sha256_multibase(data: bytes) -> str:
    """Return SHA-256 as `digestMultibase` of VC 2.0: multibase text of the sha2-256 multihash."""
    return encode_base58(_SHA2_256 + sha256(data))
