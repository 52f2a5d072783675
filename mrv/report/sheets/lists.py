"""Sheets that list the evidence: days, gaps, deductions, certificates, factors, verification."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any

from ingest import classes
from mrv.calendar import instant_us, local_text
from mrv.documents import UNSET
from mrv.documents.monitoring import CrossCheck
from mrv.documents.period_account import Deduction, FixedParameter, Gap
from mrv.errors import ReportError
from mrv.parameters import ParameterSpec, rounded
from mrv.registry import Declared, Stratum, Survey, of_survey, student
from mrv.report.audit_rows import (
    conclusion_rows,
    condition_rows,
    finding_rows,
    opinion_rows,
    parameter_rows,
    requirement_rows,
    state,
)
from mrv.report.dated_values import HEADS, dated_rows, least_of
from mrv.report.report_data import Facts
from mrv.report.sheets.equation import number
from mrv.report.sheets.layout import FIRST, MAX_ROWS, Grid, Layout
from mrv.report.words import (
    DASH,
    Words,
    calculated,
    certainty,
    certificate,
    error,
    kind,
    meaning,
    methodology,
    period,
    plain_until,
    quality_test,
    quantity,
    reason,
    rule,
    yes_no,
)

_HOUR_US = 3_600_000_000
VALUE = 4  # column of the value of a day
QUANTITY = 5  # column of the quantity of a deduction
SUBSTITUTED = 6  # column of the substituted quantity of a gap
FACTOR = 2  # column of the value of a factor


def days(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write daily sums of each device."""
    if len(facts.days) > MAX_ROWS - FIRST:
        raise ReportError(
            f"{facts.name} has {len(facts.days)} device-days, but a sheet has {MAX_ROWS} "
            "rows; close shorter periods"
        )
    sheet.title(words["days"], words["days_note"])
    names = ("day", "device", "quantity", "unit", "metered", "measured_share", "measured_h",
             "estimated_h", "unknown_h", "missing_h")  # fmt: skip
    sheet.head(FIRST - 1, [words[n] for n in names], frozen=True)
    for row, day in enumerate(facts.days, FIRST):
        parameter = facts.parameters[day.parameter]
        whole = max(1, day.to_us - day.from_us)
        times = (day.measured_us, day.estimated_us, day.unknown_us, day.missing_us)
        sheet.row(
            row,
            [
                (day.day.isoformat(), "text"),
                (parameter.device, "text"),
                (quantity(parameter, words), "text"),
                (parameter.unit, "text"),
                (day.value, "whole"),
                (Fraction(day.measured_us, whole), "share"),
                *((Fraction(us, _HOUR_US), "hours") for us in times),
            ],
        )


def measured(sheet: Grid, report: Grid, layout: Layout, words: Words) -> None:
    """Write the days of each analyser below the daily sums, and its mean as a formula."""
    facts, at = layout.facts, FIRST + len(layout.facts.days) + 3
    for row, item in enumerate(facts.subject.fixed_parameters or (), layout.fixed):
        if not item.days:
            continue
        names = ("day", "parameter", "description", "unit", "value", "flow_weight", "max_error")
        sheet.head(at - 1, [words[name] for name in names])
        for place, day in enumerate(item.days, at):
            channel = day.channel or ""
            sheet.row(place, [
                (day.day, "text"), (channel or item.parameter, "text"),
                (meaning(item, facts.subject, words), "text"),
                (_unit(channel) if channel else item.unit, "text"), (day.mean, "plain"),
                (int(day.flow), "whole"), (Fraction(day.max_error_percent or 0), "plain"),
            ])  # fmt: skip
        written = _mean(sheet, item, at, facts.methodology.parameters[item.parameter])
        if written:
            report.formula(row, layout.value, f"={written}", Fraction(item.value), "plain")
        at += len(item.days) + 3


def _unit(channel: str) -> str:
    return next(c.channels[channel].unit for c in classes.load().values() if channel in c.channels)


