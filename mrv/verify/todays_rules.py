"""
Result of a statement under older rules, recalculated by today's rules.

Rules are frozen when they are replaced, so that what was right when it was made verifies for
ever.  Anyone who reads it is informed what today's rules give: they were changed because the older
ones credited too much in some case.  For a period that ends after the older rules did, no one
could have meant them any more, and the statement is not enough to rely on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ingest.errors import InputError
from ingest.pipeline import METERING
from mrv import factors
from mrv.documents.form import UNSET
from mrv.registry.project import ACCOUNTING, FIRST
from mrv.signatures.data_integrity import time_of
from mrv.statement import evidence
from mrv.statement.evidence_case import Case
from mrv.statement.metering_versions import OLDER_UNTIL, of_claims
from mrv.verify.report import Figures, Rules
from mrv.verify.subject import Subject

# what a plan of older rules may lack for today's
_UNFIT = (InputError, KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError)


class _Versions(NamedTuple):
    metering: int
    accounting: int


def rules(subject: Subject) -> Rules | None:
    """
    Return the rules of a statement, and the result under today's; None without evidence.

    Notes what is missing where the older rules had ended before the period did.
    """
    if subject.pack.bare:
        return None
    said = subject.claims
    then = _Versions(of_claims(said), FIRST if said.accounting is UNSET else said.accounting)
    if then == (METERING, ACCOUNTING):
        return Rules(*then, METERING, ACCOUNTING)
    _ask_for_todays(subject, then)
    try:
        found = _by_todays(subject.case).result
        today = Figures(found.net.reduction.t, str(found.credit_t))
    except _UNFIT as error:
        why = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        return Rules(*then, METERING, ACCOUNTING, None, why)
    return Rules(*then, METERING, ACCOUNTING, today)


def _by_todays(case: Case) -> Case:
    """The pack's readings and registry, metered and accounted by the rules of today."""
    plan, fleet, rows = replace(case.plan, accounting=ACCOUNTING), case.fleet, case.rows
    if case.metering != METERING:
        pairs = evidence.monitored(plan.project, fleet, plan.checks)
        rows = evidence.remeter(fleet, case.frames, pairs, case.from_us, case.to_us)
    known = factors.load()
    own = {one.id for one in known}
    brought = [replace(factor, brought=True) for factor in case.factors if factor.id not in own]
    return Case(plan, case.frames, rows, case.from_us, case.to_us, known.with_more(brought))


def _ask_for_todays(subject: Subject, then: _Versions) -> None:
    end = subject.claims.monitoring_period.to
    if time_of(end, "end of the period") <= time_of(OLDER_UNTIL, "end of the older rules"):
        return
    subject.lack(
        "older-rules",
        "submitted",
        f"an account by today's rules (metering {METERING}, accounting {ACCOUNTING}): "
        f"the statement was made by metering {then.metering}, accounting {then.accounting}, "
        f"which are valid for periods that end by {OLDER_UNTIL}, but its period "
        f"ends at {end}",
        "have the operator close the period with a newer version of tonne, "
        "or accept this with --accept older-rules",
        "older-rules",
    )
