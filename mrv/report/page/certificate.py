"""The first page, with credited tonnes, preparer, verifier and evidence; summary and account."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import segno

from mrv.calendar import instant_us, local_date
from mrv.documents.period_account import EvidenceItem
from mrv.report.audit_rows import condition_rows, first_proof, state, status_url
from mrv.report.blocks import Block, banner, chapter, note, pairs, paragraph, part, table
from mrv.report.dated_values import designed
from mrv.report.report_data import Facts
from mrv.report.words import DASH, Words, described, methodology, period, role
from mrv.rounding import decimal_text
from mrv.rules import titled
from mrv.texts import render

_TONES = {
    "issued": "good",
    "draft": "bad",
    "rejected": "bad",
    "superseded": "bad",
    "revoked": "bad",
}
# maximum rows and letters of findings on the first page; if there are more, the next page has all
_MAX_ROWS, _MAX_LETTERS = 6, 1_200


def certificate(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield one page: credited tonnes, preparer, verifier, assurance and evidence."""
    subject = facts.subject
    url = status_url(facts)
    rows = findings(facts, words)
    yield {
        "kind": "certificate",
        "state": _state(facts, words),
        "tone": _TONES.get(facts.state, "warn"),
        "warning": _warning(facts, words),
        "title": words["page.title_statement" if facts.opinion is None else "page.title"],
        "project": facts.project(words.language),
        "period": period(subject, words),
        "about": methodology(subject, words),
        "credited": words.number(subject.credited.t),
        "unit": f"{words['page.tonnes']} {words['page.credited']}",
        "rounded": words.filled(
            "cert.rounded",
            ", ".join(str(vintage.year) for vintage in subject.credited.vintages),
            words.number(subject.emissions.reduction.t),
        ),
        "parties": _parties(facts, words),
        "opinion": _opinion(facts, words),
        "steps_title": words["cert.steps"],
        "steps": _steps(facts, words),
        "grades_title": words["evidence"],
        "grades": _grades(facts, words),
        "findings_title": words["cert.findings"],
        "findings": rows if fits(rows) else [],
        "findings_note": ""
        if fits(rows) and rows
        else words.filled("cert.findings_next", len(rows))
        if rows
        else words["cert.no_findings"],
        "code": [] if url is None else _dots(url),
        "code_note": words["page.status"],
        "foot": [
            f"{words['statement']} {facts.name}",
            f"{words['log_entry']} {facts.log_index}" if facts.log_index is not None else "",
            f"{words['page.covered']} {words.percent(subject.coverage)}",
        ],
    }


def findings(facts: Facts, words: Words) -> list[list[str]]:
    """Return a row of each condition not met: rule, detail and the verifier's justification."""
    return [list(row) for row in condition_rows(facts, words)]


def fits(rows: list[list[str]]) -> bool:
    """Return whether findings fit on the first page."""
    letters = sum(len(text) for row in rows for text in row)
    return len(rows) <= _MAX_ROWS and letters <= _MAX_LETTERS


def _state(facts: Facts, words: Words) -> str:
    """Return the state, with the day of issue, or else of the verification."""
    zone, text = facts.subject.monitoring_period.timezone, state(facts, words)
    if facts.state != "issued" or facts.opinion is None:
        return text
    if facts.issued is not None:
        return words.filled("page.issued_on", text, words.day(_day(facts.issued, zone)))
    return words.filled("page.issued", text, words.day(_day(facts.opinion.valid_from, zone)))


def _warning(facts: Facts, words: Words) -> str:
    if facts.state == "draft":
        return words["page.not_signed"]
    return "" if facts.opinion is not None else words["page.not_verified"]


