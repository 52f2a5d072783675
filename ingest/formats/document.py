"""A JSON document of a codec's own form, or the dead-letter reason why it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from ingest.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

_T = TypeVar("_T", bound=msgspec.Struct)


def messages(
    decoder: msgspec.json.Decoder[_T | list[_T]], payload: bytes, codec: str
) -> Sequence[_T]:
    """
    Messages of a payload that holds one, or an array of them.

    Raises
    ------
    PayloadError
        With reason `malformed_json`, `time_missing` or `wrong_shape`.
    """
    try:
        found = decoder.decode(payload)
    except msgspec.ValidationError as error:
        reason = "time_missing" if "required field `ts`" in str(error) else "wrong_shape"
        raise PayloadError(reason, f"{codec}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("malformed_json", f"{codec}: {error}") from None
    return found if isinstance(found, list) else [found]
