"""
Codec of batches of readings signed by a gateway or meter: COSE_Sign1, RFC 9052.

The messages inside have one of the other encodings and are decoded as if sent alone; the signed
bytes are stored for verification with the signer's key.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.codecs import (
    json_object,
    modbus_registers,
    ngsi,
    ocpp16,
    ocpp201,
    senml_cbor,
    senml_json,
    sunspec,
)
from ingest.errors import PayloadError
from ingest.formats import cose_batch
from ingest.formats.cose_batch import Batch
from ingest.reading import SIGNED_VALUE, Codec, Reading, Stated

# in the order in which they are asked otherwise; plain JSON looks like all JSON
_INSIDE: tuple[Codec, ...] = (
    senml_cbor.CODEC,
    senml_json.CODEC,
    ocpp201.CODEC,
    ocpp16.CODEC,
    sunspec.CODEC,
    modbus_registers.CODEC,
    ngsi.CODEC,
)
_BY_TYPE = {name: codec for codec in _INSIDE for name in codec.content_types}


def decode(payload: bytes, received_us: int) -> Sequence[Reading]:
    """
    Return the readings of a batch, and the signed value to store.

    Raises PayloadError with a reason of `ingest.formats.cose_batch`, or of the encoding inside.
    """
    batch = cose_batch.read(payload)
    result = readings(batch, received_us)
    kept = ((SIGNED_VALUE, batch.note(result[-1].ts)),)
    # with the last id, so that a receipt vouches for nothing beside the readings
    return (*result, Stated(result[-1].ts, {}, result[-1].id, (), kept))


def readings(batch: Batch, received_us: int) -> Sequence[Reading]:
    """
    Return the readings of a batch; at least one is required.

    Raises PayloadError with a reason of the encoding inside, `content_type_unknown` or
    `empty_payload`.
    """
    codec = _inside(batch)
    result = codec.decode(batch.messages, received_us)
    if not result:
        raise PayloadError(
            "empty_payload", f"{NAME}: the message has no reading; send at least one"
        )
    return result


def _inside(batch: Batch) -> Codec:
    data, kind = batch.messages, (batch.content_type or "").split(";", 1)[0].strip().lower()
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    if kind and kind not in json_object.CODEC.content_types:
        known = ", ".join((*json_object.CODEC.content_types, *_BY_TYPE))
        raise PayloadError(
            "content_type_unknown",
            f"{NAME}: content type {kind!r:.80} is not supported; supported: {known}",
        )
    alike = (c for c in _INSIDE if data[:1] and data[0] in c.starts and c.recognises(data))
    return next(alike, json_object.CODEC)


NAME = cose_batch.NAME
CODEC = Codec(
    name=NAME,
    content_types=("application/cose",),
    decode=decode,
    starts=cose_batch.FIRST,
    recognises=lambda _payload: True,
    order=0,
)
