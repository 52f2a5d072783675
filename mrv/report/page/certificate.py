"""The first page: credited tonnes, preparer, verifier and evidence."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import segno

from mrv.calendar import instant_us, local_date
from mrv.report.audit_rows import status_url
from mrv.report.blocks import Block
from mrv.report.opinion import condition_rows, first_proof, state
from mrv.report.report_data import Facts
from mrv.report.translations import methodology, period
from mrv.report.words import Words
from mrv.rounding import decimal_text

_TONES = {
    "issued": "good",
    "draft": "bad",
    "rejected": "bad",
    "superseded": "bad",
    "revoked": "bad",
}
# what of the findings fits on the page; else the next page has all of them
_MOST_ROWS, _MOST_LETTERS = 6, 1_200


def certificate(facts: Facts, words: Words) -> Iterator[Block]:
    """Return one page: credited tonnes, preparer, verifier, assurance and evidence."""
    subject = facts.subject
    url = status_url(facts)
    rows = findings(facts, words)
    yield {
        "kind": "certificate",
        "state": state(facts, words),
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
    """Return the conditions not met: rule, detail and the verifier's justification."""
    return [list(row) for row in condition_rows(facts, words)]


def fits(rows: list[list[str]]) -> bool:
    """Return whether findings fit on the first page."""
    letters = sum(len(text) for row in rows for text in row)
    return len(rows) <= _MOST_ROWS and letters <= _MOST_LETTERS


def _warning(facts: Facts, words: Words) -> str:
    if facts.state == "draft":
        return words["page.not_signed"]
    return "" if facts.opinion is not None else words["page.not_verified"]


def _parties(facts: Facts, words: Words) -> list[dict[str, str]]:
    """Name who prepared and who verified, as organisations, and when each signed."""
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
        said = opinion.credential_subject
        accredited = f"{words['accreditation']} {said.accreditation}" if said.accreditation else ""
        day = words.day(_day(opinion.valid_from, zone))
        parties.append(
            {
                "as": words["verifier"],
                "name": facts.organisation(opinion.issuer),
                "note": "; ".join(one for one in (accredited, day) if one),
            }
        )
    if facts.log_index is not None:
        stamped = facts.stamps[-1] if facts.stamps else None
        parties.append(
            {
                "as": words["cert.logged"],
                "name": f"{facts.log_index}",
                "note": "" if stamped is None else words.day(_day(stamped.time, zone)),
            }
        )
    return parties


def _day(time: str, zone: str) -> str:
    return local_date(instant_us(time, "UTC"), zone).isoformat()


def _opinion(facts: Facts, words: Words) -> dict[str, str]:
    if facts.opinion is None:
        return {"head": words["not_verified"], "note": ""}
    said = facts.opinion.credential_subject
    level = words.get(f"assurance.{said.level_of_assurance}", said.level_of_assurance)
    return {
        "head": f"{words['opinion']}: {words.get(f'opinion.{said.opinion}', said.opinion)}",
        "note": f"{words['assurance']}: {level}; {words['materiality']}:"
        f" {words.number(said.materiality_percent)} %",
    }


def _steps(facts: Facts, words: Words) -> list[dict[str, Any]]:
    """Go from the measured reduction to the credit: each a bar on the scale of the largest."""
    gross, net, credited = (
        Fraction(one)
        for one in (
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
    """Return the share of the reduction by grade of evidence; tonne 0.1.0 knew no grades."""
    found = facts.subject.evidence
    return [
        {
            "grade": grade,
            "share": float(share),
            "name": words[f"evidence.{grade}"],
            "shown": words.percent(share),
        }
        for grade, share in (found.shares.items() if found else ())
    ]


def _dots(url: str) -> list[str]:
    matrix = segno.make(url, error="m", micro=False).matrix
    return ["".join(str(int(dot)) for dot in line) for line in matrix]
