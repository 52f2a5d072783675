"""
Certificates of instruments, errors found in calibration, tests of removed meters, in statements.

Findings of the UNFCCC secretariat that these tests answer, below cdm.unfccc.int:

| finding | test |
|---|---|
| /IRCheck/iss_forms/OGW6N5C3E40DQXR/viewPublic: results of the delayed calibrations | late |
| /IRCheck/iss_forms/GB0PXHYC39S8WE6/viewPublic: error that it identified | late |
| /Projects/DB/TUEV-SUED1149881057.02/iProcess/DNV-CUK1272610029.03/gotoRFR: accuracy | refused |
"""

from fractions import Fraction

import pytest

from mrv.documents.monitoring import CalibrationShown
from mrv.packs.reader import read_pack
from mrv.report.words import LANGUAGES, Words, certificate, error
from mrv.rules.plausible_values import RANGE as RULE
from mrv.verify import verify
from services.issuer.pack import export
from tests import registering
from tests.services.issuer import logged, plant
from tests.services.issuer.logged import closed_subject, composed_again, subject
from tests.services.issuer.sealed import close_period

SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")
VALID = "performed: 2025-12-20, valid_until: 2027-12-20, certificate: C-1, accuracy_class"
OLD = "performed: 2024-01-20, valid_until: 2026-01-20, certificate: C-1, accuracy_class"
FOUND = (
    "      - {performed: 2026-03-09, valid_until: 2028-03-09, certificate: C-2,"
    ' channel: energy_export_kwh, accuracy_class: "0.5 %", found_error_percent: 0.7}\n'
)
ROW = 'accuracy_class: "0.5S"}\n  - id: inv-2'


def _of(claims):
    (one,) = (p for p in claims["monitoredParameters"] if p["device"] == "inv-1")
    return one, [d for d in claims["deductions"] if d["device"] == "inv-1"]


def test_what_a_late_calibration_found_is_in_the_statement_and_counts(url, tmp_path):
    """A meter that was found 0.7 % off would cost the 0.5 % of its class."""
    before, _ = _of(subject(url, *SPAN))
    late = plant.REGISTRY.replace(VALID, OLD).replace(
        ROW, f'accuracy_class: "0.5S"}}\n{FOUND}  - id: inv-2', 1
    )
    refused, said = registering.said(url, tmp_path, late)
    assert not refused, said
    claims = closed_subject(url, *SPAN)
    one, taken = _of(claims)
    assert Fraction(one["counted"]) == Fraction(before["counted"]) * (1 - Fraction("0.007"))
    assert [d["percent"] for d in taken] == ["0.700000"]
    assert taken[0]["reason"]["code"] == "calibration.found"
    shown = one["calibrations"][1]
    assert (shown["channel"], shown["foundErrorPercent"]) == ("energy_export_wh", "0.7")
    assert composed_again(url, claims) == claims


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("channel: no_such", "'no_such' is not a channel of 'pv_inverter'; known: "),
        ("last_test: true, found_error_percent: 1", "is not allowed with `last_test`"),
        ("found_error_percent: 101", "found_error_percent"),
    ],
)
def test_what_cannot_be_is_refused(url, tmp_path, row, wrong):
    """A certificate of a misspelt channel would cover nothing, and no one would be informed."""
    refused, said = registering.said(
        url, tmp_path, plant.REGISTRY.replace(VALID, f"{row}, {VALID}")
    )
    assert refused
    assert wrong in said


