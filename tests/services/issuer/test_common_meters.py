"""
Meters shared by several users: apportioning, and balances of one stream.

Findings of the UNFCCC secretariat that these tests answer, below cdm.unfccc.int:

| finding | test |
|---|---|
| /Projects/DB/DNV-CUK1213075789.41/iProcess/SGS-UKL1244541546.38/Review: share of a plant | users |
| /IRCheck/iss_forms/R6WKD4NU7L3SQJT/viewPublic: apportioning procedure not used | users |
| /Projects/DB/DNV-CUK1174992011.56/iProcess/SGS-UKL1220371875.14/gotoRFR: other plant | users |
| /Projects/DB/DNV-CUK1147181317.04/iProcess/SGS-UKL1202313054.79/gotoRFR: LFG flared | days |
"""

from fractions import Fraction
from io import BytesIO

import numpy as np
from openpyxl import load_workbook

from mrv.documents import read
from mrv.documents.statement import Claims
from mrv.registry.project import Common
from mrv.report import make
from mrv.report.audit_rows import point_rows
from mrv.report.dated_values import dated_rows
from mrv.report.words import Words
from mrv.statement.diagram import line_diagram
from services.issuer.report import facts_of
from services.registry.files import to_yaml
from services.store.registry.entries_from_rows import load_registry
from services.store.statements import statements
from tests.findings import worded
from tests.mrv import test_owner_inputs as owner
from tests.mrv.report import office
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period

SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")
GRID = """\
  - id: grid
    site: hp
    class: energy_meter
    profile: generic
    rated_power_w: 2000000
    installed: 2026-01-01T00:00:00+07:00
"""


def _registry(more="lost: 5"):
    text = plant.REGISTRY.replace("      - {device: inv-2, role: generation, case: 3}\n", "")
    text = text.replace("projects:\n", f"{GRID}projects:\n", 1)
    shared = f"    shared_meters: [{{main: grid, users: [inv-1, inv-2], {more}}}]\n"
    return text.replace("    monitoring:\n", f"{shared}    monitoring:\n", 1)


def _closed(url, folder, share, more="lost: 5", registry=None):
    """Close a day on which the grid meter counts a share of the energy of two plants."""
    plant.register(url, folder, registry or _registry(more))
    plant.fill_pv(url, minutes=15, silent=False)
    times, energy, _ = plant.sunny("2026-03-01", "2026-03-04", 15)
    both = energy + energy // 2
    steps = np.diff(both, prepend=both[0])
    of_day = share(times) if callable(share) else share
    plant.send(url, "grid", times, energy_export_wh=np.cumsum(steps * of_day).astype(np.int64))
    return logged.closed(url, *SPAN).document["credentialSubject"]


def _of(claims):
    (one,) = claims["monitoredParameters"]
    told = [a for a in claims["applicability"] if a["rule"] == "MTR-02"]
    said = [(a["holds"], worded(a)) for a in told if "common meter" in worded(a)]
    return Fraction(one["counted"]) / int(one["metered"]), said


def test_users_have_no_more_than_the_common_meter(database_url, tmp_path):
    """Meters behind a common meter are limited to its quantity."""
    claims = _closed(database_url, tmp_path, 0.97)
    share, ((holds, said),) = _of(claims)
    assert abs(share - Fraction(97, 100)) < Fraction(1, 1000)
    assert holds
    assert "differs from the common meter grid by 3.09 %; the permitted" in said
    assert "100 % of the time was compared" in said
    (taken,) = (d for d in claims["deductions"] if d["reason"]["code"] == "MTR-02.common")
    assert taken["device"] == "inv-1"
    # the other plant is none of the project's, and its sum is in the plan
    with logged.issuer(database_url) as conn:
        detail = statements.detail(conn, claims["statement"])
        (common,) = detail["plan"]["commonMeters"]
        assert int(common["usersMetered"]) > int(common["mainMetered"]) > 0
    assert logged.composed_again(database_url, claims) == claims


def _as_formulas(url, folder, claims, side, formula):
    """Compare each apportioned amount of the workbook and its formula; return the facts."""
    with logged.issuer(url) as conn:
        facts = facts_of(conn, claims["statement"])
    given = make(facts, "xlsx", "en")
    of = [(row, entry) for row, entry in enumerate(facts.subject.deductions, 5)
          if entry.reason.code == "MTR-02.common"]  # fmt: skip
    assert of
    books = given, office.calculated(folder, {"sheet": given})["sheet"]
    sheets = [load_workbook(BytesIO(book), data_only=True)["Deductions"] for book in books]
    formulas = load_workbook(BytesIO(given))["Deductions"]
    for row, entry in of:
        for sheet in sheets:
            off = Fraction(str(sheet[f"F{row}"].value)) - entry.adjusts(side)
            assert abs(off) <= Fraction(1, 10**6)
        share = f"'Deductions'!H{row}/'Deductions'!I{row}"
        assert formulas[f"F{row}"].value.endswith(f"*({formula.format(share=share)}),8),6)")
    return facts


