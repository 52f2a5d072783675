"""
Devices whose rows are behind: asked for by the registry, or too many for one commit.

Each waits by a row of `remake_request`.  `Backlog.span` derives the next span of some of
them and moves their requests on in the same transaction: a process that is killed in
between finds them as they were.  Readings of a device that was put off are only stored
meanwhile (`held`): the span that comes to them derives their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import psycopg
from psycopg import Connection, Cursor

from ingest.model import Fleet, Int64
from ingest.pipeline import FROM_START, MeterState
from ingest.pipeline.quality_state import NEAR_US
from mrv.environment import CLASSES
from services.processing import reprocess as late
from services.processing import station_indicators as stations
from services.processing import windows
from services.processing.affected_periods import Touched
from services.processing.batch import Answered
from services.processing.bounds import Span, spans
from services.processing.quality_pass import Quality
from services.processing.rejudge import Changed, reaches
from services.processing.store_readings import Arrived
from services.settle import Plan
from services.store.archive import catalog as archived
from services.store.postgres.binary_copy import Words
from services.store.postgres.columnstore import Verdict, verdict
from services.store.postgres.timestamps import FAR_US
from services.store.statements import late_readings
from services.store.timeseries import readings
from services.store.timeseries import remake_requests as requests
from services.store.timeseries.interval_rows import BindingWords
from services.store.timeseries.last_seen import heard
from services.store.timeseries.register_checkpoints import by_class


class Backlog:
    """What one process knows of the devices that wait, and how it goes on with them."""

    def __init__(self, plan: Plan, ids: Words, words: BindingWords, quality: Quality) -> None:
        self._plan, self._ids, self._words, self._quality = plan, ids, words, quality
        self._scratch = MeterState(len(plan.fleet))
        self._queue: dict[int, str] = {}
        self._held: set[int] = set()
        self._silent: set[int] = set()  # never heard when they were looked up
        self._gone: list[str] = []  # ids that the registry no longer holds
        self._alone = 0  # so many spans are of one device each
        self._ours: Callable[[Fleet, str], bool] = lambda _fleet, _id: True

    def __len__(self) -> int:
        """How many devices wait that are ours to go on with."""
        return len(self._mine()) + len(self._gone)

    def _mine(self) -> list[int]:
        fleet = self._plan.fleet
        return [d for d, name in list(self._queue.items()) if self._ours(fleet, name)]

    def look(self, connection: Connection, ours: Callable[[Fleet, str], bool]) -> int:
        """
        Read who waits; return how many are ours.

        Parameters
        ----------
        ours : callable
            Tells by fleet and id which of them this process answers for.
        """
        fleet, self._ours = self._plan.fleet, ours
        found = requests.waiting(connection)
        self._held = {fleet.by_id[name] for name in found if found[name] and name in fleet.by_id}
        mine = [name for name in found if ours(fleet, name)]
        self._gone = [name for name in mine if name not in fleet.by_id]
        asked = {fleet.by_id[name]: name for name in mine if name in fleet.by_id}
        # those that wait already keep their turn
        self._queue = {d: name for d, name in self._queue.items() if d in asked} | asked
        self._silent = set(self._queue)
        if self._silent:
            with connection.cursor() as cursor:
                self._silent -= heard(cursor, fleet, [*self._queue]).keys()
        return len(mine)

    def load(self, cursor: Cursor, devices: Sequence[int]) -> None:
        """Read which of some devices are held."""
        self._held.difference_update(devices)
        self._held |= requests.held(cursor, self._plan.fleet, devices)

    def waits(self, device: int) -> bool:
        """Whether rows of a device are being made in spans, which the live state does not see."""
        return device in self._queue

    def add(self, device: int) -> None:
        """Take up that a device was put off, once that is committed."""
        self._queue[device] = self._plan.fleet.devices[device].id
        self._held.add(device)

    def held_of(self, arrived: Arrived) -> set[int]:
        """Devices with new or late readings here whose readings are only stored for now."""
        if not self._held:
            return set()
        index = np.array(sorted(self._held), dtype=np.int32)
        found = self._held & arrived.changed.keys()
        for frame in arrived.onward:
            found.update(frame.device[np.isin(frame.device, index)].tolist())
        return found

    def span(
        self, connection: Connection, guard: Callable[[Cursor], object], last_us: Int64
    ) -> Answered:
        """Derive the next span of some devices; see `Store.catch_up`."""
        some = self._next()
        ids = [*self._gone, *(self._queue[d] for d in some)]

        try:
            with connection.transaction(), connection.cursor() as cursor:
                guard(cursor)
                answered = self._answer(cursor, ids, last_us)
        except BaseException as error:
            if not (isinstance(error, psycopg.Error) and verdict(error) is Verdict.AGAIN):
                # what the server refuses of one device holds up no other
                self._alone = requests.AT_ONCE
                for device in some:
                    self._queue[device] = self._queue.pop(device)
            raise
        self._alone = max(self._alone - 1, 0)
        self._go_on(some, answered)
        return answered

    def _next(self) -> list[int]:
        """
        Return which devices the next span is of.

        Those of which nothing was heard yet come first, and many at once: most have no row
        to make, and what comes in meanwhile would be metered twice.
        """
        mine = self._mine()
        if self._alone:
            return mine[:1]
        silent = [d for d in mine if d in self._silent][: requests.SILENT_AT_ONCE]
        self._silent.difference_update(silent)
        return silent or mine[: requests.AT_ONCE]

    def _go_on(self, some: Sequence[int], answered: Answered) -> None:
        self._gone = [name for name in self._gone if name not in answered.dropped]
        for device in answered.ended:
            self._queue.pop(device, None)
            self._held.discard(device)
        for device in set(some) - set(answered.ended):
            self._queue[device] = self._queue.pop(device)  # the others are next

    def _answer(self, cursor: Cursor, ids: Sequence[str], last_us: Int64) -> Answered:
        fleet, out = self._plan.fleet, Answered()
        archived.guard(cursor)
        taken = requests.take(cursor, ids, fleet.version)
        nothing = requests.without(cursor, ids)
        out.dropped.extend(n for n in (*taken, *nothing) if n not in fleet.by_id)
        asked = {fleet.by_id[name]: one for name, one in taken.items() if name in fleet.by_id}
        cut, none = spans(cursor, fleet, asked)
        remade, rest = windows.span(cursor, self._plan, self._scratch, asked, cut)
        written = late.write(cursor, self._plan, self._ids, self._words, remade, long=True)
        out.committed.rows.update(written)
        out.committed.events.extend(remade.events)
        rows = [piece.rows for piece in remade.pieces]
        late_readings.note_made(cursor, fleet, [(r.device, r.start_us) for r in rows])
        unjudged = {
            d: s
            for d, s in cut.items()
            if (asked[d].unjudged or asked[d].whole) and d not in rest.restart
        }
        self._flag(cursor, asked, unjudged, rest)
        out.ended.extend(fleet.by_id[name] for name in nothing if name in fleet.by_id)
        out.ended.extend([*none, *(d for d in cut if d not in rest.moved)])
        out.moved.extend(rest.moved)
        touched = Touched(fleet, _newest(last_us, cut))
        parts = [d for d in unjudged if not asked[d].whole]
        for class_id, members in by_class(fleet, parts).items():
            if class_id in CLASSES:
                after = {d: unjudged[d].from_us - 1 for d in members}
                until = {d: us + 1 for d in members if (us := unjudged[d].until_us) is not None}
                touched.readings(readings.fetch(cursor, fleet, class_id, after, until))
        self._settle_stations(cursor, asked, remade, out, touched)
        requests.move(cursor, {fleet.devices[d].id: one for d, one in rest.moved.items()})
        requests.end(cursor, [*out.dropped, *fleet.ids(out.ended)])
        return out

    def _flag(
        self,
        cursor: Cursor,
        asked: Mapping[int, requests.Request],
        unjudged: Mapping[int, Span],
        rest: windows.Rest,
    ) -> None:
        """Judge the readings of spans, those just before them, and at the end what follows."""
        begins = {d: min(s.from_us, asked[d].last_us) for d, s in unjudged.items()}
        until = {d: s.until_us for d, s in unjudged.items() if s.until_us is not None}
        ended = {
            d: Changed(us, asked[d].last_us)
            for d, us in begins.items()
            if not asked[d].whole and d not in rest.moved
        }
        until |= reaches(cursor, self._plan, ended)
        self._quality.remake(
            cursor,
            {d: us if us == FROM_START else us - NEAR_US for d, us in begins.items()},
            {d: us for d, us in until.items() if us < FAR_US},
        )

    def _settle_stations(
        self,
        cursor: Cursor,
        asked: Mapping[int, requests.Request],
        remade: late.Remade,
        out: Answered,
        touched: Touched,
    ) -> None:
        """Values of stations: all anew at the end of a whole, else those that flows changed."""
        fleet = self._plan.fleet
        whole = [d for d in out.ended if d in asked and asked[d].whole]
        stations.remake(cursor, fleet, self._ids, whole)
        for piece in remade.pieces:
            kept = [d for d in piece.from_us if not asked[d].whole]
            touched.flows(piece.only(kept).rows)
        if touched:
            stations.settle(cursor, fleet, self._ids, touched)


def _newest(last_us: Int64, cut: Mapping[int, Span]) -> Int64:
    """Newest reading of each device, by fleet index. [us UTC]"""
    out = last_us.copy()
    out[list(cut)] = [one.newest_us for one in cut.values()]
    return out
