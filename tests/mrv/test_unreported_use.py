"""A meter of the project side whose register reports less than its power shows."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from ingest.model import HOUR_US, INTERVAL_US, NULL, Device, Fleet
from mrv import factors
from mrv.registry.project import ACCOUNTING, FIRST, Invoice, ProjectDevice
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from mrv.texts import text
from tests.mrv import plant
from tests.mrv.report.sample import frame

RULE = "MTR-04"

BOOK = factors.load()
DAYS, MINUTE_US = 28, 60_000_000
END = plant.FROM + DAYS * plant.DAY * INTERVAL_US
FLEET = Fleet(
    [
        Device("ch-1", "s", "ev_charger", rated_power_w=120_000, installed_us=plant.FROM),
        Device("bus-1", "s", "vehicle", installed_us=plant.FROM),
    ]
)
PROJECT = replace(
    plant.BUS, devices=(ProjectDevice("ch-1", "charging"), ProjectDevice("bus-1", "vehicle"))
)


def load(kind, seed=3):
    """Return power by the minute, from two hours before the period to an hour after. [us, W]"""
    rng = np.random.default_rng(seed)
    time_us = np.arange(plant.FROM - 120 * MINUTE_US, END + 60 * MINUTE_US, MINUTE_US)
    minute = np.arange(len(time_us))
    hour = (time_us / 3_600_000_000 + 7) % 24
    steady = 1 + 0.3 * rng.uniform(-1, 1, len(minute) // 30 + 2)[minute // 30]
    if kind == "night":
        power = np.where((hour < 5) | (hour >= 21), 40_000.0, 0.0) * steady
    elif kind == "cycling":  # on for about 11 of each 29 minutes, whenever it likes
        lasting = np.cumsum(rng.integers(18, 40, len(minute) // 18))
        power = np.where(minute - lasting[np.searchsorted(lasting, minute) - 1] < 11, 30_000.0, 0)
    elif kind == "timer":  # on at each reading of an hour, for a third of the time
        power = np.where((minute + 53) % 30 < 10, 30_000.0, 0.0)
    else:
        power = 16_400.0 * steady
    return time_us, power


def closed(
    kind="night", minutes=15, scale=1.0, *, days=(0, DAYS), whole_kw=False, accounting=ACCOUNTING,
    silent=(), hangs=None, gauge=1.0, lost=None, invoices=(), replaced=(), frozen=None,
):  # fmt: skip
    """
    Close four weeks of a bus and its charger.

    The register counts `scale` of the truth on some days, the power reports `gauge` of it. The
    charger sends nothing at some readings, its register does not advance at some, and its power is
    `lost` at some; at `frozen` ones both are repeated.
    """
    time_us, power = load(kind)
    day = (time_us - plant.FROM) // (plant.DAY * INTERVAL_US)
    counted = power * np.where((day >= days[0]) & (day < days[1]), scale, 1.0)
    register = 5_000_000 + np.cumsum(counted / 60)
    at = slice(7, None, minutes)
    time_us, power, register = time_us[at], power[at] * gauge, register[at]
    if whole_kw:
        power = np.round(power / 1000) * 1000
    register = (register // 10 * 10).astype(np.int64)
    if hangs:
        register[hangs] = register[hangs.start]
    if frozen:
        register[frozen], power[frozen] = register[frozen.start], power[frozen.start]
    if lost:
        power[lost] = np.nan
    kept = np.ones(len(time_us), dtype=bool)
    for one in silent:
        kept[one] = False
    frames = [
        frame(FLEET, "ch-1", "energy_import_wh", register[kept], time_us[kept],
              {"active_power_w": power[kept]})
    ]  # fmt: skip
    times, _ = load(kind)
    driven = np.cumsum(np.where((times / 3_600_000_000 + 7) % 24 < 21, 220, 0))
    frames.append(frame(FLEET, "bus-1", "odometer_m", driven[::15], times[::15]))
    plan = MonitoringPlan(
        PROJECT, tuple(FLEET.devices), accounting=accounting,
        documents=plant.stating(PROJECT.parameters, "tdl", "sfc_l_per_100km"),
        calibrations={d.id: plant.CERTIFICATES["inv-1"] for d in FLEET.devices},
        invoices=invoices, replaced=replaced,
    )  # fmt: skip
    rows = remeter(FLEET, frames, monitored(PROJECT, FLEET), plant.FROM, END)
    return Case(plan, frames, rows, plant.FROM, END, BOOK).result


def detail(result):
    return "".join(f.detail for f in result.applicability if f.rule == RULE)


def counted(result, device="ch-1"):
    return next(float(d.counted) for d in result.devices if d.device == device)


def without_power(**given):
    return closed(lost=slice(None), **given)


@pytest.mark.parametrize("kind", ["night", "cycling", "steady"])
@pytest.mark.parametrize("minutes", [1, 5, 15, 30])
def test_an_honest_charger_is_charged_nothing(kind, minutes):
    """Power sampled seldom, or in whole kilowatts, does not contradict an honest register."""
    for whole_kw in (False, True):
        found = closed(kind, minutes, whole_kw=whole_kw)
        bare = without_power(kind=kind, minutes=minutes)
        assert not detail(found)
        assert found.net == bare.net


def test_honest_gaps_and_a_register_that_catches_up_are_charged_nothing():
    """Consumption charged for a gap is not charged again; a register may also freeze."""
    gaps = (slice(300, 420), slice(900, 905))
    found, bare = closed(silent=gaps), without_power(silent=gaps)
    assert not detail(found)
    assert found.net == bare.net
    hung = {"hangs": slice(480, 640)}  # over more than a day, and the power goes on
    assert not detail(closed(**hung))
    assert closed(**hung).net == without_power(**hung).net
    assert not detail(closed(lost=slice(700, 900)))


def test_values_that_a_gateway_repeated_are_named_with_their_time():
    """The finding names the repeated values, not a load that switches."""
    assert "did not change from" not in detail(closed(scale=0.5))
    said = detail(closed(frozen=slice(104, 296)))  # from a night on, two days
    assert re.search(r"did not change from 2026-01-0\d\S+Z to 2026-01-0\d\S+Z", said)


def test_power_below_the_register_is_no_more_use():
    """A gauge with reversed sign, or a lower integral, does not contradict the register."""
    for gauge in (-1.0, 0.3):
        found = closed(gauge=gauge)
        assert not detail(found)
        assert found.net == without_power().net


@pytest.mark.parametrize("minutes", [1, 15, 30])
@pytest.mark.parametrize("scale", [0.1, 0.5, 0.9])
def test_a_register_below_its_power_counts_as_the_power_shows(minutes, scale):
    """A charger that counted nine tenths of what it took gave 1.4 times the true reduction."""
    truth = closed(minutes=minutes)
    before = closed(minutes=minutes, scale=scale, accounting=FIRST)
    found = closed(minutes=minutes, scale=scale)
    assert counted(found) >= 0.985 * counted(truth)
    assert float(found.net.reduction.t) <= float(truth.net.reduction.t) + 0.05
    if scale == 0.9:  # within what buses take: no other rule asked
        assert float(before.net.reduction.t) > 1.1 * float(truth.net.reduction.t)
        assert "kWh more than its register" in detail(found)
        reason = text("MTR-04.below_gauge", channel="active_power_w")
        more = next(d for d in found.deductions if d.reason == reason)
        (finding,) = [f for f in found.applicability if f.rule == RULE]
        assert (finding.tonnes, finding.devices) == (more.cost_t, ("ch-1",))


def bill(kwh, **other):
    """Return an invoice of the charger's electricity."""
    given = {"devices": ("ch-1",), "percent": Decimal(2), "sha256": "c3" * 32}
    return Invoice(
        **{"id": "b", "issuer": "its supplier", "number": "7", "issued": date(2026, 2, 6),
           "quantity": "energy_import", "from_us": plant.FROM, "to_us": END, "value": int(kwh),
           **given, **other}
    )  # fmt: skip


