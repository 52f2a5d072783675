"""Inputs of the figures: meters, parameters, factors, conditions."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mrv.documents.period_account import FixedParameter
from mrv.report.blocks import Block, chapter, paragraph, part, table
from mrv.report.dated_values import dated
from mrv.report.report_data import Facts
from mrv.report.translations import (
    DASH,
    SHOWN,
    calculated,
    certainty,
    certificate,
    error,
    factor_kind,
    meaning,
    quantity,
    role,
    source,
    until,
    yes_no,
)
from mrv.report.words import Words
from mrv.rules import titled


def basis(facts: Facts, words: Words) -> Iterator[Block]:
    """Return the inputs of the figures."""
    yield part(words["page.monitored"])
    yield _monitored(facts, words)
    yield chapter(words["page.meters"])
    yield _meters(facts, words)
    yield chapter(words["page.fixed"])
    yield from _fixed(facts, words)
    yield from dated(facts.subject, words)
    yield chapter(words["factors"])
    yield _factors(facts, words)
    yield chapter(words["page.conditions"])
    yield from _conditions(facts, words)


def _monitored(facts: Facts, words: Words) -> Block:
    heads = [
        (words["device"], "l", 1.2), (words["quantity"], "l", 1.6), (words["symbol"], "l", 0),
        (words["option_short"], "c", 0), (words["metered"], "r", 1.0),
        (words["counted"], "r", 1.0), (words["unit"], "l", 0), (words["emissions_t"], "r", 1.0),
        (words["measured_share"], "r", 0.8),
    ]  # fmt: skip
    rows = []
    for one in facts.parameters:
        unit, size = SHOWN[one.unit]
        amounts = (words.plain(Fraction(n) / size, 6) for n in (one.metered, one.counted))
        rows.append([
            one.device, f"{quantity(one, words)} ({role(one.role, words)})", one.symbol or DASH,
            one.monitoring_option, *map(words.number, amounts), unit,
            words.number(one.emissions_t), words.percent(one.coverage.measured_share),
        ])  # fmt: skip
    return table(words, heads, rows)


def _meters(facts: Facts, words: Words) -> Block:
    heads = [
        (words["device"], "l", 1.2), (words["serial"], "l", 1.0),
        (words["accuracy_class"], "l", 0.8), (words["certificate"], "l", 1.4),
        (words["performed"], "l", 0), (words["valid_until"], "l", 0),
        (words["max_error"], "r", 0.8),
    ]  # fmt: skip
    rows: list[list[str | None]] = []
    for one in facts.parameters:
        serial = one.meter.serial
        if not one.calibrations:
            rows.append([one.device, serial, None, words["no_certificate"], DASH, DASH, DASH])
        rows += [
            [one.device, serial, c.accuracy_class, certificate(c, words), words.day(c.performed),
             DASH if c.last_test else until(c, words), error(c, words)]
            for c in one.calibrations
        ]  # fmt: skip
    return table(words, heads, rows)


def _fixed(facts: Facts, words: Words) -> Iterator[Block]:
    found = facts.subject.fixed_parameters or ()
    if not found:
        yield paragraph(words["none"])
        return
    heads = [
        (words["device"], "l", 1.0), (words["parameter"], "l", 1.0),
        (words["description"], "l", 2.4),
        (words["value"], "r", 0), (words["unit"], "l", 0), (words["source"], "l", 1.8),
    ]  # fmt: skip
    yield table(words, heads, [
        [
            words["whole_project"] if one.device is None else one.device,
            one.symbol or one.parameter, meaning(one, facts.subject, words),
            _fixed_value(one, words), one.unit, source(one, facts.subject, words),
        ]
        for one in found
    ])  # fmt: skip


def _fixed_value(one: FixedParameter, words: Words) -> str:
    """A calendar year is no amount: nothing stands between its digits."""
    return one.value if one.unit == "year" else words.number(one.value)


def _factors(facts: Facts, words: Words) -> Block:
    if not facts.subject.factors:
        return paragraph(words["none"])
    heads = [
        (words["factor"], "l", 1.6), (words["value"], "r", 0), (words["unit"], "l", 0),
        (words["direction"], "l", 0), (words["page.valid"], "l", 1.2), (words["source"], "l", 2.0),
        (words["certainty"], "l", 1.2),
        (words["verified"], "l", 0.9), (words["accepted"], "l", 0.9),
    ]  # fmt: skip
    return table(words, heads, [
        [
            f"{factor_kind(one.kind, words.language)}: {one.id}", words.number(one.value), one.unit,
            words.get(f"direction.{one.direction}", one.direction),
            " - ".join(words.day(day) if day else DASH for day in (one.valid_from, one.valid_to)),
            calculated(one, words),
            certainty(one, words)
            + (f", {words['provisional']}" if one.provisional else ""),
            yes_no(one.verified, words), yes_no(one.accepted, words),
        ]
        for one in facts.subject.factors
    ])  # fmt: skip


def _conditions(facts: Facts, words: Words) -> Iterator[Block]:
    found = facts.subject.applicability
    if not found:
        yield paragraph(words["none"])
        return
    heads = [(words["page.condition"], "l", 2.0), (words["page.holds"], "l", 0),
             (words["comment"], "l", 2.0)]  # fmt: skip
    yield table(
        words,
        heads,
        [
            [
                titled(one.name, words.language),
                yes_no(one.holds, words),
                one.words(words.language) or DASH,
            ]
            for one in found
        ],
    )
