"""JCM: the monitoring spreadsheet recalculates to the statement, and fills an official file."""

import json
from decimal import Decimal
from io import BytesIO

import openpyxl
import pytest
import yaml

from mrv.documents import read_bytes
from mrv.documents.verification import Verification
from mrv.exports import Source
from mrv.exports.entered import Authority
from mrv.exports.registration import Registration
from mrv.methodologies import load
from mrv.packs.pack import VERIFICATION
from mrv.report.sheets import workbook
from mrv.report.words import Words
from mrv.signatures.keys import write_keyring
from services.cli.output import Exit
from services.issuer.export_files import jcm_files
from services.issuer.report import JCM
from tests.invoked import tonne
from tests.mrv import packs
from tests.mrv.exports.entries import whole
from tests.mrv.packs import HOLDERS
from tests.mrv.report import closed, office

STATEMENT = "TN-pv-20260102-20260103-1"


@pytest.fixture
def run(pack, tmp_path):
    """Return a runner with participants entered."""
    (tmp_path / "keys.json").write_bytes(write_keyring(HOLDERS.values()))

    def command(
        *more, participants=(("Japan Co.", "JPN", "50", "JP-1"), ("Viet Co.", "VNM", "50", "VN-1"))
    ):
        record = whole(STATEMENT, 2026, 1)
        del record["registrations"][0]["units"]
        names = ("name", "side", "share_percent", "account")
        record["registrations"][0]["participants"] = [
            dict(zip(names, one, strict=True)) for one in participants
        ]
        (tmp_path / "entered.yaml").write_text(yaml.safe_dump(record), encoding="utf-8")
        paths = (("--keys", "keys.json"), ("--entered", "entered.yaml"), ("--out", "out"))
        words = [word for name, path in paths for word in (name, str(tmp_path / path))]
        words = ["export", "jcm", str(pack), *words, *map(str, more)]
        return tonne(*words)

    return command


def _stated(pack):
    return json.loads((pack / "statement.json").read_text("utf-8"))["credentialSubject"]


def test_the_spreadsheet_recalculates_to_the_statement(run, pack, tmp_path):
    """The spreadsheet recalculates to the reduction of the statement."""
    done = run()
    assert done.exit_code == Exit.NOT_ENOUGH, done.output  # no status list was given
    made = {"monitoring": (tmp_path / "out/monitoring.xlsx").read_bytes()}
    found = office.calculated(tmp_path, made)["monitoring"]
    book = openpyxl.load_workbook(BytesIO(found), data_only=True)
    sheet, said = book["MRS(calc_process)"], _stated(pack)["emissions"]
    for cell, name in (("B3", "baseline"), ("B4", "project"), ("B5", "reduction")):
        stated = Decimal(said[name]["t"])
        assert abs(Decimal(str(sheet[cell].value)) - stated) <= Decimal("0.000002"), name
    assert Decimal(said["reduction"]["t"]) > 0
    assert "not an official form" in book["MRS(input)"]["A1"].value


MAP = """
name = "official"
source = "the JCM's file"
certainty = "R"
[[cell]]
sheet = "MRS(input)"
at = "C2"
value = "project"
[[table]]
sheet = "MRS(input)"
rows = "parameters"
first = 5
[table.columns]
B = {value = "amount"}
C = {value = "factor_value"}
"""


def test_an_official_file_is_filled(run, tmp_path):
    """Anyone who has the official spreadsheet would type the meters' sums into it."""
    book = openpyxl.Workbook()
    book.active.title = "MRS(input)"
    book.active["D5"] = "=B5*C5"
    book.active.protection.sheet = True
    book.save(tmp_path / "official.xlsx")
    (tmp_path / "map.toml").write_text(MAP, encoding="utf-8")
    run("--template", tmp_path / "official.xlsx", "--map", tmp_path / "map.toml")
    sheet = openpyxl.load_workbook(tmp_path / "out" / "monitoring.xlsx")["MRS(input)"]
    assert sheet["C2"].value == "VN021"
    assert sheet["D5"].value == "=B5*C5"
    assert sheet.protection.sheet is True
    assert sheet["B5"].value > 0