def _parties(facts: Facts, words: Words) -> list[dict[str, str]]:
    zone = facts.subject.monitoring_period.timezone
    proof = first_proof(facts.stated.proof)
    issuer = facts.stated.issuer
    parties = [
        {
            "as": words["preparer"],
            "name": facts.organisation(issuer) if issuer else words["page.not_signed"],
            "note": words.day(_day(proof.created, zone)) if proof else "",
        }
    ]
    opinion = facts.opinion
    if opinion is not None:
        conclusion = opinion.credential_subject
        accredited = (
            f"{words['accreditation']} {conclusion.accreditation}"
            if conclusion.accreditation
            else ""
        )
        day = words.day(_day(opinion.valid_from, zone))
        parties.append(
            {
                "as": words["verifier"],
                "name": facts.organisation(opinion.issuer),
                "note": "; ".join(text for text in (accredited, day) if text),
            }
        )
    if facts.log_index is not None:
        at = facts.issued or (facts.stamps[-1].time if facts.stamps else None)
        parties.append(
            {
                "as": words["log_entry"],
                "name": f"{facts.log_index}",
                "note": "" if at is None else words.day(_day(at, zone)),
            }
        )
    return parties


def _day(time: str, zone: str) -> str:
    return local_date(instant_us(time, "UTC"), zone).isoformat()


def _opinion(facts: Facts, words: Words) -> dict[str, str]:
    if facts.opinion is None:
        return {"head": words["not_verified"], "note": ""}
    conclusion = facts.opinion.credential_subject
    level = words.get(f"assurance.{conclusion.level_of_assurance}", conclusion.level_of_assurance)
    return {
        "head": f"{words['opinion']}:"
        f" {words.get(f'opinion.{conclusion.opinion}', conclusion.opinion)}",
        "note": f"{words['assurance']}: {level}; {words['materiality']}:"
        f" {words.in_percent(conclusion.materiality_percent)}",
    }


def _steps(facts: Facts, words: Words) -> list[dict[str, Any]]:
    gross, net, credited = (
        Fraction(decimal_text(Fraction(value), 3, "down"))  # the displayed digits add up
        for value in (
            facts.subject.emissions_before_deductions.reduction.t,
            facts.subject.emissions.reduction.t,
            facts.subject.credited.t,
        )
    )
    scale = max(abs(gross), abs(net), abs(credited), Fraction(1, 10**6))
    parts = (
        ("cert.measured", gross, Fraction(0), 3, True),
        ("cert.deductions", net - gross, net, 3, False),
        ("cert.rounded_down", credited - net, credited, 3, False),
        ("cert.credited", credited, Fraction(0), 0, True),
    )
    return [
        {
            "name": words[name],
            "value": f"{words.number(decimal_text(value, places, 'down'))} t",
            "from": float(max(begin, Fraction(0)) / scale),
            "wide": float(min(abs(value) / scale, Fraction(1))),
            "total": total,
        }
        for name, value, begin, places, total in parts
    ]


def _grades(facts: Facts, words: Words) -> list[dict[str, Any]]:
    """Return the share of the reduction by grade of evidence; empty for tonne 0.1.0."""
    result = facts.subject.evidence
    return [
        {
            "grade": grade,
            "share": float(share),
            "name": words[f"evidence.{grade}"],
            "shown": words.percent(share),
        }
        for grade, share in (result.shares.items() if result else ())
    ]


def _dots(url: str) -> list[str]:
    matrix = segno.make(url, error="m", micro=False).matrix
    return ["".join(str(int(dot)) for dot in line) for line in matrix]


_SIDES = ("baseline", "project", "leakage", "reduction")


