"""
Main meters compared with check meters and invoices, and the effect of differences.

An invoiced amount applies where a baseline meter reports more.

Whether an invoice's issuer is the operator under another name.
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest

from ingest.model import INTERVAL_US, Device, Fleet, IntervalRows
from mrv import factors
from mrv.accounting.evidenced_time import Corroboration, shows
from mrv.accounting.invoice_sums import with_lines_added
from mrv.calendar import utc_text
from mrv.parameters import RequiredGrades
from mrv.registry.project import ACCOUNTING, CheckMeter, Earlier, Invoice, SupportingData
from mrv.rules import closing as period
from mrv.rules.closing import close
from mrv.signatures.organisations import affiliated
from mrv.statement.conditions import findings, unmet
from mrv.statement.cross_check_json import indicated
from tests.mrv.plant import CERTIFICATES, DAY, FLEET, FROM, PV, full

# ruff: noqa: RUF001 - letters that look alike are what it is about


ONE = [
    ("Green Port Co., Ltd", "GREEN PORT Energy JSC"),
    ("Hải Phòng Green Port Co., Ltd", "Green Port energy"),
    ("Ｇｒｅｅｎ　Ｐｏｒｔ", "green-port (energy) Limited"),
    ("GreenPort", "Green Port Energy"),
    ("Green Роrt", "Green Port Supply"),
    ("Công ty CP Xanh Việt", "Công ty TNHH MTV Năng lượng Xanh Việt"),
    ("Cty CP Xanh Việt", "CTCP Xanh Việt"),
    ("株式会社北九州環境", "北九州環境電力株式会社"),
    ("(株)グリーン港", "グリーン港エネルギー"),
    ("EVN", "EVN Hai Phong"),
    ("Hai Phong Power Company", "Hai Phong Power JSC"),
]
TWO = [
    ("Hai Phong city", "Hai Phong Power Company"),
    ("Hai Phong", "Hai Phong Power Company"),
    ("Hai Phong City", "Hai Phong City Power Company"),
    ("Hai Phong People's Committee", "Hai Phong Power Company"),
    ("Thành phố Hải Phòng", "Công ty TNHH MTV Điện lực Hải Phòng"),
    ("UBND thành phố Hải Phòng", "Điện lực thành phố Hải Phòng"),
    ("City of Kitakyushu", "City of Kitakyushu Waterworks"),
    ("北九州市", "北九州市水道"),
    ("Hai Phong Energy JSC", "Hai Phong Electricity"),
    ("Hai Phong Bus JSC", "Hai Phong Power Company"),
    ("Cat Ba Bus", "EVN Cat Ba"),
    ("Green Port", "Green Hill Energy"),
    ("Vietnam Energy", "Vietnam Energy and Water of Hai Phong"),
    ("Port", "Porter Energy"),
    ("Ltd", "Power Ltd"),
]


@pytest.mark.parametrize(("operator", "issuer"), ONE)
def test_an_issuer_that_holds_the_operators_name_is_no_other(operator, issuer):
    """An owner would write his own invoices with one word more in his name."""
    assert affiliated(operator, issuer)
    assert affiliated(issuer, operator)


@pytest.mark.parametrize(("operator", "issuer"), TWO)
def test_a_shared_place_or_trade_is_no_shared_name(operator, issuer):
    """The regional supplier of an honest owner would be taken for the owner."""
    assert not affiliated(operator, issuer)
    assert not affiliated(issuer, operator)


DAY_US = DAY * INTERVAL_US
DAYS = 10
# what an inverter makes in a quarter of an hour, and in a day [Wh]
EACH = 10_000
DAILY = EACH * DAY


def bill(days, begin=0, end=DAYS, devices=("inv-1",), percent=2, **other):
    """Return an invoice for some days, with the energy of a number of days."""
    given = Invoice(
        f"i-{begin}-{end}-{days}", "EVN", f"{begin}", date(2026, 3, 1), devices, "energy_export",
        FROM + begin * DAY_US, FROM + end * DAY_US, round(days * DAILY), percent, "ab" * 32,
    )  # fmt: skip
    return replace(given, **other)


def closed(*invoices, times=1.0, second=1.0, skip=(), accounting=ACCOUNTING, outside=(), unknown=0):
    """Close ten days of two inverters whose meters count a multiple of the truth."""
    count = DAYS * DAY
    rows = IntervalRows.concat(
        [
            full("inv-1", "energy_export", count, int(EACH * times), skip),
            full("inv-2", "energy_export", count, int(EACH * second)),
        ]
    )
    # intervals whose quantity is counted and whose time is partly unknown
    rows.measured_us[:unknown] -= 1
    rows.unknown_us[:unknown] += 1
    supporting = SupportingData(accounting=accounting, invoices=invoices, outside=outside)
    end = FROM + DAYS * DAY_US
    return close(PV, FLEET, CERTIFICATES, rows, FROM, end, factors.load(), supporting=supporting)


def test_a_difference_that_only_the_claimants_tolerance_explains_is_reported():
    """An inflated meter would pass by a tolerance typed to fit the true invoice."""

    def said(times, percent):
        found = closed(bill(10, percent=percent), times=times)
        of = [one for one in found.applicability if "EVD-03.explained" in repr(one.texts)]
        return [(one.holds, one.severity) for one in of]

    assert said(1.1, 11) == [(False, "observation")]
    assert said(1.04, 11) == said(1.1, 5) == said(0.9, 11) == []


def test_what_is_counted_in_incomplete_intervals_is_no_misstatement():
    """A statement that agrees with its invoice would be material for the time of a gap."""
    found = closed(bill(10), unknown=DAY)
    (check,) = found.cross_checks
    assert (check.holds, check.effect_t) == (False, "0.000000")
    assert indicated(found).absolute_t == 0
    (check,) = closed(bill(11), unknown=DAY).cross_checks
    (whole,) = closed(bill(11)).cross_checks
    assert check.effect_t == whole.effect_t


def test_what_is_deducted_is_no_misstatement():
    """
    A statement that applies the invoiced quantity would still
    get a finding on the difference.
    """
    found = closed(bill(10), times=1.2)
    (check,) = found.cross_checks
    assert (check.holds, check.effect_t) == (False, "0.000000")
    assert indicated(found).absolute_t == 0
    # nor where another invoice shows the rest of the time
    found = closed(bill(5, 0, 5), bill(7.5, 5), times=1.5)
    assert indicated(found).absolute_t == 0
    # what no rule took off is one
    unbound = closed(bill(10, sha256=None), times=1.2)
    assert indicated(unbound).absolute_t > 0


def test_the_lines_of_one_document_are_one_invoice():
    """An invoice of three tariffs, entered line by line, left a tenth of what was delivered."""
    lines = [bill(days, number="7") for days in (5.5, 3.5, 1)]
    whole = closed(bill(10))
    found = closed(*lines)
    assert found.net == whole.net
    (check,) = found.cross_checks
    assert (check.holds, check.theirs) == (True, str(10 * DAILY))
    assert all(line.id in check.against for line in lines)
    # nor does a tariff of another's amount count once, nor a document that was entered twice twice
    alike = (bill(days, number="7", id=f"line {k}") for k, days in enumerate((5, 2.5, 2.5)))
    assert closed(*alike).net == whole.net
    again = (replace(line, id=f"{line.id} again") for line in lines)
    assert closed(*lines, *again).net == whole.net
    # another document, and lines without their file, add nothing
    assert closed(bill(10, number="7"), bill(3, number="8")).net != whole.net
    assert closed(*(replace(line, sha256=None) for line in lines)).cross_checks != (check,)


def test_bills_of_a_meter_that_is_read_within_a_day_agree_in_sum():
    """
    A meter read at noon would differ from each invoice whose last
    day is sunnier than its first.
    """

    def held(*invoices, times=1.0):
        return [check.holds for check in closed(*invoices, times=times).cross_checks]

    assert held(bill(5.09, 0, 5), bill(4.88, 5)) == [True, True]
    # a week's error is not made good by one that agrees, nor a meter that shows more all the time
    assert held(bill(5, 0, 5), bill(4.8, 5)) == [True, False]
    assert held(bill(5, 0, 5), bill(5, 5), times=1.03) == [False, False]


def test_a_bill_may_make_good_more_than_the_estimates_of_the_period():
    """An instalment below the meter would ask for an answer that the next bill has given."""

    def held(*days):
        bills = bill(days[0], 0, 5), bill(days[1], 5)
        return [check.holds for check in closed(*bills).cross_checks]

    # the bill that also corrects an estimate before the period states more, and stays reported
    assert held(4.6, 5.8) == [True, False]
    # what states far more is of something else, and one that states less makes good nothing
    assert held(4.6, 6.5) == [False, False]
    assert held(4.6, 5.0) == [False, True]
    assert held(5.8, 4.6) == [False, True]


@pytest.mark.parametrize(("days", "says"), [(28, True), (31, True), (35, False)])
def test_an_invoice_of_five_weeks_does_not_show_four_of_them(days, says):
    """A week of storm before a calm month would settle a register that its power contradicts."""
    check = SimpleNamespace(from_us=0, to_us=days, theirs=str(10 * days), theirs_within=280)
    assert [shows(check, 28, side) for side in ("baseline", "project")] == [says, says]


def test_a_corrected_line_is_corrected_within_its_document():
    """A charger's line could be lowered by a correction that was compared with nothing."""
    first, rest = bill(6, number="7"), bill(4, number="7")
    right = replace(first, id="right", value=5 * DAILY)
    given = SupportingData(invoices=(right, rest), replaced=((first, right, "misread"),))
    found = with_lines_added(given)
    ((old, new, _),) = found.replaced
    assert found.invoices == (new,)
    assert (old.value, new.value) == (10 * DAILY, 9 * DAILY)
    # another document in place of one line, or of each, is compared with all lines
    other = bill(8.5, number="8")
    (pair,) = with_lines_added(
        SupportingData(invoices=(other, rest), replaced=((first, other, "adjusted"),))
    ).replaced
    assert [each.value for each in pair[:2]] == [10 * DAILY, 8.5 * DAILY]
    each = bill(5, number="8", id="one"), bill(3.5, number="8", id="two")
    replaced = tuple(zip((first, rest), each, ("adjusted",) * 2, strict=True))
    (pair,) = with_lines_added(SupportingData(invoices=each, replaced=replaced)).replaced
    assert [each.value for each in pair[:2]] == [10 * DAILY, 8.5 * DAILY]


