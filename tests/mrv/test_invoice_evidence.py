"""A building's reduction is that shown by its supplier's invoices and the weather service."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.accounting.evidenced_time import Corroboration, name_of
from mrv.accounting.period_result import INVOICE, CrossCheck
from mrv.methodologies import find
from mrv.registry import Calibration
from mrv.registry.project import ACCOUNTING, Invoice, ProjectDevice, SupportingData
from mrv.rules.closing import close
from tests.mrv import plant
from tests.mrv.plant import tonnes

RULE = "EVD-03"


SURE = (Calibration(date(2025, 1, 1), date(2040, 1, 1), "C", None, 0),)
BOOK = factors.load()
METHOD = find("ams-ii-e")
DAYS = 56
COUNT = DAYS * plant.DAY
END = plant.FROM + COUNT * INTERVAL_US
LINE = {
    "intercept_mwh": 1450, "slope_mwh_per_cdd": Decimal("0.62"), "least_cdd_per_month": 60,
    "most_cdd_per_month": 400, "months_of_baseline": 24,
}  # fmt: skip
# K s and Wh of a quarter of an hour: 254 K d a month, and 17 % saved
HONEST = {"weather": 7_520, "power": 79_338}


def billed(role, share=1, begin=0, end=COUNT, **other):
    """Return an invoice with the quantity of the supplier's meter, or of the weather service."""
    value = int(HONEST[role] * (end - begin) * share)
    edges = (plant.FROM + place * INTERVAL_US for place in (begin, end))
    quantity = METHOD.roles[role].quantity
    given = Invoice(
        f"i-{role}-{begin}", "its supplier", "1", date(2026, 3, 1), (role,), quantity, *edges,
        value, Decimal(5), "c3" * 32,
    )  # fmt: skip
    return replace(given, **other)


BILLS = (billed("weather"), billed("power"))


def building(
    weather=1,
    power=1,
    invoices=BILLS,
    line=LINE,
    documents=None,
    accounting=ACCOUNTING,
    certified=True,
):
    """Close eight weeks of a building whose meters report a multiple of the truth."""
    fleet = Fleet(
        [
            Device(name, "s", METHOD.roles[name].classes[0], rated_power_w=2 * 10**6,
                   installed_us=plant.FROM)
            for name in HONEST
        ]
    )  # fmt: skip
    rows = {
        (name, METHOD.roles[name].quantity): [int(HONEST[name] * scale)] * COUNT
        for name, scale in (("weather", weather), ("power", power))
    }
    bound = (ProjectDevice("weather", "weather"), ProjectDevice("power", "power"))
    project = replace(
        plant.PV, id="p", methodology="ams-ii-e", version=METHOD.version, expected={},
        parameters={**line, "ef_grid_t_per_mwh": Decimal("0.6592")}, devices=bound,
    )  # fmt: skip
    papers = plant.papers(*METHOD.baseline_documents) if documents is None else documents
    supporting = SupportingData(accounting=accounting, invoices=invoices, documents=papers)
    certificates = dict.fromkeys(HONEST if certified else (), SURE)
    return close(
        project, fleet, certificates, plant.laid_out(fleet, rows), plant.FROM,
        END, BOOK, supporting=supporting,
    )  # fmt: skip


def said(result, clause=RULE):
    """Return the text of a condition that is not met; empty if it is met or does not apply."""
    return "".join(f.detail for f in result.applicability if f.rule == clause and not f.holds)


