"""
Texts of a statement: exact, deterministic, the same at close and at verification.

Project electricity that only its own meter reports raises a condition.
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.model import INTERVAL_US, Device, Fleet, Replacement
from mrv import factors
from mrv.documents.statement import claims_of
from mrv.errors import CanonicalError, EnrolmentError, FactorError, StatementStateError
from mrv.factors.ledger import book_of, from_record, records_of, to_record
from mrv.registry import Event
from mrv.registry.project import ACCOUNTING, ProjectDevice
from mrv.rounding import UG_PER_T
from mrv.rules import code_words, needs_of
from mrv.signatures import canonical
from mrv.statement.compose import Label, compose
from mrv.statement.conditions import findings, gap_lines
from mrv.statement.evidence import monitored, remeter, same
from mrv.statement.evidence_case import Case, identifier
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.plan_reader import read_plan
from mrv.statement.states import check_other, check_role, check_step
from tests.mrv import packs, plant
from tests.mrv.plant import BUS, CERTIFICATES, FLEET, ZONE, us
from tests.mrv.report.sample import frame

RULE = "EVD-07"
PARAMETERS = {
    "f_cap": Decimal("0.95"), "f_wcm": 1, "tdl": Decimal("0.0615"), "steam_kj_per_kg": 2776,
    "feedwater_kj_per_kg": 420, "boiler_efficiency": Decimal("0.85"),
    "ef_grid_t_per_mwh": Decimal("0.6592"), "design_steam_t_per_d": 150,
}  # fmt: skip


def holds(result):
    return [f.holds for f in result.applicability if f.rule == RULE and "of fuel" not in f.detail]


def test_electricity_that_its_own_power_shows_is_not_asked_for():
    """Electricity that a meter's own power corroborates needs no invoice."""
    assert holds(powered(1.0)) == [True]
    assert holds(powered(None)) == [False]
    # power that tells less than the register shows nothing, and half of the time is not all
    assert holds(powered(0.3)) == [False]
    assert holds(powered(1.0, until=0.5)) == [False]
    assert powered(1.0).net == powered(None).net


def powered(gauge, until=1.0):
    """Close two weeks of a turbine whose auxiliary reports a multiple of its power, or none."""
    count = 14 * plant.DAY + 8
    steps = np.arange(count)
    time_us = plant.FROM + (steps - 4) * INTERVAL_US
    fleet = Fleet(
        [
            Device("gen", "s", "waste_heat_turbine", rated_power_w=2_000_000,
                   installed_us=plant.FROM),
            Device("aux", "s", "energy_meter", rated_power_w=100_000, installed_us=plant.FROM),
            Device("fuel", "s", "fuel_meter", installed_us=plant.FROM),
        ]
    )  # fmt: skip
    project = replace(
        plant.PV, id="whr", methodology="acm0012", version="6.0", expected={},
        parameters=PARAMETERS,
        devices=tuple(ProjectDevice(name, role) for name, role in
                      (("gen", "turbine"), ("aux", "auxiliary"), ("fuel", "fuel"))),
    )  # fmt: skip
    power = {}
    if gauge is not None:
        power["active_power_w"] = np.where(steps < until * count, 80_000.0 * gauge, np.nan)
    frames = [
        frame(fleet, "gen", "energy_export_wh", 325_000 * steps, time_us,
              {"active_power_w": np.full(count, 1_300_000.0)}),
        frame(fleet, "aux", "energy_import_wh", 20_000 * steps, time_us, power),
        frame(fleet, "fuel", "fuel_total_ml", 400 * steps, time_us),
    ]  # fmt: skip
    frames[0].columns["energy_import_wh"][:] = 0
    end = plant.FROM + 14 * plant.DAY * INTERVAL_US
    plan = MonitoringPlan(
        project, tuple(fleet.devices), accounting=ACCOUNTING,
        documents=plant.stating(PARAMETERS, *PARAMETERS),
        calibrations={d.id: plant.CERTIFICATES["inv-1"] for d in fleet.devices},
    )  # fmt: skip
    rows = remeter(fleet, frames, monitored(project, fleet), plant.FROM, end)
    return Case(plan, frames, rows, plant.FROM, end, factors.load()).result


