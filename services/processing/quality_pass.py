"""Run the quality tests over stored readings: flags stored, state kept after commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from psycopg import Cursor

from ingest.model import Frame, Int32
from ingest.pipeline import FROM_START, MeterState
from ingest.pipeline.meter_state import NEVER
from ingest.pipeline.quality_state import Watched
from ingest.pipeline.quality_tests import Judged, judge
from services.processing.rejudge import Changed, Rejudged, computed, go_on, rejudge
from services.settle import Plan
from services.store.postgres.binary_copy import Words
from services.store.postgres.timestamps import FAR_US
from services.store.timeseries import quality_flags as flags


@dataclass(slots=True)
class Stored:
    """Flags that a transaction adds, by test, and what to remember once it is committed."""

    flags: Counter[str] = field(default_factory=Counter)
    again: Rejudged | None = None
    judged: Judged | None = None


class Quality:
    """
    State of the quality tests, for one registry version.

    It is true for those devices that `MeterState` calls loaded, but for those that are
    `unsure`: of them it is loaded again before the next reading.
    """

    def __init__(self, plan: Plan, ids: Words) -> None:
        self._plan = plan
        self._ids = ids
        self._live = Watched(len(plan.fleet))
        self._scratch = Watched(len(plan.fleet))
        self._spans = Watched(len(plan.fleet))  # what is judged beside a batch that is not kept yet
        self._unsure = np.zeros(len(plan.fleet), dtype=np.bool_)

    def take_over(self, before: Quality, here: Int32, there: Int32) -> None:
        """Take what is known of devices in an earlier version, by index `here` and `there`."""
        self._live.take_over(before._live, here, there)
        self._unsure[here] = before._unsure[there]

    def load(self, cursor: Cursor, state: MeterState, devices: Sequence[int]) -> None:
        """Load what the tests go on from; `state` knows each device's newest reading."""
        newest = zip(devices, state.last_us[list(devices)].tolist(), strict=True)
        before = {d: us + 1 if us > NEVER else FROM_START for d, us in newest}
        go_on(cursor, self._plan.checks, self._live, before)
        self._unsure[list(devices)] = False

    def forget(self, devices: Sequence[int]) -> None:
        """Trust no more what the tests go on from; where registers stand is as it was."""
        self._unsure[list(devices)] = True

    def unsure(self, devices: Collection[int]) -> list[int]:
        """Return those of some devices whose state is to be loaded again."""
        return [d for d in devices if self._unsure[d]]

    def store(
        self,
        cursor: Cursor,
        new: Sequence[Frame],
        changed: Mapping[int, Changed],
        until_us: Mapping[int, int],
    ) -> Stored:
        """
        Flag readings.

        Parameters
        ----------
        new : sequence of Frame
            Readings later than all that is stored of their devices.
        changed : mapping of int to Changed
            Devices with other readings, by fleet index.
        until_us : mapping of int to int
            Those of them whose flags are left as they are from a time on. [us UTC]
        """
        judged = judge(self._plan.checks, self._live, new)
        flags.write(cursor, self._ids, judged.flags)
        out = self._again(cursor, changed, until_us, self._live) if changed else Stored()
        out.flags += flags.count(judged.flags)
        out.judged = judged
        return out

    def remember(self, stored: Stored) -> list[int]:
        """Keep the state after a commit; return devices whose state is to be loaded again."""
        unsure: list[int] = []
        if stored.again is not None:
            stored.again.remember(self._live, self._scratch)
            unsure = stored.again.passed
        if stored.judged is not None:
            stored.judged.apply()
        return unsure

    def remake(
        self, cursor: Cursor, from_us: Mapping[int, int], until_us: Mapping[int, int]
    ) -> Rejudged:
        """Judge again what is stored, each device's in its own span; nothing is remembered."""
        found, _ = computed(cursor, self._plan, self._spans, from_us, None, until_us)
        spans = {d: (us, until_us.get(d, FAR_US)) for d, us in from_us.items()}
        out = Rejudged(passed=list(from_us), added=flags.count(found))
        out.added.subtract(flags.clear(cursor, self._plan.fleet, spans))
        flags.write(cursor, self._ids, found)
        return out

    def _again(
        self,
        cursor: Cursor,
        changed: Mapping[int, Changed],
        until_us: Mapping[int, int],
        live: Watched | None,
    ) -> Stored:
        again = rejudge(cursor, self._plan, self._ids, self._scratch, changed, until_us, live)
        return Stored(+again.added, again)
