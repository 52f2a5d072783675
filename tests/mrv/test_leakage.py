"""Leakage, and what a project emits besides, is taken off whole."""

from decimal import Decimal
from fractions import Fraction

import pytest

from mrv import factors
from mrv.errors import MethodologyError
from mrv.methodologies import evaluate, find, load
from tests.golden import NAMES, case
from tests.mrv.report import closed

BOOK = factors.load()


def _golden(name):
    return case(name, Decimal)["inputs"]


@pytest.mark.parametrize(
    ("name", "key", "side"),
    [
        (m.id, key, side)
        for m in load().values()
        for key, side in (("leakage_t", "leakage_t"), ("other_project_t", "project_t"))
        if key in m.inputs and m.id in NAMES
    ],
)
def test_it_costs_what_it_is(name, key, side):
    """A project whose old equipment runs on elsewhere would be credited for it."""
    method, inputs = find(name), _golden(name)
    clean = evaluate(method, inputs, BOOK, name)
    burdened = evaluate(method, {**inputs, key: Decimal("12.5")}, BOOK, name)
    assert burdened.reduction_t == clean.reduction_t - Fraction("12.5")
    assert getattr(burdened, side) == getattr(clean, side) + Fraction("12.5")


def test_the_methods_whose_text_names_leakage_take_it():
    """A verifier's finding of leakage could not be entered."""
    named = {m.id for m in load().values() if "leakage_t" in m.inputs}
    assert named >= {
        "ams-ii-d", "ams-ii-d-cupola", "ams-iii-c", "ams-iii-f", "ams-iii-f-monthly", "ams-iii-h",
        "ams-iii-i", "ams-iii-u",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["ams-iii-f", "ams-iii-h", "ams-iii-u"])
def test_no_leakage_is_a_statement_that_a_document_shows(name):
    """Leakage of zero without a document is reported."""
    facts = closed.facts_of(closed.names()[name])
    codes = [
        each.code for one in facts.subject.applicability if not one.holds for each in one.texts
    ]
    assert codes.count("PAR-07.leakage") == 1


def test_captured_methane_is_capped_after_leakage_too():
    """The cap on burnt methane would hide what leaks."""
    inputs = _golden("ams-iii-h") | {"biogas_nm3": 100_000}
    method = find("ams-iii-h")
    capped = evaluate(method, inputs, BOOK, "x").reduction_t
    for key in ("leakage_t", "other_project_t"):
        assert evaluate(method, {**inputs, key: 7}, BOOK, "x").reduction_t == capped - 7


def test_refrigerant_that_is_filled_up_was_lost():
    """A chiller's leak of 10 kg R-410A is 19 t that nobody would see."""
    method, inputs = find("ams-ii-c"), _golden("ams-ii-c")
    clean = evaluate(method, inputs, BOOK, "x")
    leaky = {**inputs, "refrigerant_kg": 10, "refrigerant_gwp": 1924}
    lost = evaluate(method, leaky, BOOK, "x")
    assert clean.reduction_t - lost.reduction_t == Fraction("19.24")
    with pytest.raises(MethodologyError, match="refrigerant_gwp = 0; give the refrigerant's"):
        evaluate(method, {**inputs, "refrigerant_kg": 10}, BOOK, "x")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("ams-ii-d-cupola", {"ef_grid_t_per_mwh": Decimal("1.2")}),
        ("jcm-id-am009", {"eta_project": Decimal("0.3")}),
    ],
)
def test_a_switch_that_saves_nothing_is_no_reduction(name, changed):
    """A switch to a dirty grid would be filed as energy efficiency."""
    assert evaluate(find(name), {**_golden(name), **changed}, BOOK, name).reduction_t < 0


def test_a_retrofit_earns_only_what_it_adds():
    """An old plant would be credited for what it made all along."""
    method, inputs = find("ams-i-d"), _golden("ams-i-d")
    old = {**inputs, "eg_hist_mwh": 30_000, "sigma_hist_mwh": Decimal("339.2")}
    new = evaluate(method, old, BOOK, "x").baseline_t
    assert new == 4_000 * Fraction(str(inputs["ef_grid_t_per_mwh"]))
    # a year that stays behind is owed by the next ones, not forgotten
    worse = evaluate(method, {**old, "eg_hist_mwh": 40_000}, BOOK, "x").reduction_t
    assert worse == -6_000 * Fraction(str(inputs["ef_grid_t_per_mwh"]))


def test_a_hybrids_fuel_counts_against_it():
    """A hybrid bus would drive on diesel for nothing."""
    method, inputs = find("ams-iii-c"), _golden("ams-iii-c")
    clean = evaluate(method, inputs, BOOK, "x").reduction_t
    fuel = evaluate(method, {**inputs, "project_diesel_l": 1000}, BOOK, "x").reduction_t
    assert float(clean - fuel) == pytest.approx(2.7206256, abs=1e-6)  # TOOL03: 0.84 * 43.3 * 74.8
