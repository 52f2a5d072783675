"""Verification steps on plan, factors, readings, intervals and the account."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from mrv.calendar import instant_us
from mrv.countries import grid_of
from mrv.documents import UNSET
from mrv.errors import CanonicalError, FactorError, PeriodError, SignatureError
from mrv.factors import load
from mrv.factors.ledger import book_of, departures, unmarked, unpublished
from mrv.methodologies.tools import calculated
from mrv.model import Factor
from mrv.packs.pack import DIAGRAM, check_order
from mrv.registry.project import FIRST
from mrv.rounding import UG_PER_T, decimal_text
from mrv.signatures import canonical
from mrv.signatures.day_digests import Digest, differences, digest_leaves
from mrv.signatures.trust_root import Accepted, check
from mrv.statement.compose import compose, label_of
from mrv.statement.device_days import intervals_digest
from mrv.statement.diagram import diagram
from mrv.statement.evidence import same
from mrv.statement.plan_writer import required_in
from mrv.verify.subject import Subject, refuse, refuse_differences

_WHOLE = re.compile(r"0|[1-9][0-9]*")
_DIGITS = 6
_SIGNED_LATER = ("issuer", "proof")


def plan_and_factors(subject: Subject) -> str:
    """
    Check that plan and factors are those named in the statement and published; return a
    summary.
    """
    subject.needs_evidence()
    _same_digest("plan", canonical.encode(subject.plan.to_json()), subject)
    _same_digest(
        "plan", canonical.encode(canonical.parse(subject.pack.files["plan.json"])), subject
    )
    book = list(book_of(subject.factor_records))
    if subject.pack.files[DIAGRAM] != diagram(subject.plan).encode():
        raise CanonicalError(f"{DIAGRAM} differs from the diagram drawn from plan.json")
    _same_digest("factors", canonical.encode(subject.factor_records), subject)
    other = departures(book)
    if other:
        raise FactorError("; ".join(other))
    if subject.plan.accounting > FIRST and (foreign := unmarked(book)):
        raise FactorError(
            f"factor {foreign[0]!r} is not published by this version of tonne, and "
            "factors.json does not mark it as coming from a registry file; verify "
            "with the version that publishes it"
        )
    accepted = dict(_accepted(subject, book))
    brought = [f"{name}{accepted.get(name, '')}" for name in unpublished(book)]
    brought += _recalculated(subject, book)
    doubt = f"; compare with their source, not published by tonne: {', '.join(brought)}"
    return f"{len(subject.plan.devices)} devices, {len(book)} factors{doubt if brought else ''}"


def _recalculated(subject: Subject, book: Sequence[Factor]) -> Iterator[str]:
    """Yield texts of factors that a project calculated, with the result of the calculation."""
    own = load().within(grid_of(subject.plan.project))
    for factor in book:
        if factor.calculation is not None:
            value = calculated(factor.calculation, own, factor.id)
            message = decimal_text(value, _DIGITS, "half_even")
            tool = factor.calculation.tool
            yield f"{factor.id} = {factor.text} {factor.unit}: {tool} gives {message}"


def _accepted(subject: Subject, book: Sequence[Factor]) -> Iterator[tuple[str, str]]:
    """
    Yield accepted factors, and whether the programme signed the acceptance.

    A signature that is not valid, or of a key that is none of the programme's, is a false claim.
    Without a root key of the programme its owner is unknown.
    """
    known = {factor.id: factor for factor in book}
    for factor in subject.plan.accepted:
        if factor.signature is UNSET:
            yield factor.factor, f" ({factor.acceptance}; not signed)"
            continue
        if factor.factor not in known:
            continue
        key = factor.signature.key
        accepted = Accepted(
            factor.factor,
            known[factor.factor].sha256,
            factor.by,
            factor.date,
            factor.document,
            factor.sha256,
        )
        check(accepted, key, factor.signature.value)
        if subject.roots and key not in subject.roots:
            raise SignatureError(
                f"the acceptance of {factor.factor} by {factor.by} is signed by {key}, which is not"
                f" a root key of {subject.source}"
            )
        whose = "a root key of the programme" if subject.roots else "a key that you do not know"
        yield factor.factor, f" ({factor.acceptance}, {whose})"


def _same_digest(name: str, data: bytes, subject: Subject) -> None:
    value_text, stated = canonical.sha256_hex(data), getattr(subject.claims.digests, name)
    if value_text != stated:
        raise CanonicalError(
            f"{name}.json has the digest {value_text}, but the statement names {stated}; get the "
            "pack again"
        )


def readings(subject: Subject) -> str:
    """Check that every device-day of readings equals the signed one; return a summary."""
    subject.needs_evidence()
    digest = subject.case.readings
    _same_leaves("readings", digest, subject)
    return (
        f"{sum(leaf.rows for leaf in digest.leaves)} readings of {len(digest.leaves)} device-days"
    )


def intervals(subject: Subject) -> str:
    """Check that every device-day of intervals equals the signed one; return a summary."""
    subject.needs_evidence()
    digest = subject.case.intervals
    _same_leaves("intervals", digest, subject)
    check_order(subject.case.rows, subject.fleet)
    return f"{sum(leaf.rows for leaf in digest.leaves)} intervals"


def _same_leaves(name: str, digest: Digest, subject: Subject) -> None:
    leaves, signed = subject.leaves[name], getattr(subject.claims.digests, name)
    if leaves == list(digest.leaves) and digest.root == signed:
        return
    refuse_differences(leaves, digest.leaves)
    root = digest_leaves(leaves).root
    if root != signed or [leaf.key for leaf in leaves] != sorted(leaf.key for leaf in leaves):
        raise CanonicalError(
            f"the {name} leaves of digests.json have the root {root}, but the statement names "
            f"{signed}"
        )


def metering(subject: Subject) -> str:
    """Check that intervals metered again from the raw readings are equal; return a summary."""
    subject.needs_evidence()
    case = subject.case
    rows = case.metered
    if not same(case.rows, rows):
        again = intervals_digest(subject.fleet, rows, subject.plan.project.timezone).leaves
        refuse(differences(case.intervals.leaves, again), "does not follow from the readings")
    return f"{len(rows)} intervals metered again by version {case.metering}, all equal"


def account(subject: Subject) -> str:
    """
    Check that the statement recalculated from the evidence is equal to the last digit;
    return a summary.
    """
    subject.needs_evidence()
    again = compose(subject.case, label_of(subject.claims))
    stated = {k: v for k, v in subject.statement.items() if k not in _SIGNED_LATER}
    where = first_difference(again, stated)
    if where is not None:
        raise PeriodError(
            f"the statement and its evidence differ at {where}; ask the issuer for a correct pack"
        )
    subject.case.check_counted()
    return f"{subject.claims.credited.t} t credited, recalculated"


def first_difference(expected: Any, result: Any, path: str = "") -> str | None:
    """Return the path of the first differing value, with both values; None where all are equal."""
    if type(expected) is type(result):
        if isinstance(expected, dict):
            for key in sorted({*expected, *result}):
                inner = f"{path}.{key}" if path else key
                item, other = expected.get(key, _ABSENT), result.get(key, _ABSENT)
                if (where := first_difference(item, other, inner)) is not None:
                    return where
            return None
        if isinstance(expected, list) and len(expected) == len(result):
            for i, (item, other) in enumerate(zip(expected, result, strict=True)):
                if (where := first_difference(item, other, f"{path}[{i}]")) is not None:
                    return where
            return None
        if expected == result:
            return None
    return (
        f"{path}: calculated from the evidence: {_short(expected)}, in the statement:"
        f" {_short(result)}"
    )


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


_ABSENT = _Absent()


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line's worth


def claims(subject: Subject) -> str:
    """
    Check the crediting period, and that credits do not exceed the reduction; return a
    summary.
    """
    stated = subject.claims
    inner, outer = stated.monitoring_period, stated.project.crediting_period
    begin, end, first, last = (
        instant_us(edge, "UTC") for edge in (inner.from_, inner.to, outer.from_, outer.to)
    )
    if not first <= begin < end <= last:
        raise PeriodError(
            f"the period {inner.from_} to {inner.to} is not within the crediting period"
            f" {outer.from_} to {outer.to}"
        )
    credited = stated.credited.t
    balance = int(stated.emissions.reduction.ug) + int(stated.carried.in_ug)
    if not _WHOLE.fullmatch(credited) or int(credited) > max(0, balance // UG_PER_T):
        raise PeriodError(
            f"{credited} t are credited, but the reduction with the balance carried forward is"
            f" {balance / UG_PER_T:.6f} t, rounded down"
        )
    if stated.supersedes and stated.supersedes.statement == stated.statement:
        raise PeriodError(f"statement {stated.statement} supersedes itself")
    _graded(subject)
    return f"{inner.local_from} to {inner.local_to}, {credited} whole tonnes"


def _graded(subject: Subject) -> None:
    """Note where a statement required a lower grade of evidence than the programme."""
    evidence = subject.claims.evidence
    if evidence is UNSET:
        return
    own, wanted = required_in(evidence.asked), subject.required_grades
    if not own.at_least(wanted):
        subject.lack(
            "evidence-asked",
            "draft",
            f"a close under the evidence requirements of {subject.source or 'the usual rules'}: "
            f"grade {wanted.quantities} of quantities, {wanted.parameters} of parameters "
            f"with an effect above {wanted.above_percent} %; the statement was closed "
            f"with {own.quantities}, {own.parameters} and {own.above_percent} %",
            "have the period closed again by a system that has pinned the programme's trust root",
        )