def test_a_statement_says_everything_that_it_must():
    """A statement has each required entry."""
    body = compose(packs.case(), packs.LABEL)
    subject = body["credentialSubject"]
    assert body["@context"][0] == "https://www.w3.org/ns/credentials/v2"
    assert body["type"][0] == "VerifiableCredential"
    assert body["validFrom"] == subject["monitoringPeriod"]["to"] == "2026-01-02T17:00:00Z"
    assert subject["statement"] == "TN-pv-20260102-20260103-1"
    assert subject["monitoringPeriod"]["localFrom"] == "2026-01-02T00:00:00+07:00"
    assert subject["methodology"]["id"] == "jcm-vn-am007"
    assert set(subject["emissions"]) == {"baseline", "project", "leakage", "reduction"}
    assert subject["gwp"]["set"].startswith("IPCC AR5")
    assert subject["factors"][0]["sha256"]
    assert subject["factors"][0]["acceptedByProject"] is False
    assert subject["fixedParameters"][0]["value"] == "1"
    assert subject["fixedParameters"][0]["parameter"] == "case"
    assert "monitoringOption" in subject["fixedParameters"][0]
    monitored = subject["monitoredParameters"][0]
    assert (monitored["symbol"], monitored["unit"], monitored["monitoringOption"]) == (
        "EG_i,p",
        "Wh",
        "C",
    )
    assert monitored["source"].startswith("export register")
    parameter = subject["monitoredParameters"][0]
    assert parameter["monitoringOption"] in "ABC"
    assert parameter["meter"]["accuracyClass"] == "0.5S"
    assert parameter["meter"]["serial"] == "S-1"
    assert parameter["calibrations"][0]["certificate"] == "C-inv-1"
    assert parameter["readings"] == {
        "count": 98,
        "first": "2026-01-01T16:45:00.000001Z",
        "last": "2026-01-02T17:00:00.000001Z",
        "outsidePeriod": 2,
    }
    assert set(subject["digests"]) == {"readings", "intervals", "plan", "factors"}
    assert subject["codeVersion"] == "tonne 0"
    assert subject["supersedes"] is None
    assert subject["carried"] == {"from": "TN-x", "in_ug": "-7", "out_ug": "0"}


REPLACED = Replacement("energy_export_wh", packs.BEGIN + 10 * INTERVAL_US, 1, 2)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "gap.no_readings"),
        ({"replacements": (REPLACED,)}, "gap.replaced"),
        ({"events": (Event(date(2026, 1, 1), "outage", "grid failure"),)}, "gap.during"),
        ({"events": (Event(date(2026, 1, 3), "outage", "grid failure"),)}, "gap.no_readings"),
    ],
)
def test_a_gap_has_its_cause_and_a_finding_its_remedy(change, code):
    """A reader would see lost tonnes without their cause, and requests without an answer."""
    plan = replace(packs.plan(), accounting=ACCOUNTING)
    if events := change.get("events"):
        plan = replace(plan, declared=replace(plan.declared, events=events))
    else:
        plan = replace(plan, devices=tuple(replace(one, **change) for one in plan.devices))
    made = packs.case([packs.frame(begin=packs.BEGIN + 40 * INTERVAL_US)])
    claims = claims_of(compose(replace(made, plan=plan), packs.LABEL))
    assert [gap.cause.code for gap in claims.gaps] == [code]
    assert claims.gaps[0].rule == "baseline"
    (line,) = gap_lines(claims)
    assert claims.gaps[0].why() in line
    for one in claims.applicability:
        assert (one.remedy or ()) == (() if one.holds else needs_of(one.rule))
    for item in findings(claims):
        assert all(
            code_words("needs", need, "ja") in item.remedy_words("ja") for need in item.remedy
        )


def test_figures_are_exact_and_the_credit_rounds_down():
    """Figures are exact; the credited amount is the reduction, rounded down."""
    subject = compose(packs.case(), packs.LABEL)["credentialSubject"]
    metered = int(subject["monitoredParameters"][0]["metered"])
    assert metered == 96 * 12_345
    reduced = int(subject["emissions"]["reduction"]["ug"])
    assert reduced == metered * 333_000
    assert int(subject["credited"]["t"]) == (reduced - 7) // UG_PER_T


def test_the_same_evidence_gives_the_same_bytes_in_any_order():
    """Two machines would sign two statements of one period."""
    first = canonical.encode(compose(packs.case(), packs.LABEL))
    made = packs.case()
    shuffled = made.frames[0].take(np.random.default_rng(2).permutation(len(made.frames[0])))
    assert canonical.encode(compose(packs.case([shuffled]), packs.LABEL)) == first
    other = canonical.encode(compose(packs.case(), Label(2, "tonne 0")))
    assert other != first


