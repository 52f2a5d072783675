"""
Days that the log seals, and the contents of each day.

A project's local day contains the readings, intervals and emissions of the devices that serve it on
that day.  UTC days of devices without a project are sealed too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, TypeVar

import numpy as np
from psycopg import Connection, Cursor

from ingest.model import Fleet
from mrv.calendar import days, narrowed, utc_text
from mrv.log.entries import Day
from mrv.registry.project import ProjectDevice
from mrv.signatures.day_digests import DayLeaf, Digest, digest_leaves
from mrv.statement import device_days
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
_DEVICES_AT_ONCE = 100  # of a day
T = TypeVar("T")


class Job(NamedTuple):
    """Day to be sealed of a project ('' for none): its time zone, start, end and devices."""

    project: str
    day: date
    timezone: str
    from_us: int
    to_us: int
    devices: tuple[str, ...]

    def entry(self) -> Day:
        """Return the day as in the log's entry."""
        edges = utc_text(self.from_us), utc_text(self.to_us)
        return Day(self.project or None, self.day.isoformat(), self.timezone, *edges)

    def __str__(self) -> str:
        whose = f"project {self.project}" if self.project else "devices without project"
        return f"{whose}, {self.day}"


@dataclass(frozen=True, slots=True)
class _Serving:
    """Devices with their service times; without times, always."""

    project: str
    timezone: str
    begin_us: int
    end_us: int
    bound: tuple[ProjectDevice, ...]
    others: tuple[str, ...] = ()

    def on(self, from_us: int, to_us: int) -> tuple[str, ...]:
        """Return the devices that belong to a day."""
        spans = ((d.device, d.from_us, to_us if d.to_us is None else d.to_us) for d in self.bound)
        if self.project:
            return tuple(sorted({name for name, a, b in spans if a < to_us and b > from_us}))
        whole = {name for name, a, b in spans if a <= from_us and b >= to_us}
        return tuple(sorted({*self.others} - whole))


def ended(conn: Connection, fleet: Fleet, until_us: int) -> Iterator[Job]:
    """
    Yield days that ended by a time, of each project and of devices without one, oldest first.

    `until_us`: days that end later are omitted. [us UTC]
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
    for item in serving:
        ids = every if not item.project else tuple({d.device for d in item.bound})
        first = min((began[name] for name in ids if name in began), default=None)
        if first is None:
            continue
        for day, begin, end in days(
            max(first, item.begin_us), min(until_us, item.end_us), item.timezone
        ):
            devices = item.on(begin, end)
            if end <= until_us and devices:
                zone = narrowed(item.timezone, begin, end)
                yield Job(item.project, day, zone, begin, end, devices)


class Overdue(NamedTuple):
    """Days not sealed in the promised time: those still unsealed, and those sealed late."""

    waiting: list[Job]
    sealed_late: list[tuple[Job, datetime]]


def overdue(
    jobs: Iterable[Job], sealed: Mapping[tuple[str, date], datetime], now_us: int
) -> Overdue:
    """
    Return the days that were not sealed within `PROMISED_US` of their end.

    `sealed`: time of the first seal of each sealed day, by project and day.
    """
    result = Overdue([], [])
    for job in jobs:
        at = sealed.get((job.project, job.day))
        due = datetime.fromtimestamp((job.to_us + PROMISED_US) / 1e6, UTC)
        if at is None and job.to_us <= now_us - PROMISED_US:
            result.waiting.append(job)
        elif at is not None and at > due:
            result.sealed_late.append((job, at))
    return result


def together(days: Iterable[T], job_of: Callable[[T], Job]) -> Iterator[list[T]]:
    """
    Yield runs of consecutive days with the same devices, to be read at once.

    Devices times days of a run are at most those of one day of a large project, so that memory is
    bounded.
    """
    run: list[T] = []
    for day in days:
        if run and not _follows(job_of(run[-1]), job_of(day), len(run)):
            yield run
            run = []
        run.append(day)
    if run:
        yield run


def _follows(before: Job, job: Job, days: int) -> bool:
    return (
        job.from_us == before.to_us
        and (job.project, job.timezone, job.devices)
        == (before.project, before.timezone, before.devices)
        and job.day > before.day
        and (days + 1) * len(job.devices) <= _DEVICES_AT_ONCE
    )


def parts_of(cursor: Cursor, fleet: Fleet, run: Sequence[Job]) -> list[dict[str, Digest]]:
    """
    Return the digests of each day of a run: `readings`, `intervals`, `emissions`.

    `run`: days from one result of `together`.
    """
    result: list[dict[str, list[DayLeaf]]] = [
        {"readings": [], "intervals": [], "emissions": []} for _ in run
    ]
    place = {job.day.isoformat(): k for k, job in enumerate(run)}

    def add(part: str, members: Iterable[DayLeaf]) -> None:
        for leaf in members:
            result[place[leaf.day]][part].append(leaf)

    zone, begin_us, end_us = run[0].timezone, run[0].from_us, run[-1].to_us
    known = [name for name in run[0].devices if name in fleet.by_id]
    for at in range(0, len(known), _DEVICES_AT_ONCE):
        subset = known[at : at + _DEVICES_AT_ONCE]
        index = [fleet.by_id[name] for name in subset]
        for class_id, members in marks.by_class(fleet, index).items():
            after = dict.fromkeys(members, begin_us - 1)
            frame = readings.fetch(cursor, fleet, class_id, after, end_us)
            for block in device_days.blocks(frame):
                add("readings", reading_leaves(fleet, block, zone))
        rows = intervals_of(cursor, fleet, begin_us, end_us, list(subset), marks=False)
        add("intervals", intervals_digest(fleet, rows, zone).leaves)
        stored = seals.emissions_of(cursor, fleet, subset, begin_us, end_us)
        order = np.argsort(stored.device, kind="stable")
        columns: dict[str, Any] = {name: values[order] for name, values in stored.columns.items()}
        key = stored.device[order], stored.start_us[order]
        add("emissions", leaves(fleet, "interval_emission", key, columns, zone))
    return [{name: digest_leaves(some) for name, some in parts.items()} for parts in result]
