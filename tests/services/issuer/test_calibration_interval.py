"""
The validity of a calibration, in statements.

Findings of the UNFCCC secretariat that these tests answer, below cdm.unfccc.int:

| finding | test |
|---|---|
| /IRCheck/iss_forms/1M7FLIJ0S92WVZ5/viewPublic: intervals of 5 and 6 years | past |
| /IRCheck/iss_forms/5N2IATYJL3XKV41/viewPublic: validity from the calibration on | past |
| /IRCheck/iss_forms/598GFY7PARITCNQ/viewPublic: yearly, and valid for 18 months | own |
| /Projects/DB/TUEV-SUED1146252072.49/iProcess/DNV-CUK1242679833.75/gotoRFR: two intervals | own |
| /IRCheck/iss_forms/2ODI5C9JMG8LP0S/viewPublic: another date than in the report before | dates |
"""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from msgspec import structs

from mrv.documents import UNSET
from mrv.documents.monitoring import CalibrationShown
from mrv.report.words import LANGUAGES, Words, plain_until, until
from services.registry.entries import CALIBRATION_EVERY
from services.store.statements import statements
from tests import registering
from tests.services.issuer import logged, plant
from tests.services.issuer.logged import closed_subject, composed_again, packed, subject, unmet

ROOT = Path(__file__).parents[3]
SPAN, NEXT = ("2026-03-02", "2026-03-03"), ("2026-03-03", "2026-03-04")
VALID = "performed: 2025-12-20, valid_until: 2027-12-20, certificate: C-1"
LONG = "performed: 2019-12-20, valid_until: 2031-12-20, certificate: C-1"


def _import(url, folder, text):
    refused, said = registering.said(url, folder, text)
    assert not refused, said
    return said


def _every(months, text=plant.REGISTRY):
    """Return a registry in which inv-1 has a calibration interval."""
    own = f"serial: A1\n    attributes: {{{CALIBRATION_EVERY}: {months}}}\n"
    return text.replace("serial: A1\n", own)


def _of(claims, device="inv-1"):
    (one,) = (p for p in claims["monitoredParameters"] if p["device"] == device)
    why = [d["reason"] for d in claims["deductions"] if d["device"] == device]
    return one, why


def _told(url, span=SPAN):
    return unmet(subject(url, *span), "REG-02")


def test_time_past_the_interval_costs_the_permissible_error(url, tmp_path):
    """Past the calibration interval, the permissible error is deducted."""
    before, none = _of(subject(url, *SPAN))
    assert none == []
    said = _import(url, tmp_path, plant.REGISTRY.replace(VALID, LONG))
    assert "certificate C-1 (2019-12-20 to 2031-12-20) exceeds 72 months" in said
    assert "from 2025-12-20 on it is treated as expired" in said
    claims = subject(url, *SPAN)
    one, why = _of(claims)
    assert Fraction(one["counted"]) == Fraction(before["counted"]) * (1 - Fraction("0.005"))
    assert why[0]["code"] == "calibration.overdue_by_rule"
    values = why[0]["values"]
    assert (values["certificate"], values["performed"]) == ("C-1", "2019-12-20")
    assert (values["months"], "Circular 23/2013/TT-BKHCN" in values["source"]) == (72, True)
    assert one["meter"]["calibrationEvery"]["months"] == 72
    (shown,) = one["calibrations"]
    assert (shown["validUntil"], shown["due"]) == ("2031-12-20", "2025-12-20")
    assert float(one["coverage"]["calibratedShare"]) == 0


def test_own_interval_is_in_the_statement_and_is_checked(url, tmp_path):
    """The project's calibration interval is stated and checked."""
    _import(url, tmp_path, _every(2))
    claims = closed_subject(url, *SPAN)
    one, why = _of(claims)
    assert one["meter"]["calibrationEvery"] == {"months": 2, "source": None}
    assert one["calibrations"][0]["due"] == "2026-02-20"
    assert [w["code"] for w in why] == ["calibration.overdue"]
    with logged.issuer(url) as conn:
        detail = statements.detail(conn, claims["statement"])
        (device,) = (d for d in detail["plan"]["devices"] if d["id"] == "inv-1")
        assert device["calibrationEvery"] == 2
    assert composed_again(url, claims) == claims


