"""
One batch, one transaction: readings, intervals, emissions, flags, dead letters.

Rows later than anything their device has stored go the short way: COPY, and
intervals from remembered marks.  All others are merged, and what they touch is
made again from stored readings.  Nothing is remembered before the commit.

Whoever has rows of its own to write opens the transaction and calls `write` in it:

    try:
        with connection.transaction(), connection.cursor() as cursor:
            written = store.write(cursor, batch)
    except BaseException as error:
        batch = store.after_failure(connection, batch, error)  # try again with that
    else:
        committed = store.remember(written)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
from psycopg import Connection, Cursor
from psycopg.errors import UniqueViolation

from ingest.decode import Rejected
from ingest.model import Fleet, Frame, Int32
from ingest.pipeline import FROM_START, MeterState
from ingest.pipeline.meter_state import NEVER
from ingest.pipeline.quality_state import NEAR_US
from services.clock import now_us
from services.processing import reprocess as late
from services.processing import station_indicators as stations
from services.processing import windows
from services.processing.affected_periods import Touched
from services.processing.backlog import Backlog
from services.processing.batch import Answered, Batch, Committed, Written
from services.processing.bounds import expected
from services.processing.parts import in_parts
from services.processing.quality_pass import Quality, Stored
from services.processing.rejudge import Changed, reaches
from services.processing.signatures import Signatures
from services.processing.store_readings import Arrived, joined, store_readings, without
from services.processing.unreadable_archive import without_archived
from services.settle import Plan, Settled, settle
from services.store.archive import catalog as archived
from services.store.messages import dead_letter_write as letters
from services.store.messages import signed_values as signed
from services.store.messages.dead_letter_write import Letters
from services.store.postgres.binary_copy import Words
from services.store.postgres.timestamps import FAR_US
from services.store.statements import late_readings
from services.store.statements.sealed_days import YOUNG_US
from services.store.timeseries import arrivals, day_marks
from services.store.timeseries import interval_rows as derived
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries import remake_requests as requests
from services.store.timeseries.interval_rows import BindingWords
from services.store.timeseries.last_seen import Seen, heard
from services.vault.part import DamagedError, VaultError


class Store:
    """
    The registry version, the live state and the encoded names that commits share.

    Parameters
    ----------
    plan : Plan
    letter_bytes : int
        What is kept of one principal's dead letters in a day.
    before : Store, optional
        Of an earlier version: names of the same devices are not encoded again.
    """

    def __init__(
        self, plan: Plan, letter_bytes: int = letters.DAY_BYTES, before: Store | None = None
    ) -> None:
        self.plan = plan
        self._letter_bytes = letter_bytes
        self.state = MeterState(len(plan.fleet))
        self._scratch = MeterState(len(plan.fleet))
        same = before is not None and before.plan.fleet.by_id is plan.fleet.by_id
        self.ids: Words = before.ids if before and same else Words.of([*plan.fleet.by_id] or [""])
        self._quality = Quality(plan, self.ids)
        self._seen = Seen(plan.fleet)
        self._words = BindingWords(plan.bindings)
        self._signatures = Signatures(plan.fleet)
        self._backlog = Backlog(plan, self.ids, self._words, self._quality)

    def go_on_from(self, before: Store, here: Int32, there: Int32) -> None:
        """
        Take over what an earlier version remembers of devices that are as they were.

        That one is not to be used any more.

        Else each would be looked up with its next reading, a whole fleet at once.

        Parameters
        ----------
        before : Store
            Its state may be ours from now on.
        here, there : int32 array
            Indices of these devices in this fleet and in that: `Fleet.unchanged`.
        """
        self.state.take_over(before.state, here, there)
        self._quality.take_over(before._quality, here, there)
        self._seen.take_over(before._seen, here, there, now_us())

    def commit(
        self,
        connection: Connection,
        frames: Sequence[Frame],
        rejected: Sequence[Rejected],
        messages: Letters,
    ) -> Committed:
        """
        Store a batch with nothing else in its transaction; return once it is durable.

        Parameters
        ----------
        frames, rejected, messages
            See `Batch`.

        What the server refuses is stored in parts; see `in_parts`.

        Raises
        ------
        psycopg.Error
            Not all of it is stored; the state is as it was or forgotten, and the same
            call may be made again.
        """

        def commit(batch: Batch, *, last: bool) -> Committed:  # noqa: ARG001 (nothing beside it)
            while True:
                try:
                    with connection.transaction(), connection.cursor() as cursor:
                        written = self.write(cursor, batch)
                except BaseException as error:  # noqa: BLE001 (raised, unless it can be mended)
                    batch = self.after_failure(connection, batch, error)
                else:
                    return self.remember(written)

        batch = Batch(frames, rejected, messages)
        return in_parts(batch, commit, partial(self.around, connection))

    @contextmanager
    def around(self, connection: Connection) -> Iterator[None]:
        """Hold several writes in one transaction; where that fails, none is remembered."""
        try:
            with connection.transaction():
                yield
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        """Forget what a failed transaction may have changed."""
        self.state.forget()
        self._seen.forget()

    def write(self, cursor: Cursor, batch: Batch) -> Written:
        """
        Write a batch and all that follows from it, in the transaction of the caller.

        Reads what is needed, settles, writes.  Only `remember` takes it up in the live
        state, once it is committed; after any failure `after_failure` is to be asked.
        What is more than a commit may hold is put off: see `catch_up`.
        """
        fleet, frames, messages = self.plan.fleet, batch.frames, batch.messages
        out = Committed(rejected=signed.refusals(batch.rejected))
        self._load(cursor, frames)
        arrived = store_readings(cursor, fleet, self.ids, self.state.last_us, batch, out)
        flagged = self._flag(cursor, arrived, frames, messages)
        out.flags = flagged.flags
        settled, remade, put_off = self._derive(cursor, arrived, out)
        self._settle_stations(cursor, arrived.touched, settled, remade, out)
        arrivals.note(cursor, fleet, arrived.every, messages)
        heard = self._seen.observe(cursor, frames, messages)
        late_readings.note(cursor, fleet, arrived.stored, arrived.completed)
        kept = letters.record(cursor, fleet, out.rejected, messages, self._letter_bytes)
        out.rows["dead_letter"] += kept.kept
        out.left_out = kept.left_out
        out.rows["signed_value"] += signed.record(cursor, fleet, batch.rejected, messages)
        out.signed = self._signatures.judge(cursor, batch.rejected, messages)
        out.events = [*settled.metered.events, *out.events]
        return Written(out, settled, remade, flagged, heard, put_off)

    def _flag(
        self, cursor: Cursor, arrived: Arrived, frames: Sequence[Frame], messages: Letters
    ) -> Stored:
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
        return self._quality.store(cursor, fresh, changed, until, (frames, messages))

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
        out.rows.update(late.write(cursor, self.plan, self.ids, self._words, remade))
        out.events.extend(remade.events)

    def remember(self, written: Written) -> Committed:
        """Go on from what was committed; return what it did."""
        written.settled.metered.apply(self.state)
        unsure = self._quality.remember(written.flagged)
        self._seen.remember(written.heard)
        written.remade.remember(self.state, self._scratch)
        for device, newest in written.put_off.items():
            self._backlog.add(device)
            self.state.last_us[device] = max(int(self.state.last_us[device]), newest)
        self._quality.forget(unsure)
        return written.committed

    def after_failure(self, connection: Connection, batch: Batch, error: BaseException) -> Batch:
        """
        Forget what a failed transaction may have changed; return the batch to try instead.

        Where somebody else stored rows that we took for new, all are looked at.  What
        an archive that cannot be read stands in the way of is put aside.

        Raises
        ------
        BaseException
            The error itself, where another try would end the same.
        """
        self._forget()
        if isinstance(error, UniqueViolation) and batch.trust:
            return replace(batch, trust=False)
        if isinstance(error, DamagedError | VaultError):
            young = without_archived(connection, self.plan.fleet, batch, str(error))
            if young is not batch:
                return young
        raise error

    def flush(self, connection: Connection) -> None:
        """Write who was heard last, while no batch comes."""
        self._seen.flush(connection)

    def look_for_requests(
        self, connection: Connection, ours: Callable[[Fleet, str], bool] = lambda _fleet, _id: True
    ) -> int:
        """Take up which devices wait for their rows; return how many. See `Backlog.look`."""
        return self._backlog.look(connection, ours)

    @property
    def behind(self) -> int:
        """How many devices wait for their rows."""
        return len(self._backlog)

    def remake_requested(self, connection: Connection) -> int:
        """
        Make again all that is asked for, span by span; return how many devices.

        Requests of devices that the registry no longer holds are dropped.
        """
        self.look_for_requests(connection)
        count = 0
        while self.behind:
            answered = self.catch_up(connection)
            if not answered:
                break
            count += len(answered.ended)
        return count

    def catch_up(
        self, connection: Connection, guard: Callable[[Cursor], object] = lambda _: None
    ) -> Answered:
        """
        Derive the next span of some devices that wait; return once it is durable.

        A registry that is newer than ours must answer by its own plan: then nothing is done.

        Parameters
        ----------
        guard : callable, optional
            Called in the transaction: raises where the devices are no longer ours.

        Raises
        ------
        psycopg.Error
            Nothing of it is stored, and the same call may be made again.
        """
        try:
            answered = self._backlog.span(connection, guard, self.state.last_us)
        except BaseException:
            self._forget()
            raise
        self.state.forget(np.array(answered.ended, dtype=np.int32))
        return answered

    def _load(self, cursor: Cursor, frames: Sequence[Frame]) -> None:
        """Read what the batch goes on from."""
        if any(len(f) and int(f.time_us.min()) < now_us() - YOUNG_US for f in frames):
            archived.guard(cursor)
        devices = {int(d) for f in frames for d in np.unique(f.device)}
        missing = [d for d in devices if not self.state.loaded[d]]
        if missing:
            heard_us = heard(cursor, self.plan.fleet, missing)
            marks.load(cursor, self.plan.fleet, self.state, missing, heard_us)
            self._backlog.load(cursor, missing)
        unsure = [*missing, *self._quality.unsure(devices.difference(missing))]
        if unsure:
            self._quality.load(cursor, self.state, unsure)

    def _write_derived(self, cursor: Cursor, settled: Settled, out: Committed) -> None:
        both = ((settled.fresh, True), (settled.open, False))
        rows = [(r.device, r.start_us) for p, _ in both for r in (p.intervals, p.emissions)]
        with day_marks.noted(cursor, self.plan.fleet, rows):
            for part, fresh in both:
                derived.write_intervals(cursor, self.ids, part.intervals, fresh=fresh)
                derived.write_emissions(cursor, self.ids, self._words, part.emissions, fresh=fresh)
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
        out.rows["indicator_value"] += stations.remake(cursor, fleet, self.ids, whole)
        out.rows["indicator_value"] += stations.settle(cursor, fleet, self.ids, touched)


def _both(one: Changed | None, other: Changed | None) -> Changed:
    """Span of one or two."""
    if one is None:
        one, other = other, None
    assert one is not None  # noqa: S101 (callers have one of them)
    return joined(one, other)
