"""
Canonical JSON: each value has one byte string (RFC 8785, JCS).

All signed or hashed data are read and written here.  JSON readers may differ on repeated keys, NaN,
or integers beyond a double, so that a signature would be ambiguous; these are rejected in both
directions.  Floats are rejected too, unless allowed: quantities in signed bodies are decimal
strings.
"""

import hashlib
import json
import math
import re
from typing import Any, NoReturn

import rfc8785

from ingest.errors import describe_fault
from mrv.errors import CanonicalError

MAX_SAFE_INTEGER = 2**53 - 1
_FIRST_WITH_EXPONENT = 1e21
_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_write = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode


def encode(value: object, *, allow_floats: bool = False) -> bytes:
    """
    Return the canonical bytes of a JSON value.

    `value` (None, bool, int, str, list, tuple or dict of these): the value.  Object keys must be
    strings.
    `allow_floats`: accept finite floats; in signed bodies write a decimal string instead.
    Raises CanonicalError with the path of the first value that has no canonical form.

    Returns: UTF-8 JSON in the form of RFC 8785.
    """
    result = None if allow_floats else _quickly(value)
    if result is not None:
        return result
    _check_depth_safe(value, allow_floats=allow_floats)
    return rfc8785.dumps(value)  # type: ignore[arg-type]  # checked just above


def parse(data: bytes, *, allow_floats: bool = False) -> Any:
    """
    Return the JSON value of UTF-8 bytes; reject bytes that readers may interpret differently.

    Parameters
    ----------
    data : bytes
        JSON text; it need not be canonical itself.
    allow_floats : bool
        Accept numbers with a fraction or an exponent.

    Returns
    -------
    object
        A value that `encode` accepts.

    Raises
    ------
    CanonicalError
        For bytes that are not UTF-8 JSON, a repeated key, NaN or Infinity, an integer beyond 2**53
        - 1, a lone surrogate, or a float that is not allowed.
    """
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise CanonicalError(f"not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    except RecursionError as error:
        raise CanonicalError("JSON is nested too deeply to read; flatten it") from error
    except ValueError as error:
        raise CanonicalError(
            f"not JSON: {describe_fault(error)}; correct the text there"
        ) from error
    # a lone surrogate can only come from an escape
    if b"\\u" in data or not _is_plain(value):
        _check_depth_safe(value, allow_floats=allow_floats)
    return value


def parse_object(data: bytes, *, allow_floats: bool = False) -> dict[str, Any]:
    """Return the JSON object of bytes, as `parse`."""
    value = parse(data, allow_floats=allow_floats)
    if not isinstance(value, dict):
        raise CanonicalError(
            "expected a JSON object {...}, and found another JSON value; pass an object"
        )
    return value


def legible(value: object) -> bytes:
    """
    Return JSON bytes for people: indented, keys in order, one byte string per value.

    Raises CanonicalError as `encode` does.
    """
    _check_depth_safe(value, allow_floats=False)
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 of bytes, 32 bytes."""
    return hashlib.sha256(data).digest()


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of bytes, 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise CanonicalError(f"key {key!r} appears twice in one object; keep one of them")
            seen.add(key)
    return result


def _no_constant(name: str) -> NoReturn:
    raise CanonicalError(f"{name} is not a JSON number; use null or omit the key")


def _quickly(value: object) -> bytes | None:
    """
    Return canonical bytes by the fast encoder in C; None for a value that it cannot encode.

    These are invalid values, and keys beyond U+FFFF, which the encoder sorts by code point while
    RFC 8785 requires UTF-16 order.
    """
    try:
        if not _is_plain(value):
            return None
        text = _write(value)
        return text.encode() if text.isascii() or not _BEYOND.search(text) else None
    except (RecursionError, UnicodeEncodeError):
        return None


def _is_plain(value: object) -> bool:
    """Return whether a value has JSON types only and no float; strings are not checked."""
    try:
        return _plain(value)
    except RecursionError:
        return False


def _plain(value: Any) -> bool:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return abs(int(value)) <= MAX_SAFE_INTEGER
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not (type(item) is str or _plain(item)):
                return False
        return True
    if kind is list or kind is tuple:
        return all(type(item) is str or _plain(item) for item in value)
    return False


def _check_depth_safe(value: object, *, allow_floats: bool) -> None:
    try:
        _check(value, "$", allow_floats=allow_floats)
    except RecursionError as error:
        raise CanonicalError("value is nested too deeply or contains itself; flatten it") from error


def _check(value: object, path: str, *, allow_floats: bool) -> None:
    match value:
        case None | bool():
            return
        case str():
            _check_text(value, path)
        case int():
            _check_integer(value, path)
        case float():
            _check_float(value, path, allow_floats=allow_floats)
        case dict():
            _check_object(value, path, allow_floats=allow_floats)
        case list() | tuple():
            for index, item in enumerate(value):
                _check(item, f"{path}[{index}]", allow_floats=allow_floats)
        case _:
            raise CanonicalError(
                f"{path} is a {type(value).__name__}, which is not a JSON type; write "
                "quantities as decimal strings"
            )


def _check_object(value: dict[Any, Any], path: str, *, allow_floats: bool) -> None:
    for key, item in value.items():
        if not isinstance(key, str):
            raise CanonicalError(f"key {key!r} of {path} is not a string; JSON keys are strings")
        _check_text(key, path)
        _check(item, f"{path}.{key}", allow_floats=allow_floats)


def _check_text(text: str, path: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CanonicalError(
            f"{path} contains half a surrogate pair, which has no UTF-8 form; remove it"
        ) from error


def _check_integer(number: int, path: str) -> None:
    if abs(number) > MAX_SAFE_INTEGER:
        raise CanonicalError(
            f"{path} is an integer beyond 2**53 - 1, which JSON readers round; "
            "write it as a decimal string"
        )


def _check_float(number: float, path: str, *, allow_floats: bool) -> None:
    if not math.isfinite(number):
        raise CanonicalError(f"{path} is {number}, which is not a JSON value; use null")
    if not allow_floats:
        raise CanonicalError(
            f"{path} is the float {number!r}; in signed data write a decimal string"
        )
    # JCS writes these without an exponent, so they would be read back as unsafe integers.
    if MAX_SAFE_INTEGER < abs(number) < _FIRST_WITH_EXPONENT:
        _check_integer(int(number), path)
