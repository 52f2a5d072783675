"""`tonne estimate`, as a planner runs it."""

import json

import pytest
import yaml

from services.registry.files import read_files
from tests.invoked import tonne

ROOF = {
    "latitude": 20.94,
    "longitude": 106.6,
    "rated_kw": 100,
    "ghi_kwh_per_m2": [1380],
    "air_c": 27,
}


def _run(*arguments, given=None):
    return tonne("estimate", *arguments, input=None if given is None else json.dumps(given))


def test_what_is_expected_goes_into_the_registry_as_it_is(tmp_path):
    """Somebody would type the figures over, and one day wrongly."""
    told = _run("pv", "-", "--country", "VN", "--expected", given=ROOF)
    assert told.exit_code == 0
    expected = yaml.safe_load(told.output)["expected"]
    assert set(expected) == {"energy_kwh_per_year", "reduction_t_per_year"}
    file = tmp_path / "project.yaml"
    file.write_text(
        "projects:\n  - id: p\n    name: P\n    methodology: jcm-vn-am007\n    version: '1.0'\n"
        "    crediting_period: {from: 2026-01-01, to: 2027-01-01}\n"
        "    devices: [{device: i, role: generation, case: 1}]\n    " + told.output
    )
    incoming = read_files([file])
    assert not incoming.problems
    assert incoming.registry.projects["p"].expected["energy_kwh_per_year"] > 90_000


def test_a_plan_that_cannot_be_ends_with_one():
    """A script would go on with 45 MW."""
    told = _run(
        "pv", "-", "--country", "VN", "--json", given={**ROOF, "declared_kwh_per_year": 477_130}
    )
    assert told.exit_code == 1
    said = json.loads(told.output)
    assert said["flags"][0]["severity"] == "impossible"
    assert said["energy_kwh_in_9_of_10_years"] < said["energy_kwh_per_year"]


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        ((), None, "SYSTEM is missing"),
        (("pv",), None, "INPUTS is missing"),
        (("tram", "-"), {}, "there is no estimate 'tram'"),
        (("pv", "-"), {"latitude": "x"}, "latitude = 'x' must be a number"),
        (("pv", "-"), {**ROOF, "tilt": -1}, "tilt = -1 must not be less than 0"),
    ],
)
def test_bad_input(arguments, given, said):
    """A planner would not know what to mend."""
    told = _run(*arguments, given=given)
    assert told.exit_code == 2
    assert said in told.output


def test_nothing_is_expected_of_a_ceiling():
    """A cloudless year would become the promise."""
    given = {k: v for k, v in ROOF.items() if k != "ghi_kwh_per_m2"}
    told = _run("pv", "-", "--country", "VN", "--expected", given=given)
    assert told.exit_code == 2
    assert "no estimate" in told.output


def test_nothing_is_expected_where_the_project_emits_more():
    """A loss would stand in the registry as what is hoped for."""
    route = {
        "route_km": 20, "trips_per_bus_day": 8, "days_per_year": 350, "buses": 50,
        "kwh_per_km": 1.4, "sfc_l_per_100km": 34, "years_since_baseline": 1,
        "ef_grid_t_per_mwh": 0.6592, "tdl": 0.0615,
    }  # fmt: skip
    told = _run("ev-bus", "-", "--expected", given=route)
    assert told.exit_code == 2
    assert "the project would emit more than its baseline" in told.output
    said = json.loads(_run("ev-bus", "-", given=route).output)
    assert said["expected"] is None
    assert said["reduction_t_per_year"] < 0
    assert said["credit_t_per_year"] == 0


def test_list_and_describe():
    """A planner could not find out what to give."""
    ids = [row["id"] for row in json.loads(_run("--list", "--json").output)]
    assert ids[:2] == ["pv", "ev-bus"]
    assert "ams-ii-e" in ids
    assert _run("--list").exit_code == 0
    schema = json.loads(_run("pv", "--describe").output)
    assert schema["properties"]["losses"]["default"] == 0.14
    assert schema["properties"]["losses"]["source"]
