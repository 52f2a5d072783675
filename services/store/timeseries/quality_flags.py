"""Stored quality flags of readings, and the state of the tests before a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from psycopg import Cursor
from psycopg.rows import TupleRow

from ingest import classes
from ingest.classes import UNIT_LEVELS, Channel
from ingest.model import NULL, Fleet, Float64
from ingest.pipeline.quality_limits import (
    CHANNEL_INDEX,
    CHANNELS,
    TEST_INDEX,
    TESTS,
    TIME,
    Checks,
    Flags,
)
from ingest.pipeline.quality_state import (
    FROM_START,
    NEAR_US,
    Standstill,
    Watch,
    Watched,
    pairs_of,
    runs_of,
)
from services.store import archived_readings as cold
from services.store.archived_readings import ReadingSpan
from services.store.postgres import nearest_rows as near
from services.store.postgres.binary_copy import Text, Time, Words, encode
from services.store.postgres.pool import stamp
from services.store.timeseries import register_checkpoints as marks

_CHANNEL_WORDS = Words.of(CHANNELS)
_TEST_WORDS = Words.of(TESTS)
_COLUMNS = "device_id, time, channel, test"


def count(flags: Flags) -> Counter[str]:
    """Return the number of flags by test."""
    result = np.bincount(flags.test, minlength=len(TESTS)).tolist()
    return Counter({test: n for test, n in zip(TESTS, result, strict=True) if n})


def write(cursor: Cursor, ids: Words, flags: Flags) -> None:
    """Store flags that are known to be new."""
    if not len(flags):
        return
    data = encode(
        [
            Text(ids, flags.device),
            Time(flags.time_us),
            Text(_CHANNEL_WORDS, flags.channel),
            Text(_TEST_WORDS, flags.test),
        ],
        len(flags),
    )
    with cursor.copy(f"COPY quality_flag ({_COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(data)


def clear(cursor: Cursor, fleet: Fleet, spans: Mapping[int, tuple[int, int]]) -> Counter[str]:
    """Delete these devices' flags in their spans, ends excluded; return the numbers by test."""
    if not spans:
        return Counter()
    begin, end = min(us for us, _ in spans.values()), max(us for _, us in spans.values())
    cursor.execute(
        "DELETE FROM quality_flag f"
        " USING unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) AS d (id, begins, until)"
        " WHERE f.device_id = d.id AND f.time >= d.begins AND f.time < d.until"
        f"{near.within('f.time', begin, end)} RETURNING f.test",
        (
            fleet.ids(list(spans)),
            *([stamp(span[edge]) for span in spans.values()] for edge in (0, 1)),
        ),
        prepare=False,
    )
    return Counter(test for (test,) in cursor.fetchall())


def stored(cursor: Cursor, fleet: Fleet, devices: Sequence[int], from_us: int, to_us: int) -> Flags:
    """Return stored flags of devices for readings in [from, to)."""
    cursor.execute(
        "SELECT device_id, (extract(epoch FROM time) * 1000000)::bigint, channel, test"
        " FROM quality_flag WHERE device_id = ANY(%s) AND time >= %s AND time < %s"
        " ORDER BY device_id, time, channel, test",
        (fleet.ids(list(devices)), stamp(from_us), stamp(to_us)),
    )
    rows = cursor.fetchall()
    device, time_us, channel, test = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Flags(
        np.array([fleet.by_id[d] for d in device], dtype=np.int32),
        np.array(time_us, dtype=np.int64),
        np.array([CHANNEL_INDEX[c] for c in channel], dtype=np.int16),
        np.array([TEST_INDEX[t] for t in test], dtype=np.int16),
    )


# readings are read backwards along the index, as the run of constant values is usually short; a
# sort would read all readings
_PLANNER = ("enable_sort", "enable_bitmapscan", "jit")
_READ_BACKWARDS = "; ".join(f"SET LOCAL {name} = off" for name in _PLANNER)
_RESET = "; ".join(f"SET LOCAL {name} TO DEFAULT" for name in _PLANNER)
_US = "(extract(epoch FROM {}) * 1000000)::bigint"


