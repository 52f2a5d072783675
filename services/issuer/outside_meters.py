"""What meters measured that a project leaves out with a reason of its owner's alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from psycopg import Connection

from ingest.classes import QUANTITIES
from ingest.model import HOUR_US
from mrv.accounting.outside_meters import counted, left_out
from mrv.calendar import local_date
from mrv.registry.project import Project
from services.store.registry import load as registry
from services.store.registry.factors import load_book
from services.store.timeseries.interval_rows import intervals_of

_REMEDY = (
    "bind it to the project, or show the verifier what it serves (a wiring diagram, a bill of its"
    " own)"
)


def outside(
    conn: Connection, project: Project, reasons: Mapping[str, str], period_us: tuple[int, int]
) -> Iterator[str]:
    """
    Name the meters that a role of the project's side would count, what they measured and cost.

    Parameters
    ----------
    reasons : mapping of str to str
        By device, of the meters that are looked at.
    period_us : tuple of int
        Half-open. [us UTC]
    """
    if not reasons:
        return
    fleet, book = registry.load_fleet(conn), load_book(conn)
    names = sorted(name for name in reasons if name in fleet.by_id)
    with conn.cursor() as cursor:
        rows = intervals_of(cursor, fleet, *period_us, names, marks=False)
    measured: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    unknown: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for device, quantity, value, not_known in zip(
        rows.device.tolist(), rows.quantity.tolist(), rows.value.tolist(),
        rows.unknown_us.tolist(), strict=True,
    ):  # fmt: skip
        measured[device][QUANTITIES[quantity].name] += value
        unknown[device][QUANTITIES[quantity].name] += not_known
    year = local_date(period_us[0], project.timezone).year
    for name in names:
        index = fleet.by_id[name]
        device = fleet.devices[index]
        text = left_out(project, device, measured[index], book, year)
        hours = max((unknown[index][q] for q in counted(project, device)), default=0) / HOUR_US
        said = [f"measured {text}"] if text else []
        if hours >= 1:
            said.append(
                f"told of {hours:,.0f} h what its registered `rated_power_w` does not allow, or a"
                " reset, so that nobody knows it"
            )
        if said:
            yield f"{name}, left out as '{reasons[name]}', {', and '.join(said)}; {_REMEDY}"
