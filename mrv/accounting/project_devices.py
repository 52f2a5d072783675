"""The devices that serve a project in a period, each with its own rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US, Fleet, IntervalRows
from mrv.accounting.device_bindings import Span, common, costed, role_needs
from mrv.accounting.device_period import Bounds, Monitored, monitor
from mrv.errors import PeriodError
from mrv.model import Methodology, RoleNeeds
from mrv.parameters.inputs import read
from mrv.registry.project import Calibration, Project, ProjectDevice, service_intervals


def monitor_all(
    project: Project,
    methodology: Methodology,
    fleet: Fleet,
    calibrations: Mapping[str, Sequence[Calibration]],
    rows: IntervalRows,
    period_us: tuple[int, int],
    bounds: Callable[[ProjectDevice, RoleNeeds], Bounds] | None = None,
) -> list[Monitored]:
    """
    Monitor every device bound to the project within the period, by id, role and begin.

    The baseline's devices count only while the roles that cost something have theirs; one
    that serves before and after a time without them is monitored in each of its parts.

    Parameters
    ----------
    rows : IntervalRows
        Within the period, in any order; rows that serve no role are passed over.
    period_us : tuple of int
        Half-open, on the grid.
    bounds : callable, optional
        What a device can have done at most, from accounting version 2 on.

    Raises
    ------
    PeriodError
        If there is none, if one is not in the registry, or as `monitor` raises.
    """
    period = (period_us[0] // INTERVAL_US, period_us[1] // INTERVAL_US)
    bound = sorted(
        (b for b in project.devices if _meets(b, period_us)),
        key=lambda b: (b.device, b.role, b.from_us),
    )
    if not bound:
        raise PeriodError(f"project {project.id} has no device in this period; bind its devices")
    by_key = _grouped(rows)
    gaining = common([period], costed(project, methodology, fleet))
    result = []
    for one in bound:
        where = f"project {project.id}: device {one.device}"
        needs = role_needs(methodology, one, where)
        if one.device not in fleet.by_id:
            raise PeriodError(f"{where} is not in the registry; import it first")
        index = fleet.by_id[one.device]
        device = fleet.devices[index]
        read_rows = [by_key(index, QUANTITY_INDEX[quantity]) for quantity in needs.quantities]
        params, papers = read(needs.params, one.params, where), calibrations.get(one.device, ())
        spans = [period]
        if needs.side == "baseline":
            served = service_intervals(project, one, device, needs.side)
            # of a device that never counts it is told what it metered beside
            spans = common([served], gaining) or [(period[1], period[1])]
        for span, edges in zip(spans, _windows(spans, period), strict=True):
            own = [_between(rows_, edges) for rows_ in read_rows]
            result.append(
                monitor(
                    project, one, device, needs, params, papers, own, span,
                    monthly=methodology.monthly,
                    bounds=None if bounds is None else bounds(one, needs),
                )
            )  # fmt: skip
    return result


def _windows(spans: Sequence[Span], period: Span) -> list[Span]:
    """Cut the period at the spans' begins, so that each row belongs to one of them."""
    begins = [period[0], *(begin for begin, _ in spans[1:])]
    return list(zip(begins, [*begins[1:], period[1]], strict=True))


def _between(rows: IntervalRows, edges: Span) -> IntervalRows:
    number = rows.start_us // INTERVAL_US
    return rows.take(np.flatnonzero((number >= edges[0]) & (number < edges[1])))


def _grouped(rows: IntervalRows) -> Callable[[int, int], IntervalRows]:
    """Return a look-up of rows by device and quantity, sorted once for all devices."""
    keys = rows.device.astype(np.int64) * len(QUANTITY_INDEX) + rows.quantity
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]

    def look_up(device: int, quantity: int) -> IntervalRows:
        key = device * len(QUANTITY_INDEX) + quantity
        begin, end = np.searchsorted(ordered, [key, key + 1])
        return rows.take(order[begin:end])

    return look_up


def _meets(bound: ProjectDevice, period_us: tuple[int, int]) -> bool:
    return bound.from_us < period_us[1] and (bound.to_us is None or bound.to_us > period_us[0])
