"""Grades of evidence: a statement states the evidence of each quantity and value."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from ingest.model import INTERVAL_US
from mrv.accounting.coverage import Service
from mrv.accounting.device_period import Monitored, YearPart
from mrv.accounting.evidenced_time import Corroboration
from mrv.accounting.period_result import INVOICE, METER, CrossCheck
from mrv.calendar import utc_text
from mrv.documents import coded
from mrv.documents.period_account import EvidenceItem
from mrv.methodologies import find
from mrv.parameters import GRADES
from mrv.registry.project import ProjectDevice, SupportingData
from mrv.rules import rules
from mrv.rules.closing import close
from mrv.rules.grades import shares, signed
from mrv.statement.conditions import findings
from tests.closes import corpus
from tests.mrv import plant
from tests.soak import SOAK

# a turbine whose auxiliary meter tells four fifths of its invoice
TURBINE = "2/acm0012/6364089b4455"


def _item(kind, name, grade, tonnes):
    return EvidenceItem(
        kind=kind, name=name, role="generation", grade=grade, tonnes=tonnes, shown_by=()
    )


def _shares(items, reduction):
    return {g: float(s) for g, s in shares(items, Fraction(reduction)).items()}


def test_a_claim_is_as_good_as_the_weakest_evidence_that_carries_it():
    """A typed consumption that carries all of a claim would hide behind calibrated meters."""
    meters = [_item("meter", "km", "C", "8"), _item("meter", "kwh", "B", "2")]
    assert _shares(meters, "6") == {"A": 0, "B": 0, "C": 1, "D": 0}
    assert _shares(meters, "10") == {"A": 0, "B": 0.2, "C": 0.8, "D": 0}
    typed = _item("parameter", "sfc_l_per_100km", "D", "6")
    assert _shares([*meters, typed], "6") == {"A": 0, "B": 0, "C": 0, "D": 1}
    small = _item("parameter", "tdl", "D", "0.3")
    assert _shares([*meters, small], "6") == {"A": 0, "B": 0, "C": 0.95, "D": 0.05}
    shown = _item("parameter", "sfc_l_per_100km", "B", "6")
    assert _shares([*meters, shown], "6") == _shares(meters, "6")


def test_what_rests_on_nothing_is_of_the_lowest_grade():
    """A period without any credited quantity would be shown with grade A."""
    assert _shares([], "0") == {"A": 0, "B": 0, "C": 0, "D": 1}


def test_a_document_more_never_lowers_a_grade():
    """An operator who shows more would look worse."""
    for grade in GRADES:
        better = GRADES[: GRADES.index(grade) + 1]
        base = [_item("meter", "m", "C", "1"), _item("parameter", "p", grade, "1")]
        worst = _shares(base, "1")
        for other in better:
            found = _shares([base[0], _item("parameter", "p", other, "1")], "1")
            assert found["D"] <= worst["D"]


def test_what_a_meter_signed_itself_is_of_the_best_grade():
    """A sealed meter's signature would count no more than a typed value."""
    items = signed(
        [_item("meter", "m", "C", "4"), _item("meter", "k", "D", "4")], {"m": Fraction(1, 4)}
    )
    assert [(o.name, o.grade, o.tonnes) for o in items] == [
        ("m", "A", "1.000000"), ("m", "C", "3.000000"), ("k", "D", "4"),
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "holds"), [(METER, False), (INVOICE, False), (METER, True)])
def test_a_meter_that_another_source_contradicts_is_no_evidence(kind, holds):
    """A register a fifth too high would count beside a true check meter that says so."""
    result = check_of(kind, ours=120, theirs=120 if holds else 100, holds=holds)
    one = monitored()
    evidence = Corroboration(SupportingData(), [result])
    assert evidence.contradicted(one) is not holds
    assert evidence.evidenced(one) is holds


def test_a_check_meter_that_shows_more_contradicts_no_register():
    """A calibrated register would earn nothing, because its check meter shows more than it."""
    more = check_of(METER, ours=100, theirs=120, holds=False)
    assert Corroboration(SupportingData(), [more]).evidenced(monitored())


