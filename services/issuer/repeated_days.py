"""
Days of a project's meters that are those of another meter, or of an earlier time.

`same_series` compares quarter hours.  A copy that was read on another grid, moved by hours,
turned round or given more noise has the same sums of days, and so has a history that is sent a
second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from ingest.model import Int64
from mrv.accounting.repeated_days import LEAST, Repeated, repeated_days
from mrv.calendar import local_date
from mrv.registry.project import Project
from services.issuer.same_series import (
    Same,
    baseline_energy,
    came_later,
    energy_of_others,
    is_second,
    looked_at,
)
from services.registry.entries import Registry
from services.store.timeseries.day_sums import day_sums

RULE = "CLM-02"
# by which part ratios of days may differ: of meters under one sky, under another, at another time
_ONE_SKY, _APART, _EARLIER = 1e-4, 2.5e-3, 5e-3
# about a kilometre, in degrees of latitude
_ONE_SKY_DEG = 0.01
# days before: as far as a meter's own are looked at, and those that are looked at of others
_OWN_BACK = 800
_OTHERS_BACK = (364, 365, 366)
# days of a period that are looked at, and devices of other projects at once
_MOST_DAYS, _AT_ONCE = 62, 2_000
_OWN_AT_ONCE = 50


class Repeats(NamedTuple):
    """Conditions, and devices that earn nothing, why."""

    alike: list[str]
    uncounted: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Looked:
    """Meters of one quantity, the local days of a period, and which of these are looked at."""

    conn: Connection
    registry: Registry
    names: Sequence[str]
    quantity: str
    first: date
    end: date
    days: NDArray[np.intp]
    # numbers of those that count nothing
    done: set[int] = field(default_factory=set)

    def sums(self, devices: Sequence[str], back: Sequence[int]) -> Int64:
        """Return sums of the days so many days before. [devices x back x days, base unit]"""
        far, near = max(back), min(back)
        edges = (self.first - timedelta(days=far), self.end - timedelta(days=near))
        held = day_sums(self.conn, devices, self.quantity, *edges)
        return held[:, far - np.asarray(back)[:, None] + self.days]

    def places(self, devices: Sequence[str]) -> NDArray[np.float64]:
        """Return latitude and longitude of devices. [devices x 2, degrees]"""
        every, known = self.registry.devices, self.registry.sites  # made anew at each look
        sites = [known[every[name].site] for name in devices]
        return np.array([(s.latitude, s.longitude) for s in sites]).reshape(len(sites), 2)


class _Copy(NamedTuple):
    """A meter, the one whose days it has, how that is told, and whether it was the second."""

    name: str
    other: str
    of: str
    says: str
    found: Repeated
    second: bool = True

    def condition(self) -> str:
        """Say it."""
        return (
            f"{self.name}'s days are {1 / self.found.ratio:.4g} times those of {self.of}, on"
            f" {self.found.days} of {self.found.known}"
        )


def repeated_elsewhere(
    conn: Connection,
    registry: Registry,
    project: Project,
    period_us: tuple[int, int],
    registered: Mapping[str, object],
    told: Same,
) -> Repeats:
    """
    Compare the days of a project's energy with those of all meters, and with earlier ones.

    Memory is some 100 MB for a thousand devices, however many others there are.

    Parameters
    ----------
    registered : mapping of str to datetime
        Since when devices have a rated power in the registry.
    told : Same
        What the comparison of quarter hours tells already.
    """
    begin_us, end_us = looked_at(period_us)
    first, last = (local_date(us, project.timezone) for us in (begin_us, end_us - 1))
    count = (last - first).days + 1
    days = np.unique(np.linspace(0, count - 1, _MOST_DAYS).round().astype(np.intp))
    said = Repeats([], {})

    def second(name: str, other: str) -> bool:
        return is_second(conn, project, period_us, registered, (name, other))

    energy = baseline_energy(project.methodology, project.version, project.devices)
    for quantity, names in sorted(energy.items()):
        at = _Looked(conn, registry, names, quantity, first, last + timedelta(days=1), days)
        own = at.sums(names, [0])[:, 0]
        if np.count_nonzero(own, axis=1).max() < LEAST:
            continue
        beside = energy_of_others(registry, project, quantity, names)
        for copy in chain(
            _earlier(at, own), _beside(at, own, registered), _elsewhere(at, own, beside, second)
        ):
            if not copy.found.equal:
                pairs = {(copy.name, copy.other), (copy.other, copy.name)}
                if copy.name not in told.uncounted and not pairs & told.pairs:
                    said.alike.append(copy.condition())
            elif copy.second:
                said.uncounted.setdefault(copy.name, f"says what {copy.says}, day by day")
                at.done.add(names.index(copy.name))
    return said


def _earlier(at: _Looked, own: Int64) -> Iterator[_Copy]:
    """Meters that repeat what they said themselves."""
    back = range(1, _OWN_BACK + 1)
    for begin in range(0, len(at.names), _OWN_AT_ONCE):
        some = at.names[begin : begin + _OWN_AT_ONCE]
        for i, (name, sums) in enumerate(zip(some, at.sums(some, back), strict=True), begin):
            for found in repeated_days(own[i : i + 1], sums[None], _EARLIER):
                ago = f"{back[found.time]} days before"
                yield _Copy(name, "", f"{name} {ago}", f"{name} said {ago}", found)


def _beside(at: _Looked, own: Int64, registered: Mapping[str, object]) -> Iterator[_Copy]:
    """Meters of the project that say the same."""
    pairs = np.triu(np.ones((len(own), len(own)), dtype=np.bool_), 1)
    for found in _now(at, own, at.names, own[:, None], pairs):
        two = at.names[found.one], at.names[found.other]
        if came_later(registered, two):
            yield _Copy(*two, two[1], f"{two[1]} says", found)
        else:
            turned = found._replace(ratio=1 / found.ratio)
            yield _Copy(*two[::-1], two[0], f"{two[0]} says", turned)


def _elsewhere(
    at: _Looked, own: Int64, beside: Mapping[str, str], second: Callable[[str, str], bool]
) -> Iterator[_Copy]:
    """Meters of other projects that say the same, or said it a year ago."""
    every = sorted(beside)
    for begin in range(0, len(every), _AT_ONCE):
        others = every[begin : begin + _AT_ONCE]
        pairs = np.ones((len(own), len(others)), dtype=np.bool_)
        for found in _now(at, own, others, at.sums(others, [0]), pairs):
            name, other = at.names[found.one], others[found.other]
            text = f"{other} ({beside[other]})"
            yield _Copy(name, other, text, f"{text} says", found, second(name, other))
        for found in repeated_days(own, at.sums(others, _OTHERS_BACK), _EARLIER, done=at.done):
            other = others[found.other]
            text, ago = f"{other} ({beside[other]})", f"{_OTHERS_BACK[found.time]} days before"
            name = at.names[found.one]
            yield _Copy(name, "", f"{text} {ago}", f"{text} said {ago}", found)


def _now(
    at: _Looked, own: Int64, others: Sequence[str], sums: Int64, pairs: NDArray[np.bool_]
) -> Iterator[Repeated]:
    """Pairs of the same days: of neighbours, whose weather is one, only what is all but equal."""
    places = [at.places(devices) for devices in (at.names, others)]
    near = (np.abs(places[0][:, None] - places[1]) <= _ONE_SKY_DEG).all(axis=2)
    yield from repeated_days(own, sums, _ONE_SKY, pairs & near, at.done)
    yield from repeated_days(own, sums, _APART, pairs & ~near, at.done)
