"""
One batch, one transaction: readings, intervals, emissions, flags, dead letters.

Rows later than anything their device has stored go the short way: COPY, and
intervals from remembered marks.  All others are merged, and what they touch is
made again from stored readings.  Nothing is remembered before the commit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from psycopg.errors import UniqueViolation

from ingest.decode import Rejected
from ingest.pipeline import FROM_START, MeterState
from ingest.pipeline.meter_state import NEVER
from services.clock import now_us
from services.processing import reprocess as late
from services.processing import station_indicators as stations
from services.processing.affected_periods import Touched
from services.processing.quality_pass import Quality
from services.settle import settle
from services.store.archive import archived_readings as cold
from services.store.archive import catalog as archived
from services.store.messages import dead_letter_write as letters
from services.store.messages import signed_values as signed
from services.store.postgres.binary_copy import Words
from services.store.postgres.timestamps import FAR_US, stamp
from services.store.statements import sealed_days as seals
from services.store.statements.sealed_days import YOUNG_US
from services.store.timeseries import interval_rows as derived
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries.interval_rows import BindingWords
from services.store.timeseries.last_seen import Seen
from services.vault.errors import DamagedError, VaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow

    from ingest.model import Frame
    from services.settle import Plan, Settled
    from services.store.messages.dead_letter_write import Letters


_REMADE_AT_ONCE = 50


def _nothing(cursor: Cursor[TupleRow]) -> None:
    """Begin a transaction with nothing else."""


def _all(device_id: str) -> bool:
    """Take every device for ours."""
    del device_id
    return True


@dataclass(slots=True)
class Committed:
    """What a batch did, for metrics and receipts."""

    rows: Counter[str] = field(default_factory=Counter)
    events: list[str] = field(default_factory=list)
    flags: Counter[str] = field(default_factory=Counter)
    late: int = 0
    rejected: list[Rejected] = field(default_factory=list)


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
        first: Callable[[Cursor[TupleRow]], None] = _nothing,
    ) -> Committed:
        """
        Store a batch; return once it is durable.

        Parameters
        ----------
        frames : sequence of Frame
            Admitted readings, in arrival order.
        rejected : sequence of Rejected
            Refusals so far; conflicts are added.
        messages : Letters
            The messages themselves, for the dead letters.
        first : callable, optional
            What the transaction does before all else; raising ends it.

        Raises
        ------
        psycopg.Error
            Nothing was stored; the state is as it was or forgotten, and the same
            call may be made again.
        """
        try:
            return self._commit(connection, frames, rejected, messages, first, trust=True)
        except (DamagedError, VaultError) as error:
            self._forget()
            young, refused = self._without_archived(connection, frames, str(error))
            if not refused:
                raise
            return self.commit(connection, young, [*rejected, *refused], messages, first)
        except UniqueViolation:
            # somebody else stored rows that we took for new: look again, merge all
            self._forget()
            return self._commit(connection, frames, rejected, messages, first, trust=False)
        except BaseException:
            self._forget()
            raise

    def flush(self, connection: Connection[TupleRow]) -> None:
        """Write who was heard last, while no batch comes."""
        self._seen.flush(connection)

    def _forget(self) -> None:
        self.state.forget()
        self._seen.forget()

    def remake(self, connection: Connection[TupleRow], from_us: dict[int, int]) -> Committed:
        """Make derived rows again from stored readings, and remember where they end."""
        out = Committed()
        with connection.transaction(), connection.cursor() as cursor:
            remade = self._remake(cursor, from_us, out)
            flagged = self._quality.remake(cursor, from_us)
            stations.remake(cursor, self.plan.fleet, self._ids, list(from_us))
        remade.remember(self.state, self._scratch)
        flagged.remember()
        return out

    def remake_requested(
        self,
        connection: Connection[TupleRow],
        first: Callable[[Cursor[TupleRow]], None] = _nothing,
        mine: Callable[[str], bool] = _all,
    ) -> int:
        """
        Make again what the registry's changes asked for; return how many devices.

        Requests of devices that the registry no longer holds are dropped.

        Parameters
        ----------
        first : callable, optional
            What each transaction does before all else; raising ends it.
        mine : callable, optional
            Whether a device id is this process's to write; others' requests wait.
        """
        rows = connection.execute("SELECT device_id FROM remake_request ORDER BY device_id")
        wanted = [device_id for (device_id,) in rows if mine(device_id)]
        count = 0
        for at in range(0, len(wanted), _REMADE_AT_ONCE):
            done = self._remake_some(connection, first, wanted[at : at + _REMADE_AT_ONCE])
            count += sum(device_id in self.plan.fleet.by_id for device_id in done)
        return count

    def _remake_some(
        self,
        connection: Connection[TupleRow],
        first: Callable[[Cursor[TupleRow]], None],
        wanted: Sequence[str],
    ) -> list[str]:
        """Answer some requests, unless the registry is newer: then its plan must answer them."""
        with connection.transaction(), connection.cursor() as cursor:
            first(cursor)
            cursor.execute(
                "DELETE FROM remake_request WHERE device_id IN (SELECT device_id"
                " FROM remake_request WHERE device_id = ANY(%s)"
                " ORDER BY device_id FOR UPDATE SKIP LOCKED)"
                " AND %s = (SELECT coalesce(max(version), 0) FROM registry_version)"
                " RETURNING device_id",
                (list(wanted), self.plan.fleet.version),
            )
            ids = [device_id for (device_id,) in cursor.fetchall()]
            known = [self.plan.fleet.by_id[i] for i in ids if i in self.plan.fleet.by_id]
            remade = self._remake(cursor, dict.fromkeys(known, FROM_START), Committed())
            flagged = self._quality.remake(cursor, dict.fromkeys(known, FROM_START))
            stations.remake(cursor, self.plan.fleet, self._ids, known)
        remade.remember(self.state, self._scratch)
        flagged.remember()
        return ids

    def _commit(
        self,
        connection: Connection[TupleRow],
        frames: Sequence[Frame],
        rejected: Sequence[Rejected],
        messages: Letters,
        first: Callable[[Cursor[TupleRow]], None],
        *,
        trust: bool,
    ) -> Committed:
        out = Committed(rejected=signed.refusals(rejected))
        with connection.transaction(), connection.cursor() as cursor:
            first(cursor)
            if any(len(f) and int(f.time_us.min()) < now_us() - YOUNG_US for f in frames):
                archived.guard(cursor)
            self._load(cursor, frames)
            split = [self._split(frame, trust=trust) for frame in frames]
            fresh = [frame for frame, _ in split if len(frame)]
            touched = Touched(self.plan.fleet, self.state.last_us)
            for frame in fresh:
                readings.copy_new(cursor, self._ids, frame)
                touched.readings(frame)
                out.rows[f"reading_{frame.class_id}"] += len(frame)
            changed = self._merge(cursor, [old for _, old in split if len(old)], out, touched)
            unchanged = self._unchanged(fresh, changed)
            flagged = self._quality.store(cursor, unchanged, changed, (frames, messages))
            settled = settle(self.plan, self.state, unchanged)
            for device, us in settled.metered.rewrites.items():
                changed[device] = min(us, changed.get(device, us))
            self._write(cursor, settled, out)
            remade = self._remake(cursor, changed, out) if changed else None
            self._settle_stations(cursor, touched, settled, remade, out)
            seen = self._seen.observe(cursor, frames, messages)
            seals.note_late(cursor, self.plan.fleet, frames, now_us())
            fleet = self.plan.fleet
            out.rows["dead_letter"] += letters.record(cursor, fleet, out.rejected, messages)
            out.rows["signed_value"] += signed.record(cursor, fleet, rejected, messages)
        settled.metered.apply(self.state)
        flagged.remember()
        self._seen.remember(seen)
        out.flags = flagged.flags
        if remade is not None:
            remade.remember(self.state, self._scratch)
        out.events = [*settled.metered.events, *out.events]
        return out

    def _without_archived(
        self, connection: Connection[TupleRow], frames: Sequence[Frame], why: str
    ) -> tuple[list[Frame], list[Rejected]]:
        """
        Put aside readings that cannot be judged while the archive cannot be read.

        Those of archived times; if there are none, those of devices whose history is
        all archived.  They become dead letters, to be replayed once it can be read:
        the readings of today must not wait for that.
        """
        index = sorted({int(d) for frame in frames for d in np.unique(frame.device)})
        with connection.cursor() as cursor:
            reach = archived.reach(cursor, self.plan.fleet.ids(index))
            known = [self.plan.fleet.by_id[name] for name in reach]
            lone = cold.lonely(cursor, self.plan.fleet, known)
        last = np.full(len(self.plan.fleet), NEVER, dtype=np.int64)
        last[known] = [us for _, us in reach.values()]
        if not any((frame.time_us <= last[frame.device]).any() for frame in frames):
            last[lone] = FAR_US
        young, refused = [], []
        for frame in frames:
            old = frame.time_us <= last[frame.device]
            young.append(frame.take(~old))
            refused += [
                Rejected(int(m), "archive_unusable", why) for m in np.unique(frame.message[old])
            ]
        return [frame for frame in young if len(frame)], refused

    def _load(self, cursor: Cursor[TupleRow], frames: Sequence[Frame]) -> None:
        devices = {int(d) for f in frames for d in np.unique(f.device)}
        missing = [d for d in devices if not self.state.loaded[d]]
        if missing:
            marks.load(cursor, self.plan.fleet, self.state, missing)
            self._quality.load(cursor, self.state, missing)

    def _split(self, frame: Frame, *, trust: bool) -> tuple[Frame, Frame]:
        """Rows that are new for sure, and rows that may exist or repeat in the batch."""
        fresh = frame.time_us > self.state.last_us[frame.device]
        if not trust:
            fresh &= False
        order = np.lexsort((np.arange(len(frame)), frame.time_us, frame.device))
        device, time_us = frame.device[order], frame.time_us[order]
        again = np.zeros(len(order), dtype=np.bool_)
        again[1:] = (device[1:] == device[:-1]) & (time_us[1:] == time_us[:-1])
        fresh[order[again]] = False
        if fresh.all():
            return frame, frame.take(~fresh)
        return frame.take(fresh), frame.take(~fresh)

    def _merge(
        self,
        cursor: Cursor[TupleRow],
        frames: Sequence[Frame],
        out: Committed,
        touched: Touched,
    ) -> dict[int, int]:
        """Merge rows that may exist; return from when each of their devices changed."""
        changed: dict[int, int] = {}
        ids = [device.id for device in self.plan.fleet.devices] if frames else []
        for frame in frames:
            merged = _merge_beside(cursor, self._ids, ids, frame)
            out.rows[f"reading_{frame.class_id}"] += len(merged.changed)
            out.late += len(merged.changed)
            touched.readings(frame.take(np.array(merged.changed, dtype=np.intp)))
            for row in merged.conflicts:
                device = self.plan.fleet.devices[frame.device[row]].id
                detail = f"{device} at {stamp(int(frame.time_us[row]))} has other values"
                out.rejected.append(Rejected(int(frame.message[row]), "conflict", detail))
            for row in merged.changed:
                device_, us = int(frame.device[row]), int(frame.time_us[row])
                changed[device_] = min(us, changed.get(device_, us))
        return changed

    def _unchanged(self, frames: Sequence[Frame], changed: dict[int, int]) -> list[Frame]:
        """Frames without the devices that are made again anyway, and their new rows' times."""
        if not changed:
            return list(frames)
        index = np.array(list(changed), dtype=np.int32)
        kept = []
        for frame in frames:
            again = np.isin(frame.device, index)
            for row in np.flatnonzero(again):
                device, us = int(frame.device[row]), int(frame.time_us[row])
                changed[device] = min(us, changed[device])
            kept.append(frame.take(~again))
        return [frame for frame in kept if len(frame)]

    def _write(self, cursor: Cursor[TupleRow], settled: Settled, out: Committed) -> None:
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
        late.write(cursor, self.plan, self._ids, self._words, remade)
        out.events.extend(remade.events)
        for _, metered in remade.parts:
            out.rows["interval_quantity"] += len(metered.rows)
        return remade


def _merge_beside(
    cursor: Cursor[TupleRow], words: Words, ids: Sequence[str], frame: Frame
) -> readings.Merged:
    """Merge what is new of a frame beside stored and archived rows; row numbers are its own."""
    split = cold.split(cursor, ids, frame)
    merged = readings.merge(cursor, words, split.frame)
    changed = [int(split.rows[i]) for i in merged.changed]
    return readings.Merged(
        changed, split.conflicts + [int(split.rows[i]) for i in merged.conflicts]
    )
