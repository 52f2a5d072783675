"""Late and absent calibrations."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.classes import QUANTITIES
from ingest.model import INTERVAL_US
from mrv.calendar import midnight_us
from mrv.errors import MethodologyError, PeriodError
from mrv.registry import Calibration
from mrv.registry.calibration import by_first_rules, error_percent, of_meter, uncovered
from mrv.registry.calibration_interval import Interval, after, interval_of, lengthened, limited

UTC = "Etc/UTC"
DAY = 96
ORIGIN = date(2026, 1, 1)
BEGIN = midnight_us(ORIGIN, UTC) // INTERVAL_US


def cert(first, last, percent="1", name="C"):
    days = [date.fromordinal(ORIGIN.toordinal() + d) for d in (first, last)]
    return Calibration(*days, name, None, Decimal(percent))


def found(certificates, days=365):
    spans = uncovered(certificates, "energy_export", UTC, BEGIN, BEGIN + days * DAY)
    return [
        ((s.first - BEGIN) / DAY, (s.last - BEGIN) / DAY, s.percent, str(s.reason)) for s in spans
    ]


def test_a_valid_certificate_costs_nothing():
    """Every period would get a deduction although the meter is calibrated."""
    assert found([cert(-10, 365)]) == []


def test_no_certificate_costs_the_default_of_class_2():
    """Without a certificate, the error of class 2 is deducted."""
    assert found([]) == [(0, 365, 2, "no calibration")]


@pytest.mark.parametrize("quantity", [q.name for q in QUANTITIES])
def test_every_quantity_has_an_error_where_nothing_is_known(quantity):
    """Each quantity has a default permissible error."""
    (span,) = uncovered([], quantity, UTC, BEGIN, BEGIN + DAY)
    assert span.percent >= 2
    unnamed = Calibration(ORIGIN, ORIGIN, "C", "a class that nobody knows", None)
    assert error_percent(unnamed, quantity) == span.percent


def test_a_late_calibration_costs_from_due_date_to_calibration():
    """The permissible error is deducted from due date to late calibration."""
    late = [cert(-300, 100, "1", "A"), cert(145, 900, "0.5", "B")]
    assert found(late) == [(100, 145, 1, "certificate A has expired")]
    larger = [late[0], cert(145, 900, "3", "B")]
    assert found(larger) == [(100, 145, 3, "certificate A has expired")]


def test_what_a_delayed_calibration_found_counts_where_it_is_larger():
    """A larger error found by a late calibration is deducted."""

    def late(percent):
        later = replace(cert(145, 900, "0.5", "B"), found_error_percent=percent)
        return found([cert(-300, 100, "1", "A"), later])

    assert late(Decimal("0.3")) == [(100, 145, 1, "certificate A has expired")]
    # beyond what A permits the meter was off since A, not since its due date alone
    assert late(Decimal(3)) == [
        (0, 145, 3, "certificate B found an error of 3 %, more than is permitted by A")
    ]


def test_the_test_of_a_removed_meter_counts_for_its_time():
    """The calibration of a removed meter covers the time before its removal."""
    old = Calibration(date(2024, 1, 1), date(2026, 1, 6), "C1", None, Decimal(1), serial="A-1")
    new = Calibration(date(2026, 1, 2), date(2028, 1, 1), "C2", None, Decimal(1), serial="A-2")
    swapped = (BEGIN + 20 * DAY) * INTERVAL_US

    def of(*papers):
        return found(of_meter(papers, [swapped], "A-2", UTC), 100)

    assert of(old, new) == [(5, 20, 1, "certificate C1 has expired")]
    tested = Calibration(
        date(2026, 2, 3), date(2026, 2, 3), "T1", serial="A-1", found_error_percent=Decimal("0.8"),
        last_test=True,
    )  # fmt: skip
    assert of(old, new, tested) == of(old, new)
    (worse,) = of(old, new, replace(tested, found_error_percent=Decimal("1.7")))
    assert worse[:3] == (0, 20, Fraction("1.7"))
    # it covers nothing, and the new meter is not the one that was tested
    assert of(old, tested) == [
        (5, 20, 1, "certificate C1 has expired"), (20, 100, 1, "certificate C1 has expired"),
    ]  # fmt: skip
    assert of(new, replace(tested, found_error_percent=Decimal(9)))[0][:3] == (0, 20, 9)


@pytest.mark.parametrize(
    ("written", "percent"),
    [("1.5 %", "1.5"), ("±4%", "4"), ("0.5 - 1.5 %", "1.5"), ("0,5 %", None), ("0.5S", "0.5"),
     ("2 to 1 %", "2"), ("120 %", None)],
)  # fmt: skip
def test_a_class_in_per_cent_is_an_error(written, percent):
    """An accuracy class in per cent is applied as permissible error."""
    one = Calibration(date(2026, 1, 1), date(2027, 1, 1), "C", written)
    assert error_percent(one, "flow") == (5 if percent is None else Fraction(percent))
    # release 0.1.0 knew classes of electricity meters alone
    (first,) = by_first_rules([one])
    assert error_percent(first, "flow") == (Fraction("0.5") if written == "0.5S" else 5)


def test_time_before_the_first_and_after_the_last_certificate():
    """Time before the first and after the last certificate is uncovered."""
    assert found([cert(30, 60, "0.2", "A")], 90) == [
        (0, 30, Fraction("0.2"), "before certificate A"),
        (60, 90, Fraction("0.2"), "certificate A has expired"),
    ]


def test_the_error_comes_from_certificate_then_class_then_default():
    """A precise meter would be cut like a poor one, or the other way round."""
    days = (date(2026, 1, 1), date(2027, 1, 1), "C")
    assert error_percent(Calibration(*days, "2", 0.5), "energy_export") == Fraction("0.5")
    assert error_percent(Calibration(*days, "0.2S"), "energy_export") == Fraction("0.2")
    assert error_percent(Calibration(*days, "?"), "distance") == 4
    assert error_percent(Calibration(*days), "flow") == 5


@pytest.mark.parametrize("percent", [101, -1, Decimal("NaN"), "0.5", True])
def test_an_absurd_error_is_refused(percent):
    """A deduction of more than 100 % would make a quantity negative."""
    wrong = Calibration(date(2026, 1, 1), date(2027, 1, 1), "C-7", None, percent)
    with pytest.raises((PeriodError, MethodologyError), match="certificate C-7"):
        error_percent(wrong, "energy_export")


@given(st.lists(st.tuples(st.integers(-50, 420), st.integers(0, 200)), max_size=6), st.randoms())
def test_uncovered_time_is_what_no_certificate_covers(spans, chance):
    """Time that no certificate covers is found, for certificates entered in any order."""
    certificates = [cert(begin, begin + length) for begin, length in spans]
    chance.shuffle(certificates)
    days = {d for first, last, *_ in found(certificates) for d in range(int(first), int(last))}
    covered = {d for begin, length in spans for d in range(begin, begin + length)}
    assert days == set(range(365)) - covered


def test_a_meter_brings_the_certificate_that_names_it():
    """
    A new meter would count as uncalibrated despite its factory
    calibration before installation.
    """
    old, new = (
        Calibration(date(2025, 1, 1), date(2027, 1, 1), "C1", None, Decimal(1), serial="A-1"),
        Calibration(date(2026, 1, 5), date(2028, 1, 1), "C2", None, Decimal(1), serial="A-2"),
    )
    swapped = (BEGIN + 20 * DAY) * INTERVAL_US

    def covered(*papers, serial="A-2"):
        held = of_meter(papers, [swapped], serial, UTC)
        return [(first, last) for first, last, *_ in found(held, 100)]

    assert covered(old, new) == []
    assert covered(old) == [(20, 100)]
    # a serial that nobody changed is that of the meter that left
    assert covered(old, serial="A-1") == [(20, 100)]
    # one that ended before its meter was mounted covers nothing, once
    assert covered(old, replace(new, valid_until=date(2026, 1, 15))) == [(20, 100)]


def test_a_calibration_counts_until_its_interval_is_over():
    """A certificate is valid only until the calibration interval ends."""
    papers = [cert(-10, 4000, "0.5", "A")]

    def counts(months, source=None):
        return found(limited(papers, Interval(months, source)), 100)

    assert counts(240) == []
    assert found(limited(papers, None), 100) == []
    ((first, last, percent, why),) = counts(2)
    # 22 December 2025 and two months
    assert (first, last, percent) == (52, 100, Fraction("0.5"))
    assert "certificate A of 2025-12-22" in why
    assert "2 months" in why
    ((*_, why),) = counts(2, "Circular 23/2013")
    assert "Circular 23/2013" in why
    # the interval runs from the calibration, not from the day on which the meter was mounted
    named = [replace(cert(-300, 900, "1", "B"), serial="A-2"), replace(papers[0], serial="A-1")]
    swapped = (BEGIN + 20 * DAY) * INTERVAL_US
    held = of_meter(limited(named, Interval(12, None)), [swapped], "A-2", UTC)
    ends = date.fromordinal(ORIGIN.toordinal() - 300).replace(year=2026)
    assert [s[:2] for s in found(held, 100)][-1] == ((ends - ORIGIN).days, 100)


@pytest.mark.parametrize(
    ("own", "methodology", "country", "quantity", "months"),
    [
        (None, "jcm-vn-am007", "VN", "energy_export", 72),
        (None, "jcm-vn-am007", "VN", "flow", 192),
        (None, "ams-i-d", "VN", "energy_export", 36),
        (None, "ams-iii-c", "KE", "distance", 36),
        (None, "acm0012", "DE", "energy_export", 192),
        (240, "acm0012", "DE", "energy_export", 192),
        (12, "ams-i-d", "VN", "energy_export", 12),
        (60, "ams-i-d", "VN", "energy_export", 36),
    ],
)
def test_the_shortest_interval_counts(own, methodology, country, quantity, months):
    """An owner would type six years where the programme asks for three."""
    one = interval_of(own, methodology, country, [quantity])
    assert one.months == months
    assert (one.source is None) == (months == own)


def test_months_after_a_day():
    """A calibration of the 31st would have no day on which it is due."""
    assert after(date(2024, 1, 31), 1) == date(2024, 2, 29)
    assert after(date(2019, 12, 20), 72) == date(2025, 12, 20)
    assert after(date(9990, 1, 1), 240) == date.max


@pytest.mark.parametrize(
    ("values", "before"),
    [
        ([(1, 24)], None),
        ([(1, 24), (9, 36)], 24),
        ([(1, 24), (9, None)], 24),
        ([(1, 24), (9, 12)], None),
        ([(1, None), (9, 24)], None),
        ([(1, 12), (3, 24)], None),  # before the period began
        ([(7, 12), (9, 24)], 12),  # first registered after it
        ([(1, 24), (7, 12), (9, 24)], None),
        ([], None),
    ],
)
def test_an_interval_that_became_longer(values, before):
    """The meter error stated by a plan would be changed after its time is over."""
    one = lengthened(values, 5)
    assert (one and one.before) == before
