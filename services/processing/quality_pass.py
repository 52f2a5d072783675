"""
Quality tests over new readings with cached state, and again over stored readings.

New readings in order only add flags.  After a late or completed reading, flags from an hour before
it are determined again, as far as any test reaches: a neighbour may now be a spike, or a run be
interrupted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from psycopg import Cursor

from ingest import classes
from ingest.model import Frame, Int32
from ingest.pipeline import FROM_START, MeterState
from ingest.pipeline.quality_limits import Checks, Flags
from ingest.pipeline.quality_state import NEAR_US, NEVER, Watched, runs_of
from ingest.pipeline.quality_tests import Judged, judge, settle
from services.settle import Plan
from services.store.postgres.binary_copy import Words
from services.store.postgres.pool import FAR_US
from services.store.timeseries import quality_flags as flags
from services.store.timeseries import quality_flags as watched
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks


class Changed(NamedTuple):
    """First and last changed reading of a device; FROM_START and FAR_US for all. [us UTC]"""

    first_us: int
    last_us: int


def reaches(cursor: Cursor, plan: Plan, changed: Mapping[int, Changed]) -> dict[int, int]:
    """
    Return the time after which no flag of a device depends on the changed readings. [us UTC]

    The gap test compares two steps, so the next two readings are included; FAR_US if there are
    fewer.
    """
    fleet, result = plan.fleet, dict.fromkeys(changed, FAR_US)
    late = [d for d, changed in changed.items() if changed.last_us < FAR_US]
    for class_id, members in marks.by_class(fleet, late).items():
        since = {d: changed[d].last_us + 1 for d in members}
        for device, us in readings.second_after(cursor, fleet, class_id, since).items():
            near = changed[device].last_us + _reach_us(plan, class_id)
            result[device] = max(near, us + 1)
    return result


def _reach_us(plan: Plan, class_id: str) -> int:
    """Return how long after a reading other flags can depend on it. [us]"""
    channels = classes.load()[class_id].channels.values()
    runs = (w for channel in channels for w in runs_of(plan.checks, class_id, channel))
    longest = max((watch.reach_us for watch in runs), default=0)
    return longest + 2 * NEAR_US


class Again(NamedTuple):
    """Flags of stored readings, and the readings tested."""

    flags: Flags
    frames: list[Frame]


class Judging:
    """Quality tests of stored readings by one registry version; stateless."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._scratch = Watched(len(plan.fleet))

    def judge(
        self, cursor: Cursor, from_us: Mapping[int, int], until_us: Mapping[int, int]
    ) -> Again:
        """
        Return the flags of readings, each device in its own span.

        `from_us`: start by fleet index; FROM_START for all. [us UTC]
        `until_us`: end by fleet index, see `reaches`; without one, all later readings. [us UTC]
        """
        fleet, checks = self._plan.fleet, self._plan.checks
        _go_on(cursor, checks, self._scratch, from_us)
        frames, parts = [], []
        for class_id, members in marks.by_class(fleet, list(from_us)).items():
            after = {d: from_us[d] - 1 for d in members}
            # the reading after may tell of the last one, if it is near
            beyond = {d: us + NEAR_US + 1 for d, us in until_us.items()}
            frame = readings.fetch(cursor, fleet, class_id, after, beyond)
            if len(frame):
                frames.append(frame)
                parts.append(judge(checks, self._scratch, [frame]).flags)
        result = Flags.concat(parts)
        starts = np.full(len(fleet), FROM_START, dtype=np.int64)
        starts[list(from_us)] = list(from_us.values())
        stops = np.full(len(fleet), FAR_US, dtype=np.int64)
        stops[list(until_us)] = list(until_us.values())
        inside = (result.time_us >= starts[result.device]) & (result.time_us < stops[result.device])
        return Again(result.take(inside), frames)


class Quality:
    """
    Cached state of the quality tests after the last readings, for one registry version.

    Valid for loaded devices of `MeterState`, except `unsure` ones, which are reloaded before their
    next reading.
    """

    def __init__(self, plan: Plan, ids: Words) -> None:
        self._plan = plan
        self._ids = ids
        self._live = Watched(len(plan.fleet))
        self._unsure = np.zeros(len(plan.fleet), dtype=np.bool_)

    def take_over(self, before: Quality, here: Int32, there: Int32) -> None:
        """Take over an earlier version's state of devices, by index `here` and `there`."""
        self._live.take_over(before._live, here, there)
        self._unsure[here] = before._unsure[there]

    def load(self, cursor: Cursor, state: MeterState, devices: Sequence[int]) -> None:
        """Load the state of the tests; `state` has each device's newest reading."""
        newest = zip(devices, state.last_us[list(devices)].tolist(), strict=True)
        before = {d: us + 1 if us > NEVER else FROM_START for d, us in newest}
        _go_on(cursor, self._plan.checks, self._live, before)
        self._unsure[list(devices)] = False

    def forget(self, devices: Sequence[int]) -> None:
        """Discard the state of the tests; that of registers is kept."""
        self._unsure[list(devices)] = True

    def unsure(self, devices: Collection[int]) -> list[int]:
        """Return the devices whose state must be reloaded."""
        return [d for d in devices if self._unsure[d]]

    def store(self, cursor: Cursor, new: Sequence[Frame]) -> Judged:
        """Return flags of readings later than all stored ones; `Judged.apply` updates the state."""
        judged = judge(self._plan.checks, self._live, new)
        flags.write(cursor, self._ids, judged.flags)
        return judged


def _go_on(cursor: Cursor, checks: Checks, state: Watched, before_us: Mapping[int, int]) -> None:
    """Set devices' state to a time, as `quality_lookback.load` does."""
    for standstill in watched.load(cursor, checks, state, before_us):
        settle(checks, state, standstill)
