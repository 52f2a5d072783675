"""
Time without a valid certificate of a meter, and the error applied to it.

If a calibration is late or missing, the meter's maximum permissible error is applied in the
conservative direction, from the due date until the day of the next calibration.  A larger error is
applied instead: the permissible error of the next certificate, or the error found by the later
calibration or by the test of a removed meter (CDM guidelines for delayed calibration, EB 52 annex
60; secondary source).  An error found above the permissible one is applied from the previous
calibration on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from itertools import pairwise

from ingest import classes
from ingest.model import INTERVAL_US, Fleet
from mrv.calendar import local_date, midnight_us
from mrv.errors import PeriodError
from mrv.parameters import exact
from mrv.registry import Calibration
from mrv.registry.calibration_interval import Interval, Overdue, limited, values_of
from mrv.registry.monitoring_plan import Version, at
from mrv.rounding import plain_text
from mrv.texts import Text, text

# Maximum permissible error by accuracy class [%]: IEC 62053 and EN 50470 (MID) at reference
# conditions, the larger value within the working range.
_WHOLE_PERCENT = 100
_CLASS_PERCENT = {
    "0.2S": "0.2",
    "0.2": "0.2",
    "0.5S": "0.5",
    "0.5": "0.5",
    "1": "1",
    "1.0": "1",
    "2": "2",
    "2.0": "2",
    "C": "0.5",
    "B": "1",
    "A": "2",
}
# Maximum permissible error without certificate and class [%].  Certainty [M]: class 2 for
# electricity, the usual tolerance of an odometer and of a flow meter; class 3 for heat; a multiple
# of the error of a verified scale, counter, clock or thermometer.
_DEFAULT_PERCENT = {
    "energy_export": "2",
    "energy_import": "2",
    "distance": "4",
    "flow": "5",
    "biogas": "5",
    "mass": "3",
    "heat": "3",
    "count": "10",
    "operating_time": "2",
    "degree_time": "10",
    # gauges by channel [M]: infrared analysers, on-line photometers, thermocouples of class 2
    "ch4_percent": "3",
    "cod_in_mg_l": "10",
    "cod_out_mg_l": "10",
    "temperature_c": "1",
    "flare_temperature_c": "1",
    "flare_flame": "0",
}
# percentages such as "1.5 %", "±1.5%" and "0.5 to 1.5 %"
_PERCENT = re.compile(
    r"(?:±|\+/-|\+-)?\s*([0-9]{1,3}(?:\.[0-9]{1,4})?)\s*%?"
    r"(?:\s*(?:-|\u2013|to|\.\.)\s*(?:±)?([0-9]{1,3}(?:\.[0-9]{1,4})?))?\s*%"
)


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Intervals [first, last) without a valid certificate, and the meter error applied."""

    first: int
    last: int
    percent: Fraction
    reason: Text


@dataclass(frozen=True, slots=True)
class _Span:
    first: int
    last: int
    percent: Fraction
    error_as_found_percent: Fraction
    certificate: str
    ended: Text
    test: bool = False


def uncovered(
    calibrations: Iterable[Calibration], quantity: str, timezone: str, first: int, last: int
) -> list[Uncovered]:
    """
    Return the parts of intervals [first, last) without a valid calibration.

    `calibrations`: certificates of one device, in any order.
    `quantity`: metered quantity; determines the default error.
    `timezone`: time zone of the certificates' dates.
    `first`, `last`: interval numbers since the epoch, half-open.
    Raises PeriodError if a certificate's error is not within 0 and 100 %.
    """
    result: list[Uncovered] = []
    cursor, before = first, None
    for span in _refuted(_spans(calibrations, quantity, timezone)):
        if cursor < span.first and cursor < last:
            result.append(_between(cursor, min(span.first, last), before, span, quantity))
        cursor = max(cursor, span.last)
        if not span.test and (before is None or span.last >= before.last):
            before = span
    if cursor < last:
        result.append(_between(cursor, last, before, None, quantity))
    return result


