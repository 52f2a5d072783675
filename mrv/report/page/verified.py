"""The verification report by the parts of the JCM's form, audit file, and check of the evidence."""

from __future__ import annotations

from collections.abc import Iterator

import segno

from mrv.report.audit_rows import (
    arrival_rows,
    conclusion_rows,
    deviation_rows,
    evidence_rows,
    finding_rows,
    meter_rows,
    open_findings,
    parameter_rows,
    point_rows,
    procedure_rows,
    quality_rows,
    requirement_rows,
    signed_rows,
    signer_rows,
    status_url,
    uncertainty_rows,
    verifier_rows,
)
from mrv.report.blocks import Block, banner, chapter, pairs, paragraph, part, sampled, table
from mrv.report.dated_values import compared
from mrv.report.report_data import Facts
from mrv.report.words import DASH, Words, methodology, period
from mrv.statement.diagram import diagram, in_pages, line_diagram


def audit_file(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield the audit file: data flow and responsibilities."""
    yield part(words["page.audit_file"])
    yield chapter(words["page.data_flow"])
    called = {**words.all, f"project.{facts.plan.project.id}": facts.project(words.language)}
    for drawn in in_pages(diagram(facts.plan, words.language, called), columns=False):
        yield {"kind": "drawing", "svg": drawn, "alt": words["page.data_flow"]}
    yield chapter(words["page.line_diagram"])
    single = line_diagram(facts.plan, words.language)
    if single is None:
        yield paragraph(words["page.no_line_diagram"], small=True)
    else:
        for drawn in in_pages(single):
            yield {"kind": "drawing", "svg": drawn, "alt": words["page.line_diagram"]}
        heads = [
            (words["device"], "l", 1.0), (words["monitoring_point"], "l", 2.0),
            (words["feeds"], "l", 2.0),
        ]  # fmt: skip
        yield table(words, heads, point_rows(facts))
    yield chapter(words["page.meters_rated"])
    heads = [
        (words["device"], "l", 1.0), (words["maker_model"], "l", 1.2), (words["serial"], "l", 0.8),
        (words["ratings"], "l", 1.4), (words["uncertainty"], "r", 0.8),
    ]  # fmt: skip
    yield table(words, heads, list(meter_rows(facts, words)))
    yield pairs(uncertainty_rows(facts, words))
    yield chapter(words["page.quality"])
    yield pairs(procedure_rows(facts, words))
    rows = list(quality_rows(facts, words))
    if rows:
        names = ("plan_version", "parameter", "frequency_head", "qa_qc", "responsible")
        widths = (0.0, 1.2, 0.8, 1.8, 1.0)
        heads = [(words[name], "l", wide) for name, wide in zip(names, widths, strict=True)]
        yield table(words, heads, rows)
    yield chapter(words["page.deviations"])
    yield pairs(deviation_rows(facts, words))
    yield chapter(words["page.arrival"])
    yield pairs(arrival_rows(facts, words))
    yield chapter(words["page.signed"])
    yield pairs(signed_rows(facts, words))


def status(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield the address of the statement's status, as text and QR code."""
    yield chapter(words["page.status"])
    url = status_url(facts)
    if url is not None:
        # directly after the heading, which stays on the page of the next block
        lines = segno.make(url, error="m", micro=False).matrix
        dots = ["".join(str(int(dot)) for dot in line) for line in lines]
        yield {"kind": "code_of_dots", "lines": dots, "alt": url}
    yield pairs([(words["status_url"], url)])


_GOOD = {"unqualified": "good", "qualified": "warn"}


def verified(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield the verifier's conclusions and their basis."""
    yield part(words["page.verification"])
    if facts.opinion is None:
        yield banner(words["page.not_verified"], "bad")
    yield chapter(words["page.general"])
    subject = facts.subject
    yield pairs(
        [
            (words["project"], f"{facts.project(words.language)} ({subject.project.id})"),
            (words["methodology"], methodology(subject, words)),
            (words["period"], period(subject, words)),
            *signer_rows(facts, words),
            *verifier_rows(facts, words),
        ]
    )
    yield chapter(words["page.conclusion"])
    yield from _conclusion(facts, words)
    yield chapter(words["page.overview"])
    yield _overview(facts, words)
    if facts.opinion is not None:
        yield from _words(facts, words)
    yield chapter(words["page.findings"])
    yield from _findings(facts, words)
    yield from sampled(facts.sample, facts.timezone, words)


def _conclusion(facts: Facts, words: Words) -> Iterator[Block]:
    if facts.opinion is not None:
        conclusion = facts.opinion.credential_subject
        level = words.get(
            f"assurance.{conclusion.level_of_assurance}", conclusion.level_of_assurance
        )
        text = words.filled(f"page.text_{conclusion.opinion}", level)
        yield banner(text, _GOOD.get(conclusion.opinion, "bad"))
    yield pairs(conclusion_rows(facts, words))


def _overview(facts: Facts, words: Words) -> Block:
    subject = facts.subject
    conditions = subject.applicability
    whole = [
        parameter
        for parameter in facts.parameters
        if parameter.coverage.calibrated_share == "1.000000"
    ]
    all_findings, remaining = open_findings(facts)
    rows = [
        (words["check.computed"], words["check.computed_text"]),
        (words["check.calibration"],
         words.filled("check.calibration_text", len(whole), len(facts.parameters))),
        (words["check.conditions"],
         words.filled("check.conditions_text", sum(c.holds for c in conditions),
                      len(conditions))),
        (words["check.double"], words["check.double_text"]),
        (words["check.findings"], words.filled("check.findings_text", all_findings, remaining)),
    ]  # fmt: skip
    heads = [(words["page.requirement"], "l", 1.0), (words["page.result"], "l", 3.0)]
    return table(words, heads, [[name, text or words["not_verified"]] for name, text in rows])


def _words(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield how each requirement and each parameter was verified."""
    means, opinion = words["verified.means"], words["verified.opinion"]
    heads = [(words["page.requirement"], "l", 1.0), (means, "l", 1.4), (opinion, "l", 1.4)]
    yield table(words, heads, requirement_rows(facts, words))
    yield chapter(words["page.parameters_verified"])
    rows = parameter_rows(facts, words)
    if not rows:
        yield paragraph(words["page.no_words"], small=True)
        return
    heads = [
        (words["parameter"], "l", 1.0), (means, "l", 1.3), (words["verified.source"], "l", 1.5),
        (words["verified.cross"], "l", 1.1), (opinion, "l", 1.3),
    ]  # fmt: skip
    yield table(words, heads, rows)


def _findings(facts: Facts, words: Words) -> Iterator[Block]:
    rows = list(finding_rows(facts, words))
    if not rows:
        yield paragraph(words["page.no_findings"])
        return
    heads = [
        (words["finding"], "l", 0.7), (words["kind"], "l", 1.1), (words["page.what"], "l", 0.8),
        (words["page.by"], "l", 0.9), (words["page.at"], "l", 0), (words["page.said"], "l", 3.2),
        (words["effect_t"], "r", 0.8),
    ]  # fmt: skip
    yield table(words, heads, [
        [
            row.name, row.kind, row.event or DASH,
            row.by or DASH, words.day(row.at) if row.at else DASH, row.text,
            DASH if row.effect_t is None else words.number(row.effect_t),
        ]
        for row in rows
    ])  # fmt: skip


def checked(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield the comparisons of the figures."""
    opinion = facts.opinion
    yield from compared(facts.subject, opinion.credential_subject if opinion else None, words)


def evidence(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield the evidence, and how to check it."""
    yield part(words["page.evidence"])
    yield paragraph(words["page.check"])
    yield {
        "kind": "code",
        "lines": [
            f"tonne statement export {facts.name} --out pack",
            "tonne verify pack --keys KEYS_YOU_TRUST.json --status STATUS_LIST.json",
        ],
    }
    yield pairs(evidence_rows(facts, words))
    attached = "page.attached" if facts.twin is None else "public.attached"
    yield paragraph(words[attached], small=True)
    yield paragraph(words["page.not_numbers"], small=True)
