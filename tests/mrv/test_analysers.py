"""Values of a plant's analysers: daily means weighted by flow; missing days lower the reduction."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from ingest.model import Device, Fleet
from mrv import factors
from mrv.calendar import period_us
from mrv.methodologies import find
from mrv.registry import Calibration
from mrv.registry.project import ACCOUNTING, FIRST, ProjectDevice
from mrv.statement import analysers
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from tests.mrv.plant import FROM, PV, ZONE
from tests.mrv.report.sample import frame
from tests.mrv.test_owner_inputs import COD

QUARTER_US = 900_000_000
BEGIN, END = period_us(date(2026, 2, 1), date(2026, 2, 3), ZONE)
TIMES = np.arange(BEGIN - QUARTER_US, END + QUARTER_US, QUARTER_US, dtype=np.int64)
DEVICES = (
    Device("gas", "s", "wastewater_plant", installed_us=FROM),
    Device("in", "s", "wastewater_plant", installed_us=FROM),
    Device("power", "s", "energy_meter", rated_power_w=50_000, installed_us=FROM),
)
# m3 of a quarter hour on the two days
FLOWS = (1, 3)


def paper(performed="2025-12-01", until="2027-12-01", channel=None, **more):
    """Return a certificate; without a channel it is for all instruments of a device."""
    days = map(date.fromisoformat, (performed, until))
    return Calibration(*days, f"C-{channel or 'all'}", channel=channel, **more)


PAPERS = {d.id: (paper(),) for d in DEVICES}


def closed(
    cod_in, cod_out=(50.0, 50.0), accounting=ACCOUNTING, papers=PAPERS, entered=COD, **flare
):
    """
    Return the applied parameters of two days; None where the analyser
    has no reading on a day.
    """
    result = ended(cod_in, cod_out, accounting, papers, entered, **flare)
    return {p.name: Decimal(p.value) for p in result.parameters if p.device is None}


def ended(*of, **more):
    """Close two days."""
    return case(*of, **more).result


def case(
    cod_in, cod_out=(50.0, 50.0), accounting=ACCOUNTING, papers=PAPERS, entered=COD,
    of=("ams-iii-h", "19.0"), **flare
):  # fmt: skip
    """Return two days of a plant, before they are closed."""
    fleet = Fleet(DEVICES)
    second = TIMES >= BEGIN + 96 * QUARTER_US
    steps = np.where(second, FLOWS[1], FLOWS[0]) * 1_000_000
    # what flows in a quarter hour is read at its end
    rose = np.concatenate([[0], np.cumsum(steps[:-1])]) + 10**9
    one = frame(fleet, "in", "flow_total_ml", rose, TIMES)
    for name, values in (("cod_in_mg_l", cod_in), ("cod_out_mg_l", cod_out)):
        shown = [np.nan if v is None else v for v in values]
        one.columns[name] = np.where(second, shown[1], shown[0]).astype(np.float64)
    gas = frame(fleet, "gas", "biogas_total_nml", np.arange(len(TIMES)) * 12_000_000, TIMES)
    gas.columns["ch4_percent"] = np.full(len(TIMES), 62.0)
    for name, shown in (flare or {"flare_temperature_c": 830.0}).items():
        gas.columns[name] = np.broadcast_to(np.asarray(shown, dtype=np.float64), len(TIMES)).copy()
    power = frame(fleet, "power", "energy_import_wh", np.arange(len(TIMES)) * 4_000, TIMES)
    roles = {"in": "inflow", "gas": "biogas", "power": "power"}
    project = replace(
        PV,
        id="treated",
        methodology=of[0],
        version=of[1],
        expected={},
        parameters=entered,
        devices=tuple(
            ProjectDevice(name, role) for name, role in roles.items() if role in find(*of).roles
        ),
    )
    plan = MonitoringPlan(project, DEVICES, accounting=accounting, calibrations=papers)
    frames = [gas, one, power]
    rows = remeter(fleet, frames, monitored(project, fleet), BEGIN, END)
    return Case(plan, frames, rows, BEGIN, END, factors.load())


def test_days_are_weighed_by_what_flowed():
    """Daily concentrations are weighted by flow."""
    used = closed((1000.0, 2000.0), (50.0, 90.0))
    assert used["cod_in_kg_per_m3"] == Decimal("1.75")
    assert used["cod_out_kg_per_m3"] == Decimal("0.08")
    assert used["ch4_fraction"] == Decimal("0.62")


def test_a_day_that_nobody_measured_costs():
    """Switching an analyser off on days of low concentration would raise the reduction."""
    used = closed((1000.0, None), (None, 90.0))
    assert used["cod_in_kg_per_m3"] == Decimal("0.25")
    assert used["cod_out_kg_per_m3"] == Decimal("0.09")


def test_an_analyser_without_a_certificate_counts_by_its_permissible_error():
    """
    The permissible error of an uncertified analyser is deducted.

    Finding of the UNFCCC secretariat: calibration valid until 21/11/2018, period until 31/12/2018
    (cdm.unfccc.int/Projects/DB/SGS-UKL1265732335.87/.../iProcess/RWTUV1552388169.11/gotoRFR).
    """
    whole = closed((1000.0, 1000.0))
    of_gas = {**PAPERS, "gas": (paper(channel="biogas_total_nml"),)}
    less = closed((1000.0, 1000.0), papers=of_gas)
    # the flow meter's certificate is none of the analyser: 3 % of 62 %.  More gas than the COD
    # can form is lost through the flare: here more of it leaves less
    assert less["ch4_fraction"] == whole["ch4_fraction"] * Decimal("1.03")
    result = ended((1000.0, 1000.0), papers=of_gas)
    (gas,) = (d for d in result.devices if d.device == "gas")
    assert gas.coverage.calibrated_share == "1.000000"
    told = [
        o for f in result.applicability if not f.holds for o in f.lines if o.code == "PAR-06.gauge"
    ]
    assert "gas: ch4_percent has no valid certificate on 2 of 2 days" in str(told[0])
    # the water's analysers: the load against the claimant, the outflow as well
    of_water = {**PAPERS, "in": (paper(channel="flow_total_ml"),)}
    less = closed((1000.0, 1000.0), papers=of_water)
    assert less["cod_in_kg_per_m3"] == whole["cod_in_kg_per_m3"] * Decimal("0.9")
    assert less["cod_out_kg_per_m3"] == whole["cod_out_kg_per_m3"] * Decimal("1.1")
    # a certificate that ends within the period covers its days; its class is the error
    part = {**PAPERS, "gas": (
        paper(channel="biogas_total_nml"),
        paper(until="2026-02-02", channel="ch4_percent", accuracy_class="1 - 4 %"),
    )}  # fmt: skip
    assert closed((1000.0, 1000.0), papers=part)["ch4_fraction"] == Decimal("0.6324")
    # the error of each day is in the statement and the sheet
    spec = find("ams-iii-h", "19.0").parameters["ch4_fraction"]
    days = analysers.daily_means(spec, case((1000.0, 1000.0), papers=part).channels["ch4_fraction"])
    assert [(mean, error) for _, _, mean, error in days] == [
        (Fraction(62, 100), 0), (Fraction(62, 100), 4),
    ]  # fmt: skip
    # one more certificate lowers nothing
    both = {**PAPERS, "gas": (*of_gas["gas"], paper(channel="ch4_percent"))}
    assert closed((1000.0, 1000.0), papers=both) == whole


def test_a_day_that_nobody_measured_is_a_gap_with_what_it_forwent():
    """An honest plant lost a day's tonnes, and nothing in the statement said so."""
    whole, lost = ended((1000.0, 1000.0)), ended((1000.0, None))
    assert not [g for g in whole.gaps if g.rule.startswith("analyser")]
    (gap,) = (g for g in lost.gaps if g.rule.startswith("analyser"))
    assert (gap.device, gap.start_us, gap.end_us) == ("in", BEGIN + 96 * QUARTER_US, END)
    assert (gap.rule, gap.parameters) == ("analyser", ("cod_in_kg_per_m3",))
    less = Decimal(whole.net.reduction.t) - Decimal(lost.net.reduction.t)
    # a verifier finds the day's tonnes between the figures before and after deductions
    assert lost.gross == whole.gross
    before_less_after = Decimal(lost.gross.reduction.t) - Decimal(lost.net.reduction.t)
    assert abs(Decimal(gap.cost_t) - before_less_after) < Decimal("0.00001")
    assert abs(Decimal(gap.forgone_at_most_t) - less) < Decimal("0.00001")
    assert less > 0
    # statements of before have no such line
    before = ended((1000.0, None), accounting=FIRST)
    assert not [g for g in before.gaps if g.rule.startswith("analyser")]


