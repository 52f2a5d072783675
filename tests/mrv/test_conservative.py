"""For every methodology: less evidence never gives a higher reduction."""

import copy
import random
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors, methodologies
from mrv.accounting.live_emissions import account, compile_bindings
from mrv.parameters import ListSpec, MapSpec, ParameterSpec, RecordSpec, read
from mrv.registry import Calibration
from mrv.registry.project import ProjectDevice
from mrv.rules.closing import close
from tests.golden import case
from tests.mrv import plant
from tests.soak import often

BOOK = factors.load().within("VN")
DAY_US = plant.DAY * INTERVAL_US
WIND = replace(
    plant.PV,
    id="wind",
    methodology="ams-i-d",
    version="18.0",
    parameters={"ef_grid_t_per_mwh": Decimal("0.63767"), "capacity_mw": 14},
    devices=(ProjectDevice("m-1", "generation"),),
)
CHILLER = replace(
    WIND,
    id="chiller",
    methodology="jcm-vn-am003",
    version="1.0",
    parameters={
        "cop_reference": Decimal("4.2"),
        "cop_project": Decimal("5.8"),
        "ef_grid_t_per_mwh": Decimal("0.6592"),
    },
    devices=(ProjectDevice("m-1", "equipment"),),
)
METER = Device("m-1", "s", "energy_meter", rated_power_w=10**6, installed_us=plant.FROM)
FLEET = Fleet([*plant.FLEET.devices, METER])
# Less biogas is less methane that can be shown, and less that the flare lets through:
# which counts more depends on the plant.  A gap of it has to be mended by hand.
BOTH_WAYS = {("biogas_nm3",), ("ch4_fraction",)}
# Stand on the baseline's side and lessen it.
LESSENS = {"feedwater_kj_per_kg", "f_captured", "years_since_baseline", "biofuel_share",
           "uncertainty_deduction", "eg_hist_mwh", "sigma_hist_mwh", "boiler_efficiency",
           "eta_reference", "cop_reference", "occupancy"}  # fmt: skip
# What the golden cases leave at its default, so that nothing would show of it.
BESIDES = {
    "acm0012": {
        "power_mwh": 100,
        "steam_t": 1000,
        "steam_kj_per_kg": 2776,
        "feedwater_kj_per_kg": 420,
        "boiler_efficiency": Decimal("0.85"),
    },
    "ams-ii-c": {"refrigerant_kg": 10, "refrigerant_gwp": 1924},
    "ams-iii-c": {"biofuel_share": Decimal("0.05"), "project_diesel_l": 1000, "leakage_t": 5},
    "ams-iii-f": {"f_captured": Decimal("0.2"), "other_project_t": 5, "leakage_t": 5},
    "ams-iii-h": {"other_project_t": 5, "leakage_t": 5},
    "ams-iii-i": {"mcf_project": Decimal("0.1"), "other_project_t": 5, "leakage_t": 5},
    "ams-iii-u": {"diesel_l": 1000, "other_project_t": 5, "leakage_t": 5},
    "rice-awd": {"diesel_l": 1000, "other_organic": [{"t_per_ha": 1, "cfoa": Decimal("0.17")}]},
}
LIVE = {
    "pv": (plant.PV, (("inv-1", "energy_export"), ("inv-2", "energy_export"))),
    "bus": (plant.BUS, (("ch-1", "energy_import"), ("bus-1", "distance"))),
    "wind": (WIND, (("m-1", "energy_export"),)),
    "wind, net": (WIND, (("m-1", "energy_export"), ("m-1", "energy_import"))),
    "chiller": (CHILLER, (("m-1", "energy_import"),)),
}


def _paths(fields, values, at=(), *, monitored=True):
    """Return the path of every number of one side, monitored or fixed ex ante."""
    for key, spec in fields.items():
        if key not in values:
            continue
        here = (*at, key)
        if isinstance(spec, ParameterSpec):
            # lamps of the project are told in the words of those before them
            side = "project" if at[:1] == ("project",) else spec.side
            if bool(spec.option) == monitored and here not in BOTH_WAYS:
                yield here, side
        elif isinstance(spec, RecordSpec):
            yield from _paths(spec.fields, values[key], here, monitored=monitored)
        elif isinstance(spec, ListSpec):
            for i, one in enumerate(values[key]):
                yield from _paths(spec.fields, one, (*here, i), monitored=monitored)
        elif isinstance(spec, MapSpec):
            for name, one in values[key].items():
                yield from _paths(spec.fields, one, (*here, name), monitored=monitored)


