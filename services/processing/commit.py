"""
Storing of a batch in one transaction: readings, dead letters, and notes of what to derive.

Rows later than all stored ones of their device are written by COPY; all others are merged. Derived
rows follow later (`derive`) through a note written with the readings, or in the same transaction if
no other thread derives.  Cached state changes only after the commit.

Callers with rows of their own provide the function that fills the transaction:

    store.durably(connection, batch, lambda cursor, batch: store.write(cursor, batch))

While the archive is unreadable, readings of archived times (or, without any, of devices whose
history is completely archived) become dead letters, to be resent later, so that current readings
need not wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from psycopg import Connection, Cursor
from psycopg.errors import UniqueViolation
from psycopg.pq import TransactionStatus

from ingest.decode import Rejected
from ingest.model import Fleet, Frame, Int32, Int64
from ingest.pipeline.quality_state import NEVER
from services.clock import now_us
from services.processing.batch import (
    Arrived,
    Batch,
    Committed,
    DerivedSpan,
    Signatures,
    in_parts,
    store_readings,
)
from services.processing.deriver import Deriver, Made, Note
from services.processing.flags_and_indicators import Changed
from services.settle import Plan
from services.store import archive_catalog as archived
from services.store import archived_readings as cold
from services.store import dead_letter_write as letters
from services.store import signed_values as signed
from services.store.dead_letter_write import Letters
from services.store.postgres.binary_copy import Words
from services.store.postgres.pool import FAR_US
from services.store.statements import late_readings
from services.store.statements.sealed_days import YOUNG_US
from services.store.timeseries import last_seen, remake_requests
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries.last_seen import Clocks, Seen, newest_times
from services.store.timeseries.last_seen import Written as Contacts
from services.vault import DamagedError, VaultError


def without_archived(connection: Connection, fleet: Fleet, batch: Batch, why: str) -> Batch:
    """Return the batch, in which readings of archived days are rejected."""
    last = _last_archived(connection, fleet, batch)
    young, refused = [], []
    for frame in batch.frames:
        old = frame.time_us <= last[frame.device]
        young.append(frame.take(~old))
        refused += [
            Rejected(int(m), "archive_unusable", why) for m in np.unique(frame.message[old])
        ]
    if not refused:
        return batch
    kept = [frame for frame in young if len(frame)]
    return replace(batch, frames=kept, rejected=[*batch.rejected, *refused], trust=True)


def _last_archived(connection: Connection, fleet: Fleet, batch: Batch) -> Int64:
    """Return each device's time up to which readings cannot be checked, by fleet index. [us UTC]"""
    index = sorted({int(d) for frame in batch.frames for d in np.unique(frame.device)})
    with connection.cursor() as cursor:
        reach = archived.reach(cursor, fleet.ids(index))
        known = [fleet.by_id[name] for name in reach]
        lone = cold.with_few_readings(cursor, fleet, known)
    last = np.full(len(fleet), NEVER, dtype=np.int64)
    last[known] = [us for _, us in reach.values()]
    if not any((frame.time_us <= last[frame.device]).any() for frame in batch.frames):
        last[lone] = FAR_US
    return last


@dataclass(frozen=True, slots=True)
class Written:
    """Data written by a transaction, and the state to be adopted after its commit."""

    committed: Committed
    arrived: Arrived
    contacts: Contacts
    clocks: Sequence[tuple[int, int, int]]
    made: Made | None
    note: Note | None


