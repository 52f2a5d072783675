"""
Flags of readings: derived rows, written as the pure core made them.

A batch in order only adds flags.  Where a reading came late or a channel was
filled, everything from an hour before it is judged again: the reading before
may now be a spike, and the runs after it may have broken.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ingest.pipeline import FROM_START
from ingest.pipeline.flags import CHANNEL_INDEX, CHANNELS, TEST_INDEX, TESTS, Flags
from ingest.pipeline.quality_state import NEAR_US, Watched
from ingest.pipeline.quality_tests import judge
from services.store.postgres.binary_copy import Text, Time, Words, encode
from services.store.postgres.timestamps import stamp
from services.store.timeseries import quality_lookback as watched
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg import Cursor
    from psycopg.rows import TupleRow

    from ingest.model import Fleet
    from ingest.pipeline.quality_tests import Judged
    from services.settle import Plan

_CHANNEL_WORDS = Words.of(CHANNELS)
_TEST_WORDS = Words.of(TESTS)
_COLUMNS = "device_id, time, channel, test"


@dataclass(slots=True)
class Rejudged:
    """Flags made again, and the state of their devices after."""

    judged: list[Judged] = field(default_factory=list)
    devices: list[int] = field(default_factory=list)
    added: Counter[str] = field(default_factory=Counter)

    def remember(self, live: Watched, scratch: Watched) -> None:
        """Move the devices' new state into the live one, once committed."""
        for one in self.judged:
            one.apply()
        live.copy(scratch, np.array(self.devices, dtype=np.int32))


def count(flags: Flags) -> Counter[str]:
    """Flags by test."""
    found = np.bincount(flags.test, minlength=len(TESTS)).tolist()
    return Counter({test: n for test, n in zip(TESTS, found, strict=True) if n})


def write(cursor: Cursor[TupleRow], ids: Words, flags: Flags) -> None:
    """Store flags that are known to be new."""
    if not len(flags):
        return
    data = encode(
        [
            Text(ids, flags.device),
            Time(flags.time_us),
            Text(_CHANNEL_WORDS, flags.channel),
            Text(_TEST_WORDS, flags.test),
        ],
        len(flags),
    )
    with cursor.copy(f"COPY quality_flag ({_COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(data)


def remake(
    cursor: Cursor[TupleRow],
    plan: Plan,
    ids: Words,
    scratch: Watched,
    changed: Mapping[int, int],
    live: Watched | None = None,
) -> Rejudged:
    """
    Judge stored readings again and replace their flags.

    Parameters
    ----------
    scratch : Watched
        As long as the fleet; holds nothing about these devices.
    changed : mapping of int to int
        Fleet index to the time from which readings changed; FROM_START for all. [us UTC]
    live : Watched, optional
        State of these devices before the change.
    """
    begins = {d: us if us == FROM_START else us - NEAR_US for d, us in changed.items()}
    out = Rejudged(devices=list(begins))
    flags, out.judged = computed(cursor, plan, scratch, begins, live)
    out.added = count(flags)
    out.added.subtract(_clear(cursor, plan.fleet, begins))
    write(cursor, ids, flags)
    return out


def computed(
    cursor: Cursor[TupleRow],
    plan: Plan,
    scratch: Watched,
    begins: Mapping[int, int],
    live: Watched | None = None,
) -> tuple[Flags, list[Judged]]:
    """Flags of stored readings, each device's from its own time on, and what follows them."""
    watched.load(cursor, plan.checks, scratch, begins, live)
    judged: list[Judged] = []
    for class_id, members in marks.by_class(plan.fleet, list(begins)).items():
        after = {d: begins[d] - 1 for d in members}
        frame = readings.fetch(cursor, plan.fleet, class_id, after)
        if len(frame):
            judged.append(judge(plan.checks, scratch, [frame]))
    found = Flags.concat([one.flags for one in judged])
    starts = np.full(len(plan.fleet), FROM_START, dtype=np.int64)
    starts[list(begins)] = list(begins.values())
    return found.take(found.time_us >= starts[found.device]), judged


def _clear(cursor: Cursor[TupleRow], fleet: Fleet, begins: Mapping[int, int]) -> Counter[str]:
    """Delete these devices' flags from each one's own time on; return how many by test."""
    if not begins:
        return Counter()
    cursor.execute(
        "DELETE FROM quality_flag f USING unnest(%s::text[], %s::timestamptz[]) AS d (id, begins)"
        " WHERE f.device_id = d.id AND f.time >= d.begins AND f.time >= %s RETURNING f.test",
        (
            fleet.ids(list(begins)),
            [stamp(us) for us in begins.values()],
            # said once more as one value: it spares the chunks before all of them
            stamp(min(begins.values())),
        ),
    )
    return Counter(test for (test,) in cursor.fetchall())


def replace(
    cursor: Cursor[TupleRow],
    fleet: Fleet,
    ids: Words,
    devices: Sequence[int],
    span_us: tuple[int, int],
    flags: Flags,
) -> None:
    """Write the flags of some devices' readings in a half-open span anew."""
    cursor.execute(
        "DELETE FROM quality_flag WHERE device_id = ANY(%s) AND time >= %s AND time < %s",
        (fleet.ids(list(devices)), *map(stamp, span_us)),
    )
    write(cursor, ids, flags)


def stored(
    cursor: Cursor[TupleRow], fleet: Fleet, devices: Sequence[int], from_us: int, to_us: int
) -> Flags:
    """Stored flags of some devices whose reading's time lies in [from, to)."""
    cursor.execute(
        "SELECT device_id, (extract(epoch FROM time) * 1000000)::bigint, channel, test"
        " FROM quality_flag WHERE device_id = ANY(%s) AND time >= %s AND time < %s"
        " ORDER BY device_id, time, channel, test",
        (fleet.ids(list(devices)), stamp(from_us), stamp(to_us)),
    )
    rows = cursor.fetchall()
    device, time_us, channel, test = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Flags(
        np.array([fleet.by_id[d] for d in device], dtype=np.int32),
        np.array(time_us, dtype=np.int64),
        np.array([CHANNEL_INDEX[c] for c in channel], dtype=np.int16),
        np.array([TEST_INDEX[t] for t in test], dtype=np.int16),
    )
