"""Faults on request."""

import json
from collections import Counter, defaultdict

import numpy as np
import pytest

from services.simulator import SimulatorError
from services.simulator.fleet import Group
from services.simulator.flow import Faults, fleet_sources, messages, outgoing, parse_faults, truth

START = 1_767_225_600_000_000
DAY = 86_400_000_000
FLEET = list(Group("energy_meter", count=3).devices())


def numbers(faults):
    """Return how often each reading of the first meter was sent."""
    counted = Counter()
    span = START // 1_000, (START + DAY) // 1_000
    for message in outgoing(fleet_sources(FLEET, START, DAY, 1), 1, faults, span):
        if message.device_id == FLEET[0].id:
            counted.update(message.ids)
    return counted


def register(faults):
    """Return the import register of the first meter by reading number."""
    found = {}
    for device, _, payload, _ in messages(FLEET, START, DAY, 1, faults):
        content = json.loads(payload)
        for reading in content if isinstance(content, list) else [content]:
            if device == FLEET[0].id:
                found[reading["id"]] = round(reading["values"]["energy_import_kwh"] * 1_000)
    return np.array([found[number] for number in sorted(found)])


def test_duplicates_disorder_and_late_blocks_lose_nothing():
    """A test of completeness would blame the pipeline for what the simulator lost."""
    plain = numbers(Faults())
    faulty = numbers(Faults(duplicates=0.1, disorder=0.2, late=0.2))
    assert len(plain) == 1_440
    assert set(faulty) == set(plain)
    assert 1.02 < sum(faulty.values()) / 1_440 < 1.2


def test_late_readings_come_late_and_in_blocks():
    """Late data could not be tested if it came in order after all."""
    arrays = last = behind = 0
    for device, _, payload, ts in messages(FLEET, START, DAY, 1, Faults(late=0.2)):
        if device == FLEET[0].id:
            arrays += isinstance(json.loads(payload), list)
            behind += ts < last - 600_000_000
            last = max(ts, last)
    assert arrays > 5
    assert behind > 5


def test_drop_outs_stop_sending_but_not_counting():
    """Energy of a gap would vanish although the meter has it."""
    assert 0.5 < len(numbers(Faults(dropout=0.3))) / 1_440 < 0.95
    plain, gaps = register(Faults()), register(Faults(dropout=0.3))
    assert gaps[-1] in plain[-20:]


def test_reset_starts_again_at_zero_and_the_truth_knows():
    """What a reset costs could not be checked against what was really consumed."""
    shown = register(Faults(reset=1))
    falls = np.flatnonzero(np.diff(shown) < 0)
    assert len(falls) == 1
    assert shown[falls[0] + 1] == 0
    told = truth(FLEET, START, DAY, 1, Faults(reset=1))[FLEET[0].id].registers["energy_import_kwh"]
    plain = truth(FLEET, START, DAY, 1)[FLEET[0].id].registers["energy_import_kwh"]
    assert told.rise == plain.rise
    assert told.last == shown[-1]


def test_glitch_shows_zero_once_and_goes_on():
    """
    The reboot sequence x, 0, x, which credits a whole register
    where unhandled, would be untested.
    """
    plain, shown = register(Faults()), register(Faults(glitch=0.01))
    zero = shown == 0
    assert 2 < zero.sum() < 40
    assert (shown[~zero] == plain[~zero]).all()


def test_units_are_off_by_a_thousand_and_ask_for_no_receipt():
    """The device would resend permanently what the pipeline is right to refuse."""
    plain, shown = register(Faults()), register(Faults(units=0.02))
    wrong = shown != plain
    assert (shown[wrong] == plain[wrong] * 1_000).all()
    assert len(numbers(Faults(units=0.02))) == 1_440 - wrong.sum()


def test_garbage_comes_beside_the_good_readings():
    """Correct readings refused together with wrong ones would count as lost."""
    span = START // 1_000, (START + DAY) // 1_000
    sources = fleet_sources(FLEET, START, DAY, 1)
    by_kind = defaultdict(int)
    for message in outgoing(sources, 1, Faults(garbage=0.05), span):
        by_kind[bool(message.ids)] += 1
    assert by_kind[True] == 3 * 1_440
    assert 100 < by_kind[False] < 350


def test_jitter_steps_back_a_little():
    """Backward jitter would look like a reset, or not appear at all."""
    plain, shown = register(Faults()), register(Faults(jitter=0.02))
    back = np.flatnonzero(shown < plain)
    assert 5 < len(back) < 60
    assert (shown[back[back > 0]] - plain[back[back > 0] - 1] >= -3).all()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("gremlins", "unknown"),
        ("late=2", "share"),
        ("late=x", "share"),
        ("reset=0.5", "whole number"),
        ("late,late", "twice"),
    ],
)
def test_a_wrong_fault_is_refused_by_name(spec, says):
    """A misspelt fault would pass as a clean run."""
    with pytest.raises(SimulatorError, match=says):
        parse_faults(spec)


def test_a_name_alone_takes_its_usual_rate():
    """`--faults late,reset` would need a manual."""
    assert parse_faults("late, reset=2") == Faults(late=0.01, reset=2)
