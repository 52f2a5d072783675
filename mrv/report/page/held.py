"""What the meters were held against: check meters, invoices, other periods, the one replaced."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mrv.report.page.blocks import chapter, pairs, paragraph, table
from mrv.report.phrases import DASH, SHOWN, holds, what, witness

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mrv.report.facts import Facts
    from mrv.report.page.blocks import Block
    from mrv.report.words import Words


def held(facts: Facts, words: Words) -> Iterator[Block]:
    """List cross-checks and other periods; a statement from before they were made has none."""
    subject = facts.subject
    if "crossChecks" in subject:
        yield chapter(words["checks"])
        yield from _cross_checks(facts, words)
    if subject.get("otherPeriods"):
        yield chapter(words["page.other_periods"])
        yield _periods(facts, words)


def _cross_checks(facts: Facts, words: Words) -> Iterator[Block]:
    found = facts.subject["crossChecks"]
    if not found:
        yield paragraph(words["page.no_checks"])
        return
    yield paragraph(words["checks_note"], small=True)
    heads = [
        (words["witness"], "l", 1.3), (words["device"], "l", 1.2), (words["compared"], "r", 0),
        (words["metered"], "r", 1.0), (words["witnessed"], "r", 1.0),
        (words["difference"], "r", 0.9), (words["tolerance"], "r", 0.9),
        (words["effect_t"], "r", 0.9), (words["page.holds"], "l", 1.4),
    ]  # fmt: skip
    yield table(words, heads, [_check(one, words) for one in found])
    yield pairs(indicated_rows(facts, words))


def _check(one: Mapping[str, Any], words: Words) -> list[str | None]:
    unit, size = SHOWN[one["unit"]]
    amounts = (words.plain(Fraction(one[n]) / size, 6) for n in ("metered", "witnessed"))
    return [
        f"{witness(one, words)} {one['against']}", ", ".join(one["devices"]),
        words.percent(one["comparedShare"]), *(f"{words.number(a)} {unit}" for a in amounts),
        _percent(one["difference_percent"], words), _percent(one["tolerance_percent"], words),
        words.number(one["effect_t"]), holds(one, words),
    ]  # fmt: skip


def indicated_rows(facts: Facts, words: Words) -> list[tuple[str, str | None]]:
    """What checks that do not hold come to, beside what is material."""
    said = facts.subject["materiality"]
    return [
        (words["page.indicated"], words.filled(
            "page.indicated_text", words.number(said["netMisstatement_t"]),
            words.number(said["absoluteMisstatement_t"]),
            words.number(words.plain(Fraction(said["threshold_percent"]))),
        )),
        (words["material"], words["yes" if said["material"] else "no"]),
    ]  # fmt: skip


def _periods(facts: Facts, words: Words) -> Block:
    heads = [
        (words["statement"], "l", 2.0), (words["page.what"], "l", 1.2),
        (words["page.pro_rata"], "r", 1.0), (words["page.actual"], "r", 1.0),
        (words["difference"], "r", 0.8),
    ]  # fmt: skip
    return table(words, heads, [
        [one["statement"], what(one, words), words.number(one["expected"]),
         words.number(one["actual"]), _percent(one["difference_percent"], words)]
        for one in facts.subject["otherPeriods"]
    ])  # fmt: skip


def corrected(facts: Facts, words: Words) -> Iterator[Block]:
    """Say what a correction changes of the statement that it replaces."""
    said = (facts.subject["supersedes"] or {}).get("difference")
    if said is None:
        return
    yield chapter(words["page.correction"])
    before, now = (words.percent(said[f"coverage{n}"]) for n in ("Before", "Now"))
    factors = [f"{a} \N{RIGHTWARDS ARROW}" for a in said["factorsBefore"]] + said["factorsNow"]
    yield pairs([
        (words["reduction"], words.number(said["reduction_t"])),
        (words["page.credited_t"], words.number(said["credited_t"])),
        (words["page.covered"], f"{before} \N{RIGHTWARDS ARROW} {now}"),
        (words["factors"], " ".join(factors) or words["none"]),
    ])  # fmt: skip
    heads = [(words["device"], "l", 1.4), *(
        (f"{words[n]}, {words[f'page.{when}']}", "r", 1.0)
        for n in ("metered", "counted") for when in ("earlier", "now")
    )]  # fmt: skip
    rows = [
        [one["device"], *(
            DASH if one[f"{n}{when}"] is None else words.number(one[f"{n}{when}"])
            for n in ("metered", "counted") for when in ("Before", "Now")
        )]
        for one in said["devices"]
    ]  # fmt: skip
    if rows:
        yield table(words, heads, rows)


def _percent(text: str | None, words: Words) -> str:
    return DASH if text is None else f"{words.number(text)} %"
