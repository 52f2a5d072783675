"""
Findings that a programme's checks would raise, before submission.

Reasons for which requests were returned:
https://cdm.unfccc.int/CCheck/poaiss_forms/1HFRNB78DXEICJA/viewPublic (a form that is not complete),
https://cdm.unfccc.int/IRCheck/iss_forms/2ODI5C9JMG8LP0S/viewPublic (sheet and report that
contradict each other).
"""

import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from msgspec import structs
from pypdf import PdfReader

from mrv.documents.monitoring import LaboratoryResult
from mrv.documents.verification import About
from mrv.errors import StatementStateError
from mrv.report import make
from mrv.report.audit_rows import quality_rows
from mrv.report.dated_values import dated_rows
from mrv.report.submission import CHECKS
from mrv.report.words import LANGUAGES, Words
from mrv.verify import verify
from services.issuer import external_signatures as accept
from services.issuer import transitions as life
from services.issuer.documents import sign
from services.issuer.export_files import submission
from tests import registering
from tests.invoked import tonne
from tests.opinions import concluded
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.logged import checks

FULL = """
registrations:
  - project: pv
    programme: JCM
    project_id: VN900
    registered: 2025-12-01
    negative_impacts: none
    consultation: {date: 2025-09-30, document: minutes}
    validation: {body: VKU, date: 2025-11-01, report: V-7}
    rights: {document: agreement of the participants, by: notary, date: 2025-10-01}
    other_programmes: none
    forms:
      - {name: JCM_VN_F_MR, version: "02.0", since: 2023-01-01}
      - {name: JCM_VN_F_Val, version: "02.0", since: 2020-01-01, until: 2024-12-31}
    verifications: [{statement: TN-pv-20260302-20260303-1, id: V-1}]
    participants:
      - {name: A, side: JPN, share_percent: "50", account: J-1}
      - {name: B, side: VNM, share_percent: "50", account: V-1}
"""


@pytest.fixture
def issued(database_url, tmp_path):
    """Return the signers and the name of an issued statement."""
    return planted(logged.issued, database_url, tmp_path)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_line_says_on_which_page_it_stands(database_url, issued, language):
    """An operator would look through seven pages for each line of the list."""
    with logged.issuer(database_url) as conn:
        facts, found = submission(conn, issued[1], language)
    pages = PdfReader(BytesIO(make(facts, "pdf", language))).pages
    texts = ["".join(page.extract_text().split()) for page in pages]
    for one in found:
        if one.page is not None:
            assert "".join(one.chapter.split()) in texts[one.page - 1], one.check
    without = {one.check for one in found if one.page is None}
    assert without <= {"documented", "factors", "sampled"}
    assert Words(language)["submission.completeness"]


def test_what_is_there_holds_and_what_lacks_is_named(database_url, issued, tmp_path, monkeypatch):
    """A missing part of the submission is reported; a present one passes."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    done = tonne("submission", "check", issued[1], "--json", code=4)
    found = {one["check"]: one for one in json.loads(done.stdout)["checks"]}
    for check in ("signed", "verified", "closed", "approved", "described", "planned", "words"):
        assert found[check]["lacking"] == [], check
    assert found["identified"]["lacking"] == ["inv-1", "inv-2"]
    assert "registrations[pv].project_id" in found["form"]["lacking"]
    assert "registrations[pv].consultation" in found["form"]["lacking"]
    assert "MISSING" in tonne("submission", "check", issued[1], code=4).stdout
    registering.register(database_url, tmp_path, FULL)
    found = checks(database_url, issued[1])[1]
    ended, left = found["form"].lacking
    assert ended.endswith("JCM_VN_F_Val 02.0 is in force from 2020-01-01 to 2024-12-31")
    assert left.startswith("allocation")  # whose the tonne is that rounding leaves, none can say


def test_what_a_verifier_left_blank_or_open_is_named(database_url, issued):
    """Blank entries of the verification report are named."""
    who, _ = issued
    name = logged.submitted(database_url, who, "2026-03-01", "2026-03-02")
    lacking = checks(database_url, name)[1]
    assert lacking["verified"].lacking
    with logged.issuer(database_url) as conn:
        life.verify(conn, name, who["verifier"], concluded("qualified"))
    found = checks(database_url, name)[1]
    assert "generation (inv-1): no row" in found["words"].lacking
    assert len(found["closed"].lacking) > 0
    assert found["team"].lacking == ("Verification team", "Signatory", "Accreditation")


EVENTS = """    events:
      - {from: 2026-03-02, to: 2026-03-03, what: anomaly, devices: [inv-2], by: shift engineer,
         resolved: 2026-03-02, found: the data logger was started again, document: log 7}
      - {from: 2026-03-01, what: increase, found: six sunny weeks without a cloud, document: R-3}
