"""`tonne evaluate`: golden cases through the command, and what it refuses."""

import json
from decimal import Decimal

import pytest

from mrv import methodologies
from mrv.methodologies import tools
from tests.every import every
from tests.golden import of_kind
from tests.invoked import tonne

CASES = of_kind("methodology", "factor")


def run(*words, given=None):
    return tonne("evaluate", *words, input=given)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_prints_the_expected_object(name, flags, tmp_path):
    """Whoever compares with the dossier would see other figures."""
    file = tmp_path / "inputs.json"
    file.write_text(json.dumps(CASES[name]["inputs"]))
    told = run(name, str(file), *flags, "--country", "VN")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == CASES[name]["expected"]
    assert isinstance(json.loads(told.stdout).get("credit_t", 0), int)


def test_a_negative_reduction_is_shown_and_credits_nothing():
    """A loss would be hidden, or become a negative credit."""
    inputs = {**CASES["ams-iii-c"]["inputs"], "distance_km": 1_000_000, "charging_mwh": 1900}
    told = run("ams-iii-c", "-", "--json", given=json.dumps(inputs))
    result = json.loads(told.stdout, parse_float=Decimal)
    assert result["reduction_t"] == Decimal("-433.647934")
    assert result["credit_t"] == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ('{"systems": [{"case": 1, "eg_mwh": NaN}]}', "eg_mwh = NaN"),
        ('{"systems": [{"case": 1, "eg_mwh": 1e999999999}]}', "eg_mwh = 1E+999999999"),
        ('{"systems": [{"case": 1, "eg_mwh": -0.1}]}', "eg_mwh = -0.1"),
        ('{"systems": [{"case": 1, "eg_mwh": 1, "eg_mwh": 2}]}', "'eg_mwh' appears twice"),
        ('{"inputs": {"systems": []}}', "object under 'inputs'"),
        ('{"system": []}', "unknown key 'system'"),
        ("[]", "must be an object"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe", "not JSON in UTF-8"),
        ('{"systems": [{"case": 1, "eg_mwh": ' + "9" * 5000 + "}]}", "not JSON"),
    ],
)
def test_bad_input_exits_2_and_names_the_key(given, says):
    """A script would go on with a number that nobody meant."""
    told = run("jcm-vn-am007", "-", given=given)
    assert told.exit_code == 2
    assert says in told.stderr
    assert told.stdout == ""


def test_bad_usage_exits_2():
    """A missing file or method would look like a result of zero."""
    for words, says in [
        (["jcm-vn-am07", "-"], "known methodologies"),
        (["jcm-vn-am007"], "INPUTS is missing"),
        ([], "METHODOLOGY is missing"),
        (["jcm-vn-am007", "no-such-file.json"], "No such file"),
    ]:
        told = run(*words, given="{}")
        assert (told.exit_code, says in told.stderr) == (2, True), told.stderr


def test_describe_says_what_to_give_and_how_certain_it_is():
    """A user would have to read the code to know what to measure."""

    @every(sorted([*methodologies.load(), *tools.load()]))
    def _(name):
        page = run(name, "--describe")
        schema = json.loads(run(name, "--describe", "--json").stdout)
        assert page.exit_code == 0
        assert json.loads(page.stdout) == schema
        assert schema["$schema"].startswith("https://json-schema.org/")
        assert "[M]" in schema["description"]
        assert schema["additionalProperties"] is False
        if name in CASES:
            assert (
                set(schema["required"]) <= set(CASES[name]["inputs"]) <= set(schema["properties"])
            )
        for number in _numbers(schema):
            assert number["unit"], number
            assert number["source"]
            assert number["certainty"].startswith("[")


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
    """A user would not learn which losses were taken for those not given."""
    schema = json.loads(run("ams-iii-h", "--describe").stdout)["properties"]
    assert schema["tdl"]["default"] == 0.2
    assert schema["tdl"]["default_factor"]["certainty"] == "[M]"
    assert {f["id"] for f in schema["flare_efficiency"]["published"]} == {
        "flare-open",
        "flare-enclosed",
    }
    case = json.loads(run("jcm-vn-am007", "--describe").stdout)
    assert case["properties"]["systems"]["items"]["properties"]["case"]["enum"] == [1, 2, 3]
    assert (
        json.loads(run("ams-i-d", "--describe").stdout)["methodology"]["parameters"]["properties"][
            "ef_grid_t_per_mwh"
        ]["places"]
        == 6
    )
    assert (
        json.loads(run("acm0012", "--describe").stdout)["properties"]["boiler_fuel"]["default"]
        == "natural_gas"
    )


def test_list_names_all_of_them():
    """A user would have to guess ids."""
    plain, data = run("--list"), json.loads(run("--list", "--json").stdout)
    assert {one["id"] for one in data} == {*methodologies.load(), *tools.load()}
    for one in data:
        assert one["id"] in plain.stdout
        assert one["title"] in plain.stdout
    kinds = {one["id"]: one["kind"] for one in data}
    assert kinds["jcm-vn-am007"] == "methodology, live"
    assert (kinds["tool07"], kinds["ams-iii-f-monthly"]) == ("factor", "methodology, live")
