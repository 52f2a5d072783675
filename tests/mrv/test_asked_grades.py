"""Grades that a programme requires: values with only the claimant's statement are conservative."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from ingest.model import INTERVAL_US
from mrv import parameters
from mrv.factors import load as factors
from mrv.methodologies import load
from mrv.parameters import GRADES, USUAL, RequiredGrades, of_parameter, of_role, required_of
from mrv.registry.project import ACCOUNTING, Document, SupportingData
from mrv.rules.closing import close
from mrv.rules.grades import shares
from mrv.signatures.trust_root import read_trusted, write_root
from mrv.texts import joined
from tests.mrv import plant
from tests.mrv.test_trust_root import OLD, THEN, root, signed

HOURS = {("bus-1", "distance"): [3_000] * plant.DAY, ("ch-1", "energy_import"): [2_500] * plant.DAY}
SURVEY = Document(
    "sfc_l_per_100km", "survey 1", "Institute", date(2025, 3, 1), "a1" * 32, Fraction(34)
)


def closed(*documents, project=plant.BUS, given=HOURS, required=USUAL, **more):
    """Close a day with some documents, under the requirements of a programme."""
    supporting = SupportingData(
        accounting=ACCOUNTING, documents=documents, required=required, **more
    )
    return close(
        project, plant.FLEET, plant.CERTIFICATES, plant.laid_out(plant.FLEET, given), plant.FROM,
        plant.FROM + plant.DAY * INTERVAL_US, factors(), supporting=supporting,
    )  # fmt: skip


def said(result):
    """Return the evidence that a better grade requires."""
    found = [o for o in result.applicability if o.rule == "PAR-05" and not o.holds]
    return [(one.severity, joined(one.lines)) for one in found]


# --- declared -----------------------------------------------------------------------------


def test_every_parameter_and_role_declares_what_shows_it():
    """A new parameter would pass on the claimant's word, since no rule looks for its evidence."""
    methods = load().values()
    roles = {role for one in methods for role in one.roles}
    names = {name for one in methods for name in one.parameters}
    names |= {name for one in methods for needs in one.roles.values() for name in needs.params}
    assert names == parameters.parameters().keys(), names ^ parameters.parameters().keys()
    assert roles == parameters.roles().keys(), roles ^ parameters.roles().keys()
    assert all(one.by for one in parameters.parameters().values())
    assert all(parameters.roles().values())
    for name, one in parameters.parameters().items():
        specs = [s for m in methods for n, s in _specs(m) if n == name]
        ranges = [tuple(map(Fraction, span)) for span in one.ranges]
        assert all(low < high for low, high in ranges)
        assert bool(ranges) == bool(one.source), name
        if {"published", "region"} & {*one.by}:
            assert any(s.published or s.factor for s in specs), f"{name} is published nowhere"
        if "default" in one.by:
            assert not any(s.required for s in specs), f"{name} has to be entered"
        if "analyser" in one.by:
            assert any(s.channels for s in specs), f"no analyser measures {name}"


def _specs(method):
    yield from method.parameters.items()
    for needs in method.roles.values():
        yield from needs.params.items()


def test_what_is_not_declared_is_the_claimants_word(monkeypatch):
    """Evidence that no one declared would lift a value or a meter all the same."""
    assert (of_parameter("no such"), of_role("no such")) == (parameters.Declared(), ())
    assert {o.grade for o in closed(SURVEY).evidence if o.name == "sfc_l_per_100km"} == {"B"}
    monkeypatch.setattr(parameters, "_table", lambda: parameters._Table({}, {}, {}))
    bare = {o.name: o.grade for o in closed(SURVEY, required=None).evidence}
    assert {bare["sfc_l_per_100km"], bare["bus-1"], bare["ch-1"]} == {"D"}


def test_a_choice_that_gives_more_needs_its_document():
    """A plant on the grid would be registered as one that replaces diesel, on its own word."""
    given = {
        ("inv-1", "energy_export"): [1_000 + i % 7 for i in range(plant.DAY)],
        ("inv-2", "energy_export"): [1_000 + i % 5 for i in range(plant.DAY)],
    }
    least = closed(project=_cases(1, 1), given=given)
    typed = closed(project=_cases(1, 3), given=given)
    assert not said(least)
    assert typed.net == least.net
    ((severity, words),) = said(typed)
    assert severity == "CL"
    assert "case of inv-2 = 3 has evidence" in words
    stated = Document("case", "letter", "Power company", date(2025, 3, 1), "b1" * 32, None,
                      {"inv-1": Fraction(1), "inv-2": Fraction(3)})  # fmt: skip
    shown = closed(stated, project=_cases(1, 3), given=given)
    assert shown.net.reduction.ug > least.net.reduction.ug
    assert not said(shown)


def _cases(*cases):
    bound = [replace(b, params={"case": n}) for b, n in zip(plant.PV.devices, cases, strict=True)]
    return replace(plant.PV, devices=tuple(bound))


# --- asked for ----------------------------------------------------------------------------


