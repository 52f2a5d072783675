"""
NGSI entities in JSON, as FIWARE's context brokers publish them.

Key-values, NGSI-v2 and NGSI-LD normalized, alone, in an array or as `data` of a
notification.  The time is the end of the observation: `dateObservedTo`, the end
of an interval in `dateObserved`, `observationDateTime` or `TimeInstant`.
Attributes that are numbers are channels; text and structure describe the
entity and are passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ingest.errors import PayloadError
from ingest.reading import Stated

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTENT_TYPES = ("application/ld+json", "application/ngsi+json")
_CODEC = "ngsi"
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
    Readings of one payload, one an entity.

    Raises
    ------
    PayloadError
        With reason `malformed_json`, `wrong_shape` or `time_missing`.
    """
    try:
        found = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("malformed_json", f"{_CODEC}: {error}") from None
    if isinstance(found, dict) and isinstance(found.get("data"), list):
        found = found["data"]
    entities = found if isinstance(found, list) else [found]
    return [_reading(i, entity) for i, entity in enumerate(entities)]


def _reading(i: int, entity: Any) -> Stated:
    if not isinstance(entity, dict) or not isinstance(entity.get("type"), str):
        raise PayloadError("wrong_shape", f"{_CODEC}: entity {i} is no object with a type")
    values: dict[str, float | None] = {}
    units: list[str | None] = []
    for name, attribute in entity.items():
        value, unit = _attribute(attribute)
        if value is not None:
            values[name] = value
            units.append(unit)
    return Stated(_time(i, entity), values, None, tuple(units))


def _attribute(attribute: Any) -> tuple[float | None, str | None]:
    """Value and unit of an attribute; None where it is no number."""
    if not isinstance(attribute, dict):
        return _number(attribute), None
    code = attribute.get("unitCode")
    if code is None and isinstance(attribute.get("metadata"), dict):
        code = _plain(attribute["metadata"].get("unitCode"))
    unit = _UNITS.get(code, code) if isinstance(code, str) else None
    return _number(attribute.get("value")), unit


def _number(value: Any) -> float | None:
    if type(value) is int:
        return float(value) if abs(value) < _MAX_WHOLE else None
    return value if type(value) is float else None


def _plain(attribute: Any) -> Any:
    """Return what an attribute says, whichever form it has."""
    for key in ("value", "@value"):
        if isinstance(attribute, dict) and key in attribute:
            attribute = attribute[key]
    return attribute


def _time(i: int, entity: dict[str, Any]) -> str:
    for name in _TIMES:
        text = _plain(entity.get(name))
        if isinstance(text, str) and text:
            return text.rsplit("/", 1)[-1]
    raise PayloadError("time_missing", f"{_CODEC}: entity {i} has none of {', '.join(_TIMES)}")
