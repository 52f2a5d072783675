"""
JSON objects and arrays: `{"ts": ..., "id": ..., "values": {channel: number}}`.

`ts` is epoch milliseconds or RFC 3339 with an offset; `id` is the device's own
message number, optional, echoed in the receipt.  Numbers only: a string that
looks like one is refused, since nobody knows what its sender meant.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from ingest.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTENT_TYPES = ("application/json", "text/json")
_MAX_MS = 10**14


class Reading(msgspec.Struct, gc=False):
    """One reading as it stands in a payload."""

    ts: int | str
    values: dict[str, float | None]
    id: int | str | None = None


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


def time_us(ts: int | str) -> int:
    """
    Microseconds UTC of a payload's time.

    Raises
    ------
    PayloadError
        With reason `time_invalid` where it is no time or names no offset.
    """
    if type(ts) is int:
        if -_MAX_MS < ts < _MAX_MS:
            return ts * 1000
        raise PayloadError("time_invalid", f"ts {ts} is no epoch milliseconds")
    try:
        moment = datetime.fromisoformat(str(ts))
    except ValueError:
        raise PayloadError(
            "time_invalid", f"ts {ts!r:.80} is neither epoch ms nor RFC 3339"
        ) from None
    if moment.tzinfo is None:
        raise PayloadError("time_invalid", f"ts {ts!r} names no offset; add Z or +07:00")
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + moment.microsecond
