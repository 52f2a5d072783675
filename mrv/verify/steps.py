"""
The verification: its numbered steps in order, and the outcome of each.

This file also has the steps on findings and sampling, and the result of an older statement under
the current rules.  Old rules do not change, so that old statements can always be recalculated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ingest.errors import InputError
from ingest.pipeline import METERING
from mrv import factors
from mrv.documents import UNSET
from mrv.documents.verification import Conclusion
from mrv.errors import (
    CanonicalError,
    EnrolmentError,
    PackFormatError,
    PackTooLargeError,
    SignatureError,
)
from mrv.log.witness import Policy, read_policy
from mrv.packs.pack import FINDINGS, KEYS, SAMPLING, Pack
from mrv.parameters import USUAL
from mrv.program import named, program, same
from mrv.registry.project import ACCOUNTING, FIRST
from mrv.signatures import canonical
from mrv.signatures.authorities import StampRule
from mrv.signatures.data_integrity import time_of, verify_proof
from mrv.signatures.keys import EnrolledKey
from mrv.signatures.trust_root import Trust
from mrv.signed_values.meter_keys import OwnKeys
from mrv.statement import evidence
from mrv.statement.conditions import Unmet, effects, gap_lines, graded, unmet
from mrv.statement.credentials import conclusion_of
from mrv.statement.evidence import OLDER_UNTIL, of_claims
from mrv.statement.evidence_case import Case
from mrv.statement.findings import SIGNED_BY, Event, Record, fold, read_event
from mrv.statement.opinion import check_opinion, materiality
from mrv.statement.sampling import check_sampling
from mrv.statement.states import check_other, check_project, issuer
from mrv.verify import evidence_steps as figures
from mrv.verify import evidence_steps as issuing
from mrv.verify import evidence_steps as sealed
from mrv.verify import signature_steps as people
from mrv.verify import time_step as dates
from mrv.verify import time_step as files
from mrv.verify import time_step as signed
from mrv.verify import timestamp_step as stamped
from mrv.verify import witness_step as seen
from mrv.verify.reliance import WAIVERS, not_relied_on, note_missing, relied_on
from mrv.verify.report import STATES, Figures, Report, Rules, StepResult, plain
from mrv.verify.subject import NotApplicableError, NotCheckedError, Subject

# errors raised if a plan of older rules lacks data for the current rules
_UNFIT = (InputError, KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError)


class _Versions(NamedTuple):
    metering: int
    accounting: int


def rules(subject: Subject) -> Rules | None:
    """
    Return the rules of a statement, and the result under the current ones; None without evidence.

    Evidence is recorded as missing if the older rules had ended before the period did.
    """
    if subject.pack.bare:
        return None
    claims = subject.claims
    then = _Versions(of_claims(claims), FIRST if claims.accounting is UNSET else claims.accounting)
    if then == (METERING, ACCOUNTING):
        return Rules(*then, METERING, ACCOUNTING)
    _ask_for_todays(subject, then)
    try:
        period_result = _by_todays(subject.case).result
        today = Figures(period_result.net.reduction.t, str(period_result.credit_t))
    except _UNFIT as error:
        why = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        return Rules(*then, METERING, ACCOUNTING, None, why)
    return Rules(*then, METERING, ACCOUNTING, today)


def _by_todays(case: Case) -> Case:
    """Return the pack's readings and registry, metered and accounted by the current rules."""
    plan, fleet, rows = replace(case.plan, accounting=ACCOUNTING), case.fleet, case.rows
    if case.metering != METERING:
        pairs = evidence.monitored(plan.project, fleet, plan.checks)
        rows = evidence.remeter(fleet, case.frames, pairs, case.from_us, case.to_us)
    known = factors.load()
    own = {factor.id for factor in known}
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


