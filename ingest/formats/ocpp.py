"""
OCPP meter values to readings: the common part of versions 1.6 and 2.0.1.

A sample without a measurand is the import register in Wh; one without a location is at the outlet.
Of several samples of a measurand at one time, the clock-aligned one is used.  A channel's name is
the measurand, followed by `/phase` and `@location` unless it is the sum of the phases at the
outlet.  The state of charge has no location.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from ingest.errors import PayloadError
from ingest.reading import SIGNED_VALUE, Stated, time_us, wire_time

_T = TypeVar("_T", bound=msgspec.Struct)


def utf8(payload: bytes, codec: str) -> bytes:
    """
    Return the payload unchanged, if all of it is UTF-8.

    Raises PayloadError with reason `invalid_utf8` and the position.
    """
    if not payload.isascii():
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError as wrong:
            detail = f"{codec}: byte {wrong.start}: {wrong.reason}; send UTF-8"
            raise PayloadError("invalid_utf8", detail) from None
    return payload


def messages(
    decoder: msgspec.json.Decoder[_T | list[_T]], payload: bytes, codec: str
) -> Sequence[_T]:
    """
    Return the messages of a payload: a single one, or an array.

    Raises PayloadError with reason `malformed_json`, `invalid_utf8`, `time_missing` or
    `wrong_shape`.
    """
    try:
        result = decoder.decode(utf8(payload, codec))
    except msgspec.ValidationError as error:
        reason = "time_missing" if "required field `ts`" in str(error) else "wrong_shape"
        raise PayloadError(reason, f"{codec}: {error}; correct that field") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("malformed_json", f"{codec}: {error}; send valid JSON") from None
    return result if isinstance(result, list) else [result]


_CALL = re.compile(rb"\s*\[\s*\d+\s*,")
_METER = re.compile(rb'"(?:meterValue|meterStart|meterStop)"\s*:')
_BRACE = ord("{")
CALL = 2
METER_VALUES = "MeterValues"
MEASURAND = "Energy.Active.Import.Register"
_OUTLET = "Outlet"
_UNITS = {"Percent": "%", "Celsius": "Cel", "Celcius": "Cel", "Fahrenheit": "degF"}
_PREFERRED = ("Sample.Clock", "Sample.Periodic", "Transaction.End", "Transaction.Begin")
# context of the register in a transaction call itself, in whole Wh; samples have precedence
EDGE = "transaction"
_THOUSANDS = {"kWh": 1_000, "kW": 1_000}


def is_call(payload: bytes) -> bool:
    """Return whether a payload looks like a call frame, or like its body with meter values."""
    if b'"meter' in payload and _METER.search(payload):
        return True
    return payload[0] != _BRACE and _CALL.match(payload) is not None


class Sample(msgspec.Struct, gc=False, frozen=True):
    """One sampled value of OCPP 1.6 or 2.0.1."""

    value: float
    unit: str | None
    measurand: str | None
    context: str | None
    phase: str | None
    location: str | None

    @property
    def channel(self) -> str:
        """Return the name of the channel of this sample."""
        return channel(self.measurand, self.phase, self.location)

    @property
    def wire_unit(self) -> str | None:
        """
        Return the sample's unit in tonne's form; energy without a unit is in Wh, other quantities
        have that of the profile.
        """
        if self.unit is not None:
            return _UNITS.get(self.unit, self.unit)
        return "Wh" if (self.measurand or MEASURAND).startswith("Energy.Active.") else None

    def same_amount(self, other: Sample) -> bool:
        """Return whether both samples state the same amount, possibly one in Wh and one in kWh."""
        mine, others = (s.value * _THOUSANDS.get(s.wire_unit or "", 1) for s in (self, other))
        units = {(s.wire_unit or "").removeprefix("k") for s in (self, other)}
        return len(units) == 1 and math.isclose(mine, others, rel_tol=1e-12)

    @property
    def rank(self) -> int:
        """Return the rank of a sample; lower is preferred."""
        context = self.context or "Sample.Periodic"
        if context == EDGE:
            return len(_PREFERRED) + 1
        return _PREFERRED.index(context) if context in _PREFERRED else len(_PREFERRED)


class Signed(msgspec.Struct, gc=False, frozen=True):
    """A sample signed by its meter, stored unchanged whether or not its number is usable."""

    channel: str
    context: str | None
    data: str
    method: str = ""
    encoding: str = ""
    public_key: str = ""

    def note(self, timestamp: str) -> tuple[str, str]:
        """Return the reason and text by which the signed value is stored with its reading."""
        fields = msgspec.structs.asdict(self) | {"ts": timestamp}
        return SIGNED_VALUE, msgspec.json.encode(fields).decode()


# a time as the charger wrote it, and its samples
Moment = tuple[str, "Iterable[Sample | Signed | PayloadError]"]


def channel(measurand: str | None, phase: str | None, location: str | None) -> str:
    """Return the name of the channel of a sample."""
    measurand = measurand or MEASURAND
    name = measurand if phase is None else f"{measurand}/{phase}"
    elsewhere = location not in (None, _OUTLET) and measurand != "SoC"
    return f"{name}@{location}" if elsewhere else name


def unwrap(
    payload: bytes, codec: str, actions: Sequence[str]
) -> tuple[str | None, str | None, msgspec.Raw]:
    """
    Return message id, action and body of a call frame; a bare body has neither id nor action.

    Raises PayloadError: `malformed_json`, `invalid_utf8`, `wrong_shape`, or `ocpp_action` for
    another call.
    """
    utf8(payload, codec)
    try:
        if payload.lstrip()[:1] != b"[":
            return None, None, msgspec.Raw(payload)
        frame = msgspec.json.decode(payload, type=list[msgspec.Raw])
        kind, message, action = (msgspec.json.decode(part) for part in frame[:3])
        body = frame[3]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("malformed_json", f"{codec}: {error}; send valid JSON") from None
    except (IndexError, ValueError):
        raise PayloadError(
            "wrong_shape",
            f'{codec}: the message is not a call; send [2, "id", "{METER_VALUES}", {{..}}]',
        ) from None
    if kind != CALL or not isinstance(message, str):
        raise PayloadError(
            "wrong_shape",
            f'{codec}: frame {kind!r:.20} is not a call with an id; send calls, [2, "id", ..]',
        )
    if action not in actions:
        known = ", ".join(actions)
        raise PayloadError(
            "ocpp_action",
            f"{codec}: {action!r:.60} has no readings; send one of the messages with readings: "
            f"{known}",
        )
    return message, str(action), body


def body(raw: msgspec.Raw, kind: type[Any], codec: str) -> Any:
    """
    Return a body as the type of its version.

    Raises PayloadError: `malformed_json`, `wrong_shape` or `time_missing`.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        reason = "time_missing" if "required field `timestamp`" in str(error) else "wrong_shape"
        raise PayloadError(reason, f"{codec}: {error}; correct that field") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("malformed_json", f"{codec}: {error}; send valid JSON") from None


