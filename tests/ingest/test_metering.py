"""
Metering: the quantity counted by a meter equals the sum of its intervals.

Weighings are counted by the running total, so that a lost or repeated ticket changes nothing.
"""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import classes
from ingest.classes import QUANTITY_INDEX
from ingest.decode import decode
from ingest.model import INTERVAL_US, NULL, Device, Fleet, Frame, Replacement
from ingest.pipeline import Bounds, MeterState, meter
from tests.ingest.metering import MINUTE_US, T0_US, fleet, frame, table, whole
from tests.soak import often

FLEET = Fleet([Device("w1", "s", "weighbridge")])
T0_MS = 1_767_225_600_000
HOUR_MS = 3_600_000


def _mass_g(messages):
    payloads = [json.dumps(message).encode() for message in messages]
    n = len(payloads)
    out = decode(
        FLEET, lambda _: 0, ["w1"] * n, payloads, [None] * n, (T0_MS + 99 * HOUR_MS) * 1000
    )
    assert not out.rejected
    rows = meter(Bounds(FLEET), MeterState(1), out.frames).rows
    assert set(rows.quantity.tolist()) <= {QUANTITY_INDEX["mass"]}
    return sum(rows.value.tolist())


def _tickets(nets):
    """Return a message per weighing: the ticket, and the terminal's total after it."""
    total, messages = 5_000, [{"ts": T0_MS, "values": {"net_total_kg": 5_000}}]
    for i, net in enumerate(nets, 1):
        total += net
        values = {"net_total_kg": total, "net_kg": net, "gross_kg": net + 14_000, "ticket": i}
        messages.append({"ts": T0_MS + i * HOUR_MS, "id": i, "values": values})
    return messages


@given(st.lists(st.integers(0, 60_000), min_size=2, max_size=12), st.data())
def test_a_weighing_is_neither_lost_nor_doubled(nets, data):
    """Waste that was brought would be missing from the baseline, or be in it twice."""
    messages = _tickets(nets)
    whole = _mass_g(messages)
    assert whole == sum(nets) * 1000
    lost = data.draw(st.sets(st.integers(1, len(nets) - 1)))
    assert _mass_g([m for i, m in enumerate(messages) if i not in lost]) == whole
    doubled = sorted(
        messages + data.draw(st.lists(st.sampled_from(messages))), key=lambda m: m["ts"]
    )
    assert _mass_g(doubled) == whole


ODD_STEPS = st.sampled_from([0, 0, 1, 5, 40, 99, 100, 101, 1_000, 1_600, 5_000, -40, -90, -100])
JUMPS = st.sampled_from([-(10**9), 10**9, 999_999, -500, -101, 30_000])


@st.composite
def series(draw, devices: int = 2):
    """Return readings of a few devices with every fault of a register; times are unique."""
    device, time_us, value = [], [], []
    for d in range(devices):
        n = draw(st.integers(0, 25))
        t, r = (
            T0_US + draw(st.integers(0, 20)) * MINUTE_US,
            draw(st.sampled_from([0, 50, 10**8 - 500, 10**6])),
        )
        before = r
        for _ in range(n):
            device.append(d)
            time_us.append(t)
            value.append(max(r, 0))
            minutes = st.sampled_from([1 / 30, 1 / 30, 1, 5, 10, 15, 17, 59, 61, 130, 400])
            t += round(draw(minutes) * MINUTE_US)
            kind = draw(st.integers(0, 9))
            if kind == 0:
                before, r = r, max(0, r + draw(JUMPS))
            elif kind == 1:
                before, r = r, before
            elif kind == 2:
                r %= 10**8
            else:
                r += draw(ODD_STEPS)
    return device, time_us, value


def live(fleet_, readings, cuts, state=None):
    """Meter in batches in order of time; rows to be rewritten are metered again from the start."""
    bounds, state = Bounds(fleet_), MeterState(len(fleet_))
    stored: dict = {}
    device, time_us, value = (np.asarray(c) for c in readings)
    order = np.lexsort((device, time_us))
    edges = sorted({0, len(order), *(c % (len(order) + 1) for c in cuts)})
    for a, b in pairwise(edges):
        part = order[a:b]
        found = meter(bounds, state, [frame(device[part], time_us[part], value[part])])
        stored.update(table(found.rows))
        found.apply(state)
        for again in found.rewrites:
            past = order[:b][device[order[:b]] == again]
            stored = {k: v for k, v in stored.items() if k[0] != again}
            fresh = MeterState(len(fleet_))
            once = meter(bounds, fresh, [frame(device[past], time_us[past], value[past])])
            assert not once.rewrites
            stored.update(table(once.rows))
            for quantity, register in state.registers.items():
                new = fresh.registers[quantity]
                register.known[again] = register.away[again] = False
                register.other_read_us[again] = new.other_read_us[again]
                for name in ("open_us", "power_us", "read_us"):
                    getattr(register, name)[again] = getattr(new, name)[again]
            once.apply(state)
    return stored