"""


def test_an_increase_is_explained_and_judged(database_url, tmp_path):
    """
    An increase over the estimate requires an explanation.

    https://cdm.unfccc.int/Projects/DB/DNV-CUK1158855257.5/iProcess/DNV-CUK1200044418.31/gotoRFR
    """
    plant.register(database_url, tmp_path, plant.REGISTRY)
    plant.fill_pv(database_url, minutes=15)
    who = logged.signers(database_url, tmp_path)
    name = logged.submitted(database_url, who)
    facts, found = checks(database_url, name)
    (above,) = (c for c in facts.subject.comparisons if c.what.startswith("reduction"))
    assert float(above.difference_percent) > 10
    missing = "without an event `increase` that names a document"
    assert found["explained"].lacking == (
        f"{above.difference_percent} % above the estimate, {missing}",
        "Reduction above the ex-ante estimate",
    )
    with logged.issuer(database_url) as conn:
        whole = concluded("unqualified", of=(conn, name))
        without = tuple(r for r in whole.words.requirements if r.requirement != "estimate")
        assert len(without) == len(whole.words.requirements) - 1
        silent = replace(whole, words=replace(whole.words, requirements=without))
        with pytest.raises(StatementStateError, match="estimate: means"):
            life.verify(conn, name, who["verifier"], silent)
    # an event without a document explains nothing
    registering.register(
        database_url, tmp_path, _with_events(EVENTS.replace(", document: R-3", ""))
    )
    name = logged.submitted(database_url, who)
    assert len(checks(database_url, name)[1]["explained"].lacking) == 2
    registering.register(database_url, tmp_path, _with_events(EVENTS))
    name = logged.verified(database_url, who)
    assert checks(database_url, name)[1]["explained"].holds


def _with_events(events):
    return plant.REGISTRY.replace("    monitoring:\n", f"{events}    monitoring:\n", 1)


def test_anomalies_are_investigated_and_resolved(database_url, tmp_path):
    """Each data anomaly requires a result of its investigation."""
    plant.register(database_url, tmp_path, plant.REGISTRY)
    plant.fill_pv(database_url, minutes=15)
    # a register that runs while the sun does not: unusual, not a gap
    times = plant.sunny("2026-03-01", "2026-03-04", 15)[0] + plant.MINUTE_US
    plant.send(database_url, "inv-1", times, active_power_w=np.full(len(times), 9e6))
    who = logged.signers(database_url, tmp_path)
    name = logged.submitted(database_url, who)
    facts, found = checks(database_url, name)
    (first, second) = found["investigated"].lacking
    assert first == "inv-1: 2 March 2026"
    assert second == "inv-2: 2 March 2026"
    runs = [run for test in facts.subject.unusual_readings for run in test.days]
    assert ("inv-1", "2026-03-02", "2026-03-03") in {(r.device, r.from_, r.to) for r in runs}
    text = "".join(p.extract_text() for p in PdfReader(BytesIO(make(facts, "pdf", "en"))).pages)
    assert "not investigated" in text
    both = EVENTS.replace("[inv-2]", "[inv-1, inv-2]")
    open_ = both.replace("         resolved: 2026-03-02, ", "         ")
    registering.register(database_url, tmp_path, _with_events(open_))
    name = logged.submitted(database_url, who)
    assert len(checks(database_url, name)[1]["investigated"].lacking) == 2
    # one who was done with it before it happened has not looked at it
    early = both.replace("from: 2026-03-02, to: 2026-03-03", "from: 2026-02-01").replace(
        "resolved: 2026-03-02", "resolved: 2026-03-01"
    )
    registering.register(database_url, tmp_path, _with_events(early))
    name = logged.submitted(database_url, who)
    assert len(checks(database_url, name)[1]["investigated"].lacking) == 2
    registering.register(database_url, tmp_path, _with_events(both))
    name = logged.submitted(database_url, who)
    facts, found = checks(database_url, name)
    assert found["investigated"].holds
    text = "".join(p.extract_text() for p in PdfReader(BytesIO(make(facts, "pdf", "en"))).pages)
    assert "investigated by shift engineer" in " ".join(text.split())


def test_readings_come_as_often_as_the_plan_says(database_url, tmp_path):
    """Readings less frequent than planned are reported."""
    plant.register(database_url, tmp_path, plant.REGISTRY)
    plant.fill_pv(database_url, minutes=180)
    who = logged.signers(database_url, tmp_path)
    facts, found = checks(database_url, logged.submitted(database_url, who))
    assert found["cadence"].lacking[0].startswith("inv-1: continuous, delivered every 180")
    ((_, _, often, *_),) = quality_rows(facts, Words("en"))
    assert often.startswith("continuous; readings delivered every 205.7")


def test_a_share_that_the_programme_wants_signed_is_asked_for(database_url, issued, tmp_path):
    """The required share of signed readings is checked."""
    assert checks(database_url, issued[1])[1]["backed"].holds
    asked = FULL.replace("    registered:", '    signed_percent: "50"\n    registered:')
    registering.register(database_url, tmp_path, asked)
    assert checks(database_url, issued[1])[1]["backed"].lacking == ("0 % signed, 50 % required",)


def test_each_finding_names_what_it_is_about(database_url, issued):
    """Each finding names its meter and months."""
    who, _ = issued
    name = logged.submitted(database_url, who, "2026-03-01", "2026-03-02")
    with logged.issuer(database_url) as conn:
        raised = "raised", "OBS", "the cabinet of the meter is not locked", None
        accept.finding(conn, name, sign(conn, name, who["verifier"], raised))
        about = About(devices=("inv-1",))
        accept.finding(conn, name, sign(conn, name, who["verifier"], raised, about))
    assert checks(database_url, name)[1]["referenced"].lacking == ("OBS-1",)


def test_each_default_of_a_fuel_has_its_reason(database_url, tmp_path):
    """A default value of a fuel requires a reason."""
    plant.register(database_url, tmp_path, plant.REGISTRY)
    plant.fill_buses(database_url)
    who = logged.signers(database_url, tmp_path)
    name = logged.submitted(database_url, who, project="bus")
    lacking = checks(database_url, name)[1]["defaults"].lacking
    assert set(lacking) == {"diesel.ncv", "diesel.co2"}
    reason = "the filling station states no heating value"
    rows = "".join(
        f"      - {{factor: {kind}, reason: {reason}, document: letter 4}}\n" for kind in lacking
    )
    registering.register(database_url, tmp_path, f"{plant.REGISTRY}    defaults:\n{rows}")
    name = logged.submitted(database_url, who, project="bus")
    facts, found = checks(database_url, name)
    assert found["defaults"].holds
    assert any(reason in " ".join(row) for row in dated_rows(facts.subject, Words("en")))
    wrong = f"{plant.REGISTRY}    defaults:\n{rows}".replace("diesel.ncv", "dieselncv")
    refused, said = registering.said(database_url, tmp_path, wrong)
    assert refused
    assert "did you mean diesel.ncv" in said


MARGIN = """factors:
  - id: cm-2026
    kind: grid.vn
    value: 0.7315
    unit: tCO2/MWh
    direction: consumed
    valid_from: 2026-01-01
    source: own calculation
    certainty: R
    verified: true
    calculation:
      tool: tool07
      result: ef_cm_t_per_mwh
      inputs:
        fuels: [{fuel: bituminous, mass_t: 8000000}]
        generation_mwh: 16500000
        ef_bm_t_per_mwh: 0.335
        technology: wind
