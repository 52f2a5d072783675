"""What an owner types: factors beside the official ones, constants in place of meters."""

from datetime import date
from decimal import Decimal

import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.accounting.owner_inputs import MEASURED, OFFICIAL
from mrv.accounting.period import close
from mrv.registry.project import ACCOUNTING, Besides, Project, ProjectDevice, Sample
from tests.mrv import plant

BOOK = factors.load()
WEEK = 7 * plant.DAY
END = plant.FROM + WEEK * INTERVAL_US
PUMPS = Fleet(
    [
        Device("flow", "s", "waterworks", installed_us=plant.FROM),
        Device("power", "s", "energy_meter", rated_power_w=10**6, installed_us=plant.FROM),
    ]
)
PLANT = Fleet(
    [
        Device("in", "s", "wastewater_plant", installed_us=plant.FROM),
        Device("gas", "s", "wastewater_plant", installed_us=plant.FROM),
        Device("power", "s", "energy_meter", rated_power_w=10**5, installed_us=plant.FROM),
    ]
)
COD = {
    "cod_in_kg_per_m3": 6, "cod_out_kg_per_m3": Decimal("0.15"),
    "eta_cod_baseline": Decimal("0.85"), "eta_cod_project": Decimal("0.8"),
    "mcf_baseline": Decimal("0.8"), "mcf_project": Decimal("0.8"),
    "mcf_discharge": Decimal("0.1"), "ch4_fraction": Decimal("0.62"),
    "flare_efficiency": Decimal("0.9"), "tdl": Decimal("0.0615"),
}  # fmt: skip


def closed(fleet, methodology, version, roles, parameters, rows, besides):
    """Close a week of a project of which each device has a role."""
    bound = tuple(ProjectDevice(device, role) for device, role in roles.items())
    one = Project(
        "p", "P", methodology, version, plant.ZONE, plant.FROM, plant.TO,
        parameters=parameters, devices=bound,
    )  # fmt: skip
    papers = {d.id: plant.CERTIFICATES["inv-1"] for d in fleet.devices}
    given = plant.laid_out(fleet, rows)
    return close(one, fleet, papers, given, plant.FROM, END, BOOK, besides=besides)


def pumped(factor, accounting=ACCOUNTING):
    """Close a week of pumps whose owner typed a factor."""
    rows = {("flow", "flow"): [10**9] * WEEK, ("power", "energy_import"): [178_000] * WEEK}
    parameters = {"kwh_per_m3_baseline": Decimal("0.215"), "head_m": 40,
                  "ef_grid_t_per_mwh": Decimal(factor)}  # fmt: skip
    roles = {"flow": "volume", "power": "power"}
    besides = Besides(accounting=accounting)
    return closed(PUMPS, "am0020", "2.0", roles, parameters, rows, besides)


def treated(samples=()):
    """Close a week of a wastewater plant."""
    rows = {
        ("in", "flow"): [5 * 10**6] * WEEK,
        ("gas", "biogas"): [12 * 10**6] * WEEK,
        ("power", "energy_import"): [4_000] * WEEK,
    }
    roles = {"in": "inflow", "gas": "biogas", "power": "power"}
    besides = Besides(accounting=ACCOUNTING, samples=samples)
    return closed(PLANT, "ams-iii-h", "19.0", roles, COD, rows, besides)


def detail(result, clause):
    """Conditions of a clause: whether each holds, and what it says."""
    return [(f.holds, f.detail) for f in result.applicability if f.clause == clause]


def test_factor_of_the_owner_earns_no_more_than_the_official_one():
    """A factor of 2.0 t/MWh, typed, would earn three times what the official one does."""
    official = pumped("0.6592")
    typed = pumped("2.0")
    assert float(pumped("2.0", 1).net.reduction.t) > 3 * float(official.net.reduction.t)
    assert typed.net == official.net
    ((holds, said),) = detail(typed, OFFICIAL)
    assert not holds
    assert "vn-grid-2023 = 0.6592" in said
    assert official.net.reduction.t in said
    assert not detail(official, OFFICIAL)


def test_factor_that_costs_the_owner_counts():
    """A project that is more careful than it has to be would be credited more than it asks."""
    careful = pumped("0.333")
    assert float(careful.net.reduction.t) < float(pumped("0.6592").net.reduction.t)
    assert detail(careful, OFFICIAL)[0][0]


def test_constants_in_place_of_what_is_monitored_are_named():
    """COD, methane and flare of a plant with meters for them would be whatever is typed."""
    ((holds, said),) = detail(treated(), MEASURED)
    assert not holds
    for name in ("cod_in_kg_per_m3 = 6", "cod_out_kg_per_m3", "ch4_fraction", "eta_cod_project"):
        assert name in said


@pytest.mark.parametrize("found", ["5", "7"])
def test_samples_count_in_place_of_constants(found):
    """A laboratory's result would stand beside a constant that counts."""
    taken = date(2026, 1, 3)
    samples = tuple(
        Sample(name, f"S-{name}", taken, Decimal(found) if "in" in name else value, "ISO 6060",
               "Lab, ISO 17025")
        for name, value in COD.items()
        if name in ("cod_in_kg_per_m3", "cod_out_kg_per_m3", "ch4_fraction", "eta_cod_project")
    )  # fmt: skip
    result = treated(samples)
    used = {p.name: p.value for p in result.parameters}
    assert used["cod_in_kg_per_m3"] == found
    assert detail(result, MEASURED) == [(True, "")]