def monitored():
    """Return a device as metered on a day."""
    return Monitored(
        ProjectDevice("inv-1", "generation"), plant.FLEET.devices[0],
        find("jcm-vn-am007").roles["generation"], {}, (),
        Service(0, *np.zeros((5, 96), dtype=np.int64), 0), (),
        (YearPart(2026, 120, ()),),
    )  # fmt: skip


def check_of(kind, ours, theirs, *, holds):
    """Return a comparison of a device over a day."""
    return CrossCheck(
        kind, "the other", ("inv-1",), "energy_export", "Wh", 0, 96 * INTERVAL_US, "1",
        str(ours), str(theirs), "20", "4", "0", holds, "",
    )  # fmt: skip


@pytest.fixture(scope="module")
def closes():
    """Return golden closes of the present rules, one of each methodology."""
    found, books = corpus.read()
    books = corpus.books_of(books)
    first = {}
    for name in sorted(found):
        rules, method, _ = name.split("/")
        if rules == "2":
            first.setdefault(method, []).append(name)
    chosen = [name for names in first.values() for name in names[: 4 if SOAK else 1]]
    return {name: close(*corpus.asked_of(found[name], books)) for name in chosen}


def test_every_close_says_what_it_rests_on(closes):
    """A verifier would not know which meter or typed value to look at first."""
    for name, result in closes.items():
        reduction = Fraction(result.claimed_t)
        by_grade = shares(result.evidence, reduction)
        assert [*by_grade] == [*GRADES], name
        assert abs(sum(map(Fraction, by_grade.values())) - 1) <= Fraction(4, 10**6), name
        assert all(0 <= Fraction(one) <= 1 for one in by_grade.values()), name
        carried = [Fraction(one.tonnes) for one in result.evidence]
        assert carried == sorted(carried, reverse=True), name
        values = [o for o in result.evidence if o.kind == "parameter"]
        assert all(
            0 <= Fraction(o.tonnes) <= abs(reduction) + Fraction(1, 10**6) for o in values
        ), name
        devices = {one.device for one in result.devices if Fraction(one.emissions_t)}
        assert devices <= {o.name for o in result.evidence if o.kind == "meter"}, name


def test_every_line_of_a_close_adds_up(closes):
    """A verifier who adds up the lines of a statement would not come to what counts."""
    for name, result in closes.items():
        for device in {one.device for one in result.devices}:
            mine = [one for one in result.devices if one.device == device]
            lines = [d for d in result.deductions if d.device == device]
            adjusted = sum(Fraction(d.quantity) for d in lines)
            adjusted += sum(Fraction(one.substituted) for one in mine)
            counted = sum(Fraction(one.counted) - one.metered for one in mine)
            assert adjusted == pytest.approx(counted, abs=1e-6 * (len(lines) + 2)), (name, device)
        known = {*rules(), "calibration", "own use", "design"}
        assert {d.kind for d in result.deductions} <= known, name


def test_an_invoice_that_counts_is_one_finding():
    """An operator would answer for one difference twice, once at an effect of 0 t."""
    found, books = corpus.read()
    result = close(*corpus.asked_of(found[TURBINE], corpus.books_of(books)))
    claims = SimpleNamespace(
        applicability=[
            SimpleNamespace(
                name=f.rule, holds=f.holds, texts=tuple(map(coded, f.lines)), detail="",
                severity=f.severity, tonnes=f.tonnes, devices=f.devices, remedy=(),
            )
            for f in result.applicability
        ],
        cross_checks=[
            SimpleNamespace(
                **{name: getattr(check, name) for name in check.__slots__},
                from_=utc_text(check.from_us), to=utc_text(check.to_us),
            )
            for check in result.cross_checks
        ],
        monitoring_period=SimpleNamespace(to=utc_text(result.to_us), timezone=result.timezone),
    )  # fmt: skip
    (one,) = (f for f in findings(claims) if "i-aux" in f.words())
    assert one.rule == "EVD-05"
    assert "20 %)" in one.words()
