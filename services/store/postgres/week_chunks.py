"""
Division of long time ranges into queries of one week, ordered by week and device.

Rows are stored in order of arrival, so that in this order each page is read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ingest.model import Fleet, Int32
from services.store.postgres.values import stamp

# what the server gathers before it sends: a second's readings of eight days are 100 MB
_RUN_US = 8 * 86_400_000_000
_LONGEST_US = 20 * 366 * 86_400_000_000
# as `Weeks.arguments` gives them
SELECTED = "unnest(%s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[])"
NAMED = "(number, id, since, until)"


class Weeks(NamedTuple):
    """Device numbers of the runs, by device and time; and the arguments of `SELECTED`."""

    device: Int32
    arguments: tuple[list[int], list[str], list[str], list[str]]


def cut(fleet: Fleet, spans: Mapping[int, tuple[int, int]]) -> Weeks:
    """
    Return the weeks of the devices' spans, by fleet index; an open span is not divided. [us
    UTC]
    """
    runs = [
        (device, begin, end)
        for device, (since, until) in sorted(spans.items())
        for begin, end in weeks(since, until)
    ]
    device = np.array([d for d, _, _ in runs], dtype=np.int32)
    order = sorted(range(len(runs)), key=lambda k: runs[k][1])
    since, until = ([stamp(runs[k][edge]) for k in order] for edge in (1, 2))
    return Weeks(device, (order, fleet.ids(device[order]), since, until))


def weeks(since: int, until: int) -> Iterator[tuple[int, int]]:
    """Yield the weeks of a span as `cut` does. [us UTC]"""
    step = _RUN_US if until - since <= _LONGEST_US else until - since
    for begin in range(since, until, step):
        yield begin, min(begin + step, until)


def together(spans: Mapping[int, tuple[int, int]]) -> Iterator[dict[int, tuple[int, int]]]:
    """
    Yield groups of devices with similar spans, so that each group is queried with constant bounds.
    [us UTC]

    The planner does not know the length of spans from a join, and would read all devices' rows in
    them.  A group's total time is at most twice what its devices need.
    """
    group: dict[int, tuple[int, int]] = {}
    begin = end = total = 0
    for device, (since, until) in sorted(spans.items(), key=lambda item: item[1]):
        reach = max(end, until)
        if group and (reach - begin) * (len(group) + 1) > 2 * (total + until - since):
            yield group
            group, total = {}, 0
        if not group:
            begin, reach = since, until
        group[device], end, total = (since, until), reach, total + until - since
    if group:
        yield group
