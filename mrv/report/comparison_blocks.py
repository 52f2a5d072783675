"""
What the figures were held against, as blocks: the design, other periods, witnesses, a threshold.

The same blocks go on paper and into the console, so that both say the same.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mrv.report.blocks import chapter, note, paragraph, table
from mrv.report.translations import DASH, SHOWN, holds, what, witness

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mrv.report.blocks import Block
    from mrv.report.words import Words


def designed(subject: Mapping[str, Any], words: Words) -> Iterator[Block]:
    """Hold what came against what the project design let expect of so long a period."""
    yield chapter(words["page.comparisons"])
    found = subject["comparisons"]
    if not found:
        yield paragraph(words["page.no_design"], small=True)
        return
    heads = [(words["page.what"], "l", 1.6), *_compared(words["page.expected"], words)]
    yield table(words, heads, [[what(one, words), *_comparison(one, words)] for one in found])


def held(
    subject: Mapping[str, Any], opinion: Mapping[str, Any] | None, words: Words
) -> Iterator[Block]:
    """
    List other periods, cross-checks and materiality.

    A statement from before they were made has none of them.

    Parameters
    ----------
    subject, opinion : mapping
        `credentialSubject` of the statement and, if there is one, of its verification.
    """
    if "crossChecks" in subject:
        yield chapter(words["page.other_periods"])
        yield from _periods(subject, words)
        yield chapter(words["checks"])
        yield from _cross_checks(subject, words)
        yield chapter(words["materiality.title"])
        yield from _materiality(subject, opinion, words)


def _periods(subject: Mapping[str, Any], words: Words) -> Iterator[Block]:
    found = subject["otherPeriods"]
    if not found:
        yield paragraph(words["page.no_other_periods"], small=True)
        return
    heads = [(words["statement"], "l", 2.0), (words["page.what"], "l", 1.2),
             *_compared(words["page.pro_rata"], words)]  # fmt: skip
    yield table(words, heads, [
        [one["statement"], what(one, words), *_comparison(one, words)] for one in found
    ])  # fmt: skip


def _compared(other: str, words: Words) -> list[tuple[str, str, float]]:
    return [(other, "r", 1.0), (words["page.actual"], "r", 1.0), (words["difference"], "r", 0.8)]


def _comparison(one: Mapping[str, Any], words: Words) -> list[str | None]:
    amounts = [words.number(one[n]) for n in ("expected", "actual")]
    return [*amounts, _percent(one["difference_percent"], words)]


def _cross_checks(subject: Mapping[str, Any], words: Words) -> Iterator[Block]:
    found = subject["crossChecks"]
    if not found:
        yield paragraph(words["page.no_checks"], small=True)
        return
    yield note(words["checks_note"])
    heads = [
        (words["witness"], "l", 1.3), (words["device"], "l", 1.2), (words["compared"], "r", 0),
        (words["metered"], "r", 1.0), (words["witnessed"], "r", 1.0),
        (words["difference"], "r", 0.9), (words["tolerance"], "r", 0.9),
        (words["effect_t"], "r", 0.9), (words["page.holds"], "l", 1.4),
    ]  # fmt: skip
    yield table(words, heads, [_check(one, words) for one in found])


def _check(one: Mapping[str, Any], words: Words) -> list[str | None]:
    unit, size = SHOWN[one["unit"]]
    amounts = (words.plain(Fraction(one[n]) / size, 6) for n in ("metered", "witnessed"))
    return [
        f"{witness(one, words)} {one['against']}", ", ".join(one["devices"]),
        words.percent(one["comparedShare"]), *(f"{words.number(a)} {unit}" for a in amounts),
        _percent(one["difference_percent"], words), _percent(one["tolerance_percent"], words),
        words.number(one["effect_t"]), holds(one, words),
    ]  # fmt: skip


def _materiality(
    subject: Mapping[str, Any], opinion: Mapping[str, Any] | None, words: Words
) -> Iterator[Block]:
    """Set what is doubted beside what is material: by the checks, by the verifier's findings."""
    yield note(words["materiality.note"])
    heads = [
        (words["materiality.by"], "l", 1.6), (words["materiality.net"], "r", 1.0),
        (words["materiality.absolute"], "r", 1.0), (words["materiality.share"], "r", 1.0),
        (words["materiality"], "r", 1.0), (words["material"], "l", 0.7),
    ]  # fmt: skip
    rows = [_misstated(words["materiality.checks"], subject["materiality"], words)]
    if opinion is not None and "misstatements" in opinion:
        rows.append(_misstated(words["materiality.findings"], opinion["misstatements"], words))
    yield table(words, heads, rows)


def _misstated(by: str, said: Mapping[str, Any], words: Words) -> list[str | None]:
    threshold = words.number(words.plain(Fraction(said["threshold_percent"])))
    return [
        by, *(words.number(said[f"{n}Misstatement_t"]) for n in ("net", "absolute")),
        _percent(said["absoluteShare_percent"], words), f"{threshold} %",
        words["yes" if said["material"] else "no"],
    ]  # fmt: skip


def _percent(text: str | None, words: Words) -> str:
    return DASH if text is None else f"{words.number(text)} %"
