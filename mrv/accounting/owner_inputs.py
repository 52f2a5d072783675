"""
Inputs that an owner entered by hand: own factors, constants in place of monitored parameters.

An emission factor of the owner's own counts only where it leaves less than the official
one; else the official one counts, and the condition says by how many tonnes they differ.
What the methodology monitors comes from samples with dates where there are any; a constant
in its place is a condition that does not hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from mrv.accounting.period_result import Finding
from mrv.accounting.unmeasured import CONSTANT, LABORATORY, UNMEASURED, rounded
from mrv.calendar import local_date, months
from mrv.errors import FactorError, MethodologyError
from mrv.factors.brought import Choice, published
from mrv.methodologies import GRID
from mrv.model import Factor, Factors, Methodology
from mrv.parameters.inputs import Inputs, exact
from mrv.parameters.specs import ParameterSpec
from mrv.registry.project import Measured, Sample
from mrv.rounding import decimal_text, exact_text

OFFICIAL = "FAC-01"
_NAMED = 3  # samples that a finding names
UNACCEPTED = "no acceptance by the programme is entered (`acceptances`)"
MEASURED = "PAR-06"
_PLACES = 6
_GWP = "gwp"
# what is chosen from a published list
_LISTS = ("wastewater.mcf", "flare.efficiency", "tool04.phi", "tool04.mcf")
MONITORED = ("B", "C")
# of a value that is 0, to see who gains by it
_A_LITTLE = Fraction(1, 1000)


class Own(NamedTuple):
    """A factor that the owner typed, and the official one of the project's first year."""

    name: str
    value: Fraction
    official: Factor


def means(samples: Iterable[Sample], methodology: Methodology) -> dict[str, Fraction]:
    """Mean of the samples of each parameter that the methodology monitors."""
    by_name: defaultdict[str, list[Fraction]] = defaultdict(list)
    for one in samples:
        spec = methodology.parameters.get(one.parameter)
        if spec is not None and is_monitored(spec):
            by_name[one.parameter].append(exact(one.value, f"sample {one.sample}"))
    specs = methodology.parameters
    return {
        name: rounded(sum(v, start=Fraction(0)) / len(v), specs[name])
        for name, v in by_name.items()
    }


def sampled(parameters: Inputs, samples: Iterable[Sample], methodology: Methodology) -> Inputs:
    """Return the parameters with the mean of the samples where there are any."""
    specs = methodology.parameters
    found = means(samples, methodology)
    return {**parameters, **{n: v for n, v in found.items() if specs[n].option in MONITORED}}


def is_monitored(spec: ParameterSpec) -> bool:
    """Whether a laboratory's results may stand for a parameter."""
    return spec.option in MONITORED or spec.unmeasured is not None


def measured(
    methodology: Methodology,
    parameters: Inputs,
    samples: Sequence[Sample],
    period_us: tuple[int, int],
    timezone: str,
    how: Mapping[str, str],
    reduction: Callable[[Inputs], Fraction],
) -> Iterator[Finding]:
    """
    Say what of the methodology's monitoring is a constant, and which months lack samples.

    Parameters
    ----------
    how : mapping of str to str
        How parameters were come by, as `mrv.accounting.unmeasured` says.
    reduction : callable
        What the period comes to with some parameters [tCO2e]: nobody is asked for results of a
        0 of which more would leave no less, as the steam of a plant that makes none.
    """
    known: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    for one in samples:
        known[one.parameter].add((one.taken.year, one.taken.month))
    wanted = {(year, month) for year, month, _, _ in months(*period_us, timezone)}
    told, shown = [], []
    for name, spec in methodology.parameters.items():
        if (spec.option not in MONITORED and name not in how) or name not in parameters:
            continue
        value = f"{name} = {exact_text(Fraction(parameters[name]))} {spec.unit}"
        lacking = sorted(wanted - known[name])
        if how.get(name) in (UNMEASURED, CONSTANT):
            gauge = f", or let {spec.channels[-1]} be recorded" if spec.channels else ""
            told.append(f"{value}: {how[name]}; give `laboratory` results of the period{gauge}")
        elif name in how and how[name] != LABORATORY:
            shown.append(f"{value}: {how[name]}")
        elif not known[name]:
            if _costs_nobody(name, parameters, reduction):
                continue
            told.append(
                f"{value} is a constant of the registry, and {methodology.id} monitors"
                f" {spec.symbol or name} (option {spec.option}): give {_results(spec)}"
            )
        elif lacking and "month" in spec.frequency:
            said = ", ".join(f"{y}-{m:02}" for y, m in lacking[:3])
            told.append(f"{value}: no sample of {said}")
    if told or shown or any(known[name] for name in methodology.parameters):
        yield Finding(MEASURED, not told, "; ".join((*told, *shown)))


