"""A week of rain brings twice the water of half the strength; the load is what counts."""

from dataclasses import replace
from fractions import Fraction

import pytest

from ingest.model import INTERVAL_US
from mrv.registry.project import Loaded, Measured
from tests.mrv import plant
from tests.mrv.test_design_capacity import BUILT, TREATED, WEEK, WEEKS, ended, tonnes, unmet
from tests.mrv.test_owner_inputs import PLANT

DAY_US = plant.DAY * INTERVAL_US
QUARTER = 5 * 10**6  # mL of a quarter hour: 480 m3/d, and it was built for 600
RAINY = 2  # week


def treated(water=1, strength=1, **besides):
    """Close five weeks; in the third the meters tell so many times the water, and its COD."""
    flow = [QUARTER] * (WEEKS * WEEK)
    cod = [Fraction(6)] * (WEEKS * 7)
    flow[RAINY * WEEK : (RAINY + 1) * WEEK] = [int(QUARTER * water)] * WEEK
    cod[RAINY * 7 : (RAINY + 1) * 7] = [Fraction(6) * strength] * 7
    rows = {("in", "flow"): flow, ("gas", "biogas"): [12 * 10**6] * len(flow),
            ("power", "energy_import"): [4_000] * len(flow)}  # fmt: skip
    days = []
    for k, value in enumerate(cod):
        begin = plant.FROM + k * DAY_US
        came = sum(flow[k * plant.DAY : (k + 1) * plant.DAY])
        days.append(Loaded(begin, begin + DAY_US, came, came * value * 1000))
    mean = sum(d.load for d in days) / sum(d.flow for d in days) / 1000
    told = {
        "cod_in_kg_per_m3": mean, "cod_out_kg_per_m3": mean / 40, "eta_cod_project": "0.8",
        "ch4_fraction": "0.62", "flare_efficiency": "0.9",
    }  # fmt: skip
    channels = {n: Measured(Fraction(v), "by its analyser", 1, 1) for n, v in told.items()}
    name = "cod_in_kg_per_m3"
    channels[name] = replace(channels[name], days=tuple(days))
    return ended(TREATED, PLANT, rows, BUILT, channels=channels, **besides)


def test_rain_costs_an_honest_plant_nothing():
    """A week of double rain took a fifth of what the plant had avoided."""
    truth, found = treated(), treated(2, Fraction(1, 2))
    assert found.net == truth.net
    assert not unmet(found)
    assert any("diluted by rain" in f.detail for f in found.applicability if f.holds)


@pytest.mark.parametrize("strength", [1, Fraction(7, 10)])
def test_water_that_is_not_weaker_counts_as_the_plant_was_built(strength):
    """A flow meter that runs double for a week would pass as rain."""
    found = treated(2, strength)
    assert "design capacity of 600 m3/d: the capacity" in "".join(unmet(found).values())
    # a week at the capacity, which is a quarter above the usual; power and losses stay
    assert tonnes(found) <= 1.06 * tonnes(treated())
