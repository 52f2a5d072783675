"""
Batch of readings: storing, its result, and its division if the server refuses it.

A row is certainly new if it is later than all stored ones of its device and occurs once in the
batch; it is written by COPY.  Others are merged with stored and archived rows; different values are
rejected as a conflict.

A refused batch is halved until the message at fault is alone, which becomes a dead letter with the
server's error.  Parts keep the order of arrival.  All parts are in one transaction with savepoints,
and so is the batch's state such as an offset: after a crash the whole batch comes again.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

import msgspec
import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import Cursor

from ingest.decode import Rejected
from ingest.model import Fleet, Frame, Int64
from ingest.mqtt import device_of
from ingest.reading import SIGNED_VALUE
from mrv.errors import SignedValueError
from mrv.signed_values import DatedKey, Item, check_item, of_device, plain
from mrv.signed_values.meter_keys import parse_key
from services.logs import get_logger
from services.processing.flags_and_indicators import Changed, Touched
from services.store import archived_readings as cold
from services.store.dead_letter_write import Letters
from services.store.postgres.binary_copy import Words
from services.store.postgres.columnstore import Verdict, verdict, words
from services.store.postgres.pool import FAR_US, stamp
from services.store.registry.entries_from_rows import METER_KEYS
from services.store.statements.late_readings import Completed
from services.store.timeseries import readings, remake_requests


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Data to store in one transaction.

    `frames`: accepted readings, in order of arrival.
    `rejected`: rejected messages so far; conflicts are added.
    `messages`: the messages themselves, for dead letters.
    `trust`: whether a reading later than its device's last one is stored as new without a check.
    """

    frames: Sequence[Frame]
    rejected: Sequence[Rejected]
    messages: Letters
    trust: bool = True

    def numbers(self) -> list[int]:
        """
        Return the numbers of the messages with readings or a rejection here, in order
        of arrival.
        """
        result = {refusal.message for refusal in self.rejected}
        for frame in self.frames:
            result.update(np.unique(frame.message).tolist())
        return sorted(result)

    def of(self, numbers: Collection[int]) -> Batch:
        """Return the part of the batch from given messages."""
        index = np.array(sorted(numbers), dtype=np.int32)
        frames = [frame.take(np.isin(frame.message, index)) for frame in self.frames]
        return replace(
            self,
            frames=[frame for frame in frames if len(frame)],
            rejected=[refusal for refusal in self.rejected if refusal.message in numbers],
        )

    def refused(self, reason: str, detail: str) -> Batch:
        """Return the batch with all messages refused."""
        refusals = [Rejected(number, reason, detail) for number in self.numbers()]
        return Batch([], refusals, self.messages)


@dataclass(slots=True)
class Committed:
    """Result of a batch, for metrics and receipts."""

    rows: Counter[str] = field(default_factory=Counter)
    events: list[str] = field(default_factory=list)
    flags: Counter[str] = field(default_factory=Counter)
    late: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    signed: Counter[str] = field(default_factory=Counter)

    def add(self, other: Committed) -> None:
        """Add the result of another transaction."""
        self.rows += other.rows
        self.events += other.events
        self.flags += other.flags
        self.late += other.late
        self.rejected += other.rejected
        self.left_out += other.left_out
        self.signed += other.signed


@dataclass(frozen=True, slots=True)
class DerivedSpan:
    """
    Result of deriving a span of devices with requests.

    `ended`: completed devices.  `dropped`: ids no longer in the registry.  `moved`: devices whose
    request is shortened, but not finished.
    """

    ended: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    committed: Committed = field(default_factory=Committed)

    def __bool__(self) -> bool:
        return bool(self.ended or self.moved or self.dropped)


_T = TypeVar("_T")
UNSTORABLE = "unstorable"
_TRIES = 5
_FIRST_PAUSE_S = 0.02


class Commit(Protocol):
    """
    Stores a batch in one transaction; with `last` also its other state, such as the offset.

    Inside another transaction it uses a savepoint.
    """

    def __call__(self, batch: Batch, *, last: bool) -> Committed:
        """Return the result once the batch is durable, or part of the enclosing transaction."""


