"""
Registers that start again without a registered replacement: the counted
quantity on either side.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from ingest.classes import QUANTITY_INDEX, load
from ingest.model import NULL, Device, Fleet, Frame, IntervalRows
from ingest.pipeline import Bounds, MeterState, meter
from ingest.registers import Meter, Reader

from .metering import MINUTE_US, T0_US

DAY, HOUR_US = 96, 60 * MINUTE_US
HA_LONG = (20.95, 107.07)
# local midnight of Viet Nam
BEGIN_US = T0_US + 17 * HOUR_US


@dataclass
class Kind:
    """A register of a class, and its increase at each reading."""

    class_id: str
    channel: str
    step: np.ndarray
    minutes: int = 15
    rated_w: int | None = None
    place: tuple[float, float] | None = None

    @property
    def register(self) -> np.ndarray:
        """Return the value at each reading of a register that starts from zero."""
        return np.cumsum(self.step) - self.step[0]

    def rows(self, register: np.ndarray, kept: slice = slice(None)) -> IntervalRows:
        """Return the intervals of its readings."""
        time_us = BEGIN_US + np.arange(len(register)) * self.minutes * MINUTE_US
        time_us, register = time_us[kept], register[kept]
        n = len(time_us)
        columns = {
            name: np.full(n, NULL) if channel.kind == "register" else np.full(n, np.nan)
            for name, channel in load()[self.class_id].channels.items()
        }
        columns[self.channel] = register.astype(np.int64)
        device = Device("d", "s", self.class_id, rated_power_w=self.rated_w, place=self.place)
        frame = Frame(
            self.class_id, np.zeros(n, np.int32), time_us, np.arange(n, dtype=np.int32), columns
        )
        fleet = Fleet([device])
        rows = meter(Bounds(fleet), MeterState(1), [frame]).rows
        quantity = QUANTITY_INDEX[str(load()[self.class_id].channels[self.channel].quantity)]
        return rows.take(rows.quantity == quantity)

    def sides(self, register: np.ndarray) -> tuple[float, float]:
        """
        Return the shares of the truth that are credited for a baseline
        and charged to a project.
        """
        rows, truth = self.rows(register), float(self.register[-1])
        rate = self.rated_w or int(rows.value.max()) * 4
        charged = rows.value.sum() + rows.unknown_us.sum() / HOUR_US * rate
        return float(rows.value.sum()) / truth, float(charged) / truth


def hours(days: int, minutes: int = 15) -> np.ndarray:
    return np.arange(days * 1440 // minutes) * minutes / 60 % 24


def random(n: int) -> np.ndarray:
    return np.random.default_rng(7).uniform(0.4, 1.0, n)


def charger() -> Kind:
    """Return a charger of 60 kW whose buses charge at night."""
    at = hours(40)
    step = np.where((at >= 22) | (at < 4), 12_000, 0) * random(len(at))
    return Kind("ev_charger", "energy_import_wh", step.astype(np.int64), rated_w=60_000)


def sunny() -> Kind:
    at = hours(40)
    step = 25_000 * np.clip(np.sin((at - 6.75) / 10.75 * np.pi), 0, None) * random(len(at))
    step = np.where((at > 6.75) & (at < 17.5), step, 0).astype(np.int64)
    return Kind("pv_inverter", "energy_export_wh", step, rated_w=100_000, place=HA_LONG)


def turbine() -> Kind:
    step = (220_000 * random(30 * DAY)).astype(np.int64)
    return Kind("waste_heat_turbine", "energy_export_wh", step, rated_w=1_000_000)


def water(minutes: int = 15) -> Kind:
    n = 30 * 1440 // minutes
    step = (60_000_000 * random(n)).astype(np.int64) * (minutes // 15)
    return Kind("wastewater_plant", "flow_total_ml", step, minutes)


def scale(minutes: int = 60) -> Kind:
    at = hours(30, minutes)
    step = np.where((at >= 7) & (at < 17) | (minutes > 60), 8_000_000, 0) * random(len(at))
    return Kind("weighbridge", "net_total_g", step.astype(np.int64), minutes)


def fuel() -> Kind:
    step = (5_000 * random(30 * DAY)).astype(np.int64)
    return Kind("fuel_meter", "fuel_total_ml", step)


def replaced(register: np.ndarray, k: int, first: int = 0) -> np.ndarray:
    """Restart a register at a reading, from a value."""
    return np.where(np.arange(len(register)) < k, register, register - register[k - 1] + first)


CASES = {
    "charger": (charger(), 300_000, 8 * DAY),
    "charger, new": (charger(), 0, 10 * DAY + 6),
    "charger, in its first week": (charger(), 0, 4 * DAY + 9),
    "PV": (sunny(), 0, 10 * DAY + 40),
    "PV, in its first week": (sunny(), 0, 4 * DAY + 70),
    "generator": (turbine(), 1_000_000, 8 * DAY),
    "flow": (water(), 20_000_000_000, 10 * DAY),
    "flow, once a day": (water(1440), 20_000_000_000, 10),
    "scale": (scale(), 5_000_000, 240),
    "scale, once a day": (scale(1440), 5_000_000, 10),
    "fuel": (fuel(), 200_000, 10 * DAY),
}


@pytest.mark.parametrize("case", CASES)
def test_a_new_register_that_passes_the_old_value_is_no_return(case):
    """A charger's tonnes were 4.1 times the truth, and a PV plant kept 0.56 of its own."""
    kind, start, k = CASES[case]
    baseline, project = kind.sides(replaced(kind.register + start, k))
    assert (0.96 if "once a day" in case else 0.995) < baseline <= 1
    assert 1 <= project < (1.05 if "once a day" in case else 1.01)


