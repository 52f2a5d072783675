"""Device-days examined by the verifier, as blocks; see `mrv.statement.sampling`."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mrv.documents.sampling_list import SampledDay, SamplingList
from mrv.report.blocks import Block, chapter, note, pairs, paragraph, table
from mrv.report.translations import DASH, SHOWN
from mrv.report.words import Words


def sampled(document: SamplingList | None, words: Words) -> Iterator[Block]:
    """
    Return how the sample was drawn, and its device-days.

    Parameters
    ----------
    document : SamplingList or None
        The signed list; None where none was drawn.
    """
    yield chapter(words["sampling"])
    if document is None:
        yield paragraph(words["page.no_sample"], small=True)
        return
    yield note(words["sampling_note"])
    yield pairs(drawn_rows(document, words))
    heads = [
        (words["day"], "l", 0),
        (words["device"], "l", 1.3),
        (words["role"], "l", 0.9),
        (words["drawn"], "l", 0.8),
        (words["metered"], "r", 1.0),
        (words["weight"], "r", 0),
        (words["risk"], "l", 2.0),
    ]
    rows: list[list[str | None]] = []
    for item in document.credential_subject.items:
        unit, size = SHOWN[item.unit]
        amount = words.number(words.plain(Fraction(item.metered) / size, 6))
        rows.append([
            item.day, item.device, words.get(f"role.{item.role}", item.role),
            drawn(item, words), f"{amount} {unit}", item.weight, risks(item, words) or DASH,
        ])  # fmt: skip
    yield table(words, heads, rows)


def drawn_rows(document: SamplingList, words: Words) -> list[tuple[str, str | None]]:
    """Return who drew the sample, numbers, time and seed."""
    said = document.credential_subject
    return [
        (words["sampling.population"], words.number(said.population)),
        (words["sampling.random"], words.number(said.random)),
        (words["sampling.by_risk"], words.number(said.by_risk)),
        (words["sampling.by"], document.issuer.name),
        (words["sampling.at"], document.valid_from),
        (words["sampling.seed"], said.seed),
    ]


def drawn(sampled_day: SampledDay, words: Words) -> str:
    """Return how a device-day was selected."""
    return words.get(f"drawn.{sampled_day.drawn.replace(' ', '_')}", sampled_day.drawn)


def risks(sampled_day: SampledDay, words: Words) -> str:
    """Return why a device-day has a higher weight; empty without a reason."""
    return "; ".join(words.get(f"risk.{why.replace(' ', '_')}", why) for why in sampled_day.reasons)
