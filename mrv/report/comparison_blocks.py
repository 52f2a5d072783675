"""
Comparisons of the figures, as blocks: design, other periods, check meters, threshold.

The same blocks are used in the PDF and the console.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction

from mrv.documents.form import UNSET
from mrv.documents.monitoring import CrossCheck, UnusualDays, UnusualReadings
from mrv.documents.period_account import Comparison, Misstatements
from mrv.documents.statement import Claims
from mrv.documents.verification import Conclusion
from mrv.registry.declared import Declared, Event
from mrv.report.blocks import Block, chapter, note, paragraph, table
from mrv.report.translations import DASH, SHOWN, found_words, holds, quality_test, what, witness
from mrv.report.words import Words


def designed(subject: Claims, words: Words) -> Iterator[Block]:
    """Return the comparison of results with the project design, pro rata."""
    yield chapter(words["page.comparisons"])
    comparisons = subject.comparisons
    if not comparisons:
        yield paragraph(words["page.no_design"], small=True)
        return
    heads = [(words["page.what"], "l", 1.6), *_compared(words["page.expected"], words)]
    yield table(words, heads, [[what(c, words), *_comparison(c, words)] for c in comparisons])


def held(subject: Claims, opinion: Conclusion | None, words: Words) -> Iterator[Block]:
    """
    Yield the comparison with other periods, the cross-checks, and materiality.

    Statements of versions without these comparisons yield nothing.

    Parameters
    ----------
    subject : Claims
        Claims of the statement.
    opinion : Conclusion or None
        Conclusion of the verification, if there is one.
    """
    if subject.cross_checks is not UNSET:
        yield chapter(words["page.other_periods"])
        yield from _periods(subject, words)
        yield chapter(words["checks"])
        yield from _cross_checks(subject, words)
        if subject.unusual_readings is not UNSET:
            yield chapter(words["unusual"])
            yield from _unusual(subject, subject.unusual_readings, words)
        yield chapter(words["materiality.title"])
        yield from _materiality(subject, opinion, words)


def _periods(subject: Claims, words: Words) -> Iterator[Block]:
    comparisons = subject.other_periods or ()
    if not comparisons:
        yield paragraph(words["page.no_other_periods"], small=True)
        return
    heads = [(words["statement"], "l", 2.0), (words["page.what"], "l", 1.2),
             *_compared(words["page.pro_rata"], words)]  # fmt: skip
    yield table(
        words, heads, [[c.statement, what(c, words), *_comparison(c, words)] for c in comparisons]
    )


def _compared(other: str, words: Words) -> list[tuple[str, str, float]]:
    return [(other, "r", 1.0), (words["page.actual"], "r", 1.0), (words["difference"], "r", 0.8)]


def _comparison(comparison: Comparison, words: Words) -> list[str | None]:
    amounts = map(words.number, (comparison.expected, comparison.actual))
    return [*amounts, _percent(comparison.difference_percent or None, words)]


def _cross_checks(subject: Claims, words: Words) -> Iterator[Block]:
    checks = subject.cross_checks or ()
    if not checks:
        yield paragraph(words["page.no_checks"], small=True)
        return
    yield note(words["checks_note"])
    heads = [
        (words["witness"], "l", 1.3), (words["device"], "l", 1.2), (words["compared"], "r", 0),
        (words["metered"], "r", 1.0), (words["witnessed"], "r", 1.0),
        (words["difference"], "r", 0.9), (words["tolerance"], "r", 0.9),
        (words["effect_t"], "r", 0.9), (words["page.holds"], "l", 1.4),
    ]  # fmt: skip
    yield table(words, heads, [_check(check, words) for check in checks])


def _check(check: CrossCheck, words: Words) -> list[str | None]:
    unit, size = SHOWN[check.unit]
    amounts = (words.plain(Fraction(n) / size, 6) for n in (check.metered, check.witnessed))
    return [
        f"{witness(check, words)} {check.against}", ", ".join(check.devices),
        words.percent(check.compared_share), *(f"{words.number(a)} {unit}" for a in amounts),
        _percent(check.difference_percent, words), _percent(check.tolerance_percent, words),
        words.number(check.effect_t), holds(check, words),
    ]  # fmt: skip


def _unusual(subject: Claims, unusuals: Sequence[UnusualReadings], words: Words) -> Iterator[Block]:
    """Yield the findings of each quality test, with the quantities of the flagged quarter hours."""
    if not unusuals:
        yield paragraph(words["page.no_unusual"], small=True)
        return
    yield note(words["unusual_note"])
    heads = [
        (words["unusual.test"], "l", 1.6), (words["unusual.readings"], "r", 0.8),
        (words["unusual.devices"], "r", 0.7), (words["unusual.quarter_hours"], "r", 0.8),
        (words["unusual.energy"], "r", 1.0), (words["unusual.emissions"], "r", 1.0),
    ]  # fmt: skip
    yield table(words, heads, [
        [
            quality_test(unusual.test, words), words.number(unusual.readings),
            words.number(unusual.devices),
            words.number(unusual.quarter_hours),
            words.number(words.plain(Fraction(unusual.energy_wh) / 10**6, 6)),
            words.number(unusual.emissions_t),
        ]
        for unusual in unusuals
    ])  # fmt: skip
    heads = [
        (words["device"], "l", 1.0), (words["unusual.test"], "l", 1.2), (words["day"], "l", 1.4),
        (words["unusual.quarter_hours"], "r", 0.8), (words["unusual.found"], "l", 2.4),
    ]  # fmt: skip
    events = (subject.declared or Declared()).events
    rows = [
        [
            run.device, quality_test(unusual.test, words), words.period(run.from_, run.to),
            words.number(run.quarter_hours), _explained(run, events, words),
        ]
        for unusual in unusuals
        for run in unusual.days or ()
    ]  # fmt: skip
    if rows:
        yield table(words, heads, rows)


def _explained(run: UnusualDays, events: Sequence[Event], words: Words) -> str:
    """Return the result of an event that covers a device and all of its flagged days."""
    first, last = date.fromisoformat(run.from_), date.fromisoformat(run.to) - timedelta(days=1)
    result = [
        found_words(event, words)
        for event in events
        if event.covers(run.device, first, first) and event.covers(run.device, last, last)
    ]
    return "; ".join(result) or words["unusual.open"]


def _materiality(subject: Claims, opinion: Conclusion | None, words: Words) -> Iterator[Block]:
    """
    Yield misstatements by checks and by the verifier's findings, next to the materiality
    threshold.
    """
    yield note(words["materiality.note"])
    heads = [
        (words["materiality.by"], "l", 1.6), (words["materiality.net"], "r", 1.0),
        (words["materiality.absolute"], "r", 1.0), (words["materiality.share"], "r", 1.0),
        (words["materiality"], "r", 1.0), (words["material"], "l", 0.7),
    ]  # fmt: skip
    rows = []
    if subject.materiality:
        rows.append(_misstated(words["materiality.checks"], subject.materiality, words))
    if opinion is not None and opinion.misstatements:
        rows.append(_misstated(words["materiality.findings"], opinion.misstatements, words))
    yield table(words, heads, rows)


def _misstated(by: str, misstatements: Misstatements, words: Words) -> list[str | None]:
    threshold = words.in_percent(words.plain(Fraction(misstatements.threshold_percent)))
    return [
        by, words.number(misstatements.net_misstatement_t),
        words.number(misstatements.absolute_misstatement_t),
        _percent(misstatements.absolute_share_percent, words), threshold,
        words["yes" if misstatements.material else "no"],
    ]  # fmt: skip


def _percent(text: str | None, words: Words) -> str:
    return DASH if text is None else words.in_percent(text)
