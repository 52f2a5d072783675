"""A recycling plant, by commands: without documents of its design it is not credited."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from mrv.report.dated_values import dated_rows
from mrv.report.words import Words
from services.cli.__main__ import main
from services.issuer import documents
from tests import registering
from tests.findings import worded
from tests.planted import planted
from tests.services.issuer import logged, plant

BILLED = "EVD-03"
RULE = "EVD-02"

SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")
REGISTRY = """
sites: [{id: hp, name: Hai Phong, latitude: 20.94, longitude: 106.60, timezone: Asia/Ho_Chi_Minh}]
devices:
  - {id: line, site: hp, class: recycling_line, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
  - {id: power, site: hp, class: energy_meter, profile: generic, rated_power_w: 50000,
     installed: 2026-01-01T00:00:00+07:00}
  - {id: fuel, site: hp, class: fuel_meter, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
projects:
  - id: pet
    name: Recycled PET
    methodology: ams-iii-aj
    version: "7.0"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
    devices: [{device: line, role: pet}, {device: power, role: power}, {device: fuel, role: fuel}]
    parameters: {ef_grid_t_per_mwh: 0.6592%s}
"""
BUILT = ", design_mass_t_per_d: 3, design_kwh_per_t: 300"
PAPER = "{document: licence 12/2025, by: %s, issued: %s, value: %s, sha256: " + "b2" * 32 + "}"
OFFICE = "Department of Environment"


BILL = """
invoices:
  - {id: bill-%s, project: pet, issuer: %s, number: 26-3, issued: 2026-03-03, devices: [%s],
     quantity: %s, unit: %s, from: 2026-03-02, to: 2026-03-03, amount: %s, tolerance_percent: 2,
     sha256: %s}
"""
PAID = "power", "energy_import", "kWh", 720


def billed(url, folder, device, quantity, unit, amount, issuer="EVN Hai Phong"):
    """Import an invoice as a person would."""
    told = BILL % (device, issuer, device, quantity, unit, amount, "c3" * 32)
    registering.billed(url, folder, told)


def _recycling(url, folder):
    """Store three days of a line that makes 2.4 t of PET per day, 300 kWh each."""
    plant.register(url, folder, REGISTRY % "")
    times = np.arange(plant.us("2026-03-01"), plant.us("2026-03-04"), 15 * 60 * 10**6)
    count = np.arange(len(times)) + 1
    plant.send(url, "line", times, output_total_g=count * 25_000)
    plant.send(url, "power", times, energy_import_wh=count * 7_500)
    plant.send(url, "fuel", times, fuel_total_ml=count * 10)


@pytest.fixture
def url(database_url, tmp_path):
    planted(_recycling, database_url, tmp_path)
    return database_url


def given(by=OFFICE, issued="2025-03-01"):
    """Return the registry with both design values, each in a document."""
    mass, energy = (PAPER % (by, issued, value) for value in (3, 300))
    return (
        REGISTRY % BUILT
        + f"    documents: {{design_mass_t_per_d: {mass}, design_kwh_per_t: {energy}}}\n"
    )


def closed(url):
    """Preview the day; return tonnes, and the texts of the conditions not met, by clause."""
    found = logged.previewed(url, *SPAN, project="pet")
    unmet = {f.rule: f.detail for f in found.result.applicability if not f.holds}
    said = found.document["credentialSubject"]["applicability"]
    unmet |= {a["rule"]: worded(a) for a in said if not a["holds"]}
    return float(found.result.net.reduction.t), unmet


def test_a_plant_earns_once_its_design_is_documented(url, tmp_path):
    """Output is credited once the design is documented."""
    tonnes, unmet = closed(url)
    assert tonnes < 0
    assert "design_mass_t_per_d: no value is entered" in unmet[RULE]

    refused, said = registering.said(url, tmp_path, REGISTRY % BUILT)
    assert not refused
    assert "design_mass_t_per_d has no document with document, by, issued, sha256" in said
    assert "no third party's document is entered" in closed(url)[1][RULE]

    late = given(issued="2026-03-03")
    assert not registering.said(url, tmp_path, late)[0]
    assert "is dated 2026-03-03, after the period began" in closed(url)[1][RULE]

    refused, said = registering.said(url, tmp_path, given())
    assert (refused, "that the design of the plant permits" in said) == (False, False)
    tonnes, unmet = closed(url)
    assert (tonnes, RULE in unmet) == (0, False)
    assert "corroborates line. No invoice with its file corroborates power" in unmet[BILLED]
    billed(url, tmp_path, *PAID)
    who = logged.signers(url, tmp_path)
    name = logged.issue(url, who, project="pet")
    tonnes, unmet = closed(url)
    assert tonnes > 1
    assert not {RULE, BILLED} & unmet.keys()
    logged.packed(url, name, tmp_path / "pack")
    with logged.issuer(url) as conn:
        claims = documents.documents(conn, name).claims
    rows = {row[1]: row[2:] for row in dated_rows(claims, Words("en"))}
    assert rows[f"design capacity of the plant (stated by {OFFICE})"] == (
        "2025-03-01", "3", "t/d", "licence 12/2025",
    )  # fmt: skip


def test_a_preview_tells_before_the_close_what_is_missing(url):
    """An owner would hear of a missing document when the period is closed, and keeps no draft."""
    environment = {"TONNE_DATABASE_URL": url}

    def told(*words):
        return CliRunner().invoke(main, ["period", *words], env=environment)

    words = "preview", "pet", "--from", "2026-03-02", "--to", "2026-03-03"
    shown = told(*words)
    assert shown.exit_code == 0, shown.output
    assert "preview, not kept" in shown.output
    assert f"not met     {RULE}" in shown.output
    given = json.loads(told(*words, "--json").output)
    assert RULE in {one["rule"] for one in given["not_met"]}
    names = {"rule", "title", "severity", "tonnes", "devices", "text", "texts", "remedy"}
    assert all(one.keys() == names | {"settled_by"} for one in given["findings"])
    (bare,) = (one for one in given["findings"] if one["rule"] == RULE)
    assert (bare["severity"] in {"CL", "CAR"}, bool(bare["text"]), bool(bare["remedy"])) == (
        True, True, True,
    )  # fmt: skip
    assert [*given["evidence"]] == ["A", "B", "C", "D"]
    assert abs(sum(map(float, given["evidence"].values())) - 1) < 1e-5
    assert {one["kind"] for one in given["worklist"]} == {"meter", "parameter"}
    with logged.issuer(url) as conn:
        assert conn.execute("SELECT count(*) FROM statement").fetchone() == (0,)
    assert given["reduction_t"] == f"{closed(url)[0]:.6f}"
    far = told("preview", "pet", "--from", "2026-03-02", "--to", "2035-03-03")
    assert far.exit_code == 2
    assert "ends at the present at the latest" in far.output


def test_a_document_by_the_operator_is_none(url, tmp_path):
    """A document issued by the operator is not evidence."""
    logged.signers(url, tmp_path)
    assert not registering.said(url, tmp_path, given(by="the-operator"))[0]
    tonnes, unmet = closed(url)
    assert tonnes < 0
    assert "the operator of the plant" in unmet["PAR-07"]