def in_parts(
    batch: Batch, commit: Commit, around: Callable[[], AbstractContextManager[object]]
) -> Committed:
    """
    Store a batch whole or in parts; return the result once it is durable.

    `around`: opens the transaction that holds all parts; see `Store.around`.
    Raises psycopg.Error: the server is unreachable; or the error concerns no message, but for
    example the offset.
    """
    try:
        return tried(partial(commit, batch, last=True))
    except psycopg.Error as error:
        parts = deque(_apart(batch, error))
    with around():
        out = _stored(parts, commit)
        out.add(tried(partial(commit, Batch([], [], batch.messages), last=True)))
    return out


def _stored(parts: deque[Batch], commit: Commit) -> Committed:
    """Store each part, or its own parts after an error; return the result."""
    out = Committed()
    while parts:
        part = parts.popleft()
        try:
            out.add(tried(partial(commit, part, last=False)))
        except psycopg.Error as error:
            parts.extendleft(reversed(_apart(part, error)))
    return out


def tried(commit: Callable[[], _T]) -> _T:
    """Return the result of a commit, repeated a few times if transactions collide."""
    for n in range(_TRIES):
        try:
            return commit()
        except psycopg.Error as error:
            if verdict(error) is not Verdict.AGAIN:
                raise
            time.sleep(_FIRST_PAUSE_S * 2**n)
    return commit()


def _apart(batch: Batch, error: psycopg.Error) -> list[Batch]:
    """
    Return parts of a batch that the server rejected: two halves, or its only message as rejected.

    Raises psycopg.Error, the given error, if the server is unreachable or no message is at fault.
    """
    numbers = batch.numbers()
    if verdict(error) is Verdict.WAIT or not numbers:
        raise error
    half = len(numbers) // 2
    if half:
        return [batch.of(set(numbers[:half])), batch.of(set(numbers[half:]))]
    if any(refusal.reason == UNSTORABLE for refusal in batch.rejected):
        raise error  # the message fails alone, and even its dead letter cannot be stored
    message = f"the database rejected it: {words(error)}; nothing of the message was stored"
    return [batch.refused(UNSTORABLE, message)]


@dataclass(frozen=True, slots=True)
class Arrived:
    """
    Stored readings, by their effect on derived rows.

    `onward`: readings later than all stored ones of their device.
    `changed`: late readings that changed stored data, by fleet index.
    `touched`: affected hours and days of stations.
    `stored`: new readings.
    `completed`: existing readings whose empty channels were filled.
    """

    onward: list[Frame]
    changed: dict[int, Changed]
    touched: Touched
    stored: list[Frame]
    completed: list[Completed]

    @property
    def every(self) -> list[Frame]:
        """Return the readings that changed stored rows."""
        return [*self.stored, *(completed.frame for completed in self.completed)]

    @staticmethod
    def together(parts: Sequence[Arrived], fleet: Fleet, last_us: Int64) -> Arrived:
        """Return successive transactions as one, for a common derivation."""
        out = Arrived([], {}, Touched(fleet, last_us), [], [])
        of_class: dict[str, list[Frame]] = {}
        for part in parts:
            for frame in part.onward:
                of_class.setdefault(frame.class_id, []).append(frame)
            for device, changed in part.changed.items():
                out.changed[device] = joined(changed, out.changed.get(device))
            out.touched.join(part.touched)
        out.onward.extend(map(Frame.concat, of_class.values()))
        return out

    def without(self, devices: Collection[int]) -> Arrived:
        """Return the data without the readings of given devices."""
        self.touched.drop(devices)
        changed = {d: changed for d, changed in self.changed.items() if d not in devices}
        return replace(self, onward=without(self.onward, devices), changed=changed)

    def first_us(self) -> int:
        """Return the time of the earliest reading without derived rows. [us UTC]"""
        onward = (int(frame.time_us.min()) for frame in self.onward if len(frame))
        return min([*onward, *(c.first_us for c in self.changed.values())], default=FAR_US)

    def spans(self) -> dict[int, Changed]:
        """Return the first and last of each device's readings without derived rows. [us UTC]"""
        changed = self.newest()
        for device, item in self.changed.items():
            changed[device] = joined(item, changed.get(device))
        return changed

    def newest(self) -> dict[int, Changed]:
        """Return each device's first and last readings later than the stored ones. [us UTC]"""
        changed: dict[int, Changed] = {}
        for frame in self.onward:
            device, of = np.unique(frame.device, return_inverse=True)
            first = np.full(len(device), FAR_US, dtype=np.int64)
            last = -first
            np.minimum.at(first, of, frame.time_us)
            np.maximum.at(last, of, frame.time_us)
            edges = map(Changed, first.tolist(), last.tolist())
            more = dict(zip(device.tolist(), edges, strict=True))
            for index in changed.keys() & more.keys():
                more[index] = joined(more[index], changed[index])
            changed |= more
        return changed


