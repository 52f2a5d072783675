"""
Devices from CSV, as spreadsheets write it.

Messages of an import: on its own rows, and on documents without any value.
"""

import re
from dataclasses import replace

import pytest

from ingest.errors import RegistryError
from services.registry.entries import Registry
from services.registry.files import read_files, to_yaml
from services.registry.plan import plan
from tests.services.registry.texts import BASE, PROJECT, messages

MORE = BASE.replace("id: inv", "id: inv2")


def test_a_stored_project_with_such_a_document_stops_no_other(load):
    """Anyone who imports a new project would have to mend those of others first."""
    stored = load(BASE + PROJECT).merged
    named = replace(stored.projects["pv"], documents={"nosuch": "x"})
    planned = load(MORE, Registry({**stored.entries, (named.kind, named.id): named}))
    assert not planned.refused
    assert "nosuch" not in messages(planned)


def test_warnings_of_stored_rows_are_not_those_of_an_import(load):
    """The hundredth project's import printed the warnings of the others."""

    def of_pv(planned):
        return [m for r in planned.results for m in r.messages if r.id == "pv"]

    first = load(BASE + PROJECT)
    assert any("no `maker` or `serial`" in said for said in of_pv(first))
    assert of_pv(load(MORE, first.merged)) == []
    assert of_pv(load(BASE + PROJECT, first.merged)) == of_pv(first)
    # what the import itself changes for another row is told
    worse = of_pv(load(BASE.replace("rated_power_w: 100000,", ""), first.merged))
    assert worse
    assert all("rated_power_w of inv is not entered" in said for said in worse)


_WHOLE = f"document: licence 12, by: Department, issued: 2024-12-01, sha256: {'ab' * 32}"


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        ("", "parameters: case; until `value` in `documents` has the value that each"),
        (", value: 1", ""),
        (", value: 1.0", ""),
        (", value: 2", "inv: case = 1 1, and its document 'licence 12' states 2:"),
        (", value: {inv: 1}", ""),
        (", value: {inv: 2}", "inv: case = 1 1, and its document 'licence 12' states 2:"),
        (", value: {other: 2}", "parameters: case; until `value` in `documents`"),
        (", value: about 1", "case: value = 'about 1' is not a number"),
        (", value: true", "case: value = True is not a number"),
    ],
)
def test_a_document_that_states_another_value_is_named(load, value, warning):
    """A typing error would be found by the verifier, months after the import."""
    planned = load(BASE + PROJECT + f"    documents: {{case: {{{_WHOLE}{value}}}}}\n")
    found = messages(planned)
    assert warning in found
    shown = ("states 2:", "until `value`", "is not a number")
    assert any(one in found for one in shown) == bool(warning)


HEADER = "id,site,class,profile,rated_power_w,installed"
INV = "inv,s,pv_inverter,generic,100000,2026-01-01T00:00:00Z"
VIETNAMESE = "Mã thiết bị;Địa điểm;Loại thiết bị;Hồ sơ;Công suất (W);Ngày lắp đặt"


def test_csv_devices_read_as_yaml_does(load):
    """A fleet kept in a spreadsheet could not be imported."""
    stored = load(BASE).merged
    text = (
        "id,site,class,profile,rated_power_w,installed,calibrations\n"
        "inv,s,pv_inverter,generic,100000,2026-01-01T00:00:00Z,\n"
        '007,s,vehicle,generic,,2026-01-01T00:00:00Z,"[{performed: 2026-01-01, '
        'valid_until: 2027-01-01, certificate: C}]"\n'
    )
    planned = load(text, stored, name="devices.csv")
    assert [r.result for r in planned.results] == ["unchanged", "created"]
    assert planned.merged.devices["007"].calibrations[0].certificate == "C"
    with pytest.raises(RegistryError, match=r"devices\.csv:1: column 'kind' is unknown"):
        load(text.replace("profile", "kind"), stored, name="devices.csv")


