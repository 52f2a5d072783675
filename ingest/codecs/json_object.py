"""
JSON objects and arrays: `{"ts": ..., "id": ..., "values": {channel: number}}`.

`ts` is epoch milliseconds or RFC 3339 with an offset; `id` is the device's own
message number, optional, echoed in the receipt.  Numbers only: a string that
looks like one is refused, since nobody knows what its sender meant.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from ingest.errors import PayloadError
from ingest.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTENT_TYPES = ("application/json", "text/json")

_decoder = msgspec.json.Decoder(Reading | list[Reading])


def decode(payload: bytes) -> Sequence[Reading]:
    """
    Readings of one payload, in its order.

    Raises
    ------
    PayloadError
        With reason `empty_payload`, `invalid_utf8`, `malformed_json`,
        `not_finite`, `not_a_number`, `time_missing` or `wrong_shape`.
    """
    try:
        found = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _explain(payload, str(error)) from None
    return (found,) if isinstance(found, Reading) else found


def _explain(payload: bytes, error: str) -> PayloadError:
    """Find the reason that helps the technician, off the hot path."""
    if not payload:
        return PayloadError("empty_payload", "0 bytes; send {'ts': .., 'values': {..}}")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return PayloadError("invalid_utf8", f"byte {wrong.start}: {wrong.reason}; send UTF-8")
    return _explain_json(text) or _explain_shape(error)


def _explain_json(text: str) -> PayloadError | None:
    def refuse(word: str) -> float:
        raise PayloadError("not_finite", f"{word} is no measurement; leave the channel out")

    try:
        json.loads(text, parse_constant=refuse)
    except PayloadError as found:
        return found
    except (ValueError, RecursionError) as wrong:
        return PayloadError("malformed_json", f"{wrong}")
    return None


def _explain_shape(error: str) -> PayloadError:
    if "missing required field `ts`" in error:
        return PayloadError("time_missing", "no 'ts'; send the device's own time of measurement")
    if "$.values[" in error or "].values[" in error or "$[...].values" in error:
        return PayloadError("not_a_number", f"{error}; send numbers without quotes")
    return PayloadError("wrong_shape", f"{error}; send {{'ts': .., 'values': {{..}}}}")