HALVES = (billed("power", end=COUNT // 2), billed("power", begin=COUNT // 2))


LACKING = {
    "none": ((), "weather"),
    "electricity": (BILLS[:1], "power"),
    "weather": (BILLS[1:], "weather"),
    "no file": ((BILLS[0], billed("power", sha256=None)), "power"),
    "half of the time": ((BILLS[0], HALVES[1]), "power"),
    "another meter": ((BILLS[0], billed("power", devices=("next door",))), "power"),
    "another quantity": ((BILLS[0], billed("power", quantity="energy_export")), "power"),
    "any difference": ((BILLS[0], billed("power", percent=Decimal(60))), "power"),
}


@pytest.mark.parametrize("what", LACKING)
def test_without_invoices_nothing_is_reduced_and_emissions_stay(what):
    """Without invoices no reduction is credited; project emissions are kept."""
    invoices, says = LACKING[what]
    power = 0.5 if what == "any difference" else 1
    truth = building(power=power, certified=False)
    found = building(power=power, invoices=invoices, certified=False)
    assert tonnes(found) == 0
    assert found.net.project == truth.net.project
    lacks = f"corroborates {says}", f"The invoices of {says} do not corroborate it"
    assert any(text in said(found) for text in lacks)
    if what != "any difference":
        assert f"No reduction is credited until then ({truth.net.reduction.t[:-1]}" in said(found)


def test_a_bill_above_the_meter_leaves_what_the_meter_counts():
    """An invoice above the metered output does not raise it."""
    truth, found = building(), building(weather=0.92)
    assert 0 < tonnes(found) < tonnes(truth)
    assert tonnes(found) == tonnes(building(weather=0.92, invoices=BILLS[1:]))
    assert "do not corroborate" not in said(found)
    # of what the project emits the higher one counts, as ever
    less = building(power=0.9)
    assert tonnes(less) <= tonnes(truth)


def test_a_condition_says_why_an_invoice_does_not_count():
    """A finding states why an invoice is not accepted as evidence."""
    early = billed("power", from_us=plant.FROM - 96 * INTERVAL_US)
    assert "extends beyond the period" in said(
        building(invoices=(BILLS[0], early), certified=False)
    )
    bare = billed("power", sha256=None)
    assert "has no `sha256`" in said(building(invoices=(BILLS[0], bare), certified=False))


def test_an_invoice_of_time_that_was_still_to_come_shows_nothing():
    """An invoice issued before the end of its period is not evidence."""
    last = date(2026, 2, 25)  # of the period
    for issued, earns in ((last - timedelta(days=1), True), (last - timedelta(days=2), False)):
        invoices = (BILLS[0], billed("power", issued=issued))
        result = building(invoices=invoices, certified=False)
        assert (tonnes(result) > 0) is earns
        assert ("before the end of its period" in said(result)) is not earns


@pytest.mark.parametrize("role", HONEST)
def test_of_two_invoices_of_one_time_the_less_favourable_counts(role):
    """Which of them counted was by the ids that they were given."""
    other = next(b for b in BILLS if b.devices != (role,))
    shares = (1, Decimal("0.97") if role == "weather" else Decimal("1.03"))
    alone = building(invoices=(other, billed(role, shares[1])))
    assert tonnes(alone) < tonnes(building())
    for names in ("xy", "yx"):
        both = (billed(role, share, id=n, number=n) for share, n in zip(shares, names, strict=True))
        assert building(invoices=(other, *both)).net == alone.net


def checked(invoice, known, ours, holds=False):
    """Return the comparison of an invoice with its meter, which has data in a share of its time."""
    return CrossCheck(
        INVOICE, name_of(invoice), invoice.devices, invoice.quantity, unit="Wh",
        from_us=invoice.from_us, to_us=invoice.to_us, coverage=str(known), ours=str(ours),
        theirs=str(invoice.value), difference_percent="-1", tolerance_percent="5", effect_t="0",
        holds=holds, detail="",
    )  # fmt: skip


def test_successive_invoices_are_compared_together_only_where_each_can_be():
    """An invoice that cannot be compared would be corroborated by the invoices beside it."""
    one, two = HALVES
    meter = SimpleNamespace(
        needs=SimpleNamespace(side="project", quantity=one.quantity),
        device=SimpleNamespace(id="power"),
    )

    def agree(first, second, *invoices):
        evidence = Corroboration(SupportingData(invoices=invoices or HALVES), (first, second))
        return [check.from_us for check in evidence.holding(meter)]

    whole, half = checked(one, 1, one.value, holds=True), checked(two, "0.5", int(two.value * 0.7))
    both = [one.from_us, two.from_us]
    assert agree(whole, half) == [one.from_us]  # 0.85 of both, in three quarters of the time
    assert agree(whole, replace(half, ours=str(int(two.value * 0.55)))) == both
    # nothing is known of the second one, and its quantity is charged
    assert agree(whole, replace(half, coverage="0", ours="0")) == both
    # a meter at its mean in half of the time, of which the first one is a little above the invoice
    more = replace(whole, ours=str(int(one.value * 1.03)), holds=False)
    assert agree(more, replace(half, ours=str(two.value // 2))) == both
    # readings outside the period make good what the meter lacks in it
    low = replace(whole, ours=str(int(one.value * 0.85)), holds=False, coverage="0.99")
    high = checked(two, "0.99", int(two.value * 1.15))
    assert agree(low, high) == both
    assert agree(low, replace(high, outside=int(two.value * 1.12))) == []
    # one that cannot be compared, or is no evidence, is not taken in
    later = checked(two, "0.5", two.value // 2, holds=None)
    assert agree(whole, later) == [one.from_us]
    bare = replace(two, sha256=None)
    assert agree(whole, checked(bare, "0.5", two.value // 2), one, bare) == [one.from_us]


def test_a_sum_that_differs_is_told_with_its_difference():
    """A verifier read that another amount applies, and by how much in tonnes only."""
    found = building(power=0.985)
    (device,) = (one for one in found.devices if one.device == "power")
    more = sum(Decimal(d.quantity) for d in found.deductions if d.device == "power")
    assert int(device.metered) + more == BILLS[1].value
    changed = f"{more / 1000:,f}".rstrip("0").rstrip(".")
    assert f"a change of {changed} kWh" in said(found)


def test_what_an_invoice_adds_is_no_misstatement_and_has_its_grade():
    """An operator answered twice for one difference, and an agreeing invoice had grade D."""
    day = plant.DAY
    parts = billed("power", 1.1, end=20 * day), billed("power", begin=21 * day)
    found = building(invoices=(BILLS[0], *parts))
    assert "are added" in said(found, "EVD-05")
    (check,) = (c for c in found.cross_checks if c.against == name_of(parts[0]))
    assert (check.holds, check.effect_t) == (False, "0.000000")
    graded = {o.grade: float(o.tonnes) for o in found.evidence if o.name == "power"}
    # the day without an invoice has the grade of the meter, which an invoice contradicts
    assert graded["D"] / sum(graded.values()) == pytest.approx(1 / 56, rel=0.1)
    # a shorter invoice of the same time changes nothing
    shorter = billed("power", 1.1, end=2 * day, id="i-shorter")
    again = building(invoices=(BILLS[0], billed("power", 1.1), shorter))
    assert {o.grade for o in again.evidence if o.name == "power"} == {"B"}
