"""
Rules of values that a project entered or measured: bounds of parameters, and what is told of them.

A parameter counts by another value only where that leaves less: by what the plant was built for,
by what its quantities agree with or show, by the published value or default.  An entered value
beside a published default counts with a document of a third party.  Whether a bound counts is
decided by the account; the findings read what it decided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial

from mrv.accounting import design_capacity
from mrv.accounting.invoice_evidence import undocumented
from mrv.accounting.service_evidence import laboratory
from mrv.calendar import local_date, months
from mrv.errors import MethodologyError
from mrv.model import Factors
from mrv.parameters.inputs import Inputs, rounded
from mrv.parameters.specs import ParameterSpec
from mrv.rounding import exact_text
from mrv.rules.account import MONITORED, Account
from mrv.rules.effects import (
    AGREED,
    BUILT_FOR,
    CARRIED,
    CHANNELS,
    CONSTANT,
    LABORATORY,
    LOWER,
    SHOWN,
    UNMEASURED,
    UNSHOWN,
    Bound,
    Effect,
    Fix,
    Least,
    Said,
)
from mrv.rules.facts import Facts

_NAMED = 3  # samples that a finding names
# of a value that is 0, to see who gains by it
_A_LITTLE = Fraction(1, 1000)
_HOW = {
    AGREED: "the most that agrees with what else was metered",
    BUILT_FOR: design_capacity.BUILT_FOR,
    CARRIED: design_capacity.CARRIED,
    CONSTANT: "nobody measured it, and the registry's constant costs more than the bound",
    LABORATORY: "laboratory results",
    LOWER: "the registry's, which is the lower",
    SHOWN: "the least that the metered quantities show",
    UNMEASURED: "nobody measured it, and the bound that costs counts",
    UNSHOWN: "nothing but the plant's own meters shows it, and 0 counts",
}
_LOAD = {design_capacity.BUILT_FOR: BUILT_FOR, design_capacity.CARRIED: CARRIED}


def before_crediting(facts: Facts) -> Iterator[Effect | Said]:
    """BND-02: quantities of years before the crediting period."""
    method, given = facts.methodology, facts.price.stated
    first = local_date(facts.project.from_us, facts.timezone).year
    early = sorted(method.uncredited(given, first))
    yield from (Fix(name, Fraction(0), how=None) for name in early)
    if early:
        yield Said(False, "; ".join(
            f"{name} = {exact_text(Fraction(given[name]))} {method.parameters[name].unit} is of a"
            f" year before the crediting period, which begins in {first}: it counts 0"
            for name in early
        ))  # fmt: skip


def design_load(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-07: a strength of what came in above what the plant was built for."""
    price = facts.price
    used, how, said = design_capacity.within_load(
        facts.views, facts.methodology, price.stated, price.reduced,
        analysed=laboratory(facts.besides.samples),
    )  # fmt: skip
    for name, value in used.items():
        if value != price.stated[name]:
            yield Bound(name, Fraction(value), _LOAD[how.get(name, design_capacity.BUILT_FOR)])
    yield from (Said(one.holds, one.detail) for one in said)


def agreeing_quantities(facts: Facts) -> Iterator[Effect | Said]:
    """PAR-08: quantities that are measured apart and have to agree, such as gas and its COD."""
    price, method = facts.price, facts.methodology
    years = price.quantities(price.stated) if method.agreement else {}
    for one in method.agreement:
        found = {y: f for y, of in years.items() if (f := one.test(of, price.book)) is not None}
        for _, most in found.values():
            for name, value in most.items():
                yield Bound(name, rounded(value, method.parameters[name]), AGREED)
        if found:
            detail = "; ".join(f"{y}: {text}" for y, (text, _) in found.items())
            yield Said(False, f"{one.clause}: {detail}. It costs {{cost}} t")


def shown_by_quantities(facts: Facts) -> Iterator[Effect | Said]:
    """PAR-06: parameters below what the metered quantities show of them."""
    price, method = facts.price, facts.methodology
    for name, test in method.shown.items():
        yield Least(name, partial(_least, price, test, method.parameters[name]))


def _least(
    price: Account,
    test: Callable[[Inputs, Factors], Fraction],
    spec: ParameterSpec,
    used: Inputs,
) -> Fraction:
    years = price.quantities(used).values()
    return rounded(max((test(one, price.book) for one in years), default=Fraction(0)), spec)