def test_an_apportioned_amount_is_a_formula_and_its_meter_is_drawn(database_url, tmp_path):
    """
    An apportioned amount is a formula in the workbook; its common meter is in the diagram.

    https://cdm.unfccc.int/IRCheck/iss_forms/AIPZOMCL6Q4UWV1/viewPublic
    """
    placed = GRID.rstrip() + "\n    attributes: {point: 'M2, 22 kV', feeds: [grid EVN]}\n"
    registry = _registry().replace(GRID, placed)
    registry = registry.replace(
        "    serial: A1\n", "    serial: A1\n    attributes: {feeds: [grid]}\n"
    )
    claims = _closed(database_url, tmp_path, 0.97, registry=registry)
    facts = _as_formulas(database_url, tmp_path, claims, "baseline", "1-{share}")
    drawn = line_diagram(facts.plan)
    assert "M2, 22 kV" in drawn
    assert "grid EVN" in drawn
    assert ["grid", "M2, 22 kV", "grid EVN"] in point_rows(facts)


def test_an_apportioned_consumption_is_a_formula(database_url, tmp_path):
    """A consumption raised by a common meter is a formula in the workbook."""
    text = plant.REGISTRY.replace("projects:\n", f"{GRID}projects:\n", 1)
    shared = "    shared_meters: [{main: grid, users: [ch-1], lost: 20}]\n"
    plant.register(
        database_url,
        tmp_path,
        text.replace("    parameters: {sfc", f"{shared}    parameters: {{sfc", 1),
    )
    plant.fill_buses(database_url)
    times = np.arange(plant.us("2026-03-01"), plant.us("2026-03-04"), 10 * plant.MINUTE_US)
    hour = (times + 7 * 3_600_000_000) // 3_600_000_000 % 24
    plant.send(
        database_url, "grid", times, energy_import_wh=np.cumsum(np.where(hour < 5, 8_800, 0))
    )
    claims = logged.closed(database_url, *SPAN, project="bus").document["credentialSubject"]
    _as_formulas(database_url, tmp_path, claims, "project", "{share}-1")


def test_a_common_meter_that_counts_more_takes_nothing(database_url, tmp_path):
    """A common meter with a higher reading changes nothing."""
    share, ((holds, said),) = _of(_closed(database_url, tmp_path, 1.2))
    assert share == 1
    assert not holds
    assert "Name all users of the common meter" in said


def test_days_on_which_more_was_used_than_there_was_are_named(database_url, tmp_path):
    """Days with more use than supply are named."""

    def morning(times):
        return np.where(times < plant.us("2026-03-02T12:00:00+07:00"), 0.8, 0.9)

    claims = _closed(database_url, tmp_path, morning, "lost: 2")
    share, ((holds, said),) = _of(claims)
    assert Fraction(8, 10) < share < Fraction(9, 10)
    assert not holds
    assert "above the common meter grid on 2026-03-02" in said


def test_the_project_s_side_has_no_less(monkeypatch):
    """Electricity that a common meter shows and no user's meter does would be no one's."""
    common = Common(
        "main", ("power", "other"), "energy_import", 1_100, 1_000, Fraction(1), Fraction(2), ()
    )
    built = owner.SupportingData
    before = owner.treated(owner.lab(**owner.ALL))
    monkeypatch.setattr(owner, "SupportingData", lambda **more: built(common=(common,), **more))
    after = owner.treated(owner.lab(**owner.ALL))
    used = [
        next(Fraction(d.counted) for d in one.devices if d.device == "power")
        for one in (before, after)
    ]
    assert used[1] == used[0] * Fraction(11, 10)
    assert after.net.reduction.ug < before.net.reduction.ug


JOINT = (
    "lost: 5, readings: [{{from: 2026-03-01, to: 2026-03-04, quantity: energy_export,"
    " amount: {}, document: joint reading 3, by: Utility, sha256: " + "ab" * 32 + "}}]"
)


def test_a_joint_meter_reading_limits_as_the_meter_itself_does(database_url, tmp_path):
    """A manual reading of a common meter limits like the meter."""
    # without a reading of its own, and of 30 % less than both plants count
    plant.register(database_url, tmp_path, _registry(JOINT.format("1")))
    plant.fill_pv(database_url, minutes=15, silent=False)
    _, energy, _ = plant.sunny("2026-03-01", "2026-03-04", 15)
    whole = int(energy[-1] - energy[0]) * 3 // 2
    text = _registry(JOINT.format(f"{whole * 70 // 100}, unit: Wh"))
    plant.register(database_url, tmp_path, text)
    with logged.issuer(database_url) as conn:
        claims = close_period(conn, "pv", *SPAN, "test").document["credentialSubject"]
        (common,) = statements.detail(conn, claims["statement"])["plan"]["commonMeters"]
    share, ((holds, _),) = _of(claims)
    assert abs(share - Fraction(70, 100)) < Fraction(1, 100)
    assert not holds  # 30 % are more than may be lost
    assert (common["joint"], common["comparedShare"]) == (True, "1.000000")
    typed = read(Claims, claims, "claims")
    rows = [" | ".join(row) for row in dated_rows(typed, Words("en"))]
    assert any("joint meter reading until 3 March 2026" in row for row in rows)
    # the lower of both applies
    times, _, _ = plant.sunny("2026-03-01", "2026-03-04", 15)
    plant.send(database_url, "grid", times, energy_export_wh=energy * 3 // 2)
    again = logged.subject(database_url, *SPAN)
    share, said = _of(again)
    assert abs(share - Fraction(70, 100)) < Fraction(1, 100)
    # each of the two differences states what it compares
    named = sorted("the common meter grid (joint meter readings)" in words for _, words in said)
    assert named == [False, True]
    with logged.issuer(database_url) as conn:
        stored = load_registry(conn)
    (shared,) = stored.projects["pv"].shared_meters
    assert shared.readings[0].value == whole * 70 // 100
    assert "joint reading 3" in to_yaml(stored)