def _given(method):
    """Return the inputs of the golden case, or of the example beside it if there is none."""
    if method.id == "pv-panel-recycling":
        materials = {"glass": {"share": Decimal("0.7"), "ef_t_per_t": Decimal("0.6")}}
        return {
            "panels": 10_000,
            "panel_kg": 22,
            "materials": materials,
            "power_mwh": Decimal("6.4"),
            "ef_grid_t_per_mwh": Decimal("0.6592"),
        }
    name = method.id.removesuffix("-monthly")
    given_inputs = case(name, Decimal)["inputs"]
    if name != method.id:
        by_year = given_inputs.pop("waste_t_by_year")
        month = {kind: t / 12 for kind, t in by_year[0].items()}
        given_inputs |= {"waste_t_by_month": [month] * 12, "year": 1}
    return given_inputs | BESIDES.get(method.id, {})


def _cases(*, monitored=True):
    for method in methodologies.load().values():
        inputs = methodologies.filled(
            method.inputs, read(method.inputs, _given(method), method.id), BOOK
        )
        for path, side in _paths(method.inputs, inputs, monitored=monitored):
            yield pytest.param(method, inputs, path, side, id=f"{method.id}-{path}")


def _fixed():
    """Return the numbers fixed ex ante on one side of the account."""
    return [
        case
        for case in _cases(monitored=False)
        if case.values[2][-1] not in {"year", "case"} and case.values[3] != "both"
    ]


def test_every_methodology_has_a_number_that_can_be_lost():
    """A new methodology would go without the check that losing its data is not credited."""
    assert {case.values[0].id for case in _cases()} == set(methodologies.load())


def _scaled(inputs, path, share):
    changed = copy.deepcopy(inputs)
    node = changed
    for key in path[:-1]:
        node = node[key]
    amount = node[path[-1]] * share
    node[path[-1]] = int(amount) if isinstance(node[path[-1]], int) else amount
    return changed


def _shares(least, count):
    """Return the remaining shares of a number: the least, all, and others from this run's seed."""
    others = (random.randint(1, 99) for _ in range(count - 2))  # noqa: S311 - no secret
    return [least, Fraction(1), *(Fraction(one, 100) for one in others)]


def _wrong_way(method, inputs, path, side, shares):
    """Return the shares for which a number acts against the direction of its side."""
    whole = method.reductions(inputs, BOOK).reduction_t
    # what counts on both sides earns by its excess: less of it is less of that
    earns_by_less = side == "project" or path[-1] in LESSENS
    left = {s: method.reductions(_scaled(inputs, path, s), BOOK).reduction_t for s in shares}
    return [s for s, less in left.items() if (less < whole if earns_by_less else less > whole)]


@pytest.mark.parametrize(("method", "inputs", "path", "side"), list(_cases()))
def test_what_is_not_shown_earns_nothing(method, inputs, path, side):
    """A missing record never raises the reduction."""
    assert _wrong_way(method, inputs, path, side, _shares(Fraction(0), often(4, 10))) == []


@pytest.mark.parametrize(("method", "inputs", "path", "side"), _fixed())
def test_what_is_fixed_ex_ante_counts_the_way_its_side_says(method, inputs, path, side):
    """An ex-ante value is applied in its conservative direction."""
    assert _wrong_way(method, inputs, path, side, _shares(Fraction(1, 100), often(3, 5))) == []


@pytest.mark.parametrize("name", ["ams-ii-d", "ams-ii-d-cupola"])
@settings(deadline=None, max_examples=often(10, 25))
@given(output=st.fractions(0, 10**6))
def test_output_above_history_earns_nothing(name, output):
    """A foundry that doubles its output would be credited for castings no one made before."""
    method = methodologies.find(name)
    inputs = read(method.inputs, _given(method), name)
    most = method.reductions({**inputs, "production_t": inputs["production_hist_t"]}, BOOK)
    found = method.reductions({**inputs, "production_t": output}, BOOK)
    assert found.reduction_t <= most.reduction_t


