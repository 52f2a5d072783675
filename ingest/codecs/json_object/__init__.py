"""
Codec of JSON objects and arrays: `{"ts": ..., "id": ..., "values": {channel: number}}`.

`ts` is epoch milliseconds or RFC 3339 with an offset; `id` is the device's own message number,
optional, returned in the receipt.  A value that is not a number (such as a numeric string) is
rejected; the other values of the reading are kept.

Devices of one model always send the same names.  A decoder for exactly these names takes half the
time.  Any other message is decoded by `decode`, with the same result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from ingest.errors import PayloadError, describe_fault
from ingest.reading import JSON, Codec, Reading, Stated, timeless

_FRAME = re.compile(rb"\s*\[\s*\d+\s*,")  # a numbered frame is no message of this form
_BRACE = ord("{")
_MAX_WHOLE = 2**1023

_decoder = msgspec.json.Decoder(Reading | list[Reading])


class _Loose(msgspec.Struct):
    """Reading whose values may have any type."""

    ts: int | str
    values: dict[str, Any]
    id: int | str | None = None


_loose_decoder = msgspec.json.Decoder(_Loose | list[_Loose])


def decode(payload: bytes) -> Sequence[Reading]:
    """
    Return the readings of one payload, in order; values that are not numbers are rejected singly.

    Raises PayloadError with reason `empty_payload`, `invalid_utf8`, `malformed_json`, `not_finite`,
    `time_missing` or `wrong_shape`.
    """
    try:
        result = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _salvage(payload, _explain(payload, str(error)))
    if not payload.isascii():
        _text(payload)
    return (result,) if isinstance(result, Reading) else result


def _text(payload: bytes) -> str:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise PayloadError(
            "invalid_utf8", f"json: byte {wrong.start}: {wrong.reason}; send UTF-8"
        ) from None


def _salvage(payload: bytes, error: PayloadError) -> list[Stated]:
    """
    Return the readings without the values that are not numbers.

    Raises `error` if such values are not its cause.
    """
    if error.reason != "not_a_number":
        raise error
    try:
        result = _loose_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise error from None
    return [_numbers(record) for record in ([result] if isinstance(result, _Loose) else result)]


def _numbers(loose: _Loose) -> Stated:
    values: dict[str, float | None] = {}
    refused = []
    for name, value in loose.values.items():
        if value is None or type(value) is float:
            values[name] = value
        elif type(value) is int and abs(value) < _MAX_WHOLE:
            values[name] = float(value)
        else:
            detail = f"json: {name!r:.80} is {value!r:.40}; send numbers without quotes"
            refused.append(("not_a_number", detail))
    return Stated(loose.ts, values, loose.id, (), tuple(refused))


def _explain(payload: bytes, error: str) -> PayloadError:
    """Return the error of a payload that could not be decoded, with its reason."""
    if not payload:
        return PayloadError("empty_payload", "json: 0 bytes; send {'ts': .., 'values': {..}}")
    text = _text(payload)
    return _explain_json(text) or _explain_shape(error)


def _explain_json(text: str) -> PayloadError | None:
    def refuse(word: str) -> float:
        raise PayloadError("not_finite", f"json: {word} is not a measurement; omit the channel")

    try:
        json.loads(text, parse_constant=refuse)
    except PayloadError as found:
        return found
    except (ValueError, RecursionError) as wrong:
        return PayloadError("malformed_json", f"json: {describe_fault(wrong)}")
    return None


def _explain_shape(error: str) -> PayloadError:
    if "missing required field `ts`" in error:
        return PayloadError("time_missing", "json: no 'ts'; send the time of measurement")
    if "$.values[" in error or "].values[" in error or "$[...].values" in error:
        return PayloadError("not_a_number", f"json: {error}; send numbers without quotes")
    return PayloadError("wrong_shape", f"json: {error}; send {{'ts': .., 'values': {{..}}}}")


def _recognises(payload: bytes) -> bool:
    return b'"values"' in payload and not (payload[0] != _BRACE and _FRAME.match(payload))


CODEC = Codec(
    name="json",
    content_types=("application/json", "text/json"),
    decode=timeless(decode),
    starts=JSON,
    recognises=_recognises,
    order=2,
)


# exceptions of a decoder for a payload of another shape
DIFFERS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# maximum number of name sets, and of names in one, to limit memory
_MOST, _MOST_NAMES = 256, 64

numbers = msgspec.structs.astuple


class Shape(NamedTuple):
    """
    Names of a message's values, and the decoder for exactly these.

    `decode` returns an object with `ts`, `id` and `values`, which `numbers` turns into a tuple in
    the order of `names`.
    """

    names: tuple[str, ...]
    decode: Callable[[bytes], Any]


_shapes: dict[tuple[str, ...], Shape] = {}


def shape(names: tuple[str, ...]) -> Shape | None:
    """Return the shape of messages with these names; None if there are too many shapes already."""
    result = _shapes.get(names)
    if result is None and len(_shapes) < _MOST and 0 < len(names) <= _MOST_NAMES:
        result = _shapes[names] = Shape(names, _shaped_decoder(names).decode)
    return result


def _shaped_decoder(names: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    number = float | None
    fields = [(f"v{place}", number, msgspec.field(name=name)) for place, name in enumerate(names)]
    values = msgspec.defstruct("Values", fields, gc=False, forbid_unknown_fields=True)
    message = msgspec.defstruct(
        "Message", [("ts", int | str), ("values", values), ("id", int | str | None, None)], gc=False
    )
    return msgspec.json.Decoder(message)
