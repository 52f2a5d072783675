"""A fraudulent owner of each kind of plant: what scaled meters earn beside an honest twin."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.methodologies import find
from mrv.registry.project import (
    ACCOUNTING,
    FIRST,
    Besides,
    Calibration,
    Invoice,
    Measured,
    ProjectDevice,
)
from mrv.rules.closing import close
from tests.mrv import plant
from tests.mrv.test_live_systems import CASES

BILLED = "EVD-03"
FUEL = "EVD-07"

BOOK = factors.load()
WEEKS = 2
COUNT = WEEKS * 7 * plant.DAY
PART = Fraction(WEEKS * 7, 365)
SURE = (Calibration(date(2025, 1, 1), date(2040, 1, 1), "C", None, 0),)
STEAM = (
    [("steam", 43_800 * 10**6), ("auxiliary", 10 * 10**6), ("fuel", 25_000_000)],
    {"f_cap": 0.95, "f_wcm": 1, "steam_kj_per_kg": 2776, "feedwater_kj_per_kg": 420,
     "boiler_efficiency": 0.85, "ef_grid_t_per_mwh": 0.6592, "tdl": 0.0615},
)  # fmt: skip
PANELS = (
    [("panels", 500_000), ("power", 1400 * 10**6), ("fuel", 300_000)],
    {"panel_kg": 22, "aluminium_share": 0.1, "aluminium_ef_t_per_t": 8.4, "glass_share": 0.7,
     "glass_ef_t_per_t": 0.6, "copper_share": 0.01, "copper_ef_t_per_t": 3,
     "ef_grid_t_per_mwh": 0.6592},
)  # fmt: skip
PLANTS = {
    **{n: c for n, c in CASES.items() if find(n).capacities and n != "acm0012"},
    "acm0012": STEAM,
    "pv-panel-recycling": PANELS,
}
# where a line delivers several kinds, electricity shows their sum alone
KINDS = "hdpe", "ldpe", "pet", "pp", "metal", "abs"


def decimals(values):
    """Return values as a registry file has them."""
    return {k: v if isinstance(v, int) else Decimal(str(float(v))) for k, v in values.items()}


def designed(methodology, given, parameters):
    """Return what a plant was built for that runs at four fifths of it."""
    found = {}
    amounts = [(role, float(Fraction(amount) * PART)) for role, amount, *_ in given]
    for one in methodology.capacities:
        served = [a for role, a in amounts if role in one.serves]
        rate = sum(served) / (WEEKS * 7) / one.base_units / (len(served) if one.each else 1)
        found[one.parameter] = rate * float(parameters.get(one.of, 1)) / 0.8
    for one in methodology.consumptions:
        if one.by_design:
            used = sum(a for role, a in amounts if role in one.uses)
            served = sum(a for role, a in amounts if role in one.serves)
            found[one.by_design] = used / served * float(one.per_base)
    return {k: Decimal(str(round(v, 6))) for k, v in found.items()}


def bills(methodology, given):
    """Return invoices of the roles that nothing else shows, by the supplier's own meter."""
    rates = [
        (f"{role}-{i}", role, Fraction(a) * PART / COUNT) for i, (role, a, *_) in enumerate(given)
    ]
    end = plant.FROM + COUNT * INTERVAL_US
    return tuple(
        Invoice(f"i-{device}", "its supplier", "1", date(2026, 2, 1), (device,),
                methodology.roles[role].quantity, plant.FROM, end, int(rate) * COUNT, Decimal(2),
                "c3" * 32)
        for device, role, rate in rates if role in {"power", *methodology.billed, *KINDS}
    )  # fmt: skip


