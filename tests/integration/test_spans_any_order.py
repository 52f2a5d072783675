"""
Long histories: late readings whose effect stops where rows agree, and
commits that postpone work.
"""

from itertools import count

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.model import Device, Fleet
from mrv import factors
from mrv.registry.project import Project, ProjectDevice
from services.processing import reprocess
from services.processing.batch import Batch
from services.processing.commit import Store
from services.settle import Plan
from services.store.dead_letter_write import Letters
from services.store.timeseries import remake_requests as requests
from tests.ingest.metering import MINUTE_US, T0_US
from tests.services.poison import refuse

from . import stored
from .deliveries import FEW, Reading, frame, register

_examples = count()
_DAY_US = 1_440 * MINUTE_US
_GAPS = st.sampled_from([60, 60, 60, 120, 240, 720, 1_440, 4_320])


def plan(n: int, more: int = 0) -> Plan:
    """
    Return a plan of two inverters, one of them in a project, and a
    version with `more` devices.
    """
    ids = [f"s{n}-served", f"s{n}-bare"]
    others = [f"s{n}-another-{k}" for k in range(more)]
    fleet = Fleet(
        [Device(name, "s", "pv_inverter", rated_power_w=100_000) for name in others + ids]
    )
    served = (ProjectDevice(ids[0], "generation", {"case": 1}),)
    project = Project(
        f"sp{n}", "P", "jcm-vn-am007", "1.0", "Asia/Ho_Chi_Minh",
        T0_US - 180 * _DAY_US, T0_US + 180 * _DAY_US, devices=served,
    )  # fmt: skip
    return Plan.of(fleet, [project], factors.load())


@st.composite
def history(draw, device: int) -> list[Reading]:
    """Return weeks of one device: one or two irregular stretches between steady days."""
    out: list[Reading] = []
    time_us, value = T0_US, draw(st.sampled_from([0, 10**6]))
    powered = draw(st.integers(0, 3)) == 0
    for _ in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.integers(10, 40))):
            out.append(Reading(device, time_us, value))
            time_us += draw(_GAPS) * MINUTE_US
            value += draw(st.sampled_from([0, 1_000, 20_000, 60_000]))
        odd = draw(register(draw(st.integers(1, 6))))
        for step in odd:
            out.append(Reading(device, time_us, step if draw(st.booleans()) else value + step % 9))
            time_us += draw(st.sampled_from([15, 60, 60, 1_440])) * MINUTE_US
        value = max(value, out[-1].export or 0)
    if powered:
        return [
            Reading(device, r.time_us, r.export if k > len(out) // 2 else None, power=5_000.0)
            for k, r in enumerate(out)
        ]
    return out


@st.composite
def deliveries(draw) -> tuple[list[list[Reading]], int]:
    """
    Return batches with late readings at any place, and the number of rows that a commit may
    contain.
    """
    readings = [r for d in range(2) for r in draw(history(d))]
    readings.sort(key=lambda r: r.time_us)
    late = [r for r in readings if draw(st.integers(0, 11)) == 0]
    onward = [r for r in readings if r not in late]
    out: list[list[Reading]] = []
    while onward or late:
        size = draw(st.integers(1, 60))
        out.append(onward[:size])
        onward = onward[size:]
        if late and (not onward or draw(st.booleans())):
            some = draw(st.integers(1, 3))
            out.append(late[:some])
            late = late[some:]
    return [batch for batch in out if batch], draw(st.sampled_from([40, 400, 60_000]))


@FEW
@given(deliveries(), st.randoms(use_true_random=False))
def test_stopping_and_putting_off_give_the_same_rows(connection, monkeypatch, delivery, fate):
    """A tonne must not depend on where metering stopped, was postponed or was killed."""
    arriving, most = delivery
    number = next(_examples)
    plan_ = plan(number)
    monkeypatch.setattr(reprocess, "MAX_ROWS", most)
    store = Store(plan_)
    for readings in arriving:
        _commit(connection, store, readings)
        store = _meanwhile(connection, store, fate, number)
    while store.behind:
        assert store.catch_up(connection)
    # of this example's devices: one that drew too much was ended half way
    assert not requests.waiting(connection).keys() & {d.id for d in plan_.fleet.devices}
    stored.check(connection, plan_)


def test_a_late_reading_may_make_a_gap_two_readings_later(connection):
    """A technician would not be sent for a gap, or for one that a late reading has filled."""
    plan_ = plan(next(_examples))
    store = Store(plan_)
    # 500 hours after 198 are no gap; after 1 they are
    for h in (0, 1, 2, 200, 700, 1_200, 1_700):
        _commit(connection, store, [Reading(0, T0_US + h * 60 * MINUTE_US, 1_000 + h)])
    _commit(connection, store, [Reading(0, T0_US + 199 * 60 * MINUTE_US, 1_199)])
    stored.check(connection, plan_)
    late = Reading(0, T0_US + 1_699 * 60 * MINUTE_US, 2_699)
    _commit(connection, store, [late, Reading(0, T0_US + 2_200 * 60 * MINUTE_US, 3_200)])
    stored.check(connection, plan_)


def test_devices_that_were_never_heard_wait_for_one_span(connection):
    """After a first import, what came in beside hundreds of short spans was metered twice."""
    plan_ = plan(next(_examples), more=3 * requests.AT_ONCE)
    ids = [d.id for d in plan_.fleet.devices]
    _commit(connection, Store(plan_), [Reading(0, T0_US + h * 60 * MINUTE_US, h) for h in (0, 1)])
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO remake_request (device_id) VALUES (%s)", [(name,) for name in ids]
        )
    store = Store(plan_)
    store.look_for_requests(connection)
    assert len(store.catch_up(connection).ended) == len(ids) - 1
    # the one with readings is made again as ever
    assert requests.waiting(connection).keys() & set(ids) == {ids[-2]}
    assert len(store.catch_up(connection).ended) == 1
    assert not store.behind
    stored.check(connection, plan_)


