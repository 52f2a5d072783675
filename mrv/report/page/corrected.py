"""What a correction changes of the statement that it replaces."""

from __future__ import annotations

from collections.abc import Iterator

from mrv.report.blocks import Block, chapter, pairs, table
from mrv.report.report_data import Facts
from mrv.report.translations import DASH
from mrv.report.words import Words


def corrected(facts: Facts, words: Words) -> Iterator[Block]:
    """Say what a correction changes of the statement that it replaces."""
    replaced = facts.subject.supersedes
    said = replaced and replaced.difference
    if not said:
        return
    yield chapter(words["page.correction"])
    before, now = map(words.percent, (said.coverage_before, said.coverage_now))
    factors = [f"{a} \N{RIGHTWARDS ARROW}" for a in said.factors_before]
    yield pairs(
        [
            (words["reduction"], words.number(said.reduction_t)),
            (words["page.credited_t"], words.number(said.credited_t)),
            (words["page.covered"], f"{before} \N{RIGHTWARDS ARROW} {now}"),
            (words["factors"], " ".join((*factors, *said.factors_now)) or words["none"]),
        ]
    )
    heads = [
        (words["device"], "l", 1.4),
        *(
            (f"{words[n]}, {words[f'page.{when}']}", "r", 1.0)
            for n in ("metered", "counted")
            for when in ("earlier", "now")
        ),
    ]
    rows = [
        [one.device, *(
            DASH if amount is None else words.number(amount)
            for amount in (one.metered_before, one.metered_now, one.counted_before, one.counted_now)
        )]
        for one in said.devices
    ]  # fmt: skip
    if rows:
        yield table(words, heads, rows)