CHECKED = Fleet([*FLEET.devices, Device("check-1", "s", "energy_meter", installed_us=FROM)])
METER = SupportingData((CheckMeter("inv-1", "check-1", 2),))


def _check_rows(value, count=DAY, skip=()):
    rows = full("inv-1", "energy_export", count, value, skip)
    return replace(rows, device=rows.device * 0 + CHECKED.by_id["check-1"])


def _close(project, rows, supporting, days=1):
    return period.close(
        project,
        CHECKED,
        CERTIFICATES,
        rows,
        FROM,
        FROM + days * DAY_US,
        factors.load(),
        0,
        supporting,
    )


def _pv(main, check, supporting=METER, **more):
    rows = IntervalRows.concat(
        [
            full("inv-1", "energy_export", DAY, main),
            full("inv-2", "energy_export", DAY, 7),
            _check_rows(check, **more),
        ]
    )
    return _close(PV, rows, supporting)


def test_a_meter_of_which_nothing_is_credited_understates_nothing():
    """A plant would have a material misstatement for energy that it does not claim."""
    assert _pv(9_000, 10_000).cross_checks[0].effect_t == "-0.031968"
    rows = IntervalRows.concat([full("inv-1", "energy_export", DAY, 9_000), _check_rows(10_000)])
    alone = period.close(
        PV, CHECKED, {}, rows, FROM, FROM + DAY_US, factors.load(), 0,
        replace(METER, accounting=ACCOUNTING, required=RequiredGrades(quantities="B")),
    )  # fmt: skip
    (found,) = alone.cross_checks
    assert (found.holds, found.effect_t) == (False, "0.000000")