def monitored_values(facts: Facts) -> Iterator[Effect | Said]:
    """PAR-06: monitored parameters that are constants, or rest on few samples or readings."""
    price, method, besides = facts.price, facts.methodology, facts.besides
    known: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    for one in besides.samples:
        known[one.parameter].add((one.taken.year, one.taken.month))
    wanted = {(year, month) for year, month, _, _ in months(*facts.period_us, facts.timezone)}
    told, shown = [], []
    for name, spec in method.parameters.items():
        how = price.how.get(name)
        if (spec.option not in MONITORED and not how) or name not in price.stated:
            continue
        value = f"{name} = {exact_text(Fraction(price.stated[name]))} {spec.unit}"
        lacking = sorted(wanted - known[name])
        if how in (UNMEASURED, CONSTANT):
            gauge = f", or let {spec.channels[-1]} be recorded" if spec.channels else ""
            told.append(f"{value}: {_HOW[how]}; give `laboratory` results of the period{gauge}")
        elif how == SHOWN:
            told.append(f"{value}: {_HOW[how]}, more than what was given or measured")
        elif how and how != LABORATORY:
            words = besides.channels[name].told if how == CHANNELS else _HOW[how]
            shown.append(f"{value}: {words}")
        elif not known[name]:
            if _costs_nothing(name, price.stated, price.reduced):
                continue
            told.append(
                f"{value} is a constant of the registry, and {method.id} monitors"
                f" {spec.symbol or name} (option {spec.option}): give {_results(spec)}"
            )
        elif lacking and "month" in spec.frequency:
            said = ", ".join(f"{y}-{m:02}" for y, m in lacking[:_NAMED])
            told.append(f"{value}: no sample of {said}")
    told += _weak(facts)
    if told or shown or any(known[name] for name in method.parameters):
        yield Said(not told, "; ".join((*told, *shown)))


def _costs_nothing(name: str, used: Inputs, reduction: Callable[[Inputs], Fraction]) -> bool:
    """Say whether a parameter is 0, and a little of it would leave as much or more."""
    if used[name]:
        return False
    try:
        return reduction({**used, name: _A_LITTLE}) >= reduction(used)
    except MethodologyError:
        return False


def _results(spec: ParameterSpec) -> str:
    """Say what shows a monitored value, by the methodology's own source of it."""
    if not spec.source or "laboratory" in spec.source:
        return "`laboratory` results"
    return f"its values of the period by their source ({spec.source}), as `laboratory` results"


def _weak(facts: Facts) -> Iterator[str]:
    """
    Say which of what counts as measured shows little.

    A sample whose report nobody can find again, and an analyser that was read in less than
    half of the hours: a grab sample at the strongest hour is no mean of the day.
    """
    how, besides = facts.price.how, facts.besides
    for name in facts.methodology.parameters:
        if how.get(name, LABORATORY) == LABORATORY:
            bare = [s.sample for s in besides.samples if s.parameter == name and s.sha256 is None]
            if bare:
                yield (
                    f"{name}: sample {', '.join(bare[:_NAMED])}"
                    + (f" and {len(bare) - _NAMED} more" if len(bare) > _NAMED else "")
                    + " names no file of its report; give its `sha256`"
                )
        elif how[name] == CHANNELS:
            one = besides.channels[name]
            if 2 * one.hours < one.of:
                yield (
                    f"{name}: read in {one.hours} of {one.of} hours ({one.told}); let it be"
                    " recorded each hour, or give composite samples as `laboratory` results"
                )


def documented_values(facts: Facts) -> Iterator[Effect | Said]:
    """
    PAR-07: values that the methodology lists, without dated documents; nothing is taken off.

    The diesel of the replaced buses is a survey's, the electricity of a model its type approval's,
    the depth of a lagoon and what the old plant could release are of reports before the project: a
    free text shows none of them, and lists and classes bound them.
    """
    method = facts.methodology
    if not method.dated:
        return
    given = {k: v for m in facts.price.views for k, v in m.params.items()} | {**facts.price.stated}
    told = []
    for name in method.dated:
        if name not in given:
            continue
        lacks = undocumented(name, given, facts.besides.documents, facts.first)
        if lacks is not None:
            spec = method.spec_of(name)
            told.append(f"{name} ({spec.meaning} [{spec.unit}]; {spec.source}): {lacks}")
    remedy = (
        "; name the report in the project's `documents` with `by`, `issued` (before the period)"
        " and `sha256`"
    )
    yield Said(not told, "; ".join(told) + remedy if told else "")
