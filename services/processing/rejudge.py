"""
Run the quality tests again over stored readings, after late readings or registry changes.

A batch in order only adds flags.  Where a reading came late or a channel was
filled, what follows from an hour before it on is judged again, as far as any test
can reach: the reading before may now be a spike, and the runs after it may have broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from psycopg import Cursor

from ingest import classes
from ingest.pipeline import FROM_START
from ingest.pipeline.quality_limits import Checks, Flags
from ingest.pipeline.quality_state import NEAR_US, Watched, runs_of
from ingest.pipeline.quality_tests import Judged, judge, settle
from services.settle import Plan
from services.store.postgres.binary_copy import Words
from services.store.postgres.timestamps import FAR_US
from services.store.timeseries import quality_flags as flags
from services.store.timeseries import quality_lookback as watched
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks


@dataclass(slots=True)
class Rejudged:
    """
    Flags made again, and the state of their devices after.

    `devices` were judged to their last reading; `passed` only up to where a change can
    reach, and what is remembered of them may have begun before it.
    """

    judged: list[Judged] = field(default_factory=list)
    devices: list[int] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)
    added: Counter[str] = field(default_factory=Counter)

    def remember(self, live: Watched, scratch: Watched) -> None:
        """Move the devices' new state into the live one, once committed."""
        for one in self.judged:
            one.apply()
        live.copy(scratch, np.array(self.devices, dtype=np.int32))


class Changed(NamedTuple):
    """First and last reading of a device that changed; FROM_START and FAR_US for all. [us UTC]"""

    first_us: int
    last_us: int


def reaches(cursor: Cursor, plan: Plan, changed: Mapping[int, Changed]) -> dict[int, int]:
    """
    Return the time after which no flag of a device depends on what changed. [us UTC]

    The gap test compares two steps, so it reaches over the next two readings, however far
    they are; FAR_US where fewer follow.
    """
    fleet, found = plan.fleet, dict.fromkeys(changed, FAR_US)
    late = [d for d, one in changed.items() if one.last_us < FAR_US]
    for class_id, members in marks.by_class(fleet, late).items():
        since = {d: changed[d].last_us + 1 for d in members}
        for device, us in readings.second_after(cursor, fleet, class_id, since).items():
            near = changed[device].last_us + _reach_us(plan, class_id)
            found[device] = max(near, us + 1)
    return found


def _reach_us(plan: Plan, class_id: str) -> int:
    """How long after a reading a flag of a run or of a neighbour can depend on it. [us]"""
    channels = classes.load()[class_id].channels.values()
    runs = (w for channel in channels for w in runs_of(plan.checks, class_id, channel))
    longest = max((watch.reach_us for watch in runs), default=0)
    return longest + 2 * NEAR_US


def rejudge(
    cursor: Cursor,
    plan: Plan,
    ids: Words,
    scratch: Watched,
    changed: Mapping[int, Changed],
    until_us: Mapping[int, int],
    live: Watched | None = None,
) -> Rejudged:
    """
    Judge stored readings again and replace their flags.

    Parameters
    ----------
    scratch : Watched
        As long as the fleet; holds nothing about these devices.
    changed : mapping of int to Changed
        By fleet index: which readings changed.
    until_us : mapping of int to int
        Devices whose flags are left as they are from a time on; see `reaches`. [us UTC]
    live : Watched, optional
        State of these devices before the change.
    """
    begins = {
        d: FROM_START if one.first_us == FROM_START else one.first_us - NEAR_US
        for d, one in changed.items()
    }
    ends = dict(until_us)
    out = Rejudged(devices=[d for d in begins if d not in ends], passed=list(ends))
    found, out.judged = computed(cursor, plan, scratch, begins, live, ends)
    out.added = flags.count(found)
    spans = {d: (us, ends.get(d, FAR_US)) for d, us in begins.items()}
    out.added.subtract(flags.clear(cursor, plan.fleet, spans))
    flags.write(cursor, ids, found)
    return out


def go_on(
    cursor: Cursor,
    checks: Checks,
    state: Watched,
    before_us: Mapping[int, int],
    live: Watched | None = None,
) -> None:
    """Make devices' state what it was before a time, as `quality_lookback.load` does."""
    for found in watched.load(cursor, checks, state, before_us, live):
        settle(checks, state, found)


def computed(
    cursor: Cursor,
    plan: Plan,
    scratch: Watched,
    begins: Mapping[int, int],
    live: Watched | None = None,
    ends: Mapping[int, int] | None = None,
) -> tuple[Flags, list[Judged]]:
    """Flags of stored readings, each device's in its own span, and what follows them."""
    until = dict(ends or {})
    go_on(cursor, plan.checks, scratch, begins, live)
    judged: list[Judged] = []
    for class_id, members in marks.by_class(plan.fleet, list(begins)).items():
        after = {d: begins[d] - 1 for d in members}
        # the reading after may tell of the last one, if it is near
        beyond = {d: us + NEAR_US + 1 for d, us in until.items()}
        frame = readings.fetch(cursor, plan.fleet, class_id, after, beyond)
        if len(frame):
            judged.append(judge(plan.checks, scratch, [frame]))
    found = Flags.concat([one.flags for one in judged])
    starts = np.full(len(plan.fleet), FROM_START, dtype=np.int64)
    starts[list(begins)] = list(begins.values())
    stops = np.full(len(plan.fleet), FAR_US, dtype=np.int64)
    stops[list(until)] = list(until.values())
    inside = (found.time_us >= starts[found.device]) & (found.time_us < stops[found.device])
    return found.take(inside), judged
