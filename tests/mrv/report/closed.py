"""One statement of each methodology, from the golden closes: facts of a draft."""

from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import Any

import numpy as np

from mrv.report import Facts
from mrv.rules.closing import close
from mrv.statement.compose import Label, compose
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from tests.closes import corpus


@dataclass(frozen=True)
class _Closed(Case):
    """A case that closes with the facts of a golden close, even if its plan lacks some."""

    asked: Any = None

    @cached_property
    def channels(self):
        """Return the values of the plant's analysers in the golden close."""
        return dict(self.asked.supporting.channels)

    @cached_property
    def result(self):
        """Return the result of the golden close."""
        return close(*self.asked)


class Moved(Facts):
    """Facts of which a reader of the workbook has changed the quantities."""

    @classmethod
    def of(cls, facts, quantities):
        """Return facts with other counted quantities, by the position of their line."""
        found = cls(**{one.name: getattr(facts, one.name) for one in fields(Facts)})
        object.__setattr__(found, "quantities", quantities)
        return found

    def counted(self, line):
        """Return the counted quantities of the changed workbook."""
        return self.quantities[self.lines.index(line)]


@cache
def names(wanted="2"):
    """Return, by methodology, the golden close of a rule set with the highest reduction."""
    found = {}
    for name, one in corpus.expected().items():
        rules, methodology, _ = name.split("/")
        if rules == wanted:
            found.setdefault(methodology, []).append((one["ug"]["reduction"], name))
    return {methodology: max(some)[1] for methodology, some in sorted(found.items())}


@cache
def given():
    """Return the inputs of the golden closes, and their factor books."""
    closes, books = corpus.read()
    return closes, corpus.books_of(books)


@cache
def facts_of(name):
    """Return the facts of a draft with the result of a golden close."""
    closes, books = given()
    asked = corpus.asked_of(closes[name], books)
    plan = MonitoringPlan(
        asked.project,
        asked.fleet.devices,
        {},
        asked.calibrations,
        carried_ug=asked.carried_ug,
        accounting=asked.supporting.accounting,
    )
    # by device and quantity, as evidence comes
    rows = asked.rows
    rows = rows.take(np.lexsort((rows.start_us, rows.quantity, rows.device)))
    case = _Closed(plan, (), rows, asked.from_us, asked.to_us, asked.factors, asked=asked)
    return Facts(compose(case, Label(1, "tonne 0")), None, plan, rows, asked.factors, "draft")