def test_a_load_in_step_with_its_samples_is_shown_by_an_invoice():
    """A blower that a timer starts on the half hour is at full power at each sample."""
    bare = without_power(kind="timer", minutes=30)
    wh = counted(bare)
    step = closed("timer", 30)
    assert counted(step) > 2 * wh
    assert "report the mean power" in detail(step)
    shown = closed("timer", 30, invoices=(bill(wh),))
    assert shown.net == bare.net
    assert detail(shown) == "ch-1: the register is corroborated by invoice b: its supplier, 7"
    assert all(f.holds for f in shown.applicability if f.rule == RULE)
    # what is not evidence shows nothing, nor does an invoice of what the power shows
    for wrong in ({"sha256": None}, {"percent": Decimal(10)}, {"value": int(3 * wh)}):
        assert closed("timer", 30, invoices=(bill(wh, **wrong),)).net == step.net
    # each minute its power tells what its register does
    assert not detail(closed("timer", 1))


def test_an_invoice_limits_what_its_time_is_charged_to_the_watt_hour():
    """Rounded up in each 15 minutes, two weeks were charged 0.7 kWh beyond their invoice."""
    half = {"to_us": plant.FROM + (END - plant.FROM) // 2}
    register = without_power(kind="timer", minutes=30, invoices=(bill(10**6, **half),))
    (ours,) = (int(check.ours) for check in register.cross_checks)
    more = [
        counted(closed("timer", 30, invoices=(bill(ours + above, **half),))) for above in (0, 4000)
    ]
    assert more[1] - more[0] == 4000


def test_two_days_on_which_the_register_told_half():
    """Differences of single days were within the tolerance of two meters over a month."""
    truth, found = closed(), closed(scale=0.5, days=(9, 11))
    assert counted(found) >= 0.995 * counted(truth)
    assert counted(closed(scale=0.5, days=(9, 11), accounting=FIRST)) < 0.97 * counted(truth)
    assert detail(found)


DIESEL = Fleet(
    [
        Device("gen-1", "s", "waste_heat_turbine", rated_power_w=500_000, installed_us=plant.FROM),
        Device("fuel-1", "s", "fuel_meter", installed_us=plant.FROM),
    ]
)


def fuelled(scale, rate=True):
    """Close four weeks of a turbine whose support fuel register counts a part of the truth."""
    step = 15 * MINUTE_US
    times = np.arange(plant.FROM - 4 * step, END + 4 * step, step)
    litres = np.where((np.arange(len(times)) // 12) % 2 == 0, 9.3, 4.1)  # an hour
    register = (np.cumsum(litres * scale / 4) * 1000).astype(np.int64)
    frames = [
        frame(DIESEL, "gen-1", "energy_export_wh", np.arange(len(times)) * 100_000, times,
              {"active_power_w": np.full(len(times), 400_000.0)}),
        frame(DIESEL, "fuel-1", "fuel_total_ml", register, times,
              {"rate_l_h": litres if rate else np.full(len(times), np.nan)}),
    ]  # fmt: skip
    frames[0].columns["energy_import_wh"][:] = 0
    assert (frames[0].columns["energy_import_wh"] != NULL).all()
    project = replace(
        plant.PV, id="whr", methodology="acm0012", version="6.0", expected={},
        parameters={"f_cap": Decimal("0.95"), "f_wcm": 1, "tdl": Decimal("0.06"),
                    "ef_grid_t_per_mwh": Decimal("0.6592"),
                    "accept_factors": ["diesel-co2-upper", "diesel-ncv-upper"]},
        devices=(ProjectDevice("gen-1", "turbine"), ProjectDevice("fuel-1", "fuel")),
    )  # fmt: skip
    plan = MonitoringPlan(
        project, tuple(DIESEL.devices),
        calibrations={d.id: plant.CERTIFICATES["inv-1"] for d in DIESEL.devices},
        accounting=ACCOUNTING, documents=plant.stating(project.parameters, "f_cap", "f_wcm"),
    )  # fmt: skip
    rows = remeter(DIESEL, frames, monitored(project, DIESEL), plant.FROM, END)
    return Case(plan, frames, rows, plant.FROM, END, BOOK).result


def test_a_fuel_meter_below_its_own_rate_counts_as_the_rate_shows():
    """A hundredth of the fuel, with a true rate beside it, gave three times the true reduction."""
    truth = fuelled(1)
    assert not detail(truth)
    assert truth.net == fuelled(1, rate=False).net
    assert counted(fuelled(0.01, rate=False), "fuel-1") < 0.02 * counted(truth, "fuel-1")
    found = fuelled(0.01)
    assert counted(found, "fuel-1") == pytest.approx(counted(truth, "fuel-1"), rel=0.01)
    assert " L more than its register are applied (the largest part on 2026-01-01:" in detail(found)


@pytest.mark.parametrize(
    ("file", "times", "days", "applied"),
    [
        ("c3" * 32, 1.4, 0, "correction"),
        ("d4" * 32, 1.4, 0, "first"),
        ("c3" * 32, 1.0, 1, "correction"),
        ("d4" * 32, 1.0, 1, "first"),
        ("c3" * 32, 1.0, 7, "first"),
    ],
)
def test_a_typing_error_is_corrected_by_the_same_file(file, times, days, applied):
    """
    An operator who typed an amount wrongly, or the last day of an invoice as its end, would lose
    the difference permanently.
    """
    bare = without_power()
    wh = counted(bare)
    short = bill(times * wh, id="typed", sha256=file, to_us=END - days * 24 * HOUR_US)
    found = without_power(invoices=(bill(wh),), replaced=((short, bill(wh), "typing error"),))
    (finding,) = [f for f in found.applicability if f.rule == "EVD-06"]
    assert finding.severity == "CL"
    assert finding.detail.index("typed (") < finding.detail.index("corrected by b (")
    assert (found.net == bare.net) == (applied == "correction")
    assert ("with the same file" in finding.detail) == (applied == "correction")


def test_lines_corrected_by_documents_of_their_own_are_compared_as_one_original():
    """Each correction was compared with the whole meter: a misstatement of 924 % was stated."""
    wh = counted(without_power())
    lines = [
        bill(wh * share, id=name, number="8") for name, share in (("day", 0.8), ("night", 0.6))
    ]
    each = [
        bill(wh / 2, id=f"{line.id}-new", number=line.id, sha256=sha * 32)
        for line, sha in zip(lines, ("d4", "e5"), strict=True)
    ]
    replaced = tuple(zip(lines, each, ("adjusted",) * 2, strict=True))
    found = without_power(invoices=tuple(each), replaced=replaced)
    (check,) = found.cross_checks
    assert (int(check.theirs), check.effect_t) == (int(1.4 * wh), "0.000000")
    assert counted(found) == int(check.theirs)
    (finding,) = [f for f in found.applicability if f.rule == "EVD-06"]
    assert all(f"{line.id}-new (" in finding.detail for line in lines)