@pytest.mark.parametrize("first", [0, 5_000_000, 19_000_000, 900_000_000])
@pytest.mark.parametrize("make", [charger, sunny, turbine])
def test_a_used_meter_counts_after_a_day(make, first):
    """A meter used elsewhere before was never accepted, or was taken for the old one."""
    kind = make()
    baseline, project = kind.sides(replaced(kind.register + 20_000_000, 10 * DAY, first))
    assert 0.95 < baseline <= 1
    assert 1 <= project < 1.2


def test_a_jump_is_charged_as_far_as_the_register_can_have_made_it():
    """A register that was read too low for a while would hide from a project what it used."""
    kind = charger()
    jump = 1_000_000
    register = replaced(kind.register + 20_000_000, 10 * DAY)
    register[20 * DAY :] += jump
    baseline, project = kind.sides(register)
    assert baseline <= 1
    assert project * kind.register[-1] >= kind.register[-1] + jump


def test_later_readings_do_not_change_a_past_that_stood():
    """October had 1.6 t with readings until 2 November, and 7.3 t with those until 7 November."""
    kind = charger()
    register = replaced(kind.register + 300_000, 8 * DAY)
    last, old = 12 * DAY, register[8 * DAY - 1]
    passed = int(np.flatnonzero((register > old) & (np.arange(len(register)) > 8 * DAY))[0])
    until = kind.rows(register, slice(0, last))
    whole = kind.rows(register)
    assert last < passed < len(register)
    before = whole.start_us < until.start_us[-1]
    for name in ("value", "measured_us", "estimated_us", "unknown_us"):
        assert (getattr(whole, name)[before] == getattr(until, name)[:-1]).all()


@pytest.mark.parametrize("asleep", [False, True])
def test_a_counter_of_each_day_is_no_glitch(asleep):
    """`Yield today` sent as the register counted 0.008 of what a plant made, without a message."""
    kind = sunny()
    register = kind.register - np.repeat(kind.register[::DAY], DAY)
    at = hours(40)
    kept = (at > 5.5) & (at < 18.6) if asleep else np.full(len(at), fill_value=True)
    rows = kind.rows(register, np.flatnonzero(kept))
    assert 0.99 < rows.value.sum() / kind.register[-1] <= 1
    # the first fall is named; from the second one on it is a counter of each day, which by night
    # counts nothing
    unknown = rows.start_us[rows.unknown_us > 0]
    assert len(unknown)
    assert unknown[0] < BEGIN_US + 3 * 86_400_000_000


