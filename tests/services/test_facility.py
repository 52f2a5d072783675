"""A facility's inventory: from the meters' readings to the form for a ministry."""

import json
import tomllib
from decimal import Decimal
from fractions import Fraction
from importlib import resources

import openpyxl
import pytest
import yaml
from openpyxl.styles import Font, Protection

from mrv import factors
from mrv.exports.entered import Facility, Supply, YearEntered
from mrv.exports.facility import Metered, inventory
from services.cli.output import Exit
from services.store.postgres.pool import connect
from tests.invoked import tonne
from tests.planted import planted
from tests.services.issuer import plant

FACILITY = {
    "site": "hp", "name": "Bus depot", "tax_code": "0201234567", "address": "1 Quay, Hai Phong",
    "sector": "transport", "representative": "Nguyen Van A", "qa_qc": "monthly, by invoice",
    "uncertainty_percent": "2.5",
    "supplies": [
        {"id": "=chargers", "line": "electricity", "device": "ch-1", "quantity": "energy_import"},
        {"id": "septic", "line": "waste",
         "entered": [{"year": 2026, "emissions_t": "1.25", "document": "report 3"}]},
    ],
}  # fmt: skip


def _filled(url, home):
    plant.register(url, home)
    plant.fill_buses(url)


@pytest.fixture
def run(database_url, tmp_path):
    """Return a runner of commands on a plant with chargers, and an importer of a facility."""
    planted(_filled, database_url, tmp_path)
    env = {"TONNE_DATABASE_URL": database_url}

    def command(*words):
        return tonne(*words, env=env)

    def bring(**more):
        file = tmp_path / "facility.yaml"
        file.write_text(yaml.safe_dump({"facilities": [FACILITY | more]}), encoding="utf-8")
        return command("registry", "import", file, "--json")

    command.bring = bring
    return command


def _export(run, out, *more):
    return run("export", "facility", "--site", "hp", "--year", 2026, "--out", out, *more)


def test_the_inventory_is_what_the_meters_read(run, database_url, tmp_path):
    """The inventory has the metered quantities."""
    assert run.bring().exit_code == Exit.DONE
    done = _export(run, tmp_path / "out", "--json")
    assert done.exit_code == Exit.NOT_ENOUGH, done.output  # three days are no year
    missing = " ".join(json.loads(done.stdout)["missing"])
    assert "measured" in missing
    assert "of 2026" in missing
    made = json.loads((tmp_path / "out" / "inventory.json").read_text("utf-8"))
    # from the readings, by none of the export's code; the newest factor is that of 2023, 0.6592
    with connect(database_url) as conn:
        first, last = conn.execute(
            "SELECT min(energy_import_wh), max(energy_import_wh) FROM reading_ev_charger"
        ).fetchone()
    grid = tomllib.loads((resources.files(factors) / "vn_grid.toml").read_text("utf-8"))["factor"]
    newest = max(grid, key=lambda one: one["valid_from"])
    tonnes = Decimal(last - first) / 10**6 * Decimal(newest["value"])
    assert tonnes > 0
    found = Decimal(made["inventory"]["scope_2_t"])
    assert 0 <= found - tonnes < Decimal("0.000001")
    assert made["inventory"]["scope_1_t"] == "1.25"
    book = openpyxl.load_workbook(tmp_path / "out" / "inventory.xlsx")
    assert "not an official form" in book["Facility"]["A1"].value
    assert book["Facility"]["B4"].value == "0201234567"
    rows = [[cell.value for cell in row] for row in book["Emissions"]["A4:L5"]]
    electric = next(row for row in rows if row[2] == "electricity")
    assert electric[0] == "=chargers"
    assert book["Emissions"][f"A{4 + rows.index(electric)}"].data_type == "s"
    assert Decimal(str(electric[11])) == found
    (tmp_path / "out").rename(tmp_path / "before")
    _export(run, tmp_path / "out")
    name = "inventory.xlsx"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()


MAP = """
name = "official"
source = "the ministry's file"
certainty = "R"
[[cell]]
sheet = "Form"
at = "C5"
value = "tax_code"
[[table]]
sheet = "Form"
rows = "sources"
first = 10
room = 2
[table.columns]
B = {value = "emissions_t"}
"""


