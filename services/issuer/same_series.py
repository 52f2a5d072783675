"""
Meters with the same 15-minute intervals as another meter: one meter under two ids.

Within a project `mrv.accounting.twin_series.twins` compares each pair of up to 200 meters.  Here
the project's meters are compared with all others that agree in the highest intervals of some days,
also shifted by up to two hours.  Of two equal meters the one in an issued statement counts,
otherwise the one registered first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from psycopg import Connection

from ingest.model import INTERVAL_US, Int32, Int64
from mrv.accounting.twin_series import FAR_LAGS, MANY, MEASURED, agreeing, copied, twins
from mrv.methodologies import find
from mrv.registry.project import Project
from mrv.rounding import plain_text
from mrv.texts import Text, Value, text
from services.registry.entries import Project as Entry
from services.registry.entries import Registry
from services.store.statements import statements
from services.store.timeseries.measured_energy import all_series, peaks, values_at

# the ratios of the highest intervals of 10 days are compared, and 7 must be equal: this detects 999
# of 1,000 copies with noise of 0.5 %, and selects 2 of 100 meters whose ratio varies by 1.4 %
_DAYS, _AGREE = 10, 7
# maximum difference of ratios that count as equal: more than a step of the register, or a little
# noise [1]
_RATIO = 8e-3
# maximum number of further comparisons of a meter without data in the other meters' highest
# intervals
_ROUNDS = 4
# number of other projects' devices compared at once: some 20 MB
_DEVICES_PER_QUERY = 10_000
# number of series in the cache: some 50 MB
_CACHED_SERIES = 4_096
# units of quantities whose values do not repeat in normal operation
UNREPEATED = (*MEASURED, "1", "K s")
# the intervals this many places before the highest ones are compared as well
_INTERVALS_BEFORE = 10
# below this share of the other series' intervals, comparing the other meter with this one may not
# detect the copy [1]
_SHORT_SHARE = 0.9
_MONTH_US = 31 * 86_400_000_000


class Agreeing(NamedTuple):
    """
    Number of agreeing days of two meters, and their ratio.

    `ordered`: each day agrees with the same day of the other meter; else with another day, or
    shifted by some hours.  `noise`: relative deviation of the intervals, if it is uniform as of
    added noise; else 0. [1]
    """

    days: int
    known: int
    ratio: float
    ordered: bool = True
    noise: float = 0.0


class Copy(NamedTuple):
    """
    Duplicate of a meter's series in another meter, or in its own earlier series.

    `project`: project of the other meter; None for the same project.
    `equal`: the series are identical; else proportional.
    `excluded`: the other meter counts, and this one does not.
    `days_before`: number of days by which the other series is earlier.
    `by_day`: agreement of daily sums; None if the intervals agree.
    `parts`: the meters of which it is the sum, including the other one; else empty.
    """

    device: str
    other: str
    project: str | None
    equal: bool
    excluded: bool = False
    days_before: int = 0
    by_day: Agreeing | None = None
    parts: tuple[str, ...] = ()

    @property
    def of(self) -> Text | str:
        """Return the other meter, its project, and by how many days its series is earlier."""
        meter: Text | str = self.other
        if self.project is not None:
            meter = text("copy.of_project", meter=meter, project=self.project)
        if self.days_before:
            return text("copy.before", meter=meter, days=self.days_before)
        return meter

    @property
    def reason(self) -> Text:
        """Return the reason why the meter is excluded."""
        if self.parts:
            return text("copy.sum", device=self.device, others=self.parts)
        code = "copy.quarter_hours"
        if self.by_day is not None:
            code = "copy.days" if self.by_day.ordered else "copy.any_order"
        return text(code, device=self.device, other=self.of)

    @property
    def alike(self) -> Text:
        """Return how the meter's series agrees with the other one, if neither is excluded."""
        values: dict[str, Value] = {"device": self.device, "other": self.of}
        by = self.by_day
        if self.parts and not self.equal:
            return text("copy.sum_of_parts", device=self.device, others=self.parts)
        if self.equal or by is None:
            return text("copy.where_both" if self.equal else "copy.proportional", **values)
        ratio = plain_text(Fraction(by.ratio), 3 if by.noise else 6)
        if by.noise:
            noise = plain_text(100 * Fraction(by.noise), 1)
            code = "copy.under_noise" if by.ordered else "copy.under_noise_moved"
            return text(code, **values, ratio=ratio, noise=noise)
        code = "copy.proportional_days" if by.ordered else "copy.proportional_any_order"
        return text(code, **values, ratio=ratio, agree=by.days, known=by.known)


