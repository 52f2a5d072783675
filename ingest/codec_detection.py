"""
Which codec reads a payload: its MQTT 5 content type where given, else its first bytes.

A content type that names one encoding binds: what it says is what the payload
must be.  Plain JSON's own types leave open which JSON, as no type at all does,
and then the payload's beginning tells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from ingest.reading import Reading

Decode = Callable[[bytes, int], Sequence[Reading]]


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoding: its name in metrics, its content types, and how to read it."""

    name: str
    content_types: tuple[str, ...]
    decode: Decode


def _timeless(decode: Callable[[bytes], Sequence[Reading]]) -> Decode:
    """Most encodings carry absolute times, and do not ask when they were received."""
    return lambda payload, _received_us: decode(payload)


JSON = Codec("json", json_object.CONTENT_TYPES, _timeless(json_object.decode))
SENML_JSON = Codec("senml_json", senml_json.CONTENT_TYPES, senml_json.decode)
SENML_CBOR = Codec("senml_cbor", senml_cbor.CONTENT_TYPES, senml_cbor.decode)
OCPP16 = Codec("ocpp16", ocpp16.CONTENT_TYPES, _timeless(ocpp16.decode))
OCPP201 = Codec("ocpp201", ocpp201.CONTENT_TYPES, _timeless(ocpp201.decode))
SUNSPEC = Codec("sunspec", sunspec.CONTENT_TYPES, _timeless(sunspec.decode))
MODBUS = Codec("modbus", modbus_registers.CONTENT_TYPES, _timeless(modbus_registers.decode))
NGSI = Codec("ngsi", ngsi.CONTENT_TYPES, _timeless(ngsi.decode))
CODECS = (JSON, SENML_JSON, SENML_CBOR, OCPP16, OCPP201, SUNSPEC, MODBUS, NGSI)
UNREAD = "unread"

_BY_TYPE = {name: codec for codec in CODECS for name in codec.content_types}
_SENML = re.compile(rb'\s*\[\s*\{\s*"(?:bn|bt|bu|bv|bs|bver|n|u|v|vs|vb|vd|s|t|ut)"\s*:')
# how most packs begin, told without the pattern
PACK = (b'[{"bn":', b'[{"bt":', b'[{"n":')
_METER = re.compile(rb'"(?:meterValue|meterStart|meterStop)"\s*:')
_NEWER = re.compile(
    rb'"(?:evseId|unitOfMeasure|transactionInfo|triggerReason|signedMeterValue|TransactionEvent)"'
)
_CALL = re.compile(rb"\s*\[\s*\d+\s*,")
_CBOR_ARRAY = range(0x80, 0xA0)
_ENTITY = re.compile(rb'"(?:dateObserved(?:To)?|observationDateTime|TimeInstant)"\s*:')


def find(payload: bytes, content_type: str | None) -> Codec:
    """
    Return the codec of a payload.

    Parameters
    ----------
    payload : bytes
    content_type : str, optional
        The MQTT 5 property; parameters such as a character set are passed over.

    Raises
    ------
    PayloadError
        `content_type_unknown`.
    """
    if not content_type:
        return by_first_bytes(payload)
    codec = _BY_TYPE.get(content_type.split(";", 1)[0].strip().lower())
    if codec is None:
        known = ", ".join(_BY_TYPE)
        raise PayloadError("content_type_unknown", f"{content_type!r:.80}; known: {known}")
    return by_first_bytes(payload) if codec is JSON else codec


def by_first_bytes(payload: bytes) -> Codec:
    """Return the codec that a payload looks like; plain JSON where it looks like nothing else."""
    first = payload[:1]
    if first == b"{":
        return _object(payload)
    if first == b"[" or first.isspace():
        if _SENML.match(payload):
            return SENML_JSON
        return _ocpp(payload) if _CALL.match(payload) else _object(payload)
    return SENML_CBOR if payload and payload[0] in _CBOR_ARRAY else JSON


def _object(payload: bytes) -> Codec:
    if b'"values"' in payload:
        return JSON
    if _METER.search(payload):
        return _ocpp(payload)
    if b'"sunspec"' in payload:
        return SUNSPEC
    if b'"blocks"' in payload:
        return MODBUS
    return NGSI if _ENTITY.search(payload) else JSON


def _ocpp(payload: bytes) -> Codec:
    return OCPP201 if _NEWER.search(payload) else OCPP16