"""
DOCUMENT = "    document: {document: margin, by: Consultant, issued: 2026-01-10, sha256: SHA}\n"


def test_a_calculated_factor_is_in_statement_and_pack(database_url, tmp_path):
    """
    The calculation of a factor is in statement and pack.

    https://cdm.unfccc.int/IRCheck/iss_forms/ZUVQ43XY8MDBNTK/viewPublic
    """
    document = DOCUMENT.replace("SHA", "ab" * 32)
    plant.register(database_url, tmp_path, plant.REGISTRY + MARGIN + document)
    plant.fill_buses(database_url)
    who = logged.signers(database_url, tmp_path)
    name = logged.submitted(database_url, who, project="bus")
    facts, found = checks(database_url, name)
    (used,) = (one for one in facts.subject.factors if one.kind == "grid.vn")
    assert used.id == "cm-2026"
    assert used.calculation.inputs["generation_mwh"] == "16500000"
    assert found["calculated"].holds
    text = "".join(p.extract_text() for p in PdfReader(BytesIO(make(facts, "pdf", "en"))).pages)
    assert "calculated by tool07 (ef_cm_t_per_mwh)" in " ".join(text.split())
    report = verify(logged.packed(database_url, name, tmp_path / "pack"))
    assert any("tool07 gives 0.73" in one.detail for one in report.steps)


def test_samples_are_taken_as_often_as_the_plan_says(database_url, issued):
    """
    Samples less frequent than planned are reported.

    https://cdm.unfccc.int/IRCheck/iss_forms/KUBMRSFVG43LHZE/viewPublic
    """
    facts, _ = checks(database_url, issued[1])
    (version,) = facts.plan.versions
    line = replace(version.lines[0], parameter="w_carbon", channel=None, frequency="weekly")
    plan = replace(facts.plan, versions=(replace(version, lines=(line,)),))

    def lacking(*days):
        results = tuple(
            LaboratoryResult(
                parameter="w_carbon",
                sample=day,
                taken=f"2026-{day}",
                value="0.4",
                method="m",
                laboratory="Lab",
                sha256=None,
            )
            for day in days
        )
        period = structs.replace(
            facts.subject.monitoring_period,
            local_from="2026-02-01T00:00:00+07:00", to="2026-03-01T17:00:00Z",
        )  # fmt: skip
        subject = structs.replace(facts.subject, laboratory=results, monitoring_period=period)
        stated = structs.replace(facts.stated, credential_subject=subject)
        other = replace(facts, plan=plan)
        vars(other)["stated"] = stated
        (asks,) = (asks for _, check, _, asks in CHECKS if check == "cadence")
        return [text for text in asks(other, Words("en")) if text.startswith("w_carbon")]

    assert lacking("02-02", "02-09", "02-16", "02-23") == []
    assert lacking("02-02", "02-23") == ["w_carbon: weekly, up to 21 days without a result"]
