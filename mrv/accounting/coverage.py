"""
Service time of a project's devices, and its measured, estimated, unknown and missing parts.

Each microsecond of a device's service is measured, estimated, unknown (within a register step of
unknown size) or missing (no step).  The deduction for unknown and missing time depends on the side
of the account; it is applied when the period is closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ingest.model import INTERVAL_US, Fleet, Int64, IntervalRows
from mrv.calendar import utc_text
from mrv.errors import MethodologyError, PeriodError
from mrv.model import Methodology, RoleNeeds
from mrv.registry.project import Project, ProjectDevice, service_intervals
from mrv.rounding import exact_sum

# first interval and one past the last, numbered since the epoch
Span = tuple[int, int]
_NEVER = 1 << 32
_TIMES = "measured_us", "estimated_us", "unknown_us", "missing_us"


@dataclass(frozen=True, slots=True)
class Service:
    """
    A device's quantity and times in each of the intervals [first, last); zero in gaps.

    `outside`: quantity metered before installation, after removal, or for another project.
    """

    first: int
    value: Int64
    measured_us: Int64
    estimated_us: Int64
    unknown_us: Int64
    missing_us: Int64
    outside: int

    def __len__(self) -> int:
        return len(self.value)

    @property
    def last(self) -> int:
        """Return the number of the interval after its last one."""
        return self.first + len(self)

    @property
    def lost_us(self) -> int:
        """Return the time without known quantity. [us]"""
        return exact_sum(self.unknown_us) + exact_sum(self.missing_us)

    @property
    def reported(self) -> bool:
        """Return whether any of its time has data, known or not."""
        return exact_sum(self.missing_us) < len(self) * INTERVAL_US

    def cut(self, first: int, last: int) -> Service:
        """Return the part within intervals [first, last)."""
        begin, end = (min(max(edge - self.first, 0), len(self)) for edge in (first, last))
        cut = {name: getattr(self, name)[begin:end] for name in ("value", *_TIMES)}
        return replace(self, first=self.first + begin, outside=0, **cut)


@dataclass(frozen=True, slots=True)
class Gap:
    """Consecutive intervals with unknown or missing time; `time_us`: the sum of that time."""

    start_us: int
    end_us: int
    kind: str
    time_us: int


def service(rows: IntervalRows, first: int, last: int, device: str) -> Service:
    """
    Return a device's rows of one quantity as an array over its intervals [first, last).

    `rows`: rows of one device and quantity, in any order.
    `first`, `last`: interval numbers since the epoch; an empty range is allowed.
    `device`: device id, for errors.
    Raises PeriodError if two rows have the same start, a value is negative, or a row accounts for
    more or less time than an interval has.
    """
    place = rows.start_us // INTERVAL_US - first
    _check(rows, device)
    inside = (place >= 0) & (place < last - first)
    columns = {}
    for name in ("value", *_TIMES[:3]):
        columns[name] = np.zeros(max(0, last - first), dtype=np.int64)
        columns[name][place[inside]] = getattr(rows, name)[inside]
    known = columns["measured_us"] + columns["estimated_us"] + columns["unknown_us"]
    return Service(
        first=first,
        missing_us=INTERVAL_US - known,
        outside=exact_sum(rows.value[~inside]),
        **columns,
    )


def _check(rows: IntervalRows, device: str) -> None:
    times = (rows.measured_us, rows.estimated_us, rows.unknown_us)
    wrong = (sum(times) > INTERVAL_US) | (np.minimum.reduce((rows.value, *times)) < 0)
    if wrong.any():
        at = int(rows.start_us[np.flatnonzero(wrong)[0]])
        raise PeriodError(
            f"device {device}: the interval at {utc_text(at)} has a negative value, or more than"
            " its 15 minutes; run `tonne rebuild` for it"
        )
    starts = np.sort(rows.start_us)
    twice = np.flatnonzero(starts[1:] == starts[:-1])
    if len(twice):
        raise PeriodError(
            f"device {device}: the interval at {utc_text(int(starts[twice[0]]))} appears twice; "
            "enter each interval once"
        )


def gaps(part: Service) -> list[Gap]:
    """Return runs of unknown and of missing time, in order of their start."""
    result = []
    for kind, time in (("unknown", part.unknown_us), ("missing", part.missing_us)):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], time > 0, [0]]).astype(np.int8)))
        for begin, end in edges.reshape(-1, 2).tolist():
            start_us, end_us = ((part.first + edge) * INTERVAL_US for edge in (begin, end))
            result.append(Gap(start_us, end_us, kind, exact_sum(time[begin:end])))
    return sorted(result, key=lambda g: (g.start_us, g.kind))


def costed(project: Project, methodology: Methodology, fleet: Fleet) -> list[Span]:
    """
    Return spans in which every role with project emissions has a device installed.

    The baseline is credited only in these spans: buses without an assigned charger would be
    credited without their electricity.  Half-open spans, ascending. [interval numbers since the
    epoch]
    """
    result: list[Span] = [(0, _NEVER)]
    for role, needs in methodology.roles.items():
        if needs.side != "project" or not needs.required:
            continue
        served = (
            service_intervals(project, bound, fleet.devices[fleet.by_id[bound.device]], "project")
            for bound in project.devices
            if bound.role == role and bound.device in fleet.by_id
        )
        result = common(result, joined(served))
    return result


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order; spans that touch or overlap become one."""
    result = list[Span]()
    for begin, end in sorted(s for s in spans if s[0] < s[1]):
        if result and begin <= result[-1][1]:
            result[-1] = result[-1][0], max(result[-1][1], end)
        else:
            result.append((begin, end))
    return result


def remaining(spans: Iterable[Span], begin: int, end: int) -> list[Span]:
    """Return the parts of [begin, end) outside other spans, in order."""
    inside = joined((max(first, begin), min(last, end)) for first, last in spans)
    edges = [begin, *(edge for span in inside for edge in span), end]
    return [span for span in zip(edges[::2], edges[1::2], strict=True) if span[0] < span[1]]


def common(spans: Iterable[Span], other: Iterable[Span]) -> list[Span]:
    """Return the intersections of two lists of disjoint spans, ascending."""
    others = list(other)
    shared = ((max(a, c), min(b, d)) for a, b in spans for c, d in others)
    return sorted(span for span in shared if span[0] < span[1])


def role_needs(methodology: Methodology, bound: ProjectDevice, where: str) -> RoleNeeds:
    """Return the requirements of a device's role; MethodologyError lists the possible roles."""
    if bound.role not in methodology.roles:
        raise MethodologyError(
            f"{where}: role {bound.role!r} is unknown to {methodology.id};"
            f" its roles: {', '.join(methodology.roles)}"
        )
    return methodology.roles[bound.role]
