"""Parts of the plan extract as in `plan.json`, written and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np
from msgspec import structs

from ingest.model import INTERVAL_US, Int64
from mrv.calendar import instant_us, utc_text
from mrv.countries import country_of
from mrv.documents import UNSET, Form, UnsetType, read, write
from mrv.documents.monitoring import (
    CalibrationShown,
    DesignDocument,
    LaboratoryResult,
    PlanApproval,
)
from mrv.documents.period_account import EvidenceAsked
from mrv.documents.plan import (
    ArrivedDay,
    ArrivedDevice,
    BoundDevice,
    CertifiedRun,
    ChangedAfterwards,
    CheckMeterNamed,
    CommonMetered,
    EnergyCertified,
    InvoiceNamed,
    OutsidePeriod,
    PlaceExtract,
    PlanLine,
    PlanVersionWhole,
    ProjectExtract,
    Span,
    StatementFigures,
)
from mrv.parameters import USUAL, RequiredGrades, required_of
from mrv.registry import Calibration, Sample
from mrv.registry.calibration_interval import Interval, limited
from mrv.registry.monitoring_plan import REGISTERED, Approval, Line, Version
from mrv.registry.project import (
    FIRST,
    Certified,
    ChangedLate,
    CheckMeter,
    Common,
    Document,
    Earlier,
    Invoice,
    MeteredOutside,
    Project,
)
from mrv.rounding import UG_PER_T, decimal_of, exact_text
from mrv.signatures.canonical import MAX_SAFE_INTEGER
from mrv.statement.device_days import Arrivals, Arrived

_DECIMAL = "$decimal"
# function that reads a document's text, by the type of the entry's field
_READ: dict[type, Callable[[str], Any]] = {
    date: date.fromisoformat, Fraction: Fraction, Decimal: decimal_of, int: int,
}  # fmt: skip
T = TypeVar("T", bound=Form)
E = TypeVar("E")


def number_out(value: Any) -> str | None:
    """Return a number as the entered text; a float as its shortest text."""
    if value is None:
        return None
    return repr(value) if isinstance(value, float) else str(value)


def values_out(value: Any) -> Any:
    """Return parameters of any structure as JSON; numbers that readers may round become text."""
    match value:
        case Mapping():
            return {name: values_out(inner) for name, inner in value.items()}
        case list() | tuple():
            return [values_out(inner) for inner in value]
        case bool() | str() | None:
            return value
        case int() if abs(value) <= MAX_SAFE_INTEGER:
            return value
    return {_DECIMAL: number_out(value)}


def values_in(value: Any) -> Any:
    """Return parameters from the result of `values_out`."""
    match value:
        case dict() if value.keys() == {_DECIMAL}:
            return decimal_of(value[_DECIMAL])
        case dict():
            return {name: values_in(inner) for name, inner in value.items()}
        case list():
            return [values_in(inner) for inner in value]
    return value


def time_out(us: int | None) -> str | None:
    """Return a time [us UTC] as RFC 3339 text; None for None."""
    return None if us is None else utc_text(us)


def time_us(text: str) -> int:
    """Return the time of an RFC 3339 text. [us UTC]"""
    return instant_us(text, "UTC")


def time_in(text: str | None) -> int | None:
    """Return the time of an RFC 3339 text [us UTC]; None for None."""
    return None if text is None else time_us(text)


def place_out(place: tuple[float, float] | None) -> PlaceExtract | UnsetType:
    """Return a location as decimal text that gives the same numbers."""
    if place is None:
        return UNSET
    latitude, longitude = map(repr, map(float, place))
    return PlaceExtract(latitude=latitude, longitude=longitude)


def as_document(kind: type[T], entry: object, /, **others: Any) -> T:
    """
    Return a registry entry as its document type: fields of equal names, and `others`.

    Days, numbers and times become text; `from_us` of the entry is `from_` of the document.  In
    fields that a document may omit, None, empty and false values are omitted.
    """
    return kind(**dict(_fields_out(kind, entry, others)), **others)


def _fields_out(
    kind: type[Form], entry: object, others: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    for item in structs.fields(kind):
        time = f"{item.name.rstrip('_')}_us"
        if item.name in others:
            continue
        if hasattr(entry, item.name):
            value = _text(getattr(entry, item.name))
        elif hasattr(entry, time):
            value = time_out(getattr(entry, time))
        else:
            continue
        yield item.name, value if value or item.default is not UNSET else UNSET


def _text(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int() | Decimal() | float():
            return number_out(value)
        case Fraction():
            return exact_text(value)
        case date():
            return value.isoformat()
        case Mapping():
            return {name: _text(inner) for name, inner in value.items()}
    return value


def registered(kind: type[E], document: Form, /, **others: Any) -> E:
    """
    Return the registry entry of which `as_document` gives the document; `others`: further fields.

    Raises ValueError or InvalidOperation for an invalid day or number.
    """
    return kind(**dict(_registered(kind, document, others)), **others)


def _registered(kind: type, document: Form, others: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, types in _types(kind).items():
        stem = name.removesuffix("_us")
        key = next((k for k in (name, stem, f"{stem}_") if hasattr(document, k)), None)
        if name in others or key is None or (value := getattr(document, key)) is UNSET:
            continue
        if key != name:
            value = time_in(value)
        elif isinstance(value, str):
            value = next((read for of, read in _READ.items() if of in types), str)(value)
        yield name, value


@cache
def _types(kind: type) -> dict[str, frozenset[Any]]:
    return {
        name: frozenset(get_args(hint) or (hint,)) for name, hint in get_type_hints(kind).items()
    }


def sample_out(sample: Sample) -> LaboratoryResult:
    """Return a laboratory result as in plan and statement."""
    return as_document(LaboratoryResult, sample)


def document_out(document: Document) -> DesignDocument:
    """Return the document of a design value as in plan and statement."""
    return as_document(DesignDocument, document)


def changed_late_out(change: ChangedLate) -> ChangedAfterwards:
    """Return a change made after the period began, as JSON."""
    return as_document(
        ChangedAfterwards,
        change,
        before=UNSET if change.paper_only else change.before,
        was=UNSET if change.was is None else document_out(change.was),
        document=UNSET if change.document is None else document_out(change.document),
    )


def calibration_out(calibration: Calibration, interval: Interval | None = None) -> CalibrationShown:
    """Return a certificate as in plan and statement; in the statement with its interval."""
    (limit,) = limited([calibration], interval)
    due = limit.valid_until.isoformat() if limit is not calibration else UNSET
    return as_document(CalibrationShown, calibration, due=due)


def decision_out(approval: Approval) -> PlanApproval:
    """Return a programme's decision on a version."""
    return as_document(PlanApproval, approval, date=approval.day.isoformat())


