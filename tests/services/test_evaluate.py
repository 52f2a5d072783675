"""`tonne evaluate`: golden cases through the command, and what it refuses."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from mrv import methodologies
from services.cli.main import main

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = {name: json.loads((GOLDEN / f"{name}.json").read_text()) for name in methodologies.load()}


def run(*words, given=None):
    return CliRunner().invoke(main, ["evaluate", *words], input=given)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_prints_the_expected_object(name, flags, tmp_path):
    """Whoever compares with the dossier would see other figures."""
    file = tmp_path / "inputs.json"
    file.write_text(json.dumps(CASES[name]["inputs"]))
    told = run(name, str(file), *flags)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == CASES[name]["expected"]
    assert isinstance(json.loads(told.stdout)["credit_t"], int)


def test_a_negative_reduction_is_shown_and_credits_nothing():
    """A loss would be hidden, or become a negative credit."""
    inputs = {**CASES["ams-iii-c"]["inputs"], "distance_km": 1_000_000, "charging_mwh": 3450}
    told = run("ams-iii-c", "-", "--json", given=json.dumps(inputs))
    result = json.loads(told.stdout, parse_float=Decimal)
    assert result["reduction_t"] == Decimal("-1522.363970")
    assert result["credit_t"] == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ('{"systems": [{"case": 1, "eg_mwh": NaN}]}', "eg_mwh = NaN"),
        ('{"systems": [{"case": 1, "eg_mwh": 1e999999999}]}', "eg_mwh = 1E+999999999"),
        ('{"systems": [{"case": 1, "eg_mwh": -0.1}]}', "eg_mwh = -0.1"),
        ('{"systems": [{"case": 1, "eg_mwh": 1, "eg_mwh": 2}]}', "'eg_mwh' comes twice"),
        ('{"inputs": {"systems": []}}', "stands under 'inputs'"),
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
        (["jcm-vn-am007", "no-such-file.json"], "No such file"),
    ]:
        told = run(*words, given="{}")
        assert (told.exit_code, says in told.stderr) == (2, True), told.stderr


@pytest.mark.parametrize("name", sorted(CASES))
def test_describe_says_what_to_give_and_how_certain_it_is(name):
    """A user would have to read the code to know what to measure."""
    page = run(name, "--describe")
    data = json.loads(run(name, "--describe", "--json").stdout)
    assert page.exit_code == 0
    assert "[M]" in page.stdout
    assert set(data["inputs"]) == set(CASES[name]["inputs"])
    for key in (*data["inputs"], *data["parameters"], *data["roles"]):
        assert key in page.stdout
