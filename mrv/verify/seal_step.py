"""Verification steps on the days sealed by the log, and on approvals of the issue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from mrv.calendar import days, instant_us
from mrv.documents import UNSET
from mrv.errors import CanonicalError, LogError, SignatureError
from mrv.log.entries import (
    DATA,
    Checkpoint,
    decode_hash,
    parse_receipt,
    rows_root,
    verify_checkpoint,
)
from mrv.packs.pack import APPROVALS, SEALS
from mrv.registry.project import Project
from mrv.signatures import canonical
from mrv.signatures.data_integrity import proofs_of, time_of, verify_proof
from mrv.signatures.day_digests import DayLeaf, digest_leaves
from mrv.signatures.keys import EnrolledKey
from mrv.signatures.merkle_tree import leaf_hash, root_before, verify_inclusion
from mrv.statement.device_days import check_sealed, rows_of, share
from mrv.statement.states import check_approval, people
from mrv.verify.report import SealedArrival
from mrv.verify.signature_steps import AHEAD, log_key
from mrv.verify.subject import NotApplicableError, NotCheckedError, Subject


def approvals(subject: Subject) -> str:
    """Check each approval of the issue, and that there are enough; return a summary."""
    own, required = _own(subject), _programmes(subject)
    if subject.verification is None and subject.approvals:
        raise SignatureError(f"{APPROVALS} is present, but the statement is not verified")
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
            f"{document['id']} was signed at {at}, but the check is for {subject.at}"
        )
    return holder


_SHOWN = 3


def seals(subject: Subject) -> str:
    """
    Check that the log sealed the readings of the period's days before the statement; return
    a summary.
    """
    subject.needs_evidence()
    if subject.receipt is None:
        raise NotApplicableError("not issued yet")
    record = canonical.parse_object(subject.pack.files[SEALS])
    if record.keys() != {"days", "head"} or not isinstance(record["days"], list):
        raise CanonicalError("seals.json must have days and head, without other keys")
    whole = _whole_days(subject)
    if len(record["days"]) > len(whole):
        raise LogError("seals.json has a day twice, or a day outside the period")
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
        raise LogError("seals.json has a day twice, or a day outside the period")
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
    Check that the tree of the seals is that of the receipt, and ends before the statement's entry.

    The inclusion proof of the statement gives the root of all entries before it.  A seal under that
    root was made earlier, in the same tree; this does not depend on the signers of the heads.
    """
    receipt = parse_receipt(subject.receipt or "")
    issued = subject.head
    if issued is None:
        raise NotCheckedError("the receipt of the statement was not checked")
    if head.size != receipt.index:
        raise LogError(
            f"the signed head in seals.json covers {head.size} entries, but the statement is entry"
            f" {receipt.index}: the file was not made when this statement was issued"
        )
    if root_before(receipt.index, issued.size, receipt.proof) != head.root:
        raise LogError(
            f"seals and receipt belong to different trees: log {head.origin!r} presented two "
            "histories"
        )


def _unsealed(subject: Subject, whole: set[str], seen: set[str]) -> None:
    late = sorted(whole - seen)
    if late or not whole:
        named = ", ".join(late[:_SHOWN]) + (" and others" if len(late) > _SHOWN else "")
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
            f"in entry {item['index']}: they were changed after sealing"
        )
    _arrival(entry, subject, project)


def _arrival(entry: Mapping[str, Any], subject: Subject, project: Project) -> None:
    """Raise an error for an arrival of a day's readings that differs between log and statement."""
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
        raise LogError(f"the counts of arrival in the seal of {day} contradict each other")
    due = time_of(entry["to"], "end of the day") + timedelta(hours=36)
    late_seal = time_of(sealed["sealed"], "time of the seal") > due
    subject.arrived.append(SealedArrival(day, readings, late, len(hours), late_seal))


def _came(subject: Subject, days: int) -> str:
    """Return a sentence on the arrival of the sealed days' readings."""
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
    """Return devices that served the project on a sealed day."""
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
