"""Factors from memory are marked in what a period says."""

from dataclasses import replace

import pytest

from mrv import factors
from mrv.accounting import entered_values as acceptance
from mrv.accounting.live_emissions import compile_bindings
from mrv.errors import MethodologyError
from tests.mrv.plant import BUS, FLEET


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
