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

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from psycopg.errors import UniqueViolation

from ingest.pipeline import FROM_START, MeterState
from services.clock import now_us
from services.processing import reprocess as late
from services.processing import station_indicators as stations
from services.processing.batch import Answered, Batch, Committed, Written
from services.processing.parts import in_parts
from services.processing.quality_pass import Quality
from services.processing.store_readings import store_readings
from services.processing.unreadable_archive import without_archived
from services.settle import settle
from services.store.archive import catalog as archived
from services.store.messages import dead_letter_write as letters
from services.store.messages import signed_values as signed
from services.store.postgres.binary_copy import Words
from services.store.statements import sealed_days as seals
from services.store.statements.sealed_days import YOUNG_US
from services.store.timeseries import arrivals
from services.store.timeseries import interval_rows as derived
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries import remake_requests as requests
from services.store.timeseries.interval_rows import BindingWords
from services.store.timeseries.last_seen import Seen
from services.vault.errors import DamagedError, VaultError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow

    from ingest.decode import Rejected
    from ingest.model import Frame
    from services.processing.affected_periods import Touched
    from services.settle import Plan, Settled
    from services.store.messages.dead_letter_write import Letters


class Store:
    """The registry version, the live state and the encoded names that commits share."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state = MeterState(len(plan.fleet))
        self._scratch = MeterState(len(plan.fleet))
        self._ids = Words.of([d.id for d in plan.fleet.devices] or [""])
        self._quality = Quality(plan, self._ids)
        self._seen = Seen(plan.fleet)
        self._words = BindingWords(plan.bindings)

    def commit(
        self,
        connection: Connection[TupleRow],
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
    def around(self, connection: Connection[TupleRow]) -> Iterator[None]:
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

    def write(self, cursor: Cursor[TupleRow], batch: Batch) -> Written:
        """
        Write a batch and all that follows from it, in the transaction of the caller.

        Reads what is needed, settles, writes.  Only `remember` takes it up in the live
        state, once it is committed; after any failure `after_failure` is to be asked.
        """
        fleet, frames, messages = self.plan.fleet, batch.frames, batch.messages
        out = Committed(rejected=signed.refusals(batch.rejected))
        self._load(cursor, frames)
        arrived = store_readings(cursor, fleet, self._ids, self.state.last_us, batch, out)
        flagged = self._quality.store(cursor, arrived.onward, arrived.changed, (frames, messages))
        out.flags = flagged.flags
        settled = settle(self.plan, self.state, arrived.onward)
        arrived.made_again(settled.metered.rewrites)
        self._write_derived(cursor, settled, out)
        remade = self._remake(cursor, arrived.changed, out) if arrived.changed else None
        self._settle_stations(cursor, arrived.touched, settled, remade, out)
        arrivals.note(cursor, fleet, arrived.stored, messages)
        heard = self._seen.observe(cursor, frames, messages)
        seals.note_late(cursor, fleet, frames, now_us())
        out.rows["dead_letter"] += letters.record(cursor, fleet, out.rejected, messages)
        out.rows["signed_value"] += signed.record(cursor, fleet, batch.rejected, messages)
        out.events = [*settled.metered.events, *out.events]
        return Written(out, settled, remade, flagged, heard)

    def remember(self, written: Written) -> Committed:
        """Go on from what was committed; return what it did."""
        written.settled.metered.apply(self.state)
        self._quality.remember(written.flagged)
        self._seen.remember(written.heard)
        if written.remade is not None:
            written.remade.remember(self.state, self._scratch)
        return written.committed

    def after_failure(
        self, connection: Connection[TupleRow], batch: Batch, error: BaseException
    ) -> Batch:
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

    def flush(self, connection: Connection[TupleRow]) -> None:
        """Write who was heard last, while no batch comes."""
        self._seen.flush(connection)

    def remake_requested(self, connection: Connection[TupleRow]) -> int:
        """
        Make again what the registry's changes asked for; return how many devices.

        Requests of devices that the registry no longer holds are dropped.
        """
        count = 0
        for ids in requests.portions(requests.waiting(connection)):
            with connection.transaction(), connection.cursor() as cursor:
                answered = self.answer(cursor, ids)
            count += self.remember_answered(answered)
        return count

    def answer(self, cursor: Cursor[TupleRow], ids: Sequence[str]) -> Answered:
        """
        Make derived rows of these devices again if that is asked for, in the caller's transaction.

        A registry that is newer than ours must answer by its own plan.
        """
        taken = requests.take(cursor, ids, self.plan.fleet.version)
        known = [self.plan.fleet.by_id[i] for i in taken if i in self.plan.fleet.by_id]
        remade = self._remake(cursor, dict.fromkeys(known, FROM_START), Committed())
        flagged = self._quality.remake(cursor, dict.fromkeys(known, FROM_START))
        stations.remake(cursor, self.plan.fleet, self._ids, known)
        return Answered(len(known), remade, flagged)

    def remember_answered(self, answered: Answered) -> int:
        """Go on from rows made again, once committed; return of how many devices."""
        answered.remade.remember(self.state, self._scratch)
        self._quality.remember(answered.flagged)
        return answered.devices

    def _load(self, cursor: Cursor[TupleRow], frames: Sequence[Frame]) -> None:
        """Read what the batch goes on from."""
        if any(len(f) and int(f.time_us.min()) < now_us() - YOUNG_US for f in frames):
            archived.guard(cursor)
        devices = {int(d) for f in frames for d in np.unique(f.device)}
        missing = [d for d in devices if not self.state.loaded[d]]
        if missing:
            marks.load(cursor, self.plan.fleet, self.state, missing)
            self._quality.load(cursor, self.state, missing)

    def _write_derived(self, cursor: Cursor[TupleRow], settled: Settled, out: Committed) -> None:
        for part, fresh in ((settled.fresh, True), (settled.open, False)):
            derived.write_intervals(cursor, self._ids, part.intervals, fresh=fresh)
            derived.write_emissions(cursor, self._ids, self._words, part.emissions, fresh=fresh)
            out.rows["interval_quantity"] += len(part.intervals)
            out.rows["interval_emission"] += len(part.emissions)

    def _settle_stations(
        self,
        cursor: Cursor[TupleRow],
        touched: Touched,
        settled: Settled,
        remade: late.Remade | None,
        out: Committed,
    ) -> None:
        """Make again the values of stations that follow from what was just stored."""
        if not touched:
            return
        fleet = self.plan.fleet
        touched.flows(settled.fresh.intervals)
        touched.flows(settled.open.intervals)
        whole = []
        for from_us, _ in remade.parts if remade is not None else ():
            for device, us in from_us.items():
                if us == FROM_START:
                    whole.append(device)
                else:
                    touched.flows_from(device, us)
        touched.drop(whole)
        out.rows["indicator_value"] += stations.remake(cursor, fleet, self._ids, whole)
        out.rows["indicator_value"] += stations.settle(cursor, fleet, self._ids, touched)

    def _remake(
        self, cursor: Cursor[TupleRow], changed: dict[int, int], out: Committed
    ) -> late.Remade:
        remade = late.remake(cursor, self.plan, self._scratch, changed)
        out.rows.update(late.write(cursor, self.plan, self._ids, self._words, remade))
        out.events.extend(remade.events)
        return remade
