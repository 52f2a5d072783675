"""The project side is charged at least the consumption that its registers show."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import NULL, Replacement
from mrv.documents.statement import claims_of
from mrv.errors import PeriodError
from mrv.statement.compose import Label, compose
from mrv.statement.evidence_pass import rises, windows
from mrv.verify.evidence_steps import account
from tests.mrv.report import sample
from tests.soak import often

KWH = 1000
QUARTER_US = 900_000_000


@cache
def _buses():
    return sample.bus_case()


@pytest.fixture
def buses():
    """Return three days of a bus and its charger of 60 kW, which draws 48."""
    return _buses()


def _case(case, register=None, **charger):
    """Return the same evidence with another charger, or another register of it."""
    devices = tuple(replace(d, **charger) if d.id == "ch-1" else d for d in case.plan.devices)
    plan = replace(case.plan, devices=devices)
    frames = list(case.frames)
    if register is not None:
        frames[0] = replace(frames[0], columns={**frames[0].columns, "energy_import_wh": register})
    return sample._case(plan, frames, case.from_us, case.to_us)


def _register(case):
    return case.frames[0].columns["energy_import_wh"].copy()


@pytest.mark.parametrize("watts", [60_000, 45_000])
def test_a_charger_within_its_limits_closes(buses, watts):
    """An honest plant could close no period any more."""
    _case(buses, rated_power_w=watts).check_counted()


def test_a_charger_that_nothing_bounds_is_named(buses):
    """The consumption of a charger without a limit would count as zero."""
    with pytest.raises(
        PeriodError, match=r"ch-1: .* nothing to charge the gap at: enter its `rated_power_w`"
    ):
        _case(buses, rated_power_w=None).check_counted()


@pytest.mark.parametrize("watts", [600, 60, 1])
def test_a_charger_registered_too_small_is_refused(buses, watts):
    """Kilowatts typed as watts would make the charging of a fleet worth nothing."""
    small = _case(buses, rated_power_w=watts)
    assert small.result.net.reduction.ug > 2 * buses.result.net.reduction.ug
    with pytest.raises(PeriodError, match=r"ch-1 counts .* as charging .* rated_power_w"):
        small.check_counted()


def test_an_auditor_is_told_whatever_program_closed_it(buses):
    """An operator's own program would sign what ours refuses, and the pack would verify."""
    for case, told in ((buses, None), (_case(buses, rated_power_w=60), "ch-1 counts")):
        body = compose(case, Label(1, "another program"))
        subject = SimpleNamespace(
            needs_evidence=lambda: None, claims=claims_of(body), statement=body, case=case
        )
        if told is None:
            assert "recalculated" in account(subject)
            continue
        with pytest.raises(PeriodError, match=told):
            account(subject)


def test_a_jump_that_nobody_entered_is_refused_and_one_that_is_entered_is_not(buses):
    """A new meter's first figure would be taken for use, or a week's use for a new meter."""
    register, times = _register(buses), buses.frames[0].time_us
    middle = len(times) // 2
    jumped = np.where(np.arange(len(times)) < middle, register, register + 10_000 * KWH)
    with pytest.raises(PeriodError, match="enter the meter's replacement"):
        _case(buses, jumped).check_counted()
    swap = Replacement(
        "energy_import_wh", int(times[middle]) - 1, int(register[middle - 1]), int(jumped[middle])
    )
    _case(buses, jumped, replacements=(swap,)).check_counted()


def test_one_glitch_says_nothing(buses):
    """A single wrong reading at an edge would stop a month's statement."""
    register = _register(buses)
    for place in (0, 20, len(register) // 2, len(register) - 1):
        for wrong in (0, 10**9):
            spoilt = register.copy()
            spoilt[place] = wrong
            _case(buses, spoilt).check_counted()


@pytest.mark.parametrize("wrong", [0, 10**9])
@pytest.mark.parametrize("edge", ["from_us", "to_us"])
@pytest.mark.parametrize("offset", [-4, -2, 0])
def test_a_fault_of_half_an_hour_over_midnight_says_nothing(buses, wrong, edge, offset):
    """A meter that restarts as the month ends would stop its statement."""
    register, times = _register(buses), buses.frames[0].time_us
    at = int(np.searchsorted(times, getattr(buses, edge)))
    spoilt = register.copy()
    spoilt[max(at + offset, 0) : at + offset + 4] = wrong
    _case(buses, spoilt).check_counted()


def test_what_a_standstill_before_the_period_caught_up_is_not_of_the_period(buses):
    """A charger whose display froze over midnight would stop the statement."""
    register, times = _register(buses), buses.frames[0].time_us
    first = int(np.searchsorted(times, buses.from_us))
    frozen = register.copy()
    frozen[: first + 6] = register[0]
    _case(buses, frozen).check_counted()


@settings(max_examples=often(50, 100), deadline=None)
@given(
    steps=st.lists(st.integers(0, 15 * KWH), min_size=40, max_size=40),
    kept=st.lists(st.booleans(), min_size=40, max_size=40),
    reset=st.integers(-40, 39),
    frozen=st.tuples(st.integers(0, 39), st.integers(0, 12)),
)
def test_what_a_charger_can_do_is_never_refused(steps, kept, reset, frozen):
    """Lost readings, a reset or a frozen display would stop an honest statement."""
    buses = _buses()
    made = np.cumsum(steps)
    if reset >= 0:
        made[reset:] -= made[reset]
    made[frozen[0] : frozen[0] + frozen[1]] = made[frozen[0]]
    held = np.where(kept, made, NULL)
    times = buses.from_us - 4 * QUARTER_US + QUARTER_US * np.arange(40, dtype=np.int64)
    charger = sample.frame(buses.fleet, "ch-1", "energy_import_wh", held, times)
    end = buses.from_us + 32 * QUARTER_US
    sample._case(buses.plan, [charger, buses.frames[1]], buses.from_us, end).check_counted()


@pytest.mark.parametrize("kept", [slice(0, 6), slice(-6, None), slice(0, 0), slice(0, 9)])
def test_a_charger_that_said_little_is_charged_by_its_gaps(buses, kept):
    """A meter that was heard before or after the period alone would end in a traceback."""
    few = buses.frames[0].take(np.arange(len(buses.frames[0]))[kept])
    frames = [f for f in (few, buses.frames[1]) if len(f)]
    sample._case(buses.plan, frames, buses.from_us, buses.to_us).check_counted()


def test_only_the_projects_side_is_looked_at(buses):
    """A bus that drives less than its odometer says would stop its own statement."""
    looked = windows(buses.plan.project, buses.fleet, buses.from_us, buses.to_us)
    assert [w.role for some in looked.values() for w in some] == ["charging"]
    assert list(rises(buses.frames[1], buses.fleet, looked)) == []
