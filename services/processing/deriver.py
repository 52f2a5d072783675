"""
Deriving of rows: readings in order continue the cached state, all others use `derive`.

`step` runs after the transactions that store readings, on a snapshot with exactly the noted
readings, and deletes the notes with the rows, so that an interruption loses nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import psycopg
from psycopg import Connection, Cursor
from psycopg.errors import UniqueViolation

from ingest.model import Fleet, Frame, Int32
from ingest.pipeline import MeterState
from ingest.pipeline.quality_state import NEAR_US
from ingest.pipeline.quality_tests import Judged
from services.clock import now_us
from services.processing import reprocess
from services.processing.batch import Arrived, Committed, DerivedSpan, joined, tried, without
from services.processing.derive import Backlog, Derived, Rows
from services.processing.flags_and_indicators import Changed, Quality, Touched, reaches
from services.processing.reprocess import expected
from services.settle import Plan, Settled, settle
from services.store import archive_catalog as archived
from services.store.postgres.binary_copy import Words
from services.store.postgres.columnstore import Verdict, verdict
from services.store.postgres.pool import FAR_US
from services.store.statements import late_readings
from services.store.statements.sealed_days import YOUNG_US
from services.store.timeseries import interval_rows as derived
from services.store.timeseries import quality_flags as flags
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries import remake_requests as requests
from services.store.timeseries.last_seen import newest_times
from services.store.timeseries.readings import Ahead
from services.store.timeseries.remake_requests import Request

# maximum readings waiting in memory; beyond it the storing thread waits
MAX_READINGS = 100_000
# maximum waiting time; then the waiting readings remain in the database only
_PATIENCE_S = 5.0


class Note(NamedTuple):
    """Readings of a commit that await derived rows, and their note numbers in the database."""

    numbers: tuple[int, ...]
    arrived: Arrived
    readings: int
    stored_s: float


class Notes:
    """
    Queue of notes in the order of their commits; a note lists readings whose rows are not derived
    yet.

    `gate`: held while a commit becomes visible and is added here.
    `lost`: whether the database may have notes that are not here.
    """

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.lost = True
        self._waiting: list[Note] = []
        self._room = threading.Condition()
        self._readings = 0
        self._taken_s: float | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting) or self.lost

    @property
    def readings(self) -> int:
        """Return the number of readings in the queue."""
        return self._readings

    def enter(self, notes: Sequence[Note]) -> None:
        """Add committed notes to the queue."""
        self._waiting.extend(notes)
        self._readings += sum(note.readings for note in notes)

    def take(self) -> list[Note]:
        """Return and remove all notes; the caller must hold `gate`."""
        notes, self._waiting, self._readings = self._waiting, [], 0
        if notes:
            self._taken_s = notes[0].stored_s
        return notes

    def derived(self) -> None:
        """Record that the rows of the readings taken are committed."""
        self._taken_s = None
        with self._room:
            self._room.notify_all()

    def clear(self) -> None:
        """Remove all noted readings; the database keeps them as requests. `gate` must be held."""
        self.take()
        self.lost = False
        self.derived()

    def wait_for_room(self) -> None:
        """Wait while the queue is full; beyond a time limit, notes stay in the database only."""
        with self._room:
            full = not self._room.wait_for(
                lambda: self._readings < MAX_READINGS, timeout=_PATIENCE_S
            )
        if full:
            with self.gate:
                self.take()
                self.lost = True

    def age_s(self) -> float:
        """Return how long the oldest reading without rows has waited. [s]"""
        waiting = [note.stored_s for note in self._waiting[:1]]
        since = self._taken_s if self._taken_s is not None else min(waiting, default=None)
        return 0.0 if since is None else time.monotonic() - since


@dataclass(frozen=True, slots=True)
class Made:
    """
    Derived rows of a step, and the state to adopt after its commit.

    `put_off`: devices whose rows are postponed. `newest`: the last readings of all devices.
    """

    committed: Committed
    settled: Settled
    judged: Judged
    again: Derived
    put_off: dict[int, Request]
    newest: dict[int, int]


class _Requested(NamedTuple):
    """Requests to derive rows from stored readings, and the devices with readings in order only."""

    requests: dict[int, Request]
    near: set[int]


class _GoneError(Exception):
    """Another process has processed this one's notes: the cached state is invalid."""


class Step(NamedTuple):
    """Result of one step; devices with an error keep their request."""

    notes: int
    committed: Committed
    derived_span: DerivedSpan
    refused: psycopg.Error | None


