"""Registry files as workbooks: cells are imported as they are, without guesses."""

import io
import zipfile
from datetime import date
from pathlib import Path

import openpyxl
import pytest

from ingest.errors import RegistryError
from mrv import methodologies
from services.registry import workbook
from services.registry.entries import Registry
from services.registry.fields import PLACEHOLDER
from services.registry.files import read_bytes, read_files, sections
from services.registry.forms import form
from services.registry.plan import plan
from services.registry.workbook import MAX_UNPACKED_BYTES, write_workbook
from tests.invoked import tonne

CATALOG = Path(__file__).parents[3] / "deploy/catalog"
PERIOD = "crediting_period"
SITE = {"id": "roof", "name": "Roof", "latitude": -1.3, "longitude": 36.8,
        "timezone": "Africa/Nairobi", "country": "KE"}  # fmt: skip
DEVICE = {"id": "m-1", "site": "roof", "class": "energy_meter", "profile": "generic",
          "rated_power_w": 5000, "installed": "2026-01-01T00:00:00+03:00"}  # fmt: skip


def _book(**sheets):
    book = openpyxl.Workbook()
    for title, rows in sheets.items():
        sheet = book.create_sheet(title.replace("__", "."))
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _device(**cells):
    row = {**DEVICE, **cells}
    return _book(sites=[list(SITE), list(SITE.values())], devices=[list(row), list(row.values())])


@pytest.mark.parametrize("city", ["haiphong", "freiburg"])
def test_a_registry_comes_back_from_a_workbook_as_it_was(city):
    """A value would be lost or rounded on its way through a spreadsheet."""
    held = read_files([CATALOG / city]).registry
    again = read_bytes("city.xlsx", write_workbook(sections(held)))
    assert again.problems == {}
    assert again.registry == held


@pytest.mark.parametrize(
    "text", ["007", "1.10", "true", "null", "[draft]", "{x", '"a"', "=1+1", "a.b"]
)
def test_text_stays_text(text):
    """A serial would lose its zeros, or a name that begins with = become a formula."""
    site = {**SITE, "name": f"{text}"}
    device = {**DEVICE, "serial": text, "maker": "X", "attributes": {"note": text}}
    read = read_bytes("a.xlsx", write_workbook({"sites": [site], "devices": [device]}))
    assert read.problems == {}
    (entry,) = read.registry.devices.values()
    assert (entry.serial, entry.attributes["note"]) == (text, text)


