"""
Rules of values that a project entered or measured: bounds of parameters, and their findings.

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
from mrv.accounting.entered_values import amount, undocumented
from mrv.accounting.service_evidence import laboratory
from mrv.calendar import local_date, months
from mrv.errors import MethodologyError
from mrv.model import Factors
from mrv.parameters.inputs import Inputs, rounded
from mrv.parameters.specs import ParameterSpec
from mrv.rules.account import MONITORED, Account
from mrv.rules.effects import (
    AGREED,
    BUILT_FOR,
    CARRIED,
    CHANNELS,
    CONSTANT,
    LABORATORY,
    SHOWN,
    UNMEASURED,
    Bound,
    Effect,
    Fix,
    Least,
    Said,
)
from mrv.rules.facts import Facts
from mrv.texts import Text, text

_NAMED = 3  # samples that a finding names
# of a value that is 0, to see who gains by it
_A_LITTLE = Fraction(1, 1000)
_LOAD = {design_capacity.BUILT_FOR: BUILT_FOR, design_capacity.CARRIED: CARRIED}


def before_crediting(facts: Facts) -> Iterator[Effect | Said]:
    """BND-02: quantities of years before the crediting period."""
    method, given = facts.methodology, facts.price.stated
    first = local_date(facts.project.from_us, facts.timezone).year
    early = sorted(method.uncredited(given, first))
    yield from (Fix(name, Fraction(0), how=None) for name in early)
    if early:
        yield Said(False, tuple(
            text("BND-02.before", parameter=name, year=first,
                 amount=amount(Fraction(given[name]), method.parameters[name].unit))
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
    yield from (Said(one.holds, one.texts) for one in said)


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
            yield Said(False, tuple(
                text("PAR-08.year", year=year, finding=finding)
                for year, (finding, _) in found.items()
            ))  # fmt: skip


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
    open_, met, priced = list[Text](), list[Text](), True
    for name, spec in method.parameters.items():
        how = price.how.get(name)
        if (spec.option not in MONITORED and how is None) or name not in price.stated:
            continue
        value = Fraction(price.stated[name])
        values = {"parameter": name, "amount": amount(value, spec.unit)}
        lacking = sorted(wanted - known[name])
        if how == SHOWN:
            open_.append(text("PAR-06.quantities", **values))
            continue
        if how in (UNMEASURED, CONSTANT):
            channel = spec.channels[-1] if spec.channels else ""
            open_.append(
                text("PAR-06.record", **values, how=how, channel=channel)
                if channel
                else text("PAR-06.sample", **values, how=how)
            )
        elif how is not None and how != LABORATORY:
            met.append(text("PAR-06.measured", **values, how=how))
            continue
        elif not known[name]:
            if _costs_nothing(name, price.stated, price.reduced):
                continue
            values |= {"methodology": method.id, "option": spec.option or "-"}
            # where the methodology's own source is no laboratory, its values are entered as one's
            at_laboratory = not spec.source or "laboratory" in spec.source
            open_.append(
                text("PAR-06.constant" if at_laboratory else "PAR-06.constant_source", **values)
            )
        elif lacking and "month" in spec.frequency:
            months_ = tuple(f"{y}-{m:02}" for y, m in lacking[:_NAMED])
            open_.append(text("PAR-06.months", **values, months=months_))
        else:
            continue
        priced = False
    weak = [*_weak(facts)]
    open_ += weak
    if open_ or met or any(known[name] for name in method.parameters):
        yield Said(not open_, (*open_, *met), priced=priced and not weak)


def _costs_nothing(name: str, used: Inputs, reduction: Callable[[Inputs], Fraction]) -> bool:
    """Say whether a parameter is 0, and a little of it would leave as much or more."""
    if used[name]:
        return False
    try:
        return reduction({**used, name: _A_LITTLE}) >= reduction(used)
    except MethodologyError:
        return False


def _weak(facts: Facts) -> Iterator[Text]:
    """
    Say which of what counts as measured is weak evidence.

    A sample whose report cannot be found again, and an analyser that was read in less than
    half of the hours: a grab sample at the strongest hour is no mean of the day.
    """
    how, besides = facts.price.how, facts.besides
    for name in facts.methodology.parameters:
        if how.get(name, LABORATORY) == LABORATORY:
            bare = [s.sample for s in besides.samples if s.parameter == name and s.sha256 is None]
            if bare:
                more = (text("text.more", count=len(bare) - _NAMED),) if bare[_NAMED:] else ()
                yield text("PAR-06.reports", parameter=name, samples=(*bare[:_NAMED], *more))
        elif how[name] == CHANNELS:
            one = besides.channels[name]
            if 2 * one.hours < one.of:
                yield text("PAR-06.hours", parameter=name, hours=one.hours, of=one.of)


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
    documents, first = facts.besides.documents, facts.first
    found = tuple(
        text("PAR-07.document", parameter=name, lacks=lacks)
        for name in method.dated
        if name in given
        and (lacks := undocumented(name, given, documents, first)) is not None
    )
    yield Said(not found, found)
