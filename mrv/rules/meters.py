"""Rules of single meters: identity, limits of the device, its other channels, certificates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ingest.model import Int64
from mrv.accounting.device_limits import beyond_most, beyond_rating
from mrv.accounting.overlapping_ids import overlapping, size_of
from mrv.accounting.shown_energy import cause
from mrv.accounting.single_channel import LEAST, kwh, percent
from mrv.accounting.twin_series import NEARLY_INSIDE, Twins, twins
from mrv.calendar import utc_text
from mrv.registry.project import Certified, Unshown
from mrv.rounding import exact_sum
from mrv.rules.effects import CapEach, Effect, Exclude, Floor, Said, SetAside
from mrv.rules.facts import Facts
from mrv.rules.metering import Metered

_SHOWN = 5
# lamps of a street burn the same hours; no two meters measure the same energy
_MEASURED = ("Wh", "mL", "m", "g")


def listed(told: Sequence[str], most: int = _SHOWN) -> str:
    """Join what a finding says of some devices, and count the rest."""
    more = f"; and {len(told) - most} more" if len(told) > most else ""
    return "; ".join(told[:most]) + more


def lay_out(one: Metered, some: Unshown | Certified) -> Int64:
    """Lay values by interval number out over a device's intervals. [base units]"""
    found = np.zeros(len(one.whole), dtype=np.int64)
    inside = (some.number >= one.whole.first) & (some.number < one.whole.first + len(one.whole))
    np.add.at(found, some.number[inside] - one.whole.first, some.value[inside])
    return found


# --- registry: which meters count at all --------------------------------------------------


def known_meters(facts: Facts) -> Iterator[Effect | Said]:
    """REG-01: a meter that duplicates another one, or an electricity meter without rated power."""
    told = dict[str, None]()
    for i, one in enumerate(facts.metered):
        name, needs = one.base.device.id, one.base.needs
        why = facts.besides.uncounted.get(name)
        if why is None and needs.unit == "Wh" and one.base.device.rated_power_w is None:
            why = "has no rated_power_w to hold its register against; add it"
        if one.baseline and why is not None:
            told[f"{name}: {why}"] = None
            yield Exclude(i, why)
    if told:
        yield Said(False, listed([*told]))