def by_plan(
    versions: Sequence[Version], role: str, device: str, timezone: str, first: int, last: int
) -> list[Uncovered]:
    """Return the parts of intervals [first, last) that a plan corrects, with the error applied."""
    edges = {
        midnight_us(day, timezone) // INTERVAL_US
        for version in versions
        for day in (version.begins, version.ends)
        if day is not None
    }
    bounds = [first, *sorted(edge for edge in edges if first < edge < last), last]
    result = []
    for begin, end in pairwise(bounds):
        version = at(versions, local_date(begin * INTERVAL_US, timezone))
        line = version.line(role, device) if version else None
        if version is not None and line is not None and line.error_percent:
            reason = text("calibration.by_plan", version=version.name)
            result.append(Uncovered(begin, end, Fraction(line.error_percent), reason))
    return result


def larger(item: Sequence[Uncovered], other: Sequence[Uncovered]) -> list[Uncovered]:
    """Return the larger error of two lists at each time; within a list, spans do not overlap."""
    if not other:
        return [*item]
    edges = sorted({edge for span in (*item, *other) for edge in (span.first, span.last)})
    result: list[Uncovered] = []
    for begin, end in pairwise(edges):
        here = [span for span in (*item, *other) if span.first <= begin and end <= span.last]
        if not here:
            continue
        maximum = max(here, key=lambda span: span.percent)
        if result and result[-1].last == begin and result[-1].reason == maximum.reason:
            begin = result.pop().first  # noqa: PLW2901 - one span goes on
        result.append(replace(maximum, first=begin, last=end))
    return result


def of_channels(
    calibrations: Iterable[Calibration], channels: Collection[str]
) -> tuple[Calibration, ...]:
    """Return the certificates of some channels of a device; one without a channel covers all."""
    return tuple(c for c in calibrations if c.channel is None or c.channel in channels)


def registers_of(class_id: str, quantity: str) -> frozenset[str]:
    """Return the names of the registers of a device class that measure a quantity."""
    known = classes.load()[class_id].registers
    return frozenset(channel.name for channel in known if channel.quantity == quantity)


def _refuted(spans: Iterable[_Span]) -> list[_Span]:
    """
    Return spans in order; a certificate covers no time if its meter was later found outside its
    permissible error.
    """
    ordered = sorted(spans, key=lambda s: (s.first, s.last))
    for place, span in enumerate(ordered):
        before = next((k for k in reversed(range(place)) if not ordered[k].test), None)
        if before is None or span.error_as_found_percent <= ordered[before].percent:
            continue
        was = ordered[before]
        why = text(
            "calibration.found", certificate=span.certificate,
            percent=plain_text(span.error_as_found_percent, 4), before=was.certificate,
        )  # fmt: skip
        ordered[before] = replace(was, last=min(was.last, was.first), ended=why)
    return ordered


class Left(Calibration):
    """A certificate that ends at the replacement of its meter."""

    __slots__ = ()


def of_meter(
    calibrations: Iterable[Calibration],
    replaced_us: Iterable[int],
    serial: str | None,
    timezone: str,
) -> tuple[Calibration, ...]:
    """
    Return the certificates, each limited to the time in which its meter was installed.

    A certificate ends on the local day of its meter's replacement.  A certificate with another
    serial number covers no time, unless the meter was replaced later.  A certificate with this
    serial number that is older than the meter's installation is valid from the installation, if
    another certificate names the replaced meter.

    `serial`: serial number of the current meter.
    """
    days = sorted(local_date(us, timezone) for us in replaced_us)
    certificates = tuple(calibrations)
    # the registry may still have a removed meter's serial number; a later certificate corrects it
    changed = any(
        calibration.serial not in (None, serial)
        and (calibration.last_test or calibration.performed < day)
        for calibration in certificates
        for day in days
    )
    result = []
    for certificate in certificates:
        if certificate.last_test:
            day = next(
                (day for day in reversed(days) if day <= certificate.performed),
                certificate.performed,
            )
            result.append(replace(certificate, performed=day, valid_until=day))
            continue
        if changed and serial is not None and certificate.serial == serial:
            begin = max(certificate.performed, days[-1])
            if begin < certificate.valid_until:
                # an error found before the meter was installed affects no reading of this device
                measured = (
                    certificate.found_error_percent if begin == certificate.performed else None
                )
                result.append(replace(certificate, performed=begin, found_error_percent=measured))
            continue
        after = next((day for day in days if day > certificate.performed), None)
        other = None not in (certificate.serial, serial) and certificate.serial != serial
        if after is None and other:
            continue
        if after is not None and after < certificate.valid_until:
            result.append(_cut_short(certificate, after))
        else:
            result.append(certificate)
    return tuple(result)