def test_shares_that_are_not_the_whole_are_refused(run, tmp_path):
    """An allocation of credits that is not 100 % is rejected."""
    for shares, rule in (
        ((("A", "JPN", "60", "x"), ("B", "VNM", "50", "y")), "110"),
        ((("A", "XXX", "100", "x"),), "is not a Party"),
        ((("A", "JPN", "-1", "x"),), "is not a non-negative number"),
        ((("A", "JPN", "50", "x"), ("A", "VNM", "50", "y")), "keep one"),
    ):
        done = run(participants=shares)
        assert done.exit_code == Exit.INPUT, done.output
        assert rule in done.output
        assert not (tmp_path / "out").exists()
    assert "account of A" in run(participants=(("A", "JPN", "100", None),)).output


def test_contributions_are_what_the_statement_shows_and_what_was_entered(run, pack, tmp_path):
    """Contributions are those of the statement and the documents entered."""
    done = run()
    said = _stated(pack)
    sheet = openpyxl.load_workbook(tmp_path / "out" / "contribution-report.xlsx")["Contributions"]
    rows = [[cell.value for cell in row] for row in sheet["A4:E6"]]
    assert rows[0][0] == "SDG 13"
    assert Decimal(str(rows[0][2])) == Decimal(said["emissions"]["reduction"]["t"])
    counted = sum(Decimal(one["counted"]) for one in said["monitoredParameters"])
    assert rows[1][:2] == ["SDG 7", "renewable electricity counted in the statement"]
    assert abs(Decimal(str(rows[1][2])) - counted / 10**6) < Decimal("0.000001")
    assert rows[2] == [None] * 5
    assert "negative_impacts" in done.output


def test_the_design_is_what_the_statement_was_closed_with(run, pack, tmp_path):
    """A verifier would compare a design document with equipment that is not there."""
    run()
    plan = json.loads((pack / "plan.json").read_text("utf-8"))
    book = openpyxl.load_workbook(tmp_path / "out" / "design-extract.xlsx")
    assert book.sheetnames == [
        "Project", "Equipment", "Fixed ex ante", "Monitoring plan", "Applicability",
    ]  # fmt: skip
    listed = [row[0].value for row in book["Equipment"]["A4:A99"] if row[0].value]
    assert listed == [one["id"] for one in plan["devices"]]
    said = _stated(pack)
    conditions = [row[0].value for row in book["Applicability"]["A4:A99"] if row[0].value]
    assert conditions == [one.get("rule", one.get("clause")) for one in said["applicability"]]
    first = book["Project"]["B7"].value
    assert first == "2026-01-01"


@pytest.mark.parametrize("name", [one for one in sorted(load()) if one.startswith(JCM)])
def test_every_methodology_of_the_jcm_has_its_monitoring_sheet(name):
    """Each JCM methodology has its monitoring sheet."""
    facts = closed.facts_of(closed.names()[name])
    signed = read_bytes(Verification, packs.pack().files[VERIFICATION], VERIFICATION)
    source = Source(facts.subject, signed, facts.plan.extract())
    entered = Authority(registrations=(Registration(project=facts.subject.project.id),))
    files = jcm_files(source, entered, lambda: workbook(facts, Words("en"))).files
    book = openpyxl.load_workbook(BytesIO(files["monitoring.xlsx"]))
    sheet = book["MRS(calc_process)" if "MRS(input)" in book.sheetnames else "Calculation"]
    formulas = [c.value for row in sheet.iter_rows() for c in row if str(c.value).startswith("=")]
    assert len(formulas) >= 3
    assert {"issuance-request.xlsx", "contribution-report.xlsx", "design-extract.xlsx"} <= set(
        files
    )