def test_a_main_meter_that_shows_too_much_is_reported_with_its_cost():
    """A difference from the check meter is reported in tonnes."""
    (found,) = _pv(10_000, 9_000).cross_checks
    assert found.holds is False
    # 96 000 Wh too many at 0.333 t/MWh
    assert found.effect_t == "0.031968"
    assert "differ" in found.detail


def _claims(result):
    """Return the claims of a statement with the comparisons of a result."""
    checks = [
        SimpleNamespace(
            **{name: getattr(check, name) for name in check.__slots__},
            from_=utc_text(check.from_us), to=utc_text(check.to_us),
        )
        for check in result.cross_checks
    ]  # fmt: skip
    period = SimpleNamespace(timezone=result.timezone)
    gaps = [
        SimpleNamespace(
            device=gap.device, from_=utc_text(gap.start_us), to=utc_text(gap.end_us),
            forgone_at_most_t=gap.forgone_at_most_t,
        )
        for gap in result.gaps
    ]  # fmt: skip
    return SimpleNamespace(
        applicability=(), cross_checks=checks, gaps=gaps, monitoring_period=period
    )


@pytest.mark.parametrize(("check", "severity"), [(9_000, "CAR"), (11_000, "observation")])
def test_a_meter_that_counts_less_than_its_check_meter_is_an_observation(check, severity):
    """A plant whose conservative meter counts would have to answer a request."""
    claims = _claims(_pv(10_000, check))
    (found,) = findings(claims)
    assert found.severity == severity
    assert len(unmet(claims)) == (severity != "observation")


