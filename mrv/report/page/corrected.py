"""What a correction changes of the statement that it replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrv.report.blocks import chapter, pairs, table
from mrv.report.translations import DASH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrv.report.blocks import Block
    from mrv.report.report_data import Facts
    from mrv.report.words import Words


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