def test_an_outage_of_an_analyser_contradicts_no_value():
    """A repair made gas of all days look like more than the COD of the others can form."""
    whole, lost = ended((14_000.0, 14_000.0)), ended((14_000.0, None))
    now = {p.name: p.value for p in lost.parameters if p.device is None}
    assert now["cod_in_kg_per_m3"] == "3.5"
    for one in (whole, lost):
        assert not [f for f in one.applicability if f.rule == "PAR-08" and not f.holds]


SECOND = TIMES >= BEGIN + 96 * QUARTER_US


@pytest.mark.parametrize(
    ("flare", "share"),
    [
        ({"flare_temperature_c": 830.0}, 1),
        ({"flare_flame": 1.0}, 1),
        ({"flare_temperature_c": np.nan}, 0),
        ({"flare_temperature_c": np.where(SECOND, 830.0, 480.0)}, "0.5"),
        # one of the two is enough
        ({"flare_temperature_c": 480.0, "flare_flame": np.where(SECOND, 0.0, 1.0)}, "0.5"),
        # once an hour, and a quarter hour at a time
        ({"flare_flame": np.where(np.arange(len(TIMES)) % 4 == 1, 1.0, np.nan)}, 1),
        ({"flare_flame": np.where(np.arange(len(TIMES)) % 8 == 1, 1.0, np.nan)}, "0.5"),
        ({"flare_flame": np.arange(len(TIMES)) % 2 * 1.0}, "0.5"),
    ],
)
def test_gas_counts_as_burnt_while_a_flame_is_shown(flare, share):
    """
    Gas is credited as burnt only while a flame is recorded; without one, efficiency is 0.

    Findings of the UNFCCC secretariat: efficiency zero below 500 Cel
    (cdm.unfccc.int/IRCheck/iss_forms/ZXEKD2YRNCJWPI5/viewPublic), and a default for time in which
    the flare was not on (/IRCheck/iss_forms/XFGCIM7OZ48QYB6/viewPublic).
    """
    result = ended((1000.0, 1000.0), **flare)
    (found,) = (p for p in result.parameters if p.name == "flare_efficiency")
    # no laboratory result: an open flare
    assert Decimal(found.value) == Decimal("0.5") * Decimal(share)
    said = [o for f in result.applicability if not f.holds for o in f.lines]
    codes = {o.code for o in said} & {"PAR-06.flame", "PAR-06.no_flame"}
    expected = {0: {"PAR-06.no_flame"}, 1: set()}.get(share, {"PAR-06.flame"})
    assert codes == expected
    # the applied value follows from the figures of the finding
    for told in (dict(o.values) for o in said if o.code == "PAR-06.flame"):
        value = Decimal(told["stated"]) * Decimal(told["percent"]) / 100
        assert value == Decimal(found.value)


