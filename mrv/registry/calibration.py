"""
When a meter's error is not attested, and what its readings may be off by then.

A meter whose calibration is late or absent is taken to err by its maximum
permissible error, against the claimant, from the due date until the day of the
next calibration; where that one attests a larger error, the larger one counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from ingest.model import INTERVAL_US
from mrv.calendar import local_date, midnight_us
from mrv.errors import PeriodError
from mrv.parameters.inputs import exact
from mrv.registry.calibration_interval import Overdue
from mrv.registry.project import Calibration
from mrv.texts import Text, text

# Maximum permissible error by accuracy class, [%]: IEC 62053 and EN 50470 (MID)
# at reference conditions, the worse value of the working range.
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
# Where neither certificate nor class is known, [%].  Certainty [M]: class 2 for
# electricity, the usual tolerance of an odometer, of a flow meter; class 3 for heat;
# several times what a verified scale, counter, clock or thermometer may be off by.
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
}


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Grid intervals [first, last) without a valid certificate, and the error assumed."""

    first: int
    last: int
    percent: Fraction
    reason: Text


@dataclass(frozen=True, slots=True)
class _Span:
    first: int
    last: int
    percent: Fraction
    certificate: str
    ended: Text


def uncovered(
    calibrations: Iterable[Calibration], quantity: str, timezone: str, first: int, last: int
) -> list[Uncovered]:
    """
    Parts of the grid intervals [first, last) that no calibration covers.

    Parameters
    ----------
    calibrations : iterable of Calibration
        Of one device, in any order.
    quantity : str
        What it meters; gives the default error.
    timezone : str
        Where the certificates' dates are local.
    first, last : int
        Interval numbers since the epoch, half-open.

    Raises
    ------
    PeriodError
        If a certificate's error is not within 0 and 100 %.
    """
    result: list[Uncovered] = []
    cursor, before = first, None
    for span in sorted(_spans(calibrations, quantity, timezone), key=lambda s: (s.first, s.last)):
        if cursor < span.first and cursor < last:
            result.append(_between(cursor, min(span.first, last), before, span, quantity))
        cursor = max(cursor, span.last)
        if before is None or span.last >= before.last:
            before = span
    if cursor < last:
        result.append(_between(cursor, last, before, None, quantity))
    return result


class Left(Calibration):
    """A certificate that ends before it is due, since its meter was replaced."""

    __slots__ = ()


def of_meter(
    calibrations: Iterable[Calibration],
    replaced_us: Iterable[int],
    serial: str | None,
    timezone: str,
) -> tuple[Calibration, ...]:
    """
    Return the certificates as far as they cover the meter that was there.

    One ends on the local day on which its meter was replaced.  One that names another
    serial than the meter's covers nothing, unless the meter was replaced since.  One that names
    this serial, and was written before the meter was mounted, covers it from that day on, where
    another one names the meter that left.

    Parameters
    ----------
    serial : str or None
        Of the meter that is there now.
    """
    days = sorted(local_date(us, timezone) for us in replaced_us)
    papers = tuple(calibrations)
    # the registry may still have the serial of the meter that left; another's certificate says not
    changed = any(
        one.serial not in (None, serial) and one.performed < day for one in papers for day in days
    )
    found = []
    for one in papers:
        if changed and serial is not None and one.serial == serial:
            begin = max(one.performed, days[-1])
            if begin < one.valid_until:
                found.append(replace(one, performed=begin))
            continue
        after = next((day for day in days if day > one.performed), None)
        other = None not in (one.serial, serial) and one.serial != serial
        if after is None and other:
            continue
        if after is not None and after < one.valid_until:
            found.append(_cut_short(one, after))
        else:
            found.append(one)
    return tuple(found)


def _cut_short(one: Calibration, day: date) -> Calibration:
    return Left(
        one.performed, day, one.certificate, one.accuracy_class, one.max_error_percent, one.serial
    )


def _spans(calibrations: Iterable[Calibration], quantity: str, timezone: str) -> list[_Span]:
    return [
        _Span(
            -(-midnight_us(c.performed, timezone) // INTERVAL_US),
            midnight_us(c.valid_until, timezone) // INTERVAL_US,
            error_percent(c, quantity),
            c.certificate,
            _ended(c),
        )
        for c in calibrations
    ]


def _ended(one: Calibration) -> Text:
    """Say why a certificate covers nothing after its end."""
    if isinstance(one, Left):
        return text("calibration.replaced", certificate=one.certificate)
    if isinstance(one, Overdue):
        of = {"certificate": one.certificate, "performed": str(one.calibrated)}
        months, source = one.interval
        if source is None:
            return text("calibration.overdue", **of, months=months)
        return text("calibration.overdue_by_rule", **of, months=months, source=source)
    return text("calibration.expired", certificate=one.certificate)


def class_percent(accuracy_class: str | None) -> Fraction | None:
    """Maximum permissible error of an accuracy class [%]; None where it is no known class."""
    text = _CLASS_PERCENT.get(accuracy_class or "")
    return None if text is None else Fraction(text)


def error_percent(calibration: Calibration, quantity: str) -> Fraction:
    """Maximum permissible error of a certificate, of its class, or the default. [%]."""
    if calibration.max_error_percent is None:
        default = _DEFAULT_PERCENT[quantity]
        return Fraction(_CLASS_PERCENT.get(calibration.accuracy_class or "", default))
    name = f"certificate {calibration.certificate}: max_error_percent"
    percent = exact(calibration.max_error_percent, name)
    if not 0 <= percent <= 100:  # noqa: PLR2004 - per cent
        raise PeriodError(f"{name} = {float(percent)} must be within 0 and 100; correct it")
    return percent


def _between(
    first: int, last: int, before: _Span | None, after: _Span | None, quantity: str
) -> Uncovered:
    known = [span for span in (before, after) if span is not None]
    if not known:
        return Uncovered(
            first, last, Fraction(_DEFAULT_PERCENT[quantity]), text("calibration.none")
        )
    percent = max(span.percent for span in known)
    if before is None:
        reason = text("calibration.before", certificate=known[0].certificate)
    else:
        reason = before.ended
    return Uncovered(first, last, percent, reason)
