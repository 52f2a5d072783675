"""
Bytes as text in a strict encoding: each byte string has one text.

Tolerant decoders (blanks, unused bits that are not zero) accept two texts for one signature.  Here
a decoded text always encodes to the same text.  Base58btc is the alphabet of draft-msporny-base58;
the prefix `z` is multibase's letter for it.
"""

import base64
import binascii

from mrv.errors import CanonicalError
from mrv.signatures.canonical import sha256

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUE = {char: number for number, char in enumerate(_ALPHABET)}
# Longer than any key, digest or signature here; decoding takes quadratic time.
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

    Raises
    ------
    CanonicalError
        If the prefix, a letter or the length is not of this encoding.
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
    Return the bytes of standard base64; texts that `encode_base64` would not write are refused.

    Raises
    ------
    CanonicalError
        For other letters, missing padding or unused bits that are not zero.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise CanonicalError(f"{text[:24]!r} is not base64: {error}; copy it again") from error
    if encode_base64(data) != text:
        raise CanonicalError(f"{text[:24]!r} is base64 with loose bits; copy it again")
    return data


def sha256_multibase(data: bytes) -> str:
    """Return SHA-256 as `digestMultibase` of VC 2.0: multibase text of the sha2-256 multihash."""
    return encode_base58(_SHA2_256 + sha256(data))
