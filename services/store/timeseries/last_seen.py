"""
Last contact of devices, offsets of their clocks, and arrival times of readings.

Last contact: one row per device, with which device lists are fast.  A device's first contact, and
the first reading in each 15-minute interval of today, are written with the reading; the time of the
newest reading is written every `EVERY_S`.  Times only increase and intervals are only added, so
order and repetition have no effect.

Clock offset: the minimum delay of a day's readings, which is the offset of the clock plus the
transmission time.  Buffered and repeated readings do not change the minimum.  It is stored to 0.1 s
below an hour, else to the hour, so that a backlog does not write a row for each reading.

Arrivals: readings are counted by their hour and the hour of arrival, in the transaction that stores
them.  `pack` combines the rows of a past day into one per device.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, Cursor

from ingest.model import HOUR_US, INTERVAL_US, Fleet, Frame, Int32, Int64
from mrv.calendar import local_date, midnight_us, utc_text
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import of_ids, of_numbers, stamp

EVERY_S = 10.0
QUARTERS = (
    100  # number of 15-minute intervals of a 25-hour day; the last one includes all later ones
)
_NO_TIME = -1
_WRITE = (
    "INSERT INTO device_seen AS s (device_id, last_reading, received, day, quarters)"
    " SELECT d.id, to_timestamp(d.last / 1e6), to_timestamp(d.received / 1e6), d.day, d.bits"
    " FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::date[], %s::bit(100)[])"
    " AS d (id, last, received, day, bits) ORDER BY d.id"
    " ON CONFLICT (device_id) DO UPDATE SET"
    " last_reading = greatest(s.last_reading, excluded.last_reading),"
    " received = greatest(s.received, excluded.received), day = greatest(s.day, excluded.day),"
    " quarters = CASE WHEN s.day = excluded.day THEN s.quarters | excluded.quarters"
    " WHEN s.day > excluded.day THEN s.quarters ELSE excluded.quarters END"
)


class Written(NamedTuple):
    """Devices written in a transaction, with the times of their newest readings, for `remember`."""

    device: NDArray[np.intp]
    last_us: Int64
    whole: bool


class Seen:
    """Last contact times of a fleet's devices, and which of them are stored."""

    def __init__(self, fleet: Fleet) -> None:
        n = len(fleet)
        self._fleet = fleet
        self._last: Int64 = np.full(n, _NO_TIME, dtype=np.int64)
        self._stored: Int64 = np.full(n, _NO_TIME, dtype=np.int64)
        self._received: Int64 = np.zeros(n, dtype=np.int64)
        self._quarters = np.zeros((n, QUARTERS), dtype=np.bool_)
        self._days = _Days(fleet)
        self._written_s = 0.0

    def take_over(self, before: Seen, here: Int32, there: Int32, now_us: int) -> None:
        """
        Copy the state of devices from `before`, an earlier fleet's.

        `here`, `there`: their indices in this and in the earlier fleet.
        """
        for name in ("_last", "_stored", "_received"):
            getattr(self, name)[here] = getattr(before, name)[there]
        self._days.turn(now_us)
        # only devices whose day and time zone are the same
        same = self._days.midnight_us[here] == before._days.midnight_us[there]
        self._quarters[here[same]] = before._quarters[there[same]]
        self._written_s = before._written_s

    def observe(self, cursor: Cursor, frames: Sequence[Frame], messages: Letters) -> Written:
        """
        Add a batch of readings, and write times that are due; return them for `remember` after the
        commit.
        """
        fresh = np.zeros(len(self._fleet), dtype=np.bool_)
        for frame in frames:
            received = _received(frame, messages)
            self._quarters[self._days.turn(int(received.max()))] = False
            np.maximum.at(self._last, frame.device, frame.time_us)
            np.maximum.at(self._received, frame.device, received)
            fresh[self._add_quarters(frame)] = True
        # the first reading of a device is written immediately, also one of an earlier day
        fresh |= (self._stored == _NO_TIME) & (self._last != _NO_TIME)
        whole = time.monotonic() - self._written_s > EVERY_S
        if whole:
            fresh |= self._last > self._stored
        return self._write(cursor, np.flatnonzero(fresh), whole=whole)

    def flush(self, connection: Connection) -> None:
        """Write times that are not stored yet; called while no batch arrives."""
        waiting = np.flatnonzero(self._last > self._stored)
        if len(waiting) and time.monotonic() - self._written_s > EVERY_S:
            with connection.transaction(), connection.cursor() as cursor:
                written = self._write(cursor, waiting, whole=True)
            self.remember(written)

    def remember(self, written: Written) -> None:
        """Mark committed times as stored."""
        self._stored[written.device] = written.last_us
        if written.whole:
            self._written_s = time.monotonic()

    def forget(self) -> None:
        """Mark the last batch as not stored, so that its intervals are written again."""
        self._quarters[:] = False

    def _add_quarters(self, frame: Frame) -> NDArray[np.int32]:
        """Add the readings' intervals of today; return the devices with new intervals."""
        since = frame.time_us - self._days.midnight_us[frame.device]
        quarter = since // INTERVAL_US
        today = (since >= 0) & (frame.time_us < self._days.next_us[frame.device])
        device, quarter = frame.device[today], np.minimum(quarter[today], QUARTERS - 1)
        new = ~self._quarters[device, quarter]
        self._quarters[device[new], quarter[new]] = True
        marked: NDArray[np.int32] = device[new]
        return marked

    def _write(self, cursor: Cursor, device: NDArray[np.intp], *, whole: bool) -> Written:
        if len(device):
            text = np.where(self._quarters[device], "1", "0")
            bits = text.view(f"<U{QUARTERS}").ravel().tolist()
            rows = (
                self._fleet.ids(device.tolist()),
                self._last[device].tolist(),
                self._received[device].tolist(),
                self._days.dates(device),
                bits,
            )
            cursor.execute(_WRITE, rows)
        return Written(device, self._last[device].copy(), whole)


