"""Factors from memory are marked in what a period says."""

from dataclasses import replace

import pytest

from mrv import factors
from mrv.accounting import entered_values as acceptance
from mrv.accounting.live_emissions import compile_bindings
from mrv.errors import MethodologyError
from mrv.rules.closing import close
from tests.mrv.plant import BUS, CERTIFICATES, DAY, FLEET, FROM, full

DAY_US = DAY * 900_000_000


def _factors(project):
    rows = full("bus-1", "distance", DAY, 1000)
    result = close(project, FLEET, CERTIFICATES, rows, FROM, FROM + DAY_US, factors.load())
    return {use.id: use.accepted for use in result.factors}


def test_a_period_says_which_factors_from_memory_the_project_accepts():
    """A verifier could not tell a number that the project answers for from an oversight."""
    assert _factors(BUS)["ams-iii-c-improvement"] is False
    accepting = {**BUS.parameters, acceptance.KEY: ["ams-iii-c-improvement"]}
    marked = _factors(replace(BUS, parameters=accepting))
    assert marked["ams-iii-c-improvement"] is True
    assert {accepted for name, accepted in marked.items() if name != "ams-iii-c-improvement"} == {
        None
    }


def _condition(project):
    rows = full("bus-1", "distance", DAY, 1000)
    result = close(project, FLEET, CERTIFICATES, rows, FROM, FROM + DAY_US, factors.load())
    return [(f.holds, f.detail) for f in result.applicability if f.rule == acceptance.UNVERIFIED]


def test_what_is_not_accepted_is_a_condition_that_does_not_hold():
    """A statement on a number from memory would look like any other."""
    ((holds, detail),) = _condition(BUS)
    assert not holds
    assert "ams-iii-c-improvement = 0.99 1" in detail
    assert "name the factor in parameters.accept_factors" in detail
    accepting = {**BUS.parameters, acceptance.KEY: ["ams-iii-c-improvement"]}
    assert _condition(replace(BUS, parameters=accepting)) == [(True, "")]


def test_factors_that_were_read_need_no_acceptance():
    """Every statement would carry a condition that is not its own."""
    read = [f for f in factors.load() if f.certainty != "M"]
    assert acceptance.unaccepted(read, frozenset()) == []


def test_the_live_account_reads_the_same_parameters():
    """A project that accepts a factor would stop `tonne run`."""
    accepting = {**BUS.parameters, acceptance.KEY: ["ams-iii-c-improvement"]}
    assert compile_bindings([replace(BUS, parameters=accepting)], FLEET, factors.load()).projects


@pytest.mark.parametrize("names", ["ams-iii-c-improvement", [1], {"a": 1}])
def test_what_is_no_list_of_names_is_refused(names):
    """A single letter of a text would count as an accepted name."""
    with pytest.raises(MethodologyError, match=r"accept_factors = .* must be a list"):
        acceptance.accepted({acceptance.KEY: names}, "p")