def findings(subject: Subject) -> str:
    """Check every event of the findings, and that the credential has all; return a summary."""
    subject.needs_evidence()
    listed = _listed(subject)
    if subject.verification is None and not listed:
        raise NotApplicableError("the verifier has raised no findings so far")
    subject.needs_keys(*{SIGNED_BY[_event_kind(event)] for event in listed})
    events = [_event(document, subject) for document in listed]
    records = fold(events)
    if subject.verification is not None and subject.conclusion is not None:
        _same(records, subject.verification, subject.conclusion, subject)
    open_ = [record.name for record in records if record.state != "closed"]
    names = f" ({', '.join(open_)})" if open_ else ""
    return f"{len(records)} raised, {len(open_)} open{names}"


def _listed(subject: Subject) -> list[dict[str, Any]]:
    data = subject.pack.files.get(FINDINGS)
    if data is None:
        return []
    result = canonical.parse(data)
    if not isinstance(result, list) or not all(isinstance(event, dict) for event in result):
        raise CanonicalError(f"{FINDINGS} is not a list of events; get the pack again")
    return result


def _event_kind(document: dict[str, Any]) -> str:
    result = document.get("credentialSubject")
    event = result.get("event") if isinstance(result, dict) else None
    if not isinstance(event, str) or event not in SIGNED_BY:
        raise CanonicalError(f"{FINDINGS} has an unknown event {event!r}; get the pack again")
    return event


def _event(document: dict[str, Any], subject: Subject) -> Event:
    signer = verify_proof(document, subject.ring)
    event = read_event(document, subject.statement)
    if signer.role != SIGNED_BY[event.what] or document["issuer"] != issuer(signer):
        raise EnrolmentError(
            f"{document['id']} is signed by {signer.name}, {signer.role}; {event.what} must be "
            f"signed by the {SIGNED_BY[event.what]}, as its issuer"
        )
    check_project(signer, subject.claims.project.id, document["id"])
    return event


def _same(
    records: tuple[Record, ...],
    verification: Mapping[str, Any],
    stated: Conclusion,
    subject: Subject,
) -> None:
    if stated.misstatements is UNSET:  # findings were not signed in that version
        if records:
            raise CanonicalError(
                f"{FINDINGS} has findings, but verification.json has none; get the pack again"
            )
        return
    listed = [finding for finding in stated.listed_findings if not finding.remark]
    if listed != [record.credential_form() for record in records]:
        raise SignatureError(
            f"the findings in verification.json differ from the events in {FINDINGS}; get the "
            "pack again"
        )
    conclusion = conclusion_of(verification)
    result = materiality(subject.statement, records, conclusion.materiality_percent)
    if stated.misstatements != result.stated():
        raise SignatureError(
            f"the misstatements of the findings sum to {result.to_json()}, but verification.json "
            "states another sum; ask the verifier to sign the verification again"
        )
    check_opinion(conclusion.opinion, records, result)


def sampling(subject: Subject) -> str:
    """
    Check that the verifier's list is the draw of its seed from the evidence; return a
    summary.
    """
    subject.needs_evidence()
    data = subject.pack.files.get(SAMPLING)
    if data is None:
        raise NotApplicableError("no sampling list was drawn")
    subject.needs_keys("operator", "verifier")
    document = canonical.parse_object(data)
    signer = verify_proof(document, subject.ring)
    if signer.role != "verifier":
        raise EnrolmentError(
            f"{document['id']} is signed by {signer.name}, {signer.role}, but must be signed by a "
            "verifier; get the list from the verifier"
        )
    check_other(verify_proof(subject.statement, subject.ring), signer)
    check_project(signer, subject.claims.project.id, document["id"])
    first, second, every = check_sampling(document, subject.statement, subject.case, signer)
    return f"{first} of {every} device-days at random and {second} by risk, drawn again"


class Step(NamedTuple):
    """A step: name, function, and remedy after a failure."""

    name: str
    run: Callable[[Subject], str]
    remedy: str