def readings(values: Iterable[Moment], message: str | None) -> Sequence[Stated]:
    """
    Return one reading per time, with the preferred sample of each channel.

    `values`: times with their samples; an unreadable sample is replaced by its error, a sample that
    its meter signed by the signed value.
    `message`: id of the call.
    Raises PayloadError: `time_invalid`.
    """
    times: dict[int, tuple[dict[str, list[Sample]], list[tuple[str, str]]]] = {}
    for timestamp, samples in values:
        chosen, refused = times.setdefault(time_us(timestamp), ({}, []))
        for sample in samples:
            if isinstance(sample, PayloadError):
                refused.append((sample.reason, sample.detail))
            elif isinstance(sample, Signed):
                refused.append(sample.note(timestamp))
            else:
                _choose(chosen, sample)
    return [_stated(us, *samples_of, message) for us, samples_of in times.items()]


def _stated(
    us: int, chosen: dict[str, list[Sample]], refused: list[tuple[str, str]], message: str | None
) -> Stated:
    """Return the reading of a time, without channels that have two different preferred samples."""
    agreed = {}
    for name, samples in chosen.items():
        if all(sample.same_amount(samples[0]) for sample in samples):
            agreed[name] = samples[0]
        else:
            names_of_two = " and ".join(
                f"{s.value} {s.wire_unit or ''}".strip() for s in samples[:2]
            )
            refused.append(
                ("channel_twice", f"{name} is {names_of_two} at one time; neither is used")
            )
    units = tuple(sample.wire_unit for sample in agreed.values())
    values: dict[str, float | None] = {name: sample.value for name, sample in agreed.items()}
    return Stated(wire_time(us), values, message, units, tuple(refused))


def _choose(chosen: dict[str, list[Sample]], sample: Sample) -> None:
    """Add a sample if it has the best rank of its channel so far, and drop those of lower rank."""
    before = chosen.setdefault(sample.channel, [])
    if before and sample.rank < before[0].rank:
        before.clear()
    if not before or sample.rank == before[0].rank:
        before.append(sample)


def finite(value: float, channel: str, codec: str) -> float:
    """Return a finite value unchanged. Raises PayloadError: `not_finite`."""
    if math.isfinite(value):
        return value
    raise PayloadError(
        "not_finite", f"{codec}: {channel} is {value}; send a finite number, or omit the sample"
    )
