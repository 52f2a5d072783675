"""
Surveys, events and the registered design, from the registry file to statement and reports.

Findings of the UNFCCC secretariat that these tests answer, below cdm.unfccc.int:

| finding | test |
|---|---|
| /Projects/DB/TUEV-SUED1149881057.02/iProcess/DNV-CUK1272610029.03/gotoRFR: equipment | design |
| /IRCheck/iss_forms/G60PC8VOSDXBNQJ/viewPublic: another make than in the design | design |
| /IRCheck/iss_forms/WYFXZHIKELDPM8U/viewPublic: five trunk lines, four in the design | design |
| /IRCheck/iss_forms/EOKIN5QTGHJPZF1/viewPublic: reasons of delay of phases | phases |
| /IRCheck/iss_forms/3PZUQM0OY1RHW8B/viewPublic: periods of downtime and overhaul | events |
| /IRCheck/iss_forms/IUM4O0SCVY9DPNG/viewPublic: what "no operation" refers to | events |
| /IRCheck/iss_forms/C9YLR5I7E2MUJQD/viewPublic: the survey of another phase | survey |
"""

from dataclasses import replace

import pytest

from mrv.documents import read
from mrv.documents.statement import Claims
from mrv.report import make
from mrv.report.dated_values import dated_rows
from mrv.report.words import LANGUAGES, Words
from mrv.statement.conformity import _populations
from services.issuer.collect_evidence import plan_of
from services.issuer.report import facts_of
from services.registry.files import to_yaml
from services.store.postgres.pool import connect
from services.store.registry.entries_from_rows import load_registry
from services.store.statements import statements
from tests import registering
from tests.services.issuer import plant
from tests.services.issuer.logged import closed_subject, composed_again, issuer, subject, unmet

SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")
SHA = "ab" * 32
DESIGN = f"""\
    design:
      document: Project design document
      version: "1.1"
      date: 2025-10-01
      sha256: {SHA}
      devices:
        - {{make: Toledo, model: W-1, number: 1, place: hall 3}}
        - {{make: Maker, model: M-100, number: 4}}
      phases:
        - {{name: roof, planned: 2025-12-01, commissioned: 2026-01-20}}
        - {{name: carport, planned: 2026-02-01}}
        - {{name: later, planned: 2027-02-01}}
    events:
      - {{from: 2026-03-01, to: 2026-03-04, what: overhaul, found: bearings of the fans changed,
         document: report 12, devices: [inv-1]}}
      - {{from: 2026-05-01, what: outage, found: a storm that is yet to come}}
"""


def _with(design, **changes):
    text = plant.REGISTRY.replace("    monitoring:\n", design + "    monitoring:\n", 1)
    for name, more in changes.items():
        head = f"  - id: {name.replace('_', '-')}\n    site: hp\n"
        text = text.replace(head, head + more)
    return text


def _closed(url, folder, text):
    refused, said = registering.said(url, folder, text)
    assert not refused, said
    return subject(url, *SPAN)


def _told(claims):
    return unmet(claims, "PLN-01")


MADE = {
    "inv_1": "    maker: Weightech\n    model: WT211\n",
    "inv_2": "    maker: Maker\n    model: M-100\n",
}


def test_a_month_far_above_its_estimate_is_an_observation(url, tmp_path):
    """Days of nearly twice what the design says would be issued without a message."""
    low = plant.REGISTRY.replace("reduction_t_per_year: 799.2", "reduction_t_per_year: 400")
    said = _told(_closed(url, tmp_path, low))
    assert "above the estimate of the design for these days" in said


def test_what_differs_from_the_design_is_a_finding(url, tmp_path):
    """Equipment other than in the design is reported."""
    said = _told(_closed(url, tmp_path, _with(DESIGN, **MADE)))
    assert "inv-1: Weightech WT211 is not in the registered design (1.1)" in said
    assert "Maker M-100: 1 in the registry, but 4 in the registered design (1.1)" in said
    assert "phase roof was commissioned on 2026-01-20, planned for 2025-12-01" in said
    assert "phase carport, planned for 2026-02-01, is not commissioned" in said
    assert "later" not in said
    right = DESIGN.replace("Toledo, model: W-1", "WEIGHTECH, model: wt211")
    right = right.replace("number: 4", "number: 1").replace(
        "2026-01-20}", "2026-01-20, reason: rain}"
    )
    right = right.replace("2026-02-01}", "2026-02-01, reason: steel came late}")
    said = _told(_closed(url, tmp_path, _with(right, **MADE)))
    assert "design" not in said
    assert "phase" not in said


