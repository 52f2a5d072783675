"""
The report as pages: PDF/A with charts, embedded fonts and selectable text.

Python supplies the content as blocks of data; `page.typ` defines the layout.  Typst renders it
without system fonts or clock, so that the result is byte-identical on every machine.  This file
composes the PDF, with its chapters on gaps, deductions, generation and corrections.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from fractions import Fraction
from importlib import resources
from itertools import chain
from typing import Any, Final

import typst

from mrv.accounting.rounded_figures import expected_of
from mrv.calendar import days, instant_us, local_text
from mrv.documents.period_account import Deduction, Gap
from mrv.errors import ReportError
from mrv.program import named
from mrv.report.audit_rows import first_proof, state
from mrv.report.blocks import (
    MOST_ROWS,
    Block,
    banner,
    chapter,
    legible,
    note,
    pairs,
    paragraph,
    printable,
    steps,
    table,
    unit_for,
)
from mrv.report.page.basis import MOST_DAYS, Span, basis, by_day, by_month, calendar, quantities
from mrv.report.page.certificate import account, certificate, summary
from mrv.report.page.verified import audit_file, checked, evidence, status, verified
from mrv.report.report_data import Facts
from mrv.report.words import DASH, SHOWN, Words, kind, punctuated, quantity, reason, role, rule
from mrv.signatures import canonical


def corrected(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield the changes of a correction against the statement that it replaces."""
    replaced = facts.subject.supersedes
    difference = replaced and replaced.difference
    if not difference:
        return
    yield chapter(words["page.correction"])
    before, now = map(words.percent, (difference.coverage_before, difference.coverage_now))
    factors = [f"{a} \N{RIGHTWARDS ARROW}" for a in difference.factors_before]
    yield pairs(
        [
            (words["reduction"], words.number(difference.reduction_t)),
            (words["page.credited_t"], words.number(difference.credited_t)),
            (words["page.covered"], f"{before} \N{RIGHTWARDS ARROW} {now}"),
            (words["factors"], " ".join((*factors, *difference.factors_now)) or words["none"]),
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
        [device.device, *(
            DASH if amount is None else words.number(amount)
            for amount in (device.metered_before, device.metered_now, device.counted_before,
                           device.counted_now)
        )]
        for device in difference.devices
    ]  # fmt: skip
    if rows:
        yield table(words, heads, rows)


# maximum number of labels without overlap
_DAY_LABELS, _MONTH_LABELS = 10, 14


def generation(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield charts of each monitored quantity over the period."""
    yield chapter(words["page.generation"])
    for places in quantities(facts).values():
        chosen = set(places)
        mine = [day for day in facts.days if day.parameter in chosen]
        if not mine:
            continue
        daily = len({day.day for day in mine}) <= MOST_DAYS
        yield _bars(facts, words, places[0], (by_day if daily else by_month)(mine), daily=daily)


def _expected_wh(facts: Facts, place: int, spans: Sequence[Span]) -> list[Fraction | None]:
    """Return the energy expected by the design in each span; None where not stated. [Wh]"""
    energies = {(p.parameter, p.role) for p in facts.compared}
    parameter = facts.parameters[place]
    if energies != {(parameter.parameter, parameter.role)}:
        return [None for _ in spans]
    of_day = _of_days(facts)
    result = ([of_day[day] for day in span.days] for span in spans)
    return [
        None if None in every else 1000 * sum(filter(None, every), Fraction(0)) for every in result
    ]


def _bars(facts: Facts, words: Words, place: int, spans: Sequence[Span], *, daily: bool) -> Block:
    parameter = facts.parameters[place]
    expected = _expected_wh(facts, place, spans)
    known = any(energy is not None for energy in expected)
    maximum = max([Fraction(1), *(Fraction(s.value or 0) for s in spans), *filter(None, expected)])
    unit, size = unit_for(parameter.unit, maximum, words.number)
    top, ticks = _ticks(maximum / size, words)
    every = -(-len(spans) // (_DAY_LABELS if daily else _MONTH_LABELS))
    shape = "page.by_day" if daily else "page.by_month"
    name = f"{quantity(parameter, words)} ({role(parameter.role, words)})"
    caption = f"{name}, {words[shape]}"
    if not known:
        caption = words.filled("page.caption", caption, words["page.no_expected"])
    return {
        "kind": "bars",
        "supplement": words["page.figure"],
        "caption": caption,
        "alt": _described(name, spans, unit, size, words),
        "unit": unit,
        "ticks": ticks,
        "bars": [
            {
                "label": words.mark(span.name) if i % every == 0 else "",
                "value": None if span.value is None else float(Fraction(span.value, size) / top),
                "part": span.lost_us > 0,
                "expected": None if wanted is None else float(wanted / size / top),
            }
            for i, (span, wanted) in enumerate(zip(spans, expected, strict=True))
        ],
        "legend": [
            ["whole", words["page.measured"]],
            ["part", words["page.incomplete"]],
            ["none", words["page.no_data"]],
            *(
                []
                if not known
                else [
                    [
                        "line",
                        words["page.expected_months" if facts.by_months else "page.expected_line"],
                    ]
                ]
            ),
        ],
    }


def _of_days(facts: Facts) -> dict[date, Fraction | None]:
    """Return the energy expected by the design on each day, for all devices. [kWh]"""
    first, last = facts.span_us
    expected, zone = facts.plan.project.expected, facts.timezone
    return {
        day: expected_of(expected, "energy_kwh_per_year", (max(begin, first), min(end, last), zone))
        for day, begin, end in days(*facts.span_us, zone)
    }


def _ticks(maximum: Fraction, words: Words) -> tuple[Fraction, list[dict[str, Any]]]:
    """Return the highest value of an axis and its marks, for the largest bar."""
    result = steps(Fraction(0), maximum)
    top = result[-1]
    return top, [
        {"at": float(step / top), "text": words.number(words.plain(step))} for step in result
    ]


def _described(name: str, spans: Sequence[Span], unit: str, size: int, words: Words) -> str:
    known = "; ".join(
        f"{s.name}: {words['page.no_data']}"
        if s.value is None
        else f"{s.name}: {words.number(words.plain(Fraction(s.value, size), 3))} {unit}"
        for s in spans
    )
    return f"{name}. {known}"


_CLOCK = slice(len("2026-01-01T"), len("2026-01-01T00:00"))


def gaps(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield the gaps; only the longest if not all fit."""
    yield chapter(words["gaps"])
    result = facts.subject.gaps
    if not result:
        yield paragraph(words["page.no_gaps"])
        return
    yield note(words["page.gap_note"])
    listed = list(result)
    if len(listed) > MOST_ROWS:
        listed.sort(key=lambda gap: Fraction(gap.time_s), reverse=True)
        listed[:MOST_ROWS] = sorted(listed[:MOST_ROWS], key=lambda gap: gap.from_)
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
            gap.device, *_edges(facts, gap, words), kind(gap, words),
            _hours(gap, words), rule(gap, words),
            words.number(gap.cost_t),
            DASH if gap.forgone_at_most_t is None else words.number(gap.forgone_at_most_t),
        ]
        for gap in listed
    ], "page.more")  # fmt: skip


