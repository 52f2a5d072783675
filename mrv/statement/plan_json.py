"""
JSON of other parts of the plan extract, written and read.

Check meters, invoices, prior statements, certified energy, and time that no statement claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

import numpy as np

from ingest.model import INTERVAL_US, Int64
from mrv.calendar import instant_us, utc_text
from mrv.documents.form import UNSET, UnsetType, read, write
from mrv.documents.period_account import EvidenceAsked
from mrv.documents.plan import (
    ArrivedDay,
    ArrivedDevice,
    CertifiedRun,
    CheckMeterNamed,
    CommonMetered,
    EnergyCertified,
    InvoiceNamed,
    OutsidePeriod,
    Span,
    StatementFigures,
)
from mrv.parameters.evidence import USUAL, RequiredGrades, required_of
from mrv.registry.project import Certified, CheckMeter, Common, Earlier, Invoice, MeteredOutside
from mrv.rounding import UG_PER_T, decimal_of
from mrv.signatures.canonical import MAX_SAFE_INTEGER
from mrv.statement.device_days import Arrivals, Arrived


def check_meter_out(one: CheckMeter) -> CheckMeterNamed:
    """Return a check meter as JSON."""
    return CheckMeterNamed(meter=one.check, of=one.main, tolerance_percent=str(one.percent))


def check_meter_in(one: CheckMeterNamed) -> CheckMeter:
    """Return a check meter from `check_meter_out`."""
    return CheckMeter(one.of, one.meter, decimal_of(one.tolerance_percent))


def span_out(span: tuple[int, int]) -> Span:
    """Return a half-open span as JSON. [us UTC]"""
    return Span(from_=utc_text(span[0]), to=utc_text(span[1]))


def span_in(one: Span) -> tuple[int, int]:
    """Return a span from `span_out`. [us UTC]"""
    return _time(one.from_), _time(one.to)


def certified_out(
    certified: Mapping[tuple[str, str], Sequence[Certified]],
) -> tuple[EnergyCertified, ...]:
    """Return certified energy as JSON, in the order of devices and certificates."""
    return tuple(
        EnergyCertified(
            certificate=one.certificate,
            scheme=one.scheme,
            device=device,
            quantity=quantity,
            runs=tuple(_runs(one)),
        )
        for (device, quantity), held in sorted(certified.items())
        for one in held
    )


def _runs(one: Certified) -> Iterator[CertifiedRun]:
    breaks = np.flatnonzero(np.diff(one.number) != 1) + 1
    for number, value in zip(
        np.split(one.number, breaks), np.split(one.value, breaks), strict=True
    ):
        yield CertifiedRun(
            from_=utc_text(int(number[0]) * INTERVAL_US), energy_wh=tuple(map(str, value.tolist()))
        )


def certified_in(
    certified: Sequence[EnergyCertified],
) -> dict[tuple[str, str], tuple[Certified, ...]]:
    """
    Return certified energy from `certified_out`.

    Raises
    ------
    ValueError
        For an amount that is not above 0, a time inside an interval, runs out of order, or
        a certificate that is named twice of a device.
    """
    found: dict[tuple[str, str], tuple[Certified, ...]] = {}
    for one in certified:
        key = one.device, one.quantity
        held = found.get(key, ())
        said = f"certificate {one.certificate} of {one.device}"
        if any(other.certificate == one.certificate for other in held):
            raise ValueError(f"{said} appears twice")
        number, value = _intervals(one, said)
        found[key] = (*held, Certified(one.certificate, one.scheme, number, value))
    return found


def _intervals(one: EnergyCertified, said: str) -> tuple[Int64, Int64]:
    numbers: list[int] = []
    values: list[int] = []
    for run in one.runs:
        begin, rest = divmod(_time(run.from_), INTERVAL_US)
        if rest or (numbers and begin <= numbers[-1]) or not run.energy_wh:
            raise ValueError(f"{said}: the run from {run.from_} is not one of its intervals")
        numbers += range(begin, begin + len(run.energy_wh))
        values += map(int, run.energy_wh)
    if not values or min(values) < 1 or max(values) > MAX_SAFE_INTEGER:
        raise ValueError(f"{said}: energy must be a whole number of Wh above 0")
    return np.array(numbers, dtype=np.int64), np.array(values, dtype=np.int64)


def earlier_in(one: StatementFigures) -> Earlier:
    """Return the figures of another statement from JSON."""
    return Earlier(
        one.statement,
        _time(one.from_),
        _time(one.to),
        int(one.energy_wh),
        Fraction(int(one.reduction_ug), UG_PER_T),
    )


def invoice_named(one: Invoice) -> InvoiceNamed:
    """Return an invoice as its document type."""
    return InvoiceNamed(
        id=one.id,
        issuer=one.issuer,
        number=one.number,
        issued=one.issued.isoformat(),
        devices=one.devices,
        quantity=one.quantity,
        from_=utc_text(one.from_us),
        to=utc_text(one.to_us),
        value=str(one.value),
        tolerance_percent=str(one.percent),
        sha256=one.sha256,
        doubt=UNSET if one.doubt is None else one.doubt,
        signed=one.signed or UNSET,
    )


def invoice_of(one: InvoiceNamed) -> Invoice:
    """Return an invoice from `invoice_named`; ValueError for an invalid day."""
    return Invoice(
        id=one.id,
        issuer=one.issuer,
        number=one.number,
        issued=date.fromisoformat(one.issued),
        devices=one.devices,
        quantity=one.quantity,
        from_us=_time(one.from_),
        to_us=_time(one.to),
        value=int(one.value),
        percent=decimal_of(one.tolerance_percent),
        sha256=one.sha256,
        doubt=None if one.doubt is UNSET else one.doubt,
        signed=one.signed or None,
    )


def outside_out(one: MeteredOutside) -> OutsidePeriod:
    """Return the quantity of a meter outside the period as JSON."""
    return OutsidePeriod(
        device=one.device,
        quantity=one.quantity,
        from_=utc_text(one.from_us),
        to=utc_text(one.to_us),
        metered=str(one.value),
        known_us=str(one.known_us),
    )


def outside_in(one: OutsidePeriod) -> MeteredOutside:
    """Return the quantity from `outside_out`."""
    return MeteredOutside(
        one.device,
        one.quantity,
        _time(one.from_),
        _time(one.to),
        int(one.metered),
        int(one.known_us),
    )


def common_in(one: CommonMetered) -> Common:
    """Return the quantities of a common meter and its users from JSON."""
    return Common(
        one.main,
        one.users,
        one.quantity,
        int(one.main_metered),
        int(one.users_metered),
        Fraction(one.compared_share),
        Fraction(one.lost_percent),
        one.days_above,
    )


def arrivals_out(found: Arrivals) -> tuple[ArrivedDevice, ...]:
    """Return arrivals by device and day as JSON."""
    return tuple(
        ArrivedDevice(
            device=device,
            days=tuple(
                ArrivedDay(
                    day=day,
                    readings=str(one.readings),
                    late=str(one.late),
                    hours=str(one.hours),
                    span=str(one.span),
                )
                for day, one in sorted(of_device.items())
            ),
        )
        for device, of_device in sorted(found.items())
    )


def arrivals_in(record: tuple[ArrivedDevice, ...]) -> Arrivals:
    """Return arrivals from `arrivals_out`; ValueError if more arrived late than in all."""
    found: Arrivals = {}
    for of_device in record:
        here = found.setdefault(of_device.device, {})
        for one in of_device.days:
            if one.day in here or not 0 <= int(one.late) <= int(one.readings):
                raise ValueError(f"arrivals of {of_device.device} on {one.day} are not consistent")
            here[one.day] = Arrived(int(one.readings), int(one.late), int(one.hours), int(one.span))
    return found


def invoice_out(one: Invoice) -> dict[str, Any]:
    """Return an invoice as canonical JSON."""
    return write(invoice_named(one))


def invoice_in(record: Mapping[str, Any]) -> Invoice:
    """Return an invoice from `invoice_out`; CanonicalError for other values."""
    return invoice_of(read(InvoiceNamed, record, f"invoice {record.get('id')!r}"))


def _time(text: str) -> int:
    return instant_us(text, "UTC")


def required_out(required: RequiredGrades) -> EvidenceAsked | UnsetType:
    """Return the grades that a programme requires as JSON; empty for the usual ones."""
    if required == USUAL:
        return UNSET
    return read(EvidenceAsked, required.to_json(), "evidenceAsked")


def required_in(record: EvidenceAsked | UnsetType) -> RequiredGrades:
    """Return the grades that a programme requires; the usual ones where none are stated."""
    if record is UNSET:
        return USUAL
    return required_of(write(record))