def test_another_power_and_another_population_than_designed_are_findings(url, tmp_path):
    """
    Rated power or population other than designed is reported.

    https://cdm.unfccc.int/IRCheck/poaiss_forms/EAB283WD6PI7OUQ/viewPublic
    """
    weak = DESIGN.replace("number: 4}", "number: 1, rated_power_w: 500000}").replace(
        "      phases:",
        "      populations: [{parameter: sfc_l_per_100km, number: 80}]\n      phases:",
    )
    bus = (
        "    surveys: [{parameter: sfc_l_per_100km, population: 90, n: 40, mean: 34, sd: 2,"
        " drawn: by lot, taken: 2026-01-02}]\n"
    )
    refused, _ = registering.said(url, tmp_path, _with(weak, **MADE) + bus)
    assert not refused
    said = _told(_closed(url, tmp_path, _with(weak, **MADE) + bus))
    assert (
        "inv-2: rated power 1,000,000 W, but the registered design (1.1) has Maker M-100 of 500,000"
        in (said)
    )
    with connect(url) as conn:
        stored = load_registry(conn)
    assert stored.projects["pv"].design.populations[0].number == 80
    declared = replace(stored.projects["pv"].declared, surveys=stored.projects["bus"].surveys)
    with issuer(url) as conn:
        plan = replace(plan_of(conn, "pv", *SPAN), declared=declared)
    (found,) = _populations(plan, declared.design)
    assert "population 90, but the registered design (1.1) has 80" in str(found)


def test_an_estimate_that_no_such_plant_can_give_is_a_finding(url, tmp_path):
    """
    A roof would be compared with 4,771 full-load hours, and be below
    the estimate permanently.
    """
    claims = _closed(url, tmp_path, plant.REGISTRY)
    assert "full-load" not in _told(claims)
    much = plant.REGISTRY.replace("energy_kwh_per_year: 2400000", "energy_kwh_per_year: 9542000")
    said = _told(_closed(url, tmp_path, much))
    assert "9,542,000 kWh a year is 4,771 full-load hours" in said
    assert "at most 2,800" in said


PHASES = """, dated: [
      {from: 2026-03-01, capacity_kw: 1000, energy_kwh_per_year: 1000000,
       reduction_t_per_year: 400},
      {from: 2026-03-03, capacity_kw: 2000, energy_kwh_per_year: 2400000,
       reduction_t_per_year: 799.2}]}"""


def test_a_phase_is_compared_with_the_estimate_of_its_capacity(url, tmp_path):
    """Half a plant would be compared with the estimate of the whole, and never exceed it."""
    before = _closed(url, tmp_path, plant.REGISTRY)["comparisons"]
    text = plant.REGISTRY.replace(
        "reduction_t_per_year: 799.2}", f"reduction_t_per_year: 799.2{PHASES}"
    )
    claims = _closed(url, tmp_path, text)
    energy, reduction = claims["comparisons"]
    assert float(energy["expected"]) == pytest.approx(1_000_000 / 365, abs=1e-5)
    assert float(reduction["expected"]) == pytest.approx(400 / 365, abs=1e-5)
    assert float(before[0]["expected"]) == pytest.approx(2_400_000 / 365, abs=1e-5)
    assert "from 2026-03-01 on is for 1,000 kW, but the installed meters are rated 2,000" in _told(
        claims
    )
    # over both estimates, each counts for its own days
    both = closed_subject(url, "2026-03-02", "2026-03-04")
    assert "rated 2,000" not in _told(both)
    assert composed_again(url, both) == both
    with issuer(url) as conn:
        facts = facts_of(conn, both["statement"])
        stored = load_registry(conn)
    expected = float(both["comparisons"][0]["expected"])
    assert expected == pytest.approx((1_000_000 + 2_400_000) / 365, abs=1e-5)
    assert make(facts, "xlsx", "en")
    assert make(facts, "pdf", "en")
    assert "capacity_kw: 1000" in to_yaml(stored)
    for old, new, wrong in (
        ("from: 2026-03-03", "from: 2026-03-01", "enter each day once"),
        (
            "energy_kwh_per_year: 1000000,\n       reduction_t_per_year: 400",
            "by_month: []",
            "neither",
        ),
    ):
        refused, said = registering.said(url, tmp_path, text.replace(old, new))
        assert refused
        assert wrong in said or "by_month" in said