class Store:
    """
    State shared by commits: registry version, newest readings, encoded names.

    `letter_bytes`: daily quota of stored dead letters per principal.
    `before`: object of an earlier version, whose encoded names are reused.
    `deriver`: derives rows, in each commit or afterwards.
    `behind_commits`: whether another thread calls the deriver.
    """

    def __init__(
        self, plan: Plan, letter_bytes: int = letters.DAY_BYTES, before: Store | None = None
    ) -> None:
        self.plan = plan
        self.behind_commits = False
        self._letter_bytes = letter_bytes
        self.newest_us = np.full(len(plan.fleet), NEVER, dtype=np.int64)
        self.known = np.zeros(len(plan.fleet), dtype=np.bool_)
        same = before is not None and before.plan.fleet.by_id is plan.fleet.by_id
        self.ids: Words = before.ids if before and same else Words.of([*plan.fleet.by_id] or [""])
        self.deriver = Deriver(plan, self.ids)
        self._clocks = Clocks(plan.fleet)
        self._seen = Seen(plan.fleet)
        self._signatures = Signatures(plan.fleet)
        self._committed: list[Note] = []
        self._homes: Int32 | None = None
        self._ours: Callable[[], Collection[int]] = tuple

    def share(self, homes: Int32, ours: Callable[[], Collection[int]]) -> None:
        """
        Limit derivation to the devices of this process's partitions.

        Parameters
        ----------
        homes : int32 array
            Partition of each device, by fleet index.
        ours : callable
            Returns the partitions of this process.
        """
        self._homes, self._ours = homes, ours
        self.deriver.homes = ours

    def go_on_from(self, before: Store, here: Int32, there: Int32) -> None:
        """
        Take over the state of unchanged devices from an earlier version, which is then unusable.

        Otherwise the state of a whole fleet would be loaded at once with its next readings.

        Parameters
        ----------
        before : Store
            The earlier version.
        here, there : int32 array
            Indices of these devices in this and the earlier fleet: `Fleet.unchanged`.
        """
        self.newest_us[here], self.known[here] = before.newest_us[there], before.known[there]
        self.deriver.take_over(before.deriver, here, there)
        self._clocks.take_over(before._clocks, here, there)
        self._seen.take_over(before._seen, here, there, now_us())

    def commit(
        self,
        connection: Connection,
        frames: Sequence[Frame],
        rejected: Sequence[Rejected],
        messages: Letters,
    ) -> Committed:
        """
        Store a batch in one transaction; return the result once it is durable.

        Parameters
        ----------
        frames, rejected, messages
            See `Batch`.

        If the server rejects the batch, it is stored in parts; see `in_parts`.

        Raises
        ------
        psycopg.Error
            Not all of the batch is stored; the same call can be repeated.
        """

        def commit(batch: Batch, *, last: bool) -> Committed:  # noqa: ARG001 (it has no offset)
            return self.durably(connection, batch, self.write)

        batch = Batch(frames, rejected, messages)
        return in_parts(batch, commit, partial(self.around, connection))

    def durably(
        self, connection: Connection, batch: Batch, write: Callable[[Cursor, Batch], Written]
    ) -> Committed:
        """
        Write a batch in a transaction, and adopt the state after the commit; return the result.

        Failures are retried where possible; see `after_failure`.
        """
        while True:
            try:
                with ExitStack() as behind_gate:
                    with connection.transaction(), connection.cursor() as cursor:
                        written = write(cursor, batch)
                        behind_gate.enter_context(self.deriver.notes.gate)
                    committed = self.remember(written)
                    self._publish(connection)
            except BaseException as error:  # noqa: BLE001 (raised, unless it can be mended)
                batch = self.after_failure(connection, batch, error)
            else:
                return committed

    @contextmanager
    def around(self, connection: Connection) -> Iterator[None]:
        """Context of several writes in one transaction; their state is adopted after its commit."""
        try:
            with ExitStack() as behind_gate:
                with connection.transaction():
                    yield
                    behind_gate.enter_context(self.deriver.notes.gate)
                self._publish(connection)
        except BaseException:
            self.forget()
            raise

    def _publish(self, connection: Connection) -> None:
        """Pass committed notes to the deriving thread; in an open transaction do nothing yet."""
        if connection.info.transaction_status is TransactionStatus.IDLE:
            self.deriver.notes.enter(self._committed)
            self._committed = []

    def forget(self, devices: Int32 | None = None) -> None:
        """Discard the cached state of devices (all, if None): other processes may have written."""
        self.known[slice(None) if devices is None else devices] = False
        if devices is None:
            self._seen.forget()
            self._committed = []
            # a transaction without an answer may be committed
            self.deriver.notes.lost = True
        if not self.behind_commits:
            self.deriver.forget(devices)

    def write(self, cursor: Cursor, batch: Batch) -> Written:
        """
        Write a batch with its derived rows, or a note of them, in the caller's transaction.

        Return what was written, for `remember`.

        Call `remember` after the commit; after a failure call `after_failure`.
        """
        fleet, frames, messages = self.plan.fleet, batch.frames, batch.messages
        out = Committed(rejected=signed.refusals(batch.rejected))
        self._load(cursor, frames)
        arrived = store_readings(cursor, fleet, self.ids, self.newest_us, batch, out)
        made, note = self._follow(cursor, arrived)
        if made is not None:
            out.add(made.committed)
        clocks = self._clocks.observe(cursor, frames, messages)
        last_seen.note(cursor, fleet, arrived.every, messages)
        contacts = self._seen.observe(cursor, frames, messages)
        late_readings.note(cursor, fleet, arrived.stored, arrived.completed)
        kept = letters.record(cursor, fleet, out.rejected, messages, self._letter_bytes)
        out.rows["dead_letter"] += kept.kept
        out.left_out = kept.left_out
        out.rows["signed_value"] += signed.record(cursor, fleet, batch.rejected, messages)
        out.signed = self._signatures.judge(cursor, batch.rejected, messages)
        return Written(out, arrived, contacts, clocks, made, note)

    def _follow(self, cursor: Cursor, arrived: Arrived) -> tuple[Made | None, Note | None]:
        """Return the derived rows of new readings, or a note of what to derive."""
        spans = arrived.spans() if self.behind_commits or self._homes is not None else {}
        if not self.behind_commits:
            if self._homes is not None and spans:
                # commits of the partitions' workers for these devices then fail, and they reload
                # their state
                remake_requests.fold(cursor, np.unique(self._homes[list(spans)]).tolist())
            return self.deriver.make(cursor, arrived), None
        if not spans:
            return None, None
        by_home: dict[int | None, dict[int, Changed]] = {}
        for device, span in spans.items():
            home = None if self._homes is None else int(self._homes[device])
            by_home.setdefault(home, {})[device] = span
        numbers = {
            h: remake_requests.note_underived(cursor, self.plan.fleet, s, h)
            for h, s in by_home.items()
        }
        if theirs := [] if self._homes is None else numbers.keys() - {*self._ours()}:
            arrived = arrived.without({d for home in theirs for d in by_home[home]})
            numbers = {h: n for h, n in numbers.items() if h not in theirs}
        readings = sum(map(len, arrived.onward)) + len(arrived.changed)
        note = Note(tuple(numbers.values()), arrived, readings, time.monotonic())
        return None, note if numbers else None

    def remember(self, written: Written) -> Committed:
        """Adopt the committed state; return the result."""
        for frame in written.arrived.every:
            np.maximum.at(self.newest_us, frame.device, frame.time_us)
        self._clocks.remember(written.clocks)
        self._seen.remember(written.contacts)
        if written.made is not None:
            self.deriver.remember(written.made)
        if written.note is not None:
            self._committed.append(written.note)
        return written.committed

    def after_failure(self, connection: Connection, batch: Batch, error: BaseException) -> Batch:
        """
        Discard state that a failed transaction may have changed; return the batch to retry.

        If another process stored some of the rows, all are compared.  Readings for an unreadable
        archive are rejected.

        Raises BaseException: the error itself, if a retry would fail in the same way.
        """
        committed = self._committed
        self.forget()
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            # results of the parts already written in the transaction, which continues
            self._committed = committed
        if isinstance(error, UniqueViolation) and batch.trust:
            return replace(batch, trust=False)
        if isinstance(error, DamagedError | VaultError):
            young = without_archived(connection, self.plan.fleet, batch, str(error))
            if young is not batch:
                return young
        raise error

    def flush(self, connection: Connection) -> None:
        """Write last contact times while no batch arrives."""
        self._seen.flush(connection)

    def look_for_requests(
        self, connection: Connection, ours: Callable[[Fleet, str], bool] = lambda _fleet, _id: True
    ) -> int:
        """
        Load which devices have requests; return their number. See `Backlog.look`.

        Without a deriving thread, notes left by other processes are included.
        """
        if not self.behind_commits:
            with connection.transaction(), connection.cursor() as cursor:
                remake_requests.fold(cursor)
        return self.deriver.look(connection, ours)

    @property
    def behind(self) -> int:
        """Return how many devices have delayed rows."""
        return self.deriver.behind

    def remake_requested(self, connection: Connection) -> int:
        """
        Derive all requested rows, span by span; return the number of devices.

        Requests of devices no longer in the registry are deleted.
        """
        self.look_for_requests(connection)
        count = 0
        while self.behind:
            derived_span = self.catch_up(connection)
            if not derived_span:
                break
            count += len(derived_span.ended)
        return count

    def catch_up(
        self, connection: Connection, guard: Callable[[Cursor], object] = lambda _: None
    ) -> DerivedSpan:
        """
        Derive the next span of requested devices; return it once it is durable.

        Nothing is done if there is a newer registry version, which derives them itself.

        `guard`: called in the transaction; raises an error if another process has the devices.
        Raises psycopg.Error: nothing is stored, and the same call can be repeated.
        """
        return self.deriver.catch_up(connection, guard)

    def _load(self, cursor: Cursor, frames: Sequence[Frame]) -> None:
        """Load the time of the newest reading of the batch's devices."""
        if any(len(f) and int(f.time_us.min()) < now_us() - YOUNG_US for f in frames):
            archived.guard(cursor)
        devices = {int(d) for f in frames for d in np.unique(f.device)}
        missing = [d for d in devices if not self.known[d]]
        if missing:
            fleet = self.plan.fleet
            newest_readings = marks.newest_readings(
                cursor, fleet, missing, newest_times(cursor, fleet, missing)
            )
            self.newest_us[missing] = [newest_readings[d] for d in missing]
            self.known[missing] = True