@pytest.mark.parametrize(
    ("main", "check", "holds"),
    [(25_000, 25_000, None), (25_000, 24_950, True), (10_000, 10_000, True)],
    ids=["one signal", "two meters", "too little to tell"],
)
def test_a_check_meter_that_copies_its_meter_is_no_evidence(main, check, holds):
    """A false meter could be its own check meter by a second bus address."""
    found = _pv(main, check, replace(METER, accounting=ACCOUNTING))
    (compared,) = found.cross_checks
    assert compared.holds is holds
    said = [one for one in found.applicability if one.rule == "MTR-03" and not one.holds]
    asked = [one.severity for one in said if "one_signal" in repr(one.texts)]
    assert asked == ([] if holds else ["CL"])


@pytest.mark.parametrize(
    ("edge", "middle", "sparse", "holds"),
    [
        (9_000, 10_000, True, None),  # a difference where the quantity is a mean
        (9_000, 10_000, False, False),
        (9_000, 9_000, True, False),
        (11_000, 10_000, True, False),  # more than the meter: an observation
    ],
)
def test_a_check_meter_read_rarely_is_judged_between_its_readings(edge, middle, sparse, holds):
    """An honest plant would earn nothing by the weather before its check meter's first reading."""
    check = _check_rows(0)
    value = np.array([edge] * 24 + [middle, middle + 9] * 24 + [edge] * 24, dtype=np.int64)
    if sparse:
        check = replace(check, measured_us=check.measured_us * 0, estimated_us=check.measured_us)
    main = full("inv-1", "energy_export", DAY, 10_000), full("inv-2", "energy_export", DAY, 7)
    rows = IntervalRows.concat([*main, replace(check, value=value)])
    (compared,) = _close(PV, rows, replace(METER, accounting=ACCOUNTING)).cross_checks
    assert compared.holds is holds


@pytest.mark.parametrize(
    ("check", "skip", "codes"),
    [(9_000, (), ["checked.differs"]), (9_990, range(20), ["checked.known"]), (9_990, (), [])],
    ids=["differs", "read rarely", "agrees"],
)
def test_a_check_meter_that_is_no_evidence_has_its_reason(check, skip, codes):
    """An operator with a check meter would read only that one is missing (EVD-01)."""
    found = _pv(10_000, check, skip=skip)
    meter = SimpleNamespace(
        device=SimpleNamespace(id="inv-1"),
        needs=SimpleNamespace(quantity="energy_export", side="baseline"),
        span_us=(FROM, FROM + DAY_US),
    )
    reasons = Corroboration(METER, found.cross_checks).reasons(meter)
    assert [reason.code for reason in reasons] == codes