def _template(path, formula_at="B20"):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Form"
    sheet["C5"].font = Font(bold=True, color="FF0000")
    sheet["C5"].protection = Protection(locked=False)
    sheet[formula_at] = "=SUM(B10:B11)"
    sheet.protection.sheet = True
    book.save(path)


def test_an_official_form_is_filled_and_kept(run, tmp_path):
    """An official form is filled in without other changes."""
    run.bring()
    template, mapped = tmp_path / "form.xlsx", tmp_path / "map.toml"
    _template(template)
    mapped.write_text(MAP, encoding="utf-8")
    given = ("--template", template, "--map", mapped)
    assert _export(run, tmp_path / "out", *given).exit_code == Exit.NOT_ENOUGH
    sheet = openpyxl.load_workbook(tmp_path / "out" / "inventory.xlsx")["Form"]
    assert (sheet["C5"].value, sheet["C5"].font.b) == ("0201234567", True)
    assert sheet["C5"].protection.locked is False
    assert sheet.protection.sheet is True
    assert sheet["B20"].value == "=SUM(B10:B11)"
    assert sheet["A1"].value is None  # nothing of our layout

    def refused(text, *words):
        done = _export(run, tmp_path / "no", *words)
        assert done.exit_code == Exit.INPUT, done.output
        assert text in done.output
        assert not (tmp_path / "no").exists()

    _template(template, "C5")
    refused("contains a formula", *given)
    mapped.write_text(MAP.replace("room = 2", "room = 1"), encoding="utf-8")
    _template(template)
    refused("has room for 1 rows", *given)
    mapped.write_text(MAP.replace('"Form"', '"Gone"'), encoding="utf-8")
    refused("has no sheet", *given)
    mapped.write_text(MAP.replace('"tax_code"', '"colour"'), encoding="utf-8")
    refused("is not known", *given)
    template.write_bytes(b"no workbook")
    mapped.write_text(MAP, encoding="utf-8")
    refused("not an XLSX workbook", *given)
    refused("needs --map", "--template", template)


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"site": "nowhere"}, "is not registered"),
        ({"tax_code": "ABC"}, "must consist of digits"),
        ({"supplies": [{"id": "a", "line": "love"}]}, "is not one of"),
        ({"supplies": [{"id": "a", "line": "electricity", "device": "ch-9", "quantity": "x"}]},
         "is not registered"),
        ({"supplies": [{"id": "a", "line": "electricity", "device": "ch-1", "quantity": "flow"}]},
         "measures no flow"),
        ({"supplies": [FACILITY["supplies"][0], FACILITY["supplies"][0] | {"id": "b"}]},
         "counted only once"),
        ({"supplies": [{"id": "a", "line": "waste", "entered": [
            {"year": 2026, "emissions_t": "-1", "document": "x"}]}]}, "is not a non-negative"),
    ],
)  # fmt: skip
def test_a_facility_that_contradicts_is_refused(run, more, rule):
    """Energy counted twice, or another site's, appears in a ministry's statistics."""
    done = run.bring(**more)
    assert done.exit_code == Exit.INPUT, done.output
    assert rule in done.output


def test_fuel_is_counted_with_density_heat_and_carbon():
    """Diesel of a generator would be left out of an inventory, or counted by another unit."""
    supply = Supply(id="generator", line="fuel", device="f-1", quantity="flow", fuel="diesel")
    entered = Supply(
        id="CH4", line="fuel", entered=(YearEntered(year=2026, emissions_t="0.5", document="x"),)
    )
    facility = Facility(site="hp", supplies=(supply, entered))
    litres = 10_000
    found = inventory(
        facility, 2026, {("f-1", "flow"): Metered(litres * 1000, "mL", Fraction(1))}, factors.load()
    )
    row = next(row for row in found.rows if row["source"] == "generator")
    by_hand = Decimal(litres) * Decimal("0.84") / 10**6 * Decimal("43.0") * Decimal("74.1")
    assert 0 <= row["emissions_t"] - by_hand <= Decimal("0.000001")
    assert found.values["scope_1_t"] == row["emissions_t"] + Decimal("0.5")
    said = {one.field for one in found.draft.missing if one.table == "generator"}
    assert said == {"CH4 and N2O"}
