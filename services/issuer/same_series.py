"""
Meters of other projects that say the same as one of a project: one meter under two ids.

Inside a project `mrv.accounting.twin_series` compares each pair.  Of all other projects those
devices are looked at that agree with one of the project's in its strongest quarter hours, also an
hour earlier or later.  Who was registered first counts; what an issued statement claims goes
before that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from psycopg import Connection

from mrv.accounting.agreeing_series import agreeing
from mrv.accounting.twin_series import LAGS, twins
from mrv.methodologies import find
from mrv.registry.project import Project, ProjectDevice
from services.registry.entries import ProjectDevice as Entry
from services.registry.entries import Registry
from services.store.statements import statements
from services.store.timeseries.same_energy import peaks, series, values_at

CLAUSE = "tonne: no meter of another project says the same"
# days of which the strongest quarter hours are looked at
_DAYS = 10
# devices of other projects that are looked at at once: some 15 MB
_AT_ONCE = 10_000


class Same(NamedTuple):
    """Conditions, and devices that earn nothing, why."""

    alike: list[str]
    uncounted: dict[str, str]


def same_elsewhere(
    conn: Connection,
    registry: Registry,
    project: Project,
    period_us: tuple[int, int],
    registered: Mapping[str, object],
) -> Same:
    """
    Compare a project's energy of a period with that of all other projects.

    Parameters
    ----------
    registered : mapping of str to datetime
        Since when devices have a rated power in the registry.
    """
    mine = _energy(project.methodology, project.version, project.devices)
    others: dict[str, dict[str, str]] = {}
    for entry in registry.projects.values():
        if entry.id != project.id:
            for quantity, names in _energy(entry.methodology, entry.version, entry.devices).items():
                others.setdefault(quantity, {}).update(dict.fromkeys(names, entry.id))
    found = Same([], {})
    for quantity, names in sorted(mine.items()):
        beside = {d: p for d, p in others.get(quantity, {}).items() if d not in names}
        near = _near(conn, names, sorted(beside), quantity, period_us)
        for name, pairs in groupby(near, key=itemgetter(0)):
            own = series(conn, name, quantity, period_us)
            for _, other in pairs:
                text = f"{other} ({beside[other]})"
                for twin in twins([own, series(conn, other, quantity, period_us)]):
                    if not twin.equal:
                        found.alike.append(f"{name} moves as {text} does")
                    elif _second(conn, project, period_us, registered, (name, other)):
                        said = f"says what {text} says, quarter hour by quarter hour"
                        found.uncounted[name] = said
    return found


def _energy(
    method: str, version: str, bound: Sequence[ProjectDevice] | Sequence[Entry]
) -> dict[str, list[str]]:
    """Devices of the baseline that count energy, by quantity."""
    roles = find(method, version).roles
    found: dict[str, list[str]] = {}
    for one in bound:
        needs = roles.get(one.role)
        if needs is not None and needs.side == "baseline" and needs.unit == "Wh":
            found.setdefault(needs.quantity, []).append(one.device)
    return found


def _near(
    conn: Connection,
    names: Sequence[str],
    others: Sequence[str],
    quantity: str,
    period_us: tuple[int, int],
) -> Iterator[tuple[str, str]]:
    """Pairs that agree, but for a scale, in the project's strongest quarter hours."""
    at = peaks(conn, names, quantity, period_us, _DAYS) if others else []
    if not at:
        return
    moved = np.add.outer(range(-LAGS, LAGS + 1), at)
    around, places = np.unique(moved, return_inverse=True)
    own = values_at(conn, names, quantity, at)
    found = []
    for begin in range(0, len(others), _AT_ONCE):
        some = others[begin : begin + _AT_ONCE]
        held = values_at(conn, some, quantity, around.tolist())
        near = agreeing(own, held[:, places.reshape(moved.shape)])
        found += [(i, begin + j) for i, j in near]
    for i, j in sorted(found):
        yield names[i], others[j]


def _second(
    conn: Connection,
    project: Project,
    period_us: tuple[int, int],
    registered: Mapping[str, object],
    pair: tuple[str, str],
) -> bool:
    """Whether the first of a pair is the one that came later."""
    if statements.claimed_of_devices(conn, project.id, [pair[1]], *period_us):
        return True
    name, other = ((str(registered.get(one, "9")), one) for one in pair)
    return name > other
