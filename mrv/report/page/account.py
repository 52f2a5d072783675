"""The summary, and the account from monitored to credited tonnes."""

from __future__ import annotations

from collections.abc import Iterator

from mrv.report.blocks import Block, banner, chapter, note, pairs, paragraph, part, table
from mrv.report.comparison_blocks import designed
from mrv.report.page.certificate import findings
from mrv.report.report_data import Facts
from mrv.report.translations import DASH, methodology, period, role
from mrv.report.words import Words
from mrv.rules import titled

_SIDES = ("baseline", "project", "leakage", "reduction")


def summary(facts: Facts, words: Words) -> Iterator[Block]:
    """Return the summary: replaced statement, and all conditions not met."""
    subject = facts.subject
    yield part(words["page.summary"])
    rows = [
        (words["project"], f"{subject.project.name} ({subject.project.id})"),
        (words["methodology"], methodology(subject, words)),
        (words["period"], f"{period(subject, words)} ({subject.monitoring_period.timezone})"),
    ]
    if subject.supersedes is not None:
        said = subject.supersedes
        rows.append((words["supersedes"], f"{said.statement}: {said.reason}"))
    yield pairs(rows)
    yield from evidence(facts, words)
    open_ = findings(facts, words)
    if open_:
        yield banner(f"{words['page.unmet']}: {'; '.join(row[0] for row in open_)}", "warn")
        heads = [
            (words["condition"], "l", 1.2),
            (words["condition.detail"], "l", 2.0),
            (words["condition.answer"], "l", 1.4),
        ]
        yield table(words, heads, open_)
    yield paragraph(words["page.as_of"], small=True)


def evidence(facts: Facts, words: Words) -> Iterator[Block]:
    """Return the share of the reduction by grade of evidence; none for tonne 0.1.0."""
    found = facts.subject.evidence
    if not found:
        return
    yield note(words["evidence"])
    yield table(
        words,
        [(words[f"evidence.{grade}"], "r", 1.0) for grade in found.shares],
        [[words.percent(share) for share in found.shares.values()]],
    )


def worklist(facts: Facts, words: Words) -> Iterator[Block]:
    """Return the reduction that depends on each meter and entered value, for the verifier."""
    found = facts.subject.evidence
    if not found:
        return
    yield chapter(words["evidence.worklist"])
    yield note(words["evidence.note"])
    heads = [
        (words["evidence.what"], "l", 1.6),
        (words["evidence.grade"], "l", 0),
        (words["evidence.tonnes"], "r", 1.0),
        (words["evidence.shown_by"], "l", 2.0),
    ]
    rows = [
        [
            f"{item.name} ({role(item.role, words)})" if item.role else item.name,
            item.grade,
            words.number(item.tonnes),
            ", ".join(item.shown_by) or DASH,
        ]
        for item in found.items
    ]
    yield table(words, heads, rows, "page.more")


def account(facts: Facts, words: Words) -> Iterator[Block]:
    """Return both sides before and after deductions, and the credits of each year."""
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
    yield from _rules(facts, words)
    yield from _vintages(facts, words)
    yield from worklist(facts, words)
    yield from designed(subject, words)


def _rules(facts: Facts, words: Words) -> Iterator[Block]:
    """List the rules that took something off, with their effect alone and if settled alone."""
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
    rows = [
        [titled(effect.rule, words.language),
         words.number(effect.alone_t) if effect.applied else words["page.rule_not_applied"],
         words.number(effect.beside_t) if effect.applied else DASH]
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
