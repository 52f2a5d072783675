"""Verification steps on plan, factors, readings, intervals, account, sealed days, and approvals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from mrv.calendar import days, instant_us
from mrv.countries import grid_of
from mrv.documents import UNSET
from mrv.errors import CanonicalError, FactorError, LogError, PeriodError, SignatureError
from mrv.factors import load
from mrv.factors.ledger import book_of, departures, unmarked, unpublished
from mrv.log.entries import (
    DATA,
    Checkpoint,
    decode_hash,
    parse_receipt,
    rows_root,
    verify_checkpoint,
)
from mrv.methodologies._tools import calculated
from mrv.model import Factor
from mrv.packs.pack import APPROVALS, DIAGRAM, SEALS, check_order
from mrv.registry.project import FIRST, Project
from mrv.rounding import UG_PER_T, decimal_text
from mrv.signatures import canonical
from mrv.signatures.data_integrity import proofs_of, time_of, verify_proof
from mrv.signatures.day_digests import DayLeaf, Digest, differences, digest_leaves
from mrv.signatures.keys import EnrolledKey
from mrv.signatures.merkle_tree import leaf_hash, root_before, verify_inclusion
from mrv.signatures.trust_root import Accepted, check
from mrv.statement.compose import compose, label_of
from mrv.statement.device_days import check_sealed, intervals_digest, rows_of, share
from mrv.statement.diagram import diagram
from mrv.statement.evidence import same
from mrv.statement.plan_writer import required_in
from mrv.statement.states import check_approval, people
from mrv.verify.report import SealedArrival
from mrv.verify.signature_steps import AHEAD, log_key
from mrv.verify.subject import (
    NotApplicableError,
    NotCheckedError,
    Subject,
    refuse,
    refuse_differences,
)

_WHOLE = re.compile(r"0|[1-9][0-9]*")
_DIGITS = 6
_SIGNED_LATER = ("issuer", "proof")


def plan_and_factors(subject: Subject) -> str:
    """Check that plan and factors are those of the statement and published; return a summary."""
    subject.needs_evidence()
    _same_digest("plan", canonical.encode(subject.plan.to_json()), subject)
    _same_digest(
        "plan", canonical.encode(canonical.parse(subject.pack.files["plan.json"])), subject
    )
    book = list(book_of(subject.factor_records))
    if subject.pack.files[DIAGRAM] != diagram(subject.plan).encode():
        raise CanonicalError(f"{DIAGRAM} is not the diagram of plan.json; get the pack again")
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
    """Yield texts on factors that a project calculated, with the result of the recalculation."""
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

    A signature that is not valid, or is by a key that is not the programme's, is a false claim.  If
    the reader has no root key of the programme, the owner of the key is unknown.
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
                f" a root key of {subject.source}; ask the programme whether it accepted the factor"
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
    """Check that the digest of every device-day of readings is the signed one; return a summary."""
    subject.needs_evidence()
    digest = subject.case.readings
    _same_leaves("readings", digest, subject)
    rows = sum(leaf.rows for leaf in digest.leaves)
    return (
        f"{rows} readings of {len(digest.leaves)} device-days, with the readings just before and "
        "after the period"
    )


def intervals(subject: Subject) -> str:
    """Check that the digest of each device-day of intervals is the signed one; return a summary."""
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
            f"{signed}; get the pack again"
        )


def metering(subject: Subject) -> str:
    """Check that metering the raw readings again gives the same intervals; return a summary."""
    subject.needs_evidence()
    case = subject.case
    rows = case.metered
    if not same(case.rows, rows):
        again = intervals_digest(subject.fleet, rows, subject.plan.project.timezone).leaves
        refuse(differences(case.intervals.leaves, again), "does not follow from the readings")
    return f"{len(rows)} intervals metered again by version {case.metering}, all equal"


def account(subject: Subject) -> str:
    """Check that the recalculated statement is equal to the last digit; return a summary."""
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
    """Return the path of the first differing value, with both values; None if all are equal."""
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
    """Check crediting period, and that credits do not exceed the reduction; return a summary."""
    stated = subject.claims
    inner, outer = stated.monitoring_period, stated.project.crediting_period
    begin, end, first, last = (
        instant_us(edge, "UTC") for edge in (inner.from_, inner.to, outer.from_, outer.to)
    )
    if not first <= begin < end <= last:
        raise PeriodError(
            f"the period {inner.from_} to {inner.to} is not within the crediting period"
            f" {outer.from_} to {outer.to}; have the operator close only the part within it"
        )
    credited = stated.credited.t
    balance = int(stated.emissions.reduction.ug) + int(stated.carried.in_ug)
    if not _WHOLE.fullmatch(credited) or int(credited) > max(0, balance // UG_PER_T):
        raise PeriodError(
            f"{credited} t are credited, but the reduction with the balance carried forward is"
            f" {balance / UG_PER_T:.6f} t, rounded down; ask the operator to close the period again"
        )
    if stated.supersedes and stated.supersedes.statement == stated.statement:
        raise PeriodError(
            f"statement {stated.statement} supersedes itself; ask the operator to close the period "
            "again"
        )
    _graded(subject)
    return f"{inner.local_from} to {inner.local_to}, {credited} whole tonnes"


def _graded(subject: Subject) -> None:
    """Record where a statement required a lower grade of evidence than the programme."""
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


def approvals(subject: Subject) -> str:
    """Check each approval of the issue, and that there are enough; return a summary."""
    own, required = _own(subject), _programmes(subject)
    if subject.verification is None and subject.approvals:
        raise SignatureError(
            f"{APPROVALS} is present, but the statement is not verified; get the pack again"
        )
    if subject.approvals or (subject.receipt is not None and max(own, required) > 1):
        subject.needs_keys("operator")
    holders = [_approver(subject, document) for document in subject.approvals]
    result = people(holders)
    if subject.receipt is None:
        raise NotApplicableError(
            f"the statement is not issued yet; it has {result} approvals so far"
        )
    if not result and max(own, required) == 1:
        return "only the preparer's signature is required"
    if own > 1 and result < own:
        raise SignatureError(
            f"{own} approvals are required by the statement; signed so far: {result}"
        )
    if result < required:
        subject.lack(
            "approvals",
            "issued",
            f"approval of the issue by {required} people, as {subject.source} requires: "
            f"{result} approved",
            "approvals cannot be added after issue; have the statement superseded "
            "by one with enough approvals",
        )
    return f"{result} people approved: {', '.join(sorted({holder.name for holder in holders}))}"


def _own(subject: Subject) -> int:
    issue_signatures = subject.claims.issue_signatures
    return 1 if issue_signatures is UNSET else issue_signatures


def _programmes(subject: Subject) -> int:
    """Return the number of approvals required by the programme for the period."""
    rule = subject.issue_rule
    if rule is None:
        return 1
    end = time_of(subject.claims.monitoring_period.to, "end of the period")
    return rule.threshold if end > time_of(rule.since, "since") else 1


def _approver(subject: Subject, document: dict[str, Any]) -> EnrolledKey:
    holder = verify_proof(document, subject.ring)
    project = subject.claims.project.id
    check_approval(document, subject.statement, subject.verification or {}, holder, project)
    at = time_of(proofs_of(document)[0]["created"], "created")
    if at - AHEAD > subject.at:
        raise SignatureError(
            f"{document['id']} was signed at {at}, but the check is for {subject.at}; pass a later "
            "--at"
        )
    return holder


_MAX_NAMED = 3


def seals(subject: Subject) -> str:
    """Check that the log sealed the period's readings before the statement; return a summary."""
    subject.needs_evidence()
    if subject.receipt is None:
        raise NotApplicableError("the statement is not issued yet")
    record = canonical.parse_object(subject.pack.files[SEALS])
    if record.keys() != {"days", "head"} or not isinstance(record["days"], list):
        raise CanonicalError("seals.json must have only days and head; get the pack again")
    whole = _whole_days(subject)
    if len(record["days"]) > len(whole):
        raise LogError(
            f"seals.json has {len(record['days'])} days, but the period has {len(whole)} whole "
            "days; get the pack again"
        )
    if not record["days"]:
        _unsealed(subject, whole, set())
        raise NotApplicableError("no day was sealed before the statement was issued")
    subject.needs_keys("log")
    head = verify_checkpoint(record["head"], log_key(subject.ring, record["head"]))
    _before(subject, head)
    seen: set[str] = set()
    of_day: dict[str, list[DayLeaf]] = {}
    for leaf in subject.leaves["readings"]:
        of_day.setdefault(leaf.day, []).append(leaf)
    for day in record["days"]:
        _check_seal(day, head, of_day, subject, subject.plan.project)
        seen.add(day["entry"]["day"])
    if len(seen) != len(record["days"]) or not seen <= whole:
        strange = sorted(seen - whole) or ["a day twice"]
        raise LogError(f"seals.json has {strange[0]}, not a day of the period; get the pack again")
    _unsealed(subject, whole, seen)
    sealed = f"{len(seen)} of {len(whole)} days were sealed before the statement was issued"
    return sealed + _came(subject, len(seen))