def test_a_calibration_is_due_by_its_interval_and_by_instrument(url, tmp_path):
    """A board would call a meter valid until 2031 whose plan asks for a calibration each year."""

    def due(text):
        refused, said = registering.said(url, tmp_path, text)
        assert not refused, said
        with logged.issuer(url) as conn:
            return conn.execute(
                "SELECT valid_until::text FROM v_calibration_due WHERE device_id = 'inv-1'"
            ).fetchone()[0]

    assert due(plant.REGISTRY) == "2027-12-20"
    yearly = plant.REGISTRY.replace(
        "serial: A1\n", "serial: A1\n    attributes: {calibration_every: 12}\n"
    )
    assert due(yearly) == "2026-12-20"
    dated = "performed: 2025-12-20, valid_until: 2026-10-01"
    more = f"      - {{{dated}, certificate: C-7, channel: dc_power_w}}\n"
    row = f"      - {{{VALID}"
    # the one that names no channel is of all
    assert due(plant.REGISTRY.replace(row, more + row)) == "2027-12-20"
    own = row.replace("{", "{channel: energy_export_kwh, ")
    assert due(plant.REGISTRY.replace(row, more + own)) == "2026-10-01"
    of_test = "certificate: T-1, last_test: true, found_error_percent: 0"
    test = f"      - {{performed: 2026-02-01, {of_test}}}\n"
    assert due(plant.REGISTRY.replace(row, test + row)) == "2027-12-20"
    # a test attests a found error; it has no class to compare with the plan's
    assert "PLN-01.imprecise" not in str(subject(url, *SPAN)["applicability"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_reports_show_instrument_and_found_error(language):
    """A verifier would see two certificates of one meter, and not which instrument each is of."""
    words = Words(language)
    one = CalibrationShown(
        certificate="C", performed="2026-01-01", valid_until="2026-01-01", accuracy_class=None,
        max_error_percent="2", channel="ch4_percent", found_error_percent="2.5", last_test=True,
    )  # fmt: skip
    assert "C (ch4_percent)" in certificate(one, words)
    assert certificate(one, words) != "C (ch4_percent)"
    assert words.number("2.5") in error(one, words)


BURNERS = """
devices:
  - {id: gas, site: hp, class: fuel_meter, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
  - {id: fans, site: hp, class: energy_meter, profile: generic, rated_power_w: 50000,
     installed: 2026-01-01T00:00:00+07:00}
projects:
  - id: burners
    name: Regenerative burners
    methodology: jcm-id-am009
    version: "1.0"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
    devices:
      - {device: gas, role: natural_gas, density_kg_per_m3: 1.05}
      - {device: fans, role: power}
    parameters: {eta_reference: 0.35, eta_project: 0.5, design_fuel_m3_per_d: 4000}
    documents:
      eta_reference: &paper {document: report 7, by: Energy auditor, issued: 2025-12-01, sha256: %s}
      eta_project: *paper
      density_kg_per_m3: *paper
      design_fuel_m3_per_d: *paper
""" % ("e5" * 32)


def test_a_density_beyond_its_fuel_counts_by_the_bound_and_verifies(database_url, tmp_path):
    """A pack whose registry says 1.05 kg/m3 and whose statement 0.65 would be a contradiction."""
    plant.register(database_url, tmp_path)
    plant.register(database_url, tmp_path, BURNERS)
    times = range(plant.us("2026-03-01"), plant.us("2026-03-03") + 1, 15 * plant.MINUTE_US)
    for device, column, step in (
        ("gas", "fuel_total_ml", 30_000_000),
        ("fans", "energy_import_wh", 5_000),
    ):
        steps = [step * i for i in range(len(times))]
        plant.send(database_url, device, list(times), **{column: steps})
    who, days = logged.signers(database_url, tmp_path), ("2026-03-01", "2026-03-02", "2026-03-03")
    first = logged.issue(database_url, who, *days[:2], project="burners")
    with logged.issuer(database_url) as conn:
        closed = close_period(conn, "burners", *map(plant.us, days[1:]), "test")
        folder = export(conn, first, tmp_path / "pack")
    used = {p.device: p.value for p in closed.result.parameters if p.name == "density_kg_per_m3"}
    assert used == {"gas": "0.65"}
    (said,) = [f.detail for f in closed.result.applicability if f.rule == RULE and not f.holds]
    assert (
        said.count(
            "density_kg_per_m3 of gas = 1.05 kg/m3 is outside the plausible range 0.65 to 0.85"
        )
        == 1
    )
    report = verify(read_pack(folder))
    assert report.failure is None, report.failure
    assert report.consistent
