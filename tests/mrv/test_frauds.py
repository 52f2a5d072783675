"""Readings that exceed the meter's other channels earn no more than the truth."""

import csv
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from ingest.model import INTERVAL_US, QualityLimits
from mrv.accounting.corroborated_energy import ALONE, DC, POWER, SUN
from mrv.registry.project import ACCOUNTING, FIRST, Invoice
from mrv.signatures import canonical
from mrv.statement.compose import Label, compose
from mrv.statement.cross_check_json import unusual_out
from mrv.statement.plan_reader import read_plan
from mrv.statement.sampling import units
from tests.findings import worded
from tests.mrv import frauds
from tests.mrv.frauds import RATED_W, close, honest
from tests.soak import often

RULE = "EVD-01"
# half of what the meter itself may be off by: the integral's own error
CLASS = 1.005


def _rise(h, at, extra_wh):
    """Raise the register at some readings by more than the plant produced."""
    h.register_wh = h.register_wh + np.cumsum(np.where(at, extra_wh, 0)).astype(np.int64)


def _an_hour(h, hour, extra_wh):
    """Raise the register by an amount in the hour from `hour` on, each day."""
    at = h.hours(hour, hour + 1)
    _rise(h, at, extra_wh / 12)


def test_an_honest_meter_loses_nothing():
    """An honest plant would lose energy by limits against false ones."""
    for minutes in (1, 5, 15):
        for seed in range(6):
            h = honest(minutes, seed=seed)
            closed = close(h)
            assert closed.counted_wh == h.truth_wh, (minutes, seed, closed.reasons)
            assert closed.reasons == set()


@pytest.mark.parametrize(("hour", "lost"), [(6, 0), (12, 0), (14, 0.01)])
def test_power_in_kilowatts_from_an_hour_on(hour, lost):
    """A day on which a gateway began to send kilowatts would be lost from its morning on."""
    h = honest(15)
    changed = frauds.BEGIN + 2 * frauds.DAY_US + hour * frauds.HOUR_US
    h.power_w = np.where(h.time_us >= changed, h.power_w / 1000, h.power_w)
    assert (1 - lost) * h.truth_wh <= close(h).counted_wh <= h.truth_wh


@pytest.mark.parametrize("hour", [6, 6.75, 16.75])
@pytest.mark.parametrize("extra", [90_000, 20_000])
def test_energy_added_each_day_where_power_shows_none(hour, extra):
    """A hundred kilowatt-hours added each morning or evening were credited."""
    h = honest(clouds=0.3)
    _an_hour(h, hour, extra)
    assert close(h, accounting=FIRST).counted_wh > 1.02 * h.truth_wh
    closed = close(h)
    assert closed.counted_wh <= h.truth_wh * CLASS
    assert closed.reasons <= {POWER, SUN}
    assert closed.reasons


def test_the_rating_all_day():
    """A register at 110 % of the rating from dawn to dusk was credited with twice the truth."""
    h = honest()
    lit = h.hours(5.75, 18.25)
    h.register_wh = 6_200_000 + np.cumsum(np.where(lit, 1.1 * RATED_W / 12, 0)).astype(np.int64)
    assert close(h, accounting=FIRST).counted_wh > 1.8 * h.truth_wh
    # its power is honest
    assert close(h).counted_wh <= h.truth_wh * CLASS
    # its power says the same
    h.power_w = np.where(lit, 1.1 * RATED_W, 0.0)
    assert close(h).counted_wh == 0
    # it shows no power at all
    h.power_w = np.full(len(h.time_us), np.nan)
    assert close(h).counted_wh == 0