def test_cells_of_a_spreadsheet_are_read_as_they_are_typed():
    """An officer's dates, numbers and notes would be refused or read otherwise."""
    data = _book(
        sites=[[*SITE, "# note"], [*SITE.values(), "ask Anna"]],
        devices=[
            [*DEVICE, "commissioned", "attributes.cadence_s"],
            [*DEVICE.values(), date(2026, 2, 1), 900.0],
        ],
        devices__calibrations=[
            ["of", "performed", "valid_until", "certificate", "max_error_percent"],
            ["m-1", date(2025, 12, 20), "2027-12-20", 4711, 0.5],
        ],
        projects=[
            ["id", "name", "methodology", "version", f"{PERIOD}.from", f"{PERIOD}.to"],
            ["p", "P", "ams-i-d", "18.0", date(2026, 2, 1), date(2036, 2, 1)],
        ],
        projects__devices=[["of", "device", "role"], ["p", "m-1", "generation"]],
        projects__parameters=[["of", "key", "value", "# unit"], ["p", "capacity_mw", 0.005, "MW"]],
    )  # fmt: skip
    read = read_bytes("a.xlsx", data)
    assert read.problems == {}
    device, project = read.registry.devices["m-1"], read.registry.projects["p"]
    assert device.commissioned == date(2026, 2, 1)
    assert device.attributes["cadence_s"] == 900
    (one,) = device.calibrations
    assert (one.certificate, str(one.max_error_percent)) == ("4711", "0.5")
    assert project.version == "18.0"
    assert str(project.parameters["capacity_mw"]) == "0.005"
    assert [d.role for d in project.devices] == ["generation"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (_device(rated_power_w="=B2*1000"), r"devices: rated_power_w, row 2: a formula, =B2\*1000"),
        (b"PK no workbook", "is not an XLSX workbook"),
        (b"", "is not an XLSX workbook"),
        (_book(devices=[["id", "id"], ["a", "b"]]), "two columns are named id"),
        (_book(devices=[["id"], ["a", "b"]]), "row 2 has a cell in a column without a name"),
        (_book(devices__ratings=[["of"], ["none"]]), "none is not the id of a row"),
        (_book(devices=[["id"], ["a"]], devices__ratings=[["from"], ["x"]]), "the column is empty"),
        (_book(devices=[[f"c{i}" for i in range(65)]]), "more than 64 columns"),
        (_book(devices=[["id", "attributes", "attributes.x"], ["a", "b", 1]]), "both entered"),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused(data, told):
    """A formula without its value, or a row of no device, would be left out without a message."""
    with pytest.raises(RegistryError, match=told):
        read_bytes("a.xlsx", data)


def test_a_percentage_is_no_number():
    """A cell that shows 2 % holds 0.02: a bound would be a hundred times too narrow."""
    book = openpyxl.load_workbook(io.BytesIO(_device(check_percent=0.02)))
    sheet = book["devices"]
    sheet.cell(2, sheet.max_column).number_format = "0%"
    out = io.BytesIO()
    book.save(out)
    with pytest.raises(RegistryError, match="shown as a percentage"):
        read_bytes("a.xlsx", out.getvalue())


def test_a_small_file_takes_no_large_memory(monkeypatch):
    """A small file cannot cause large memory use."""
    good = _device()
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(good)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("xl/media/image1.bin", bytes(MAX_UNPACKED_BYTES))
    assert len(out.getvalue()) < 1 << 20
    with pytest.raises(RegistryError, match="unpacks to 48 MiB"):
        read_bytes("a.xlsx", out.getvalue())
    far = openpyxl.Workbook()
    sheet = far.create_sheet("devices")
    sheet["A1"], sheet["XFD1048576"] = "id", "x"
    out = io.BytesIO()
    far.save(out)
    monkeypatch.setattr(workbook, "_MAX_ROWS", 9)  # of a million in the file
    with pytest.raises(RegistryError, match="more than 9 rows"):
        read_bytes("a.xlsx", out.getvalue())


def test_an_entity_is_not_expanded():
    """A workbook would read a file of the server, or grow a thousandfold by its entities."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_device())) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == "xl/sharedStrings.xml" or name.endswith("sheet2.xml"):
                head = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
                text = head + text.replace(b"Roof", b"&e;")
            new.writestr(name, text)
    with pytest.raises(RegistryError):
        read_bytes("a.xlsx", out.getvalue())


@pytest.mark.parametrize("name", list(methodologies.load()))
def test_a_form_asks_for_what_its_methodology_needs(name):
    """An officer would fill in a form, and be asked for more or other things afterwards."""
    method = methodologies.load()[name]
    country = next(iter(method.countries), "KE")
    made = form(name, country)
    read = read_bytes("form.xlsx", made.workbook())
    told = "\n".join(text for texts in read.problems.values() for text in texts)
    assert PLACEHOLDER in told
    assert "unknown key" not in told
    assert "no such row" not in told
    (project,) = made.sections["projects"]
    asked = {k for k, s in method.parameters.items() if s.required or k in method.designed}
    assert set(project["parameters"]) == asked
    taken = {d["role"] for d in project["devices"]}
    assert taken >= {r for r, n in method.roles.items() if n.required}
    assert bool(taken) == bool(method.roles)


def test_a_form_that_is_filled_in_is_taken(tmp_path):
    """What the form asks for would not be enough for an import."""
    file = tmp_path / "form.xlsx"
    tonne(
        "registry",
        "template",
        "--methodology",
        "ams-i-d",
        "--country",
        "DE",
        "--xlsx",
        file,
        code=0,
    )
    book = openpyxl.load_workbook(file)
    filled = {
        "latitude": 48, "longitude": 7.8, "rated_power_w": 500_000, "performed": "2025-12-20",
        "valid_until": "2027-12-20", "max_error_percent": 0.5, "serial": "S-1",
        "from": "2026-02-01", "to": "2036-02-01", "issued": "2025-11-03", "sha256": "a1" * 32,
        "installed": "2026-01-10T00:00:00+01:00",
    }  # fmt: skip
    values = {"ef_grid_t_per_mwh": 0.363, "capacity_mw": 0.5}
    for sheet in book.worksheets:
        keys = [str(cell.value).rpartition(".")[2] for cell in sheet[1]]
        for row in sheet.iter_rows(min_row=2):
            cells = dict(zip(keys, row, strict=False))
            for key, cell in cells.items():
                if str(cell.value).startswith(PLACEHOLDER):
                    name = values.get(getattr(cells.get("key"), "value", ""))
                    cell.value = filled.get(key, name if key == "value" else "Mine")
    book.save(file)
    read = read_files([file])
    assert read.problems == {}
    results = plan(Registry(), read).results
    assert [one for one in results if one.result != "created"] == []
    tonne("registry", "check", file, code=0)


def test_a_form_is_of_a_country_of_the_methodology():
    """A project would be planned by the methodology of another country."""
    with pytest.raises(RegistryError, match="the project is in KE"):
        form("jcm-vn-am007", "KE")
    with pytest.raises(RegistryError, match="did you mean 'ams-i-d'"):
        form("ams-id", "KE")