def twin_series(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-03: two meters with identical or proportional series."""
    copies, alike = [], []
    for one, other, found in _pairs(facts):
        if found.equal:
            why = f"says what {one} says, quarter hour by quarter hour"
            copies.append(f"{other}: {why}")
            for i, m in enumerate(facts.metered):
                if m.base.device.id == other and m.baseline:
                    yield Exclude(i, why)
        else:
            apart = f", {abs(found.lag) * 15} minutes apart" if found.lag else ""
            alike.append(f"{other} moves as {one} does{apart}")
    if copies or alike:
        yield Said(False, listed([*copies, *alike]))


def _pairs(facts: Facts) -> Iterator[tuple[str, str, Twins]]:
    groups: defaultdict[tuple[str, int, int], list[Metered]] = defaultdict(list)
    for one in facts.metered:
        needs = one.base.needs
        if one.baseline and needs.unit in _MEASURED and one.base.series is not None:
            groups[needs.quantity, one.whole.first, len(one.whole)].append(one)
    for group in groups.values():
        series = [one.base.series for one in group if one.base.series is not None]
        for found in twins(series, NEARLY_INSIDE):
            yield group[found.one].base.device.id, group[found.other].base.device.id, found


def overlapping_services(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-03: two meters with identical or proportional series whose services overlap."""
    told = []
    for one in overlapping([m.base for m in facts.metered]):
        begin, end = (utc_text(number * 900_000_000) for number in one.edges)
        name, other = one.later.device.id, one.one
        if one.equal:
            whole = facts.metered[one.place].whole
            yield CapEach(
                one.place,
                np.where(one.both, 0, whole.value),
                f"says what {other} says, quarter hour by quarter hour, while both serve",
            )
        told.append((one, f"{name} {{}} {other} {{}} from {begin} to {end}, while both serve"))
    if told:
        pricing = facts.price.pricing
        yield Said(
            False,
            listed(
                [
                    text.format(*(("says what", "says, quarter hour by quarter hour,")
                                  if one.equal else ("moves as", "does")))
                    + f": {size_of(one, pricing, facts.timezone)} of it count"
                    + (" 0" if one.equal else " twice if they are one meter")
                    + "; let the service of one end where that of the other begins"
                    for one, text in told
                ]
            ),
        )  # fmt: skip


# --- meter: each interval -----------------------------------------------------------------


def _counting(facts: Facts) -> Iterator[tuple[int, Metered]]:
    for i, one in enumerate(facts.metered):
        if one.baseline and not facts.views[i].uncounted:
            yield i, one


def device_limits(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-01: more than the rating and the class of a device allow."""
    told = []
    for i, one in _counting(facts):
        kept, most = one.whole.value, one.base.most
        ratings = facts.besides.ratings.get(one.base.device.id, ())
        if ratings and one.base.needs.unit == "Wh":
            kept = kept - beyond_rating(one.whole, ratings)
        if most is not None:
            kept = kept - beyond_most(replace(one.whole, value=kept), most, facts.timezone)
        beyond = exact_sum(one.whole.value) - exact_sum(kept)
        if beyond:
            yield CapEach(i, kept, "", plausible=True)
            bound = "its rated power" if most is None else most.what
            unit = one.base.needs.unit
            told.append(f"{one.base.device.id}: {beyond:,} {unit} above it count 0 ({bound})")
    if told:
        yield Said(False, listed(told))


def unshown(facts: Facts, one: Metered) -> Int64:
    """Return what the other channels of a device do not corroborate. [base units]"""
    reasons = facts.besides.unshown.get((one.base.device.id, one.base.needs.quantity), ())
    none = np.zeros(len(one.whole), dtype=np.int64)
    return sum((lay_out(one, some) for some in reasons), start=none)


def own_channels(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-02: a register above what the other channels of its device corroborate."""
    told = []
    for i, one in _counting(facts):
        name, needs = one.base.device.id, one.base.needs
        total = np.zeros(len(one.whole), dtype=np.int64)
        for some in facts.besides.unshown.get((name, needs.quantity), ()):
            before = np.minimum(total, facts.solved.kept[i])
            total = total + lay_out(one, some)
            beyond = exact_sum(np.minimum(total, facts.solved.kept[i])) - exact_sum(before)
            if beyond:
                yield CapEach(i, one.whole.value - total, some.reason)
                why = cause(one.base, str(some.reason), beyond)
                told.append(f"{name}: {beyond:,} {needs.unit} {some.reason} count 0{why}")
    if told:
        yield Said(False, listed(told))


def certified_elsewhere(facts: Facts) -> Iterator[Effect | Said]:
    """CLM-01: energy that a certificate of another scheme certifies."""
    for i, one in enumerate(facts.metered):
        key = one.base.device.id, one.base.needs.quantity
        for some in facts.besides.certified.get(key, ()):
            if one.baseline:
                yield SetAside(i, some.certificate, some.scheme, lay_out(one, some))


def certified_twice(facts: Facts) -> Iterator[Effect | Said]:
    """CLM-01: certificates of more energy than their intervals hold."""
    more: defaultdict[tuple[str, str], int] = defaultdict(int)
    for one in facts.views:
        for part in one.parts:
            for some in part.elsewhere:
                more[one.device.id, some.certificate] += some.certified - some.taken
    told = [
        f"{device}: certificate {name} is of {wh:,} Wh more than its intervals hold"
        for (device, name), wh in more.items()
        if wh
    ]
    if told:
        yield Said(False, listed(told))


def untold_use(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-04: a register of the project's side below the integral of its own power or flow."""
    told, shown = [], []
    for i, one in enumerate(facts.metered):
        name, needs = one.base.device.id, one.base.needs
        found = facts.besides.untold.get((name, needs.quantity))
        if found is None or one.baseline:
            continue
        witness = facts.witness(facts.views[i], alone=True)
        if witness is not None:
            shown.append(f"{name}: {witness} shows its register")
            continue
        more, total = lay_out(one, found), 0
        for j, (a, b) in enumerate(one.edges):
            some = more[a - one.whole.first : b - one.whole.first]
            at = np.flatnonzero(some)
            if len(at):
                quantity = exact_sum(some)
                span = (a + int(at[0])) * 900_000_000, (a + int(at[-1]) + 1) * 900_000_000
                yield Floor(i, j, Fraction(quantity), found.reason, span)
                total += quantity
        if total:
            unit = {"Wh": "kWh", "mL": "L"}[needs.unit]
            told.append(
                f"{name} ({one.base.bound.role}): {found.reason}, {total / 1000:,.1f} {unit} more"
            )
    if told:
        yield Said(
            False,
            listed(told, 3)
            + ", which costs {cost} t. Correct the unit or the transformer ratio of the register,"
            " or those of the gauge, at the meter or its gateway; a load that goes on and off is"
            " to tell its mean, or its power each minute; a check meter, or an invoice of this"
            " meter alone, shows its register",
        )
    if shown:
        yield Said(True, "; ".join(shown))


def single_channel(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-01: energy that rests on one register alone."""
    told, shown, total, whole = [], [], 0, 0
    for i, one in enumerate(facts.metered):
        name, needs = one.base.device.id, one.base.needs
        if not one.baseline or needs.unit != "Wh":
            continue
        counts = sum(p.metered - p.implausible - p.certified for p in facts.views[i].parts)
        whole += counts
        alone = facts.besides.alone.get((name, needs.quantity))
        rests = None if alone is None else lay_out(one, alone)
        wh = 0 if rests is None else exact_sum(rests)
        if alone is None or rests is None or counts <= 0 or wh <= LEAST * counts:
            continue
        text = f"{name}: {kwh(wh)} kWh, {percent(wh, counts)} % of its own"
        witness = facts.witness(facts.views[i])
        if witness is not None:
            shown.append(f"{text}, which {witness} shows")
            continue
        told.append(text)
        total += wh
        yield CapEach(i, one.whole.value - unshown(facts, one) - rests, alone.reason)
    if told:
        yield Said(
            False,
            f"{kwh(total)} kWh, {percent(total, whole)} % of the period's energy and {{cost}} t of"
            " its reduction, rest on a register alone and count 0: let the device tell its power"
            " at least every quarter of an hour, or give a check meter or an invoice with its"
            f" file, that may differ by at most 4%; {listed(told)}",
        )
    elif shown:
        yield Said(True, listed(shown))