class Same(NamedTuple):
    """Copied series of 15-minute intervals; `pairs` includes those found by `mrv.accounting`."""

    copies: list[Copy]
    pairs: set[tuple[str, str]]

    def excluded(self) -> set[str]:
        """Return the excluded meters."""
        return {copy.device for copy in self.copies if copy.excluded}


@dataclass(frozen=True)
class Energy:
    """
    Baseline energy of a project in a period, and the other meters that could be its duplicates.

    `project`: project with the devices of the period.  `registered`: time since which devices have
    a rated power in the registry.  `claimed`: whether another project claimed a meter's energy of
    the period; filled by queries.
    """

    conn: Connection
    registry: Registry
    project: Project
    period_us: tuple[int, int]
    registered: Mapping[str, object]
    claimed: dict[str, bool] = field(default_factory=dict)

    def meters(self, units: Collection[str] = ("Wh",)) -> list[tuple[str, list[str]]]:
        """Return the project's baseline devices with given units, by quantity."""
        return sorted(_baseline(self.project, units).items())

    @property
    def span_us(self) -> tuple[int, int]:
        """Return the compared time: the period, or a month if it is shorter. [us UTC]"""
        return min(self.period_us[0], self.period_us[1] - _MONTH_US), self.period_us[1]

    def others(self, quantity: str, names: Collection[str]) -> dict[str, str]:
        """
        Return the project of each other project's device with a quantity, by device.

        `names`: devices to leave out.
        """
        result: dict[str, str] = {}
        for entry in self.registry.projects.values():
            if entry.id != self.project.id:
                theirs = _baseline(entry, MEASURED)
                result |= {d: entry.id for d in theirs.get(quantity, ()) if d not in names}
        return result

    def registered_later(self, *pair: str) -> bool:
        """Return whether the first meter of a pair was registered after the second."""
        name, other = ((str(self.registered.get(device, "9")), device) for device in pair)
        return name > other

    def is_second(self, *pair: str) -> bool:
        """
        Return whether the first meter of a pair is excluded: the second is claimed or was
        registered earlier.
        """
        other = pair[1]
        if other not in self.claimed:  # queried once per meter, which may be similar to many
            self.claimed[other] = bool(
                statements.claimed_of_devices(self.conn, self.project.id, [other], *self.period_us)
            )
        return self.claimed[other] or self.registered_later(*pair)


def same_elsewhere(energy: Energy) -> Same:
    """Return duplicates among a project's meters and those of all projects."""
    result, conn, span_us = Same([], set()), energy.conn, energy.span_us
    # read once per meter, which may be similar to many
    kept = lru_cache(_CACHED_SERIES)(
        lambda name, quantity: all_series(conn, [name], quantity, span_us)[0]
    )
    for quantity, names in energy.meters():
        beside = energy.others(quantity, names)
        near = _near(conn, names, sorted({*beside, *names}), quantity, span_us)
        series = {name: kept(name, quantity) for name in {n for n, _ in near}}
        _inside(energy, result, names, [pair for pair in near if pair[1] in series], series)
        for name, other in near:
            if other in beside and name not in result.excluded():
                there = kept(other, quantity)
                own = series[name]
                # if the intervals differ, compare the whole period by the accounting's test
                same = copied(own, there) or next(twins([own, there]), None)
                if same is not None:
                    result.pairs.add((name, other))
                    second = same.equal and energy.is_second(name, other)
                    # a close of the other project may not detect this pair
                    short = np.count_nonzero(own) < _SHORT_SHARE * np.count_nonzero(there)
                    if not same.equal or second or short:
                        result.copies.append(
                            Copy(name, other, beside[other], same.equal, excluded=second)
                        )
    return result


