"""
What of a statement's inputs has a date from which it counts: ratings, samples, design, factors.

The same rows go on paper, into the workbook and into the console.
"""

from __future__ import annotations

from collections.abc import Iterator

from mrv.documents.statement import Claims
from mrv.report.blocks import Block, chapter, note, table
from mrv.report.translations import DASH
from mrv.report.words import Words

# of the columns: whose it is, what, from, value, unit, source
HEADS = ("device", "parameter", "from", "value", "unit", "source")
_SHARES = (("l", 1.2), ("l", 1.6), ("l", 1.2), ("r", 0), ("l", 0), ("l", 1.8))


def dated(subject: Claims, words: Words) -> Iterator[Block]:
    """Write the dated values as a table under its head; nothing where there is none."""
    rows = list(dated_rows(subject, words))
    if rows:
        yield chapter(words["dated"])
        yield note(words["dated_note"])
        heads = [
            (words[name], align, share) for name, (align, share) in zip(HEADS, _SHARES, strict=True)
        ]
        shown = [[*row[:3], words.number(row[3]), *row[4:]] for row in rows]
        yield table(words, heads, shown)


def _designed(subject: Claims, words: Words) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield what documents state of parameters; a dash where the registry does not say it."""
    for paper in subject.design_documents or ():
        for fixed in subject.fixed_parameters or ():
            if fixed.parameter == paper.parameter:
                yield (
                    fixed.device or words["whole_project"],
                    words.filled("dated.design", paper.parameter, paper.by or DASH),
                    paper.issued or DASH,
                    (paper.by_device or {}).get(fixed.device or "", paper.value or DASH),
                    fixed.unit,
                    paper.document,
                )


def dated_rows(subject: Claims, words: Words) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Return the dated values in order of meters, parameters and factors."""
    told = set()
    for one in subject.monitored_parameters:
        if one.device in told:
            continue
        told.add(one.device)
        for rated in one.meter.ratings or ():
            yield (
                one.device,
                words["dated.rating"],
                rated.from_,
                rated.rated_power_w,
                "W",
                words["dated.registry"],
            )
    units = {one.parameter: one.unit for one in subject.fixed_parameters or ()}
    for sample in subject.laboratory or ():
        yield (
            words["whole_project"],
            words.filled("dated.sample", sample.parameter, sample.sample),
            sample.taken,
            sample.value,
            units.get(sample.parameter, DASH),
            f"{sample.laboratory}, {sample.method}",
        )
    yield from _designed(subject, words)
    for accepted in subject.accepted_factors or ():
        yield (
            words["whole_project"],
            words.filled("dated.accepted", accepted.factor, accepted.by),
            accepted.date,
            accepted.value,
            accepted.unit,
            accepted.document,
        )
    for factor in subject.factors:
        if factor.valid_from is not None:
            yield (
                words["whole_project"],
                words.filled("dated.factor", factor.id),
                factor.valid_from,
                factor.value,
                factor.unit,
                factor.source,
            )
