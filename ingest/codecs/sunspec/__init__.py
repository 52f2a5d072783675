"""
Codec of SunSpec blocks in JSON: `{"ts": .., "sunspec": {"hex": ".."}}`.

The registers begin at "SunS" or at a model's id; `base64` or `registers` (integers) can replace
`hex`.  `byte_order` and `word_order` are `big` unless swapped by the gateway.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ingest.errors import PayloadError
from ingest.formats import sunspec
from ingest.formats.ocpp import messages
from ingest.formats.sunspec import Order, Words, unpack
from ingest.reading import JSON, Codec, Stated, timeless

_CODEC = "sunspec"


class _Message(msgspec.Struct):
    ts: int | str
    sunspec: Words
    id: int | str | None = None
    byte_order: Order = "big"
    word_order: Order = "big"


_decoder = msgspec.json.Decoder(_Message | list[_Message])


def decode(payload: bytes) -> Sequence[Stated]:
    """
    Return the readings of one payload, in order.

    Raises PayloadError with reason `malformed_json`, `time_missing`, `wrong_shape` or
    `registers_invalid`.
    """
    return [_reading(message) for message in messages(_decoder, payload, _CODEC)]


def _reading(message: _Message) -> Stated:
    data = unpack(message.sunspec, message.byte_order, _CODEC)
    points = list(sunspec.read(data, message.word_order, _CODEC))
    values = [p for p in points if isinstance(p, sunspec.Value)]
    return Stated(
        message.ts,
        {v.name: v.value for v in values},
        message.id,
        tuple(v.unit for v in values),
        tuple((p.reason, p.detail) for p in points if isinstance(p, PayloadError)),
    )


def _recognises(payload: bytes) -> bool:
    return b'"sunspec"' in payload


CODEC = Codec(
    name=_CODEC,
    content_types=("application/vnd.tonne.sunspec+json",),
    decode=timeless(decode),
    starts=JSON,
    recognises=_recognises,
    order=5,
)
