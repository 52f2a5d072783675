"""
Split long time ranges into queries of one week each, ordered by week and then by device.

Rows lie as they came, those of an hour together: in this order each page is read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ingest.model import Fleet, Int32
from services.store.postgres.timestamps import stamp

# what the server gathers before it sends: a second's readings of eight days are 100 MB
_RUN_US = 8 * 86_400_000_000
_LONGEST_US = 20 * 366 * 86_400_000_000
# as `Weeks.arguments` gives them
SELECTED = "unnest(%s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[])"
NAMED = "(number, id, since, until)"


class Weeks(NamedTuple):
    """Device of each run by its number, by device and time; and the arguments of `SELECTED`."""

    device: Int32
    arguments: tuple[list[int], list[str], list[str], list[str]]


def cut(fleet: Fleet, spans: Mapping[int, tuple[int, int]]) -> Weeks:
    """Cut half-open spans of devices, by fleet index; one without an end stays whole. [us UTC]"""
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
    """Cut a half-open span as `cut` does. [us UTC]"""
    step = _RUN_US if until - since <= _LONGEST_US else until - since
    for begin in range(since, until, step):
        yield begin, min(begin + step, until)


def together(spans: Mapping[int, tuple[int, int]]) -> Iterator[dict[int, tuple[int, int]]]:
    """
    Put devices together whose half-open spans lie together. [us UTC]

    A server does not know how long a span is that comes out of a join: it takes it for short,
    and reads the rows of all devices in it where an index by time lets it.  Two values for a
    whole group tell it.  The group's time, of each of its devices, is at most twice what they
    ask for.
    """
    group: dict[int, tuple[int, int]] = {}
    begin = end = asked = 0
    for device, (since, until) in sorted(spans.items(), key=lambda one: one[1]):
        reach = max(end, until)
        if group and (reach - begin) * (len(group) + 1) > 2 * (asked + until - since):
            yield group
            group, asked = {}, 0
        if not group:
            begin, reach = since, until
        group[device], end, asked = (since, until), reach, asked + until - since
    if group:
        yield group