def joined(changed: Changed, other: Changed | None) -> Changed:
    """Return the span from the earlier start to the later end; `changed` if `other` is None."""
    if other is None:
        return changed
    return Changed(min(changed.first_us, other.first_us), max(changed.last_us, other.last_us))


def without(frames: Sequence[Frame], devices: Collection[int]) -> list[Frame]:
    """Return frames without the readings of given devices."""
    if not devices:
        return list(frames)
    index = np.array(sorted(devices), dtype=np.int32)
    kept = [frame.take(~np.isin(frame.device, index)) for frame in frames]
    return [frame for frame in kept if len(frame)]


def store_readings(
    cursor: Cursor, fleet: Fleet, ids: Words, last_us: Int64, batch: Batch, out: Committed
) -> Arrived:
    """
    Store a batch's readings, and return their effect.

    Parameters
    ----------
    last_us : int64 array, by fleet index
        Time of each device's newest stored reading. [us UTC]
    out : Committed
        Receives counts of rows, and conflicts.
    """
    fresh, others = [], []
    touched = Touched(fleet, last_us)
    for frame in batch.frames:
        order, new = _new_for_sure(frame, last_us)
        if not batch.trust:
            new[:] = False
        fresh.append(frame.take(order[new[order]]))
        others.append(frame.take(~new))
    fresh = [frame for frame in fresh if len(frame)]
    for frame in fresh:
        readings.copy_new(cursor, ids, frame)
        touched.readings(frame)
        out.rows[f"reading_{frame.class_id}"] += len(frame)
    arrived = Arrived(fresh, {}, touched, list(fresh), [])
    _merge(cursor, fleet, ids, [f for f in others if len(f)], out, arrived)
    remake_requests.mark_late_days(cursor, fleet, arrived.every)
    return arrived


def _new_for_sure(frame: Frame, last_us: Int64) -> tuple[Int64, NDArray[np.bool_]]:
    """
    Return rows in order of device and time, and a mask of certainly new ones.

    In the order of the table's key a COPY takes a quarter less server time.
    """
    fresh = frame.time_us > last_us[frame.device]
    order = np.lexsort((np.arange(len(frame)), frame.time_us, frame.device))
    device, time_us = frame.device[order], frame.time_us[order]
    again = np.zeros(len(order), dtype=np.bool_)
    again[1:] = (device[1:] == device[:-1]) & (time_us[1:] == time_us[:-1])
    fresh[order[again]] = False
    return order, fresh