class _Days:
    """Current local day of each device's site: its start and end. [us UTC]"""

    def __init__(self, fleet: Fleet) -> None:
        n = len(fleet)
        self.midnight_us: Int64 = np.zeros(n, dtype=np.int64)
        self.next_us: Int64 = np.zeros(n, dtype=np.int64)
        zones: dict[str, list[int]] = {}
        for index, device in enumerate(fleet.devices):
            zones.setdefault(device.timezone, []).append(index)
        self._zones = {name: np.array(result, dtype=np.intp) for name, result in zones.items()}
        self._names = [device.timezone for device in fleet.devices]
        self._ends: dict[str, int] = dict.fromkeys(zones, 0)
        self._dates: dict[str, str] = dict.fromkeys(zones, "")

    def turn(self, now_us: int) -> NDArray[np.intp]:
        """Move to the local days at `now_us`; return the devices whose day changed."""
        turned = [np.empty(0, dtype=np.intp)]
        for name, members in self._zones.items():
            if now_us < self._ends[name]:
                continue
            today = local_date(now_us, name)
            begin, end = (midnight_us(day, name) for day in (today, today + timedelta(days=1)))
            self.midnight_us[members], self.next_us[members] = begin, end
            self._ends[name], self._dates[name] = end, today.isoformat()
            turned.append(members)
        return np.concatenate(turned)

    def dates(self, device: NDArray[np.intp]) -> list[str]:
        """Return each device's local date."""
        return [self._dates[self._names[index]] for index in device.tolist()]


def _received(frame: Frame, messages: Letters) -> Int64:
    when = messages.received_us
    if isinstance(when, int):
        return np.full(len(frame), when, dtype=np.int64)
    return np.asarray(when, dtype=np.int64)[frame.message]


def newest_times(cursor: Cursor, fleet: Fleet, devices: Sequence[int]) -> dict[int, int]:
    """
    Return the approximate time of devices' newest reading, by fleet index. [us UTC]
    Devices without readings are omitted.  The stored time is slightly older than the newest
    reading, as it is written every `EVERY_S`.
    """
    cursor.execute(
        "SELECT device_id, (extract(epoch FROM last_reading) * 1000000)::bigint FROM device_seen"
        " WHERE device_id = ANY(%s)",
        (fleet.ids(list(devices)),),
    )
    return {fleet.by_id[name]: us for name, us in cursor.fetchall()}


def see(connection: Connection) -> None:
    """Update last contacts from stored readings, needed after a crash."""
    connection.execute("SELECT tonne_see_devices()")


def since_received_s(connection: Connection) -> float | None:
    """Return the time since the last received reading; None if there is none. [s]"""
    row = connection.execute(
        "SELECT extract(epoch FROM clock_timestamp() - max(received))::double precision"
        " FROM device_seen"
    ).fetchone()
    return None if row is None or row[0] is None else float(row[0])


_DAY_US = 86_400_000_000
_TENTH_US = 100_000
_NONE = np.iinfo(np.int64).max