@pytest.mark.parametrize(("exact", "unknown"), [(True, 0), (False, 1)])
def test_six_digits_roll_over(exact, unknown):
    """A rollover of a flow meter turned 76 t into -66 t."""
    kind = water()
    register = (kind.register // 1_000_000 + 980_000) % 1_000_000
    reader = Reader(Meter(70 / (15 * MINUTE_US), 1, (1_000_000,), exact))
    for k, value in enumerate(register.tolist()):
        reader.read(BEGIN_US + 15 * k * MINUTE_US, value)
    counted = sum(step.value for step in reader.steps)
    truth = kind.register[-1] // 1_000_000
    assert sum(step.kind for step in reader.steps) == unknown
    assert truth - 61 * unknown <= counted <= truth + 1
    assert exact == (counted >= truth)


def stand_in(kind: Kind, begin: int, end: int) -> np.ndarray:
    """Return a spare meter from zero while the old one is at the laboratory."""
    register, at = kind.register + 20_000_000, np.arange(len(kind.step))
    made = register[end - 1] - register[begin - 1]
    register = np.where(at < end, register, register - made)
    return np.where((at >= begin) & (at < end), kind.register - kind.register[begin - 1], register)


@pytest.mark.parametrize("days", [1, 12])
@pytest.mark.parametrize("make", [charger, turbine])
def test_of_two_stories_each_side_counts_the_one_that_costs(make, days):
    """The consumption measured by a spare meter was withdrawn as a glitch, and not charged."""
    kind = make()
    begin, end = 9 * DAY + 30, (9 + days) * DAY + 30
    made = float(kind.register[end - 1] - kind.register[begin - 1])
    missing = made / kind.register[-1]
    baseline, project = kind.sides(stand_in(kind, begin, end))
    # nothing shows that the readings meanwhile were the plant's, unless they passed the old value
    passed = (make, days) == (turbine, 12)
    assert 1 - missing - 0.001 <= baseline <= (1 if passed else 1 - missing + 1e-9)
    assert 1 <= project < 1 + 0.15 * missing + 0.01


@pytest.mark.parametrize("make", [charger, sunny, turbine])
def test_a_stray_reading_of_the_old_meter_is_no_return(make):
    """A delayed message of the old meter withdrew all energy counted by the new meter."""
    kind = make()
    register = replaced(kind.register + 20_000_000, 8 * DAY)
    whole = kind.sides(register)
    register[20 * DAY + 40] = register[8 * DAY - 1]
    baseline, project = kind.sides(register)
    assert whole[0] - 0.002 <= baseline <= 1
    assert 1 <= project < 1.01


@pytest.mark.parametrize("readings", [1, 2, 5])
def test_a_counter_of_each_charge_is_charged_all_that_it_counts(readings):
    """
    Session energy sent as the register was withdrawn at the next
    session: no consumption counted.
    """
    kind = charger()
    at = np.arange(len(kind.step))
    session = at // (readings + 1) * (readings + 1)
    register = kind.register - kind.register[session]
    assert kind.sides(register)[1] >= 1


@pytest.mark.parametrize("length", [1, 3, 30])
def test_a_meter_that_shows_zeros_is_back_with_all_it_counted(length):
    """A charger whose gateway sent zeros would be charged its whole register."""
    kind = charger()
    register = kind.register + 20_000_000
    register[9 * DAY : 9 * DAY + length] = 0
    assert kind.sides(register) == (1, 1)


def test_a_spike_costs_no_more_than_it_is_high():
    """A charger would pay for a day where a single reading was too high."""
    kind = charger()
    register = kind.register + 20_000_000
    register[9 * DAY + 50] += 5_000
    baseline, project = kind.sides(register)
    assert baseline == 1
    assert 5_000 <= (project - 1) * kind.register[-1] < 6_000