class Deriver:
    """Cached metering state of one registry version."""

    def __init__(self, plan: Plan, ids: Words) -> None:
        self.plan, self._ids = plan, ids
        self.state = MeterState(len(plan.fleet))
        self.notes = Notes()
        self._quality = Quality(plan, ids)
        self._rows = Rows(plan, ids)
        self._backlog = Backlog(self._rows)
        self._ours: Callable[[Fleet, str], bool] = lambda _fleet, _id: True
        # partitions whose notes this process takes; None: all notes
        self.homes: Callable[[], Collection[int] | None] = lambda: None

    def take_over(self, before: Deriver, here: Int32, there: Int32) -> None:
        """Copy devices' state at index `there` of an earlier registry version to index `here`."""
        self.state.take_over(before.state, here, there)
        self._quality.take_over(before._quality, here, there)
        # the database has notes of all readings that the earlier version has not derived
        self.notes.lost = bool(before.notes)

    def forget(self, devices: Int32 | None = None) -> None:
        """Discard the cached state of devices (all, if None)."""
        self.state.forget(devices)

    def look(self, connection: Connection, ours: Callable[[Fleet, str], bool]) -> int:
        """Load which devices have requests; return their number. See `Backlog.look`."""
        self._ours = ours
        return self._backlog.look(connection, ours)

    @property
    def behind(self) -> int:
        """Return the number of devices awaiting a recalculation, without queued readings."""
        return len(self._backlog)

    def make(self, cursor: Cursor, arrived: Arrived) -> Made:
        """
        Return rows derived from stored readings, in the caller's transaction.

        Readings in order continue the cached state; others are derived from the database. Call
        `remember` after the commit.
        """
        self._load(cursor, arrived)
        onward, touched = arrived.newest(), arrived.touched
        late = self._late(cursor, arrived, onward)
        judged = self._quality.store(cursor, without(arrived.onward, late.near))
        going, put_off = self._going(arrived, late, onward)
        settled = settle(self.plan, self.state, going)
        out = Committed(flags=flags.count(judged.flags))
        self._write_live(cursor, settled, out)
        touched.flows(settled.fresh.intervals)
        touched.flows(settled.open.intervals)
        newest = {d: max(int(self.state.last_us[d]), o.last_us) for d, o in onward.items()}
        again = self._again(cursor, late.requests, settled, newest, touched)
        put_off |= again.rest
        if put_off:
            requests.put_off(cursor, self.plan.fleet, put_off)
        out.rows += again.written
        out.rows["indicator_value"] += self._rows.settle_stations(cursor, touched, again.whole)
        out.flags += again.flags
        out.events = [*settled.metered.events, *again.remade.events]
        return Made(out, settled, judged, again, put_off, newest)

    def remember(self, made: Made, ended: Collection[int] = ()) -> Committed:
        """Adopt the committed state; return the result."""
        made.settled.metered.apply(self.state)
        made.judged.apply()
        self._quality.forget([*made.again.requests])
        self.forget(np.array(made.again.to_the_end, dtype=np.int32))
        for device, newest in made.newest.items():
            self.state.last_us[device] = max(int(self.state.last_us[device]), newest)
        for device in made.put_off.keys() - set(ended):
            self._backlog.add(device)
        return made.committed

    def step(self, connection: Connection, *, spans: bool) -> Step:
        """
        Derive noted readings, and with `spans` a span of requested devices; return the result.

        `connection`: connection in autocommit, with repeatable reads, used for nothing else.
        Raises psycopg.Error: nothing is stored.  The next step continues with the noted devices.
        """
        try:
            if self.notes.lost:
                self._fold(connection)
            taken: list[Note] = []
            return tried(lambda: self._step(connection, taken, spans=spans))
        # UniqueViolation: another process has derived rows too
        except (_GoneError, UniqueViolation):
            self.state.forget()
            self.notes.lost = True
            return Step(0, Committed(), DerivedSpan(), None)
        except BaseException:
            self.state.forget()
            self.notes.lost = True
            raise

    def _fold(self, connection: Connection) -> None:
        """Convert all notes into requests, as after a restart."""
        with self.notes.gate:
            self.notes.clear()  # notes that are lost from here on are converted in the next call
            with connection.transaction(), connection.cursor() as cursor:
                requests.fold(cursor, self.homes())
        self.state.forget()
        self.look(connection, self._ours)

    def _step(self, connection: Connection, taken: list[Note], *, spans: bool) -> Step:
        old = spans and self.behind > 0
        while True:
            # lock before the snapshot: a chunk dropped while waiting would be missing in both reads
            guard = archived.guarded(connection) if old else nullcontext()
            with guard, connection.transaction(), connection.cursor() as cursor:
                with self.notes.gate:
                    cursor.execute("SELECT 1")  # the snapshot begins here
                    if self.notes.lost:
                        raise _GoneError  # another process has taken the notes since they were read
                    taken += self.notes.take()
                stored = [note.arrived for note in taken]
                arrived = Arrived.together(stored, self.plan.fleet, self.state.last_us)
                if not old and arrived.first_us() < now_us() - YOUNG_US:
                    old = True
                    continue
                made = self._noted(cursor, arrived, taken) if taken else None
                derived_span, refused = self._more(connection) if spans else (DerivedSpan(), None)
            committed = self.remember(made, derived_span.ended) if made else Committed()
            self.state.forget(np.array(derived_span.ended, dtype=np.int32))
            self.notes.derived()
            return Step(len(taken), committed, derived_span, refused)

    def _noted(self, cursor: Cursor, arrived: Arrived, taken: Sequence[Note]) -> Made:
        made = self.make(cursor, arrived)
        rows = [made.settled.metered.rows, made.again.remade.rows()]
        late_readings.note_made(cursor, self.plan.fleet, [(r.device, r.start_us) for r in rows])
        if not requests.drop(cursor, [number for note in taken for number in note.numbers]):
            raise _GoneError
        return made

    def _more(self, connection: Connection) -> tuple[DerivedSpan, psycopg.Error | None]:
        """Derive a span of requested devices; return it, and the server's error if any."""
        if not self.behind:
            return DerivedSpan(), None
        try:
            return self._backlog.span(connection, lambda _: None, self.state.last_us), None
        except psycopg.Error as error:
            if verdict(error) is not Verdict.REFUSED:
                raise
            return DerivedSpan(), error

    def catch_up(self, connection: Connection, guard: Callable[[Cursor], object]) -> DerivedSpan:
        """
        Derive the next span of some devices with requests, and return it; see
        `Store.catch_up`.
        """
        try:
            derived_span = tried(lambda: self._backlog.span(connection, guard, self.state.last_us))
        except BaseException:
            self.state.forget()
            raise
        self.state.forget(np.array(derived_span.ended, dtype=np.int32))
        return derived_span

    def _load(self, cursor: Cursor, arrived: Arrived) -> None:
        """Load the state before new readings: stored rows and registers."""
        begins = {d: changed.first_us for d, changed in arrived.newest().items()}
        devices = begins.keys() | arrived.changed.keys()
        missing = [d for d in devices if not self.state.loaded[d]]
        if missing:
            near_us = newest_times(cursor, self.plan.fleet, missing)
            marks.load(cursor, self.plan.fleet, self.state, missing, near_us, begins)
            self._backlog.load(cursor, missing)
        unsure = [*missing, *self._quality.unsure(devices.difference(missing))]
        if unsure:
            self._quality.load(cursor, self.state, unsure)

    def _late(self, cursor: Cursor, arrived: Arrived, onward: Mapping[int, Changed]) -> _Requested:
        """
        Return requests for late readings; a request includes the readings in order soon
        after it.
        """
        again, near = {}, set()
        for device, end in reaches(cursor, self.plan, arrived.changed).items():
            changed = arrived.changed[device]
            if end + NEAR_US >= int(self.state.last_us[device]):
                near.add(device)
                changed = joined(changed, onward.get(device))
            again[device] = Request(*changed, whole=False, unjudged=True)
        return _Requested(again, near)

    def _going(
        self, arrived: Arrived, late: _Requested, onward: Mapping[int, Changed]
    ) -> tuple[list[Frame], dict[int, Request]]:
        """Return readings that continue the cached state, and requests for the others."""
        much = expected(self.plan.bounds, self.state, arrived.onward).too_much()
        since = {d: us + 1 for d, us in much.items() if d not in late.near}
        since |= dict.fromkeys(self._backlog.postponed_of(arrived), FAR_US)
        put_off = {}
        for device, us in since.items():
            request = late.requests.pop(device, None)
            if device in onward:
                first_us, last_us = onward[device]
                new = Request(min(first_us, us), last_us, whole=False)
                request = new if request is None else request.joined(new)
            assert request is not None  # noqa: S101 (it has readings here)
            put_off[device] = request
        return without(arrived.onward, put_off.keys() | late.near), put_off

    def _again(
        self,
        cursor: Cursor,
        again: dict[int, Request],
        settled: Settled,
        newest: Mapping[int, int],
        touched: Touched,
    ) -> Derived:
        """Return rows derived from the database by requests, as many as a transaction may hold."""
        fleet, state = self.plan.fleet, self.state
        last = {d: newest.get(d, int(state.last_us[d])) for d in again}
        known = {d: Ahead(0, r.from_us, r.last_us, last[d], None) for d, r in again.items()}
        bare = marks.bare(fleet, state, [d for d in again if not self._backlog.waits(d)])
        for quantity, ends in settled.metered.ends:
            for device in bare.keys() & set(ends.device.tolist()):
                # the register now has a reading, and so a checkpoint
                bare[device].discard(quantity)
        for device, us in settled.metered.rewrites.items():
            again[device] = Request(us, FAR_US, whole=False).joined(again.get(device))
            known.pop(device, None)
            bare.pop(device, None)
        out = Derived(again)
        while out.rest and out.size <= reprocess.MAX_ROWS:
            out.go_on(self._rows.derive(cursor, out.rest, touched, known, bare))
            known, bare = {}, {}
        return out

    def _write_live(self, cursor: Cursor, settled: Settled, out: Committed) -> None:
        both, words = ((settled.fresh, True), (settled.open, False)), self._rows.words
        rows = [(r.device, r.start_us) for p, _ in both for r in (p.intervals, p.emissions)]
        with requests.noted(cursor, self.plan.fleet, rows):
            for part, fresh in both:
                derived.write_intervals(cursor, self._ids, part.intervals, fresh=fresh)
                derived.write_emissions(cursor, self._ids, words, part.emissions, fresh=fresh)
                out.rows["interval_quantity"] += len(part.intervals)
                out.rows["interval_emission"] += len(part.emissions)