@pytest.mark.parametrize(("hours", "days", "most"), [(1, 6, 1), (2, 1, 1.03), (4, 6, 1)])
def test_a_device_silent_until_dusk_catches_up_no_more_than_its_light(hours, days, most):
    """A step over an evening without data was credited at the rated power until dusk."""
    h = honest(clouds=0.3)
    day = ((h.time_us / frauds.HOUR_US + 7) // 24).astype(int)
    kept = np.ones(len(day), dtype=bool)
    for one in np.unique(day)[1 : 1 + days]:
        silent = (day == one) & (h.hour >= 18 - hours) & (h.hour < 18)
        back = np.flatnonzero((day == one) & (h.hour >= 18))[0]
        before = np.flatnonzero(silent)[0] - 1
        made = h.register_wh[back] - h.register_wh[before]
        h.register_wh[back:] += RATED_W * hours - made
        kept &= ~silent
    h.time_us, h.register_wh, h.power_w = h.time_us[kept], h.register_wh[kept], h.power_w[kept]
    assert close(h, accounting=FIRST).counted_wh > 1.03 * h.truth_wh
    closed = close(h, certificates=())
    assert closed.counted_wh <= most * h.truth_wh
    assert SUN in closed.reasons


@pytest.mark.parametrize("hour", [9, 18])
def test_the_last_reading_too_high(hour):
    """
    The last reading of a period could be 15 minutes at rated power
    too high, as no reading follows.
    """
    h = honest(15, clouds=0.1)
    edge = frauds.BEGIN + 5 * frauds.DAY_US + hour * frauds.HOUR_US
    kept = h.time_us <= edge
    h.time_us, h.power_w = h.time_us[kept], h.power_w[kept]
    h.register_wh = h.register_wh[kept].copy()
    truth = int(h.register_wh[-1] - h.register_wh[h.time_us >= frauds.BEGIN][0])
    h.register_wh[-1] += 9_000
    span = frauds.BEGIN, edge
    assert close(h, accounting=FIRST, edges=span).counted_wh >= truth + (9_000 if hour < 18 else 0)
    assert close(h, edges=span).counted_wh <= truth * CLASS


def test_more_out_than_in():
    """An inverter gives out no more than its modules put in, whatever its own power says."""
    h = honest()
    h.dc_w = h.power_w / 0.97
    assert close(h).counted_wh == h.truth_wh
    h.power_w = h.power_w * 1.2
    h.register_wh = 6_200_000 + ((h.register_wh - 6_200_000) * 1.2).astype(np.int64)
    closed = close(h)
    assert closed.counted_wh <= h.truth_wh / 0.97 * CLASS
    assert closed.reasons == {DC}


def _fast(h, share):
    h.register_wh = 6_200_000 + ((h.register_wh - 6_200_000) * share).astype(np.int64)


def _alone(case):
    """Return the condition on energy with only one channel: whether it is met, and its text."""
    return [(f.holds, f.detail) for f in case.result.applicability if f.rule == RULE]


def _seldom(h):
    """Keep two readings per day."""
    kept = h.time_us % (12 * frauds.HOUR_US) < 5 * frauds.MINUTE_US
    h.time_us, h.register_wh, h.power_w = h.time_us[kept], h.register_wh[kept], h.power_w[kept]


def _hide(h):
    """Report the register only."""
    h.power_w = np.full(len(h.time_us), np.nan)


@pytest.mark.parametrize("told", [_hide, _seldom])
@pytest.mark.parametrize("share", [1.0, 1.1, 1.3])
def test_energy_that_rests_on_one_channel_is_graded_or_counts_nothing(told, share):
    """A register that runs a tenth fast would be credited in full, without a finding."""
    h = honest(days=10)
    _fast(h, share)
    told(h)
    # under valid calibration it counts, and the statement says that all rests on the instrument
    calibrated = close(h, days=10)
    assert all(holds for holds, _ in _alone(calibrated.case))
    assert calibrated.counted_wh > 0
    graded = compose(calibrated.case, Label(1, "tonne 0"))["credentialSubject"]["evidence"]
    assert float(graded["shares"]["C"]) == 1
    case = close(h, days=10, certificates=()).case
    ((holds, said),) = _alone(case)
    assert not holds
    (one,) = case.result.devices
    assert float(one.counted) == 0
    # the error of the meter without certificate applies first, then the rule to the rest
    error, taken = case.result.deductions
    assert (error.kind, taken.kind, taken.reason) == ("calibration", RULE, ALONE)
    assert float(error.quantity) == pytest.approx(-0.02 * one.metered)
    assert float(error.quantity) + float(taken.quantity) == -one.metered
    (effect,) = (e for e in case.result.rules if e.rule == RULE)
    assert effect.deducted_alone_t == taken.cost_t
    assert said.startswith(f"{one.metered / 1000:,.10g} kWh, 100.0 % of the period's")
    body = compose(case, Label(1, "tonne 0"))["credentialSubject"]
    (found,) = (a for a in body["applicability"] if a["rule"] == RULE)
    assert (found["holds"], worded(found), found["severity"]) == (False, said, "CL")


@pytest.mark.parametrize("minutes", [30, 60])
@pytest.mark.parametrize("days", [6, 30])
def test_seldom_samples_show_what_is_certain(minutes, days):
    """A register that runs a tenth fast earned up to a tenth between hourly samples of power."""
    for seed in range(often(1, 4)):
        for share in (1.0, 1.05, 1.07, 1.1, 1.3):
            h = honest(minutes, days=days, seed=seed)
            _fast(h, share)
            closed = close(h, days=days, certificates=())
            earned = closed.counted_wh / h.truth_wh
            # two meters of a class may differ, and nobody knows which of them is right
            assert 0.8 <= earned <= (share if share < 1.1 else 1.025), (seed, share)
            if share >= 1.1:
                said = {f.rule for f in closed.case.result.applicability if not f.holds}
                assert said & {RULE, "MTR-02"}


@pytest.mark.parametrize("minutes", [30, 60])
def test_a_day_of_the_worst_clouds_earns_no_more_than_meters_differ(minutes):
    """A register that ran a tenth or a fifth fast earned it where samples were high by chance."""
    for seed in range(often(4, 24)):
        for share in (1.1, 1.2):
            h = honest(minutes, days=1, clouds=1.0, seed=seed)
            _fast(h, share)
            closed = close(h, days=1, certificates=())
            assert closed.counted_wh <= 1.04 * h.truth_wh, (seed, share)


def _recorded(name, clock, power):
    """Return times [us], power [W] and energy [Wh] of a recorded plant, moved into the period."""
    with Path("deploy/data", name).open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    watts = np.array([float(row[power]) for row in rows])
    time_us = np.array([int(clock(row).timestamp()) for row in rows]) * 1_000_000
    hours = np.diff(time_us) / frauds.HOUR_US
    made = np.maximum(watts, 0)
    energy = np.concatenate([[0], np.cumsum((made[1:] + made[:-1]) / 2 * hours)])
    days = (frauds.BEGIN - int(time_us[0])) // frauds.DAY_US + 1
    return time_us + days * frauds.DAY_US, watts, energy


def _serf(row):
    return datetime.fromisoformat(row["measured_on"])


def _rsf2(row):
    return datetime.strptime(row[""], "%m/%d/%Y %H:%M").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "clock", "power", "every"),
    [
        ("nrel_serf_east_1min.csv", _serf, "ac_power__752", (1, 5, 15, 30)),
        ("nrel_rsf2_inverter_15min.csv", _rsf2, "inv2_ac_power_w__1047", (1, 2)),
    ],
)
def test_recorded_plants_earn_what_they_made(name, clock, power, every):
    """Real clouds between two samples would cost an honest plant energy, or hide added energy."""
    time_us, watts, energy = _recorded(name, clock, power)
    meter = replace(frauds.METER, place=None)
    for step in every:
        for share, least, most in ((1.0, 1.0, 1.0), (1.1, 0.95, 1.0)):
            of = slice(step // 2, None, step)
            register = 6_200_000 + np.floor(energy[of] * share).astype(np.int64)
            h = frauds.History(time_us[of], register, watts[of], 0)
            first, last = -(-int(h.time_us[0]) // INTERVAL_US), int(h.time_us[-1]) // INTERVAL_US
            edges = first * INTERVAL_US, last * INTERVAL_US
            made = float(np.diff(np.interp(edges, time_us, energy))[0])
            earned = close(h, meter=meter, edges=edges).counted_wh / made
            assert least - 1e-4 <= earned <= most + 1e-3, (step, share, earned)


@pytest.mark.parametrize(
    ("sha256", "percent", "share", "holds"),
    [
        ("ab" * 32, 2, 1.0, True),
        (None, 2, 1.0, False),
        ("ab" * 32, 10, 1.0, False),
        # what the utility says, where it says less
        ("ab" * 32, 2, 0.9, True),
    ],
)
def test_an_invoice_with_its_file_shows_the_energy_too(sha256, percent, share, holds):
    """
    A plant with a register and invoices, but no power channel,
    would never settle its finding.
    """
    h = honest()
    _hide(h)
    case = close(h, certificates=()).case
    invoice = Invoice(
        "I-1", "Utility", "17", date(2026, 1, 20), ("inv-1",), "energy_export",
        case.from_us, case.to_us, int(h.truth_wh * share), percent, sha256,
    )  # fmt: skip
    again = replace(case, plan=replace(case.plan, invoices=(invoice,)))
    ((held, said),) = _alone(again)
    assert held is holds
    counted = float(again.result.devices[0].counted)
    billed = share * h.truth_wh
    assert 0.97 * billed <= counted <= billed if holds else counted == 0
    assert ("invoice I-1" in said) is holds


def test_what_no_channel_shows_is_a_deduction_and_a_condition():
    """The verifier would not see why less is credited than was metered."""
    h = honest(clouds=0.3)
    _an_hour(h, 14, 30_000)
    closed = close(h)
    body = compose(closed.case, Label(1, "tonne 0"))["credentialSubject"]
    assert body["accounting"] == ACCOUNTING
    (taken,) = body["deductions"]
    assert taken["reason"] == {"code": POWER.code, "values": {}}
    (one,) = body["monitoredParameters"]
    assert taken["kind"] == "MTR-02"
    assert int(one["metered"]) + float(taken["adjustment"]) == float(one["counted"])
    (unmet,) = [c for c in body["applicability"] if c["rule"] == "MTR-02"]
    assert not unmet["holds"]
    assert str(POWER) in worded(unmet)


def test_a_coarse_register_behind_its_power_loses_nothing():
    """A meter that counts ten kilowatt-hours at a time is ahead of its power now and then."""
    for step in (1_000, 10_000):
        h = honest(1)
        h.register_wh = h.register_wh // step * step
        assert close(h).reasons == set()


@pytest.mark.parametrize("more", [False, True])
def test_a_power_that_is_sent_only_when_it_changes_costs_nothing_by_itself(more):
    """A plant whose gateway reports by exception lost 12 %, and looked for a fault."""
    h = honest(clouds=0.3)
    if more:
        _an_hour(h, 14, 30_000)
    last = np.inf
    for k, watts in enumerate(h.power_w.tolist()):
        if abs(watts - last) <= 0.1 * max(watts, 1.0):
            h.power_w[k] = np.nan
        else:
            last = watts
    reasons = close(h).reasons
    assert [one.code for one in reasons] == ["MTR-02.power_absent"] * more
    assert all(dict(one.values)["percent"] > 25 for one in reasons)


def test_flags_stand_in_the_statement_with_what_they_touch():
    """No one would see which tonnes rest on readings that the tests find unusual."""
    h = honest(clouds=0.3)
    noon = np.flatnonzero(h.hours(10, 11))[5]
    h.power_w[noon] = 0.0
    evening = np.flatnonzero(h.hours(14, 16) & (h.time_us > frauds.BEGIN + frauds.DAY_US))[0]
    h.power_w[evening : evening + 90] = h.power_w[evening]
    case = close(h).case
    claims = compose(case, Label(1, "tonne 0"))["credentialSubject"]
    found = {one["test"]: one for one in claims["unusualReadings"]}
    assert set(found) == {"spike", "flat_line", "night_generation"}
    # from where its register agreed last, not only after six hours
    stands = h.time_us[evening : evening + 90]
    part_us = 2 * frauds.HOUR_US
    stands = stands[stands >= -(-stands[0] // part_us) * part_us]
    assert int(found["flat_line"]["readings"]) == len(stands) == 78
    rows = case.rows.start_us // INTERVAL_US
    of = np.isin(rows, stands // INTERVAL_US)
    assert int(found["flat_line"]["energy_Wh"]) == int(case.rows.value[of].sum())
    one, rated = claims["monitoredParameters"][0], found["flat_line"]
    tonnes = float(one["emissions_t"]) * int(rated["energy_Wh"]) / int(one["metered"])
    assert 0 <= float(rated["emissions_t"]) - tonnes < 2e-6
    weights = {(u.day, u.weight): u.reasons for u in units(case)}
    assert sum("unusual readings" in why for why in weights.values()) == 2


@pytest.mark.parametrize("seed", range(12))
def test_no_flag_moves_a_tonne(seed):
    """Flags from readings before the evidence would make the close differ from `tonne verify`."""
    rng = np.random.default_rng(seed)
    h = honest(int(rng.choice([5, 15])), days=2, clouds=rng.uniform(0.2, 1), seed=seed)
    first = int(np.searchsorted(h.time_us, frauds.BEGIN))
    for _ in range(6):
        begin = int(rng.integers(first, len(h.time_us) - 60))
        some = slice(begin, begin + int(rng.integers(1, 60)))
        kind = rng.integers(4)
        h.power_w[some] = (h.power_w[begin], 0.0, 1.4 * RATED_W, np.nan)[kind]
        h.register_wh[some] += 0 if kind else int(rng.choice([-200_000, 0, 5_000]))
    bound = {"bound_of_rated": [-1.0, float(rng.uniform(0.01, 0.3))]}
    odd = QualityLimits("active_power_w", 0, {**bound, "flat_s": 60, "spike_of_rated": 0.001})
    late = h.time_us >= frauds.BEGIN - frauds.HOUR_US
    cut = frauds.History(h.time_us[late], h.register_wh[late], h.power_w[late], h.truth_wh)
    usual = close(h, days=2).case
    others = (
        close(h, days=2, meter=replace(frauds.METER, quality=(odd,))).case,
        close(cut, days=2).case,
    )
    assert unusual_out(others[0]) != unusual_out(usual)
    for other in others:
        assert other.result == usual.result


def test_the_pack_holds_the_limits_that_the_flags_rest_on():
    """A verifier would find other flags than the operator, whose registry has its own limits."""
    limits = QualityLimits("active_power_w", frauds.BEGIN, {"bound_of_rated": [-0.05, 0.25]})
    meter = replace(frauds.METER, quality=(limits,))
    case = close(honest(), meter=meter).case
    (found,) = (u for u in unusual_out(case) if u.test == "gross_range")
    assert int(found.readings) > 100
    plan = read_plan(canonical.parse_object(canonical.encode(case.plan.to_json())))
    assert plan.to_json() == case.plan.to_json()
    assert plan.devices[0].quality[0].limits == limits.limits
    again = replace(case, plan=plan)
    assert unusual_out(again) == unusual_out(case)
    assert plan.by_first_rules().devices[0].quality == ()
