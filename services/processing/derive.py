"""
What follows from stored readings: flags, intervals, emissions, values of stations.

Readings later than anything their device had go on from remembered marks.  What late ones
touch is made again from stored readings.  `step` does it behind the transactions that store
readings, from a snapshot that holds exactly what was noted, and takes the notes away with the
rows: whatever ends it, the next one begins where it began.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import psycopg
from psycopg import Connection, Cursor
from psycopg.errors import UniqueViolation

from ingest.model import Fleet, Int32
from ingest.pipeline import FROM_START, MeterState
from ingest.pipeline.meter_state import NEVER
from ingest.pipeline.quality_state import NEAR_US
from services.clock import now_us
from services.processing import reprocess as late
from services.processing import station_indicators as stations
from services.processing import windows
from services.processing.affected_periods import Touched
from services.processing.backlog import Backlog
from services.processing.batch import Answered, Committed
from services.processing.bounds import expected
from services.processing.notes import Note, Notes
from services.processing.parts import tried
from services.processing.quality_pass import Quality, Stored
from services.processing.rejudge import Changed, reaches
from services.processing.store_readings import Arrived, joined, without
from services.settle import Plan, Settled, settle
from services.store.archive import catalog as archived
from services.store.postgres.binary_copy import Words
from services.store.postgres.columnstore import Verdict, verdict
from services.store.postgres.timestamps import FAR_US
from services.store.statements import late_readings
from services.store.statements.sealed_days import YOUNG_US
from services.store.timeseries import day_marks, underived
from services.store.timeseries import interval_rows as derived
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries import remake_requests as requests
from services.store.timeseries.interval_rows import BindingWords
from services.store.timeseries.last_seen import heard


@dataclass(frozen=True, slots=True)
class Made:
    """
    What a transaction derived, and the state that holds once it is committed.

    `put_off` are devices whose rows are made later, with the newest reading of each.
    """

    committed: Committed
    settled: Settled
    remade: late.Remade
    flagged: Stored
    put_off: dict[int, int] = field(default_factory=dict)


class _GoneError(Exception):
    """Another process has taken up what is noted here: nothing remembered is to be trusted."""


class Step(NamedTuple):
    """What one step did; what was refused of a device that waits is left to wait."""

    notes: int
    committed: Committed
    answered: Answered
    refused: psycopg.Error | None


class Deriver:
    """The live state of one registry version, and how it goes on."""

    def __init__(self, plan: Plan, ids: Words) -> None:
        self.plan, self._ids = plan, ids
        self.state = MeterState(len(plan.fleet))
        self.notes = Notes()
        self._scratch = MeterState(len(plan.fleet))
        self._quality = Quality(plan, ids)
        self._words = BindingWords(plan.bindings)
        self._backlog = Backlog(plan, ids, self._words, self._quality)
        self._ours: Callable[[Fleet, str], bool] = lambda _fleet, _id: True
        # partitions whose notes are ours; all notes, if None
        self.homes: Callable[[], Collection[int] | None] = lambda: None

    def take_over(self, before: Deriver, here: Int32, there: Int32) -> None:
        """Take what an earlier version knows of devices, by index `here` and `there`."""
        self.state.take_over(before.state, here, there)
        self._quality.take_over(before._quality, here, there)
        # what it has not made waits in the database
        self.notes.lost = bool(before.notes)

    def forget(self, devices: Int32 | None = None) -> None:
        """Trust nothing remembered about these devices (all, if None)."""
        self.state.forget(devices)

    def look(self, connection: Connection, ours: Callable[[Fleet, str], bool]) -> int:
        """Take up which devices wait for their rows; return how many. See `Backlog.look`."""
        self._ours = ours
        return self._backlog.look(connection, ours)

    @property
    def behind(self) -> int:
        """How many devices wait for their rows, beside what is noted."""
        return len(self._backlog)

    def make(self, cursor: Cursor, arrived: Arrived) -> Made:
        """
        Derive what follows from stored readings, in the transaction of the caller.

        Only `remember` takes it up in the live state, once it is committed.
        """
        out = Committed()
        self._load(cursor, arrived)
        flagged = self._flag(cursor, arrived)
        out.flags = flagged.flags
        settled, remade, put_off = self._derive(cursor, arrived, out)
        self._settle_stations(cursor, arrived.touched, settled, remade, out)
        out.events = [*settled.metered.events, *out.events]
        return Made(out, settled, remade, flagged, put_off)

    def remember(self, made: Made, ended: Collection[int] = ()) -> Committed:
        """Go on from what was committed, with devices that wait no more; return what it did."""
        made.settled.metered.apply(self.state)
        unsure = self._quality.remember(made.flagged)
        made.remade.remember(self.state, self._scratch)
        for device, newest in made.put_off.items():
            if device not in ended:
                self._backlog.add(device)
            self.state.last_us[device] = max(int(self.state.last_us[device]), newest)
        self._quality.forget(unsure)
        return made.committed

    def step(self, connection: Connection, *, spans: bool) -> Step:
        """
        Derive what is noted, and with `spans` the next span of devices that wait.

        Parameters
        ----------
        connection : Connection
            In autocommit, of repeatable reads, used for nothing else.

        Raises
        ------
        psycopg.Error
            Nothing of it is stored.  What was noted waits by device from the next step on.
        """
        try:
            if self.notes.lost:
                self._fold(connection)
            taken: list[Note] = []
            return tried(lambda: self._step(connection, taken, spans=spans))
        except (_GoneError, UniqueViolation):  # of the latter another has made rows, too
            self.state.forget()
            self.notes.lost = True
            return Step(0, Committed(), Answered(), None)
        except BaseException:
            self.state.forget()
            self.notes.lost = True
            raise

    def _fold(self, connection: Connection) -> None:
        """Have all that is noted wait by device, as what a process before left behind."""
        with self.notes.gate:
            self.notes.clear()  # what is lost from here on is folded the next time
            with connection.transaction(), connection.cursor() as cursor:
                underived.fold(cursor, self.homes())
        self.state.forget()
        self.look(connection, self._ours)

    def _step(self, connection: Connection, taken: list[Note], *, spans: bool) -> Step:
        old = spans and self.behind > 0
        while True:
            # taken before the snapshot: what is dropped while we wait would be in neither place
            guard = archived.guarded(connection) if old else nullcontext()
            with guard, connection.transaction(), connection.cursor() as cursor:
                with self.notes.gate:
                    cursor.execute("SELECT 1")  # from here on the snapshot stands
                    if self.notes.lost:
                        raise _GoneError  # since we looked
                    taken += self.notes.take()
                stored = [note.arrived for note in taken]
                arrived = Arrived.together(stored, self.plan.fleet, self.state.last_us)
                if not old and arrived.first_us() < now_us() - YOUNG_US:
                    old = True
                    continue
                made = self._noted(cursor, arrived, taken) if taken else None
                answered, refused = self._more(connection) if spans else (Answered(), None)
            committed = self.remember(made, answered.ended) if made else Committed()
            self.state.forget(np.array(answered.ended, dtype=np.int32))
            self.notes.derived()
            return Step(len(taken), committed, answered, refused)

    def _noted(self, cursor: Cursor, arrived: Arrived, taken: Sequence[Note]) -> Made:
        made = self.make(cursor, arrived)
        rows = [made.settled.fresh.intervals, made.settled.open.intervals]
        rows += [piece.rows for piece in made.remade.pieces]
        late_readings.note_made(cursor, self.plan.fleet, [(r.device, r.start_us) for r in rows])
        if not underived.drop(cursor, [number for note in taken for number in note.numbers]):
            raise _GoneError
        return made

    def _more(self, connection: Connection) -> tuple[Answered, psycopg.Error | None]:
        """Answer a span of what waits; what the server refuses of it is no hindrance."""
        if not self.behind:
            return Answered(), None
        try:
            return self._backlog.span(connection, lambda _: None, self.state.last_us), None
        except psycopg.Error as error:
            if verdict(error) is not Verdict.REFUSED:
                raise
            return Answered(), error

    def catch_up(self, connection: Connection, guard: Callable[[Cursor], object]) -> Answered:
        """Derive the next span of some devices that wait; see `Store.catch_up`."""
        try:
            answered = tried(lambda: self._backlog.span(connection, guard, self.state.last_us))
        except BaseException:
            self.state.forget()
            raise
        self.state.forget(np.array(answered.ended, dtype=np.int32))
        return answered

    def _load(self, cursor: Cursor, arrived: Arrived) -> None:
        """Read what the readings go on from: rows as they were before them."""
        begins = {d: one.first_us for d, one in arrived.newest().items()}
        devices = begins.keys() | arrived.changed.keys()
        missing = [d for d in devices if not self.state.loaded[d]]
        if missing:
            heard_us = heard(cursor, self.plan.fleet, missing)
            marks.load(cursor, self.plan.fleet, self.state, missing, heard_us, begins)
            self._backlog.load(cursor, missing)
        unsure = [*missing, *self._quality.unsure(devices.difference(missing))]
        if unsure:
            self._quality.load(cursor, self.state, unsure)

    def _flag(self, cursor: Cursor, arrived: Arrived) -> Stored:
        """Flag readings: new ones from what is remembered, late ones and their neighbours anew."""
        changed = dict(arrived.changed)
        onward = arrived.newest() if changed else {}
        until: dict[int, int] = {}
        for device, end in reaches(cursor, self.plan, arrived.changed).items():
            if end + NEAR_US < int(self.state.last_us[device]):
                until[device] = end
            elif device in onward:
                changed[device] = joined(changed[device], onward[device])
        fresh = without(arrived.onward, changed.keys() - until.keys())
        return self._quality.store(cursor, fresh, changed, until)

    def _derive(
        self, cursor: Cursor, arrived: Arrived, out: Committed
    ) -> tuple[Settled, late.Remade, dict[int, int]]:
        """Make what follows from stored readings, or put it off; return what was made."""
        fleet, plan = self.plan.fleet, self.plan
        held = self._backlog.held_of(arrived)
        much = expected(plan.bounds, self.state, arrived.onward).too_much()
        onward = arrived.newest() if arrived.changed or held or much else {}
        put_off = {d: _both(arrived.changed.get(d), onward.get(d)) for d in held}
        changed = {d: c for d, c in arrived.changed.items() if d not in put_off}
        before = {d: int(self.state.last_us[d]) for d in changed}
        alone = [d for d in changed if not self._backlog.waits(d)]
        bare = marks.bare(fleet, self.state, alone)
        made = windows.far(cursor, plan, self._scratch, changed, before, bare)
        self._write_remade(cursor, made.remade, out)
        near = {d: _both(changed[d], onward.get(d)) for d in made.left}
        for device, since_us in much.items():
            if device not in put_off and device not in near:
                put_off[device] = Changed(since_us + 1, onward[device].last_us)
        going = without(arrived.onward, put_off.keys() | near.keys())
        settled = settle(plan, self.state, going)
        self._write_derived(cursor, settled, out)
        if settled.metered.rewrites and not onward:
            onward = arrived.newest()
        for device, us in settled.metered.rewrites.items():
            bare.pop(device, None)  # what it shows first may be written just now
            near[device] = _both(Changed(us, FAR_US), near.get(device))
        put_off |= windows.too_long(cursor, fleet, near, self._newest(near, onward))
        begins = {d: c.first_us for d, c in near.items() if d not in put_off}
        remade = late.remake(cursor, plan, self._scratch, begins, bare=bare)
        self._write_remade(cursor, remade, out)
        remade.join(made.remade)
        if put_off:
            requests.put_off(cursor, fleet, put_off)
        return settled, remade, self._newest(put_off, onward)

    def _newest(self, devices: Iterable[int], onward: Mapping[int, Changed]) -> dict[int, int]:
        """Newest stored reading of devices, those of this batch too. [us UTC]"""
        last_us = self.state.last_us
        return {
            d: max(int(last_us[d]), onward[d].last_us if d in onward else NEVER) for d in devices
        }

    def _write_remade(self, cursor: Cursor, remade: late.Remade, out: Committed) -> None:
        out.rows.update(late.write(cursor, self.plan, self._ids, self._words, remade))
        out.events.extend(remade.events)

    def _write_derived(self, cursor: Cursor, settled: Settled, out: Committed) -> None:
        both = ((settled.fresh, True), (settled.open, False))
        rows = [(r.device, r.start_us) for p, _ in both for r in (p.intervals, p.emissions)]
        with day_marks.noted(cursor, self.plan.fleet, rows):
            for part, fresh in both:
                derived.write_intervals(cursor, self._ids, part.intervals, fresh=fresh)
                derived.write_emissions(cursor, self._ids, self._words, part.emissions, fresh=fresh)
                out.rows["interval_quantity"] += len(part.intervals)
                out.rows["interval_emission"] += len(part.emissions)

    def _settle_stations(
        self,
        cursor: Cursor,
        touched: Touched,
        settled: Settled,
        remade: late.Remade,
        out: Committed,
    ) -> None:
        """Make again the values of stations that follow from what was just stored."""
        if not touched:
            return
        fleet = self.plan.fleet
        touched.flows(settled.fresh.intervals)
        touched.flows(settled.open.intervals)
        whole = []
        for device, begin, end in remade.spans():
            if begin == FROM_START:
                whole.append(device)
            else:
                touched.flows_from(device, begin, end)
        touched.drop(whole)
        out.rows["indicator_value"] += stations.remake(cursor, fleet, self._ids, whole)
        out.rows["indicator_value"] += stations.settle(cursor, fleet, self._ids, touched)


def _both(one: Changed | None, other: Changed | None) -> Changed:
    """Span of one or two."""
    if one is None:
        one, other = other, None
    assert one is not None  # noqa: S101 (callers have one of them)
    return joined(one, other)
