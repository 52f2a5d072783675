"""Meters of a project's side that are silent or stand still, and energy that is claimed twice."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.registry.project import ACCOUNTING, FIRST, Besides, Project, ProjectDevice
from mrv.rules.closing import close
from tests.mrv import plant

APART, RULE, UNBOUND = "CLM-03", "MTR-11", "MTR-11"

WEEK, WEEKS = 7 * plant.DAY, 4
COUNT = WEEKS * WEEK
END = plant.FROM + COUNT * INTERVAL_US
BOOK = factors.load()
ROLES = {
    "gen": ("waste_heat_turbine", "turbine", "energy_export", 325_000),
    "steam": ("steam_meter", "steam", "mass", 1_100_000),
    "aux": ("energy_meter", "auxiliary", "energy_import", 20_000),
    "fuel": ("fuel_meter", "fuel", "flow", 400),
    "aux-2": ("energy_meter", "auxiliary", "energy_import", 20_000),
}
FLEET = Fleet(
    [
        Device(name, "s", kind, rated_power_w=rated, installed_us=plant.FROM)
        for name, (kind, *_), rated in zip(
            ROLES, ROLES.values(), (2_000_000, None, 100_000, None, 100_000), strict=True
        )
    ]
)
PARAMETERS = {
    "f_cap": Decimal("0.95"), "f_wcm": 1, "tdl": Decimal("0.0615"), "steam_kj_per_kg": 2776,
    "feedwater_kj_per_kg": 420, "boiler_efficiency": Decimal("0.85"),
    "ef_grid_t_per_mwh": Decimal("0.6592"), "design_steam_t_per_d": 150,
}  # fmt: skip


def plant_of(*names, accounting=ACCOUNTING, rated=None, invoices=None, parameters=None,
             replaced=(), diagram=(), **series):  # fmt: skip
    """Close four weeks of a plant of some meters, each steady but for what is given."""
    parameters = {**PARAMETERS, **(parameters or {})}
    rows = {(name, ROLES[name][2]): [ROLES[name][3]] * COUNT for name in names}
    rows |= {("gen", "energy_import"): [1] * COUNT} if "gen" in names else {}
    rows |= {(name, ROLES[name][2]): values for name, values in series.items()}
    fleet = FLEET
    if rated is not None:
        fleet = Fleet([Device(d.id, "s", d.class_id, installed_us=plant.FROM,
                              rated_power_w=rated if d.id == "aux" else d.rated_power_w)
                       for d in FLEET.devices])  # fmt: skip
    project = Project(
        "whr", "Waste heat", "acm0012", "6.0", plant.ZONE, plant.FROM, plant.TO,
        parameters=parameters, devices=tuple(ProjectDevice(n, ROLES[n][1]) for n in names),
    )  # fmt: skip
    besides = Besides(
        accounting=accounting, documents=(*plant.papers(*parameters), *diagram),
        invoices=plant.bills(rows, "steam") if invoices is None else invoices, replaced=replaced,
    )  # fmt: skip
    papers = dict.fromkeys(names, plant.CERTIFICATES["inv-1"])
    given = plant.laid_out(fleet, {k: v for k, v in rows.items() if v})
    return close(project, fleet, papers, given, plant.FROM, END, BOOK, besides=besides)


def said(result, clause=RULE):
    return "".join(f.detail for f in result.applicability if f.rule == clause and not f.holds)


def test_a_meter_that_was_never_heard_is_named_with_what_it_counts():
    """A fan's meter that never sent, registered with 100 W, earned 1.16 times the truth."""
    truth, found = plant_of("gen", "aux", "fuel"), plant_of("gen", "aux", "fuel", aux=(), rated=100)
    assert float(found.net.reduction.t) > 1.05 * float(truth.net.reduction.t)
    # 672 h at 100 W, and what an unattested meter may be off by: nothing
    (of,) = (d for d in found.devices if d.device == "aux")
    assert (
        "aux (auxiliary) sent no data in the period: 67.2 kWh at its rated power of 100 W are"
        f" charged, {of.emissions_t} t"
    ) in said(found)
    assert not said(plant_of("gen", "aux", "fuel", aux=(), rated=100, accounting=FIRST))


def test_an_auxiliary_that_stands_still_is_named():
    """A plant whose pumps took nothing earned 1.08 times the truth, without a word."""
    still = plant_of("gen", "aux", "fuel", aux=[0] * COUNT)
    assert "aux (auxiliary) did not advance while the service went on, in 4 week(s)" in said(still)
    assert "at its highest plausible rate 67,200 kWh would emit" in said(still)
    # a week of four, and as much as in the other three
    week = [20_000] * WEEK + [0] * WEEK + [20_000] * (2 * WEEK)
    some = plant_of("gen", "aux", "fuel", aux=week)
    rate = Fraction(next(d.emissions_t for d in some.devices if d.device == "aux"))
    told = said(some)
    assert f"as in the rest of the period {20_000 * WEEK // 1000:,} kWh would emit" in told
    cost = float(told.rpartition("would emit ")[2].split(" t")[0])
    assert cost == pytest.approx(float(rate) / 3, rel=1e-3)
    # nothing served meanwhile
    stopped = [325_000] * WEEK + [0] * WEEK + [325_000] * (2 * WEEK)
    assert not said(plant_of("gen", "aux", "fuel", aux=week, gen=stopped))


def test_a_plant_without_a_meter_of_what_it_draws_is_asked_for_it():
    """An auxiliary that was not registered at all earned as one that stood still."""
    found = plant_of("gen", "fuel")
    assert "no meter has the role auxiliary: what gen and the rest" in said(found, UNBOUND)
    assert not said(plant_of("gen", "fuel", accounting=FIRST), UNBOUND)


def test_steam_that_may_drive_the_turbine_is_asked_for():
    """Steam and the electricity made of it earned 2.24 times the truth, with an honest invoice."""
    both = plant_of("gen", "steam", "aux", "fuel")
    told = said(both, APART)
    tonnes = {d.device: d.emissions_t for d in both.devices}
    assert f"gen (turbine, {float(tonnes['gen']):.4f}"[:-1] in told
    assert f"steam (steam, {float(tonnes['steam']):.4f}"[:-1] in told
    assert "they may be the same energy" in told
    assert "line_diagram: no document is named" in told
    assert not said(plant_of("gen", "steam", "aux", "fuel", accounting=FIRST), APART)
    # a steam meter that counts nothing claims nothing
    assert not said(plant_of("gen", "steam", "aux", "fuel", steam=[0] * COUNT), APART)


@pytest.mark.parametrize(
    ("fields", "lacks"),
    [
        ({}, None),
        ({"issued": date(2026, 1, 1)}, None),  # the day that the period begins
        ({"issued": date(2026, 1, 2)}, "is of 2026-01-02, after the period began"),
        ({"sha256": None}, "has no `sha256`"),
        ({"by": None}, "has no `by`"),
    ],
)
def test_a_dated_line_diagram_shows_two_energies(fields, lacks):
    """An honest plant of both would be asked every month, and no row of its registry answered."""
    diagram = plant.papers("line_diagram", **fields)
    found = plant_of("gen", "steam", "aux", "fuel", diagram=diagram)
    if lacks is not None:
        assert lacks in said(found, APART)
        return
    (met,) = (f for f in found.applicability if f.rule == APART)
    assert met.holds
    assert "they are two energies: licence 12/2025 (issuer Department of Environment" in met.detail
    # it is of no value, and changes none
    asked = plant_of("gen", "steam", "aux", "fuel")
    assert found.net.reduction == asked.net.reduction
