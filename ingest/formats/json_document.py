"""A JSON document in the form of a codec, or the dead-letter reason why it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ingest.errors import PayloadError

_T = TypeVar("_T", bound=msgspec.Struct)


def utf8(payload: bytes, codec: str) -> bytes:
    """
    Return the payload, after a check that all of it is UTF-8.

    Raises
    ------
    PayloadError
        With reason `invalid_utf8` and the place.
    """
    if not payload.isascii():
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError as wrong:
            detail = f"{codec}: byte {wrong.start}: {wrong.reason}; send UTF-8"
            raise PayloadError("invalid_utf8", detail) from None
    return payload


def messages(
    decoder: msgspec.json.Decoder[_T | list[_T]], payload: bytes, codec: str
) -> Sequence[_T]:
    """
    Return the messages of a payload: a single one, or an array.

    Raises
    ------
    PayloadError
        With reason `malformed_json`, `invalid_utf8`, `time_missing` or `wrong_shape`.
    """
    try:
        found = decoder.decode(utf8(payload, codec))
    except msgspec.ValidationError as error:
        reason = "time_missing" if "required field `ts`" in str(error) else "wrong_shape"
        raise PayloadError(reason, f"{codec}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("malformed_json", f"{codec}: {error}") from None
    return found if isinstance(found, list) else [found]