@settings(max_examples=often(40, 300), deadline=None)
@given(series(), st.lists(st.integers(0, 60), max_size=6))
def test_any_split_gives_the_same_rows(readings, cuts):
    """A tonne must not depend on how messages happened to be batched."""
    fleet_ = fleet(2)
    assert live(fleet_, readings, cuts) == table(whole(fleet_, frame(*readings)))


@settings(max_examples=often(40, 300), deadline=None)
@given(series(1), st.integers(0, 30))
def test_stored_marks_carry_the_past(readings, skip):
    """Late data must cost a window, not a history, and still come to the same rows."""
    fleet_ = fleet(1)
    everything = table(whole(fleet_, frame(*readings)))
    marked = sorted(k for k, v in everything.items() if v[5] != NULL)
    if len(marked) < 2:
        return
    key = marked[skip % (len(marked) - 1)]
    value, read_us, changed_us, *other = everything[key][4:]
    state = MeterState(1)
    register = state.registers[key[1]]
    register.known[0], register.value[0] = True, value
    register.read_us[0], register.changed_us[0] = read_us, changed_us
    if other[0] != NULL:
        register.other_value[0], register.other_read_us[0] = other[:2]
        register.other_count[0], register.other_first[0] = other[2:]
    found = meter(Bounds(fleet_), state, [frame(*readings)])
    if found.rewrites:
        assert found.rewrites[0] <= read_us + 1
        return
    after = key[2] + INTERVAL_US
    assert {k: v for k, v in table(found.rows).items() if k[2] >= after} == {
        k: v for k, v in everything.items() if k[2] >= after
    }


@settings(max_examples=often(25, 200), deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 1)), min_size=1, max_size=60))
def test_intervals_sum_to_the_register(pairs):
    """Not one watt-hour may be made or lost between a register and its intervals."""
    time_us, value = [T0_US], [123_456]
    for minutes, load in pairs:
        time_us.append(time_us[-1] + minutes * MINUTE_US)
        value.append(value[-1] + int(100_000 * minutes / 60 * load))
    for _ in range(3):  # two more readings confirm a long step
        time_us.append(time_us[-1] + 15 * MINUTE_US)
        value.append(value[-1])
    rows = whole(fleet(1), frame([0] * len(value), time_us, value))
    assert int(rows.value.sum()) == value[-1] - value[0]
    covered = rows.measured_us + rows.estimated_us + rows.unknown_us
    assert int(covered.sum()) == time_us[-1] - time_us[0]


def energy(values, minutes=None, rated_w=100_000, **more):
    n = len(values)
    at = [T0_US + MINUTE_US * (m if minutes else 15 * m) for m in (minutes or range(n))]
    rows = whole(fleet(1, rated_w, **more), frame([0] * n, at, values))
    return int(rows.value.sum()), rows


@pytest.mark.parametrize(
    ("values", "counted"),
    [
        ([1000, 2000, 3000], 2000),
        ([10_000_000, 0, 10_000_500], 500),
        ([10_000_000, 0, 0, 10_000_900], 900),
        ([10_000_000, 0, 1_000, 2_000], 0),
        ([10_000_000, 0, 1_000, 2_000, 3_000], 3_000),
        ([10_000_000, 0, 0, 0, 0, 0, 0], 0),
        ([10_000_000, 0, 1_000, 2_000, 3_000, 10_004_000], 4_000),
        ([10_000_000, 5_000_000, 5_001_000, 5_002_000, 5_003_000, 5_004_000], 0),
        ([10_000_000, 10_020_000, 10_001_000, 10_002_000], 2_000),
        ([1_000, 900, 1_200], 200),
        ([1_000, 999_000_000, 1_500], 500),
        ([1_000, *(999_000_000 + 1_000 * k for k in range(6))], 5_000),
        ([99_999_000, 500, 1_000], 0),
        ([5_000, 5_000, 5_000, 85_000], 80_000),
    ],
    ids=[
        "plain", "zero-glitch", "long-zero-glitch", "reset-that-waits", "reset", "dead-at-zero",
        "return-after-a-reset", "fall-to-neither", "high-then-true", "jitter", "spike",
        "jump-that-stays", "candidate-modulus", "frozen-then-catch-up",
    ],
)  # fmt: skip
def test_register_events(values, counted):
    """Each trick of a real register counts what the meter could have made, never more."""
    assert energy(values)[0] == counted