def test_a_value_on_the_claimants_word_counts_at_the_end_of_what_is_published():
    """A fleet's diesel would be whatever its operator types."""
    shown, typed = closed(SURVEY), closed()
    lower = replace(plant.BUS, parameters={**plant.BUS.parameters, "sfc_l_per_100km": 24})
    own = replace(SURVEY, value=Fraction(24))
    assert not said(shown)
    assert closed(own, project=lower).net.reduction.ug < 0
    assert typed.net.reduction.ug == 0  # what is published makes no debt
    ((severity, words),) = said(typed)
    assert severity == "CL"
    for part in (
        "sfc_l_per_100km = 34 L/100 km has evidence of grade D",
        "24 L/100 km, the conservative end of the published range",
        (
            "sfc_l_per_100km: {document: title and number, by: issuer, issued: 2026-01-31,"
            " sha256: 64 digits, value: 34}"
        ),
    ):
        assert part in words
    # the typed value alone stands between the claim and nothing: the grade says so, too
    (found,) = [o for o in typed.evidence if o.name == "sfc_l_per_100km"]
    (finding,) = [o for o in typed.applicability if o.rule == "PAR-05" and not o.holds]
    assert (found.grade, found.tonnes) == ("D", typed.claimed_t)
    assert 0 <= Fraction(finding.tonnes) - Fraction(found.tonnes) <= Fraction(1, 10**6)
    assert shares(typed.evidence, Fraction(typed.claimed_t))["D"] == "1.000000"
    assert joined(finding.lines).count(finding.tonnes) == 1


def test_a_value_on_the_claimants_word_makes_no_debt():
    """An operator who states no value of a document would owe tonnes that no one emitted."""
    given = {**HOURS, ("ch-1", "energy_import"): [2_900] * plant.DAY}
    assert closed(SURVEY, *plant.LOSSES, given=given, required=None).net.reduction.ug > 0
    typed = closed(*plant.LOSSES, given=given)
    assert typed.net.reduction.ug == 0
    ((_, words),) = said(typed)
    assert "sfc_l_per_100km = 34 L/100 km has evidence" in words


def test_a_value_below_the_published_needs_no_document():
    """An operator who claims less than anyone would be asked for a document."""
    small = replace(plant.BUS, parameters={**plant.BUS.parameters, "sfc_l_per_100km": 24})
    assert not said(closed(project=small))


def test_what_carries_little_may_rest_on_anything():
    """Twenty values of a thousandth each would cost an operator twenty documents."""
    assert said(closed(required=USUAL))
    assert not said(closed(required=RequiredGrades("C", "B", "100")))
    assert not said(closed(required=RequiredGrades("C", "D", "5")))


def test_where_nothing_is_published_what_a_value_carries_does_not_count():
    """A field's area would be whatever its farmer types."""
    fleet_rows = {("inv-1", "energy_export"): [1_000 + i % 7 for i in range(plant.DAY)]}
    project = replace(
        plant.PV, methodology="ams-i-d", version="18.0",
        parameters={"ef_grid_t_per_mwh": Decimal("0.6592"), "capacity_mw": 1},
        devices=(replace(plant.PV.devices[0], params={}),), country="VN",
    )  # fmt: skip
    before = closed(project=project, given=fleet_rows)
    assert not said(before)
    captive = replace(
        project, methodology="jcm-whr", version="1.0",
        parameters={"ef_grid_t_per_mwh": Decimal("0.6592"), "captive_load_kw": Decimal("0.3")},
        devices=(replace(plant.PV.devices[0], role="turbine", params={}),),
    )  # fmt: skip
    # a document that does not say what it states shows no value
    paper = Document("captive_load_kw", "report", "Institute", date(2025, 3, 1), "c1" * 32)
    unsaid = closed(paper, project=captive, given=fleet_rows)
    stated = closed(replace(paper, value=Fraction(3, 10)), project=captive, given=fleet_rows)
    assert not said(stated)
    # more of it would cost: it counts, and is asked for
    assert unsaid.net == stated.net
    ((severity, words),) = said(unsaid)
    assert (severity, "no range is published" in words) == ("CL", True)


def test_the_laws_of_two_programmes_are_compared():
    """A close that asks for less than the programme would pass as one that asks for as much."""
    assert USUAL.at_least(USUAL)
    assert RequiredGrades("B", "B", "2").at_least(USUAL)
    for less in (
        RequiredGrades("D", "B", "5"),
        RequiredGrades("C", "C", "5"),
        RequiredGrades("C", "B", "5.5"),
    ):
        assert not less.at_least(USUAL)


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"quantities": "A", "parameters": "B", "above_percent": "5"},
        {"quantities": "C", "parameters": "A", "above_percent": "5"},
        {"quantities": "C", "parameters": "B", "above_percent": 5},
        {"quantities": "C", "parameters": "B", "above_percent": "101"},
        {"quantities": "C", "parameters": "B", "above_percent": "5", "more": 1}, "C",
    ],
)  # fmt: skip
def test_what_no_programme_can_ask_for_is_refused(wrong):
    """A typing error in a trust root would cancel its requirements without a message."""
    with pytest.raises(ValueError, match="programme"):
        required_of(wrong)


def test_a_trust_root_signs_what_the_programme_asks_for():
    """Anyone who keeps the server could ask for less than the programme does."""
    required = RequiredGrades("B", "C", "2.5")
    data = signed(replace(root(), evidence=required), *OLD[:2])
    assert read_trusted(data, THEN).evidence == required
    assert read_trusted(signed(root(), *OLD[:2]), THEN).evidence is None
    assert b'"above_percent": "2.5"' in data
    assert b"evidence" not in write_root(root())


def test_grades_are_in_order():
    """Grades are compared as letters: another order would reverse every comparison."""
    assert sorted(GRADES) == [*GRADES]
    assert np.all(np.array(GRADES) == ["A", "B", "C", "D"])
