"""
Codec of OCPP 2.0.1 in JSON: MeterValues, and TransactionEvent with meter values.

Call frames, or their bodies alone.  Values are numbers, a unit may have a power of ten, and a
meter's signature is part of the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from ingest.errors import PayloadError
from ingest.formats import ocpp
from ingest.reading import JSON, Codec, Stated, timeless

_ACTIONS = (ocpp.METER_VALUES, "TransactionEvent")
_CODEC = "ocpp201"
_NEWER = re.compile(
    rb'"(?:evseId|unitOfMeasure|transactionInfo|triggerReason|signedMeterValue|TransactionEvent)"'
)
_MAX_POWER = 30


class _Unit(msgspec.Struct, gc=False):
    unit: str | None = None
    multiplier: int = 0


class _Signed(msgspec.Struct, gc=False):
    signedMeterData: str  # noqa: N815 (OCPP's own name)
    signingMethod: str = ""  # noqa: N815 (OCPP's own name)
    encodingMethod: str = ""  # noqa: N815 (OCPP's own name)
    publicKey: str = ""  # noqa: N815 (OCPP's own name)


class _Sampled(msgspec.Struct, gc=False):
    value: float
    context: str | None = None
    measurand: str | None = None
    phase: str | None = None
    location: str | None = None
    unitOfMeasure: _Unit | None = None  # noqa: N815 (OCPP's own name)
    signedMeterValue: _Signed | None = None  # noqa: N815 (OCPP's own name)


class _MeterValue(msgspec.Struct):
    timestamp: str
    sampledValue: list[_Sampled]  # noqa: N815 (OCPP's own name)


class _Body(msgspec.Struct):
    meterValue: list[_MeterValue] | None = None  # noqa: N815 (OCPP's own name)


def decode(payload: bytes) -> Sequence[Stated]:
    """
    Return the readings of one call, one per time.

    Raises PayloadError with a reason of `ingest.formats.ocpp`.
    """
    message, action, raw = ocpp.unwrap(payload, _CODEC, _ACTIONS)
    body: _Body = ocpp.body(raw, _Body, _CODEC)
    if body.meterValue is None:
        raise PayloadError(
            "wrong_shape",
            f"{_CODEC}: meterValue is missing in {action or 'the message'}; send the "
            "message with its meterValue",
        )
    moments = ((value.timestamp, _samples(value.sampledValue)) for value in body.meterValue)
    return ocpp.readings(moments, message)


def _samples(sampled: list[_Sampled]) -> Iterator[ocpp.Sample | ocpp.Signed | PayloadError]:
    for item in sampled:
        if (signed := item.signedMeterValue) is not None:
            name = ocpp.channel(item.measurand, item.phase, item.location)
            yield ocpp.Signed(
                name,
                item.context,
                signed.signedMeterData,
                signed.signingMethod,
                signed.encodingMethod,
                signed.publicKey,
            )
        unit = item.unitOfMeasure or _Unit()
        power = unit.multiplier
        measurand = item.measurand or ocpp.MEASURAND
        if abs(power) > _MAX_POWER:
            yield PayloadError(
                "out_of_range", f"{_CODEC}: multiplier {power} of {measurand} is not supported"
            )
            continue
        try:
            scaled = item.value * 10**power if power >= 0 else item.value / 10**-power
            value = ocpp.finite(scaled, measurand, _CODEC)
        except PayloadError as error:
            yield error
            continue
        yield ocpp.Sample(value, unit.unit, item.measurand, item.context, item.phase, item.location)


def _recognises(payload: bytes) -> bool:
    return ocpp.is_call(payload) and _NEWER.search(payload) is not None


CODEC = Codec(
    name=_CODEC,
    content_types=("application/ocpp2.0.1+json",),
    decode=timeless(decode),
    starts=JSON,
    recognises=_recognises,
    order=3,
)
