"""
Devices whose derived rows are delayed: requested by the registry, or too many for one commit.

Each has a row in `remake_request`.  `Backlog.span` derives the next span of some of them and
shortens their requests in the same transaction, so that an interruption loses nothing.  New
readings of such a device are only stored (`held`), until a span includes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import psycopg
from psycopg import Connection, Cursor

from ingest.model import Fleet, Int64
from services.processing.batch import Answered
from services.processing.derive import Rows
from services.processing.station_indicators import Touched
from services.processing.store_readings import Arrived
from services.store import archive_catalog as archived
from services.store.postgres.columnstore import Verdict, verdict
from services.store.statements import late_readings
from services.store.timeseries import remake_requests as requests
from services.store.timeseries.last_seen import heard


class Backlog:
    """Devices with delayed rows, as known to this process."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._queue: dict[int, str] = {}
        self._postponed: set[int] = set()
        self._silent: set[int] = set()  # never heard when they were looked up
        self._gone: list[str] = []  # ids that the registry no longer holds
        self._alone = 0  # so many spans are of one device each
        self._ours: Callable[[Fleet, str], bool] = lambda _fleet, _id: True

    def __len__(self) -> int:
        """Return the number of this process's devices with delayed rows."""
        return len(self._mine()) + len(self._gone)

    def _mine(self) -> list[int]:
        fleet = self._rows.plan.fleet
        return [d for d, name in list(self._queue.items()) if self._ours(fleet, name)]

    def look(self, connection: Connection, ours: Callable[[Fleet, str], bool]) -> int:
        """
        Load the requests; return how many belong to this process.

        `ours`: returns, by fleet and id, whether this process is responsible for a device.
        """
        fleet, self._ours = self._rows.plan.fleet, ours
        result = requests.waiting(connection)
        self._postponed = {
            fleet.by_id[name] for name in result if result[name] and name in fleet.by_id
        }
        mine = [name for name in result if ours(fleet, name)]
        self._gone = [name for name in mine if name not in fleet.by_id]
        arguments = {fleet.by_id[name]: name for name in mine if name in fleet.by_id}
        # those that wait already keep their turn
        self._queue = {d: name for d, name in self._queue.items() if d in arguments} | arguments
        self._silent = set(self._queue)
        if self._silent:
            with connection.cursor() as cursor:
                self._silent -= heard(cursor, fleet, [*self._queue]).keys()
        return len(mine)

    def load(self, cursor: Cursor, devices: Sequence[int]) -> None:
        """Load which of the devices have requests."""
        self._postponed.difference_update(devices)
        self._postponed |= requests.deferred(cursor, self._rows.plan.fleet, devices)

    def waits(self, device: int) -> bool:
        """Return whether rows of a device are being derived in spans, apart from the live state."""
        return device in self._queue

    def add(self, device: int) -> None:
        """Add a device whose rows were postponed, after the commit."""
        self._queue[device] = self._rows.plan.fleet.devices[device].id
        self._postponed.add(device)

    def held_of(self, arrived: Arrived) -> set[int]:
        """Return the devices with new readings whose derived rows are postponed."""
        if not self._postponed:
            return set()
        index = np.array(sorted(self._postponed), dtype=np.int32)
        result = self._postponed & arrived.changed.keys()
        for frame in arrived.onward:
            result.update(frame.device[np.isin(frame.device, index)].tolist())
        return result

    def span(
        self, connection: Connection, guard: Callable[[Cursor], object], last_us: Int64
    ) -> Answered:
        """Derive the next span of waiting devices and return it; see `Store.catch_up`."""
        subset = self._next()
        ids = [*self._gone, *(self._queue[d] for d in subset)]

        try:
            with connection.transaction(), connection.cursor() as cursor:
                guard(cursor)
                answered = self._answer(cursor, ids, last_us)
        except BaseException as error:
            if not (isinstance(error, psycopg.Error) and verdict(error) is Verdict.AGAIN):
                # what the server refuses of one device holds up no other
                self._alone = requests.AT_ONCE
                for device in subset:
                    self._queue[device] = self._queue.pop(device)
            raise
        self._alone = max(self._alone - 1, 0)
        self._go_on(subset, answered)
        return answered

    def _next(self) -> list[int]:
        """
        Return the devices of the next span.

        Devices that have not sent yet come first, many at once, as most of them have no rows to
        derive and incoming readings would be metered twice.
        """
        mine = self._mine()
        if self._alone:
            return mine[:1]
        silent = [d for d in mine if d in self._silent][: requests.SILENT_AT_ONCE]
        self._silent.difference_update(silent)
        return silent or mine[: requests.AT_ONCE]

    def _go_on(self, subset: Sequence[int], answered: Answered) -> None:
        self._gone = [name for name in self._gone if name not in answered.dropped]
        for device in answered.ended:
            self._queue.pop(device, None)
            self._postponed.discard(device)
        for device in set(subset) - set(answered.ended):
            self._queue[device] = self._queue.pop(device)  # the others are next

    def _answer(self, cursor: Cursor, ids: Sequence[str], last_us: Int64) -> Answered:
        fleet, out = self._rows.plan.fleet, Answered()
        archived.guard(cursor)
        taken = requests.take(cursor, ids, fleet.version)
        nothing = requests.without(cursor, ids)
        out.dropped.extend(n for n in (*taken, *nothing) if n not in fleet.by_id)
        requests_ = {fleet.by_id[name]: r for name, r in taken.items() if name in fleet.by_id}
        touched = Touched(fleet, last_us)
        made = self._rows.derive(cursor, requests_, touched)
        out.committed.rows.update(made.written)
        out.committed.events.extend(made.remade.events)
        out.committed.flags.update(made.flags)
        self._rows.settle_stations(cursor, touched, made.whole)
        rows = made.remade.rows()
        late_readings.note_made(cursor, fleet, [(rows.device, rows.start_us)])
        out.ended.extend(fleet.by_id[name] for name in nothing if name in fleet.by_id)
        out.ended.extend(made.ended)
        moved = {d: request for d, request in made.rest.items() if request != requests_[d]}
        out.moved.extend(moved)
        requests.move(cursor, {fleet.devices[d].id: request for d, request in moved.items()})
        requests.end(cursor, [*out.dropped, *fleet.ids(out.ended)])
        return out