class Clocks:
    """Stored minimum delays of each device's newest day of receipt, by fleet index."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._day = np.full(len(fleet), -1, dtype=np.int64)
        self._least: Int64 = np.full(len(fleet), _NONE, dtype=np.int64)

    def take_over(self, before: Clocks, here: Int32, there: Int32) -> None:
        """
        Copy the state of devices from `before`, an earlier fleet's.

        `here`, `there`: their indices in this and in the earlier fleet.
        """
        self._day[here], self._least[here] = before._day[there], before._least[there]

    def observe(
        self, cursor: Cursor, frames: Sequence[Frame], messages: Letters
    ) -> list[tuple[int, int, int]]:
        """
        Store minimum delays that are lower than the stored ones; return them for `remember`.

        Each row: fleet index, day of receipt [days since 1970], delay [us].
        """
        result: dict[tuple[int, int], int] = {}
        for frame in frames:
            device, day, least = _least(frame, messages)
            new = (day != self._day[device]) | (least < self._least[device])
            columns = (c[new].tolist() for c in (device, day, least))
            for index, on, lag in zip(*columns, strict=True):
                result[index, on] = min(lag, result.get((index, on), lag))
        rows = [(index, on, lag) for (index, on), lag in sorted(result.items())]
        if rows:
            indices, days, lags = zip(*rows, strict=True)
            cursor.execute(
                "INSERT INTO clock_lag AS c (device_id, day, least_us)"
                " SELECT d.id, date '1970-01-01' + d.day, d.least"
                " FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS d (id, day, least)"
                " ON CONFLICT (device_id, day) DO UPDATE SET least_us = excluded.least_us"
                " WHERE excluded.least_us < c.least_us",
                (self._fleet.ids(indices), list(days), list(lags)),
            )
        return rows

    def remember(self, rows: Sequence[tuple[int, int, int]]) -> None:
        """Mark committed minimum delays as stored."""
        for device, day, least in rows:
            if day > self._day[device]:
                self._day[device], self._least[device] = day, least
            elif day == self._day[device]:
                self._least[device] = min(least, self._least[device])


def _least(frame: Frame, messages: Letters) -> tuple[Int32, Int64, Int64]:
    """Return the minimum delays by device and day of receipt: devices, days, delays [us]."""
    received = messages.received_us
    if isinstance(received, int):
        received_us: Int64 = np.full(len(frame), received, dtype=np.int64)
    else:
        received_us = np.asarray(received, dtype=np.int64)[frame.message]
    lag = received_us - frame.time_us
    lag -= lag % np.where(np.abs(lag) < HOUR_US, _TENTH_US, HOUR_US)
    day = received_us // _DAY_US
    order = np.lexsort((lag, day, frame.device))
    device, day = frame.device[order], day[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (device[1:] != device[:-1]) | (day[1:] != day[:-1])
    return device[new], day[new], lag[order][new]


# age from which arrivals are stored by day instead of hour [days]
HOURLY_RETENTION_DAYS = 7
_AT_ONCE = 500  # devices per transaction
_NOTE = (
    "INSERT INTO arrival_count AS a (device_id, made, arrived, readings)"
    " SELECT d.id, to_timestamp(d.made * 3600), to_timestamp(d.arrived * 3600), d.readings"
    " FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])"
    " AS d (id, made, arrived, readings) ORDER BY d.id, d.made, d.arrived"
    " ON CONFLICT (device_id, made, arrived)"
    " DO UPDATE SET readings = a.readings + excluded.readings"
)


class Summed(NamedTuple):
    """
    Arrivals of a device's day.

    `day`: index among the requested days.  `readings`, `late`: numbers of readings, and of late
    ones.
    `hours`, `span`: numbers of different hours of arrival, and of readings.
    """

    device: str
    day: int
    readings: int
    late: int
    hours: int
    span: int


def note(cursor: Cursor, fleet: Fleet, stored: Sequence[Frame], messages: Letters) -> None:
    """
    Count stored readings by their hour and the hour of arrival.
    `stored`: new readings, and readings with filled channels; without repetitions.
    `messages`: time of receipt of each message.
    """
    if not any(map(len, stored)):
        return
    device = np.concatenate([frame.device for frame in stored])
    made = np.concatenate([frame.time_us // HOUR_US for frame in stored])
    arrived = np.concatenate([_received_us(frame, messages) // HOUR_US for frame in stored])
    order = np.lexsort((arrived, made, device))
    key = np.stack((device, made, arrived))[:, order]
    begins = np.flatnonzero(np.r_[True, (key[:, 1:] != key[:, :-1]).any(axis=0)])
    numbers = (*key[1:, begins], np.diff(begins, append=len(order)))
    ids = [fleet.devices[d].id for d in key[0, begins].tolist()]
    cursor.execute(_NOTE, (of_ids(ids), *(of_numbers(column.tolist()) for column in numbers)))


def _received_us(frame: Frame, messages: Letters) -> Int64:
    when = messages.received_us
    if isinstance(when, int):
        return np.full(len(frame), when, dtype=np.int64)
    return np.asarray(when, dtype=np.int64)[frame.message]


def by_day(
    cursor: Cursor,
    ids: Sequence[str],
    span_us: tuple[int, int],
    days_us: Sequence[int],
    late_us: int,
) -> list[Summed]:
    """
    Return the arrivals of readings by device and day.

    `span_us`: span of the readings, end excluded. [us UTC]
    `days_us`: starts of consecutive days that contain the span, and the end of the last.  An hour
    belongs to the day in which it begins. [us UTC]
    `late_us`: delay after the end of the day from which an arrival is late. [us]
    """
    cursor.execute(
        "WITH c AS (SELECT device_id, width_bucket(made, %(edges)s::timestamptz[]) AS day, made,"
        " arrived, readings FROM tonne_arrivals(%(ids)s, %(from)s, %(to)s))"
        " SELECT device_id, day, sum(readings)::bigint,"
        " coalesce(sum(readings) FILTER (WHERE arrived >= (%(late)s::timestamptz[])[day]), 0)"
        "::bigint, count(DISTINCT arrived), count(DISTINCT made) FROM c"
        " GROUP BY device_id, day ORDER BY device_id, day",
        {
            "ids": list(ids),
            "from": stamp(span_us[0]),
            "to": stamp(span_us[1]),
            "edges": [stamp(us) for us in days_us],
            "late": [stamp(end + late_us) for end in days_us[1:]],
        },
    )
    return [Summed(str(d), int(day) - 1, *map(int, more)) for d, day, *more in cursor.fetchall()]


def not_on_time(
    cursor: Cursor, ids: Sequence[str], from_us: int, to_us: int, late_us: int
) -> dict[str, tuple[int, int]]:
    """
    Return the hours of readings, and of their arrivals, of devices that always sent late.

    These are devices whose first reading of the span, and all readings before it, were late.
    `from_us`, `to_us`: span of the readings, end excluded. [us UTC]
    `late_us`: delay after its hour from which a reading is late. [us]
    Returns, by device: whole hours from the first to the last reading, and between their arrivals.
    """
    cursor.execute(
        "WITH c AS (SELECT device_id, made, min(arrived) AS arrived"
        " FROM tonne_arrivals(%(ids)s, %(from)s, %(to)s) GROUP BY device_id, made),"
        " e AS (SELECT device_id, min(made) AS made, max(made) AS last,"
        " (array_agg(arrived ORDER BY made))[1] AS arrived,"
        " (array_agg(arrived ORDER BY made DESC))[1] AS ended FROM c GROUP BY device_id)"
        " SELECT device_id, (extract(epoch FROM last - made) / 3600)::bigint + 1,"
        " (extract(epoch FROM ended - arrived) / 3600)::bigint + 1 FROM e"
        " WHERE arrived - made > %(late)s AND NOT EXISTS (SELECT FROM"
        " tonne_arrivals(ARRAY[e.device_id], '2000-01-01', %(from)s) AS b"
        " WHERE b.arrived - b.made <= %(late)s) ORDER BY device_id",
        {
            "ids": list(ids),
            "from": stamp(from_us),
            "to": stamp(to_us),
            "late": timedelta(microseconds=late_us),
        },
    )
    return {str(d): (int(answer), max(0, int(passed))) for d, answer, passed in cursor.fetchall()}


def by_hour(cursor: Cursor, ids: Sequence[str], from_us: int, to_us: int) -> dict[str, int]:
    """Return the number of a span's readings by hour of arrival, as UTC text."""
    cursor.execute(
        "SELECT (extract(epoch FROM arrived) * 1000000)::bigint, sum(readings)::bigint"
        " FROM tonne_arrivals(%s, %s, %s) GROUP BY arrived ORDER BY arrived",
        (list(ids), stamp(from_us), stamp(to_us)),
    )
    return {utc_text(int(us)): int(count) for us, count in cursor.fetchall()}


def arriving(conn: Connection, ids: Sequence[str], from_us: int, to_us: int) -> dict[str, int]:
    """
    Return the number of a span's readings that arrived in the current or the previous hour, by
    device.
    `from_us`, `to_us`: span of the readings in whole hours, end excluded. [us UTC]
    """
    rows = conn.execute(
        "SELECT device_id, sum(readings)::bigint FROM arrival_count WHERE device_id = ANY(%s)"
        " AND made >= date_trunc('hour', %s::timestamptz) AND made < %s"
        " AND arrived >= date_trunc('hour', now()) - INTERVAL '1 hour' GROUP BY device_id",
        (list(ids), stamp(from_us), stamp(to_us)),
    )
    return {str(device): int(count) for device, count in rows.fetchall()}


def pack(conn: Connection, before: date) -> None:
    """Combine arrivals before a UTC day into one row per device and day, in several commits."""
    beyond: str | None = ""
    while beyond is not None:
        row = conn.execute(
            "SELECT tonne_pack_arrivals(%s, %s, %s)", [before, beyond, _AT_ONCE]
        ).fetchone()
        beyond = None if row is None else row[0]
