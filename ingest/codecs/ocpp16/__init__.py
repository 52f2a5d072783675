"""
Codec of OCPP 1.6 in JSON: MeterValues, StartTransaction and StopTransaction.

Call frames, or their bodies alone.  Values are strings; the register at a transaction's start and
stop is an integer in Wh.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from ingest.errors import PayloadError
from ingest.formats import ocpp
from ingest.reading import JSON, Codec, Stated, timeless

_NUMBER = re.compile(r"^\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?\s*$", re.ASCII)
_LONGEST = 64
_MAX_WHOLE = 2**63
_ACTIONS = (ocpp.METER_VALUES, "StartTransaction", "StopTransaction")
_CODEC = "ocpp16"


class _Sampled(msgspec.Struct, gc=False):
    value: str
    context: str | None = None
    format: str | None = None
    measurand: str | None = None
    phase: str | None = None
    location: str | None = None
    unit: str | None = None


class _MeterValue(msgspec.Struct):
    timestamp: str
    sampledValue: list[_Sampled]  # noqa: N815 (OCPP's own name)


class _Body(msgspec.Struct):
    """Parts of the three calls that contain readings."""

    meterValue: list[_MeterValue] | None = None  # noqa: N815 (OCPP's own name)
    transactionData: list[_MeterValue] | None = None  # noqa: N815 (OCPP's own name)
    meterStart: int | None = None  # noqa: N815 (OCPP's own name)
    meterStop: int | None = None  # noqa: N815 (OCPP's own name)
    timestamp: str | None = None


def decode(payload: bytes) -> Sequence[Stated]:
    """
    Return the readings of one call, one per time.

    Signed samples are stored as evidence, without a number.  Values that are not numbers are
    rejected singly.

    Raises PayloadError with a reason of `ingest.formats.ocpp`.
    """
    message, action, raw = ocpp.unwrap(payload, _CODEC, _ACTIONS)
    body: _Body = ocpp.body(raw, _Body, _CODEC)
    return ocpp.readings(_moments(body, action), message)


def _moments(body: _Body, action: str | None) -> Iterator[ocpp.Moment]:
    """Yield times with their samples, including the transaction's own register."""
    values = body.meterValue if body.meterValue is not None else body.transactionData
    edge = body.meterStart if body.meterStop is None else body.meterStop
    if values is None and edge is None:
        required = (
            "meterValue" if action in (None, ocpp.METER_VALUES) else "meterStart or meterStop"
        )
        raise PayloadError("wrong_shape", f"{_CODEC}: {required} is missing; send it")
    if edge is not None:
        if body.timestamp is None:
            raise PayloadError(
                "time_missing",
                f"{_CODEC}: the register of a transaction has no time; send timestamp",
            )
        yield body.timestamp, [_register(edge)]
    for value in values or ():
        yield value.timestamp, _samples(value.sampledValue)


def _register(value: int) -> ocpp.Sample | PayloadError:
    if abs(value) >= _MAX_WHOLE:
        return PayloadError("not_finite", f"{_CODEC}: register {str(value)[:20]} is not a number")
    return ocpp.Sample(float(value), "Wh", None, ocpp.EDGE, None, None)


def _samples(sampled: list[_Sampled]) -> Iterator[ocpp.Sample | ocpp.Signed | PayloadError]:
    for item in sampled:
        if item.format == "SignedData":
            name = ocpp.channel(item.measurand, item.phase, item.location)
            yield ocpp.Signed(name, item.context, item.value)
            continue
        measurand = item.measurand or ocpp.MEASURAND
        if len(item.value) > _LONGEST or not _NUMBER.match(item.value):
            yield PayloadError(
                "not_a_number", f"{_CODEC}: {measurand} is {item.value!r:.40}; send a number"
            )
            continue
        try:
            value = ocpp.finite(float(item.value), measurand, _CODEC)
        except PayloadError as error:
            yield error
            continue
        yield ocpp.Sample(value, item.unit, item.measurand, item.context, item.phase, item.location)


def _recognises(payload: bytes) -> bool:
    return ocpp.is_call(payload)


CODEC = Codec(
    name=_CODEC,
    content_types=("application/ocpp1.6+json",),
    decode=timeless(decode),
    starts=JSON,
    recognises=_recognises,
    order=4,
)