def _costs_nobody(
    name: str, parameters: Mapping[str, Fraction], reduction: Callable[[Inputs], Fraction]
) -> bool:
    """Say whether a parameter is 0, and a little of it would leave as much or more."""
    if parameters[name]:
        return False
    try:
        return reduction({**parameters, name: _A_LITTLE}) >= reduction(parameters)
    except MethodologyError:
        return False


def _results(spec: ParameterSpec) -> str:
    """Say what shows a monitored value, by the methodology's own source of it."""
    if not spec.source or "laboratory" in spec.source:
        return "`laboratory` results"
    return f"its values of the period by their source ({spec.source}), as `laboratory` results"


def own_factors(
    methodology: Methodology, parameters: Inputs, factors: Factors, begin_us: int, timezone: str
) -> list[Own]:
    """Factors that a project gives and that are not the official ones of its first year."""
    day = date(local_date(begin_us, timezone).year, 1, 1)
    factors = published(factors)
    found = []
    for name, spec in methodology.parameters.items():
        official = _official(spec, factors, day) if name in parameters else None
        if official is not None and parameters[name] != official.value:
            found.append(Own(name, Fraction(parameters[name]), official))
    return found


def _official(spec: ParameterSpec, factors: Factors, day: date) -> Factor | None:
    if spec.published == GRID:
        kind = GRID
    elif spec.published == _GWP and spec.factor is not None:
        kind = spec.factor[0]
    else:
        return None
    for direction in ("consumed", "either", "avoided"):
        try:
            return factors.select(kind, direction, day)
        except FactorError:
            continue
    # of a grid: an owner's value counts beside the official one alone, and the book says what lacks
    return factors.select(kind, "consumed", day) if kind == GRID else None


def compared_kinds(
    methodology: Methodology, parameters: Inputs, factors: Factors
) -> tuple[str, ...]:
    """Kinds of factors that the owner's values are held against; a pack carries them too."""
    found: set[str] = set()
    for name, spec in methodology.parameters.items():
        if name not in parameters:
            continue
        if spec.published == GRID:
            found.add(GRID)
        elif spec.factor is not None:
            found.add(spec.factor[0])
        if spec.published in _LISTS:
            found |= {f.kind for f in factors if f.kind.startswith(spec.published)}
    return tuple(sorted(found))


def bounded(
    own: Sequence[Own], parameters: Inputs, reduction: Callable[[Inputs], Fraction]
) -> tuple[Inputs, list[Finding]]:
    """
    Count by the official factor where the owner's own would leave more.

    Parameters
    ----------
    reduction : callable
        What the period comes to with some parameters. [tCO2e]
    """
    if not own:
        return parameters, []
    told, used, holds = [], dict(parameters), True
    for one in own:
        ours = reduction(used)
        theirs = reduction({**used, one.name: one.official.value})
        more = ours > theirs
        if more:
            used[one.name] = one.official.value
            holds = False
        told.append(
            f"{one.name} = {exact_text(one.value)} is the owner's, {one.official.id} ="
            f" {one.official.text} {one.official.unit} is official; by the owner's the reduction is"
            f" {decimal_text(ours, _PLACES, 'down')} t, by the official one"
            f" {decimal_text(theirs, _PLACES, 'down')} t, a difference of"
            f" {decimal_text(ours - theirs, _PLACES, 'up')} t; "
            + ("the official one counts" if more else "the owner's counts, as it leaves less")
        )
    return used, [Finding(OFFICIAL, holds, "; ".join(told))]


