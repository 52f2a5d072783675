"""Service without consumption, and what no device can have done: it earns nothing."""

import json
from pathlib import Path

import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.errors import MethodologyError
from mrv.methodologies import evaluate, find
from mrv.registry.project import ACCOUNTING, Besides, Project
from mrv.rules.closing import close
from tests.mrv import plant

DAY = plant.DAY
WEEK = 7 * DAY
BOOK = factors.load()
FLEET = Fleet(
    [
        *(
            Device(f"ch-{n}", "s", "ev_charger", rated_power_w=120_000, installed_us=plant.FROM)
            for n in (1, 2, 3)
        ),
        Device("bus-1", "s", "vehicle", installed_us=plant.FROM),
    ]
)
PAPERS = {d.id: plant.CERTIFICATES["inv-1"] for d in FLEET.devices}


def unmet(result):
    """Conditions that do not hold, but for the one of the model's own consumption."""
    return [
        f
        for f in result.applicability
        if not f.holds
        and f.rule in {"MTR-01", "MTR-05", "MTR-06"}
        and "no kwh_per_km" not in f.detail
    ]


@pytest.mark.parametrize("kwh", [0, 1_000])
def test_evaluation_refuses_charging_that_moves_no_bus(kwh):
    """`tonne evaluate` would give 2,702.7 t for buses that charge nothing."""
    case = json.loads(Path("tests/golden/ams-iii-c.json").read_text("utf-8"))
    inputs = {**case["inputs"], "charging_mwh": kwh / 1000}
    with pytest.raises(MethodologyError, match=r"kWh/km, and such services take 0\.6 to 2"):
        evaluate(find("ams-iii-c"), inputs, BOOK, "in.json")


def test_energy_above_the_rating_of_its_time_counts_nothing():
    """A rating that was raised a thousandfold would make a past week earn 12.5 t, not 0.45."""
    fleet = Fleet(
        [Device("inv-1", "s", "pv_inverter", rated_power_w=10**8, installed_us=plant.FROM)]
    )
    rows = plant.laid_out(fleet, {("inv-1", "energy_export"): [250_000] * WEEK})
    one = Project(
        **{n: getattr(plant.PV, n) for n in plant.PV.__slots__ if n != "devices"},
        devices=plant.PV.devices[:1],
    )
    end = plant.FROM + WEEK * INTERVAL_US
    later = Besides(accounting=ACCOUNTING, ratings={"inv-1": ((plant.FROM, 100_000), (end, 10**8))})
    result = close(
        one, fleet, PAPERS | plant.CERTIFICATES, rows, plant.FROM, end, BOOK, besides=later
    )
    assert result.devices[0].counted == f"{27_500 * WEEK}.000000"
    assert unmet(result)
