"""Hours and days of stations are the same for any order, batches and crashes."""

import random
from itertools import count

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import classes
from ingest.model import NULL, Device, Fleet, Frame
from ingest.pipeline import FROM_START, MeterState, meter
from mrv import environment, factors
from mrv.environment import KINDS, Values
from mrv.environment.kinds import day_of
from services.processing import flags_and_indicators as stations
from services.processing.commit import Store
from services.processing.rebuild import rebuild
from services.settle import Plan
from services.store.dead_letter_write import Letters
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks
from tests.soak import SOAK

_examples = count()
MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
# 2026-03-28T00:00:00Z: clocks in Berlin change in the night after
T0_US = 1_774_656_000_000_000
# the first is in every run
ZONES = ("Europe/Berlin", "Asia/Kathmandu", "Asia/Ho_Chi_Minh", "Australia/Lord_Howe")
STATIONS = ("air_station", "noise_station", "wastewater_plant", "water_tube")
HOURS = 62 if SOAK else 50  # two local days end in it, wherever
CLASSES = (*STATIONS, "pv_inverter")
LIMITS = {
    "noise_station": {"standard": "qcvn-26-2010", "area": "special"},
    "wastewater_plant": {"standard": "qcvn-40-2011", "column": "B", "kq": 0.9, "kf": 1},
}


def plan(n: int, zone: str) -> Plan:
    """Return a plan with a device of each class, at a site in that time zone."""
    devices = [
        Device(f"s{n}-{c}", "s", c, timezone=zone, limits=LIMITS.get(c, {})) for c in CLASSES
    ]
    return Plan.of(Fleet(devices), [], factors.load())


def history(chance: random.Random, hours: int, cadence: int) -> list[tuple[int, int, dict]]:
    """Return (device, time, values) in the order of time: gaps, empty channels, a late register."""
    out = []
    flow = 10**9
    for minute in range(chance.randrange(60), hours * 60, cadence):
        time_us = T0_US + minute * MINUTE_US
        silent = 30 * 60 < minute < 30 * 60 + chance.choice((0, 0, 200))
        for device, class_id in enumerate(CLASSES):
            if silent or chance.random() < 0.03:
                continue
            if class_id == "water_tube" and chance.random() < 0.7:
                continue  # once an hour or so
            values = {
                name: round(chance.uniform(5, 8 if name == "ph" else 90), 1)
                for name, channel in classes.load()[class_id].channels.items()
                if channel.kind == "gauge" and chance.random() > 0.02
            }
            if class_id == "wastewater_plant":
                flow += chance.randrange(10**6)
                if chance.random() > 0.01:
                    values["flow_total_ml"] = flow
            if values:
                out.append((device, time_us, values))
    return out


