"""
JSON of further parts of the plan extract: check meters, invoices, prior statements,
certified energy, unclaimed time.
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


def check_meter_out(check_meter: CheckMeter) -> CheckMeterNamed:
    """Return a check meter as JSON."""
    return CheckMeterNamed(
        meter=check_meter.check, of=check_meter.main, tolerance_percent=str(check_meter.percent)
    )


def check_meter_in(check_meter: CheckMeterNamed) -> CheckMeter:
    """Return a check meter from `check_meter_out`."""
    return CheckMeter(check_meter.of, check_meter.meter, decimal_of(check_meter.tolerance_percent))


def span_out(span: tuple[int, int]) -> Span:
    """Return a half-open span as JSON. [us UTC]"""
    return Span(from_=utc_text(span[0]), to=utc_text(span[1]))


def span_in(span: Span) -> tuple[int, int]:
    """Return a span from `span_out`. [us UTC]"""
    return _time(span.from_), _time(span.to)


def certified_out(
    certified: Mapping[tuple[str, str], Sequence[Certified]],
) -> tuple[EnergyCertified, ...]:
    """Return certified energy as JSON, in the order of devices and certificates."""
    return tuple(
        EnergyCertified(
            certificate=item.certificate,
            scheme=item.scheme,
            device=device,
            quantity=quantity,
            runs=tuple(_runs(item)),
        )
        for (device, quantity), certified in sorted(certified.items())
        for item in certified
    )


def _runs(certified: Certified) -> Iterator[CertifiedRun]:
    breaks = np.flatnonzero(np.diff(certified.number) != 1) + 1
    for number, value in zip(
        np.split(certified.number, breaks), np.split(certified.value, breaks), strict=True
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
        For an amount not above 0, a time inside an interval, runs out of order, or a repeated
        certificate of a device.
    """
    result: dict[tuple[str, str], tuple[Certified, ...]] = {}
    for certificate in certified:
        key = certificate.device, certificate.quantity
        before = result.get(key, ())
        message = f"certificate {certificate.certificate} of {certificate.device}"
        if any(other.certificate == certificate.certificate for other in before):
            raise ValueError(f"{message} appears twice")
        number, value = _intervals(certificate, message)
        result[key] = (
            *before,
            Certified(certificate.certificate, certificate.scheme, number, value),
        )
    return result


def _intervals(certificate: EnergyCertified, message: str) -> tuple[Int64, Int64]:
    numbers: list[int] = []
    values: list[int] = []
    for run in certificate.runs:
        begin, rest = divmod(_time(run.from_), INTERVAL_US)
        if rest or (numbers and begin <= numbers[-1]) or not run.energy_wh:
            raise ValueError(f"{message}: the run from {run.from_} is not one of its intervals")
        numbers += range(begin, begin + len(run.energy_wh))
        values += map(int, run.energy_wh)
    if not values or min(values) < 1 or max(values) > MAX_SAFE_INTEGER:
        raise ValueError(f"{message}: energy must be a whole number of Wh above 0")
    return np.array(numbers, dtype=np.int64), np.array(values, dtype=np.int64)


def earlier_in(figures: StatementFigures) -> Earlier:
    """Return the figures of another statement from JSON."""
    return Earlier(
        figures.statement,
        _time(figures.from_),
        _time(figures.to),
        int(figures.energy_wh),
        Fraction(int(figures.reduction_ug), UG_PER_T),
    )


def invoice_named(invoice: Invoice) -> InvoiceNamed:
    """Return an invoice as its document type."""
    return InvoiceNamed(
        id=invoice.id,
        issuer=invoice.issuer,
        number=invoice.number,
        issued=invoice.issued.isoformat(),
        devices=invoice.devices,
        quantity=invoice.quantity,
        from_=utc_text(invoice.from_us),
        to=utc_text(invoice.to_us),
        value=str(invoice.value),
        tolerance_percent=str(invoice.percent),
        sha256=invoice.sha256,
        doubt=UNSET if invoice.doubt is None else invoice.doubt,
        signed=invoice.signed or UNSET,
    )


def invoice_of(invoice: InvoiceNamed) -> Invoice:
    """Return an invoice from `invoice_named`; ValueError for an invalid day."""
    return Invoice(
        id=invoice.id,
        issuer=invoice.issuer,
        number=invoice.number,
        issued=date.fromisoformat(invoice.issued),
        devices=invoice.devices,
        quantity=invoice.quantity,
        from_us=_time(invoice.from_),
        to_us=_time(invoice.to),
        value=int(invoice.value),
        percent=decimal_of(invoice.tolerance_percent),
        sha256=invoice.sha256,
        doubt=None if invoice.doubt is UNSET else invoice.doubt,
        signed=invoice.signed or None,
    )


def outside_out(outside: MeteredOutside) -> OutsidePeriod:
    """Return the quantity of a meter outside the period as JSON."""
    return OutsidePeriod(
        device=outside.device,
        quantity=outside.quantity,
        from_=utc_text(outside.from_us),
        to=utc_text(outside.to_us),
        metered=str(outside.value),
        known_us=str(outside.known_us),
    )


def outside_in(outside: OutsidePeriod) -> MeteredOutside:
    """Return the quantity from `outside_out`."""
    return MeteredOutside(
        outside.device,
        outside.quantity,
        _time(outside.from_),
        _time(outside.to),
        int(outside.metered),
        int(outside.known_us),
    )


def common_in(common_metered: CommonMetered) -> Common:
    """Return the quantities of a common meter and its users from JSON."""
    return Common(
        common_metered.main,
        common_metered.users,
        common_metered.quantity,
        int(common_metered.main_metered),
        int(common_metered.users_metered),
        Fraction(common_metered.compared_share),
        Fraction(common_metered.lost_percent),
        common_metered.days_above,
        common_metered.joint is True,
    )


def arrivals_out(arrived: Arrivals) -> tuple[ArrivedDevice, ...]:
    """Return arrivals by device and day as JSON."""
    return tuple(
        ArrivedDevice(
            device=device,
            days=tuple(
                ArrivedDay(
                    day=day,
                    readings=str(item.readings),
                    late=str(item.late),
                    hours=str(item.hours),
                    span=str(item.span),
                )
                for day, item in sorted(of_device.items())
            ),
        )
        for device, of_device in sorted(arrived.items())
    )


def arrivals_in(record: tuple[ArrivedDevice, ...]) -> Arrivals:
    """Return arrivals from `arrivals_out`; ValueError if more arrived late than in all."""
    arrived: Arrivals = {}
    for of_device in record:
        here = arrived.setdefault(of_device.device, {})
        for day in of_device.days:
            if day.day in here or not 0 <= int(day.late) <= int(day.readings):
                raise ValueError(f"arrivals of {of_device.device} on {day.day} are not consistent")
            here[day.day] = Arrived(int(day.readings), int(day.late), int(day.hours), int(day.span))
    return arrived


def invoice_out(invoice: Invoice) -> dict[str, Any]:
    """Return an invoice as canonical JSON."""
    return write(invoice_named(invoice))


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
