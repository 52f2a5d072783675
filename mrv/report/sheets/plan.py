"""The sheets of the JCM's forms that stand before monitoring: plan and structure."""

from __future__ import annotations

from fractions import Fraction

from mrv.report.report_data import Facts
from mrv.report.sheets.grid import FIRST, Grid
from mrv.report.sheets.layout import TABLE_1, TABLE_1_AT, Layout, fixed, general, monitored_cells
from mrv.report.words import Words
from mrv.steps import in_symbols

_ESTIMATED = 3
_EXPECTED = (("energy_kwh_per_year", "kWh/a"), ("reduction_t_per_year", "tCO2/a"))


def plan(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write what was to be monitored, and what the design expected of it."""
    sheet.title(words["plan"], words["plan_note"])
    general(sheet, facts, words)
    sheet.text(TABLE_1_AT - 2, 0, words["table_1_ex_ante"], "part")
    heads = [words[n] for n in TABLE_1]
    heads[_ESTIMATED] = words["form_d_ex_ante"]
    sheet.head(TABLE_1_AT - 1, heads)
    for place in range(len(facts.parameters)):
        # no document says what one meter alone was expected to show
        sheet.row(TABLE_1_AT + place, monitored_cells(facts, place, (None, "text"), words))
    layout = Layout(facts, first=1)
    fixed(sheet, layout, words)
    _expected(sheet, layout.table_3, facts, words)


def _expected(sheet: Grid, at: int, facts: Facts, words: Words) -> None:
    sheet.text(at - 1, 0, words["expected"], "part")
    sheet.row(at, [(words[n], "head") for n in ("parameter", "value", "unit")], 1)
    expected = facts.plan.project.expected
    for row, (key, unit) in enumerate(_EXPECTED, at + 1):
        value = expected.get(key)
        number = (None, "text") if value is None else (Fraction(str(value)), "plain")
        sheet.row(row, [(words[f"expected.{key}"], "text"), number, (unit, "text")], 1)
    sheet.text(at + 4, 0, words["equations"], "part")
    method = facts.methodology
    applying = [s for s in method.steps.formulas if not s.when and s.name not in method.inputs]
    for row, step in enumerate(applying, at + 5):
        formula = f"{step.symbol} = {in_symbols(step.formula, method.symbols)} [{step.unit}]"
        sheet.text(row, 1, formula, "said")


def expected_cells(sheet: Grid, facts: Facts) -> dict[str, str]:
    """Addresses of what the design expects of a year, by its key."""
    at = Layout(facts, first=1).table_3
    return {key: sheet.cell(row, 2) for row, (key, _) in enumerate(_EXPECTED, at + 1)}


def structure(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write who is responsible for what, as far as documents name anybody."""
    sheet.title(words["structure"], words["structure_note"])
    sheet.head(FIRST - 1, [words[n] for n in ("responsible", "role_of_person", "named_by")])
    opinion = facts.opinion
    issuer = facts.stated.issuer or None
    signed = words["structure.by_proof"]
    rows = (
        (issuer.name if issuer else None, words["structure.operator"], signed if issuer else None),
        (
            opinion.issuer.name if opinion else None,
            words["structure.verifier"],
            signed if opinion else None,
        ),
        *_responsible(facts, words),
        ("tonne", words["structure.system"], facts.subject.code_version),
    )
    for row, cells in enumerate(rows, FIRST):
        for column, text in enumerate(cells):
            sheet.text(row, column, text)


def _responsible(facts: Facts, words: Words) -> list[tuple[str | None, str, str]]:
    """Who answers for the meters by the versions of the project's own monitoring plan."""
    versions = facts.subject.monitoring_plan or ()
    if not versions:
        return [(None, words["structure.site"], words["structure.by_nobody"])]
    return [
        (
            version.responsible,
            words["structure.plan"],
            words.filled("structure.by_plan", version.version, version.from_),
        )
        for version in versions
    ]
