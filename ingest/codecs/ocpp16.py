"""OCPP 1.6 MeterValues in JSON, as a call frame or its body alone: values are strings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from ingest.errors import PayloadError
from ingest.formats import ocpp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingest.reading import Stated

CONTENT_TYPES = ("application/ocpp1.6+json",)
_NUMBER = re.compile(r"^\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?\s*$", re.ASCII)
_LONGEST = 64
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
    meterValue: list[_MeterValue]  # noqa: N815 (OCPP's own name)
    connectorId: int | None = None  # noqa: N815 (OCPP's own name)
    transactionId: Any = None  # noqa: N815 (OCPP's own name)


def decode(payload: bytes) -> Sequence[Stated]:
    """
    Readings of one MeterValues, one a time.

    A sample that is signed data carries no number to read and is passed over;
    one whose value is no number is refused by itself.

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
        if one.format == "SignedData":
            continue
        measurand = one.measurand or ocpp.MEASURAND
        if len(one.value) > _LONGEST or not _NUMBER.match(one.value):
            yield PayloadError(
                "not_a_number", f"{_CODEC}: {measurand} is {one.value!r:.40}; send a number"
            )
            continue
        try:
            value = ocpp.finite(float(one.value), measurand, _CODEC)
        except PayloadError as error:
            yield error
            continue
        yield ocpp.Sample(value, one.unit, one.measurand, one.context, one.phase, one.location)
