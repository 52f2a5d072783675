"""Composted waste has emissions and a reduction: losing its records gives no advantage."""

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.errors import PeriodError
from mrv.registry import Calibration
from mrv.registry.project import ProjectDevice
from mrv.rules.account import check_costed
from mrv.rules.closing import close
from tests.mrv import plant
from tests.soak import often

BOOK = factors.load().within("VN")
FLEET = Fleet(
    [
        Device("weigh", "s", "weighbridge", installed_us=plant.FROM),
        Device("plant", "s", "wastewater_plant", rated_power_w=50_000, installed_us=plant.FROM),
        Device("power", "s", "energy_meter", rated_power_w=50_000, installed_us=plant.FROM),
        Device("fuel", "s", "fuel_meter", installed_us=plant.FROM),
    ]
)
SITE = {"phi": Fraction("0.85"), "f_captured": 0, "mcf": 1, "tdl": Fraction("0.0615")}
COMPOST = replace(
    plant.PV,
    id="compost",
    methodology="ams-iii-f",
    version="12.0",
    devices=(
        ProjectDevice("weigh", "waste"),
        ProjectDevice("power", "power"),
        ProjectDevice("fuel", "fuel"),
    ),
    expected={},
)
DIGESTER = replace(
    COMPOST,
    methodology="ams-iii-h",
    version="19.0",
    parameters={
        "cod_in_kg_per_m3": 6, "cod_out_kg_per_m3": Fraction("0.15"),
        "eta_cod_baseline": Fraction("0.85"), "eta_cod_project": Fraction("0.8"),
        "mcf_baseline": Fraction("0.8"), "mcf_project": Fraction("0.8"),
        "mcf_discharge": Fraction("0.1"), "ch4_fraction": Fraction("0.62"),
        "flare_efficiency": Fraction("0.9"), "tdl": Fraction("0.0615"),
    },
    devices=(
        ProjectDevice("plant", "inflow"), ProjectDevice("plant", "biogas"),
        ProjectDevice("power", "power"),
    ),
)  # fmt: skip
DAY_US = plant.DAY * INTERVAL_US
T = 10**6


def _wood(kind, **more):
    parameters = {"first_year": 2026, f"share_{kind}": 1, **SITE, **more}
    return replace(COMPOST, parameters=parameters)


def _rows(device, **given):
    """
    Return the rows of a day, without those from power and fuel; None
    where an interval is lost.
    """
    idle = [0] * plant.DAY
    every = {(device, quantity): values for quantity, values in given.items()}
    others = {("power", "energy_import"): idle, ("fuel", "flow"): idle}
    return plant.laid_out(FLEET, every | others)


def _closed(project, rows, certificates=None, supporting=None):
    sure = (Calibration(date(2025, 12, 20), date(2040, 1, 1), "C", "0.5", None),)
    papers = certificates or {device.id: sure for device in FLEET.devices}
    end = plant.FROM + DAY_US
    return close(project, FLEET, papers, rows, plant.FROM, end, BOOK, supporting=supporting)


loads = st.lists(st.integers(0, 100 * T), min_size=2, max_size=plant.DAY)
kinds = st.sampled_from(["wood", "paper", "food"])


@settings(deadline=None, max_examples=often(10, 40))
@given(kind=kinds, mass=loads, data=st.data())
def test_losing_loads_never_raises_the_reduction(kind, mass, data):
    """A claimant would gain by switching the weighbridge off."""
    gone = data.draw(st.sets(st.integers(0, len(mass) - 1)))
    kept = [None if at in gone else value for at, value in enumerate(mass)]
    project = _wood(kind, waste_t_year_1=1000, first_year=2025)
    whole, less = (_closed(project, _rows("weigh", mass=m)) for m in (mass, kept))
    assert less.net.reduction.ug <= whole.net.reduction.ug
    assert less.credit_t <= whole.credit_t


def _without(begin, end):
    """Return wood whose power meter has no data for some intervals of a day."""
    away = [plant.FROM + edge * INTERVAL_US for edge in (begin, end)]
    meters = (
        ProjectDevice("power", "power", to_us=away[0]),
        ProjectDevice("power", "power", from_us=away[1]),
    )
    return (ProjectDevice("weigh", "waste"), ProjectDevice("fuel", "fuel"), *meters)


def test_wood_is_not_composted_for_nothing_while_no_meter_of_its_power_is_bound():
    """
    A plant that composts wood would unbind its power meter, and
    be charged no project emissions.
    """
    day = (plant.FROM, plant.FROM + DAY_US)
    for begin, end in ((0, 8), (40, 48), (90, plant.DAY)):
        bare = replace(_wood("wood"), devices=_without(begin, end))
        with pytest.raises(
            PeriodError,
            match=r"weigh is in the project at .* no meter has one of the roles power, fuel",
        ):
            check_costed(bare, FLEET, day, BOOK)
    at = "2026-01-01T03:00:00Z"  # 10:00 in Hai Phong
    with pytest.raises(PeriodError, match=at):
        check_costed(replace(_wood("wood"), devices=_without(40, 48)), FLEET, day, BOOK)
    later = (plant.FROM + 48 * INTERVAL_US, plant.FROM + DAY_US)
    check_costed(replace(_wood("wood"), devices=_without(40, 48)), FLEET, later, BOOK)


def test_a_plant_with_its_meters_and_one_that_gains_close():
    """Every plant whose meter was swapped would be refused."""
    day = (plant.FROM, plant.FROM + DAY_US)
    check_costed(_wood("wood"), FLEET, day, BOOK)
    check_costed(replace(_wood("wood"), devices=_without(40, 40)), FLEET, day, BOOK)
    # food earns: without its meters it earns nothing, which is enough
    check_costed(replace(_wood("food"), devices=_without(40, 48)), FLEET, day, BOOK)
    check_costed(plant.PV, plant.FLEET, day, BOOK)
    check_costed(DIGESTER, FLEET, day, BOOK)
