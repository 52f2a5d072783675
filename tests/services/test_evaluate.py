"""`tonne evaluate`, `indicator` and `estimate`: golden cases, and rejected inputs."""

import json
from decimal import Decimal

import pytest
import yaml

from mrv import indicators, methodologies
from mrv.methodologies import _tools as tools
from services.registry.files import read_files
from tests.every import every
from tests.golden import of_kind
from tests.invoked import tonne

CASES = of_kind("methodology", "factor", "indicator")
ROOF = {"latitude": 20.94, "longitude": 106.6, "rated_kw": 100, "ghi_kwh_per_m2": [1380],
        "air_c": 27}  # fmt: skip
ROUTE = {
    "route_km": 20, "trips_per_bus_day": 8, "days_per_year": 350, "buses": 50, "kwh_per_km": 1.4,
    "sfc_l_per_100km": 34, "years_since_baseline": 1, "ef_grid_t_per_mwh": 0.6592, "tdl": 0.0615,
}  # fmt: skip


def run(*words, given=None):
    return tonne(*words, input=json.dumps(given) if isinstance(given, dict) else given)


def test_prints_the_expected_object(tmp_path):
    """Anyone who compares with the dossier would see other figures."""
    file = tmp_path / "inputs.json"

    @every(sorted(CASES))
    def _(name):
        file.write_text(json.dumps(CASES[name]["inputs"]))
        kind = CASES[name]["kind"]
        of = ["indicator"] if kind == "indicator" else ["evaluate", "--country", "VN"]
        told = run(*of, name, file, *(["--json"] if name < "g" else []))
        assert told.exit_code == 0, told.output
        assert json.loads(told.stdout) == CASES[name]["expected"]
        assert isinstance(json.loads(told.stdout).get("credit_t", 0), int)


def test_a_negative_reduction_is_shown_and_credits_nothing():
    """A loss would be hidden, or become a negative credit."""
    inputs = {**CASES["ams-iii-c"]["inputs"], "distance_km": 1_000_000, "charging_mwh": 1900}
    told = run("evaluate", "ams-iii-c", "-", "--json", given=inputs)
    result = json.loads(told.stdout, parse_float=Decimal)
    assert result["reduction_t"] == Decimal("-433.647934")
    assert result["credit_t"] == 0


SOLAR = "evaluate jcm-vn-am007 -"
REFUSED = [
    # a command, what it is given, and what it says
    (SOLAR, '{"systems": [{"case": 1, "eg_mwh": NaN}]}', "eg_mwh = NaN"),
    (SOLAR, '{"systems": [{"case": 1, "eg_mwh": 1e999999999}]}', "eg_mwh = 1E+999999999"),
    (SOLAR, '{"systems": [{"case": 1, "eg_mwh": -0.1}]}', "eg_mwh = -0.1"),
    (SOLAR, '{"systems": [{"case": 1, "eg_mwh": 1, "eg_mwh": 2}]}', "'eg_mwh' appears twice"),
    (SOLAR, '{"inputs": {"systems": []}}', "object under 'inputs'"),
    (SOLAR, '{"system": []}', "unknown key 'system'"),
    (SOLAR, "[]", "must be an object"),
    (SOLAR, "", "not JSON"),
    (SOLAR, "[" * 100_000, "not JSON"),
    (SOLAR, b"\xff\xfe", "not JSON in UTF-8"),
    (SOLAR, '{"systems": [{"case": 1, "eg_mwh": ' + "9" * 5000 + "}]}", "not JSON"),
    ("evaluate jcm-vn-am07 -", "{}", "known methodologies"),
    ("evaluate jcm-vn-am007", "{}", "INPUTS is missing"),
    ("evaluate", "{}", "METHODOLOGY is missing"),
    ("evaluate jcm-vn-am007 no-such-file.json", "{}", "No such file"),
    ("indicator vn-aqi", "{}", "known indicators"),
    ("indicator", "{}", "NAME is missing"),
    ("indicator noise", "{}", "INPUTS is missing"),
    ("indicator noise -", "{}", "'laeq_dba' is missing"),
    ("indicator noise -", '{"laeq_dba": [60, null]}', "laeq_dba[1] = null must be a number"),
    ("indicator noise -", '{"laeq_dba": []}', "a list of at least one number [dBA]"),
    ("indicator noise -", '{"laeq_dba": 5}', "a list of at least one number [dBA]"),
    ("indicator noise - --band", '{"laeq_dba": [60]}', "noise has no bands"),
    ("indicator vn-aqi-hourly -", '{"pm_12h_latest_first_ug_m3": {"pm10": [1]}}', "2 to 12"),
    ("indicator vn-aqi-hourly -", '{"pm_12h_latest_first_ug_m3": 5}', "must be an object"),
    ("indicator qcvn-05-2023 -", '{"on": 5, "mean_ug_m3": {}}', "on = 5 must be a date"),
    ("indicator qcvn-40-2025 -", "{}", "--limits FILE"),
    ("estimate", None, "SYSTEM is missing"),
    ("estimate pv", None, "INPUTS is missing"),
    ("estimate tram -", {}, "there is no estimate 'tram'"),
    ("estimate pv -", {"latitude": "x"}, "latitude = 'x' must be a number"),
    ("estimate pv -", {**ROOF, "tilt": -1}, "tilt = -1 must not be less than 0"),
    # a cloudless year is no promise, and a loss is nothing that is hoped for
    (
        "estimate pv - --country VN --expected",
        {k: v for k, v in ROOF.items() if k != "ghi_kwh_per_m2"},
        "no estimate",
    ),
    ("estimate ev-bus - --expected", ROUTE, "the project would emit more than its baseline"),
]


