"""
Each rejected value is reported with its key, the clause or unit, and the remedy.

Every key of every golden case with a wrong value: rejected by name, without traceback or figure.
"""

import copy
import json
from decimal import Decimal

import pytest

from services.registry.entries import Registry
from services.registry.files import read_files
from services.registry.plan import plan
from tests.every import every
from tests.golden import NAMES, case
from tests.invoked import tonne
from tests.soak import SOAK

CASES = {name: case(name) for name in NAMES}
EVERY = 1 if SOAK else 4  # of the wrong values, each leaf has some; all of them in the soak
SPOILT = [None, True, "7", -1, [], {}, [[]], {"x": 1}, float("nan"), float("inf"), 10**40, "é"]


def _leaves(node, at=()):
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in pairs:
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from _leaves(value, (*at, key))


def _changed(inputs, path, value):
    changed = copy.deepcopy(inputs)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


def _run(case, inputs):
    command = "indicator" if case["kind"] == "indicator" else "evaluate"
    return tonne(command, case["id"], "-", input=json.dumps(inputs))


def test_a_spoilt_value_is_refused_by_its_key():
    """A script would go on with a number that no one meant, or a user read a traceback."""

    @every(CASES)
    def _(name):
        case = CASES[name]
        for number, path in enumerate(_leaves(case["inputs"])):
            named = [str(key) for key in path if not isinstance(key, int)][-1]
            for value in SPOILT[number % EVERY :: EVERY]:
                told = _run(case, _changed(case["inputs"], path, value))
                if told.exit_code == 0:
                    # null where a series may have gaps, an empty record of optional keys
                    assert value is None or value == {}, (path, value, told.stdout)
                    continue
                assert told.exit_code == 2, (path, value, told.exception)
                assert told.stdout == ""
                assert named in told.stderr, (path, value, told.stderr)


def test_an_unknown_key_is_refused_anywhere():
    """A slip in an optional key would leave its default in place, unseen."""

    @every(CASES)
    def _(name):
        case = CASES[name]
        objects = [(), *(p for p in _leaves(case["inputs"]) if _is_object(case["inputs"], p))]
        for path in objects:
            spoilt = _changed({"": case["inputs"]}, ("", *path, "no_such_key"), 1)[""]
            told = _run(case, spoilt)
            assert told.exit_code == 2, (path, told.output)
            assert "no_such_key" in told.stderr


def test_a_missing_key_is_refused_or_has_a_published_default():
    """A figure would rest on a value that no one chose and no one can see."""

    @every(CASES)
    def _(name):
        case = CASES[name]
        command = "indicator" if case["kind"] == "indicator" else "evaluate"
        schema = json.loads(tonne(command, case["id"], "--describe").stdout)
        for key in case["inputs"]:
            told = _run(case, {k: v for k, v in case["inputs"].items() if k != key})
            if key in schema["required"]:
                assert (told.exit_code, key in told.stderr) == (2, True), (key, told.output)


def _is_object(inputs, path):
    node = inputs
    for key in path:
        node = node[key]
    return isinstance(node, dict)


def test_zero_and_tiny_and_large_numbers_never_end_in_a_traceback():
    """A month at rest would crash the command instead of counting nothing."""

    @every(CASES)
    def _(name):
        case = CASES[name]
        for number, path in enumerate(_leaves(case["inputs"])):
            for value in (0, 1, 1e-30, 0.5, 10**6)[number % EVERY :: EVERY]:
                told = _run(case, _changed(case["inputs"], path, value))
                assert told.exit_code in {0, 2}, (path, value, told.exception)


def _evaluate(name, **changed):
    inputs = case(name.partition("@")[0])["inputs"]
    given = {k: v for k, v in {**inputs, **changed}.items() if v != "absent"}
    return tonne("evaluate", name, "-", input=json.dumps(given))