@pytest.mark.parametrize(
    ("column", "day", "said"),
    [
        ("commissioned", "2026-02-01", None),
        ("Ngày đưa vào vận hành", "2026-02-01", None),
        ("commissioned", "", None),
        ("commissioned", "01/02/2026", "'01/02/2026' is not a date"),
        (
            "commissioned",
            "2025-12-31",
            "commissioned: 2025-12-31 is outside the time in which the device exists",
        ),
        ("commissioned", "9999-01-01", "9999-01-01 is not a date of 1990 to 2200"),
    ],
)
def test_a_commissioning_day_is_a_day_of_the_device(load, column, day, said):
    """A device would be missed from a day on that its meter was not there, or never."""
    header = f"{VIETNAMESE.replace(';', ',')},{column}"
    file = f"{header}\n{INV.replace('inv', 'new', 1)},{day}\n"
    stored = load(BASE).merged
    planned = load(file, stored, name="devices.csv")
    assert (said or "") in messages(planned)
    assert bool(planned.refused) == bool(said)
    if said is None:
        found = planned.merged.devices["new"].commissioned
        assert str(found or "") == day
        assert ("commissioned" in to_yaml(planned.merged)) == bool(day)


@pytest.mark.parametrize(
    "data",
    [
        f"\ufeff{HEADER}\r\n{INV}\r\n".encode(),
        f"{HEADER}\n{INV}\n".replace(",", ";").encode(),
        f"{HEADER}\n{INV}\n\n".replace(",", "\t").encode("utf-16"),
        f"{VIETNAMESE}\n{INV.replace(',', ';')}\n".encode("utf-8-sig"),
        f"{VIETNAMESE.upper()}\n{INV.replace(',', ';')}\n".encode(),
        f"ID,Site,Class,Profile,Rated power (W),Installed\n{INV}\n".encode(),
    ],
)
def test_csv_as_spreadsheets_write_it(load, tmp_path, data):
    """A technician would retype ten thousand rows that a spreadsheet saved in its own way."""
    file = tmp_path / "devices.csv"
    file.write_bytes(data)
    planned = plan(load(BASE).merged, read_files([file]))
    assert [(r.id, r.result) for r in planned.results] == [("inv", "unchanged")]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            f"{HEADER}\n{INV}\n".encode()
            + "trạm,s,x,y,1,z\n".encode("cp1258", "replace")
            + b"tr\xf0m",
            ":4: the text is not UTF-8",
        ),
        (f"{VIETNAMESE}\n".encode("cp1258", "replace") + b"\xd0\n", "is not UTF-8"),
        (f"{VIETNAMESE}\n".encode().decode("latin-1").encode(), ":1: column"),
        (f"{HEADER}\n{INV},more\n".encode(), ":2: the row has 7 cells"),
        (f"{HEADER}\n{INV[:-10]}\n\0".encode(), "zero byte"),
        (b"", ":1: column nothing"),
        (f"{HEADER},Mã thiết bị\n{INV},inv\n".encode(), "two columns have the meaning id"),
        (f'{HEADER}\n{INV},"\n'.encode(), "not CSV"),
    ],
)
def test_csv_that_cannot_be_read_is_refused_with_its_line(tmp_path, data, told):
    """Half a fleet imported, or names with wrong letters, is found a year later by an auditor."""
    file = tmp_path / "devices.csv"
    file.write_bytes(data)
    with pytest.raises(RegistryError, match=re.escape(told)):
        read_files([file])


@pytest.mark.parametrize("power", ["100.000", '"100,000"', "1.000.000"])
def test_a_number_that_can_mean_two_is_refused(load, tmp_path, power):
    """100.000 W is a hundred in one office and a hundred thousand in the next."""
    file = tmp_path / "devices.csv"
    file.write_text(f"{HEADER}\n{INV.replace('100000', power)}\n")
    planned = plan(load(BASE).merged, read_files([file]))
    assert "can mean two numbers" in messages(planned)
    assert planned.refused
