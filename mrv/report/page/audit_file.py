"""The audit file: meters, data flow, quality, deviations."""

from __future__ import annotations

from collections.abc import Iterator

import segno

from mrv.report.audit_rows import (
    arrival_rows,
    deviation_rows,
    meter_rows,
    point_rows,
    procedure_rows,
    quality_rows,
    signed_rows,
    status_url,
    uncertainty_rows,
)
from mrv.report.blocks import Block, chapter, pairs, paragraph, part, table
from mrv.report.report_data import Facts
from mrv.report.words import Words
from mrv.statement.diagram import diagram
from mrv.statement.line_diagram import line_diagram


def audit_file(facts: Facts, words: Words) -> Iterator[Block]:
    """Return the audit file: data flow and responsibilities."""
    yield part(words["page.audit_file"])
    yield chapter(words["page.data_flow"])
    yield {
        "kind": "drawing",
        "svg": diagram(facts.plan, words.language, words.all),
        "alt": words["page.data_flow"],
    }
    yield chapter(words["page.line_diagram"])
    drawn = line_diagram(facts.plan, words.language)
    if drawn is None:
        yield paragraph(words["page.no_line_diagram"], small=True)
    else:
        yield {"kind": "drawing", "svg": drawn, "alt": words["page.line_diagram"]}
        heads = [
            (words["device"], "l", 1.0), (words["monitoring_point"], "l", 2.0),
            (words["feeds"], "l", 2.0),
        ]  # fmt: skip
        yield table(words, heads, point_rows(facts))
    yield chapter(words["page.meters_rated"])
    heads = [
        (words["device"], "l", 1.0), (words["maker_model"], "l", 1.2), (words["serial"], "l", 0.8),
        (words["ratings"], "l", 1.4), (words["uncertainty"], "r", 0.8),
    ]  # fmt: skip
    yield table(words, heads, list(meter_rows(facts, words)))
    yield pairs(uncertainty_rows(facts, words))
    yield chapter(words["page.quality"])
    yield pairs(procedure_rows(facts, words))
    rows = list(quality_rows(facts, words))
    if rows:
        names = ("plan_version", "parameter", "frequency_head", "qa_qc", "responsible")
        widths = (0.0, 1.2, 0.8, 1.8, 1.0)
        heads = [(words[name], "l", wide) for name, wide in zip(names, widths, strict=True)]
        yield table(words, heads, rows)
    yield chapter(words["page.deviations"])
    yield pairs(deviation_rows(facts, words))
    yield chapter(words["page.arrival"])
    yield pairs(arrival_rows(facts, words))
    yield chapter(words["page.signed"])
    yield pairs(signed_rows(facts, words))


def status(facts: Facts, words: Words) -> Iterator[Block]:
    """Return the address of the statement's status, as text and QR code."""
    yield chapter(words["page.status"])
    url = status_url(facts)
    if url is not None:
        # straight after the heading, which never parts from what follows it
        lines = segno.make(url, error="m", micro=False).matrix
        dots = ["".join(str(int(dot)) for dot in line) for line in lines]
        yield {"kind": "code_of_dots", "lines": dots, "alt": url}
    yield pairs([(words["status_url"], url)])
