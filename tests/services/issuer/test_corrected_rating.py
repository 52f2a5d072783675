"""A rated power entered in kW: reported at the import, and corrected from the data sheet."""

import hashlib
import re

import pytest

from services.issuer.close import preview_period
from services.store.postgres.pool import connect
from tests.findings import worded
from tests.invoked import tonne
from tests.planted import planted
from tests.registering import told
from tests.services.issuer import plant

SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")
SHEET = hashlib.sha256(b"data sheet").hexdigest()
REGISTRY = """
sites: [{id: hp, name: Hai Phong, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}]
devices:
  - id: inv
    site: hp
    class: pv_inverter
    profile: generic
    rated_power_w: %s
    installed: 2026-01-01T00:00:00+07:00
    maker: Example
    serial: A1
    calibrations:
      - {performed: 2025-12-20, valid_until: 2027-12-20, certificate: C-1, accuracy_class: "0.5S",
         serial: A1}
projects:
  - id: pv
    name: PV
    methodology: jcm-vn-am007
    version: "1.0"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
    devices: [{device: inv, role: generation, case: 1}]
"""
WRONG, RIGHT = REGISTRY % "100", REGISTRY % "100000"
ROW = "{from: 2026-01-01T00:00:00+07:00, rated_power_w: %s, document: data sheet X%s}"


def _with_row(watt, sha256=SHEET):
    row = ROW % (watt, f", sha256: {sha256}" if sha256 else "")
    return (REGISTRY % watt).replace("    maker:", f"    ratings: [{row}]\n    maker:")


def _plant(url, folder):
    """Store three sunny days of 100 kW, which the registry has as 100 W."""
    planned = told(url, folder, WRONG)
    assert not planned.refused
    times, energy, power = plant.sunny("2026-03-01", "2026-03-04", 15, 80_000)
    plant.send(url, "inv", times, energy_export_wh=energy, active_power_w=power)


@pytest.fixture
def url(database_url, tmp_path):
    planted(_plant, database_url, tmp_path)
    return database_url


def _import(url, folder, text):
    """Import; return whether it was refused, and the messages about the inverter."""
    planned = told(url, folder, text)
    said = (m for r in planned.results if r.id == "inv" for m in r.messages)
    return planned.refused, "\n".join(said)


def _close(url):
    """Derive the rows again, as the pipeline does after an import, and close the day."""
    span = ("--from", "2026-03-01", "--to", "2026-03-04")
    tonne("rebuild", *span, env={"TONNE_DATABASE_URL": url}, code=0)
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        found = preview_period(conn, "pv", *SPAN).document["credentialSubject"]
    said = {a["rule"]: a for a in found["applicability"]}
    return float(found["emissions"]["reduction"]["t"]), said


def test_an_import_says_that_a_rating_is_in_kilowatts(database_url, tmp_path):
    """An owner would learn after a month that an inverter of 100 W made nothing."""
    refused, said = _import(database_url, tmp_path, WRONG)
    assert not refused
    assert "warning: " in said
    assert "rated_power_w: 100 W; class pv_inverter has 250 W to 50,000,000 W (" in said
    assert "; is that kW? write 100000" in said
    checked = tonne("registry", "check", env={"TONNE_DATABASE_URL": database_url}).output
    assert "is that kW? write 100000" in " ".join(checked.split())
    refused, said = _import(database_url, tmp_path, REGISTRY % "100000000000")
    assert "is that a thousand times too much?" not in said  # nor is a thousandth plausible
    assert "50,000,000 W" in said
    # a plug-in plant is one
    assert _import(database_url, tmp_path, REGISTRY % "600") == (False, "")


def test_a_close_and_the_doctor_ask_whether_it_is_in_kilowatts(url, tmp_path):
    """An owner would see nothing but unknown time, and no cause."""
    tonnes, said = _close(url)
    assert tonnes == 0
    asked = worded(said["MTR-01"])
    assert not said["MTR-01"]["holds"]
    times = int(re.search(r"([\d,]+) times its rated_power_w of 100 W", asked)[1])
    assert 100 < times < 1000
    assert "If that rating is in kW, enter 100000 W" in asked
    environment = {"TONNE_DATABASE_URL": url, "TONNE_HOME": str(tmp_path / "home")}
    doctor = " ".join(tonne("doctor", env=environment).output.split())
    assert "inv: rated_power_w: 100 W" in doctor
    assert "is that kW? write 100000" in doctor


def test_a_correction_by_the_data_sheet_counts_for_the_past(url, tmp_path):
    """A slip of a unit would cost all that the plant made before it was found."""
    wrong, _ = _close(url)
    later = _import(url, tmp_path, RIGHT)
    assert later == (False, "")
    assert _close(url)[0] == wrong == 0  # from the import on alone
    refused, said = _import(url, tmp_path, _with_row(100000, None))
    assert refused
    assert "ratings: 100 W from 2025-12-31 17:00:00+00:00 is registered" in said
    assert "`document` and `sha256` of the data sheet" in said
    assert _import(url, tmp_path, _with_row(100000)) == (False, "")
    tonnes, said = _close(url)
    made = 80 * 24 / 3.14159  # kWh of a day's half sine
    assert tonnes == pytest.approx(made / 1000 * 0.333, rel=0.01)
    assert "MTR-01" not in said
    assert said["REG-04"]["holds"]
    assert "100,000 W apply in place of 100 W" in worded(said["REG-04"])
    assert SHEET in worded(said["REG-04"])
    # the same file again changes nothing, and what is exported says the same
    planned = told(url, tmp_path, _with_row(100000))
    assert {r.result for r in planned.results} == {"unchanged"}