def _invoice(value, begin=0, end=DAY, devices=("inv-1", "inv-2"), **more):
    first, last = (FROM + place * INTERVAL_US for place in (begin, end))
    issued = date(2026, 2, 1)
    return Invoice(
        "I-1", "EVN", "7", issued, devices, "energy_export", first, last, value, 2, **more
    )


@pytest.mark.parametrize(
    ("invoice", "holds", "detail"),
    [
        (_invoice(10_007 * DAY), True, ""),
        (_invoice(9_000 * DAY), False, "differ"),
        (_invoice(11_000 * DAY), False, "differ"),
        (_invoice(10_007 * DAY, end=DAY + 1), None, "beyond the period"),
        (_invoice(1, devices=("ch-1", "inv-1")), None, "ch-1 counts"),
        (_invoice(0), False, "differ"),
    ],
)
def test_invoices(invoice, holds, detail):
    """Invoiced and metered quantities are compared over the same time."""
    rows = IntervalRows.concat(
        [full("inv-1", "energy_export", DAY, 10_000), full("inv-2", "energy_export", DAY, 7)]
    )
    (found,) = _close(PV, rows, SupportingData(invoices=(invoice,))).cross_checks
    assert found.holds is holds
    assert detail in found.detail
    if holds is not None:
        more = int(found.ours) > int(found.theirs)
        assert (Decimal(found.effect_t) > 0) is more


@pytest.mark.parametrize(
    ("value", "asked"), [(10_000, True), (10_000_000_000, True), (9_000_000, False)]
)
def test_an_invoice_in_another_unit_is_told_by_its_factor(value, asked):
    """An operator who entered MWh as kWh would read of 99,900 %, and not what to enter."""
    rows = full("inv-1", "energy_export", DAY, 10_000_000 // DAY)
    invoice = _invoice(value, devices=("inv-1",))
    (found,) = findings(_claims(_close(PV, rows, SupportingData(invoices=(invoice,)))))
    assert ("`unit`" in found.words()) == asked


@pytest.mark.parametrize(("missing", "told"), [(4, True), (1, False)])
def test_a_difference_that_gaps_can_contain_is_said_to_be_in_them(missing, told):
    """A true bill that differed by a jump of the register was taken for one with a wrong day."""
    rows = full("inv-1", "energy_export", DAY, 1_000_000 // DAY)
    rows = rows.take(np.arange(DAY) >= missing)
    invoice = _invoice(1_040_000, devices=("inv-1",))
    (found,) = findings(_claims(_close(PV, rows, SupportingData(invoices=(invoice,)))))
    assert found.severity == "observation"
    assert ("can contain the whole difference" in found.words()) == told


@pytest.mark.parametrize(("days", "asked"), [(8, True), (9, False), (10, False)])
def test_a_bill_whose_last_day_was_entered_as_its_end_is_reported(days, asked):
    """A building whose bill was entered a day short earned nothing, and was asked for its unit."""
    found = closed(bill(9, 0, days, percent=1))
    said = " ".join(one.words() for one in findings(_claims(found)))
    assert ("`to: 2026-01-10`" in said) == asked


def test_other_periods_are_compared_by_their_length():
    """Periods of other length are compared by daily means."""
    rows = IntervalRows.concat(
        [full("inv-1", "energy_export", DAY, 10_000), full("inv-2", "energy_export", DAY, 10_000)]
    )
    before = Earlier(
        "TN-before",
        FROM - 2 * DAY_US,
        FROM,
        2_400_000,
        factors.load().select("jcm-vn-am007.case-1", "avoided").value,
    )
    found = _close(PV, rows, SupportingData(earlier=(before,))).comparisons
    bases = [(c.basis, c.what) for c in found]
    assert bases[:2] == [("design", "energy [kWh]"), ("design", "reduction [t]")]
    energy = next(c for c in found if (c.basis, c.what) == ("TN-before", "energy [kWh]"))
    assert (energy.expected, energy.actual) == ("1200.000000", "1920.000000")
    assert energy.difference_percent == "60.00"