def load(
    cursor: Cursor, checks: Checks, watched: Watched, before_us: Mapping[int, int]
) -> list[Standstill]:
    """
    Set the tests of devices to their state after the last reading before `before_us`.

    Return the runs of constant gauge values that a register may corroborate.
    `before_us`: a time by fleet index; FROM_START for a device without readings. [us UTC]
    """
    watched.reset(np.array(list(before_us), dtype=np.int32))
    with_readings = {d: us for d, us in before_us.items() if us > FROM_START}
    if with_readings:
        cursor.execute(_READ_BACKWARDS)
    standstills: list[Standstill] = []
    for class_id, members in marks.by_class(checks.fleet, list(before_us)).items():
        known = [d for d in members if d in with_readings]
        source = _source(cursor, checks, class_id, {d: with_readings[d] for d in known})
        # groups of similar times: one device with old readings must not extend the span of all
        # queries
        queries = [
            _TestState(
                cursor,
                checks,
                watched,
                (class_id, source),
                [known[k] for k in group],
                with_readings,
            )
            for group in near.together_in_time([with_readings[d] for d in known])
        ]
        for name in pairs_of(checks, class_id):
            watched.pair(class_id, name)
            for query in queries:
                query.pair(name)
        for channel in classes.load()[class_id].channels.values():
            for watch in runs_of(checks, class_id, channel):
                watched.run(watch.key)
                for query in queries:
                    query.run(channel, watch)
                    if watch.registers:
                        standstills.append(query.standstill(channel, watch))
    if with_readings:
        cursor.execute(_RESET)
    return standstills


def _source(cursor: Cursor, checks: Checks, class_id: str, before_us: Mapping[int, int]) -> str:
    """Return the SQL of a class's readings, including archived ones that tests need."""
    channels = classes.load()[class_id].channels.values()
    reach = [w.reach_us for c in channels for w in runs_of(checks, class_id, c)]
    # a run is searched back from its last reading, which can be one gap earlier than the time
    back = max(2 * NEAR_US, 2 * max(reach, default=0))
    spans_ = [
        ReadingSpan(checks.fleet.devices[d].id, d, us - back, us) for d, us in before_us.items()
    ]
    return cold.relation(cursor, class_id, cold.with_two_readings(cursor, class_id, spans_))


