"""Every system of the programme has its methodology, or null and the reason."""

import json

import pytest

from mrv import indicators, methodologies
from mrv.registry import programme_systems as systems
from tests.invoked import tonne


def _run(*arguments):
    return tonne(*arguments)


def test_all_systems_of_the_slides_are_there():
    """A pilot would be left out of the programme's account without a word."""
    found = systems.load()
    assert len(found) == 19
    # neither tonnes without an equation, nor null without a reason
    assert all(bool(one.methods) != bool(one.reason) for one in found.values())
    assert {name for one in found.values() for name in one.methods} <= methodologies.load().keys()
    without = [one.id for one in found.values() if not one.methods]
    assert without == ["sewerage-registry", "tay-nam-canal", "air-and-noise"]


@pytest.mark.parametrize("name", ["sewerage-registry", "tay-nam-canal", "air-and-noise"])
def test_a_system_without_methodology_gives_null_and_the_reason(name):
    """A canal would get 0 t, or a factor that somebody made up."""
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
    """Whoever follows the reason would find nothing."""
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
