"""The sheet of the verifier's sample: a list to work through, with room for what was found."""

from __future__ import annotations

from mrv.report.report_data import Facts
from mrv.report.sampling_block import drawn, drawn_rows, risks
from mrv.report.sheets.grid import FIRST, Grid
from mrv.report.translations import DASH
from mrv.report.words import Words

_NAMES = ("day", "device", "role", "drawn", "weight", "risk", "metered", "unit", "looked_at")


def sample(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write how the list was drawn, and each device-day of it."""
    sheet.title(words["sampling"], words["sampling_note"])
    document = facts.sample
    if document is None:
        sheet.text(FIRST, 0, words["page.no_sample"], "said")
        return
    head = FIRST
    for head, (name, value) in enumerate(drawn_rows(document, words), FIRST - 1):
        sheet.text(head, 0, name, "head")
        sheet.text(head, 1, value)
    sheet.head(head + 2, [words[name] for name in _NAMES])
    for row, one in enumerate(document.credential_subject.items, head + 3):
        sheet.row(row, [
            (one.day, "text"), (one.device, "text"),
            (words.get(f"role.{one.role}", one.role), "text"),
            (drawn(one, words), "text"), (one.weight, "whole"),
            (risks(one, words) or DASH, "text"), (one.metered, "whole"),
            (one.unit, "text"), ("", "text"),
        ])  # fmt: skip
