"""
Meters of other projects that say the same as one of a project: one meter under two ids.

Inside a project `mrv.accounting.twin_series` compares each pair.  Of all other projects those
devices are looked at that agree with one of the project's in its strongest quarter hours, also an
hour earlier or later.  Who was registered first counts; what an issued statement claims goes
before that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from psycopg import Connection

from mrv.accounting.twin_series import LAGS, twins
from mrv.methodologies import find
from mrv.registry.project import Project, ProjectDevice
from services.registry.entries import ProjectDevice as Entry
from services.registry.entries import Registry
from services.store.statements import statements
from services.store.timeseries.same_energy import peaks, series, values_at

CLAUSE = "tonne: no meter of another project says the same"
# ratios of so many days' strongest quarter hours are looked at, and so many are to be one: of
# copies with half a percent of noise 999 in 1,000 agree, of meters whose ratio varies by 1.4 %
# 2 in 100
_DAYS, _AGREE = 10, 7
# two values of one ratio: more than a register's own step, or a little noise, of them
_RATIO = 8e-3


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
        for name, other in _near(conn, names, sorted(beside), quantity, period_us):
            pair = [series(conn, one, quantity, period_us) for one in (name, other)]
            for twin in twins(pair):
                text = f"{other} ({beside[other]})"
                if not twin.equal:
                    found.alike.append(f"{name} moves as {text} does")
                elif _second(conn, project, period_us, registered, (name, other)):
                    found.uncounted[name] = f"says what {text} says, quarter hour by quarter hour"
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
    around = sorted({number + lag for number in at for lag in range(-LAGS, LAGS + 1)})
    held = values_at(conn, [*names, *others], quantity, around) if at else {}
    for name in names:
        own = {number: held[name][number] for number in at if number in held.get(name, {})}
        for other in others:
            there = held.get(other, {})
            if there and any(_agree(own, there, lag) for lag in range(-LAGS, LAGS + 1)):
                yield name, other


def _agree(own: Mapping[int, int], there: Mapping[int, int], lag: int) -> bool:
    ratios = sorted(there[n + lag] / value for n, value in own.items() if n + lag in there)
    need = min(_AGREE, len(own))
    return bool(need) and any(
        high <= low * (1 + _RATIO) for low, high in zip(ratios, ratios[need - 1 :], strict=False)
    )


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