def test_a_plan_reads_back_as_it_was_written():
    """A pack's plan would be another one than the operator's."""
    for plan in (
        packs.plan(),
        MonitoringPlan(BUS, tuple(FLEET.devices[2:4]), {}, {"ch-1": CERTIFICATES["ch-1"]}),
    ):
        written = canonical.encode(plan.to_json())
        again = read_plan(canonical.parse_object(written))
        assert canonical.encode(again.to_json()) == written
        assert again.devices == plan.devices
        assert again.project.devices == plan.project.devices
    odd = {"share": Decimal("0.10"), "list": [{"day": "2026-01-01", "big": 2**60}], "no": None}
    project = replace(BUS, parameters={**odd, "yes": True, "year": 2025})
    written = canonical.encode(MonitoringPlan(project, ()).to_json())
    assert read_plan(canonical.parse_object(written)).project.parameters == project.parameters
    with pytest.raises(CanonicalError, match=r"plan.json .* `id` - at `\$.project`"):
        read_plan({"project": {}})


def test_factor_records_carry_their_own_hash():
    """A factor could be changed in a pack without its hash noticing."""
    book = factors.load()
    for factor in book:
        assert from_record(to_record(factor)) == factor
    record = records_of(["jcm-vn-am007.case-1"], book)[0]
    with pytest.raises(FactorError, match="hash"):
        from_record({**record, "value": "0.334"})
    kinds = records_of(["grid.vn"], book)
    assert [f.id for f in book_of(kinds)] == [r["id"] for r in kinds]


def test_ids_name_local_days_or_times():
    """Two periods of a project would have one name."""
    day = us(2026, 1, 31, 17), us(2026, 2, 28, 17)
    assert identifier("p", *day, ZONE, 3) == "TN-p-20260201-20260301-3"
    hour = us(2026, 1, 31, 18), us(2026, 1, 31, 19)
    assert identifier("p", *hour, ZONE, 1) == "TN-p-20260131T180000Z-20260131T190000Z-1"


@given(st.integers(0, 90), st.integers(1, 6))
def test_metering_from_a_rise_before_the_period_gives_the_rows_of_the_whole_history(cut, gap):
    """The auditor's intervals would differ from the operator's at the period's edge."""
    whole = packs.frame(begin=packs.BEGIN - packs.DAY_US, end=packs.END + packs.DAY_US)
    kept = np.ones(len(whole), dtype=np.bool_)
    kept[cut : cut + gap] = False
    whole = whole.take(kept)
    plan = packs.plan()
    fleet = plan.fleet()
    pairs = monitored(plan.project, fleet)
    before = np.flatnonzero(whole.time_us <= packs.BEGIN)[-1]
    after = np.flatnonzero(whole.time_us >= packs.END)[0]
    part = whole.take(np.arange(before, after + 1))
    rows = [remeter(fleet, [f], pairs, packs.BEGIN, packs.END) for f in (whole, part)]
    assert same(*rows)


def test_steps_follow_each_other():
    """A draft could be issued, or an issued statement sent back."""
    for state, wanted in (
        ("draft", "submitted"),
        ("submitted", "verified"),
        ("submitted", "rejected"),
        ("verified", "issued"),
        ("issued", "superseded"),
    ):
        check_step("TN-x", state, wanted)
    for state, wanted in (
        ("draft", "verified"),
        ("draft", "issued"),
        ("submitted", "issued"),
        ("issued", "submitted"),
        ("superseded", "issued"),
        ("rejected", "verified"),
    ):
        with pytest.raises(StatementStateError, match=f"is {state}"):
            check_step("TN-x", state, wanted)


def test_preparer_and_verifier_are_two():
    """The preparer of a statement cannot verify it."""
    operator, verifier = packs.HOLDERS["operator"], packs.HOLDERS["verifier"]
    check_other(operator, verifier)
    with pytest.raises(EnrolmentError, match="prepared"):
        check_other(operator, replace(verifier, name=operator.name))
    with pytest.raises(EnrolmentError, match="prepared"):
        check_other(operator, operator)
    with pytest.raises(EnrolmentError, match="enrolled as operator"):
        check_role(operator, "verifier", "TN-x")
