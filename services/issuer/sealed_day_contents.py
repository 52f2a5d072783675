"""
Which days the log seals, and what a day holds.

A project's local day holds the readings, intervals and emissions of the devices
that serve it on that day.  Devices that serve no project for all of a UTC day
have it sealed too, under no project: what is measured is not changed in silence,
whatever it is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import numpy as np
from psycopg import Connection, Cursor

from ingest.model import Fleet
from mrv.calendar import days, narrowed, utc_text
from mrv.log.entries import Day
from mrv.registry.project import ProjectDevice
from mrv.signatures.day_digests import DayLeaf, Digest, digest_leaves
from mrv.statement import evidence_rows
from mrv.statement.device_days import intervals_digest, leaves, reading_leaves
from services.store.registry import load as registry
from services.store.statements import sealed_days as seals
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries.interval_rows import intervals_of

HOUR_US = 3_600_000_000
# stragglers of a day have until then; what comes later is sealed as late
SETTLE_US = 24 * HOUR_US
PROMISED_US = 36 * HOUR_US
_DEVICES_AT_ONCE = 100


class Job(NamedTuple):
    """A day of a project ('' for none): its zone, edges and devices."""

    project: str
    day: date
    timezone: str
    from_us: int
    to_us: int
    devices: tuple[str, ...]

    def entry(self) -> Day:
        """Write the day as the log's entry names it."""
        edges = utc_text(self.from_us), utc_text(self.to_us)
        return Day(self.project or None, self.day.isoformat(), self.timezone, *edges)

    def __str__(self) -> str:
        whose = f"project {self.project}" if self.project else "devices without project"
        return f"{whose}, {self.day}"


@dataclass(frozen=True, slots=True)
class _Serving:
    """Devices with the times in which they serve; without times, always."""

    project: str
    timezone: str
    begin_us: int
    end_us: int
    bound: tuple[ProjectDevice, ...]
    others: tuple[str, ...] = ()

    def on(self, from_us: int, to_us: int) -> tuple[str, ...]:
        """Return the devices that a day is about."""
        if self.project:
            found = {d.device for d in self.bound if _overlaps(d, from_us, to_us)}
        else:
            whole = {d.device for d in self.bound if _covers(d, from_us, to_us)}
            found = set(self.others) - whole
        return tuple(sorted(found))


def _overlaps(one: ProjectDevice, from_us: int, to_us: int) -> bool:
    return one.from_us < to_us and (one.to_us is None or one.to_us > from_us)


def _covers(one: ProjectDevice, from_us: int, to_us: int) -> bool:
    return one.from_us <= from_us and (one.to_us is None or one.to_us >= to_us)


def ended(conn: Connection, fleet: Fleet, until_us: int) -> Iterator[Job]:
    """
    Days that ended by a time, of each project and of devices without one, oldest first.

    Parameters
    ----------
    until_us : int
        Days whose end is later are left out. [us UTC]
    """
    projects = registry.load_projects(conn)
    every = tuple(d.id for d in fleet.devices)
    serving = [
        _Serving(p.id, p.timezone, p.from_us, p.to_us, p.devices) for p in projects if p.devices
    ]
    bound = tuple(d for p in projects for d in p.devices)
    serving.append(_Serving("", "UTC", 0, until_us, bound, every))
    with conn.cursor() as cursor:
        began = seals.first_us(cursor, tuple({*every, *(d.device for d in bound)}))
    for one in serving:
        ids = every if not one.project else tuple({d.device for d in one.bound})
        first = min((began[name] for name in ids if name in began), default=None)
        if first is None:
            continue
        for day, begin, end in days(
            max(first, one.begin_us), min(until_us, one.end_us), one.timezone
        ):
            devices = one.on(begin, end)
            if end <= until_us and devices:
                zone = narrowed(one.timezone, begin, end)
                yield Job(one.project, day, zone, begin, end, devices)


class Overdue(NamedTuple):
    """Days whose seal was promised earlier: those that still wait, and those sealed too late."""

    waiting: list[Job]
    sealed_late: list[tuple[Job, datetime]]


def overdue(
    jobs: Iterable[Job], sealed: Mapping[tuple[str, date], datetime], now_us: int
) -> Overdue:
    """
    Tell which days were not sealed within `PROMISED_US` of their end.

    Parameters
    ----------
    sealed : mapping
        When each sealed day was first sealed.
    """
    found = Overdue([], [])
    for job in jobs:
        at = sealed.get((job.project, job.day))
        due = datetime.fromtimestamp((job.to_us + PROMISED_US) / 1e6, UTC)
        if at is None and job.to_us <= now_us - PROMISED_US:
            found.waiting.append(job)
        elif at is not None and at > due:
            found.sealed_late.append((job, at))
    return found


def parts_of(cursor: Cursor, fleet: Fleet, job: Job) -> dict[str, Digest]:
    """Digests of what a day holds now: `readings`, `intervals`, `emissions`."""
    found: dict[str, list[DayLeaf]] = {"readings": [], "intervals": [], "emissions": []}
    zone = job.timezone
    known = [name for name in job.devices if name in fleet.by_id]
    for some in _batched(known):
        index = [fleet.by_id[name] for name in some]
        for class_id, members in marks.by_class(fleet, index).items():
            after = dict.fromkeys(members, job.from_us - 1)
            frame = readings.fetch(cursor, fleet, class_id, after, job.to_us)
            for block in evidence_rows.blocks(frame):
                found["readings"].extend(reading_leaves(fleet, block, zone))
        rows = intervals_of(cursor, fleet, job.from_us, job.to_us, list(some), marks=False)
        found["intervals"].extend(intervals_digest(fleet, rows, zone).leaves)
        stored = seals.emissions_of(cursor, fleet, some, job.from_us, job.to_us)
        order = np.argsort(stored.device, kind="stable")
        columns: dict[str, Any] = {name: values[order] for name, values in stored.columns.items()}
        found["emissions"].extend(
            leaves(
                fleet,
                "interval_emission",
                (stored.device[order], stored.start_us[order]),
                columns,
                zone,
            )
        )
    return {name: digest_leaves(some) for name, some in found.items()}


def _batched(names: list[str]) -> Iterator[list[str]]:
    for at in range(0, len(names), _DEVICES_AT_ONCE):
        yield names[at : at + _DEVICES_AT_ONCE]