def _hours(gap: Gap, words: Words) -> str:
    hours = Fraction(gap.time_s) / 3600
    return words.number(words.plain(hours, 2 if hours >= 1 else 4))


def deductions(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield deductions and their reasons."""
    yield chapter(words["deductions"])
    result = facts.subject.deductions
    if not result:
        yield paragraph(words["page.no_deductions"])
        return
    yield note(words["deductions_note"])
    of = {parameter.device: parameter for parameter in facts.parameters}
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
    for deduction in result:
        unit, size = SHOWN[of[deduction.device].unit]
        amount = words.number(words.plain(deduction.adjusts(of[deduction.device].side) / size, 6))
        rows.append(
            [
                deduction.device,
                *_edges(facts, deduction, words),
                reason(deduction, words),
                words.number(words.plain(Fraction(deduction.percent), 6)),
                f"{amount} {unit}",
                words.number(deduction.cost_t),
            ]
        )
    yield table(words, heads, rows)


def _edges(facts: Facts, entry: Gap | Deduction, words: Words) -> list[str]:
    texts = (
        local_text(instant_us(edge, "UTC"), facts.timezone) for edge in (entry.from_, entry.to)
    )
    return [f"{words.day(text)} {text[_CLOCK]}" for text in texts]


# PDF/A-3a: attachments are permitted, every letter has its Unicode, and the parts are tagged
STANDARD: Final = "a-3a"
_PARTS = (
    certificate, summary, corrected, account, generation, calendar, gaps, deductions, checked,
    basis, audit_file, verified, evidence, status,
)  # fmt: skip
_HEADER = 70


def page(facts: Facts, words: Words) -> bytes:
    """
    Return the report as a PDF, byte-identical for the same data.

    Raises ReportError, with the message of the typesetter, if typesetting fails.
    """
    blocks = _of_all_parts(facts, words)
    return typeset(_head(facts, words), blocks, _attached(facts, words), _when(facts), words)


def typeset(
    head: dict[str, Any],
    blocks: list[Block],
    attached: list[dict[str, str]],
    when: datetime,
    words: Words,
) -> bytes:
    """
    Return blocks as a PDF, byte-identical for the same data.

    `head`: `title`, `description` and, for the head of each page, `id`, `state`, `project`, `made`.
    `attached`: attachments: `name`, `text`, `mime`, `about`.
    Raises ReportError as `page` does.
    """
    content = {**_document_data(head, blocks, when, words), "attached": attached}
    with _set(content) as parameters:
        result: bytes = typst.compile(**parameters, pdf_standards=STANDARD, timestamp=when)
    return result


def chapters(facts: Facts, words: Words) -> dict[str, int]:
    """Return the page number of each chapter, by heading."""
    blocks = _of_all_parts(facts, words)
    content = _document_data(_head(facts, words), blocks, _when(facts), words)
    with _set({**content, "attached": _attached(facts, words)}) as parameters:
        chapters_ = typst.query(**parameters, selector="<chapters>", field="value", one=True)
    result: dict[str, int] = {}
    for heading, number in json.loads(chapters_):
        result.setdefault(heading, number)
    return result


@contextmanager
def _set(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """
    Yield the typesetter's parameters, with input files in a temporary folder.

    Raises ReportError, with the message of the typesetter, if it fails.
    """
    with resources.as_file(resources.files("mrv.report")) as here:
        try:
            yield {
                "input": str(here / "page" / "page.typ"),
                "font_paths": [str(here / "fonts")],
                "ignore_system_fonts": True,
                "sys_inputs": {"said": json.dumps(content, ensure_ascii=False)},
            }
        except typst.TypstError as error:
            raise ReportError(
                f"the page of {content['id']} cannot be laid out: {error.diagnostic}; report "
                "this to the developers with the data"
            ) from error


def _of_all_parts(facts: Facts, words: Words) -> list[Block]:
    of_parts = chain.from_iterable(part(facts, words) for part in _PARTS)
    return [*_public(facts, words), *of_parts]


def _head(facts: Facts, words: Words) -> dict[str, Any]:
    name = facts.project(words.language)
    return {
        "title": words["page.title_statement" if facts.opinion is None else "page.title"],
        "description": f"{facts.name}, {name}",
        "id": facts.name,
        "project": legible(name, _HEADER),
        "state": state(facts, words).partition(":")[0].partition("\N{FULLWIDTH COLON}")[0],
        "made": f"{words['code_version']} {named(facts.subject.code_version)}",
    }


def _document_data(
    head: dict[str, Any], blocks: list[Block], when: datetime, words: Words
) -> dict[str, Any]:
    values: dict[str, Any] = _printable(
        {
            **head,
            "lang": words.language.partition("-")[0],
            "date": [when.year, when.month, when.day],
            "page": words["page.page"],
            "of": words["page.of"],
            "not_stated": words["not_stated"],
            "blocks": blocks,
        },
        words.language,
    )
    return values


def _public(facts: Facts, words: Words) -> Iterator[Block]:
    if facts.hidden is not None:
        hidden, original = facts.hidden
        yield banner(words["public.text"].format(hidden=hidden, original=original), "warn")


def _printable(value: Any, language: str) -> Any:
    """Return a value with only characters of the fonts, and punctuation of the language."""
    if isinstance(value, str):
        return punctuated(printable(value), language)
    if isinstance(value, dict):
        return {key: _printable(item, language) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item, language) for item in value]
    return value


def _attached(facts: Facts, words: Words) -> list[dict[str, str]]:
    """Return the signed documents as attachments of the PDF, byte for byte."""
    if facts.twin is not None:
        twin = canonical.encode(facts.twin).decode()
        about = words["public.title"]
        return [{"name": "public.json", "text": twin, "mime": "application/vc", "about": about}]
    documents = (("statement", facts.statement), ("verification", facts.verification))
    return [
        {
            "name": f"{name}.json",
            "text": canonical.encode(item).decode(),
            "mime": "application/vc",
            "about": words[name],
        }
        for name, item in documents
        if item is not None
    ]


def _when(facts: Facts) -> datetime:
    """Return the time of the last signature; for a draft the end of its period."""
    signed = facts.opinion or facts.stated
    proof = first_proof(signed.proof)
    message = proof.created if proof else signed.valid_from
    return datetime.fromtimestamp(instant_us(message, "UTC") / 1e6, UTC)


__all__ = ["page"]
