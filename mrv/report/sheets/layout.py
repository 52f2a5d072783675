"""Layout of the JCM's sheets, and the parts common to plan and report."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mrv.calendar import instant_us, local_text
from mrv.documents.monitoring import MonitoredParameter
from mrv.registry.plan_departures import asked
from mrv.report.opinion import state
from mrv.report.report_data import Facts
from mrv.report.sheets.grid import FIRST, Grid, Value
from mrv.report.translations import (
    DASH,
    SHOWN,
    meaning,
    methodology,
    period,
    plain_until,
    quantity,
    role,
    source,
)
from mrv.report.words import Words
from mrv.texts import dates

TABLE_1_AT = FIRST + 6
TABLE_1 = ("form_a", "form_b", "form_c", "form_d", "form_e", "form_f", "form_g", "form_h",
           "form_i", "form_j")  # fmt: skip
_TABLE_2 = ("parameter", "description", "value", "unit", "form_f", "source", "comment")


@dataclass(frozen=True)
class Layout:
    """
    Rows at which the parts of a sheet begin.

    Parameters
    ----------
    first : int
        Column of (b), at which Table 2 begins too.
    """

    facts: Facts
    first: int

    @property
    def table_2(self) -> int:
        """Return the heading row of Table 2."""
        return TABLE_1_AT + len(self.facts.parameters) + 3

    @property
    def fixed(self) -> int:
        """Return the first fixed parameter, referred to by the calculation."""
        return self.table_2 + 1

    @property
    def value(self) -> int:
        """Return the column of a fixed parameter's value."""
        return self.first + 2

    @property
    def table_3(self) -> int:
        """Return the heading row of Table 3."""
        return self.fixed + max(1, len(self.facts.subject.fixed_parameters or ())) + 4

    @property
    def total(self) -> int:
        """Return the row of the whole period in Table 3."""
        return self.table_3 + 1 + len(self.facts.subject.credited.vintages)


def general(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write the general data of the sheet."""
    subject = facts.subject
    zone = subject.monitoring_period.timezone
    rows = (
        (words["project"], f"{subject.project.name} ({subject.project.id})"),
        (words["methodology"], methodology(subject, words)),
        (words["period"], f"{period(subject, words)} ({zone})"),
        (words["statement"], f"{facts.name} ({state(facts, words)})"),
    )
    for row, (name, value) in enumerate(rows, 2):
        sheet.text(row, 0, name, "head")
        sheet.text(row, 1, value, "said")


def monitored_cells(
    facts: Facts, place: int, value: tuple[Value, str], words: Words
) -> list[tuple[Value, str]]:
    """Return columns (a) to (j) of Table 1."""
    parameter = facts.parameters[place]
    return [
        (str(place + 1), "text"),
        (parameter.symbol or parameter.parameter, "text"),
        (
            f"{quantity(parameter, words)}, {parameter.device} ({role(parameter.role, words)})",
            "text",
        ),
        value,
        (f"{SHOWN[parameter.unit][0]}/p", "text"),
        (f"{words['option']} {parameter.monitoring_option}", "text"),
        (source(parameter, facts.subject, words) or None, "text"),
        (_method(parameter, words), "text"),
        (_frequency(facts, parameter, words), "text"),
        (_comment(facts, parameter, words), "text"),
    ]


def fixed(sheet: Grid, layout: Layout, words: Words) -> None:
    """Write Table 2: values fixed ex ante, and those measured or surveyed by an option."""
    at, first = layout.table_2, layout.first
    entries = layout.facts.subject.fixed_parameters or ()
    measured = any(item.monitoring_option for item in entries)
    sheet.text(at - 1, 0, words["table_2_measured" if measured else "table_2"], "part")
    sheet.row(at, [(words[n], "head") for n in _TABLE_2], first)
    for row, item in enumerate(entries, at + 1):
        option = item.monitoring_option
        whose = words["whole_project"] if item.device is None else item.device
        sheet.row(row, [
            (item.symbol or item.parameter, "text"),
            (meaning(item, layout.facts.subject, words), "text"),
            (Fraction(item.value), "plain"), (item.unit, "text"),
            (f"{words['option']} {option}" if option else DASH, "text"),
            (source(item, layout.facts.subject, words), "text"),
            (f"{item.parameter}, {whose}", "text"),
        ], first)  # fmt: skip
    if not entries:
        sheet.text(at + 1, first, words["none"])
    sheet.text(at + 1 + max(1, len(entries)), first, words["table_2_factors"], "note")


def _method(parameter: MonitoredParameter, words: Words) -> str:
    """Return column (h) in the form of the JCM's sheets: equipment, recording, calibration."""
    meter = parameter.meter
    listed = [
        f"{words['meter']}: {meter.class_}, {meter.profile}",
        f"{words['serial']}: {meter.serial or words['not_stated']}",
        f"{words['accuracy_class']}: {meter.accuracy_class or words['not_stated']}",
    ]
    certificates = "; ".join(
        f"{c.certificate} ({c.performed} {DASH} {plain_until(c, words)})"
        for c in parameter.calibrations
    )
    return (
        f"{', '.join(listed)}. {words['recording']}"
        f" {words['calibrated']} {certificates or words['no_certificate']}"
    )


def _frequency(facts: Facts, parameter: MonitoredParameter, words: Words) -> str:
    wanted = asked(facts.methodology, parameter.symbol or None)
    message = words["frequency"]
    if not wanted:
        return message
    return f"{message}; {words['methodology_asks']}: {words.get(f'frequency.{wanted}', wanted)}"


def _comment(facts: Facts, parameter: MonitoredParameter, words: Words) -> str:
    zone = facts.timezone
    edges = [local_text(instant_us(edge, "UTC"), zone) for edge in (parameter.from_, parameter.to)]
    served = dates.period(edges[0], edges[1], words.language)
    percent = words.percent(parameter.coverage.measured_share)
    text = f"{words['in_service']} {served}; {words['measured_share']} {percent}"
    swaps = parameter.meter.replacements
    return f"{text}; {words['replacements']}: {swaps}" if swaps else text