@pytest.mark.parametrize(
    ("name", "changed", "key", "clause", "remedy"),
    [
        ("acm0012", {"eg_mwh": 42000, "f_cap": "absent"}, "'f_cap' is missing",
         "share of the waste energy that the plant could already release", "enter"),
        ("ams-iii-c", {"charging_kwh": 3450}, "unknown key 'charging_kwh'", "", "known keys: sfc"),
        ("ams-iii-c", {"charging_mwh": 3.45}, "charging_mwh divided by distance_km",
         "ams-iii-c, plausibility", "check the meter that did not advance, and the units"),
        ("ams-iii-c", {"tdl": 6.15}, "tdl = 6.15", "[1]", "must be below 1"),
        ("ams-iii-c", {"distance_km": -1}, "distance_km = -1", "[km]", "must not be less than 0"),
        ("ams-iii-h", {"cod_in_kg_per_m3": 6000}, "cod_in_kg_per_m3 = 6000", "[kg/m3]",
         "must not be more than 200"),
        ("ams-iii-h", {"ch4_fraction": 62}, "ch4_fraction = 62", "[1]", "must not be more than 1"),
        ("ams-iii-h", {"flow_m3": 18_250_000, "biogas_nm3": 42_000_000}, "t are reduced",
         "type III limit, 60 kt CO2e a year", "use a large-scale methodology"),
        ("ams-ii-d", {"production_t": 10**6, "production_hist_t": 10**6}, "MWh are saved",
         "type II limit, 60 GWh saved a year", "use a large-scale methodology"),
        ("ams-i-d", {"eg_mwh": 200_000}, "eg_mwh = 200,000", "AMS-I.D limit, 15 MW",
         "enter the value of one year, or use ACM0002"),
        ("ams-iii-u", {"modes": {"car": {"share": 1.1, "ef_g_per_km": 180, "occupancy": 1.6,
                                         "improvement": 1}}},
         "modes.car: share = 1.1", "[1]", "must not be more than 1"),
        ("ams-iii-u", {"modes": {n: {"share": 0.6, "ef_g_per_km": 180, "occupancy": 1.6,
                                     "improvement": 1} for n in ("car", "bus")}},
         "modes: the shares sum to 1.2", "ams-iii-u, plausibility", "leave out those"),
        ("ams-ii-d-cupola", {"ef_grid_t_per_mwh": 0.333}, "ef_grid_t_per_mwh = 0.333",
         "direction of factors", "enter the official factor of the grid"),
        ("tool07", {"low_cost_share": 0.6}, "low_cost_share = 0.6", "[1]", "must be below 0.5"),
        ("jcm-vn-am007@2.0", {}, "jcm-vn-am007 has no version '2.0'", "", "known versions: 1.0"),
        ("tool07@6.0", {}, "tool07 has no version '6.0'", "", "; available:"),
    ],
)  # fmt: skip
def test_evaluate(name, changed, key, clause, remedy):
    """A user would be informed that something is wrong, and not what to change."""
    told = _evaluate(name, **changed)
    assert told.exit_code == 2, told.output
    assert told.stdout == ""
    for part in (key, clause, remedy):
        assert part in told.stderr


def test_a_pump_that_takes_more_than_before_is_evaluated():
    """A waterworks with a bad year would get no answer, as if it had cheated."""
    inputs = {"volume_m3": 10_980_750, "energy_mwh": 2286.19215, "kwh_per_m3_baseline": 0.198}
    told = _evaluate("am0020", **inputs)
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["reduction_t"] == pytest.approx(-73.83, abs=0.01)
    assert found["credit_t"] == 0
    assert "energy_mwh divided by volume_m3 is 0.2082 kWh/m3; such services take" in told.stderr
    assert "check the units; it is applied as given" in told.stderr
    assert "warning" not in _evaluate("am0020").stderr


def test_a_version_that_is_known_is_taken():
    """Anyone who names the version for the record would be refused."""
    told = _evaluate("jcm-vn-am007@1.0")
    assert told.exit_code == 0
    assert json.loads(told.stdout, parse_float=Decimal)["credit_t"] == 8584