def arrive(chance: random.Random, sent: list, how: str) -> list:
    """Return the same readings in another order, some twice, some in two halves."""
    out = []
    for device, time_us, values in sent:
        kind = chance.randrange(20)
        names = sorted(values)
        if kind == 0:
            out.append((device, time_us, values))
        if kind == 1 and len(names) > 1:
            half = {n: values[n] for n in names[: len(names) // 2]}
            out.append((device, time_us, half))
        out.append((device, time_us, values))
    if how == "shuffled":
        chance.shuffle(out)
    if how == "delayed":
        late = [
            (t + chance.choice((0, 0, 0, 0, 90, 1500)) * MINUTE_US, i)
            for i, (_, t, _) in enumerate(out)
        ]
        out = [out[i] for _, i in sorted(late)]
    return out


def frames(batch: list) -> list[Frame]:
    """Return one admitted frame for each class."""
    found = []
    for index, class_id in enumerate(CLASSES):
        rows = [(t, v) for d, t, v in batch if d == index]
        columns = {
            name: np.array([v.get(name, NULL) for _, v in rows], dtype=np.int64)
            if channel.kind == "register"
            else np.array([v.get(name, np.nan) for _, v in rows], dtype=np.float64)
            for name, channel in classes.load()[class_id].channels.items()
        }
        n = len(rows)
        if n:
            found.append(
                Frame(
                    class_id,
                    np.full(n, index, dtype=np.int32),
                    np.array([t for t, _ in rows], dtype=np.int64),
                    np.arange(n, dtype=np.int32),
                    columns,
                )
            )
    return found


def deliver(connection, plan_: Plan, arriving: list, chance: random.Random) -> None:
    """Commit in batches of any size, some after a crash, some with the answer lost."""
    store, letters = (
        Store(plan_),
        Letters(["t"] * 999, [b"x"] * 999, [None] * 999, [False] * 999, 1),
    )
    while arriving:
        size = chance.choice((1, 7, 40, 150, 400))
        batch, arriving = frames(arriving[:size]), arriving[size:]
        fate = chance.choice(("stored", "stored", "stored", "restart", "crashed", "repeated"))
        if fate == "restart":
            store = Store(plan_)
        elif fate == "crashed":
            with connection.transaction(force_rollback=True):
                store.commit(connection, batch, [], letters)
            store = Store(plan_)
        elif fate == "repeated":
            store.commit(connection, batch, [], letters)
            store.forget()
        store.commit(connection, batch, [], letters)


def pure(connection, plan_: Plan) -> dict:
    """Return all values calculated in one pass over everything that is stored."""
    fleet, out = plan_.fleet, {}
    for device, found in enumerate(fleet.devices[: len(STATIONS)]):
        with connection.cursor() as cursor:
            frame = readings.fetch(cursor, fleet, found.class_id, {device: FROM_START})
        hours = environment.hourly(fleet.devices, frame)
        known = hours.by_device().get(device, {})
        rows = meter(plan_.bounds, MeterState(len(fleet)), [frame]).rows
        flows = stations._flow_of(fleet, device, rows)
        every = sorted({s for kind in known.values() for s in kind})
        days = {day_of(T0_US + h * HOUR_US, found.timezone) for h in range(-48, 120)}
        rows_ = environment.of_hours(
            found, known, {s + i * HOUR_US for s in every for i in range(12)}
        )
        rows_ += environment.of_days(found, known, days, flows)
        values = Values.concat([hours, Values.of(device, rows_)])
        columns = (values.kind, values.start_us, values.value, values.covered)
        for i, (kind, start, *figures) in enumerate(
            zip(*(c.tolist() for c in columns), strict=True)
        ):
            grade, detail = values.verdicts.get(i, (None, None))
            out[found.id, KINDS[kind].name, start] = (
                KINDS[kind].period,
                *(None if f != f else f for f in figures),  # noqa: PLR0124
                grade,
                detail,
            )
    return out


def stored(connection, plan_: Plan) -> dict:
    """Return all values as stored."""
    rows = connection.execute(
        "SELECT device_id, indicator, (extract(epoch FROM start) * 1000000)::bigint, period, value,"
        " covered, grade, detail FROM indicator_value WHERE device_id = ANY(%s)",
        ([d.id for d in plan_.fleet.devices],),
    ).fetchall()
    return {tuple(row[:3]): tuple(row[3:]) for row in rows}


@settings(
    max_examples=12 if SOAK else 2, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(
    st.integers(0, 2**32),
    st.sampled_from(ZONES),
    st.sampled_from((5, 10, 15) if SOAK else (15,)),
    st.sampled_from(("shuffled", "delayed", "in order")),
)
def test_any_delivery_gives_the_same_hours_and_days(connection, seed, zone, cadence, how):
    """An air warning, or a plant's load, must not depend on the network or on a crash."""
    chance, plan_ = random.Random(seed), plan(next(_examples), zone)  # noqa: S311 - repeatable
    deliver(connection, plan_, arrive(chance, history(chance, HOURS, cadence), how), chance)
    wanted = pure(connection, plan_)
    assert {"hour", "day"} == {row[0] for row in wanted.values()}
    assert stored(connection, plan_) == wanted
    assert rebuild(connection, plan_, range(len(CLASSES)), 0, 2**52, replace=False) == []


def test_a_rebuild_finds_and_mends_a_wrong_value(connection):
    """A value that someone changed by hand would stay wrong permanently."""
    chance, plan_ = random.Random(1), plan(next(_examples), "Asia/Ho_Chi_Minh")  # noqa: S311 - repeatable
    deliver(connection, plan_, history(chance, 30, 15), chance)
    before = stored(connection, plan_)
    ids = [d.id for d in plan_.fleet.devices]
    connection.execute(
        "UPDATE indicator_value SET value = value + 1 WHERE device_id = ANY(%s)"
        " AND indicator = 'vn-aqi-hourly'",
        (ids,),
    )
    connection.execute(
        "DELETE FROM indicator_value WHERE device_id = ANY(%s) AND indicator = 'l10_1h_dba'", (ids,)
    )
    found = rebuild(connection, plan_, range(len(CLASSES)), 0, 2**52, replace=True)
    assert {d.key[1] for d in found} == {"vn-aqi-hourly", "l10_1h_dba"}
    assert stored(connection, plan_) == before


def test_what_the_registry_asks_for_is_made_again(connection):
    """A station whose site got its right time zone would keep the days of the wrong one."""
    chance, n = random.Random(2), next(_examples)  # noqa: S311 - repeatable
    deliver(connection, plan(n, "UTC"), history(chance, HOURS, 15), chance)
    right = plan(n, "Asia/Kathmandu")
    connection.execute(
        "INSERT INTO remake_request (device_id) SELECT unnest(%s::text[])",
        ([d.id for d in right.fleet.devices],),
    )
    assert Store(right).remake_requested(connection) == len(CLASSES)
    assert stored(connection, right) == pure(connection, right)
    assert marks.by_class(right.fleet, range(len(CLASSES))).keys() == set(CLASSES)
