"""The sheet of the audit file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    verifier_rows,
)
from mrv.report.report_data import Facts
from mrv.report.sheets.grid import FIRST, Grid
from mrv.report.words import Words


def audit_file(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write meters, quality, deviations, arrival, signatures, verifier and status address."""
    sheet.title(words["page.audit_file"], words["audit_file_note"])
    meters = ("device", "maker_model", "serial", "ratings", "uncertainty")
    quality = ("plan_version", "parameter", "frequency_head", "qa_qc", "responsible")
    at = _table(sheet, FIRST, words, "page.meters_rated", meters, meter_rows(facts, words))
    at = _pairs(sheet, at, words, None, uncertainty_rows(facts, words))
    points = ("device", "monitoring_point", "feeds")
    at = _table(sheet, at, words, "page.line_diagram", points, point_rows(facts))
    at = _table(sheet, at, words, "page.quality", quality, quality_rows(facts, words))
    at = _pairs(sheet, at, words, None, procedure_rows(facts, words))
    at = _pairs(sheet, at, words, "page.deviations", deviation_rows(facts, words))
    at = _pairs(sheet, at, words, "page.arrival", arrival_rows(facts, words))
    at = _pairs(sheet, at, words, "page.signed", signed_rows(facts, words))
    at = _pairs(sheet, at, words, "verification", verifier_rows(facts, words))
    _pairs(sheet, at, words, "page.status", [(words["status_url"], status_url(facts))])


def _table(
    sheet: Grid,
    at: int,
    words: Words,
    title: str,
    names: Sequence[str],
    rows: Iterable[Sequence[str | None]],
) -> int:
    sheet.text(at, 0, words[title], "part")
    sheet.head(at + 1, [words[name] for name in names])
    free = at + 2
    for row in rows:
        for column, value in enumerate(row):
            sheet.text(free, column, words["not_stated"] if value is None else value)
        free += 1
    return free + 1


def _pairs(
    sheet: Grid, at: int, words: Words, title: str | None, rows: Iterable[tuple[str, str | None]]
) -> int:
    if title is not None:
        sheet.text(at, 0, words[title], "part")
        at += 1
    for name, value in rows:
        sheet.text(at, 0, name, "head")
        sheet.text(at, 1, words["not_stated"] if value is None else value)
        at += 1
    return at + 1