def earned(name, *, others=1, accounting=ACCOUNTING, built=None, **besides):
    """
    Close two weeks of a plant whose meters of the project's side tell `others` of the truth.

    `built` is another plant than the one of the table: its meters and its parameters.
    """
    methodology, (given, parameters) = find(name), built or PLANTS[name]
    devices, bound, rows = [], [], {}
    for number, (role, amount, *more) in enumerate(given):
        needs = methodology.roles[role]
        params = (more or [{}])[0]
        params = params if isinstance(params, dict) else {"ef_t_per_t": params}
        rate = Fraction(amount) * PART / COUNT
        factor = 1 if needs.side == "baseline" else Fraction(others)
        rated = int(8 * rate) if needs.unit == "Wh" else None
        device = f"{role}-{number}"
        devices.append(
            Device(device, "s", needs.classes[0], rated_power_w=rated, installed_us=plant.FROM)
        )
        bound.append(ProjectDevice(device, role, decimals(params)))
        value = min(int(rate * factor), 900) if needs.unit == "s" else int(rate * factor)
        rows[device, needs.quantity] = [value] * COUNT
    design = designed(methodology, given, parameters)
    channels = {
        n: Measured(Fraction(str(parameters[n])), "by its analyser", 1, 1)
        for n, spec in methodology.parameters.items()
        if spec.unmeasured is not None and n in parameters
    }
    project = replace(
        plant.PV, id="p", methodology=name, version=methodology.version, expected={},
        parameters={**decimals(parameters), **design}, devices=tuple(bound),
    )  # fmt: skip
    given_papers = {
        "channels": channels,
        "invoices": bills(methodology, given),
        "documents": plant.papers(*dict.fromkeys((*design, *methodology.documented))),
    }
    held = Besides(accounting=accounting, **{**given_papers, **besides})
    fleet, papers = Fleet(devices), {d.id: SURE for d in devices}
    return close(
        project, fleet, papers, plant.laid_out(fleet, rows), plant.FROM,
        plant.FROM + COUNT * INTERVAL_US, BOOK, besides=held,
    )  # fmt: skip


def tonnes(result):
    """Reduction of a period. [tCO2e]"""
    return float(result.net.reduction.t)


def unmet(result):
    """Clauses of the conditions that do not hold."""
    return {f.rule for f in result.applicability if not f.holds}


@pytest.mark.parametrize("name", [name for name in PLANTS if find(name).papers])
def test_values_of_a_baseline_stand_in_dated_documents(name):
    """A baseline that was typed ten times too high, with any text beside it, earned fifty times."""
    names = find(name).papers
    built = [n for n in find(name).parameters if n.startswith("design_")]
    for lacking in names:
        stated = plant.papers(*built, *(n for n in names if n != lacking))
        others = (*plant.LOSSES, *stated)
        for paper in ((), plant.papers(lacking, by=None), plant.papers(lacking, sha256=None)):
            found = earned(name, documents=(*others, *paper))
            assert tonnes(found) == 0
            assert lacking in "".join(f.detail for f in found.applicability if f.rule == BILLED)


@pytest.mark.parametrize("name", ["ams-iii-f", "ams-iii-ba"])
def test_fuel_that_only_the_plants_own_meter_tells_is_named(name):
    """A fuel meter that ran at a hundredth left 3.2 times the truth, without a condition."""
    given, _ = PLANTS[name]
    methodology = find(name)
    bare = earned(name)
    assert FUEL in unmet(bare)
    assert FUEL not in unmet(earned(name, accounting=FIRST))
    end = plant.FROM + COUNT * INTERVAL_US
    fuels = []
    for number, (role, amount, *_) in enumerate(given):
        if "fuel_meter" in methodology.roles[role].classes:
            value = int(Fraction(amount) * PART / COUNT) * COUNT
            fuels.append(
                Invoice(f"f-{number}", "its supplier", f"f{number}", date(2026, 3, 1),
                        (f"{role}-{number}",), "flow", plant.FROM, end, value, Decimal(5),
                        "f5" * 32)
            )  # fmt: skip
    assert fuels
    shown = earned(name, invoices=(*bills(methodology, given), *fuels))
    assert FUEL not in unmet(shown)
    # it moves no tonne
    assert shown.net == bare.net
