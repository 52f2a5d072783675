"""No evidence, no tonne: what only a plant's own meter tells counts nothing."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from mrv.registry.project import FIRST, Sample
from mrv.rules.service_evidence import UNCOUNTED
from tests.mrv import plant
from tests.mrv.test_design_capacity import BUILT, WEEK, WEEKS, composted, tonnes, treated

RULE = "EVD-02"

COUNT = WEEKS * WEEK
LINE = {"design_mass_t_per_d": 60, "design_kwh_per_t": 10}


def weighed(scale=1, power=1, built=LINE, **besides):
    """Close five weeks of a composting plant, 48 t a day at 10 kWh/t, its meters too high."""
    return composted([500_000 * scale] * COUNT, [int(5_000 * power)] * COUNT, built, **besides)


def said(result, clause=RULE):
    """What a condition says that does not hold; empty where it holds, or is not asked."""
    return "".join(f.detail for f in result.applicability if f.rule == clause and not f.holds)


@pytest.mark.parametrize("name", LINE)
@pytest.mark.parametrize(
    ("papers", "what"),
    [
        (None, "is not given|no value is entered"),
        ((), "no document is named"),
        ({"by": None}, "has no `by`"),
        ({"issued": None}, "has no `issued`"),
        ({"sha256": None}, "has no `sha256`"),
        ({"issued": date(2026, 1, 2)}, "is of 2026-01-02, after the period began"),
    ],
)
def test_a_design_without_its_evidence_earns_nothing_and_says_what_to_give(name, papers, what):
    """A weighbridge three times too high earned 281 t in place of 91, with two conditions."""
    built = {k: v for k, v in LINE.items() if papers is not None or k != name}
    held = [plant.papers(k) for k in LINE if k != name]
    if papers:
        held.append(plant.papers(name, **papers))
    documents = tuple(one for some in held for one in some)
    found = weighed(3, built=built, documents=documents, certified=False)
    assert tonnes(found) <= 0
    assert name in said(found)
    assert any(text in said(found) for text in what.split("|"))
    (charge,) = (d for d in found.deductions if d.reason == UNCOUNTED)
    assert charge.device == "weigh"
    # a weighbridge under valid calibration is evidence by itself (grade C)
    calibrated = weighed(3, built=built, documents=documents)
    assert tonnes(calibrated) > 0
    assert not said(calibrated)
    # nobody asked before, and three times the truth was earned
    before = weighed(3, built={}, accounting=FIRST)
    assert tonnes(before) > 2 * tonnes(weighed())


def test_a_plant_that_claims_to_use_a_multiple_of_its_design_shows_nothing_by_it():
    """Ten times the capacity and a thousandth of the electricity would bound nothing."""
    absurd = {"design_mass_t_per_d": 480, "design_kwh_per_t": Decimal("0.01")}
    found = weighed(3, built=absurd, certified=False)
    assert tonnes(found) <= 0
    assert "that value cannot be of this plant" in said(found)
    # a capacity that is never reached leaves what the electricity carries
    wide = weighed(3, built=LINE | {"design_mass_t_per_d": 1000})
    assert 0 < tonnes(wide) <= tonnes(weighed()) * 1.001
    assert tonnes(weighed(built=LINE | {"design_mass_t_per_d": 1000})) == tonnes(weighed())


WET = BUILT | {"design_flow_m3_per_d": 1200, "design_cod_kg_per_d": 7200}


def test_a_load_beyond_what_its_electricity_carries_counts_as_that():
    """COD and gas, or water and gas, at two fifths of the load would claim twice the truth."""
    truth = treated(built=WET)
    for false in ({"cod": 2, "gas": 2}, {"flow": 1.9, "gas": 2}):
        found = treated(**false, built=WET)
        assert tonnes(found) <= tonnes(truth) * 1.001
        assert "of the load of cod_in_kg_per_m3 is more than" in said(found, "MTR-07")
    # a tenth more is said
    clause = "MTR-07"
    more = {"flow": 1.1, "gas": 1.1}
    assert "of the load of cod_in_kg_per_m3 is more than" in said(treated(**more), clause)
    # rain thins it, and neither load nor electricity follows
    rain = {"flow": 1.5, "cod": Decimal(1) / Decimal("1.5")}
    assert tonnes(treated(**rain, built=WET)) > 0.95 * tonnes(truth)


def test_an_analyser_alone_shows_no_load_and_a_laboratory_does():
    """COD of the plant's own analyser, three times too high, would earn where no load is known."""
    papers = {k: v for k, v in BUILT.items() if "cod" not in k}
    assert tonnes(treated(cod=3, gas=3, built=papers)) <= 0
    assert "own analyser" in said(treated(cod=3, gas=3, built=papers))
    sample = Sample("cod_in_kg_per_m3", "S-1", date(2026, 1, 3), 6, "ISO 6060", "Lab", "a1" * 32)
    assert tonnes(treated(built=papers, samples=(sample,))) > 0
    unkept = replace(sample, sha256=None)
    assert tonnes(treated(built=papers, samples=(unkept,))) <= 0
