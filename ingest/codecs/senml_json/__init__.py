"""Codec of SenML in JSON, RFC 8428 section 5: an array of records."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from ingest.errors import PayloadError
from ingest.formats import senml as senml_learned
from ingest.formats.ocpp import utf8
from ingest.formats.senml import Record, resolve
from ingest.reading import ARRAY, Codec, Reading


class _Known(Record, gc=False, forbid_unknown_fields=True):
    """Record with standard labels only."""


_START = re.compile(rb'\s*\[\s*\{\s*"(?:bn|bt|bu|bv|bs|bver|n|u|v|vs|vb|vd|s|t|ut)"\s*:')
# first bytes of nearly all packs, recognised without the regular expression
PACK = (b'[{"bn":', b'[{"bt":', b'[{"n":')
_known_decoder = msgspec.json.Decoder(list[_Known])
_decoder = msgspec.json.Decoder(list[Record])
_labels = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def decode(payload: bytes, received_us: int) -> Sequence[Reading]:
    """
    Return the readings of one pack, one per time.

    `received_us`: time of receipt, to which relative times refer. [us UTC]
    Raises PayloadError with reason `malformed_json`, `wrong_shape`, `label_unknown`, or one of
    `ingest.formats.senml.resolve`.
    """
    content = senml_learned.read(payload)
    if content is not None:
        return (content,)
    try:
        records: Sequence[Record] = _known_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        records = _extended(payload)
    return resolve(records, received_us)


def _extended(payload: bytes) -> Sequence[Record]:
    """Return records with labels of extensions; PayloadError if one must be understood."""
    try:
        records = _decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise PayloadError("wrong_shape", f"senml_json: {error}; see RFC 8428") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("malformed_json", f"senml_json: {error}; send valid JSON") from None
    for i, record in enumerate(_labels.decode(utf8(payload, "senml_json"))):
        # a pack with an unknown label ending in "_" must be rejected (RFC 8428, section 4.4)
        if label := next((name for name in record if name.endswith("_")), None):
            detail = f"senml_json: record {i}: label {label!r:.80} is not supported"
            raise PayloadError("label_unknown", detail)
    return records


def _recognises(payload: bytes) -> bool:
    return _START.match(payload) is not None


CODEC = Codec(
    name="senml_json",
    content_types=("application/senml+json",),
    decode=decode,
    starts=ARRAY,
    recognises=_recognises,
    order=1,
)