def _merge(
    cursor: Cursor,
    fleet: Fleet,
    ids: Words,
    frames: Sequence[Frame],
    out: Committed,
    arrived: Arrived,
) -> None:
    """Merge rows that may exist, and record readings that changed stored ones."""
    names = [device.id for device in fleet.devices] if frames else []
    for frame in frames:
        merged = _merge_stored(cursor, ids, names, frame)
        out.rows[f"reading_{frame.class_id}"] += len(merged.changed)
        out.late += len(merged.changed)
        added = [row for row in merged.changed if row not in merged.filled]
        filled = [row for row in merged.changed if row in merged.filled]
        arrived.stored.append(_rows(frame, added))
        if filled:
            channels = [merged.filled[row] for row in filled]
            arrived.completed.append(Completed(_rows(frame, filled), channels))
        arrived.touched.readings(_rows(frame, merged.changed))
        for row in merged.conflicts:
            device = fleet.devices[frame.device[row]].id
            detail = f"{device} at {stamp(int(frame.time_us[row]))} has other values"
            out.rejected.append(Rejected(int(frame.message[row]), "conflict", detail))
        for row in merged.changed:
            index, us = int(frame.device[row]), int(frame.time_us[row])
            arrived.changed[index] = joined(Changed(us, us), arrived.changed.get(index))


def _rows(frame: Frame, rows: Sequence[int]) -> Frame:
    return frame.take(np.array(rows, dtype=np.intp))


def _merge_stored(
    cursor: Cursor, words: Words, ids: Sequence[str], frame: Frame
) -> readings.Merged:
    """Merge a frame's new rows with stored and archived ones; return the result by row."""
    split = cold.split(cursor, ids, frame)
    merged = readings.merge(cursor, words, split.frame)
    row = split.rows.tolist()
    return readings.Merged(
        [row[i] for i in merged.changed],
        split.conflicts + [row[i] for i in merged.conflicts],
        split.filled | {row[i]: channels for i, channels in merged.filled.items()},
    )


_ENDED = "ended"
_MAX_LOGGED = 100


class _Note(msgspec.Struct):
    data: str


class Signatures:
    """
    Verifies the signed values of batches by one registry version.

    Keys are loaded with the first signed value.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._keys: Mapping[str, Sequence[DatedKey]] | None = None
        self._logged: set[str] = set()

    def judge(self, cursor: Cursor, noted: Sequence[Rejected], messages: Letters) -> Counter[str]:
        """Return the numbers of values by result: verified, refused, not checked."""
        result: Counter[str] = Counter()
        for rejected in noted:
            if rejected.reason != SIGNED_VALUE:
                continue
            if self._keys is None:
                self._keys = self._load(cursor)
            data = msgspec.json.decode(rejected.detail, type=_Note).data
            text = plain(data) if data else b64encode(messages.payloads[rejected.message]).decode()
            device = device_of(messages.topics[rejected.message], self._fleet)
            outcome = of_device(check_item(Item(text), self._keys), device)
            result[outcome.outcome] += 1
            if outcome.outcome == "refused":
                self._log_invalid(device, outcome.detail)
        return result

    def _log_invalid(self, device: str | None, why: str) -> None:
        """Log an invalid signature, once per device."""
        name = device or "?"
        if name not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(name)
            get_logger("signatures").warning("signature rejected", device=name, why=why[:300])

    def _load(self, cursor: Cursor) -> dict[str, list[DatedKey]]:
        every = METER_KEYS.load(cursor)
        rows = cursor.execute("SELECT id, serial FROM device WHERE serial IS NOT NULL").fetchall()
        serials: dict[str, str] = {str(name): str(serial) for name, serial in rows}
        behind: dict[str, dict[str, str]] = {}
        for device in self._fleet.devices:
            own = dict.fromkeys(filter(None, (device.id, serials.get(device.id))), device.id)
            for signer in {device.id, device.gateway or device.id}:
                behind.setdefault(signer, {}).update(own)
        result: dict[str, list[DatedKey]] = {}
        for holder, keys in every.items():
            for meter_key in keys:
                try:
                    key = None if meter_key.key == _ENDED else parse_key(meter_key.key)
                except SignedValueError:
                    continue  # this machine's library does not support that kind of signature
                dated = DatedKey(key, meter_key.begins, holder, behind.get(holder, {}))
                for name in dict.fromkeys(filter(None, (holder, serials.get(holder)))):
                    result.setdefault(name, []).append(dated)
        return result