_AGAIN = (
    "do not rely on this pack. Obtain it again from its sender, since an incomplete copy fails here"
    " too. If the second copy fails, the pack was altered or is faulty: report it to the operator"
    " and to the programme"
)
_LIST = (
    "ask the operator for the project's newest status list, or for the statement that replaced it"
)
_SIGNER = (
    "do not rely on this document. Ask the signer for the document as it was signed; if that one"
    " fails too, report it to the programme"
)
_CLOSE = (
    "do not rely on the statement: its figures do not follow from its evidence. Ask the operator to"
    " close the period again, and inform the verifier and the programme"
)
STEPS = (
    Step("form", people.form, _AGAIN),
    Step("keys and roles", people.keys, "compare the keys with those published by their holders"),
    Step("operator's proof", people.operator, _SIGNER),
    Step("verifier's proof and digest", people.verifier, _SIGNER),
    Step("log receipt", people.log, "ask the log for a receipt, or for its key"),
    Step("status", people.status, _LIST),
    Step("plan and factors", figures.plan_and_factors, _AGAIN),
    Step("readings", figures.readings, _AGAIN),
    Step("intervals", figures.intervals, _AGAIN),
    Step(
        "seals",
        sealed.seals,
        "do not rely on these days: the readings differ from those sealed, or the log is not"
        " consistent. Ask the operator for `tonne log audit` of these days",
    ),
    Step(
        "metering",
        figures.metering,
        "do not rely on the statement: its intervals do not follow from its readings. Ask the"
        " operator to close the period again",
    ),
    Step("account", figures.account, _CLOSE),
    Step("claims", figures.claims, _CLOSE),
    Step("manifest", files.manifest, _AGAIN),
    Step("findings", findings, "ask verifier and operator for the documents that they signed"),
    Step("sampling", sampling, "ask the verifier for the list as it was signed"),
    Step("time stamps", stamped.timestamps, "ask the operator for the original time stamps"),
    Step("times", dates.times, "ask for a signature by a key that was valid at its time"),
    Step("witnesses", seen.witnesses, "obtain the receipt again, and compare the witness's key"),
    Step("approvals", issuing.approvals, "ask the operator who approved the issue"),
    Step("signed values", signed.signed_values, "ask for the original signed values"),
)
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


def verify(
    pack: Pack,
    trusted: Trust | Iterable[EnrolledKey] | None = None,
    status: bytes | None = None,
    *,
    at: datetime | None = None,
    accept: Iterable[str] = (),
    policy: Policy | None = None,
    authorities: StampRule | None = None,
    meter_keys: OwnKeys | None = None,
    begun: Callable[[int, str], None] | None = None,
) -> Report:
    """
    Run all steps; stop at the first failure.

    `trusted`: keys that the reader trusts.  Without them the pack is compared with its own keys,
    and the result cannot be relied on.
    `status`: the project's status list.  If absent, one stored with the trusted keys is used.
    `at`: time of verification; now if absent.
    `accept`: sufficient state (`draft`, `submitted`, `verified`), and accepted weaknesses
    (`WAIVERS`).
    `policy`: witnesses that must have cosigned, in addition to those of the trusted keys.
    `authorities`: time-stamp authorities that the reader trusts, in place of those of the trust
    root.
    `meter_keys`: the reader's keys of meters and gateways, by id or serial number.
    `begun`: called as each step begins, with its number, from 1, and its name.
    Raises InputError for an unknown value in `accept`.
    Raises PackTooLargeError if the pack exceeds the size limits.
    """
    accepted = frozenset(accept)
    if not accepted <= {*STATES[:-1], *WAIVERS}:
        known = ", ".join((*STATES[:-1], *WAIVERS))
        raise InputError(f"--accept {', '.join(sorted(accepted))} is not possible; use {known}")
    if trusted is not None and not isinstance(trusted, Trust):
        trusted = Trust(tuple(trusted), "your own keyring")
    trust: Trust | None = trusted
    subject = Subject(
        pack,
        None if trust is None else trust.keys,
        status=status,
        at=at or datetime.now(UTC),
        source="" if trust is None else trust.source,
        status_lists=() if trust is None else trust.status_lists,
        issue_rule=None if trust is None else trust.issue,
        required_grades=USUAL if trust is None or trust.evidence is None else trust.evidence,
        authorities=authorities or (None if trust is None else trust.timestamps),
        policies=_policies(None if trust is None else trust.log_policy, policy),
        meter_keys=meter_keys,
        roots=() if trust is None else trust.roots,
    )
    steps = tuple(_walk(subject, begun))
    broken = any(step.outcome == "failed" for step in steps)
    by = None if broken else rules(subject)
    if not broken:
        note_missing(subject)
    return Report(
        _or_unknown(subject),
        _state(subject),
        _keys(subject),
        steps,
        tuple(subject.lacking),
        accepted,
        () if broken else tuple(relied_on(subject, by)),
        () if broken else tuple(not_relied_on(subject)),
        () if broken else tuple(_with_remedy(item) for item in unmet(subject.claims)),
        () if broken else tuple(effects(subject.claims)),
        () if broken else tuple(gap_lines(subject.claims)),
        "" if broken else graded(subject.claims),
        () if broken else tuple(subject.arrived),
        () if broken or subject.stamped is None else subject.stamped.stamps,
        () if broken else tuple(subject.stamped_days),
        by,
    )