def _mean(sheet: Grid, item: FixedParameter, at: int, spec: ParameterSpec) -> str:
    """
    Return a formula of the mean of measured days, from row `at` on; empty if it is not the
    parameter's value.
    """
    stated, up = Fraction(item.value), spec.side == "project" and not spec.lower_of
    for sign in (0, -1, 1):
        sums, texts, first = list[Fraction](), list[str](), at
        for k, (_, group) in enumerate(groupby(item.days or (), lambda day: day.channel)):
            days_ = list(group)
            mean, flow, error = (sheet.span(first, first + len(days_), VALUE + n) for n in range(3))
            first += len(days_)
            direction = -sign if k else sign
            loads = (
                Fraction(day.mean) * int(day.flow)
                * (1 + direction * Fraction(day.max_error_percent or 0) / 100)
                for day in days_
            )  # fmt: skip
            sums.append(sum(loads, start=Fraction(0)))
            shift = (
                f"{'+' if direction > 0 else '-'}SUMPRODUCT({mean},{flow},{error})/100"
                if direction
                else ""
            )
            texts.append(f"(SUMPRODUCT({mean},{flow}){shift})")
        if not sums[0]:
            continue
        value, formula = sums[0] / sum(int(day.flow) for day in days_), f"{texts[0]}/SUM({flow})"
        if len(sums) > 1:
            value = max(Fraction(0), 1 - sums[1] / sums[0])
            formula = f"MAX(0,1-{texts[1]}/{texts[0]})"
        rounded_value = rounded(Fraction(round(value * 10**11), 10**11), spec)
        formula = f"ROUND{'UP' if up else 'DOWN'}(ROUND({formula},11),9)"
        if rounded_value == stated:
            return formula
        if spec.lower_of and stated < rounded_value and sign < 0:
            return f"MIN({number(stated)},{formula})"
    return ""