def test_events_and_design_are_in_statement_plan_and_reports(url, tmp_path):
    """Events and design are in statement, plan and reports."""
    _closed(url, tmp_path, _with(DESIGN, **MADE))
    claims = closed_subject(url, *SPAN)
    said = claims["declared"]
    # what comes after the period is of a later one
    assert [one["what"] for one in said["events"]] == ["overhaul"]
    assert said["events"][0]["begins"] == "2026-03-01"
    assert said["design"]["devices"][0]["make"] == "Toledo"
    with issuer(url) as conn:
        detail = statements.detail(conn, claims["statement"])
        assert detail["plan"]["declared"] == said
    assert composed_again(url, claims) == claims
    typed = read(Claims, claims, "claims")
    for language in LANGUAGES:
        rows = [" | ".join(row) for row in dated_rows(typed, Words(language))]
        (event,) = (row for row in rows if "bearings of the fans changed" in row)
        assert event.startswith("inv-1 | ")
        assert "report 12" in event
        assert any("Toledo W-1" in row for row in rows)
        assert any("carport" in row for row in rows)


def test_a_file_that_does_not_speak_of_them_keeps_them(url, tmp_path):
    """An import of another change would forget the design."""
    registering.said(url, tmp_path, _with(DESIGN))
    with issuer(url) as conn:
        before = load_registry(conn).projects["pv"].declared
    assert before.design is not None
    registering.said(
        url, tmp_path, plant.REGISTRY.replace("name: Rooftop PV", "name: PV on a roof")
    )
    with issuer(url) as conn:
        assert load_registry(conn).projects["pv"].declared == before


EVENT = "    events: [{from: 2026-03-02, "
STRATUM = "{name: all, population: "
TRIPS = (
    "    surveys: [{parameter: trip_km, population: 9, drawn: by lot, taken: 2026-01-02, mean: 8, "
)


@pytest.mark.parametrize(
    ("design", "wrong"),
    [
        (f"{EVENT}what: storm, found: a storm}}]", "'storm' must be one of"),
        (f"{EVENT}to: 2026-03-01, what: outage, found: x}}]", "is not after"),
        (f"{EVENT}what: outage, found: x, devices: [inv-9]}}]", "'inv-9' is not registered"),
        (f"    design: {{document: D, version: '1', sha256: {SHA}}}", "date"),
        (f"{TRIPS}n: 4, sd: 1}}]", "'trip_km' is not a numeric parameter of jcm-vn-am007"),
        (f"{TRIPS}n: 12, sd: 1}}]", "12 is above the population, 9"),
        (f"{TRIPS}n: 4}}]", "only a share needs none"),
        (f"{TRIPS}n: 4, strata: [{STRATUM}9, n: 3, mean: 8, sd: 1}}]}}]", "their n is 3 in total"),
        (f"{TRIPS}n: 4, strata: [{STRATUM}9, n: 4, mean: 7, sd: 1}}]}}]", "their mean is 7,"),
    ],
)
def test_what_cannot_be_is_refused(url, tmp_path, design, wrong):
    """Impossible entries of events and design are rejected."""
    refused, said = registering.said(url, tmp_path, _with(f"{design}\n"))
    assert refused
    assert wrong in said


def test_the_survey_of_another_project_is_named(url, tmp_path):
    """A survey that also serves another project is named."""
    one = (
        "    surveys: [{parameter: sfc_l_per_100km, population: 90, n: 40, mean: 34, sd: 2,"
        f" drawn: by lot, taken: 2026-01-02, sha256: {SHA}}}]\n"
    )
    bus = plant.REGISTRY[plant.REGISTRY.index("  - id: bus\n") :] + one
    text = plant.REGISTRY + one
    other = bus.replace("id: bus\n", "id: bus-2\n").replace(
        "[{device: ch-1, role: charging}, {device: bus-1, role: vehicle}]",
        "[{device: bus-2, role: vehicle}]",
    )
    since = "installed: 2026-01-01T00:00:00+07:00"
    device = f"  - {{id: bus-2, site: hp, class: vehicle, profile: generic, {since}}}\n"
    text = text.replace("projects:\n", device + "projects:\n") + other
    _, said = registering.said(url, tmp_path, text)
    assert f"the data {SHA[:12]}... are those of bus, too" in said, said