def summary(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield the summary: replaced statement, and conditions not met that do not fit on page 1."""
    subject = facts.subject
    yield part(words["page.summary"])
    rows = [
        (words["project"], f"{facts.project(words.language)} ({subject.project.id})"),
        (words["methodology"], methodology(subject, words)),
        (words["period"], f"{period(subject, words)} ({subject.monitoring_period.timezone})"),
    ]
    if subject.supersedes is not None:
        supersedes = subject.supersedes
        rows.append((words["supersedes"], f"{supersedes.statement}: {supersedes.reason}"))
    yield pairs(rows)
    open_ = findings(facts, words)
    if not fits(open_):
        yield banner(f"{words['page.unmet']}: {'; '.join(row[0] for row in open_)}", "warn")
        heads = [
            (words["condition"], "l", 1.2),
            (words["condition.detail"], "l", 2.0),
            (words["condition.answer"], "l", 1.4),
        ]
        yield table(words, heads, open_)
    yield paragraph(words["page.as_of"], small=True)


def worklist(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield the reduction that depends on each meter and entered value, for the verifier."""
    result = facts.subject.evidence
    if not result:
        return
    yield chapter(words["evidence.worklist"])
    yield note(words["evidence.note"])
    heads = [
        (words["evidence.what"], "l", 2.6),
        (words["evidence.grade"], "l", 0),
        (words["evidence.tonnes"], "r", 1.2),
        (words["evidence.shown_by"], "l", 2.0),
    ]
    rows = [
        [
            _named(item, facts, words),
            item.grade,
            words.number(item.tonnes),
            ", ".join(item.shown_by) or DASH,
        ]
        for item in result.items
    ]
    yield table(words, heads, rows, "page.more")


def _named(item: EvidenceItem, facts: Facts, words: Words) -> str:
    """Return the meter, or the meaning of the parameter, with its role."""
    method = facts.subject.methodology.id
    entered = item.kind == "parameter" and described(("parameter",), method, item.name, words)
    name = entered or item.name
    return f"{name} ({role(item.role, words)})" if item.role else name


def account(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield both sides before and after deductions, and the credits of each year."""
    yield part(words["page.account"])
    yield note(words["page.account_note"])
    heads = [("", "l", 1.6), *((words[f"page.{side}"], "r", 1.0) for side in _SIDES)]
    subject = facts.subject
    yield table(
        words,
        heads,
        [
            [words[f"page.{name}"], *(words.number(getattr(totals, side).t) for side in _SIDES)]
            for name, totals in (
                ("before", subject.emissions_before_deductions),
                ("after", subject.emissions),
            )
        ],
    )
    limit = subject.emissions.limit()
    if limit is not None:
        yield paragraph(f"{render(limit, words.language)}.", small=True)
    yield from _rules(facts, words)
    yield from _vintages(facts, words)
    yield from worklist(facts, words)
    yield from designed(subject, words)


def _rules(facts: Facts, words: Words) -> Iterator[Block]:
    """
    Yield the rules with a deduction: stand-alone effect, and increase if this one is
    resolved.
    """
    effects = facts.subject.rules or ()
    if not effects:
        return
    yield chapter(words["page.rules"])
    yield note(words["page.rules_note"])
    heads = [
        (words["page.rule"], "l", 2.4),
        (words["page.rule_alone"], "r", 1.0),
        (words["page.rule_settled"], "r", 1.0),
    ]
    idle = [words["page.rule_not_applied"], DASH]
    rows = [
        [titled(effect.rule, words.language),
         *(map(words.number, (effect.deducted_alone_t, effect.returns_if_resolved_t))
           if effect.applied else idle)]
        for effect in effects
    ]  # fmt: skip
    yield table(words, heads, rows)


def _vintages(facts: Facts, words: Words) -> Iterator[Block]:
    credited = facts.subject.credited
    yield chapter(words["page.vintages"])
    heads = [
        (words["vintage"], "l", 1.0),
        (words["reduction_t"], "r", 1.0),
        (words["page.credited_t"], "r", 1.0),
    ]
    rows = [
        [str(v.year), words.number(v.reduction_t), words.number(v.credited_t)]
        for v in credited.vintages
    ]
    total = facts.subject.emissions.reduction.t
    rows.append([words["whole_period"], words.number(total), words.number(credited.t)])
    yield table(words, heads, rows)
    carried = facts.subject.carried
    edges = [words.tonnes_of_ug(ug) for ug in (carried.in_ug, carried.out_ug)]
    yield paragraph(words.filled("page.carried", *edges), small=True)