def _commit(connection, store, readings):
    n = len(readings)
    letters = Letters(["t"] * n, [b"x"] * n, [None] * n, [False] * n, T0_US)
    arriving = frame(readings)
    # the two inverters are the last of each version
    arriving.device += len(store.plan.fleet) - 2
    return store.commit(connection, [arriving], [], letters)


def _meanwhile(connection, store, fate, number):
    """
    Do something between commits: a span, a rollback, a new process, a
    newer registry, or nothing.
    """
    kind = fate.randrange(6)
    if kind == 5:
        newer = Store(plan(number, fate.randrange(3)))
        newer.go_on_from(store, *newer.plan.fleet.unchanged(store.plan.fleet))
        newer.look_for_requests(connection)
        return newer
    if kind == 0 and store.behind:
        store.catch_up(connection)
    elif kind == 1 and store.behind:
        with connection.transaction(force_rollback=True):
            store.catch_up(connection)
        kind = 2
    if kind == 2:
        store = Store(store.plan)
        store.look_for_requests(connection)
    return store


def test_a_late_reading_is_metered_to_where_rows_agree(connection):
    """The time for back-filling a history would grow with the square of its length."""
    plan_ = plan(next(_examples))
    store = Store(plan_)
    hours = range(1_440)
    _commit(connection, store, [Reading(0, T0_US + h * 60 * MINUTE_US, h * 900) for h in hours])
    for day in (3, 30, 50):
        at = T0_US + day * _DAY_US + 30 * MINUTE_US
        late = frame([Reading(0, at, day * 24 * 900 + 450)])
        letters = Letters(["t"], [b"x"], [None], [False], T0_US)
        with connection.transaction(), connection.cursor() as cursor:
            written = store.write(cursor, Batch([late], [], letters))
        store.remember(written)
        ((_, begin, end),) = written.made.again.remade.spans()
        assert at - _DAY_US <= begin <= at
        assert at < end <= at + _DAY_US // 4
    stored.check(connection, plan_)