def test_a_thermometer_without_a_certificate_has_to_show_more():
    """An uncertified thermometer must exceed the limit by its error."""
    papers = {**PAPERS, "gas": (paper(channel="biogas_total_nml"), paper(channel="ch4_percent"))}
    warm = {"flare_temperature_c": 503.0}
    assert closed((1000.0, 1000.0), **warm)["flare_efficiency"] == Decimal("0.5")
    assert closed((1000.0, 1000.0), papers=papers, **warm)["flare_efficiency"] == 0
    hot = {"flare_temperature_c": 506.0}
    assert closed((1000.0, 1000.0), papers=papers, **hot)["flare_efficiency"] == Decimal("0.5")
    # release 0.1.0 asked for no flame
    before = closed((1000.0, 1000.0), accounting=FIRST, flare_temperature_c=np.nan)
    assert before["flare_efficiency"] == Decimal("0.9")


def test_a_flare_hotter_than_its_manufacturer_allows_burns_nothing_that_counts():
    """A flare above the manufacturer's temperature has efficiency 0."""
    hot = {"flare_temperature_c": 800.0}
    assert closed((1000.0, 1000.0), **hot)["flare_efficiency"] == Decimal("0.5")
    at_most = {**COD, "flare_temperature_max_c": Decimal(700)}
    assert closed((1000.0, 1000.0), entered=at_most, **hot)["flare_efficiency"] == 0
    at_most = {**COD, "flare_temperature_max_c": Decimal(900)}
    assert closed((1000.0, 1000.0), entered=at_most, **hot)["flare_efficiency"] == Decimal("0.5")