def _whole_days(subject: Subject) -> set[str]:
    first, last = subject.period_us
    return {
        day.isoformat()
        for day, begin, end in days(first, last, subject.plan.project.timezone)
        if first <= begin and end <= last
    }


def _before(subject: Subject, head: Checkpoint) -> None:
    """
    Check that the seals are in the tree of the receipt, and before the statement's entry.

    The inclusion proof of the statement gives the root of all entries before it.  A seal under that
    root was logged earlier, in the same tree; this does not depend on the signers of the heads.
    """
    receipt = parse_receipt(subject.receipt or "")
    issued = subject.head
    if issued is None:
        raise NotCheckedError("the receipt of the statement was not checked (step log receipt)")
    if head.size != receipt.index:
        raise LogError(
            f"the signed head in seals.json covers {head.size} entries, but the statement is entry"
            f" {receipt.index}: the file was not made when this statement was issued; get the pack "
            "again"
        )
    if root_before(receipt.index, issued.size, receipt.proof) != head.root:
        raise LogError(
            f"seals and receipt belong to different trees: log {head.origin!r} presented two "
            "histories; report both heads to the programme"
        )


def _unsealed(subject: Subject, whole: set[str], seen: set[str]) -> None:
    late = sorted(whole - seen)
    if late or not whole:
        named = ", ".join(late[:_MAX_NAMED]) + (" and others" if len(late) > _MAX_NAMED else "")
        subject.lack(
            "seals",
            "issued",
            f"seals that were made before the statement, for {len(late)} of {len(whole)} days"
            f" ({named or 'the period has no whole day'})",
            "seals cannot be added later; accept this with --accept unsealed-days, "
            "or have the days sealed and the period closed again",
            "unsealed-days",
        )


