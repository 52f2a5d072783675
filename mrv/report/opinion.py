"""Signatories of a statement and its verification, and their conclusions, as rows of words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mrv.documents.form import UNSET, Proof, UnsetType, write
from mrv.report.report_data import Facts
from mrv.report.words import Words
from mrv.rules import titled
from mrv.statement.conditions import reasons_of, unanswered, unmet
from mrv.statement.findings import about_text
from mrv.statement.opinion import requirements


class FindingRow(NamedTuple):
    """A finding, or one event of it, as a table row; None where empty."""

    name: str
    kind: str
    event: str
    by: str | None
    at: str | None
    text: str
    effect_t: str | None


def opinion_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield names and values of the opinion; None where no document states it."""
    yield words["statement"], facts.name
    yield words["state"], state(facts, words)
    yield from signer_rows(facts, words)
    yield from conclusion_rows(facts, words)
    yield from evidence_rows(facts, words)


def signer_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield who prepared and who verified, when, and with which key."""
    statement, opinion = facts.stated, facts.opinion
    proof = first_proof(statement.proof)
    yield words["preparer"], statement.issuer.name if statement.issuer else None
    yield words["signed_at"], words.moment(proof.created, facts.timezone) if proof else None
    yield words["preparer_key"], proof.verification_method if proof else None
    if opinion is not None:
        theirs = first_proof(opinion.proof)
        yield words["verifier"], opinion.issuer.name
        yield words["verified_at"], words.moment(opinion.valid_from, facts.timezone)
        yield words["verifier_key"], theirs.verification_method if theirs else None


def conclusion_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield opinion, assurance, materiality and activities."""
    if facts.opinion is None:
        yield words["opinion"], words["not_verified"]
        return
    conclusion = facts.opinion.credential_subject
    yield words["opinion"], words.get(f"opinion.{conclusion.opinion}", conclusion.opinion)
    level = conclusion.level_of_assurance
    yield words["assurance"], words.get(f"assurance.{level}", level)
    yield words["materiality"], words.in_percent(conclusion.materiality_percent)
    errors = conclusion.misstatements
    if errors:
        net = errors.net_misstatement_t, errors.net_share_percent
        absolute = errors.absolute_misstatement_t, errors.absolute_share_percent
        yield words["misstatement_net"], _error(*net, words)
        yield words["misstatement_absolute"], _error(*absolute, words)
        yield words["material"], words["yes" if errors.material else "no"]
    # tonne 0.1.0 wrote a procedure by itself; it is nobody's word
    if conclusion.procedure and conclusion.unmet is not UNSET:
        yield words["procedure"], conclusion.procedure


def finding_rows(facts: Facts, words: Words) -> Iterator[FindingRow]:
    """Yield the events of each finding, then the verifier's remarks."""
    for finding in facts.findings:
        kind = words.get(f"finding.{finding.kind}", finding.kind)
        if not finding.finding:
            yield FindingRow(words["remark"], kind, "", None, None, finding.text or "", None)
            continue
        events = finding.events or ()
        for place, event in enumerate(events):
            last = place == len(events) - 1
            name = words.get(f"finding.{event.event}", event.event)
            effect = finding.effect_t or None if last else None
            where = about_text(finding.about) if finding.about is not UNSET and place == 0 else ""
            message = f"{where}: {event.text}" if where else event.text
            yield FindingRow(finding.finding, kind, name, event.by, event.at, message, effect)


def condition_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str, str]]:
    """Yield the conditions not met: rule, detail, severity and remedy."""
    opinion = facts.opinion
    conclusion = None if opinion is None else opinion.credential_subject
    remaining = (
        unmet(facts.subject) if conclusion is None else unanswered(facts.subject, conclusion)
    )
    reasons = {} if conclusion is None else reasons_of(conclusion)
    for item in unmet(facts.subject):
        if conclusion is None or item in remaining:
            request = words[f"finding.{item.severity}"], words["finding.open"]
            answer = f"{', '.join(request)}. {item.remedy_words(words.language)}".strip()
        else:
            answer = words.filled("finding.closed_for", reasons[item.rule, item.texts])
        yield titled(item.rule, words.language), item.words(words.language), answer


def parameter_rows(facts: Facts, words: Words) -> list[list[str | None]]:
    """Return the verification of each monitored parameter."""
    conclusion = None if facts.opinion is None else facts.opinion.credential_subject
    return [
        [
            words.get(f"role.{parameter.parameter}", parameter.parameter)
            + ("" if parameter.device is None else f" ({parameter.device})"),
            parameter.means.strip() or None,
            parameter.source.strip() or None,
            parameter.cross_checked.strip() or None,
            parameter.opinion.strip() or None,
        ]
        for parameter in (conclusion and conclusion.parameters) or ()
    ]


def requirement_rows(facts: Facts, words: Words) -> list[list[str | None]]:
    """Return the verification of each requirement, including blank ones."""
    conclusion = None if facts.opinion is None else facts.opinion.credential_subject
    result = {r.requirement: r for r in (conclusion and conclusion.requirements) or ()}
    rows: list[list[str | None]] = []
    for requirement in requirements(facts.subject):
        item = result.get(requirement)
        cells = (None, None) if item is None else (item.means.strip(), item.opinion.strip())
        rows.append([words[f"requirement.{requirement}"], *(cell or None for cell in cells)])
    return rows


def open_findings(facts: Facts) -> tuple[int, int]:
    """Return the number of corrective action and clarification requests: all, and open."""
    findings = [f for f in facts.findings if f.kind in {"CAR", "CL"} and not f.remark]
    return len(findings), sum(finding.state != "closed" for finding in findings)


def evidence_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield the digests of the evidence, the log entry and the program."""
    if facts.opinion is not None:
        for related in facts.opinion.related_resource:
            yield words["digest_of_statement"], related.digest_sri
    for name, digest in write(facts.subject.digests).items():
        yield words.get(f"digest.{name}", name), digest
    yield (
        words["log_entry"],
        (words["not_in_log"] if facts.log_index is None else str(facts.log_index)),
    )
    if facts.issued is not None:
        yield words["issue_time"], facts.issued
    for stamp in facts.stamps:
        yield words["time_stamp"], f"{stamp.time}, {stamp.signer}"
    if facts.log_index is not None and not facts.stamps:
        yield words["time_stamp"], words["no_time_stamp"]
    yield words["code_version"], facts.subject.code_version


def state(facts: Facts, words: Words) -> str:
    """Return the state of the statement, with its successor if any."""
    text = words[f"state.{facts.state}"]
    return f"{text}: {facts.superseded_by}" if facts.superseded_by else text


def first_proof(proof: Proof | tuple[Proof, ...] | UnsetType) -> Proof | None:
    """Return the proof of a signed document, the first of a set; None of a draft."""
    if isinstance(proof, tuple):
        return proof[0]
    return proof or None


def _error(tonnes: str, share: str | None, words: Words) -> str:
    text = f"{words.number(tonnes)} t CO2e"
    return text if share is None else f"{text}; {words.in_percent(share)} {words['of_reduction']}"
