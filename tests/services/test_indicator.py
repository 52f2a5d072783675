"""`tonne indicator`: golden cases through the command, and what it refuses."""

import json

import pytest

from mrv import indicators
from tests.golden import of_kind
from tests.invoked import tonne

CASES = of_kind("indicator")


def run(*words, given=None):
    return tonne("indicator", *words, input=given)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_prints_the_expected_object(name, flags, tmp_path):
    """Whoever compares with the dossier would see other figures."""
    file = tmp_path / "inputs.json"
    file.write_text(json.dumps(CASES[name]["inputs"]))
    told = run(name, str(file), *flags)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == CASES[name]["expected"]


@pytest.mark.parametrize(
    ("words", "given", "says"),
    [
        (["vn-aqi"], "{}", "known indicators"),
        ([], "{}", "NAME is missing"),
        (["noise"], "{}", "INPUTS is missing"),
        (["noise", "-"], "{}", "'laeq_dba' is missing"),
        (["noise", "-"], '{"laeq_dba": [60, null]}', "laeq_dba[1] = null must be a number"),
        (["noise", "-"], '{"laeq_dba": []}', "a list of at least one number [dBA]"),
        (["noise", "-"], '{"laeq_dba": 5}', "a list of at least one number [dBA]"),
        (["noise", "-", "--band"], '{"laeq_dba": [60]}', "noise has no bands"),
        (["vn-aqi-hourly", "-"], '{"pm_12h_latest_first_ug_m3": {"pm10": [1]}}', "2 to 12"),
        (["vn-aqi-hourly", "-"], '{"pm_12h_latest_first_ug_m3": 5}', "must be an object"),
        (["qcvn-05-2023", "-"], '{"on": 5, "mean_ug_m3": {}}', "on = 5 must be a date"),
        (["qcvn-40-2025", "-"], "{}", "--limits FILE"),
    ],
)
def test_bad_input_exits_2_and_names_the_key(words, given, says):
    """A script would go on with a figure that nobody meant."""
    told = run(*words, given=given)
    assert told.exit_code == 2
    assert says in told.stderr
    assert told.stdout == ""


def test_the_word_and_colour_of_an_index():
    """A dashboard would have to know the Decision's bands by itself."""
    air = json.dumps(CASES["vn-aqi-hourly"]["inputs"])
    told = json.loads(run("vn-aqi-hourly", "-", "--band", given=air).stdout)
    assert (told["band"], told["rgb"]) == ("Trung binh", [255, 255, 0])
    water = json.dumps(CASES["vn-wqi"]["inputs"])
    told = json.loads(run("vn-wqi", "-", "--band", given=water).stdout)
    assert told["band"] == "Trung binh"
    assert "rgb" not in told


def test_limits_from_a_file(tmp_path):
    """Whoever holds the new standard's table could not use it."""
    table = tmp_path / "limits.toml"
    table.write_text(
        'id = "qcvn-26-2025"\nsource = "s"\ncertainty = "R"\n[[limit]]\nparameter = "day"\n'
        'area = "special"\nvalue = "50"\nunit = "dBA"\n'
    )
    given = '{"area": "special", "day_dba": 51}'
    told = run("qcvn-26-2025", "-", "--limits", str(table), given=given)
    assert json.loads(told.stdout) == {"limit_dba": {"day": 50.0}, "exceeded": ["day"]}
    table.write_bytes(b"\xff")
    told = run("qcvn-26-2025", "-", "--limits", str(table), given=given)
    assert (told.exit_code, "not TOML in UTF-8" in told.stderr) == (2, True)


@pytest.mark.parametrize("name", sorted(indicators.load()))
def test_describe_says_what_to_give(name):
    """A user would have to read the code to know what to measure."""
    page = run(name, "--describe")
    schema = json.loads(page.stdout)
    assert schema == json.loads(run(name, "--describe", "--json").stdout)
    assert set(schema["properties"]) == set(indicators.load()[name].inputs)
    assert schema["indicator"]["id"] == name


def test_list_names_all_and_which_need_limits():
    """A user would learn only from a refusal that limits must be given."""
    data = json.loads(run("--list", "--json").stdout)
    assert {one["id"] for one in data} == set(indicators.load())
    kinds = {one["id"]: one["limits"] for one in data}
    assert (kinds["qcvn-40-2025"], kinds["qcvn-40-2011"], kinds["noise"]) == (
        "to be given",
        "built in",
        "none",
    )
    assert "qcvn-14-2025" in run("--list").stdout
