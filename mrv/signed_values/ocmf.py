"""
OCMF: signed meter values as charging stations create them.

    OCMF|payload|{"SD": signature, "SA": algorithm}

The signed bytes are those of the payload as received, so it is never written again.  Source: Open
Charge Metering Format, revision 1.2, S.A.F.E. e.V.; "section" below is its chapter "Payload Data
Section".  An omitted field of a reading has the value of the previous reading; a reading without RV
is an event without a value.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

from mrv.errors import SignedValueError

HEADER = "OCMF|"
DEFAULT_ALGORITHM = "ECDSA-secp256r1-SHA256"
GOOD = "G"
# table 19: reliability of the meter's clock
TIMES = {
    "U": "not synchronised",
    "I": "informative, from an unchecked clock",
    "S": "synchronised",
    "R": "relative, based on an informative clock",
}
# table 10: state of the meter
STATES = {
    "N": "meter not present", "G": "good", "T": "timeout", "D": "disconnected",
    "R": "meter removed", "M": "manipulation detected", "X": "meter exchanged",
    "I": "incompatible", "O": "out of range", "S": "substitute value", "E": "other error",
    "F": "register not read correctly",
}  # fmt: skip
_LONGEST = 1_000_000
_VERSION = re.compile(r"1\.[0-9]{1,4}(\.[0-9]{1,4})?")
_PAGE = re.compile(r"([TF])([0-9]{1,18})")
# some manufacturers write a colon in the offset, although the format has none
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[,.](\d{1,6}))?(Z|[+-]\d\d:?\d\d) ([UISR])", re.ASCII
)
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")
_WH = {"Wh": 1, "kWh": 1_000}


@dataclass(frozen=True, slots=True)
class Reading:
    """
    One reading of a record.

    `time`: time with the meter's offset.
    `clock`: `U`, `I`, `S` or `R`: reliability of the time, see `TIMES`.
    `reason`: `B` begin, `E` end, and others (table 7); None without a transaction.
    `value`: value as written by the meter, in `unit`; None for an event.
    `obis`: register code (IEC 62056-6-1).
    `unit`: like `kWh`.
    `errors`: `E`: energy not usable; `t`: time not usable.
    `status`: the meter's state, `G` for good; see `STATES`.
    """

    time: datetime
    clock: str
    reason: str | None
    value: Decimal | None
    obis: str | None
    unit: str | None
    errors: str
    status: str

    @property
    def energy_wh(self) -> Decimal | None:
        """Return the value in watt-hours, exact; None where it is not an energy. [Wh]"""
        factor = _WH.get(self.unit or "")
        return None if factor is None or self.value is None else self.value * factor

    @property
    def usable(self) -> bool:
        """Return whether the meter marks the value as valid."""
        return self.value is not None and self.status == GOOD and "E" not in self.errors


@dataclass(frozen=True, slots=True)
class Record:
    """
    One record: readings signed together by a meter.

    `version`: version of the format.
    `gateway`, `meter`: serial numbers; at least one is there.
    `page`: `T` (transaction) or `F` (fiscal) and a number; a meter gives each once.
    `readings`: readings in order.
    `algorithm`: like `ECDSA-secp256r1-SHA256`.
    `signature`: the signature, in DER.
    `signed`: the signed bytes.
    """

    version: str
    gateway: str | None
    meter: str | None
    page: str
    readings: tuple[Reading, ...]
    algorithm: str
    signature: bytes
    signed: bytes

    @property
    def name(self) -> str:
        """Return meter and gateway by their serial numbers, as a text."""
        result = [self.meter and f"meter {self.meter}", self.gateway and f"gateway {self.gateway}"]
        return " behind ".join(filter(None, result))


def is_ocmf(text: str) -> bool:
    """Return whether a text begins as a record does."""
    return text.lstrip().startswith(HEADER)


def read(text: str) -> Record:
    """
    Return the record from its text; nothing is verified.

    Raises SignedValueError if it is incomplete, or a field has another format.
    """
    text = text.strip()
    if not text.startswith(HEADER) or len(text) > _LONGEST:
        _refuse(f"{text[:24]!r} does not begin with {HEADER}, or is larger than 1 MB")
    payload, end = _object(text, len(HEADER))
    if text[end : end + 1] != "|":
        _refuse("the payload is not followed by | and the signature")
    signature, last = _object(text, end + 1)
    if text[last:].strip():
        _refuse(f"unexpected text {text[last : last + 24]!r} after the signature")
    version = _text(payload, "FV")
    if version is None or not _VERSION.fullmatch(version):
        _refuse(f"FV {version!r} is not a version 1 of the format")
    page = _text(payload, "PG")
    if page is None or not _PAGE.fullmatch(page):
        _refuse(f"PG {page!r} is not a page, such as T12 or F3")
    gateway, meter = _text(payload, "GS"), _text(payload, "MS")
    if gateway is None and meter is None:
        _refuse("neither GS nor MS names the meter of the value")
    return Record(
        version=version,
        gateway=gateway,
        meter=meter,
        page=page,
        readings=_readings(payload.get("RD")),
        algorithm=_text(signature, "SA") or DEFAULT_ALGORITHM,
        signature=_signature(signature),
        signed=text[len(HEADER) : end].encode(),
    )


def _object(text: str, begin: int) -> tuple[dict[str, Any], int]:
    """Return a JSON object that begins at `begin`, with numbers as written, and its end."""
    start = begin + len(text[begin:]) - len(text[begin:].lstrip())
    try:
        result, end = _JSON.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        _refuse(f"its JSON cannot be read: {error}")
    if not isinstance(result, dict):
        _refuse("payload and signature must be JSON objects")
    return result, end + len(text[end:]) - len(text[end:].lstrip())


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        _refuse("a key of its JSON appears twice")
    return result


# numbers are read as text, which keeps the resolution of 2935.60
_JSON = json.JSONDecoder(
    object_pairs_hook=_once, parse_float=str, parse_int=str, parse_constant=str
)


def _readings(result: Any) -> tuple[Reading, ...]:
    if not isinstance(result, list) or not result:
        _refuse("RD is not a list of readings")
    done: list[Reading] = []
    stored: dict[str, Any] = {}
    for item in result:
        if not isinstance(item, dict):
            _refuse("a reading is not a JSON object")
        stored = stored | {"RV": None} | item
        done.append(_reading(stored))
    return tuple(done)


def _reading(row: dict[str, Any]) -> Reading:
    time, clock = _time(_text(row, "TM") or "")
    status = _text(row, "ST")
    if status not in STATES:
        _refuse(f"ST {status!r} is not a state of a meter")
    number = row.get("RV")
    if number is not None and not (isinstance(number, str) and _NUMBER.fullmatch(number.strip())):
        _refuse(f"RV {str(number)[:24]!r} is not a number")
    value = None if number is None else Decimal(number.strip())
    unit = _text(row, "RU")
    if value is not None and unit is None:
        _refuse(f"value {value} has no unit")
    errors = _text(row, "EF") or ""
    return Reading(time, clock, _text(row, "TX"), value, _text(row, "RI"), unit, errors, status)


def _time(text: str) -> tuple[datetime, str]:
    match = _TIME.fullmatch(text)
    if match is None:
        _refuse(f"TM {text[:40]!r} is not a time with offset and synchronisation")
    moment, part, offset, clock = match.groups()
    try:
        return datetime.fromisoformat(f"{moment}.{(part or '0').ljust(6, '0')}{offset}"), clock
    except ValueError as error:
        _refuse(f"TM {text!r}: {error}")


def _signature(section: dict[str, Any]) -> bytes:
    text = "".join((_text(section, "SD") or "").split())
    encoding = _text(section, "SE") or "hex"
    try:
        if encoding == "hex":
            result = bytes.fromhex(text)
        elif encoding == "base64":
            result = b64decode(text, validate=True)
        else:
            _refuse(f"SE {encoding!r} is neither hex nor base64")
    except (ValueError, binascii.Error) as error:
        _refuse(f"SD is not {encoding}: {error}")
    if not result:
        _refuse("SD, the signature, is missing")
    return result


def _text(row: dict[str, Any], key: str) -> str | None:
    result = row.get(key)
    if result is not None and not isinstance(result, str):
        _refuse(f"{key} is not text")
    return (result or "").strip() or None


def _refuse(what: str) -> NoReturn:
    raise SignedValueError(f"not a whole OCMF record: {what}; obtain it again from its station")
