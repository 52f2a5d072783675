"""
Missing parts of a registration: owner of the reductions, other programmes, order of dates.

| /IRCheck/poareg_forms/430EUVNXI26JKS5/viewPublic | consultation |
| /IRCheck/poareg_forms/430EUVNXI26JKS5/viewPublic | elsewhere |
| /reviews/DB/rfr988242926 | renewed |
"""

from datetime import date
from types import SimpleNamespace

import pytest

from mrv.exports.registration import (
    Consulted,
    Contribution,
    Criterion,
    Elsewhere,
    Grievance,
    Inclusion,
    Letter,
    Registration,
    Renewal,
    Rights,
    Validation,
)
from services.issuer.registration_checks import _begun, claimed, engaged
from tests.services.issuer import plant

DAY = date(2026, 1, 1)
OWNED = Rights(document="agreement", by="notary", date=DAY)


def facts():
    """Return the input of the checks for a statement of March 2026."""
    period = SimpleNamespace(
        local_from="2026-03-01T00:00:00+07:00", to="2026-03-31T17:00:00Z", timezone=plant.ZONE
    )
    return SimpleNamespace(subject=SimpleNamespace(monitoring_period=period))


def registration(**given):
    """Return a registration with the document of its reductions."""
    return Registration(project="pv", **{"rights": OWNED, "other_programmes": "none", **given})


def test_who_owns_the_reductions_is_shown():
    """A missing document on the ownership of the reductions is reported."""
    assert [*claimed(facts(), registration())] == []
    (one,) = claimed(facts(), registration(rights=None))
    assert "who owns the reductions" in one
    (one,) = claimed(facts(), registration(programme="CDM"))
    assert "letters" in one
    letter = Letter(party="VNM", kind="approval", date=DAY, reference="12")
    assert [*claimed(facts(), registration(programme="CDM", letters=(letter,)))] == []


@pytest.mark.parametrize(
    ("since", "until", "both"),
    [("2025-01-01", None, True), ("2025-01-01", "2026-02-28", False), ("2026-04-01", None, False),
     ("2025-01-01", "2026-03-01", True), ("2026-03-31", None, True)],
)  # fmt: skip
def test_days_claimed_elsewhere_are_named(since, until, both):
    """Days claimed under another programme are named."""
    ends = None if until is None else date.fromisoformat(until)
    other = Elsewhere(programme="GS", project_id="7", since=date.fromisoformat(since), until=ends)
    lacking = [*claimed(facts(), registration(other_programmes=(other,)))]
    assert any("GS 7 has it from" in one for one in lacking) is both
    assert any("or `none`" in one for one in claimed(facts(), registration(other_programmes=None)))


def test_a_consultation_comes_first():
    """A stakeholder consultation after registration is reported."""
    asked = Consulted(date=DAY, document="minutes")
    late = registration(consultation=asked, registered=DAY)
    assert any("is not before registered" in one for one in _begun(facts(), late, "r"))
    early = registration(consultation=asked, registered=date(2026, 1, 2))
    assert [*_begun(facts(), early, "r")] == []


def test_a_component_counts_from_its_inclusion_on():
    """A component is credited from its inclusion date."""
    criteria = (Criterion(name="1", document="sheet"),)
    there = Inclusion(programme="PoA", date=date(2026, 3, 1), criteria=criteria)
    assert [*_begun(facts(), registration(inclusion=there), "r")] == []
    late = Inclusion(programme="PoA", date=date(2026, 3, 2))
    after, without = _begun(facts(), registration(inclusion=late), "r")
    assert "2026-03-02 is after 2026-03-01" in after
    assert "criteria" in without


def test_a_renewed_crediting_period_has_its_updated_baseline():
    """The baseline of the first crediting period would go on permanently."""
    second = Validation(period_number=2)
    (one,) = _begun(facts(), registration(validation=second), "r")
    assert "crediting period 2, updated baseline" in one
    done = Renewal(since=DAY, design="2.0")
    assert [*_begun(facts(), registration(validation=second, renewals=(done,)), "r")] == []


@pytest.mark.parametrize(
    ("methodology", "given", "lacking"),
    [
        ("ams-iii-c", {}, "grievances: date, text and answer"),
        ("ams-iii-c", {"grievances": "none"}, None),
        ("jcm-vn-am007", {}, None),
        ("ams-iii-c", {"grievances": (Grievance(date=DAY, text="noise"),)}, "2026-01-01 has no"),
        ("ams-iii-c", {"grievances": (Grievance(date=DAY, text="noise", answer="a wall"),)}, None),
        ("ams-iii-c", {"grievances": "none", "programme": "Gold Standard"}, "contributions"),
    ],
)
def test_stakeholders_are_answered_and_goals_monitored(methodology, given, lacking):
    """Neighbours would write in vain, and a goal be claimed that no one monitored."""
    of = facts()
    of.subject.methodology, of.name = SimpleNamespace(id=methodology), "TN-1"
    found = [*engaged(of, registration(**given))]
    assert found == [] if lacking is None else lacking in found[0]


def test_contributions_are_of_the_statement():
    """The goals of last year would be sent again."""
    of = facts()
    of.subject.methodology, of.name = SimpleNamespace(id="ams-iii-c"), "TN-1"
    gold = {"grievances": "none", "programme": "GS4GG"}
    (one,) = [Contribution(statement="TN-1", goal="7", what="energy")]
    assert [*engaged(of, registration(contributions=(one,), **gold))] == []
    of.name = "TN-2"
    assert len([*engaged(of, registration(contributions=(one,), **gold))]) == 1
