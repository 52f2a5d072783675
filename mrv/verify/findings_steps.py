"""Verification steps on findings and sampling: who signed, in which order, drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mrv.documents.form import UNSET
from mrv.documents.verification import Conclusion
from mrv.errors import CanonicalError, EnrolmentError, SignatureError
from mrv.packs.pack import FINDINGS, SAMPLING
from mrv.signatures import canonical
from mrv.signatures.data_integrity import verify_proof
from mrv.statement.credential_parts import issuer
from mrv.statement.credentials import conclusion_of
from mrv.statement.findings import SIGNED_BY, Event, Record, fold, read_event
from mrv.statement.opinion import check_opinion, materiality
from mrv.statement.sampling import check_sampling
from mrv.statement.states import check_other, check_project
from mrv.verify.subject import NotApplicableError, Subject


def findings(subject: Subject) -> str:
    """Every event is proven, and the verifier's credential holds them as they are."""
    subject.needs_evidence()
    listed = _listed(subject)
    if subject.verification is None and not listed:
        raise NotApplicableError("none so far")
    subject.needs_keys(*{SIGNED_BY[_what(one)] for one in listed})
    events = [_event(document, subject) for document in listed]
    records = fold(events)
    if subject.verification is not None and subject.conclusion is not None:
        _same(records, subject.verification, subject.conclusion, subject)
    open_ = [record.name for record in records if record.state != "closed"]
    return f"{len(records)} findings, {len(open_)} of them open{': ' if open_ else ''}" + ", ".join(
        open_
    )


def _listed(subject: Subject) -> list[dict[str, Any]]:
    data = subject.pack.files.get(FINDINGS)
    if data is None:
        return []
    found = canonical.parse(data)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise CanonicalError(f"{FINDINGS} is not a list of events; get the pack again")
    return found


def _what(document: dict[str, Any]) -> str:
    found = document.get("credentialSubject")
    said = found.get("event") if isinstance(found, dict) else None
    if not isinstance(said, str) or said not in SIGNED_BY:
        raise CanonicalError(f"{FINDINGS} holds an event {said!r}; get the pack again")
    return said


def _event(document: dict[str, Any], subject: Subject) -> Event:
    signer = verify_proof(document, subject.ring)
    event = read_event(document, subject.statement)
    if signer.role != SIGNED_BY[event.what] or document["issuer"] != issuer(signer):
        raise EnrolmentError(
            f"{document['id']} is signed by {signer.name}, {signer.role};"
            f" {event.what} is for the {SIGNED_BY[event.what]} to say, as its issuer"
        )
    check_project(signer, subject.claims.project.id, document["id"])
    return event


def _same(
    records: tuple[Record, ...], verification: Mapping[str, Any], said: Conclusion, subject: Subject
) -> None:
    if said.misstatements is UNSET:  # written before findings were signed
        if records:
            raise CanonicalError(f"{FINDINGS} holds findings, verification.json knows of none")
        return
    shown = [one for one in said.shown if not one.remark]
    if shown != [record.shown() for record in records]:
        raise SignatureError(
            f"the findings in verification.json are not those whose events {FINDINGS} holds"
        )
    conclusion = conclusion_of(verification)
    found = materiality(subject.statement, records, conclusion.materiality_percent)
    if said.misstatements != found.stated():
        raise SignatureError(f"the findings come to {found.to_json()}, not to what is said of them")
    check_opinion(conclusion.opinion, records, found)


def sampling(subject: Subject) -> str:
    """The verifier's list is what its seed draws from this evidence."""
    subject.needs_evidence()
    data = subject.pack.files.get(SAMPLING)
    if data is None:
        raise NotApplicableError("no sampling list was drawn")
    subject.needs_keys("operator", "verifier")
    document = canonical.parse_object(data)
    signer = verify_proof(document, subject.ring)
    if signer.role != "verifier":
        raise EnrolmentError(f"{document['id']} is signed by {signer.name}, {signer.role}")
    check_other(verify_proof(subject.statement, subject.ring), signer)
    check_project(signer, subject.claims.project.id, document["id"])
    first, second, every = check_sampling(document, subject.statement, subject.case, signer)
    return f"{first} of {every} device-days at random and {second} by risk, drawn again"