def _inside(
    energy: Energy,
    result: Same,
    names: Sequence[str],
    near: Sequence[tuple[str, str]],
    series: Mapping[str, Int32],
) -> None:
    """
    Add duplicates within the project to `result`; those that `mrv.accounting` finds itself are
    added to its `pairs` only.

    `near`: pairs to compare.  `series`: 15-minute quantities of each meter. [base units]
    """
    quarters = (energy.period_us[1] - energy.period_us[0]) // INTERVAL_US
    known = [name for name in names if name in series] if len(names) <= MANY else []
    seen = {
        (known[value], known[other]): equal
        for value, other, _, equal in twins([series[name][-quarters:] for name in known])
    }
    result.pairs.update(seen)
    again = {other for (_, other), equal in seen.items() if equal}
    for name, other in near:
        if not energy.registered_later(name, other) or {name, other} & again:
            continue
        if not {(name, other), (other, name)} & seen.keys():
            same = copied(series[name], series[other])
            if same is not None:
                result.pairs.add((name, other))
                result.copies.append(Copy(name, other, None, same.equal, excluded=same.equal))
                if same.equal:
                    again.add(name)


def _baseline(project: Project | Entry, units: Collection[str]) -> dict[str, list[str]]:
    """Return devices of the baseline with quantities in given units, by quantity."""
    roles = find(project.methodology, project.version).roles
    result: dict[str, list[str]] = {}
    for item in project.devices:
        needs = roles.get(item.role)
        if needs is not None and needs.side == "baseline" and needs.unit in units:
            subset = result.setdefault(needs.quantity, [])
            if item.device not in subset:  # a device may be assigned in two time spans
                subset.append(item.device)
    return result


def _near(
    conn: Connection,
    names: Sequence[str],
    others: Sequence[str],
    quantity: str,
    period_us: tuple[int, int],
) -> list[tuple[str, str]]:
    """Return pairs that are proportional in the highest intervals of days, also shifted."""
    result: list[tuple[str, str]] = []
    remaining = list(dict.fromkeys(names))
    for look in range(_ROUNDS):
        at = (
            peaks(conn, remaining, quantity, period_us, _DAYS)
            if len(others) > 1 and remaining
            else []
        )
        if not at:
            break
        own = values_at(conn, remaining, quantity, at)
        known = np.count_nonzero(own, axis=1)
        here = (known >= min(_AGREE, len(at))) | (look == _ROUNDS - 1)
        subset = [name for name, now in zip(remaining, here, strict=True) if now]
        strong = _agreeing(conn, subset, own[here], at, others, quantity)
        # inverters at their power limit agree at noon and differ in the morning
        also = [name for name in subset if name in {device for device, _ in strong}]
        slope = [number - _INTERVALS_BEFORE for number in at]
        before = values_at(conn, also, quantity, slope)
        dark = {also[i] for i in np.flatnonzero(~before.any(axis=1)).tolist()}
        agree = _agreeing(conn, also, before, slope, others, quantity) if also else set()
        result += [pair for pair in strong if pair in agree or pair[0] in dark]
        remaining = [name for name, now in zip(remaining, here, strict=True) if not now]
    place = {name: i for i, name in enumerate(names)}
    return sorted(result, key=lambda pair: (place[pair[0]], pair[1]))


def _agreeing(
    conn: Connection,
    names: Sequence[str],
    own: Int64,
    at: Sequence[int],
    others: Sequence[str],
    quantity: str,
) -> set[tuple[str, str]]:
    moved = np.add.outer(range(-FAR_LAGS, FAR_LAGS + 1), at)
    around, places = np.unique(moved, return_inverse=True)
    need = np.minimum(np.count_nonzero(own, axis=1), _AGREE)
    result = set[tuple[str, str]]()
    for begin in range(0, len(others), _DEVICES_PER_QUERY):
        subset = others[begin : begin + _DEVICES_PER_QUERY]
        values = values_at(conn, subset, quantity, around.tolist())[:, places.reshape(moved.shape)]
        result |= {(names[i], subset[j]) for i, j in agreeing(own, values, need, _RATIO)}
    return {(name, other) for name, other in result if name != other}
