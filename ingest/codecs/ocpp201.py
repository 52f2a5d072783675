"""
OCPP 2.0.1 MeterValues in JSON, as a call frame or its body alone.

Values are numbers, and a unit may carry a power of ten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ingest.errors import PayloadError
from ingest.formats import ocpp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingest.reading import Stated

CONTENT_TYPES = ("application/ocpp2.0.1+json",)
_CODEC = "ocpp201"
_MAX_POWER = 30


class _Unit(msgspec.Struct, gc=False):
    unit: str | None = None
    multiplier: int = 0


class _Sampled(msgspec.Struct, gc=False):
    value: float
    context: str | None = None
    measurand: str | None = None
    phase: str | None = None
    location: str | None = None
    unitOfMeasure: _Unit | None = None  # noqa: N815 (OCPP's own name)


class _MeterValue(msgspec.Struct):
    timestamp: str
    sampledValue: list[_Sampled]  # noqa: N815 (OCPP's own name)


class _Body(msgspec.Struct):
    meterValue: list[_MeterValue]  # noqa: N815 (OCPP's own name)
    evseId: Any = None  # noqa: N815 (OCPP's own name)


def decode(payload: bytes) -> Sequence[Stated]:
    """
    Readings of one MeterValues, one a time.

    Raises
    ------
    PayloadError
        With a reason of `ingest.formats.ocpp`.
    """
    message, raw = ocpp.unwrap(payload, _CODEC)
    found: _Body = ocpp.body(raw, _Body, _CODEC)
    return ocpp.readings(
        ((value.timestamp, _samples(value.sampledValue)) for value in found.meterValue), message
    )


def _samples(sampled: list[_Sampled]) -> Iterator[ocpp.Sample | PayloadError]:
    for one in sampled:
        unit = one.unitOfMeasure or _Unit()
        power = unit.multiplier
        measurand = one.measurand or ocpp.MEASURAND
        if abs(power) > _MAX_POWER:
            yield PayloadError("out_of_range", f"{_CODEC}: multiplier {power} of {measurand}")
            continue
        try:
            scaled = one.value * 10**power if power >= 0 else one.value / 10**-power
            value = ocpp.finite(scaled, measurand, _CODEC)
        except PayloadError as error:
            yield error
            continue
        yield ocpp.Sample(value, unit.unit, one.measurand, one.context, one.phase, one.location)