def gaps(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write each gap, its rule and its deduction."""
    names = ("device", "from", "to", "kind", "time_h", "rule", "substituted", "cost_t", "forgone_t")
    listed(
        sheet,
        words,
        "gaps",
        names,
        [
            [
                (gap.device, "text"),
                *edges(facts, gap),
                (kind(gap, words), "text"),
                (Fraction(gap.time_s) / 3600, "hours"),
                (rule(gap, words), "text"),
                (gap.substituted, "six"),
                (gap.cost_t, "six"),
                # not applicable on the project side
                (DASH, "text") if gap.forgone_at_most_t is None else (gap.forgone_at_most_t, "six"),
            ]
            for gap in facts.subject.gaps
        ],
    )


def deductions(sheet: Grid, facts: Facts, words: Words, days_sheet: Grid) -> None:
    """Write deductions for meter errors and design; those of whole days as formulas."""
    names = ("device", "from", "to", "reason", "percent", "adjustment", "cost_t")
    entries = facts.subject.deductions
    sides = {parameter.device: parameter.side for parameter in facts.parameters}
    values = [entry.adjusts(sides[entry.device]) for entry in entries]
    listed(sheet, words, "deductions", names, [
        [
            (deduction.device, "text"),
            *edges(facts, deduction),
            (reason(deduction, words), "text"),
            (deduction.percent, "plain"),
            (value, "six"),
            (deduction.cost_t, "six"),
        ]
        for deduction, value in zip(entries, values, strict=True)
    ])  # fmt: skip
    for place, whole in _whole_days(facts).items():
        row = FIRST + place
        days_cells = days_sheet.span(FIRST + whole[0], FIRST + whole[1], VALUE)
        sign = "-" if sides[entries[place].device] == "baseline" else ""
        formula = f"={sign}ROUNDUP(ROUND(SUM({days_cells})*{sheet.cell(row, 4)}/100,8),6)"
        sheet.formula(row, QUANTITY, formula, values[place], "six")
    _apportioned(sheet, facts, words, days_sheet)


def _apportioned(sheet: Grid, facts: Facts, words: Words, days_sheet: Grid) -> None:
    """Write corrections by common meters as formulas of the days and the meter's share."""
    entries, main, users = facts.subject.deductions, QUANTITY + 2, QUANTITY + 3
    for line in facts.lines:
        parameter = facts.parameters[line.parameter]
        total = metered = Fraction(line.metered)
        emits = parameter.side != "baseline"
        rows = [FIRST + place for place in line.deductions]
        for at, place in enumerate(line.deductions):
            size = entries[place].adjusts(parameter.side)
            for common in facts.plan.common:
                ratio = Fraction(int(common.main_metered), int(common.users_metered) or 1)
                # emissions of users are proportional to the meter's own quantity, without
                # additions
                of, cells = (metered, rows[:0]) if emits else (total, rows[:at])
                mine = parameter.device in common.users and (ratio > 1) == emits
                if not mine or abs(of * (ratio - 1) - size) > Fraction(2, 10**6):
                    continue
                heads = (words["common_meter"], words["its_users"])
                sheet.row(FIRST - 1, [(head, "head") for head in heads], main)
                sheet.number(rows[at], main, int(common.main_metered), "whole")
                sheet.number(rows[at], users, int(common.users_metered), "whole")
                days_cells = days_sheet.span(FIRST + line.first, FIRST + line.last, VALUE)
                before = "".join(f"+{sheet.cell(row, QUANTITY)}" for row in cells)
                part = f"{sheet.cell(rows[at], main)}/{sheet.cell(rows[at], users)}"
                sign, share = ("", f"({part}-1)") if emits else ("-", f"(1-{part})")
                formula = f"={sign}ROUNDUP(ROUND((SUM({days_cells}){before})*{share},8),6)"
                sheet.formula(rows[at], QUANTITY, formula, size, "six")
                break
            total += size


def _whole_days(facts: Facts) -> dict[int, tuple[int, int]]:
    """
    Return the deductions that are a percentage of whole consecutive days.

    The result maps the index of a deduction to the range [first, last) of its days in `Facts.days`.
    """
    rows: dict[int, tuple[int, int]] = {}
    entries = facts.subject.deductions
    for line in facts.lines:
        for place in line.deductions:
            deduction = entries[place]
            begin, end = (instant_us(edge, "UTC") for edge in (deduction.from_, deduction.to))
            inside = [
                i
                for i in range(line.first, line.last)
                if begin <= facts.days[i].from_us and facts.days[i].to_us <= end
            ]
            total = sum(facts.days[i].value or 0 for i in inside)
            exact = Fraction(deduction.percent) / 100 * total
            size = abs(deduction.adjusts(facts.parameters[line.parameter].side))
            if inside and abs(exact - size) <= Fraction(1, 10**6):
                rows[place] = (inside[0], inside[-1] + 1)
    return rows


def calibrations(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write the certificates of each meter; a meter without one is also listed."""
    names = ("device", "serial", "certificate", "performed", "valid_until", "accuracy_class",
             "max_error")  # fmt: skip
    rows = []
    for parameter in facts.parameters:
        serial = (parameter.meter.serial, "text")
        rows += [
            [
                (parameter.device, "text"), serial, (certificate(c, words), "text"),
                (c.performed, "text"), (DASH if c.last_test else plain_until(c, words), "text"),
                (c.accuracy_class, "text"),
                (c.max_error_percent, "plain")
                if c.max_error_percent is not None and c.found_error_percent is UNSET
                else (error(c, words) or DASH, "text"),
            ]
            for c in parameter.calibrations
        ] or [[(parameter.device, "text"), serial, (words["no_certificate"], "text")]]  # fmt: skip
    listed(sheet, words, "calibrations", names, rows)


def factors(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write the factors of the account."""
    names = ("factor", "kind_of_factor", "value", "unit", "direction", "valid_from", "valid_to",
             "source", "certainty", "verified", "provisional", "accepted", "sha256")  # fmt: skip
    listed(sheet, words, "factors", names, [
        [
            (factor.id, "text"), (factor.kind, "text"), (factor.value, "plain"),
            (factor.unit, "text"),
            (words.get(f"direction.{factor.direction}", factor.direction), "text"),
            (factor.valid_from or DASH, "text"), (factor.valid_to or DASH, "text"),
            (calculated(factor, words), "text"), (certainty(factor, words), "text"),
            *((yes_no(n, words), "text")
              for n in (factor.verified, factor.provisional, factor.accepted)),
            (factor.sha256, "text"),
        ]
        for factor in facts.subject.factors
    ])  # fmt: skip


def unusual(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write the flags of each quality test, and the quantities of the flagged intervals."""
    names = ("unusual.test", "unusual.readings", "unusual.devices", "unusual.quarter_hours",
             "unusual.energy", "unusual.emissions")  # fmt: skip
    listed(sheet, words, "unusual", names, [
        [
            (quality_test(item.test, words), "text"), (item.readings, "whole"),
            (item.devices, "whole"), (item.quarter_hours, "whole"),
            (Fraction(item.energy_wh) / 10**6, "six"), (item.emissions_t, "six"),
        ]
        for item in facts.subject.unusual_readings or ()
    ])  # fmt: skip


def dated(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write inputs with a date: ratings, laboratory results, factors."""
    rows = [
        [
            # a document may state no value
            (text, "plain" if name == "value" and text != DASH else "text")
            for name, text in zip(HEADS, row, strict=True)
        ]
        for row in dated_rows(facts.subject, words)
    ]
    listed(sheet, words, "dated", HEADS, rows)
    _precisions(sheet, facts, words, [(row[1][0], row[2][0]) for row in rows])


def _precisions(sheet: Grid, facts: Facts, words: Words, named: Sequence[tuple[str, str]]) -> None:
    """
    Write the precision of each sample as a formula, in its row.

    After the precision come the number of clusters, and for each stratum size, population, mean and
    deviation.
    """
    heads = ("sample_size", "population", "deviation", "student_t", "precision", "clusters")
    for survey in (facts.subject.declared or Declared()).surveys:
        if survey.n < 2:  # noqa: PLR2004 - a spread
            continue
        name = words.filled("dated.survey", survey.parameter, survey.n, survey.population)
        row, first = FIRST + named.index((name, survey.taken.isoformat())), len(HEADS)
        result = of_survey(survey, least_of(facts.subject))
        parts: tuple[Survey | Stratum, ...] = survey.strata or (survey,)
        size = survey.n if survey.clusters is None else min(survey.n, survey.clusters)
        own = [] if survey.clusters is None else [(survey.clusters, "whole")]
        sheet.row(row, [
            (survey.n, "whole"), (survey.population, "whole"), _deviation(survey),
            (student(result.confidence, max(1, size - len(parts))), "plain"),
        ], first)  # fmt: skip
        sheet.row(row, own, first + 5)
        n, population, deviation, t, _, clusters = (
            sheet.cell(row, column) for column in range(first, first + 6)
        )
        mean, terms, titles = sheet.cell(row, 3), [], list(heads)
        at: list[tuple[str, ...]] = [(n, population, mean, deviation)]
        if survey.strata:
            at = []
            for place, part in enumerate(survey.strata):
                column = first + 6 + 4 * place
                sheet.row(row, [
                    (part.n, "whole"), (part.population, "whole"), (Fraction(part.mean), "plain"),
                    _deviation(part),
                ], column)  # fmt: skip
                at.append(tuple(sheet.cell(row, column + k) for k in range(4)))
                titles += ["sample_size", "population", "programme.mean", "deviation"]
        for each, (size_, whole, of, sd) in zip(parts, at, strict=True):
            square = f"{of}*(1-{of})" if each.sd is None else f"{sd}^2"
            terms.append(f"{square}*MAX(0,{whole}-{size_})/MAX(1,{whole}-1)/{size_}*{whole}^2")
        sheet.row(FIRST - 1, [(words[title], "head") for title in titles], first)
        alike = "" if survey.clusters is None else f"*{n}/MIN({n},{clusters})"
        root = f"SQRT(({'+'.join(terms)}){alike})/{population}"
        percent = result.percent or Fraction(0)
        sheet.formula(row, first + 4, f"=100*{t}*{root}/ABS({mean})", percent, "six")


def _deviation(part: Survey | Stratum) -> tuple[Any, str]:
    return (DASH, "text") if part.sd is None else (Fraction(part.sd), "plain")


def conditions(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write the conditions not met, and the verifier's signed justification."""
    names = ("condition", "condition.detail", "condition.answer")
    rows = [[(text, "text") for text in row] for row in condition_rows(facts, words)]
    listed(sheet, words, "conditions", names, rows)


def result(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write credited tonnes, preparer and verifier: the first sheet."""
    subject, issuer, opinion = facts.subject, facts.stated.issuer, facts.opinion
    sheet.opening()
    sheet.title(facts.project(words.language), period(subject, words))
    lines = [
        (words["page.credited"], f"{words.number(subject.credited.t)} {words['page.tonnes']}"),
        (words["page.reduction"],
         f"{words.number(subject.emissions.reduction.t)} {words['page.tonnes']}"),
        (words["methodology"], methodology(subject, words)),
        (words["preparer"], facts.organisation(issuer) if issuer else None),
        (words["verifier"], None if opinion is None else facts.organisation(opinion.issuer)),
    ]  # fmt: skip
    rows = [*lines, *conclusion_rows(facts, words), (words["state"], state(facts, words))]
    for row, (name, value) in enumerate(rows, FIRST):
        sheet.text(row, 0, name, "head")
        sheet.text(row, 1, value)


def verification(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write signatories and their conclusions, and the digests of the evidence."""
    sheet.title(words["verification"], words["verification_note"])
    row = FIRST
    for row, (name, value) in enumerate(opinion_rows(facts, words), FIRST):
        sheet.text(row, 0, name, "head")
        sheet.text(row, 1, value)
    at = _findings(sheet, row + 2, facts, words)
    if facts.opinion is not None:
        means, opinion = words["verified.means"], words["verified.opinion"]
        heads = [words["page.requirement"], means, opinion]
        at = _statement_rows(
            sheet, at, "page.requirement", heads, requirement_rows(facts, words), words
        )
        heads = [words["parameter"], means, words["verified.source"], words["verified.cross"]]
        rows = parameter_rows(facts, words)
        _statement_rows(sheet, at, "page.parameters_verified", [*heads, opinion], rows, words)


def _statement_rows(
    sheet: Grid,
    at: int,
    title: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str | None]],
    words: Words,
) -> int:
    sheet.text(at, 0, words[title], "part")
    sheet.head(at + 1, heads)
    for row, cells in enumerate(rows, at + 2):
        for column, cell in enumerate(cells):
            sheet.text(row, column, words["not_stated"] if cell is None else cell)
    return at + 3 + len(rows)


def _findings(sheet: Grid, at: int, facts: Facts, words: Words) -> int:
    sheet.text(at, 0, words["findings"], "part")
    rows = list(finding_rows(facts, words))
    for row, item in enumerate(rows, at + 1):
        lines = [
            item.by,
            item.at,
            item.effect_t and f"{words['effect_t']}: {words.number(item.effect_t)}",
        ]
        about = "; ".join(text for text in lines if text)
        sheet.text(row, 0, f"{item.name} {item.event}".strip(), "head")
        sheet.text(row, 1, f"{item.text} ({about})" if about else item.text)
    if not rows:
        sheet.text(at + 1, 0, words["none"])
    return at + 3 + len(rows)


def listed(
    sheet: Grid, words: Words, key: str, names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Write a list with its title; an empty list is written as "none"."""
    sheet.title(words[key], words[f"{key}_note"])
    sheet.head(FIRST - 1, [words[n] for n in names], frozen=True)
    for row, cells in enumerate(rows, FIRST):
        sheet.row(row, cells)
    if not rows:
        sheet.text(FIRST, 0, words["none"])


def edges(facts: Facts, entry: Gap | Deduction | CrossCheck) -> list[tuple[str, str]]:
    """Return local start and end of an entry, as cells."""
    zone = facts.timezone
    return [(local_text(instant_us(edge, "UTC"), zone), "text") for edge in (entry.from_, entry.to)]
