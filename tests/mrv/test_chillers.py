"""Chillers: an entered efficiency is compared with the cold that the same device measures."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from ingest.model import INTERVAL_US, NULL, Device, Fleet
from mrv import factors
from mrv.registry.project import ACCOUNTING, FIRST, ProjectDevice
from mrv.report.sheets.calculation import Reckoning
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from tests.mrv import plant
from tests.mrv.plant import tonnes, unmet
from tests.mrv.report.sample import draft, frame

RULE = "MTR-13"

BOOK = factors.load()
DAYS = 28


def of_chillers(*cop, typed="5.8", reference="4.2", accounting=ACCOUNTING, known=1.0, stuck=0.0):
    """
    Return four weeks of chillers of 60 kW with a ratio of cold to electricity.

    None: it measures no cold. `known` is the share of time with readings of cold, `stuck` the share
    at the end in which its register does not advance.
    """
    devices = tuple(
        Device(f"chiller-{i}", "s", "chiller", rated_power_w=90_000, installed_us=plant.FROM)
        for i, _ in enumerate(cop)
    )
    fleet, step = Fleet(devices), INTERVAL_US
    times = np.arange(plant.FROM - step, plant.FROM + DAYS * plant.DAY * step + 1, step)
    # no two chillers go on and off together
    watts = [np.where((times // ((11 + i) * 4 * step)) % 2 == 0, 60_000.0, 20_000.0 + 5_000 * i)
             for i, _ in enumerate(cop)]  # fmt: skip
    rose = [(one[:-1] + one[1:]) / 8 for one in watts]  # Wh of each quarter hour
    heard = np.arange(len(times)) < len(times) * known
    moving = np.arange(len(times) - 1) < (len(times) - 1) * (1 - stuck)
    frames = []
    for device, one, power, more in zip(devices, cop, watts, rose, strict=True):
        energy = np.concatenate([[0], np.cumsum(more)])
        told = frame(fleet, device.id, "energy_import_wh", energy, times, {"active_power_w": power})
        if one is not None:
            cold = np.concatenate([[0], np.cumsum(more * moving * one)]).astype(np.int64)
            told.columns["cooling_wh"][:] = np.where(heard, cold, NULL)
        frames.append(told)
    project = replace(
        plant.PV, id="chillers", methodology="jcm-vn-am003", version="1.0", expected={},
        parameters={"cop_reference": Decimal(reference), "cop_project": Decimal(typed),
                    "ef_grid_t_per_mwh": Decimal("0.6592")},
        devices=tuple(ProjectDevice(d.id, "equipment") for d in devices),
    )  # fmt: skip
    end = plant.FROM + DAYS * plant.DAY * step
    rows = {(d.id, "energy_import"): [int(e) for e in more]
            for d, more in zip(devices, rose, strict=True)}  # fmt: skip
    paid = plant.bills(rows, *(d.id for d in devices))
    plan = MonitoringPlan(
        project, devices, accounting=accounting,
        calibrations={d.id: plant.CERTIFICATES["inv-1"] for d in devices},
        documents=plant.stating(project.parameters, "cop_reference", "cop_project"),
        invoices=tuple(replace(one, from_us=plant.FROM, to_us=end) for one in paid),
    )  # fmt: skip
    metered = remeter(fleet, frames, monitored(project, fleet), plant.FROM, end)
    return Case(plan, frames, metered, plant.FROM, end, BOOK)


def cooled(*cop, **more):
    """Close four weeks of chillers."""
    return of_chillers(*cop, **more).result


@pytest.mark.parametrize(
    ("cop", "more"),
    [((4.4,), {}), ((7.0,), {"known": 0.6}), ((5.8, None), {"known": 0.2}),
     ((4.0, 4.0), {"stuck": 0.4})],
)  # fmt: skip
def test_a_chiller_near_its_data_sheet_is_as_before_the_rule(cop, more):
    """Fouling, part load and a meter at standstill must not be reported as fraud."""
    found = cooled(*cop, **more)
    assert tonnes(found) > 0
    assert found.net == cooled(*cop, accounting=FIRST, **more).net
    assert RULE not in unmet(found)


@pytest.mark.parametrize("more", [{}, {"known": 0.6}, {"stuck": 0.4}])
def test_a_performance_typed_at_twice_the_truth_earns_no_more_than_that(more):
    """Twice the true performance of its chillers gave an owner 4.6 times the true reduction."""
    truth, false = cooled(5.8, **more), cooled(5.8, typed="11.6", **more)
    before = cooled(5.8, typed="11.6", accounting=FIRST, **more)
    assert tonnes(before) == pytest.approx(4.625 * tonnes(truth), rel=1e-3)
    # the day on which a meter stands still is not of one piece
    assert tonnes(false) == pytest.approx(tonnes(truth), rel=3e-2 if more else 1e-3)
    assert tonnes(false) <= tonnes(truth) * (1 + 1e-4)
    said = unmet(false)[RULE]
    cost = said.partition("lowers the reduction by ")[2].partition(" t;")[0]
    assert float(cost) == pytest.approx(tonnes(before) - tonnes(false), abs=2e-6)


def test_chillers_count_each_by_its_own_cold():
    """A chiller without a meter would pass its entered performance to others, or take theirs."""
    found, held = cooled(5.0, None, typed="7.9"), cooled(5.8, 5.8)
    first, second = (float(d.counted) / 1e6 * 0.6592 for d in found.devices)
    assert [d.counted for d in held.devices] == [d.counted for d in found.devices]
    wanted = first * (5.0 / 4.2 - 1) + second * (7.9 / 4.2 - 1)
    assert tonnes(found) == pytest.approx(wanted, rel=1e-3)


def test_the_statement_says_both_figures_and_the_workbook_the_one_that_counted():
    """The typed value is what was fixed ex ante; an auditor computes with the other."""
    case = of_chillers(5.8, typed="11.6")
    values = {p.name: float(p.value) for p in case.result.parameters}
    assert values["cop_project"] == 11.6
    assert values["measured_cop_project"] == pytest.approx(5.8, rel=1e-3)
    facts = draft(case)
    found = facts.methodology.reductions(Reckoning(facts).inputs(2026), BOOK)
    assert float(found.reduction_t) == pytest.approx(tonnes(case.result), rel=1e-6)