def _check_seal(
    item: Mapping[str, Any],
    head: Checkpoint,
    of_day: Mapping[str, list[DayLeaf]],
    subject: Subject,
    project: Project,
) -> None:
    entry, proof = item["entry"], [decode_hash(line) for line in item["proof"]]
    verify_inclusion(item["index"], head.size, leaf_hash(canonical.encode(entry)), proof, head.root)
    if entry["event"] != DATA or entry["project"] != project.id:
        raise LogError(
            f"entry {item['index']} of seals.json seals no day of this project; ask the "
            "issuer for a correct pack"
        )
    if readings_root(project, of_day.get(entry["day"], ()), entry) != entry["readings"]["root"]:
        raise LogError(
            f"the readings of {entry['day']} differ from those sealed by the log "
            f"in entry {item['index']}: they were changed after sealing; ask the operator for "
            "`tonne log audit` of that day"
        )
    _arrival(entry, subject, project)


def _arrival(entry: Mapping[str, Any], subject: Subject, project: Project) -> None:
    """Check that the arrival of a day's readings is equal in log and statement."""
    sealed, plan, day = entry.get("arrival"), subject.plan.arrivals, entry["day"]
    if sealed is None:
        return
    if plan is not None:
        mine = serving(project, entry)
        arrived = {d: of[day] for d, of in plan.items() if d in mine and day in of}
        check_sealed(day, sealed, arrived, rows_root(rows_of(arrived)))
    hours = {str(hour): int(count) for hour, count in sealed["hours"].items()}
    readings, late = int(sealed["readings"]), int(sealed["late"])
    fits = sum(hours.values()) == readings and 0 <= late <= readings
    if not fits or min(hours.values(), default=1) < 1:
        raise LogError(
            f"the counts of arrival in the seal of {day} contradict each other; get the pack again"
        )
    due = time_of(entry["to"], "end of the day") + timedelta(hours=36)
    late_seal = time_of(sealed["sealed"], "time of the seal") > due
    subject.arrived.append(SealedArrival(day, readings, late, len(hours), late_seal))


def _came(subject: Subject, days: int) -> str:
    """Return a sentence on the arrival of the readings of sealed days."""
    every = subject.arrived
    if not every:
        return ""
    readings, late = (sum(x.readings for x in every), sum(x.late for x in every))
    tail = (
        f"; according to the log {late} of {readings} readings ({share(late, readings)} "
        "%) arrived later than"
    )
    tail += " 36 h after their day"
    if waited := sum(arrival.sealed_late for arrival in every):
        tail += f", {waited} days were sealed later than that"
    if len(every) < days:
        tail += f"; {days - len(every)} seals do not state arrivals"
    return tail


def serving(project: Project, entry: Mapping[str, Any]) -> set[str]:
    """Return the ids of devices that served the project on a sealed day."""
    begin, end = (instant_us(entry[edge], "UTC") for edge in ("from", "to"))
    return {
        d.device
        for d in project.devices
        if d.from_us < end and (d.to_us is None or d.to_us > begin)
    }


def readings_root(project: Project, leaves: Iterable[DayLeaf], entry: Mapping[str, Any]) -> str:
    """Return the root of a sealed day's readings, of devices that served the project on it."""
    mine, day = serving(project, entry), entry["day"]
    return digest_leaves(x for x in leaves if x.day == day and x.device in mine).root