@pytest.mark.parametrize(("words", "given", "says"), REFUSED)
def test_bad_input_exits_2_and_names_the_key(words, given, says):
    """A script would go on with a number that no one meant."""
    told = run(*words.split(), given=given)
    assert told.exit_code == 2
    assert says in told.stderr
    assert told.stdout == ""


def test_describe_says_what_to_give_and_how_certain_it_is():
    """A user would have to read the code to know what to measure."""

    @every(sorted([*methodologies.load(), *tools.load()]))
    def _(name):
        page = run("evaluate", name, "--describe")
        schema = json.loads(run("evaluate", name, "--describe", "--json").stdout)
        assert page.exit_code == 0
        assert json.loads(page.stdout) == schema
        assert schema["$schema"].startswith("https://json-schema.org/")
        described = " ".join(schema["description"].split())
        assert "not compared with" in described or "without a source" in described
        assert schema["additionalProperties"] is False
        if name in CASES:
            assert (
                set(schema["required"]) <= set(CASES[name]["inputs"]) <= set(schema["properties"])
            )
        for number in _numbers(schema):
            assert number["unit"], number
            assert number["source"]
            assert number["certainty"].startswith("[")

    @every(sorted(indicators.load()))
    def _(name):
        page = run("indicator", name, "--describe")
        schema = json.loads(page.stdout)
        assert schema == json.loads(run("indicator", name, "--describe", "--json").stdout)
        assert set(schema["properties"]) == set(indicators.load()[name].inputs)
        assert schema["indicator"]["id"] == name


def _numbers(node):
    if not isinstance(node, dict):
        return
    if node.get("type") in {"number", "integer"}:
        yield node
    for key in ("properties", "items", "additionalProperties"):
        below = node.get(key)
        for one in below.values() if key == "properties" and below else [below]:
            yield from _numbers(one)


