"""
The programme's progress as a workbook: by system, project and action, indicators, parks.

Totals are formulas over the rows above them; the city's account and the projects' stand
on sheets of their own, and nothing adds one to the other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, Any

from xlsxwriter import Workbook

from mrv.report.sheets.grid import FIRST, Grid, Styles
from mrv.report.words import Words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHEETS: dict[str, tuple[int, ...]] = {
    "Systems": (24, 46, 12, 10, 10, 16, 16, 12, 60),
    "Projects": (24, 46, 24, 10, 22, 16, 16, 16, 12, 12, 16, 60),
    "Actions": (10, 30, 10, 16, 12, 16, 14),
    "Measured by action": (10, 30, 10, 10, 16, 16, 16),
    "Indicators": (22, 22, 20, 10, 12, 14, 12, 12, 12),
    "Fields": (22, 22, 12, 12, 12, 14),
    "Parks": (18, 22, 10, 16, 16, 16, 16, 8),
}
_NOT_ADDED = "The city's account (modelled) and the projects' (measured) are never added."


def workbook(document: Mapping[str, Any], language: str = "en") -> bytes:
    """Return the workbook of a programme report, the same bytes each time."""
    out = BytesIO()
    book = Workbook(out, {"in_memory": True})
    name = f"{document['programme']}, {document['year']}"
    created = datetime(document["year"], 1, 1, tzinfo=UTC)
    book.set_properties({"title": name, "author": "tonne", "created": created})
    styles, words = Styles(book), Words(language)
    sheets = {n: Grid(book, styles, words, n, widths, name) for n, widths in _SHEETS.items()}
    _systems(sheets["Systems"], name, document["systems"])
    _projects(sheets["Projects"], name, document)
    _actions(sheets["Actions"], sheets["Measured by action"], name, document["actions"])
    _indicators(sheets["Indicators"], name, document["systems"])
    _fields(sheets["Fields"], name, document["systems"])
    _parks(sheets["Parks"], name, document["parks"])
    book.close()
    return out.getvalue()


def _number(value: str | float | None) -> Fraction | None:
    return None if value is None else Fraction(str(value))


def _systems(sheet: Grid, name: str, systems: Sequence[Mapping[str, Any]]) -> None:
    sheet.title(name, "Progress by system; measured tonnes before issuance are provisional.")
    sheet.head(FIRST - 1, ("System", "Title", "Kind", "Devices", "Heard", "Expected so far [t]",
                           "Measured [t]", "Issued [t]", "Why there are no tonnes"),
               frozen=True)  # fmt: skip
    row = FIRST
    for one in systems:
        sheet.row(row, [
            (one["system"], "text"), (one["title"], "text"), (one["kind"], "text"),
            (one["devices"], "whole"), (one["devices_heard"], "whole"),
            (_number(one["expected_t"]), "six"), (_number(one["tCO2"]), "six"),
            (one["issued_credits_t"], "whole"), (one["reason"] or "-", "text"),
        ])  # fmt: skip
        row += 1
    measured = sum((Fraction(s["tCO2"]) for s in systems if s["tCO2"]), start=Fraction(0))
    issued = sum(s["issued_credits_t"] or 0 for s in systems)
    sheet.text(row, 1, "All systems", "head")
    sheet.formula(row, 6, f"=SUM({sheet.span(FIRST, row, 6)})", measured, "six")
    sheet.formula(row, 7, f"=SUM({sheet.span(FIRST, row, 7)})", issued, "whole")


def _projects(sheet: Grid, name: str, document: Mapping[str, Any]) -> None:
    sheet.title(name, "Expected against measured, pro rata of the time measured; Decree 112/2026.")
    sheet.head(FIRST - 1, ("Project", "Name", "System", "Action", "Methodology",
                           "Expected [t a year]", "Expected so far [t]", "Measured [t]",
                           "Measured", "Issued [t]", "Transferable [t]", "Provisional because"),
               frozen=True)  # fmt: skip
    listed = [p for s in document["systems"] for p in s["projects"]] + document["without_system"]
    for row, one in enumerate(listed, FIRST):
        expected, measured = _number(one["expected_t_so_far"]), _number(one["monitored_t"])
        sheet.row(row, [
            (one["project"], "text"), (one["name"], "text"), (one["system"] or "-", "text"),
            (one["action"] or "-", "text"), (one["methodology"], "text"),
            (_number(one["expected_t_per_year"]), "six"), (expected, "six"), (measured, "six"),
        ])  # fmt: skip
        if expected and measured is not None:
            ratio = f"={sheet.cell(row, 7)}/{sheet.cell(row, 6)}"
            sheet.formula(row, 8, ratio, measured / expected, "share")
        else:
            sheet.missing(row, 8)
        moved = one["transferable_t"]
        sheet.row(row, [
            (one["issued_credits_t"], "whole"),
            (moved, "whole" if isinstance(moved, int) else "text"),
            ("; ".join(one["provisional"]) or "-", "text"),
        ], 9)  # fmt: skip


def _actions(city: Grid, projects: Grid, name: str, actions: Sequence[Mapping[str, Any]]) -> None:
    city.title(name, f"The city's account: modelled against business as usual. {_NOT_ADDED}")
    projects.title(name, f"The projects' account: measured. {_NOT_ADDED} Nor an action and parts.")
    city.head(FIRST - 1, ("Action", "Name", "Part of", "Target [t a year]", "Target year",
                          "Reported [t]", "Of target [%]"), frozen=True)  # fmt: skip
    projects.head(FIRST - 1, ("Action", "Name", "Part of", "Projects", "Expected [t a year]",
                              "Measured [t]", "Issued [t]"), frozen=True)  # fmt: skip
    for row, one in enumerate(actions, FIRST):
        head: list[Any] = [
            (one["action"], "text"), (one["name"], "text"), (one["part_of"] or "-", "text")
        ]  # fmt: skip
        model, own = one["city_model"], one["projects"]
        city.row(row, [
            *head, (_number(model["target_t_per_year"]), "whole"), (model["target_year"], "year"),
            (_number(model["reported_t"]), "whole"),
            (_number(model["reported_percent_of_target"]), "plain"),
        ])  # fmt: skip
        projects.row(row, [
            *head, (own["count"], "whole"), (_number(own["expected_t_per_year"]), "six"),
            (_number(own["monitored_t"]), "six"), (own["issued_credits_t"], "whole"),
        ])  # fmt: skip


def _indicators(sheet: Grid, name: str, systems: Sequence[Mapping[str, Any]]) -> None:
    sheet.title(name, "Days of air, noise and water; they are never carbon.")
    sheet.head(FIRST - 1, ("System", "Station", "Indicator", "Days", "Judged", "Days exceeded",
                           "Mean", "Highest", "Lowest"), frozen=True)  # fmt: skip
    listed = [i for s in systems for i in s["indicators"]]
    for row, one in enumerate(listed, FIRST):
        sheet.row(row, [
            (one["system"], "text"), (one["device"], "text"), (one["indicator"], "text"),
            (one["days"], "whole"), (one["days_judged"], "whole"), (one["days_exceeded"], "whole"),
            (_number(one["mean"]), "plain"), (_number(one["highest"]), "plain"),
            (_number(one["lowest"]), "plain"),
        ])  # fmt: skip


def _fields(sheet: Grid, name: str, systems: Sequence[Mapping[str, Any]]) -> None:
    sheet.title(name, "Rice fields: falls to 15 cm below ground after which they were flooded.")
    sheet.head(FIRST - 1, ("System", "Water tube", "Days", "Days dry", "Dry-downs",
                           "Lowest [cm]"), frozen=True)  # fmt: skip
    for row, one in enumerate((f for s in systems for f in s["fields"]), FIRST):
        sheet.row(row, [
            (one["system"], "text"), (one["device"], "text"), (one["days"], "whole"),
            (one["dry_days"], "whole"), (one["dry_downs"], "whole"),
            (_number(one["lowest_cm"]), "plain"),
        ])  # fmt: skip


def _parks(sheet: Grid, name: str, parks: Sequence[Mapping[str, Any]]) -> None:
    sheet.title(name, "What members drew, made, exchanged and gave back.")
    sheet.head(FIRST - 1, ("Park", "Member", "Of", "Made", "Got or drawn", "Given or released",
                           "Exchanged", "Unit"), frozen=True)  # fmt: skip
    row = FIRST
    for park in parks:
        whole: list[tuple[str, Mapping[str, Any]]] = [("the park", park["park_balance"])]
        for member, balance in [*((m["site"], m["balance"]) for m in park["members"]), *whole]:
            for of, sums in balance.items():
                sheet.row(row, [
                    (park["park"], "text"), (member, "text"), (of, "text"),
                    (_number(sums["made"]), "six"),
                    (_number(sums.get("got", sums.get("drawn"))), "six"),
                    (_number(sums.get("given", sums.get("released"))), "six"),
                    (_number(sums.get("exchanged", "0")), "six"), (sums["unit"], "text"),
                ])  # fmt: skip
                row += 1
