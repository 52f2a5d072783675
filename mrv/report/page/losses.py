"""What was not measured, and what was taken off for it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mrv.calendar import instant_us, local_text
from mrv.documents.period_account import Deduction, Gap
from mrv.report.blocks import MOST_ROWS, Block, chapter, note, paragraph, table
from mrv.report.report_data import Facts
from mrv.report.translations import DASH, SHOWN, kind, reason, rule
from mrv.report.words import Words

_MINUTES = len("2026-01-01T00:00")


def gaps(facts: Facts, words: Words) -> Iterator[Block]:
    """List the gaps; where paper does not take them all, the longest."""
    yield chapter(words["gaps"])
    found = facts.subject.gaps
    if not found:
        yield paragraph(words["page.no_gaps"])
        return
    yield note(words["page.gap_note"])
    listed = list(found)
    if len(listed) > MOST_ROWS:
        listed.sort(key=lambda one: Fraction(one.time_s), reverse=True)
        listed[:MOST_ROWS] = sorted(listed[:MOST_ROWS], key=lambda one: one.from_)
    heads = [
        (words["device"], "l", 1.3),
        (words["from"], "l", 0),
        (words["to"], "l", 0),
        (words["kind"], "l", 0),
        (words["time_h"], "r", 0.7),
        (words["rule"], "l", 1.7),
        (words["cost_t"], "r", 0.9),
        (words["forgone_t"], "r", 0.9),
    ]
    yield table(words, heads, [
        [
            one.device, *_edges(facts, one), kind(one, words),
            _hours(one, words), rule(one, words),
            words.number(one.cost_t),
            DASH if one.forgone_at_most_t is None else words.number(one.forgone_at_most_t),
        ]
        for one in listed
    ], "page.more")  # fmt: skip


def _hours(gap: Gap, words: Words) -> str:
    """Hours of a gap; a few seconds are not none."""
    hours = Fraction(gap.time_s) / 3600
    return words.number(words.plain(hours, 2 if hours >= 1 else 4))


def deductions(facts: Facts, words: Words) -> Iterator[Block]:
    """List what was deducted and why."""
    yield chapter(words["deductions"])
    found = facts.subject.deductions
    if not found:
        yield paragraph(words["page.no_deductions"])
        return
    yield note(words["deductions_note"])
    of = {one.device: one for one in facts.parameters}
    heads = [
        (words["device"], "l", 1.3),
        (words["from"], "l", 0),
        (words["to"], "l", 0),
        (words["reason"], "l", 2.0),
        (words["percent"], "r", 0),
        (words["adjustment"], "r", 1.1),
        (words["cost_t"], "r", 0.9),
    ]
    rows = []
    for one in found:
        unit, size = SHOWN[of[one.device].unit]
        amount = words.number(words.plain(one.adjusts(of[one.device].side) / size, 6))
        rows.append(
            [
                one.device,
                *_edges(facts, one),
                reason(one, words),
                words.number(words.plain(Fraction(one.percent), 6)),
                f"{amount} {unit}",
                words.number(one.cost_t),
            ]
        )
    yield table(words, heads, rows)


def _edges(facts: Facts, entry: Gap | Deduction) -> list[str]:
    """Local edges to the minute, which every interval begins on."""
    texts = (
        local_text(instant_us(edge, "UTC"), facts.timezone) for edge in (entry.from_, entry.to)
    )
    return [text[:_MINUTES].replace("T", " ") for text in texts]