class _TestState:
    """Queries of the tests' state, for devices of one class."""

    def __init__(
        self,
        cursor: Cursor,
        checks: Checks,
        watched: Watched,
        source: tuple[str, str],
        members: list[int],
        before_us: Mapping[int, int],
    ) -> None:
        self._cursor = cursor
        self._checks = checks
        self._watched = watched
        self._class, self._source = source
        self._members = np.array(members, dtype=np.int32)
        self._before = np.array([before_us[d] for d in members], dtype=np.int64)

    def pair(self, name: str) -> None:
        """Load the last two values of a channel, for the tests of neighbouring values."""
        pair = self._watched.pair(self._class, name)
        newest: set[int] = set()
        rows = self._times() if name == TIME else self._values(name)
        for index, time_us, number in sorted(rows, key=lambda row: -row[1]):
            if index in newest:
                pair.before_us[index], pair.before[index] = time_us, number
            else:
                pair.time_us[index], pair.value[index] = time_us, number
                newest.add(index)

    def _times(self) -> list[TupleRow]:
        """Return the times of the last two readings of each device before its time."""
        ids, index, before = self._devices()
        rows = near.nearest(
            self._cursor,
            f"SELECT d.number, d.index, {_US.format('r.time')}, 0 FROM {{sought}}"
            f" CROSS JOIN LATERAL (SELECT r.time FROM {self._source} r WHERE r.device_id = d.id"
            " AND r.time < d.before{near} ORDER BY r.time DESC LIMIT 2) r",
            {"id text": ids, "index int": index, "before timestamptz": before},
            list(map(near.before, self._before.tolist())),
            "r.time",
            many=2,
        )
        return [row[1:] for row in rows]

    def _values(self, name: str) -> list[TupleRow]:
        """Return the last two values of a channel that are near enough to be neighbours."""
        if not len(self._members):
            return []
        self._cursor.execute(
            f"SELECT d.index, {_US.format('r.time')}, r.value"
            " FROM unnest(%s::text[], %s::int[], %s::timestamptz[]) AS d (id, index, before)"
            f" CROSS JOIN LATERAL (SELECT r.time, r.{name} AS value FROM {self._source} r"
            " WHERE r.device_id = d.id AND r.time < d.before"
            f" AND r.time >= d.before - interval '{2 * NEAR_US} us' AND r.{name} IS NOT NULL"
            f"{self._within(2 * NEAR_US)} ORDER BY r.time DESC LIMIT 2) r",
            self._devices(),
            prepare=False,
        )
        return self._cursor.fetchall()

    def run(self, channel: Channel, watch: Watch) -> None:
        """Load the run of constant values before the time, up to the length to be flagged."""
        if not len(self._members):
            return
        least, key, condition = self._terms(channel, watch)
        gap = f"interval '{watch.gap_us} us'"
        reach = f"interval '{watch.reach_us} us'"
        within = self._within(watch.reach_us + watch.gap_us)
        of = f"FROM {self._source} r WHERE r.device_id = d.id AND {condition}{within}"
        back = f"r.time <= last.time AND r.time >= greatest(d.since, last.time - {reach})"
        self._cursor.execute(
            f"SELECT d.index, {_US.format('last.time')}, last.key,"
            f" {_US.format('coalesce(broken.begins, whole.begins)')}"
            " FROM unnest(%s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[],"
            " %s::float8[]) AS d (id, index, before, since, least)"
            f" CROSS JOIN LATERAL (SELECT r.time, {key} AS key {of} AND r.time < d.before"
            f" AND r.time >= greatest(d.since, d.before - {gap})"
            " ORDER BY r.time DESC LIMIT 1) last"
            " LEFT JOIN LATERAL (SELECT begins FROM (SELECT r.time,"
            f" {key} AS key, lag(r.time) OVER back AS begins, lag({key}) OVER back AS after"
            f" {of} AND {back} WINDOW back AS (ORDER BY r.time DESC)) s"
            f" WHERE s.after <> s.key OR s.begins - s.time > {gap}"
            " ORDER BY s.time DESC LIMIT 1) broken ON true"
            f" CROSS JOIN LATERAL (SELECT min(r.time) AS begins {of} AND {back}"
            " AND broken.begins IS NULL) whole",
            (*self._devices(), self._since(), least.tolist()),
            prepare=False,
        )
        standing = self._watched.run(watch.key)
        for index, last_us, number, start_us in self._cursor.fetchall():
            standing.value[index], standing.last_us[index] = number, last_us
            standing.start_us[index] = start_us

    def standstill(self, channel: Channel, watch: Watch) -> Standstill:
        """
        Return the readings of runs of constant values, with the registers that may corroborate
        them.
        """
        run, limits = self._watched.run(watch.key), self._checks.of(self._class, channel.name)
        members, rows = self._members, list[TupleRow]()
        if limits is not None:
            floor = limits.floor[self._checks.version(members, self._before - 1)]
            members = members[np.abs(run.value[members]) > floor]
        names = [register.name for register in watch.registers]
        if len(members):
            begins_us, ends_us = run.start_us[members], run.last_us[members]
            self._cursor.execute(
                f"SELECT d.index, {_US.format('r.time')}, {', '.join(f'r.{n}' for n in names)}"
                " FROM unnest(%s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[])"
                f" AS d (id, index, begins, ends) JOIN {self._source} r ON r.device_id = d.id"
                f" AND r.time BETWEEN d.begins AND d.ends AND r.{channel.name} IS NOT NULL"
                f"{near.within('r.time', int(begins_us.min()), int(ends_us.max()) + 1)}",
                (
                    self._checks.fleet.ids(members.tolist()),
                    members.tolist(),
                    list(map(stamp, begins_us.tolist())),
                    list(map(stamp, ends_us.tolist())),
                ),
                prepare=False,
            )
            rows = sorted(self._cursor.fetchall())
        table = np.array(
            [[NULL if v is None else int(v) for v in row] for row in rows], dtype=np.int64
        ).reshape(-1, 2 + len(names))
        columns = dict(zip(names, table.T[2:], strict=True))
        return Standstill(watch, table[:, 0].astype(np.int32), table[:, 1], columns)

    def _within(self, back_us: int) -> str:
        """Return SQL that limits readings to `back_us` before the earliest of the times. [us]"""
        return near.within("r.time", int(self._before.min()) - back_us, int(self._before.max()))

    def _terms(self, channel: Channel, watch: Watch) -> tuple[Float64, str, str]:
        """
        Return the minimum value by device, and SQL of a run's value and of the condition on
        readings.
        """
        name = f"r.{channel.name}"
        if watch.key.purpose != "flat":
            level = UNIT_LEVELS[int(watch.key.purpose)]
            thresholds = self._checks.of(self._class, channel.name)
            version = self._checks.version(self._members, self._before - 1)
            peak = np.nan if thresholds is None else thresholds.peak[version]
            # in SQL, NaN is greater than all numbers; in numpy a comparison with it is false
            key = f"CASE WHEN {name} >= d.least THEN 0.0 ELSE 1.0 END"
            return level.share * np.asarray(peak), key, f"{name} IS NOT NULL"
        least: Float64 = self._checks.at_work[self._members]
        condition = f"{name} IS NOT NULL"
        if channel.kind == "register":
            condition += f" AND r.{channel.power} * {channel.direction} > d.least"
        return least, name, condition

    def _devices(self) -> tuple[list[str], list[int], list[str]]:
        members = self._members.tolist()
        before = [stamp(us) for us in self._before.tolist()]
        return self._checks.fleet.ids(members), members, before

    def _since(self) -> list[str]:
        """Return when the limits in force at the time became valid; new limits start a new run."""
        version = self._checks.version(self._members, self._before - 1)
        return [stamp(us) for us in self._checks.begin_us[version].tolist()]
