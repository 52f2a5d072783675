"""Every system of the programme has a methodology, or null and the reason."""

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv import indicators, methodologies
from mrv.registry import programme_systems as systems
from mrv.registry.programme_systems import TransferClass, rules, transferable
from tests.invoked import tonne


def _run(*arguments):
    return tonne(*arguments)


def test_all_systems_of_the_slides_are_there():
    """A pilot would be left out of the programme's account without a message."""
    found = systems.load()
    assert len(found) == 19
    # neither tonnes without an equation, nor null without a reason
    assert all(bool(one.methods) != bool(one.reason) for one in found.values())
    assert {name for one in found.values() for name in one.methods} <= methodologies.load().keys()
    without = [one.id for one in found.values() if not one.methods]
    assert without == ["sewerage-registry", "tay-nam-canal", "air-and-noise"]


@pytest.mark.parametrize("name", ["sewerage-registry", "tay-nam-canal", "air-and-noise"])
def test_a_system_without_methodology_gives_null_and_the_reason(name):
    """A canal would get 0 t, or a factor that someone made up."""
    told = _run("evaluate", name)
    assert told.exit_code == 0
    said = json.loads(told.stdout)
    assert said["reduction_t"] is None
    assert said["credit_t"] is None
    assert said["reason"].startswith("no methodology: it")
    refused = _run("estimate", name, "--describe")
    assert refused.exit_code == 2
    assert "no tonnes to estimate: it" in refused.stderr


def test_reasons_name_indicators_that_there_are():
    """Anyone who follows the reason would find nothing."""
    for one in systems.load().values():
        if one.reason and "indicator" in one.reason:
            names = one.reason.split("indicators " if "indicators" in one.reason else "indicator ")
            for name in names[1].split(", "):
                assert indicators.find(name)


def test_a_system_that_is_counted_says_by_what():
    """A user who knows the pilot's name would not find its equation."""
    told = _run("evaluate", "foundry-furnaces", "-")
    assert told.exit_code == 2
    assert "ams-ii-d, ams-ii-d-cupola, jcm-id-am009" in told.stderr
    assert "estimate one of ams-iii-c" in _run("estimate", "low-emission-buses").stderr
    listed = _run("evaluate", "--systems").stdout
    assert "tay-nam-canal" in listed
    assert "null: its result is water quality" in listed
    rows = json.loads(_run("evaluate", "--systems", "--json").stdout)
    assert {r["id"]: r["annex"] for r in rows}["green-agriculture"] == "1-VII.3"


def test_the_dossiers_example():
    """E18: a city would promise one tonne more than the decree lets go."""
    adjusted = transferable(71_497, TransferClass(1, "I.6", adjusted=True), "VN")
    assert adjusted.credit_t == 64_347
    basis = "Annex I: list 1, with corresponding adjustment (transcription of the source)"
    assert basis in str(adjusted.basis)
    assert transferable(71_497, TransferClass(2, adjusted=True), "VN").credit_t == 35_748
    assert transferable(71_497, TransferClass(2, adjusted=False), "VN").credit_t == 64_347


def test_nothing_is_guessed():
    """A rooftop whose list no one has asked the ministry about would be sold abroad."""
    for one in (TransferClass(), TransferClass(1), TransferClass(None, None, adjusted=True)):
        found = transferable(71_497, one, "VN")
        assert (found.credit_t, found.share) == (None, None)
        assert str(found.basis).startswith("not determined")


def test_a_measures_condition_is_said():
    """On-grid rooftops registered after the decree would pass as list 2."""
    found = transferable(100, TransferClass(2, "I.3", adjusted=True), "VN")
    assert "already registered under JCM" in found.condition
    assert transferable(100, TransferClass(1, "I.6", adjusted=True), "VN").condition is None


@given(st.integers(0, 10**12), st.sampled_from([1, 2]), st.booleans())
def test_never_more_than_the_share(credit, number, adjusted):
    """Rounding would let a part of a tonne more go abroad than was issued for it."""
    found = transferable(credit, TransferClass(number, adjusted=adjusted), "VN")
    assert found.credit_t <= found.share * credit
    assert found.share * credit - found.credit_t < 1
    assert found.share <= Fraction(9, 10)


def test_the_decree_names_its_source():
    """A verifier could not find the paragraph."""
    assert rules("VN").in_force.isoformat() == "2026-05-19"
    assert rules("VN").certainty == "T"
