"""
What the registers on the project's side rose by, held against what was counted of them.

A rise that a meter's limits do not allow is no step, and is charged at those limits.
Where they are wrong (a charger of 60 kW that is registered with 60 W) the charge would
be less than what the register shows to have been used.  So the rise itself is looked at,
as little of it as is beyond doubt.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ingest import classes
from ingest.model import INTERVAL_US, NULL
from mrv.bindings import common, role_needs
from mrv.calendar import utc_text
from mrv.methodologies import find
from mrv.project import service_intervals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ingest.model import Fleet, Frame, Int64
    from mrv.outcome import DeviceOutcome
    from mrv.project import Project

# as many readings must agree on where a register stood, so that one glitch says nothing
_AGREE = 3


class Window(NamedTuple):
    """A device in a role of the project's side, and when it serves within a period. [us UTC]"""

    device: str
    role: str
    quantity: str
    begin_us: int
    end_us: int


def windows(project: Project, fleet: Fleet, from_us: int, to_us: int) -> dict[int, list[Window]]:
    """Return what is to be looked at, by fleet index."""
    methodology = find(project.methodology, project.version)
    period = (from_us // INTERVAL_US, to_us // INTERVAL_US)
    found: dict[int, list[Window]] = {}
    for bound in project.devices:
        needs = role_needs(methodology, bound, f"device {bound.device}")
        if needs.side != "project":
            continue
        index = fleet.by_id[bound.device]
        served = service_intervals(project, bound, fleet.devices[index], needs.side)
        for begin, end in common([served], [period]):
            edges = begin * INTERVAL_US, end * INTERVAL_US
            found.setdefault(index, []).append(
                Window(bound.device, bound.role, needs.quantity, *edges)
            )
    return found


def rises(
    block: Frame, fleet: Fleet, wanted: Mapping[int, Iterable[Window]]
) -> Iterator[tuple[Window, int]]:
    """
    Return the least that registers rose by in their windows. [base units]

    Parameters
    ----------
    block : Frame
        Whole devices, sorted by device and time.
    wanted : mapping
        As `windows` gives it.
    """
    for index, mine in wanted.items():
        begin, end = np.searchsorted(block.device, [index, index + 1])
        device = fleet.devices[index]
        if begin == end or device.class_id != block.class_id:
            continue
        for channel in classes.load()[device.class_id].registers:
            value: Any = block.columns[channel.name][begin:end]
            swaps = [r.at_us for r in device.replacements if r.channel == channel.name]
            for window in mine:
                if channel.quantity == window.quantity:
                    yield window, _least(value, block.time_us[begin:end], window, swaps)


def _least(value: Int64, time_us: Int64, window: Window, swaps: Iterable[int]) -> int:
    """Sum over the meters that were there one after another, each by its own register."""
    inside = (time_us >= window.begin_us) & (time_us < window.end_us) & (value != NULL)
    held, at = value[inside], time_us[inside]
    edges = [0, *np.searchsorted(at, sorted(swaps)).tolist(), len(held)]
    return sum(_of_one(held[a:b]) for a, b in pairwise(edges))


def _of_one(value: Int64) -> int:
    """Rise since a register first moved: what it caught up then may be of the time before."""
    moved = np.flatnonzero(value[1:] != value[:-1])
    value = value[moved[0] + 1 :] if len(moved) else value[:0]
    few = min(_AGREE, len(value) // 2)
    return max(0, int(value[-few:].min() - value[:few].max())) if few else 0


def undercounted(
    found: Iterable[tuple[Window, int]], devices: Iterable[DeviceOutcome]
) -> Iterator[str]:
    """Say of which devices less is counted than their registers rose by."""
    counted = {(d.device, d.role, d.from_us): d for d in devices}
    for window, least in found:
        one = counted[window.device, window.role, window.begin_us]
        whole = one.metered + Fraction(one.substituted)
        if whole < least:
            yield (
                f"device {one.device} counts {float(whole):,.0f} {one.unit} as {one.role} from"
                f" {utc_text(window.begin_us)} to {utc_text(window.end_us)}, and its register rose"
                f" by at least {least:,}: faster than its limits allow, which then charge too"
                " little; correct its rated_power_w in the registry, or enter the meter's"
                " replacement, rebuild its intervals and close again"
            )