def approval_of(approval: PlanApproval) -> Approval:
    """Return a decision from `decision_out`; ValueError for an invalid day."""
    return registered(Approval, approval, day=date.fromisoformat(approval.date))


def version_document(version: Version) -> PlanVersionWhole:
    """Return a version of the project's own monitoring plan; in the form of 0.1.0, without kind."""
    whole = as_document(
        PlanVersionWhole,
        version,
        version=version.name,
        kind=UNSET if version.kind == REGISTERED else version.kind,
        from_=version.begins.isoformat(),
        to=UNSET if version.ends is None else version.ends.isoformat(),
        entered=UNSET if version.entered is None else utc_text(version.entered),
        approval=UNSET if version.approval is None else decision_out(version.approval),
        lines=tuple(as_document(PlanLine, line) for line in version.lines),
    )
    return read(PlanVersionWhole, write(whole), f"version {version.name} of the monitoring plan")


def version_of(version: PlanVersionWhole) -> Version:
    """Return a version from `version_document`; ValueError for an invalid day or time."""
    return registered(
        Version,
        version,
        name=version.version,
        kind=version.kind or REGISTERED,
        begins=date.fromisoformat(version.from_),
        ends=None if version.to is UNSET else date.fromisoformat(version.to),
        entered=None if version.entered is UNSET else time_us(version.entered),
        approval=None if version.approval is UNSET else approval_of(version.approval),
        lines=tuple(registered(Line, line) for line in version.lines),
    )


def version_out(version: Version) -> dict[str, Any]:
    """Return a version as canonical JSON, without its approval and the time of its entry."""
    return write(version_document(replace(version, approval=None, entered=None)))


def project_out(project: Project, accounting: int) -> ProjectExtract:
    """Return the extract of a project with its devices; in rule set 1 without country."""
    return as_document(
        ProjectExtract,
        project,
        country=(country_of(project) if accounting > FIRST else None) or UNSET,
        parameters=values_out(project.parameters),
        expected=values_out(project.expected),
        devices=tuple(
            as_document(BoundDevice, bound, params=values_out(bound.params))
            for bound in project.devices
        ),
    )


def check_meter_out(check_meter: CheckMeter) -> CheckMeterNamed:
    """Return a check meter as JSON."""
    return CheckMeterNamed(
        meter=check_meter.check, of=check_meter.main, tolerance_percent=str(check_meter.percent)
    )


