"""`tonne export` on a pack, as for an auditor without a database."""

import json

import pytest
import yaml

from mrv.signatures.keys import write_keyring
from services.cli.output import Exit
from tests.invoked import tonne
from tests.mrv.exports.entries import whole
from tests.mrv.packs import HOLDERS

STATEMENT = "TN-pv-20260102-20260103-1"


@pytest.fixture
def options(tmp_path):
    entered, keys = tmp_path / "authority.yaml", tmp_path / "keys.json"
    record = whole(STATEMENT, 2026, 1)
    del record["registrations"][0]["units"]  # the pack's statement credits less than a tonne
    entered.write_text(yaml.safe_dump(record, allow_unicode=True), encoding="utf-8")
    keys.write_bytes(write_keyring(HOLDERS.values()))
    return ["--entered", str(entered), "--keys", str(keys), "--out", str(tmp_path / "out")]


def _run(*words):
    return tonne("export", *words)


def test_a_pack_is_exported_without_a_database(pack, options, tmp_path):
    """An auditor could not see which figures a registry was sent."""
    done = _run("cdop", pack, *options, "--json")
    assert done.exit_code == Exit.NOT_ENOUGH, done.output
    said = json.loads(done.stdout)
    assert said["statements"] == [STATEMENT]
    # all that lacks is what a reader of the pack lacks: whether the statement still counts
    assert {one.split(".")[0] for one in said["missing"]} == {STATEMENT}
    assert any("--status" in one for one in said["missing"])
    issued = json.loads((tmp_path / "out" / "Issuances.json").read_text("utf-8"))
    assert issued["issuance"]["issuance"][0]["batch_issued_volume"] == 0
    assert (tmp_path / "out" / "missing.json").is_file()
    again = _run("cad-trust", pack, *options)
    assert again.exit_code == Exit.INPUT
    assert "already exists" in again.stderr


def test_a_contradiction_writes_nothing(pack, options, tmp_path):
    """An incomplete export folder could be sent by mistake."""
    entered = tmp_path / "authority.yaml"
    entered.write_text(yaml.safe_dump(whole(STATEMENT, 2026, 1)), encoding="utf-8")
    done = _run("cad-trust", pack, *options)
    assert done.exit_code == Exit.INPUT
    assert "are entered, but" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_pack_that_does_not_hold_is_not_exported(pack, options, tmp_path):
    """A registry would get a figure that was changed."""
    file = pack / "plan.json"
    was = file.read_bytes()
    file.write_bytes(was.replace(b"Rooftop PV", b"Rooftop PW"))
    try:
        done = _run("cdop", pack, *options)
    finally:
        file.write_bytes(was)
    assert done.exit_code == Exit.FALSE, done.output
    assert not (tmp_path / "out").exists()


def test_a_partys_year_is_written_as_tables_and_workbook(pack, options, tmp_path):
    """A ministry would type five tables again from a screen."""
    entered = tmp_path / "authority.yaml"
    one = {"party": "VNM", "year": 2026, "version": 1, "date": "2027-04-10",
           "ndc_from": 2021, "ndc_to": 2030}  # fmt: skip
    entered.write_text(yaml.safe_dump({"submissions": [one]}), encoding="utf-8")
    done = _run("aef", pack, *options, "--party", "VNM", "--year", 2026)
    assert done.exit_code == Exit.NOT_ENOUGH, done.output  # no status list was given
    names = {file.name for file in (tmp_path / "out").iterdir()}
    tables = {f"T{number}.{form}" for number in range(1, 6) for form in ("csv", "xlsx")}
    assert names == {*tables, "submission.xlsx", "filed.txt", "missing.json"}
    row = (tmp_path / "out" / "T1.csv").read_text("utf-8").splitlines()[1]
    assert row == "VNM,1,2026,2027-04-10,2021,2030"
