"""
Run the quality tests again over stored readings, after late readings or registry changes.

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
from ingest.pipeline.flags import Flags
from ingest.pipeline.quality_state import NEAR_US, Watched
from ingest.pipeline.quality_tests import judge
from services.store.timeseries import quality_flags as flags
from services.store.timeseries import quality_lookback as watched
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import Cursor
    from psycopg.rows import TupleRow

    from ingest.pipeline.quality_tests import Judged
    from services.settle import Plan
    from services.store.postgres.binary_copy import Words


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


def rejudge(
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
    found, out.judged = computed(cursor, plan, scratch, begins, live)
    out.added = flags.count(found)
    out.added.subtract(flags.clear(cursor, plan.fleet, begins))
    flags.write(cursor, ids, found)
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
