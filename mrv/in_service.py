"""The devices that serve a project in a period, each with its own rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US
from mrv.bindings import costed, role_needs
from mrv.errors import PeriodError
from mrv.inputs import read
from mrv.monitored import monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ingest.model import Fleet, IntervalRows
    from mrv.model import Methodology
    from mrv.monitored import Monitored
    from mrv.project import Calibration, Project, ProjectDevice


def monitor_all(
    project: Project,
    methodology: Methodology,
    fleet: Fleet,
    calibrations: Mapping[str, Sequence[Calibration]],
    rows: IntervalRows,
    period_us: tuple[int, int],
) -> list[Monitored]:
    """
    Monitor every device bound to the project within the period, by id, role and begin.

    The baseline's devices count only while the roles that cost something have theirs.

    Parameters
    ----------
    rows : IntervalRows
        Within the period, in any order; rows that serve no role are passed over.
    period_us : tuple of int
        Half-open, on the grid.

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
    span = costed(project, methodology, fleet)
    gaining = (max(period[0], span[0]), min(period[1], span[1]))
    result = []
    for one in bound:
        where = f"project {project.id}: device {one.device}"
        needs = role_needs(methodology, one, where)
        if one.device not in fleet.by_id:
            raise PeriodError(f"{where} is not in the registry; import it first")
        index = fleet.by_id[one.device]
        result.append(
            monitor(
                project,
                one,
                fleet.devices[index],
                needs,
                read(needs.params, one.params, where),
                calibrations.get(one.device, ()),
                [by_key(index, QUANTITY_INDEX[quantity]) for quantity in needs.quantities],
                gaining if needs.side == "baseline" else period,
            )
        )
    return result


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