def brought(choices: Iterable[Choice], accepted: Mapping[str, str]) -> Iterator[Finding]:
    """
    Say which factors a registry file brought, beside the published ones, and what counts.

    Parameters
    ----------
    accepted : mapping of str to str
        What a registry file says of the programme's acceptance, by factor.  Nobody of the
        programme signed it, so the condition fails all the same.
    """
    told = []
    for one in choices:
        others = ", ".join(f"{f.id} = {f.text} {f.unit}" for f in one.others) or "none"
        told.append(
            f"{one.factor.id} = {one.factor.text} {one.factor.unit} came with a registry file;"
            f" published: {others}; by the one of the file the reduction is"
            f" {decimal_text(one.ours, _PLACES, 'down')} t, by the published one"
            f" {decimal_text(one.theirs, _PLACES, 'down')} t, a difference of"
            f" {decimal_text(one.ours - one.theirs, _PLACES, 'up')} t; "
            + (
                "that of the file counts, as it leaves no more"
                if one.counts
                else "the published one counts, until a tonne publishes the other"
            )
            + f"; {accepted.get(one.factor.id, UNACCEPTED)}"
        )
    if told:
        yield Finding(OFFICIAL, False, "; ".join(told))


def unlisted(
    methodology: Methodology, parameters: Mapping[str, Fraction], factors: Factors
) -> Iterator[Finding]:
    """Say which value is none of the list that it is to be chosen from."""
    told = []
    for name, spec in methodology.parameters.items():
        if spec.published not in _LISTS or name not in parameters:
            continue
        known = {f.value: f for f in factors if f.kind.startswith(spec.published)}
        if Fraction(parameters[name]) not in known:
            shown = ", ".join(sorted({f.text for f in known.values()}))
            told.append(
                f"{name} = {exact_text(Fraction(parameters[name]))} is none of the published"
                f" {shown}; choose one: what of it leaves less counts until then"
            )
    told += _below_default(methodology, parameters, factors)
    if told:
        yield Finding(OFFICIAL, False, "; ".join(told))


def listed(
    methodology: Methodology,
    parameters: Inputs,
    factors: Factors,
    reduction: Callable[[Inputs], Fraction],
) -> Inputs:
    """
    Count what stands beside a published list by the list's next value, if that leaves less.

    Parameters
    ----------
    reduction : callable
        What the period comes to with some parameters. [tCO2e]
    """
    used = dict(parameters)
    for name, spec in methodology.parameters.items():
        if spec.published not in _LISTS or name not in used:
            continue
        value = Fraction(used[name])
        known = {f.value for f in factors if f.kind.startswith(spec.published)}
        if value in known:
            continue
        below, above = [v for v in known if v < value], [v for v in known if v > value]
        near = (value, *([max(below)] if below else ()), *([min(above)] if above else ()))
        used[name] = min(near, key=lambda v: reduction({**used, name: v}))
    return used


def weak(
    methodology: Methodology,
    samples: Sequence[Sample],
    channels: Mapping[str, Measured],
    how: Mapping[str, str],
) -> Iterator[Finding]:
    """
    Say which of what counts as measured shows little.

    A sample whose report nobody can find again, and an analyser that was read in less than
    half of the hours: a grab sample at the strongest hour is no mean of the day.
    """
    told = []
    for name in methodology.parameters:
        if how.get(name, LABORATORY) == LABORATORY:
            bare = [one.sample for one in samples if one.parameter == name and one.sha256 is None]
            if bare:
                told.append(
                    f"{name}: sample {', '.join(bare[:_NAMED])}"
                    + (f" and {len(bare) - _NAMED} more" if len(bare) > _NAMED else "")
                    + " names no file of its report; give its `sha256`"
                )
        elif name in channels and how.get(name) == channels[name].told:
            one = channels[name]
            if 2 * one.hours < one.of:
                told.append(
                    f"{name}: read in {one.hours} of {one.of} hours ({one.told}); let it be"
                    " recorded each hour, or give composite samples as `laboratory` results"
                )
    if told:
        yield Finding(MEASURED, False, "; ".join(told))


def _below_default(
    methodology: Methodology, parameters: Mapping[str, Fraction], factors: Factors
) -> Iterator[str]:
    """What the project loses less of than the published default says."""
    for name, spec in methodology.parameters.items():
        if spec.factor is None or spec.published or spec.side != "project":
            continue
        default = factors.select(*spec.factor)
        if name in parameters and Fraction(parameters[name]) < default.value:
            yield (
                f"{name} = {exact_text(Fraction(parameters[name]))} is the owner's and below"
                f" {default.id} = {default.text}; show the official value of the year"
            )