def test_reset_marks_its_interval_suspect():
    """An auditor must see that the step into a reset is not known."""
    _, rows = energy([10_000_000, 0, 1_000, 2_000, 3_000])
    assert rows.unknown_us.tolist() == [INTERVAL_US, 0, 0, 0]


def test_a_catch_up_within_a_quarter_hour_rewrites_nothing():
    """Rows of a device that counts whole kilowatt-hours would be recalculated with each of them."""
    at = [T0_US + k * MINUTE_US for k in range(30)]
    values = [5_000 * (k // 4) for k in range(30)]  # 5 kWh at once, and 2 a minute at most
    fleet_ = fleet(1)
    bounds, state = Bounds(fleet_), MeterState(1)
    stored: dict = {}
    rewritten = []
    for moment, value in zip(at, values, strict=True):
        found = meter(bounds, state, [frame([0], [moment], [value])])
        if found.rewrites:
            rewritten.append(moment)
            break
        stored.update(table(found.rows))
        found.apply(state)
    # from minute 12 to 16 it stood still across the grid
    assert rewritten == [T0_US + 16 * MINUTE_US]
    before = whole(fleet_, frame([0] * 16, at[:16], values[:16]))
    assert stored == table(before)


def test_catch_up_is_spread_over_the_standstill():
    """Energy that a frozen register held back must not fall into one interval."""
    _, rows = energy([5_000, 5_000, 5_000, 80_000])
    assert rows.value.tolist() == [25_000, 25_000, 25_000]


def test_replacement_keeps_the_sum():
    """A meter replacement loses only the energy that the registry's two readings do not state."""
    swap = Replacement("energy_export_wh", T0_US + 20 * MINUTE_US, 1_000_700, 40)
    total, _ = energy([1_000_000, 1_000_500, 140, 240], replacements=(swap,))
    assert total == 500 + 200 + 100 + 100


def test_power_stands_in_only_without_a_register():
    """Integrated power must never be added to what a register already counted."""
    at = [T0_US + m * MINUTE_US for m in (0, 5, 10, 40)]
    power = [60_000.0] * 4
    only = whole(fleet(1), frame([0] * 4, at, [NULL] * 4, power))
    assert (int(only.value.sum()), int(only.measured_us.sum())) == (10_000, 0)
    both = whole(fleet(1), frame([0] * 4, at, [NULL, 100, NULL, 200], power))
    assert int(both.value.sum()) == 100


def test_a_charger_without_register_is_never_counted_low():
    """A charger that idles at 300 W would use nothing: each step of ten seconds is below 1 Wh."""
    at = np.arange(361, dtype=np.int64) * 10_000_000 + T0_US
    n = len(at)
    nothing = {name: np.full(n, np.nan) for name in classes.load()["ev_charger"].channels}
    columns = nothing | {
        "energy_import_wh": np.full(n, NULL, dtype=np.int64),
        "active_power_w": np.full(n, 300.0),
    }
    zeros = np.zeros(n, dtype=np.int32)
    charger = Fleet([Device("c", "s", "ev_charger", rated_power_w=60_000)])
    used = whole(charger, Frame("ev_charger", zeros, at, zeros, columns))
    assert int(used.value.sum()) == 360  # 300 were used
    # what could be claimed stays low
    power = [300.0] * n
    made = whole(fleet(1), frame([0] * n, at, [NULL] * n, power))
    assert int(made.value.sum()) == 0


def test_without_a_rated_power_nothing_counts():
    """A single reading 50 MWh too high counted as energy of a device without a limit."""
    total, rows = energy([0, 1_000, 2_000], rated_w=None)
    assert (total, rows.unknown_us.tolist()) == (0, [INTERVAL_US, INTERVAL_US])
    at = [T0_US + m * MINUTE_US for m in (0, 5, 10)]
    made = whole(fleet(1, None), frame([0] * 3, at, [NULL] * 3, [60_000.0] * 3))
    assert (int(made.value.sum()), int(made.unknown_us.sum())) == (0, 10 * MINUTE_US)


def test_a_class_comes_once():
    """Two frames would each start from the same marks, and count the same energy twice."""
    one = frame([0], [T0_US], [1_000])
    with pytest.raises(ValueError, match="a device class has several frames"):
        meter(Bounds(fleet(1)), MeterState(1), [one, one])