@pytest.mark.parametrize("silence_h", [30, 200])
def test_a_step_that_ends_beyond_what_was_metered_is_kept(connection, silence_h):
    """The 15-minute interval in which metering stops would lose what the next step puts into it."""
    plan_ = plan(next(_examples))
    store = Store(plan_)
    minutes = [0, 600, 667, *(667 + silence_h * 60 + more for more in (0, 60, 120))]
    _commit(connection, store, [Reading(0, T0_US + m * MINUTE_US, m * 10) for m in minutes])
    _commit(connection, store, [Reading(0, T0_US + 618 * MINUTE_US, 6_180)])
    stored.check(connection, plan_)


@pytest.mark.parametrize("after_d", [12, 40])
def test_a_late_power_beside_a_register_that_is_shown_much_later(connection, after_d):
    """Energy estimated from power would be listed beside the register's own."""
    plan_ = plan(next(_examples))
    store = Store(plan_)
    hours = [h for h in range(6) if h != 2]
    early = [Reading(0, T0_US + h * 60 * MINUTE_US, power=5_000.0) for h in hours]
    later = T0_US + after_d * _DAY_US
    shown = [Reading(0, later + h * 60 * MINUTE_US, 1_000 + 5_000 * h) for h in range(90)]
    _commit(connection, store, early + shown)
    _commit(connection, store, [Reading(0, T0_US + 120 * MINUTE_US, power=5_000.0)])
    stored.check(connection, plan_)


def test_a_late_last_reading_of_a_register_that_falls_on_the_grid(connection):
    """The live state would go on from an older reading of the register."""
    plan_ = plan(next(_examples))
    store = Store(plan_)
    gauges = [Reading(0, T0_US + h * 60 * MINUTE_US, power=5_000.0) for h in range(1, 120)]
    _commit(connection, store, [Reading(0, T0_US, 1_000), *gauges])
    _commit(connection, store, [Reading(0, T0_US + 120 * MINUTE_US, 9_000)])
    _commit(connection, store, [Reading(0, T0_US + 121 * 60 * MINUTE_US, 10_000)])
    stored.check(connection, plan_)


def test_a_fleet_that_returns_is_no_one_commit(connection, monkeypatch):
    """A city that was without power for a month would need the memory of a data centre."""
    monkeypatch.setattr(reprocess, "MAX_ROWS", 500)
    plan_ = plan(next(_examples))
    store = Store(plan_)
    _commit(connection, store, [Reading(d, T0_US, 1_000) for d in (0, 1)])
    later = T0_US + 30 * _DAY_US
    done = _commit(connection, store, [Reading(0, later, 2_000), Reading(1, later, 2_000)])
    assert done.rows["reading_pv_inverter"] == 2
    assert done.rows["interval_quantity"] == 0
    spans = 0
    while store.behind:
        answered = store.catch_up(connection)
        assert answered.committed.rows["interval_quantity"] <= 30 * 96 + 100  # one step is one
        spans += 1
    assert spans >= 2
    _commit(connection, store, [Reading(d, later + 15 * MINUTE_US, 2_100) for d in (0, 1)])
    stored.check(connection, plan_)


def test_a_device_that_the_server_refuses_holds_up_no_other(database_url, monkeypatch):
    """One meter whose rows are refused would block the rows of a whole fleet that reconnected."""
    monkeypatch.setattr(reprocess, "MAX_ROWS", 500)
    plan_ = plan(next(_examples))
    later = T0_US + 30 * _DAY_US
    with psycopg.connect(database_url, autocommit=True) as conn:
        store = Store(plan_)
        _commit(conn, store, [Reading(d, T0_US, 1_000) for d in (0, 1)])
        _commit(conn, store, [Reading(d, later, 2_000) for d in (0, 1)])
        refuse(database_url, plan_.fleet.devices[0].id, "22003", "interval_quantity")
        refused = 0
        for _ in range(6):
            try:
                store.catch_up(conn)
            except psycopg.errors.NumericValueOutOfRange:
                refused += 1
        assert refused
        left = conn.execute("SELECT device_id FROM remake_request").fetchall()
        assert left == [(plan_.fleet.devices[0].id,)]
        conn.execute("DROP TRIGGER refuse ON interval_quantity")
        while store.behind:
            assert store.catch_up(conn)
        stored.check(conn, plan_)
