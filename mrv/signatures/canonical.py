"""
Canonical JSON: one value, one byte string (RFC 8785, JCS).

What is signed or hashed passes through here in both directions.  Two JSON
readers may disagree about a repeated key, about NaN, or about an integer that
a double cannot hold; a signature over such a document would mean two things.
So these are refused when reading and when writing.  Floats are refused too,
unless asked for: quantities in signed bodies are decimal strings.
"""

import hashlib
import json
import math
from typing import Any, NoReturn

import rfc8785

from ingest.json_faults import told
from mrv.errors import CanonicalError

MAX_SAFE_INTEGER = 2**53 - 1
_FIRST_WITH_EXPONENT = 1e21
# what documents are made of is written by json's own encoder, in a tenth of the time
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)
_DEPTH = 100  # of what is not looked at value by value


def encode(value: object, *, allow_floats: bool = False) -> bytes:
    """
    Canonical bytes of a JSON value.

    Parameters
    ----------
    value : None, bool, int, str, list, tuple or dict of these
        What to write.  Object keys must be strings.
    allow_floats : bool
        Accept finite floats; in signed bodies write a decimal string instead.

    Returns
    -------
    bytes
        UTF-8 JSON in the form of RFC 8785.

    Raises
    ------
    CanonicalError
        With the path of the first value that has no canonical form.
    """
    written = _written(value)
    if written is not None:
        return written
    _check_depth_safe(value, allow_floats=allow_floats)
    return rfc8785.dumps(value)  # type: ignore[arg-type]  # checked just above


def parse(data: bytes, *, allow_floats: bool = False) -> Any:
    """
    JSON value of UTF-8 bytes, refusing what readers may read differently.

    Parameters
    ----------
    data : bytes
        JSON text; it need not be canonical itself.
    allow_floats : bool
        Accept numbers with a fraction or an exponent.

    Returns
    -------
    object
        What `encode` accepts.

    Raises
    ------
    CanonicalError
        For bytes that are not UTF-8 JSON, a repeated key, NaN or Infinity, an
        integer beyond 2**53 - 1, a lone surrogate, or a float not asked for.
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
        raise CanonicalError(f"not JSON: {told(error)}; correct the text there") from error
    # half a surrogate pair comes by an escape alone
    if b"\\u" in data or not _plain(value):
        _check_depth_safe(value, allow_floats=allow_floats)
    return value


def parse_object(data: bytes, *, allow_floats: bool = False) -> dict[str, Any]:
    """Like `parse`, for bytes that must hold a JSON object."""
    value = parse(data, allow_floats=allow_floats)
    if not isinstance(value, dict):
        raise CanonicalError(f"expected a JSON object {{...}}, found {type(value).__name__}")
    return value


def legible(value: object) -> bytes:
    """
    JSON bytes for people: indented, keys in order; one value, one byte string, as well.

    Raises
    ------
    CanonicalError
        As `encode` does.
    """
    _check_depth_safe(value, allow_floats=False)
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def sha256(data: bytes) -> bytes:
    """SHA-256 of bytes, 32 bytes."""
    return hashlib.sha256(data).digest()


def sha256_hex(data: bytes) -> str:
    """SHA-256 of bytes, 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise CanonicalError(f"key {twice!r} stands twice in one object; keep one of them")
    return found


def _no_constant(name: str) -> NoReturn:
    raise CanonicalError(f"{name} is not a JSON number; use null or leave the key out")


def _written(value: object) -> bytes | None:
    """Canonical bytes, or None of what the slower way has to write or to refuse."""
    try:
        text = _ENCODER.encode(value)
        data = text.encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        return None
    # keys are in order of their UTF-16, which is that of characters but beyond the first 65,536
    ordered = text.isascii() or len(text.encode("utf-16-le")) == 2 * len(text)
    return data if ordered and _plain(value) else None


def _plain(value: object) -> bool:
    """
    Whether a value is made of strings, safe integers, true, false and null alone.

    It must not hold itself.  Strings are not looked into; what is nested deeply is not plain.
    """
    level: list[Any] = [value]
    for _ in range(_DEPTH):
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str or item is None or kind is bool:
                continue
            if kind is dict:
                if not all(type(key) is str for key in item):
                    return False
                inner += item.values()
            elif kind is list or kind is tuple:
                inner += item
            elif kind is not int or not -MAX_SAFE_INTEGER <= item <= MAX_SAFE_INTEGER:
                return False
        if not inner:
            return True
        level = inner
    return False


def _check_depth_safe(value: object, *, allow_floats: bool) -> None:
    try:
        _check(value, "$", allow_floats=allow_floats)
    except RecursionError as error:
        raise CanonicalError("value is nested too deeply or holds itself; flatten it") from error


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
                f"{path} is a {type(value).__name__}, which JSON does not have; "
                "write quantities as decimal strings"
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
        raise CanonicalError(f"{path} holds half a surrogate pair; it has no UTF-8 form") from error


def _check_integer(number: int, path: str) -> None:
    if abs(number) > MAX_SAFE_INTEGER:
        raise CanonicalError(
            f"{path} is an integer beyond 2**53 - 1, which JSON readers round; "
            "write it as a decimal string"
        )


def _check_float(number: float, path: str, *, allow_floats: bool) -> None:
    if not math.isfinite(number):
        raise CanonicalError(f"{path} is {number}, which JSON does not have; use null")
    if not allow_floats:
        raise CanonicalError(
            f"{path} is the float {number!r}; in signed data write a decimal string"
        )
    # JCS writes these without an exponent, so they would be read back as unsafe integers.
    if MAX_SAFE_INTEGER < abs(number) < _FIRST_WITH_EXPONENT:
        _check_integer(int(number), path)
