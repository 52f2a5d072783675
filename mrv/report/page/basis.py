"""Inputs of the figures: meters, parameters, factors, conditions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    fixed = facts.subject.fixed_parameters or ()
    if measured := [item for item in fixed if item.monitoring_option]:
        yield chapter(words["page.parameters_measured"])
        yield from _fixed(facts, measured, words)
    yield chapter(words["page.fixed"])
    yield from _fixed(facts, [item for item in fixed if not item.monitoring_option], words)
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
    for parameter in facts.parameters:
        unit, size = SHOWN[parameter.unit]
        amounts = (
            words.plain(Fraction(n) / size, 6) for n in (parameter.metered, parameter.counted)
        )
        rows.append([
            parameter.device, f"{quantity(parameter, words)} ({role(parameter.role, words)})",
            parameter.symbol or DASH, parameter.monitoring_option, *map(words.number, amounts),
            unit, words.number(parameter.emissions_t),
            words.percent(parameter.coverage.measured_share),
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
    for parameter in facts.parameters:
        serial = parameter.meter.serial
        if not parameter.calibrations:
            rows.append([parameter.device, serial, None, words["no_certificate"], DASH, DASH, DASH])
        rows += [
            [parameter.device, serial, c.accuracy_class, certificate(c, words),
             words.day(c.performed), DASH if c.last_test else until(c, words), error(c, words)]
            for c in parameter.calibrations
        ]  # fmt: skip
    return table(words, heads, rows)


def _fixed(facts: Facts, fixed: Sequence[FixedParameter], words: Words) -> Iterator[Block]:
    if not fixed:
        yield paragraph(words["none"])
        return
    heads = [
        (words["device"], "l", 1.0), (words["parameter"], "l", 1.0),
        (words["description"], "l", 2.4),
        (words["value"], "r", 0), (words["unit"], "l", 0), (words["source"], "l", 1.8),
    ]  # fmt: skip
    yield table(words, heads, [
        [
            words["whole_project"] if item.device is None else item.device,
            item.symbol or item.parameter, meaning(item, facts.subject, words),
            _fixed_value(item, words), item.unit, source(item, facts.subject, words),
        ]
        for item in fixed
    ])  # fmt: skip


def _fixed_value(fixed: FixedParameter, words: Words) -> str:
    """Return the value of a fixed parameter; a calendar year without digit grouping."""
    return fixed.value if fixed.unit == "year" else words.number(fixed.value)


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
            f"{factor_kind(factor.kind, words.language)}: {factor.id}", words.number(factor.value),
            factor.unit, words.get(f"direction.{factor.direction}", factor.direction),
            " - ".join(words.day(d) if d else DASH for d in (factor.valid_from, factor.valid_to)),
            calculated(factor, words),
            certainty(factor, words)
            + (f", {words['provisional']}" if factor.provisional else ""),
            yes_no(factor.verified, words), yes_no(factor.accepted, words),
        ]
        for factor in facts.subject.factors
    ])  # fmt: skip


def _conditions(facts: Facts, words: Words) -> Iterator[Block]:
    conditions = facts.subject.applicability
    if not conditions:
        yield paragraph(words["none"])
        return
    heads = [(words["page.condition"], "l", 2.0), (words["page.holds"], "l", 0),
             (words["comment"], "l", 2.0)]  # fmt: skip
    yield table(
        words,
        heads,
        [
            [
                titled(condition.name, words.language),
                yes_no(condition.holds, words),
                condition.words(words.language) or DASH,
            ]
            for condition in conditions
        ],
    )