def test_defaults_are_shown_with_their_source():
    """A user would not learn which default losses were applied."""
    lagoon, solar, wind, heat, roof = (
        json.loads(run(*words.split(), "--describe").stdout)
        for words in ("evaluate ams-iii-h", "evaluate jcm-vn-am007", "evaluate ams-i-d",
                      "evaluate acm0012", "estimate pv")
    )  # fmt: skip
    schema = lagoon["properties"]
    assert schema["tdl"]["default"] == 0.2
    assert schema["tdl"]["default_factor"]["certainty"] == "[M]"
    published = {f["id"] for f in schema["flare_efficiency"]["published"]}
    assert published == {"flare-open", "flare-enclosed"}
    assert solar["properties"]["systems"]["items"]["properties"]["case"]["enum"] == [1, 2, 3]
    known = wind["methodology"]["parameters"]["properties"]
    assert known["ef_grid_t_per_mwh"]["places"] == 6
    assert heat["properties"]["boiler_fuel"]["default"] == "natural_gas"
    assert roof["properties"]["losses"]["default"] == 0.14
    assert roof["properties"]["losses"]["source"]


def test_lists_name_all_of_them():
    """A user would have to guess ids, or learn only from a refusal that limits must be given."""
    plain, data = run("evaluate", "--list"), json.loads(run("evaluate", "--list", "--json").stdout)
    assert {one["id"] for one in data} == {*methodologies.load(), *tools.load()}
    for one in data:
        assert one["id"] in plain.stdout
        assert one["title"] in plain.stdout
    kinds = {one["id"]: one["kind"] for one in data}
    assert kinds["jcm-vn-am007"] == "methodology, live"
    assert (kinds["tool07"], kinds["ams-iii-f-monthly"]) == ("factor", "methodology, live")
    limits = {o["id"]: o["limits"] for o in json.loads(run("indicator", "--list", "--json").stdout)}
    assert limits.keys() == indicators.load().keys()
    some = [limits[name] for name in ("qcvn-40-2025", "qcvn-40-2011", "noise")]
    assert some == ["to be given", "built in", "none"]
    assert "qcvn-14-2025" in run("indicator", "--list").stdout
    planned = [row["id"] for row in json.loads(run("estimate", "--list", "--json").output)]
    assert planned[:2] == ["pv", "ev-bus"]
    assert "ams-ii-e" in planned
    assert run("estimate", "--list").exit_code == 0


def test_the_word_and_colour_of_an_index():
    """A dashboard would have to know the Decision's bands by itself."""
    air, water = (
        json.loads(run("indicator", name, "-", "--band", given=CASES[name]["inputs"]).stdout)
        for name in ("vn-aqi-hourly", "vn-wqi")
    )
    assert (air["band"], air["rgb"]) == ("Trung binh", [255, 255, 0])
    assert (water["band"], "rgb" in water) == ("Trung binh", False)


def test_limits_from_a_file(tmp_path):
    """Anyone who holds the new standard's table could not use it."""
    table = tmp_path / "limits.toml"
    table.write_text(
        'id = "qcvn-26-2025"\nsource = "s"\ncertainty = "R"\n[[limit]]\nparameter = "day"\n'
        'area = "special"\nvalue = "50"\nunit = "dBA"\n'
    )
    words = "indicator", "qcvn-26-2025", "-", "--limits", table
    given = '{"area": "special", "day_dba": 51}'
    told = run(*words, given=given)
    assert json.loads(told.stdout) == {"limit_dba": {"day": 50.0}, "exceeded": ["day"]}
    table.write_bytes(b"\xff")
    told = run(*words, given=given)
    assert (told.exit_code, "not TOML in UTF-8" in told.stderr) == (2, True)


def test_what_is_expected_goes_into_the_registry_as_it_is(tmp_path):
    """Figures would be copied by hand, with errors."""
    told = run("estimate", "pv", "-", "--country", "VN", "--expected", given=ROOF)
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
    """A script would continue with an impossible plan, or with a negative reduction."""
    given = {**ROOF, "declared_kwh_per_year": 477_130}
    told = run("estimate", "pv", "-", "--country", "VN", "--json", given=given)
    assert told.exit_code == 1
    said = json.loads(told.output)
    assert said["flags"][0]["severity"] == "impossible"
    assert said["energy_kwh_in_9_of_10_years"] < said["energy_kwh_per_year"]
    said = json.loads(run("estimate", "ev-bus", "-", given=ROUTE).output)
    assert (said["expected"], said["credit_t_per_year"]) == (None, 0)
    assert said["reduction_t_per_year"] < 0