def test_a_default_of_banks_is_an_observation_until_it_is_accepted(monkeypatch):
    """A grid's factor that no authority of the country published would pass without a message."""
    monkeypatch.setattr(f"{__name__}.PV", replace(PV, timezone="Asia/Bangkok"))
    accepted = {**COD, "accept_factors": ["ifi-2021-grid.th"]}
    for entered, told in ((COD, True), (accepted, False)):
        result = ended((1000.0, 1000.0), entered=entered)
        said = [o.code for f in result.applicability if not f.holds for o in f.lines]
        assert ("FAC-02.of_banks" in said) == told


def _removed(cod_in, cod_out):
    """Return the share removed over two days by an aerobic plant; None where no channel is sent."""
    fleet = Fleet(DEVICES)
    project = replace(
        PV,
        methodology="ams-iii-i",
        version="8.0",
        devices=(ProjectDevice("in", "inflow"), ProjectDevice("power", "power")),
    )
    rose = np.arange(len(TIMES)) * 1_000_000 + 10**9
    rows = remeter(
        fleet, [frame(fleet, "in", "flow_total_ml", rose, TIMES)], monitored(project, fleet),
        BEGIN, END,
    )  # fmt: skip
    asked = analysers.wanted(project, fleet, BEGIN, END)
    gauged = {
        (fleet.by_id["in"], name): analysers.Gauged(
            np.array([0 if v is None else v * 1000 for v in values], dtype=np.int64),
            np.array([v is not None for v in values], dtype=np.int64),
            frozenset({0}),
        )
        for name, values in (("cod_in_mg_l", cod_in), ("cod_out_mg_l", cod_out))
    }
    found = analysers.measured(project, fleet, rows, asked, gauged)
    return float(found["cod_in_kg_per_m3"].value), float(found["eta_cod"].value)


def test_a_day_without_the_inflow_is_taken_off_once():
    """Days of a repair were deducted twice: as days without load, and as poorer treatment."""
    assert _removed((1000, 1000), (200, 100)) == (1.0, 0.85)
    assert _removed((1000, None), (200, None)) == (0.5, 0.8)
    assert _removed((1000, None), (200, 100)) == (0.5, 0.8)
    # only the outflow's analyser is off: its day counts by the highest outflow
    assert _removed((1000, 1000), (200, None)) == (1.0, 0.8)


DAY = 96


@pytest.mark.parametrize(
    ("parts", "drained"),
    [
        ([(5, 2), (-8, 4), (5, 2)], True),
        # not more than three days
        ([(5, 2), (-8, 3), (5, 2)], False),
        # drained for the harvest
        ([(5, 20), (-8, 5)], False),
        # dry before the first flooding
        ([(-8, 5), (5, 20)], False),
        ([(-8, 5), (5, 2), (-8, 4), (5, 2)], True),
        # read while dry alone; two days of each fortnight
        ([(-8, 2), (None, 12), (-8, 2), (None, 12), (5, 1)], False),
        ([(-8, 5), (None, 2), (5, 1)], False),
        ([], False),
    ],
)
def test_a_field_is_flooded_drained_for_more_than_three_days_and_flooded_again(parts, drained):
    """
    A field under water all season would be credited by the days before its first flooding, or
    by the drainage for its harvest.
    """
    level = np.concatenate([np.full(DAY * n, np.nan if cm is None else cm) for cm, n in parts]
                           or [np.empty(0)])  # fmt: skip
    known = np.flatnonzero(np.isfinite(level))
    field = analysers._Field(("tube",), known, level[known])
    assert field.drained is drained
    # a tube that follows another one is of the same field
    half = len(known) // 2
    first, second = (
        analysers._Field((name,), known[part], level[known[part]])
        for name, part in (("a", slice(half)), ("b", slice(half, None)))
    )
    if not half or known[half] - known[half - 1] > DAY:
        assert not second.continues(first)
    else:
        whole = second.after(first)
        assert (whole.tubes, whole.drained) == (("a", "b"), drained)
