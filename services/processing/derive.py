"""
Derivation of flags, intervals, emissions and station values from stored readings, and of delayed
devices.

All cases use `Rows.derive`.  A `Request` names a device's changed readings, or all: after a late
reading, a returning register, a long gap, a registry change or an interruption. Readings in order
need no request, as their state is cached (`deriver`).  Each call derives the next span, up to where
the rows agree with the stored ones, and writes the differences.

A device is delayed if the registry requests all its rows, or if they are too many for one commit.
It then has a row in `remake_request`.  `Backlog.span` derives the next span of some of these
devices and shortens their requests in the same transaction, so that an interruption loses nothing.
New readings of such a device are only stored, until a span includes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import psycopg
from psycopg import Connection, Cursor

from ingest.model import INTERVAL_US, METERING, NULL, Fleet, Int64, IntervalRows
from ingest.pipeline import FROM_START, LOOK_BACK_US, POWER_GAP_US, SPREAD_US, MeterState
from ingest.pipeline.quality_state import NEAR_US
from services.processing import flags_and_indicators as stations
from services.processing import reprocess as late
from services.processing.batch import Arrived, DerivedSpan
from services.processing.flags_and_indicators import Changed, Judging, Touched, reaches
from services.processing.reprocess import Remade, Span, spans
from services.settle import Plan
from services.store import archive_catalog as archived
from services.store.postgres.binary_copy import Words
from services.store.postgres.columnstore import Verdict, verdict
from services.store.postgres.pool import FAR_US
from services.store.statements import late_readings
from services.store.timeseries import quality_flags as flags
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries import remake_requests as requests
from services.store.timeseries.interval_rows import BindingWords
from services.store.timeseries.last_seen import newest_times
from services.store.timeseries.readings import Ahead
from services.store.timeseries.register_checkpoints import NONE, Bare, StoredRows
from services.store.timeseries.remake_requests import Request

_WEEK_US = LOOK_BACK_US + INTERVAL_US


class _Sought(NamedTuple):
    """
    Device with a request: its last changed reading, the end of the rows metered now, and its newest
    reading with stored rows. [us UTC]
    """

    last_us: int
    until_us: int
    newest_us: int


def agreed(
    cursor: Cursor,
    fleet: Fleet,
    remade: Remade,
    last_us: Mapping[int, int],
    newest_us: Mapping[int, int],
    bare: Bare,
) -> dict[int, int]:
    """
    Return, by device, the time from which stored and recalculated rows agree; devices without such
    a time are omitted. [us UTC]

    `remade`: rows recalculated up to `Piece.to_us` of each device.
    `last_us`: fleet index to the last changed reading. [us UTC]
    `newest_us`: fleet index to the newest reading with stored rows. [us UTC]
    `bare`: as for `register_checkpoints.last`.
    """
    sought = {
        d: _Sought(last_us[d], end, newest_us[d])
        for d, _, end in remade.spans()
        if d in last_us and end < newest_us[d]
    }
    spans = {d: (_floor(s.last_us), s.until_us + _WEEK_US) for d, s in sought.items()}
    known = marks.between(cursor, fleet, spans) if spans else None
    if known is None:
        return {}
    newest = marks.newest(cursor, fleet, {d: s.newest_us for d, s in sought.items()}, bare)
    result = {}
    for piece in remade.pieces:
        rows = piece.rows
        for device in piece.from_us.keys() & sought.keys():
            later = {q for q, us in newest.get(device, {}).items() if us > sought[device].last_us}
            at = _of_device(rows, known, device, sought[device], later)
            if at is not None:
                result[device] = at
    return result


def _of_device(
    rows: IntervalRows, stored_rows: StoredRows, device: int, sought: _Sought, later: set[int]
) -> int | None:
    """
    Return the end of a device's rows to write; None if they do not agree. [us UTC]

    `later` are the quantities read after the change.
    """
    rows = rows.take(rows.device == device)
    stored = _take(stored_rows, stored_rows.device == device)
    if (stored.metering != METERING).any():
        return None  # rows derived by older rules always differ from those derived now
    quantities = {*rows.quantity.tolist(), *stored.quantity.tolist(), *later}
    ends = [
        _of_register(
            rows.take(rows.quantity == quantity),
            _take(stored, stored.quantity == quantity),
            sought,
            read_later=quantity in later,
        )
        for quantity in sorted(quantities)
    ]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return None
    end = max(known, default=_floor(sought.last_us) + INTERVAL_US)
    return end if end + SPREAD_US <= sought.until_us else None


def _of_register(
    rows: IntervalRows, stored: StoredRows, sought: _Sought, *, read_later: bool
) -> int | None:
    """
    Return the end of the first interval after which a register's rows agree with the stored ones.
    [us UTC]

    None if there is no such interval.
    """
    read = rows.read_us != NULL
    marked = stored.read_us != NULL
    if not read.any() and not marked.any() and not read_later:
        # rows from power: a gap of readings separates later rows from earlier ones
        return _floor(sought.last_us + POWER_GAP_US) + 2 * INTERVAL_US
    rows, stored = rows.take(read), _take(stored, marked)
    _, mine, theirs = np.intersect1d(rows.start_us, stored.start_us, return_indices=True)
    same = (
        (rows.register[mine] == stored.value[theirs])
        & (rows.read_us[mine] == stored.read_us[theirs])
        & (rows.changed_us[mine] == stored.changed_us[theirs])
        & (rows.other_read_us[mine] == NULL)
        & ~stored.other[theirs]
        & (stored.read_us[theirs] > sought.last_us)
        # the next step of the register ends before the last metered reading
        & (stored.read_us[theirs] < rows.read_us.max(initial=NULL))
    )
    for k in theirs[same].tolist():
        if _calm(stored, k, sought):
            return int(stored.start_us[k]) + INTERVAL_US
    return None


def _calm(stored: StoredRows, at: int, sought: _Sought) -> bool:
    """Return whether no reading within a week after a checkpoint can change rows before it."""
    week = int(stored.read_us[at]) + LOOK_BACK_US
    end = int(np.searchsorted(stored.read_us, week, side="right"))
    if end == len(stored.read_us) and sought.newest_us > sought.until_us + LOOK_BACK_US:
        return False  # a gap of readings: the reading after it is not part of these rows
    return not stored.other[at : end + 1].any()


def _take(stored_rows: StoredRows, rows: np.ndarray) -> StoredRows:
    return type(stored_rows)(*(column[rows] for column in stored_rows))


def _floor(us: int) -> int:
    return us // INTERVAL_US * INTERVAL_US


@dataclass(slots=True)
class Derived:
    """
    Rows that a transaction derived from stored readings.

    `requests`: requests by fleet index.
    `rest`: unfinished requests: to continue, to restart, or not begun.
    `ended`: devices without further requests.
    `to_the_end`: those of them with rows up to their last reading.
    `whole`: stations whose values are all recalculated.
    `size`: upper bound of its rows.
    """

    requests: Mapping[int, Request]
    rest: dict[int, Request] = field(init=False)
    remade: Remade = field(default_factory=Remade)
    ended: list[int] = field(default_factory=list)
    to_the_end: list[int] = field(default_factory=list)
    whole: set[int] = field(default_factory=set)
    size: int = 0
    written: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.rest = dict(self.requests)

    def go_on(self, other: Derived) -> None:
        """Add the result of the next span, in the same transaction."""
        self.rest = other.rest
        self.remade.join(other.remade)
        self.ended += other.ended
        self.to_the_end += other.to_the_end
        self.whole |= other.whole
        self.size += other.size
        self.written += other.written
        self.flags += other.flags


class Rows:
    """Derives rows from stored readings by one registry version; stateless."""

    def __init__(self, plan: Plan, ids: Words) -> None:
        self.plan, self.ids, self.words = plan, ids, BindingWords(plan.bindings)
        self._judging = Judging(plan)
        self._scratch = MeterState(len(plan.fleet))

    def derive(
        self,
        cursor: Cursor,
        requests: Mapping[int, Request],
        touched: Touched,
        known: Mapping[int, Ahead] | None = None,
        bare: Bare = NONE,
    ) -> Derived:
        """
        Derive the next span of requested devices, write the differences, and return the result.

        `requests`: requests by fleet index; as many as a transaction may hold are begun, at least
        one.
        `touched`: collects hours and days of stations with other readings or flows.
        `known`: known data of later readings, which are not looked up.
        `bare`: as for `register_checkpoints.last`.
        """
        fleet, out = self.plan.fleet, Derived(requests)
        cut, out.ended = spans(cursor, fleet, requests, known or {})
        until = {d: span.until_us for d, span in cut.items() if span.until_us is not None}
        made = self._metered(cursor, requests, cut, until, bare, out)
        written = late.write(cursor, self.plan, self.ids, self.words, made)
        out.remade, out.written = made, written
        out.size = sum(span.rows for span in cut.values())
        for device in cut.keys() - out.rest.keys():
            out.ended.append(device)
            if device not in until:
                out.to_the_end.append(device)
        for device in out.ended:
            out.rest.pop(device, None)
        self._flag(cursor, requests, cut, until, touched, out)
        touched.note_newest({d: span.newest_us for d, span in cut.items()})
        for device, begin, end in made.spans():
            if requests[device].whole or begin == FROM_START:
                out.whole.add(device)
            else:
                touched.flows_from(device, begin, end)
        touched.drop(d for d in cut if requests[d].whole)
        out.whole = {d for d in out.ended if requests[d].whole or d in out.whole}
        return out

    def _metered(
        self,
        cursor: Cursor,
        requests: Mapping[int, Request],
        cut: Mapping[int, Span],
        until: Mapping[int, int],
        bare: Bare,
        out: Derived,
    ) -> Remade:
        """Return the rows of spans, metered again up to where they agree with the stored ones."""
        begins = {d: span.from_us for d, span in cut.items()}
        whole = {d for d in cut if requests[d].whole}
        made = late.remake(cursor, self.plan, self._scratch, begins, until, whole, bare)
        # rows derived from power must go if the register appeared after them: derive from the start
        restart = {
            d
            for d, begin, _ in made.spans()
            if begin == FROM_START and d in until and begins[d] != FROM_START
        }
        # rows before this span belong to the previous one, and are not compared
        last = {
            d: max(requests[d].last_us, begins[d] - 1)
            for d in until
            if requests[d].last_us < FAR_US
        }
        newest = {d: span.newest_us for d, span in cut.items()}
        kept = made.only(made.devices() - restart)
        ends = agreed(cursor, self.plan.fleet, kept, last, newest, bare) if last else {}
        for device in cut:
            if device in restart:
                out.rest[device] = Request()
            elif device in until and device not in ends:
                out.rest[device] = requests[device].moved(until[device] + 1)
            else:
                del out.rest[device]
        return kept.shortened(ends)

    def _flag(
        self,
        cursor: Cursor,
        requests: Mapping[int, Request],
        cut: Mapping[int, Span],
        until: Mapping[int, int],
        touched: Touched,
        out: Derived,
    ) -> None:
        """Flag the readings of spans, some before, and those afterwards that they affect."""
        begins = {
            d: min(span.from_us, requests[d].last_us)
            for d, span in cut.items()
            if (requests[d].unjudged or requests[d].whole) and out.rest.get(d) != Request()
        }
        ended = {
            d: Changed(us, requests[d].last_us)
            for d, us in begins.items()
            if not requests[d].whole and d not in out.rest
        }
        reach = {d: until[d] for d in begins if d in until} | reaches(cursor, self.plan, ended)
        reach = {d: us for d, us in reach.items() if us < FAR_US}
        near = {d: us if us == FROM_START else us - NEAR_US for d, us in begins.items()}
        if not near:
            return
        again = self._judging.judge(cursor, near, reach)
        out.flags += flags.count(again.flags)
        spans_us = {d: (us, reach.get(d, FAR_US)) for d, us in near.items()}
        out.flags.subtract(flags.clear(cursor, self.plan.fleet, spans_us))
        flags.write(cursor, self.ids, again.flags)
        for frame in again.frames:
            touched.readings(frame)

    def settle_stations(self, cursor: Cursor, touched: Touched, whole: Collection[int]) -> int:
        """Calculate the station values of affected hours; return their number."""
        if not (touched or whole):
            return 0
        touched.drop(whole)
        made = stations.remake(cursor, self.plan.fleet, self.ids, sorted(whole))
        return made + stations.settle(cursor, self.plan.fleet, self.ids, touched)


class Backlog:
    """Devices with delayed rows, as known to this process."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._queue: dict[int, str] = {}
        self._postponed: set[int] = set()
        self._silent: set[int] = set()  # devices without readings at the last look-up
        self._gone: list[str] = []  # ids that are no longer in the registry
        self._alone = 0  # number of coming spans that contain one device each
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
        # devices that already wait keep their position in the queue
        self._queue = {d: name for d, name in self._queue.items() if d in arguments} | arguments
        self._silent = set(self._queue)
        if self._silent:
            with connection.cursor() as cursor:
                self._silent -= newest_times(cursor, fleet, [*self._queue]).keys()
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

    def postponed_of(self, arrived: Arrived) -> set[int]:
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
    ) -> DerivedSpan:
        """Derive the next span of waiting devices and return it; see `Store.catch_up`."""
        subset = self._next()
        ids = [*self._gone, *(self._queue[d] for d in subset)]

        try:
            with connection.transaction(), connection.cursor() as cursor:
                guard(cursor)
                derived_span = self._answer(cursor, ids, last_us)
        except BaseException as error:
            if not (isinstance(error, psycopg.Error) and verdict(error) is Verdict.AGAIN):
                # an error of the server for one device must not delay the others
                self._alone = requests.AT_ONCE
                for device in subset:
                    self._queue[device] = self._queue.pop(device)
            raise
        self._alone = max(self._alone - 1, 0)
        self._go_on(subset, derived_span)
        return derived_span

    def _next(self) -> list[int]:
        """
        Return the devices of the next span.

        Devices that have not sent yet come first, many at once: most of them have no rows to
        derive, and their next readings would otherwise be metered twice.
        """
        mine = self._mine()
        if self._alone:
            return mine[:1]
        silent = [d for d in mine if d in self._silent][: requests.UNREAD_AT_ONCE]
        self._silent.difference_update(silent)
        return silent or mine[: requests.AT_ONCE]

    def _go_on(self, subset: Sequence[int], derived_span: DerivedSpan) -> None:
        self._gone = [name for name in self._gone if name not in derived_span.dropped]
        for device in derived_span.ended:
            self._queue.pop(device, None)
            self._postponed.discard(device)
        for device in set(subset) - set(derived_span.ended):
            # moved to the end of the queue, so that the other devices come first
            self._queue[device] = self._queue.pop(device)

    def _answer(self, cursor: Cursor, ids: Sequence[str], last_us: Int64) -> DerivedSpan:
        fleet, out = self._rows.plan.fleet, DerivedSpan()
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
