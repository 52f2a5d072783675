"""
Codec of NGSI entities in JSON, as published by FIWARE's context brokers.

Key-values, NGSI-v2 and NGSI-LD normalized, alone, in an array or as `data` of a notification.  The
time is the end of the observation: `dateObservedTo`, the end of an interval in `dateObserved`,
`observationDateTime` or `TimeInstant`; else `observedAt` of each attribute.  Numeric attributes are
channels; text and structures are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from ingest.errors import PayloadError
from ingest.reading import JSON, Codec, Stated, timeless

_CODEC = "ngsi"
_ENTITY = re.compile(rb'"(?:dateObserved(?:To)?|observationDateTime|TimeInstant)"\s*:')
_MAX_WHOLE = 2**1023
_TIMES = ("dateObservedTo", "dateObserved", "observationDateTime", "TimeInstant")
# UN/CEFACT Recommendation 20 codes, which NGSI uses as unit codes
_UNITS = {
    "GQ": "ug/m3", "GP": "mg/m3", "CEL": "Cel", "KEL": "K", "P1": "%", "2N": "dB", "MTS": "m/s",
    "KMH": "km/h", "KMT": "km", "MTR": "m", "WHR": "Wh", "KWH": "kWh", "MWH": "MWh",
    "WTT": "W", "KWT": "kW", "MAW": "MW", "VLT": "V", "AMP": "A", "HTZ": "Hz", "MTQ": "m3",
    "LTR": "L", "M1": "mg/L", "C62": "1", "D54": "W/m2",
}  # fmt: skip


def decode(payload: bytes) -> Sequence[Stated]:
    """
    Return the readings of one payload, one per entity.

    Raises PayloadError with reason `malformed_json`, `wrong_shape` or `time_missing`.
    """
    try:
        result = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("malformed_json", f"{_CODEC}: {error}; send valid JSON") from None
    if isinstance(result, dict) and isinstance(result.get("data"), list):
        result = result["data"]
    entities = result if isinstance(result, list) else [result]
    return [reading for i, entity in enumerate(entities) for reading in _readings(i, entity)]


class _Attribute(NamedTuple):
    """Attribute of an entity: its number (None without one), unit and time."""

    name: str
    value: float | None
    unit: str | None = None
    at: str | None = None


def _readings(i: int, entity: Any) -> Iterator[Stated]:
    """Yield the entity's reading, or one per time if only its attributes have times."""
    if not isinstance(entity, dict) or not isinstance(entity.get("type"), str):
        raise PayloadError(
            "wrong_shape",
            f"{_CODEC}: entity {i} is not an object with a type; send NGSI-v2 or NGSI-LD",
        )
    whole = _time(entity)
    attributes = [_attribute(name, attribute) for name, attribute in entity.items()]
    refused: list[tuple[str, str]] = []
    times: dict[str, list[_Attribute]] = {} if whole is None else {whole: []}
    for item in attributes:
        at = item.at if whole is None else whole
        if item.value is None:
            continue
        if at is None:
            refused.append(("time_missing", f"{_CODEC}: {item.name} has no observedAt"))
        else:
            times.setdefault(at, []).append(item)
    if not times:
        raise PayloadError(
            "time_missing",
            (
                f"{_CODEC}: entity {i} has no time; send one of {', '.join(_TIMES)}, or "
                "observedAt in its attributes"
            ),
        )
    for at, measured in times.items():
        yield Stated(
            at,
            {attribute.name: attribute.value for attribute in measured},
            None,
            tuple(attribute.unit for attribute in measured),
            tuple(refused),
        )
        refused = []


def _attribute(name: str, attribute: Any) -> _Attribute:
    if isinstance(attribute, list):
        attribute = _instance(attribute)
    if not isinstance(attribute, dict):
        return _Attribute(name, _number(attribute))
    code = attribute.get("unitCode")
    if code is None and isinstance(attribute.get("metadata"), dict):
        code = _plain(attribute["metadata"].get("unitCode"))
    # an unknown code is kept: it is not assumed to be the profile's unit
    unit = None if code is None else _UNITS.get(str(code), str(code))
    value, at = attribute.get("value"), attribute.get("observedAt")
    return _Attribute(name, _number(value), unit, at if isinstance(at, str) else None)


def _instance(attributes: list[Any]) -> Any:
    """Return the default instance of an attribute: the one without `datasetId`."""
    plain = [
        attribute
        for attribute in attributes
        if isinstance(attribute, dict) and "datasetId" not in attribute
    ]
    return plain[0] if len(plain) == 1 else None


def _number(value: Any) -> float | None:
    if type(value) is int:
        return float(value) if abs(value) < _MAX_WHOLE else None
    return value if type(value) is float else None


def _plain(attribute: Any) -> Any:
    for key in ("value", "@value"):
        if isinstance(attribute, dict) and key in attribute:
            attribute = attribute[key]
    return attribute


def _time(entity: dict[str, Any]) -> str | None:
    for name in _TIMES:
        text = _plain(entity.get(name))
        if isinstance(text, str) and text:
            return text.rsplit("/", 1)[-1]
    return None


def _recognises(payload: bytes) -> bool:
    return _ENTITY.search(payload) is not None


CODEC = Codec(
    name=_CODEC,
    content_types=("application/ld+json", "application/ngsi+json"),
    decode=timeless(decode),
    starts=JSON,
    recognises=_recognises,
    order=7,
)
