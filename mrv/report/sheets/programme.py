"""
The programme's progress as a workbook: by system, project and action, indicators, parks.

Totals are formulas over the rows above them; the city's account and the projects' are on separate
sheets and are not added to each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from typing import Any

from xlsxwriter import Workbook

from mrv.report.blocks import legible
from mrv.report.sheets.layout import FIRST, Grid, Styles, Value
from mrv.report.words import DASH, Words

_SHEETS: dict[str, tuple[int, ...]] = {
    "systems": (24, 46, 12, 10, 10, 16, 16, 12, 60),
    "projects": (24, 46, 24, 10, 22, 16, 16, 16, 12, 12, 16, 60),
    "actions": (10, 30, 10, 16, 12, 16, 14),
    "measured": (10, 30, 10, 10, 16, 16, 16),
    "indicators": (30, 22, 40, 10, 12, 14, 12, 12, 12),
    "fields": (30, 22, 12, 12, 12, 14),
    "parks": (22, 26, 14, 16, 20, 20, 16, 8),
    "money": (24, 46, 34, 16, 10, 18),
}
_HEADS = {
    "systems": ("system", "title", "kind", "devices", "heard", "expected_so_far", "measured_t",
                "issued_t", "why_none"),
    "projects": ("project", "name", "system", "action", "methodology", "expected_t",
                 "expected_so_far", "measured_t", "of_expected", "issued_t", "transferable_t",
                 "why_provisional"),
    "actions": ("action", "name", "part_of", "target_t", "target_year", "reported_t",
                "of_target"),
    "measured": ("action", "name", "part_of", "projects", "expected_t", "measured_t",
                           "issued_t"),
    "indicators": ("system", "station", "indicator", "days", "judged", "exceeded", "mean",
                   "highest", "lowest"),
    "fields": ("system", "tube", "days", "dry_days", "dry_downs", "lowest_cm"),
    "parks": ("park", "member", "of", "made", "got", "given", "exchanged", "unit"),
    "money": ("project", "name", "money_kind", "amount", "currency", "energy_kwh"),
}  # fmt: skip
_NOTES = {
    "systems": ("systems_note",),
    "projects": ("projects_note",),
    "actions": ("city_note", "never_added"),
    "measured": ("measured_note", "never_added"),
    "indicators": ("indicators_note",),
    "fields": ("fields_note",),
    "parks": ("parks_note",),
    "money": ("money_note",),
}


def workbook(document: Mapping[str, Any], words: Words) -> bytes:
    """
    Return the workbook of a programme report, byte-identical for the same data.

    `document`: as `tonne programme report --json` prints it.
    `words`: the reader's language; names of the registry are unchanged.
    """
    out = BytesIO()
    book = Workbook(out, {"in_memory": True})
    name = legible(f"{document['programme']}, {document['year']}", 200)
    created = datetime(document["year"], 1, 1, tzinfo=UTC)
    book.set_properties({"title": name, "author": "tonne", "created": created})
    styles = Styles(book)
    sheets = {
        n: Grid(book, styles, words, n, widths, name)
        for n, widths in _SHEETS.items()
        if n != "money" or document["money"]  # a city without tariffs has no such sheet
    }
    for n, sheet in sheets.items():
        notes = _NOTES[n] if n != "projects" or document["transfer"] else ()
        sheet.title(name, " ".join(words[f"programme.{note}"] for note in notes))
        heads = [words.get(f"programme.{head}", "") or words[head] for head in _HEADS[n]]
        sheet.head(FIRST - 1, heads, frozen=True)
    _systems(sheets["systems"], document["systems"], words)
    _projects(sheets["projects"], document, words)
    _actions(sheets["actions"], sheets["measured"], document["actions"])
    _indicators(sheets["indicators"], document["systems"], words)
    _fields(sheets["fields"], document["systems"], words)
    _parks(sheets["parks"], document["parks"], words)
    if document["money"]:
        _money(sheets["money"], document["money"], words)
    book.close()
    return out.getvalue()


def _money(sheet: Grid, rows: Sequence[Mapping[str, Any]], words: Words) -> None:
    for row, item in enumerate(rows, FIRST):
        sheet.row(row, [
            (item["project"], "text"), (item["name"], "text"),
            (words[f"money.{item['kind']}"], "text"), (_number(item["amount"]), "plain"),
            (item["currency"], "text"), (_number(item["energy_kwh"]), "plain"),
        ])  # fmt: skip


def _number(value: str | float | None) -> Fraction | None:
    return None if value is None else Fraction(str(value))


def _stated(value: str | int | None, style: str) -> tuple[Value, str]:
    """Return the cell of an optional value; one that is not stated differs from a missing one."""
    return (None, "text") if value is None else (_number(value), style)


def _system(identifier: str | None, title: str, words: Words) -> str:
    return title if identifier is None else words.get(f"system.{identifier}", title)


def _systems(sheet: Grid, systems: Sequence[Mapping[str, Any]], words: Words) -> None:
    row = FIRST
    for system in systems:
        tonnes: list[Any] = [
            (_number(system["expected_t"]), "six"),
            (_number(system["tCO2"]), "six"),
            (system["issued_credits_t"], "whole"),
        ]
        if system["kind"] != "carbon":  # no figure applies; this differs from a missing figure
            tonnes = [(DASH, "text")] * len(tonnes)
        reason = system["reason"] and words.get(f"no_tonnes.{system['system']}", system["reason"])
        sheet.row(row, [
            (system["system"], "text"), (_system(system["system"], system["title"], words), "text"),
            (words[f"programme.kind.{system['kind']}"], "text"), (system["devices"], "whole"),
            (system["devices_heard"], "whole"), *tonnes, (reason or DASH, "text"),
        ])  # fmt: skip
        row += 1
    measured = sum((Fraction(s["tCO2"]) for s in systems if s["tCO2"]), start=Fraction(0))
    issued = sum(s["issued_credits_t"] or 0 for s in systems)
    sheet.text(row, 1, words["programme.total"], "head")
    sheet.formula(row, 6, f"=SUM({sheet.span(FIRST, row, 6)})", measured, "six")
    sheet.formula(row, 7, f"=SUM({sheet.span(FIRST, row, 7)})", issued, "whole")


def _projects(sheet: Grid, document: Mapping[str, Any], words: Words) -> None:
    titles = {system["system"]: system["title"] for system in document["systems"]}
    listed = [p for s in document["systems"] for p in s["projects"]] + document["without_system"]
    for row, item in enumerate(listed, FIRST):
        expected, measured = _number(item["expected_t_so_far"]), _number(item["monitored_t"])
        sheet.row(row, [
            (item["project"], "text"), (item["name"], "text"),
            (_system(item["system"], titles.get(item["system"], DASH), words), "text"),
            (item["action"] or DASH, "text"), (item["methodology"], "text"),
            _stated(item["expected_t_per_year"], "six"), (expected, "six"), (measured, "six"),
        ])  # fmt: skip
        if expected and measured is not None:
            ratio = f"={sheet.cell(row, 7)}/{sheet.cell(row, 6)}"
            sheet.formula(row, 8, ratio, measured / expected, "share")
        else:
            sheet.missing(row, 8)
        moved = item["transferable_t"]
        why = item["provisional"]
        sheet.row(
            row,
            [
                (item["issued_credits_t"], "whole"),
                (moved, "whole")
                if isinstance(moved, int)
                else (words["programme.not_determined"], "text"),
                ("; ".join(why) or DASH, "text"),
            ],
            9,
        )


def _actions(city: Grid, projects: Grid, actions: Sequence[Mapping[str, Any]]) -> None:
    for row, item in enumerate(actions, FIRST):
        head: list[Any] = [
            (item["action"], "text"),
            (item["name"], "text"),
            (item["part_of"] or DASH, "text"),
        ]
        model, own = item["city_model"], item["projects"]
        city.row(
            row,
            [
                *head,
                _stated(model["target_t_per_year"], "whole"),
                _stated(model["target_year"], "year"),
                _stated(model["reported_t"], "whole"),
                _stated(model["reported_percent_of_target"], "plain"),
            ],
        )
        projects.row(row, [
            *head, (own["count"], "whole"), _stated(own["expected_t_per_year"], "six"),
            (_number(own["monitored_t"]), "six"), (own["issued_credits_t"], "whole"),
        ])  # fmt: skip


def _indicators(sheet: Grid, systems: Sequence[Mapping[str, Any]], words: Words) -> None:
    listed = [(s, i) for s in systems for i in s["indicators"]]
    for row, (of, item) in enumerate(listed, FIRST):
        indicator = item["indicator"]
        sheet.row(
            row,
            [
                (_system(of["system"], of["title"], words), "text"),
                (item["device"], "text"),
                (words.get(f"indicator.{indicator}", indicator), "text"),
                (item["days"], "whole"),
                (item["days_judged"], "whole"),
                _exceeded(item),
                *((_number(item[n]), "plain") for n in ("mean", "highest", "lowest")),
            ],
        )


def _exceeded(item: Mapping[str, Any]) -> tuple[Value, str]:
    """Return the cell of the days above a limit; a dash for an index without a limit."""
    if item["days_exceeded"] is None and item["days_judged"]:
        return DASH, "text"
    return item["days_exceeded"], "whole"


def _fields(sheet: Grid, systems: Sequence[Mapping[str, Any]], words: Words) -> None:
    for row, (of, item) in enumerate(((s, f) for s in systems for f in s["fields"]), FIRST):
        sheet.row(row, [
            (_system(of["system"], of["title"], words), "text"), (item["device"], "text"),
            (item["days"], "whole"), (item["dry_days"], "whole"), (item["dry_downs"], "whole"),
            (_number(item["lowest_cm"]), "plain"),
        ])  # fmt: skip


def _parks(sheet: Grid, parks: Sequence[Mapping[str, Any]], words: Words) -> None:
    row = FIRST
    for park in parks:
        balances = [(m["name"], m["balance"]) for m in park["members"]]
        called = {m["site"]: m["name"] for m in park["members"]}.get(park["park"], park["park"])
        for member, balance in [*balances, (words["programme.whole_park"], park["park_balance"])]:
            for of, sums in balance.items():
                got, given = ("drawn", "released") if "drawn" in sums else ("got", "given")
                sheet.row(
                    row,
                    [
                        (called, "text"),
                        (member, "text"),
                        (words[f"flow.{of}"], "text"),
                        *((_number(sums[side]), "three") for side in ("made", got, given)),
                        # internal exchange exists only for the park as a whole
                        (_number(sums["exchanged"]), "three") if got == "drawn" else (DASH, "text"),
                        (sums["unit"], "text"),
                    ],
                )
                row += 1