def check_meter_in(check_meter: CheckMeterNamed) -> CheckMeter:
    """Return a check meter from the result of `check_meter_out`."""
    return CheckMeter(check_meter.of, check_meter.meter, decimal_of(check_meter.tolerance_percent))


def span_out(span: tuple[int, int]) -> Span:
    """Return a half-open span as JSON. [us UTC]"""
    return Span(from_=utc_text(span[0]), to=utc_text(span[1]))


def span_in(span: Span) -> tuple[int, int]:
    """Return a span from the result of `span_out`. [us UTC]"""
    return time_us(span.from_), time_us(span.to)


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
    Return certified energy from the result of `certified_out`.

    Raises ValueError for an amount not above 0, a time inside an interval, runs out of order, or a
    repeated certificate of a device.
    """
    result: dict[tuple[str, str], tuple[Certified, ...]] = {}
    for certificate in certified:
        key = certificate.device, certificate.quantity
        before = result.get(key, ())
        message = f"certificate {certificate.certificate} of {certificate.device}"
        if any(other.certificate == certificate.certificate for other in before):
            raise ValueError(f"{message} appears twice; it must be listed once")
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
        begin, rest = divmod(time_us(run.from_), INTERVAL_US)
        if rest or (numbers and begin <= numbers[-1]) or not run.energy_wh:
            raise ValueError(
                f"{message}: the run from {run.from_} is empty, overlaps the run before, or does "
                "not begin a 15-minute interval"
            )
        numbers += range(begin, begin + len(run.energy_wh))
        values += map(int, run.energy_wh)
    if not values or min(values) < 1 or max(values) > MAX_SAFE_INTEGER:
        raise ValueError(f"{message}: energy must be a whole number of Wh above 0")
    return np.array(numbers, dtype=np.int64), np.array(values, dtype=np.int64)


def earlier_in(figures: StatementFigures) -> Earlier:
    """Return the figures of another statement from JSON."""
    return Earlier(
        figures.statement,
        time_us(figures.from_),
        time_us(figures.to),
        int(figures.energy_wh),
        Fraction(int(figures.reduction_ug), UG_PER_T),
    )


def invoice_named(invoice: Invoice) -> InvoiceNamed:
    """Return an invoice as its document type."""
    return as_document(InvoiceNamed, invoice, tolerance_percent=str(invoice.percent))


def invoice_of(invoice: InvoiceNamed) -> Invoice:
    """
    Return an invoice from the result of `invoice_named`.

    Raises ValueError for an invalid day.
    """
    return registered(Invoice, invoice, percent=decimal_of(invoice.tolerance_percent))


def outside_out(outside: MeteredOutside) -> OutsidePeriod:
    """Return the quantity of a meter outside the period as JSON."""
    return as_document(OutsidePeriod, outside, metered=str(outside.value))


def outside_in(outside: OutsidePeriod) -> MeteredOutside:
    """Return the quantity from the result of `outside_out`."""
    return registered(MeteredOutside, outside, value=int(outside.metered))


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
    """
    Return arrivals by device and day from the result of `arrivals_out`.

    Raises ValueError if more readings were late than arrived, or a day appears twice.
    """
    arrived: Arrivals = {}
    for of_device in record:
        here = arrived.setdefault(of_device.device, {})
        for day in of_device.days:
            if day.day in here or not 0 <= int(day.late) <= int(day.readings):
                raise ValueError(
                    f"arrivals of {of_device.device} on {day.day} are not consistent: {day.late} "
                    f"of {day.readings} readings were late, or the day appears twice"
                )
            here[day.day] = Arrived(int(day.readings), int(day.late), int(day.hours), int(day.span))
    return arrived


def invoice_out(invoice: Invoice) -> dict[str, Any]:
    """Return an invoice as canonical JSON."""
    return write(invoice_named(invoice))


def invoice_in(record: Mapping[str, Any]) -> Invoice:
    """
    Return an invoice from the result of `invoice_out`.

    Raises CanonicalError for other values.
    """
    return invoice_of(read(InvoiceNamed, record, f"invoice {record.get('id')!r}"))


def required_out(required: RequiredGrades) -> EvidenceAsked | UnsetType:
    """Return the grades that a programme requires as JSON; omitted if they are the default."""
    if required == USUAL:
        return UNSET
    return read(EvidenceAsked, required.to_json(), "evidenceAsked")


def required_in(record: EvidenceAsked | UnsetType) -> RequiredGrades:
    """Return the grades that a programme requires; the default if none are stated."""
    if record is UNSET:
        return USUAL
    return required_of(write(record))