SITE = """
sites: [{id: s, name: S, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}]
devices:
  - {id: m, site: s, class: energy_meter, profile: generic, installed: 2026-01-01T00:00:00Z}
  - {id: ch, site: s, class: ev_charger, profile: generic, installed: 2026-01-01T00:00:00Z}
  - {id: bus, site: s, class: vehicle, profile: generic, installed: 2026-01-01T00:00:00Z}
projects:
  - id: p
    name: P
    version: "VERSION"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
"""
WIND = (
    SITE.replace("VERSION", "18.0")
    + """
    methodology: ams-i-d
    devices: [{device: m, role: generation}]
    parameters: {ef_grid_t_per_mwh: 0.6592, capacity_mw: 20}
"""
)
CHILLER = (
    SITE.replace("VERSION", "1.0")
    + """
    methodology: jcm-vn-am003
    devices: [{device: m, role: equipment}]
    parameters: {cop_reference: 5.8, cop_project: 4.2, ef_grid_t_per_mwh: 0.6592}
"""
)
BUS = (
    SITE.replace("VERSION", "16.0")
    + """
    methodology: ams-iii-c
    devices: [{device: ch, role: charging}, {device: bus, role: vehicle}]
    parameters: {sfc_l_per_100km: 34, baseline_year: 2025, tdl: 0.0615}
    expected: {reduction_t_per_year: 279}
"""
)


LAGOON = (
    SITE.replace("VERSION", "19.0")
    .replace("class: ev_charger", "class: wastewater_plant")
    .replace("class: vehicle", "class: wastewater_plant")
    + """
    methodology: ams-iii-h
    devices: [{device: ch, role: inflow}, {device: bus, role: biogas}, {device: m, role: power}]
    parameters: {cod_in_kg_per_m3: 0.1, cod_out_kg_per_m3: 6, eta_cod_baseline: 0.85,
      eta_cod_project: 0.8, mcf_baseline: 0.8, mcf_project: 0.8, mcf_discharge: 0.1,
      ch4_fraction: 0.62, flare_efficiency: 0.9}
"""
)


def _planned(tmp_path, text):
    file = tmp_path / "r.yaml"
    file.write_text(text)
    planned = plan(Registry(), read_files([file]))
    return planned.refused, "\n".join(m for r in planned.results for m in r.messages)


@pytest.mark.parametrize(
    ("text", "clause", "said", "remedy"),
    [
        (WIND, "AMS-I.D limit: 15 MW", "capacity_mw = 20 is above 15", "needs ACM0002"),
        (CHILLER, "VN_AM003 eligibility", "cop_project", "above"),
        (BUS.replace("2025,", "2030,"), "AMS-III.C baseline: data precede the project",
         "baseline_year 2030 is after", "enter the year of the survey"),
        (BUS.replace("279", "70000"), "AMS-III.C limit: 60 kt", "reduction_t_per_year = 70,000",
         "split the project"),
        (BUS.replace("16.0", "17.0"), "methodology", "no version '17.0'", "known versions: 16.0"),
        (BUS.replace("34,", "-34,"), "[L/100 km]", "sfc_l_per_100km = -34", "must not be less"),
        (BUS.replace("tdl", "losses"), "parameters", "unknown key 'losses'", "known keys: sfc"),
    ],
)  # fmt: skip
def test_a_project_outside_its_methodology(tmp_path, text, clause, said, remedy):
    """A plant of 20 MW would run for years before a verifier turned it down."""
    refused, told = _planned(tmp_path, text)
    assert refused
    for part in (clause, said, remedy):
        assert part in told


def test_a_slip_that_leaves_no_more_is_only_said(tmp_path):
    """Milligrams for kilograms would be found when the first period has lost its tonnes."""
    refused, told = _planned(tmp_path, LAGOON)
    assert not refused, told
    assert "ams-iii-h, plausibility: cod_out_kg_per_m3 = 6 is above cod_in_kg_per_m3 = 0.1" in told
    assert "(1000 mg/L is 1 kg/m3)" in told


def test_what_can_still_be_mended_is_only_said(tmp_path):
    """A project could not be registered before its chargers' certificates are there."""
    refused, told = _planned(tmp_path, BUS)
    assert not refused, told
    refused, told = _planned(tmp_path, WIND.replace("20}", "14}"))
    assert not refused
    assert "warning: " in told
    assert "m has no calibration certificate; until it is met" in told