def test_pack_is_checked_with_the_interval_in_both_ways(database_url, tmp_path):
    """The pack check applies the calibration interval of the statement."""
    plant.register(database_url, tmp_path, plant.documented().replace(VALID, LONG))
    plant.fill_pv(database_url, end="2026-03-05", minutes=15)
    who = logged.signers(database_url, tmp_path)
    name = logged.issue(database_url, who, "2026-03-01", "2026-03-05")
    pack = packed(database_url, name, tmp_path / "pack")
    assert b'"due":"2025-12-20"' in pack.files["statement.json"]
    by_hand = [sys.executable, "-W", "error", "docs/verify_by_hand.py", tmp_path / "pack"]
    done = subprocess.run(by_hand, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("language", LANGUAGES)
def test_reports_show_when_the_calibration_was_due(language):
    """A reader would see a certificate until 2031 beside a deduction, and not why."""
    words = Words(language)
    one = CalibrationShown(
        certificate="C", performed="2019-12-20", valid_until="2031-12-20", accuracy_class=None,
        max_error_percent=None, due="2025-12-20",
    )  # fmt: skip
    for shown in (until(one, words), plain_until(one, words)):
        assert "2031" in shown
        assert "2025" in shown
    assert "2025" not in until(structs.replace(one, due=UNSET), words)


def test_a_longer_interval_does_not_reach_back(database_url, tmp_path):
    """An owner would see the deduction, and make the interval longer for the time that passed."""
    url = database_url
    plant.register(url, tmp_path, _every(2))
    plant.fill_pv(url, minutes=15)
    short, _ = _of(subject(url, *SPAN))
    _import(url, tmp_path, _every(36))
    claims = subject(url, *SPAN)
    assert _of(claims)[0]["counted"] == short["counted"]
    assert "inv-1: calibration_every was 2 months when the period began and is 36" in _told(url)
    _import(
        url, tmp_path, plant.REGISTRY.replace("serial: A1\n", "serial: A1\n    attributes: {}\n")
    )
    claims = subject(url, *SPAN)
    assert _of(claims)[0]["counted"] == short["counted"]
    assert "was removed" in _told(url)
    # as it was, and shorter: nothing to say
    _import(url, tmp_path, _every(1))
    assert "calibration_every" not in _told(url)


def test_changed_dates_of_a_certificate_are_a_finding(url, tmp_path):
    """Changed dates of a calibration certificate are reported."""
    name = logged.issue(url, logged.signers(url, tmp_path))
    assert "C-1" not in _told(url, NEXT).replace("certificate C-1 names no serial", "")
    later = plant.REGISTRY.replace(VALID, VALID.replace("2025-12-20", "2026-02-20"))
    _import(url, tmp_path, later)
    said = _told(url, NEXT)
    assert "inv-1: certificate C-1 is from 2026-02-20 to 2027-12-20" in said
    assert f"but statement {name} has 2025-12-20 to 2027-12-20" in said
    # a new certificate has a number of its own
    more = "- {performed: 2026-03-03, valid_until: 2028-03-03, certificate: C-9}\n"
    row = f"      - {{{VALID}"
    assert row in plant.REGISTRY
    _import(url, tmp_path, plant.REGISTRY.replace(row, f"      {more}{row}"))
    assert "is from" not in _told(url, NEXT)


def test_a_longer_interval_than_issued_is_a_change_of_the_plan(database_url, tmp_path):
    """A longer calibration interval than issued is reported."""
    plant.register(database_url, tmp_path, _every(24))
    plant.fill_pv(database_url, minutes=15)
    name = logged.issue(database_url, logged.signers(database_url, tmp_path))
    _import(database_url, tmp_path, _every(12))
    assert "calibration_every" not in _told(database_url, NEXT)
    _import(database_url, tmp_path, _every(60))
    said = _told(database_url, NEXT)
    assert f"inv-1: calibration_every is 24 months in statement {name}, and now 60" in said
    change = plant.PLAN.removeprefix("    monitoring:\n").replace('"1"', '"2"', 1)
    change = change.replace("from: 2026-01-01", "from: 2026-03-03\n        kind: permanent_change")
    _import(database_url, tmp_path, _every(60).replace(plant.PLAN, plant.PLAN + change))
    assert "in statement" not in _told(database_url, NEXT)


def _corrected(percent, text=plant.REGISTRY):
    """Return a registry whose plan corrects the readings of the plant's meters."""
    return text.replace('"0.5S", qa_qc', f'"0.5S", error_percent: {percent}, qa_qc')


def test_an_error_that_the_plan_prescribes_is_taken_off(url, tmp_path):
    """A meter error stated in the plan is deducted."""
    before, _ = _of(subject(url, *SPAN))
    # a version that is stored stays as it is: its correction is the next one
    second = _corrected("0.21", plant.PLAN).replace('version: "1"', 'version: "2"')
    change = "kind: permanent_change\n        from: 2026-03-02"
    second = second.replace("    monitoring:\n", "").replace("from: 2026-01-01", change)
    _import(url, tmp_path, plant.REGISTRY.replace(plant.PLAN, plant.PLAN + second))
    claims = closed_subject(url, *SPAN)
    one, why = _of(claims)
    assert Fraction(one["counted"]) == Fraction(before["counted"]) * (1 - Fraction("0.0021"))
    assert [w["code"] for w in why] == ["calibration.by_plan"]
    assert one["plan"]["error_percent"] == "0.21"
    assert float(one["coverage"]["calibratedShare"]) == 1
    (taken,) = (d for d in claims["deductions"] if d["device"] == "inv-1")
    assert (taken["kind"], taken["percent"]) == ("calibration", "0.210000")
    differs = " ".join(str(one) for one in claims["monitoringPlan"][-1]["differs"])
    assert "error_percent" in differs
    assert composed_again(url, claims) == claims


def test_the_larger_of_two_errors_counts(database_url, tmp_path):
    """A small correction by the plan would excuse an expired certificate, or count beside it."""
    text = _corrected("0.21").replace(
        VALID, "performed: 2025-12-20, valid_until: 2026-01-20, certificate: C-1"
    )
    plant.register(database_url, tmp_path, text)
    plant.fill_pv(database_url, minutes=15, silent=False)
    one, why = _of(subject(database_url, *SPAN))
    assert Fraction(one["adjusted"]) == -Fraction(one["metered"]) * Fraction("0.005")
    assert [w["code"] for w in why] == ["calibration.expired"]


@pytest.mark.parametrize("given", ["-0.21", "51", "'0.21 %'"])
def test_a_correction_in_the_claimants_favour_cannot_be_entered(url, tmp_path, given):
    """A meter correction that raises the reduction is rejected."""
    refused, said = registering.said(url, tmp_path, _corrected(given))
    assert refused
    assert "error_percent" in said