@settings(deadline=None, max_examples=often(10, 25))
@given(gas=st.fractions(0, 10**6), flow=st.fractions(0, 10**6), power=st.fractions(0, 10**3))
def test_no_more_methane_is_credited_than_was_burnt(gas, flow, power):
    """A lagoon that exists only in documents would be credited for gas that was never flared."""
    method = methodologies.find("ams-iii-h")
    inputs = read(method.inputs, _given(method), method.id)
    given_inputs = {**inputs, "biogas_nm3": gas, "flow_m3": flow, "power_mwh": power}
    found = method.reductions(given_inputs, BOOK)
    assert found.reduction_t <= found.extra["methane_destroyed_t"]
    assert found.reduction_t <= found.baseline_t - found.project_t - found.leakage_t


def _rows(name, values):
    """Return the interval rows of a project's devices, all with the same successive values."""
    _, metered = LIVE[name]
    return plant.laid_out(FLEET, dict.fromkeys(metered, values))


def _closed(name, values, certificates):
    project, _ = LIVE[name]
    end = plant.FROM + DAY_US
    return close(project, FLEET, certificates, _rows(name, values), plant.FROM, end, BOOK)


def test_a_period_says_every_parameter_with_value_unit_and_source():
    """A statement lists each parameter with value, unit and source."""
    said = {p.name: p for p in _closed("wind", [1000], plant.CERTIFICATES).parameters}
    assert said["ef_grid_t_per_mwh"].value == "0.63767"
    assert said["ef_grid_t_per_mwh"].unit == "tCO2/MWh"
    assert said["capacity_mw"].value == "14"
    assert all(p.source and p.certainty in "RTrBM" for p in said.values())
    cases = [p for p in _closed("pv", [1000], plant.CERTIFICATES).parameters if p.name == "case"]
    assert [(p.device, p.value) for p in cases] == [("inv-1", "1"), ("inv-2", "3")]


days = st.lists(st.integers(0, 12_000), min_size=1, max_size=plant.DAY)
percents = st.decimals(0, 5, places=2)


@pytest.mark.parametrize("name", sorted(LIVE))
@settings(deadline=None, max_examples=often(6, 20))
@given(values=days, errors=st.tuples(percents, percents))
def test_a_wider_error_band_never_earns_more(name, values, errors):
    """A less accurate meter without calibration would raise the credits."""
    narrow, wide = (
        {
            device.id: [Calibration(date(2024, 1, 1), date(2025, 1, 1), "C", None, error)]
            for device in FLEET.devices
        }
        for error in sorted(errors)
    )
    better, worse = _closed(name, values, narrow), _closed(name, values, wide)
    assert worse.net.reduction.ug <= better.net.reduction.ug
    assert worse.credit_t <= better.credit_t


@pytest.mark.parametrize("name", sorted(LIVE))
@settings(deadline=None, max_examples=often(6, 20))
@given(values=days)
def test_live_rows_never_promise_more_than_the_period(name, values):
    """The dashboard and the statement would show two different sums."""
    project, _ = LIVE[name]
    bound = compile_bindings([project], FLEET, BOOK)
    live = int(account(_rows(name, values), bound).reduction_ug.sum())
    gross = _closed(name, values, plant.CERTIFICATES).gross.reduction.ug
    if methodologies.find(project.methodology).additive:
        assert live == gross
    else:
        assert live <= gross


def test_a_kilowatt_hour_of_the_roof_does_not_lower_the_buses_factor():
    """Solar power that one project claims would be claimed again as clean charging."""
    buses = methodologies.find("ams-iii-c")
    assert not [key for key in buses.parameters if key.startswith("ef_")]
    unit = methodologies.unit_reductions(
        buses, "charging", {}, {**plant.BUS.parameters, "tdl": 0}, BOOK, 2023
    )
    assert unit.project_t * 10**6 == BOOK.select("grid.vn", "consumed", date(2023, 1, 1)).value
    roof = BOOK.select("jcm-vn-am007.case-1", "avoided").value
    assert roof < unit.project_t * 10**6
