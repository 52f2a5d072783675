"""Statements that older versions of accounting made: the same bytes again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mrv import factors
from mrv.documents.statement import claims_of
from mrv.factors.records import book_of
from mrv.signatures import canonical
from mrv.statement.compose import Label, compose
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_reader import read_plan
from tests.mrv.report.sample import steady

FOLDERS = {n: Path(__file__).with_name(f"accounting_{n}") for n in (2, 3, 4, 5, 6)}
# what the registers of each rose by in a quarter hour, and the tonnes that came of it
HISTORIES = {
    "whr": {"fuel": ("fuel_total_ml", 3_000), "grid": ("energy_import_wh", 5_000),
            "turbine": ("energy_export_wh", 300_000)},
    "treated": {"gas": ("biogas_total_nml", 12_000_000), "in": ("flow_total_ml", 5_000_000),
                "power": ("energy_import_wh", 4_000)},
    "building": {"weather": ("cooling_degree_ks", 7_520), "power": ("energy_import_wh", 70_000)},
    "wide": {"line": ("output_total_g", 25_000), "power": ("energy_import_wh", 7_500),
             "fuel": ("fuel_total_ml", 10)},
}  # fmt: skip
# what was not given of its design was asked for by a condition, and nothing was taken off
HISTORIES["bare"] = HISTORIES["treated"]
TONNES = {
    (2, "whr"): "17.453296", (2, "treated"): "7.767965", (3, "treated"): "8.640770",
    (4, "treated"): "5.726949", (4, "bare"): "1.933256",
    (5, "treated"): "5.726949", (5, "building"): "1.173773", (5, "wide"): "2.259969",
    (6, "treated"): "5.726949", (6, "building"): "0.000000", (6, "wide"): "2.259969",
    (6, "whr"): "17.453296",
}  # fmt: skip


def read(name, what, version):
    """Return a document that the tonne of then wrote."""
    return json.loads((FOLDERS[version] / f"{name}-{what}.json").read_bytes())


def case_of(name, version=2):
    """Collect the evidence again, and the documents beside it."""
    plan = read_plan(read(name, "plan", version))
    said = claims_of(read(name, "statement", version)).monitoring_period
    begin, end = 1_769_878_800_000_000, 1_769_965_200_000_000
    assert said.from_ == "2026-01-31T17:00:00Z"
    fleet = plan.fleet()
    frames = steady(fleet, begin, end, **HISTORIES[name])
    rows = remeter(fleet, frames, monitored(plan.project, fleet), begin, end)
    return Case(plan, frames, rows, begin, end, book_of(read(name, "factors", version)))


@pytest.mark.parametrize(("version", "name"), TONNES)
def test_a_statement_of_older_rules_is_computed_the_same(version, name):
    """A pack that was right when it was made would be called false."""
    written = (FOLDERS[version] / f"{name}-statement.json").read_bytes().rstrip(b"\n")
    case = case_of(name, version)
    assert case.plan.accounting == version
    assert canonical.encode(compose(case, Label(1, "tonne 0"))) == written
    assert case.result.net.reduction.t == TONNES[version, name]


def test_todays_factors_leave_it_as_it_was():
    """A period closed again would come to other tonnes where nothing but the rules changed."""
    case = replace(case_of("whr"), factors=factors.load())
    assert case.result.net.reduction.t == TONNES[2, "whr"]
    now = replace(case, plan=replace(case.plan, accounting=3))
    assert float(now.result.net.reduction.t) < float(TONNES[2, "whr"])