def _with_remedy(item: Unmet) -> str:
    remedy = item.remedy_words()
    return f"{item}. {remedy}" if remedy else str(item)


def _policies(stated: str | None, policy: Policy | None) -> tuple[Policy, ...]:
    """Return the witness policies to be met: of the trust root or key ring, and the reader's."""
    kept = () if stated is None else (read_policy(stated.encode("utf-8", "surrogateescape")),)
    return kept if policy is None else (*kept, policy)


def _walk(subject: Subject, begun: Callable[[int, str], None] | None) -> Iterator[StepResult]:
    broken = False
    for number, step in enumerate(STEPS, 1):
        if begun is not None:
            begun(number, step.name)
        if broken:
            yield StepResult(number, step.name, "not reached", "")
            continue
        result = _take(number, step, subject)
        broken = result.outcome == "failed"
        yield result


def _take(number: int, step: Step, subject: Subject) -> StepResult:
    try:
        return StepResult(number, step.name, "ok", step.run(subject))
    except NotApplicableError as why:
        return StepResult(number, step.name, "not applicable", str(why))
    except NotCheckedError as why:
        return StepResult(number, step.name, "not checked", str(why))
    except PackTooLargeError:
        raise
    except PackFormatError as error:
        return StepResult(number, step.name, "failed", plain(str(error)), error.remedy)
    except InputError as error:
        return StepResult(
            number, step.name, "failed", plain(str(error)), _remedy(subject, step.remedy)
        )
    except _MALFORMED as error:
        # a document of the correct kind has a field of a wrong type
        detail = f"a field is missing or malformed ({type(error).__name__}: {error})"
        return StepResult(number, step.name, "failed", detail, _remedy(subject, step.remedy))


def _remedy(subject: Subject, remedy: str) -> str:
    """Return a remedy, preceded by the program to use if another one created the pack."""
    try:
        made_by = subject.claims.code_version
    except (InputError, *_MALFORMED):
        return remedy
    if same(made_by):
        return remedy
    return (
        f"first verify with the program that made the pack, {named(plain(made_by))}; this"
        f" one is {named(program())}. If that fails too: {remedy}"
    )


def _or_unknown(subject: Subject) -> str:
    try:
        return str(subject.stated.get("statement"))
    except InputError:
        return "unknown"


def _state(subject: Subject) -> str:
    try:
        return subject.state
    except InputError:
        return "unknown"


def _keys(subject: Subject) -> str:
    if subject.trusted is not None:
        return f"{len(subject.trusted)} trusted keys, from {subject.source}"
    source = "the pack itself" if KEYS in subject.pack.files else "the statement itself"
    return (
        f"keys taken from {source}: anyone could have made it; pass your "
        "file of trusted keys with --keys"
    )