def of_meters(
    calibrations: Mapping[str, Iterable[Calibration]],
    intervals: Mapping[str, Interval],
    fleet: Fleet,
    serials: Mapping[str, str | None],
    timezone: str,
) -> dict[str, tuple[Calibration, ...]]:
    """Return the certificates of each device of a fleet, limited by `limited` and `of_meter`."""
    return {
        name: of_meter(
            limited(certificates, intervals.get(name)),
            [
                r.at_us for r in fleet.devices[fleet.by_id[name]].replacements
                if not r.keeps_certificate
            ],
            serials.get(name),
            timezone,
        )
        for name, certificates in calibrations.items()
        if name in fleet.by_id
    }  # fmt: skip


def _cut_short(calibration: Calibration, day: date) -> Calibration:
    return Left(**{**values_of(calibration), "valid_until": day})


def _spans(calibrations: Iterable[Calibration], quantity: str, timezone: str) -> list[_Span]:
    return [
        _Span(
            -(-midnight_us(c.performed, timezone) // INTERVAL_US),
            midnight_us(c.valid_until, timezone) // INTERVAL_US,
            error_percent(c, quantity),
            _percent(c, "found_error_percent") or Fraction(0),
            c.certificate,
            _ended(c),
            c.last_test,
        )
        for c in calibrations
    ]


def _ended(calibration: Calibration) -> Text:
    """Return why a certificate is invalid after its end."""
    if isinstance(calibration, Left):
        return text("calibration.replaced", certificate=calibration.certificate)
    if isinstance(calibration, Overdue):
        of = {"certificate": calibration.certificate, "performed": str(calibration.calibrated)}
        months, source = calibration.interval
        if source is None:
            return text("calibration.overdue", **of, months=months)
        return text("calibration.overdue_by_rule", **of, months=months, source=source)
    return text("calibration.expired", certificate=calibration.certificate)


def class_percent(accuracy_class: str | None) -> Fraction | None:
    """Return the maximum permissible error of an accuracy class [%]; None if unknown."""
    named = _CLASS_PERCENT.get(accuracy_class or "")
    if named is not None:
        return Fraction(named)
    written = _PERCENT.fullmatch((accuracy_class or "").strip())
    # the upper end of a range
    result = [Fraction(number) for number in written.groups() if number] if written else []
    return max((number for number in result if number <= _WHOLE_PERCENT), default=None)


def by_first_rules(calibrations: Iterable[Calibration]) -> tuple[Calibration, ...]:
    """Return certificates as release 0.1.0 read them, without accuracy classes in per cent."""
    return tuple(
        calibration
        if calibration.accuracy_class in _CLASS_PERCENT
        else replace(calibration, accuracy_class=None)
        for calibration in calibrations
    )


def error_percent(calibration: Calibration, quantity: str) -> Fraction:
    """Return the maximum permissible error by certificate, accuracy class, or default. [%]"""
    stated = _percent(calibration, "max_error_percent")
    if stated is None:
        stated = class_percent(calibration.accuracy_class)
    return default_percent(quantity) if stated is None else stated


def default_percent(quantity: str) -> Fraction:
    """Return the default error of a quantity, or of a gauge's channel. [%]"""
    return Fraction(_DEFAULT_PERCENT.get(quantity, "10"))


def _percent(calibration: Calibration, key: str) -> Fraction | None:
    entered = getattr(calibration, key)
    if entered is None:
        return None
    name = f"certificate {calibration.certificate}: {key}"
    percent = exact(entered, name)
    if not 0 <= percent <= 100:  # noqa: PLR2004 - per cent
        raise PeriodError(f"{name} = {float(percent)} must be within 0 and 100; correct it")
    return percent


def _between(
    first: int, last: int, before: _Span | None, after: _Span | None, quantity: str
) -> Uncovered:
    known = [span for span in (before, after) if span is not None]
    if not known or (known == [after] and known[0].test):
        least = after.error_as_found_percent if after else Fraction(0)
        percent = max(default_percent(quantity), least)
        return Uncovered(first, last, percent, text("calibration.none"))
    percent = max(span.percent for span in known if not span.test)
    percent = max(percent, after.error_as_found_percent if after else percent)
    if before is None:
        reason = text("calibration.before", certificate=known[0].certificate)
    else:
        reason = before.ended
    return Uncovered(first, last, percent, reason)
