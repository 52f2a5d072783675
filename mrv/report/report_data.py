"""Input of a report: the documents, and daily sums of intervals with the device installed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import Fleet, IntervalRows
from mrv.accounting.rounded_figures import in_force
from mrv.calendar import days, instant_us, local_date
from mrv.countries import grid_of
from mrv.documents import Issuer, read
from mrv.documents.monitoring import MonitoredParameter
from mrv.documents.period_account import Deduction, Gap
from mrv.documents.statement import Claims, Statement
from mrv.documents.verification import FindingShown, SamplingList, Verification
from mrv.factors import FactorBook
from mrv.factors.ledger import centres
from mrv.methodologies import find
from mrv.model import Factors, Methodology
from mrv.registry.project import FIRST

if TYPE_CHECKING:
    from mrv.statement.plan_extract import MonitoringPlan
    from mrv.stored_tokens import TokenSummary


_TIMES = ("measured_us", "estimated_us", "unknown_us")


class Day(NamedTuple):
    """
    A local day of a monitored parameter.

    `value`: None if nothing was measured or estimated, which is not zero.  Times are of the
    device's service on that day. [us]
    """

    parameter: int
    day: date
    from_us: int
    to_us: int
    value: int | None
    measured_us: int
    estimated_us: int
    unknown_us: int

    @property
    def missing_us(self) -> int:
        """Return the time without any data. [us]"""
        return self.to_us - self.from_us - self.measured_us - self.estimated_us - self.unknown_us


def day_sums(
    parameters: Sequence[MonitoredParameter], rows: IntervalRows, fleet: Fleet, timezone: str
) -> list[Day]:
    """
    Return daily sums, by monitored parameter and day.

    `parameters`: parameters of a statement.
    `rows`: rows by device, quantity and start.
    """
    count = len(QUANTITY_INDEX)
    keys = rows.device.astype(np.int64) * count + rows.quantity
    result: list[Day] = []
    for place, parameter in enumerate(parameters):
        key = fleet.by_id[parameter.device] * count + QUANTITY_INDEX[parameter.parameter]
        begin, end = np.searchsorted(keys, [key, key + 1])
        mine = rows.take(np.arange(begin, end))
        begin_us, end_us = (instant_us(edge, "UTC") for edge in (parameter.from_, parameter.to))
        result.extend(_of_device(place, mine, begin_us, end_us, timezone))
    return result


def _of_device(
    place: int, rows: IntervalRows, from_us: int, to_us: int, timezone: str
) -> Iterator[Day]:
    cut = (
        [
            (day, max(begin, from_us), min(end, to_us))
            for day, begin, end in days(from_us, to_us, timezone)
        ]
        if from_us < to_us
        else []
    )
    if not cut:
        return
    edges = np.searchsorted(rows.start_us, [*(begin for _, begin, _ in cut), cut[-1][2]])
    for (day, begin, end), (a, b) in zip(cut, pairwise(edges.tolist()), strict=True):
        value = sum(rows.value[a:b].tolist())
        times = [int(getattr(rows, name)[a:b].sum()) for name in _TIMES]
        known = value or times[0] + times[1]
        yield Day(place, day, begin, end, value if known else None, *times)


# the year of a deduction over all of a device's service, as tonne 0.1.0 stated it in words
_NAMED = re.compile(r"above the design of ([0-9]{4}):|of the same meter in ([0-9]{4}),")


def _year_named(entry: Gap | Deduction) -> int | None:
    if not isinstance(entry, Deduction):
        return None
    if not isinstance(entry.reason, str):
        year = entry.reason.values.get("year")
        return year if isinstance(year, int) else None
    match = _NAMED.search(entry.reason)
    return int(match[1] or match[2]) if match else None


# year, month (0 for none), index of the parameter
_Key = tuple[int, int, int]


@dataclass(frozen=True)
class Line:
    """
    A row of the calculation: a device in its role in a local calendar year, or in a month if the
    methodology accounts by months.

    `parameter`: index in the statement's `monitoredParameters`.
    `first`, `last`: range of its days in `Facts.days`, half-open.
    `deductions`, `gaps`: indices in the statement's lists.
    """

    parameter: int
    year: int
    month: int | None
    first: int
    last: int
    metered: int
    deductions: tuple[int, ...]
    gaps: tuple[int, ...]


@dataclass(frozen=True)
class Facts:
    """
    Data from which a statement's report is written.

    `statement`: the statement's credential, unsigned for a draft.
    `verification`: the verifier's credential.
    `rows`: interval rows of the period; devices by their index in the plan.
    `factors`: all factors of the kinds that were used.
    `state`: state, as in `mrv.statement.states`.
    `raised`: findings so far, from `Record.credential_form`.
    `log_index`: index of the log entry.
    `stamps`: authorities and times of its time stamps, as in the tokens.
    `sampling`: the verifier's signed list of device-days, if one was drawn.
    `organisations`: organisation of an enrolled key, by did:key.
    `names`: name of the project in the registry, by language; the statement has one name only.
    `twin`: the public version of the statement, if the report is of one; its hidden texts stay
    hidden.
    `issued`: time of issue, UTC, as in the manifest that the log signs.
    """

    statement: Mapping[str, Any]
    verification: Mapping[str, Any] | None
    plan: MonitoringPlan
    rows: IntervalRows
    factors: Factors
    state: str
    raised: tuple[FindingShown, ...] = ()
    log_index: int | None = None
    superseded_by: str | None = None
    sampling: Mapping[str, Any] | None = None
    stamps: tuple[TokenSummary, ...] = ()
    twin: Mapping[str, Any] | None = None
    organisations: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    issued: str | None = None

    @property
    def hidden(self) -> tuple[int, str] | None:
        """Return the number of hidden texts, and the original's SHA-256; None for an original."""
        if self.twin is None:
            return None
        content = self.twin["credentialSubject"]
        return len(content["redactions"]), str(content["originals"]["statement"])

    def project(self, language: str) -> str:
        """Return the project's name in a language, else as in the statement."""
        signed = self.subject.project.name
        return signed if self.twin is not None else self.names.get(language, signed)

    def organisation(self, issuer: Issuer) -> str:
        """Return the signer's organisation; the name of the key if unknown."""
        return self.organisations.get(issuer.id) or issuer.name

    @cached_property
    def stated(self) -> Statement:
        """Return the statement as a type; the attached file is the document itself."""
        return read(Statement, self.statement, "the statement")

    @cached_property
    def opinion(self) -> Verification | None:
        """Return the verifier's credential as a type; None without a verification."""
        document = self.verification
        return None if document is None else read(Verification, document, "the verification")

    @cached_property
    def sample(self) -> SamplingList | None:
        """Return the verifier's sampling list as a type; None without one."""
        document = self.sampling
        return None if document is None else read(SamplingList, document, "the sampling list")

    @property
    def subject(self) -> Claims:
        """Return the claims of the statement."""
        return self.stated.credential_subject

    @cached_property
    def book(self) -> FactorBook:
        """
        Return the factors for the calculation, by the rule set of the statement.

        Factors of a registry file are included only if they were used; rule set 1 uses no bounds.
        """
        used = {factor.id for factor in self.subject.factors}
        counted = FactorBook(
            factor for factor in self.factors if not factor.brought or factor.id in used
        )
        own = counted.within(grid_of(self.plan.project))
        return own if self.plan.accounting > FIRST else centres(own)

    @property
    def name(self) -> str:
        """Return the statement's id."""
        return self.subject.statement

    @property
    def timezone(self) -> str:
        """Return the time zone of days and years."""
        return self.plan.project.timezone

    @property
    def by_months(self) -> bool:
        """Return whether the design's year is distributed by months, not evenly over its days."""
        expected = self.plan.project.expected
        used = in_force(expected, (*self.span_us, self.timezone))
        return any(version.get("by_month", expected.get("by_month")) for version, _, _ in used)

    @property
    def span_us(self) -> tuple[int, int]:
        """Return start and end of the monitoring period, half-open. [us UTC]"""
        period = self.subject.monitoring_period
        begin, end = (instant_us(edge, "UTC") for edge in (period.from_, period.to))
        return begin, end

    @property
    def parameters(self) -> tuple[MonitoredParameter, ...]:
        """Return the statement's monitored parameters."""
        return self.subject.monitored_parameters

    @property
    def compared(self) -> list[MonitoredParameter]:
        """Return the monitored parameters that are compared with the design and other periods."""
        roles = self.plan.energy
        return [p for p in self.parameters if p.unit == "Wh" and (not roles or p.role in roles)]

    @property
    def findings(self) -> tuple[FindingShown, ...]:
        """Return findings and remarks: as signed by the verifier, or those raised so far."""
        if self.opinion is None:
            return self.raised
        return self.opinion.credential_subject.listed_findings

    @cached_property
    def methodology(self) -> Methodology:
        """Return the methodology, in the version that the statement names."""
        methodology = self.subject.methodology
        return find(methodology.id, methodology.version)

    @cached_property
    def days(self) -> list[Day]:
        """Return daily sums, by monitored parameter and local day."""
        return day_sums(self.parameters, self.rows, self.plan.fleet(), self.timezone)

    @cached_property
    def lines(self) -> list[Line]:
        """Return rows of the calculation, by local calendar year and monitored parameter."""
        result: dict[_Key, list[int]] = {}
        for place, day in enumerate(self.days):
            result.setdefault((*self._when(day.day), day.parameter), []).append(place)
        # sorted by role, so that the sum of a role is one range of cells
        order = sorted(result, key=lambda key: (*key[:2], self.parameters[key[2]].role, key[2]))
        deductions = self._by_line(self.subject.deductions)
        gaps = self._by_line(self.subject.gaps)
        return [
            Line(
                parameter,
                year,
                month or None,
                places[0],
                places[-1] + 1,
                sum(self.days[i].value or 0 for i in places),
                tuple(deductions.get((year, month, parameter), ())),
                tuple(gaps.get((year, month, parameter), ())),
            )
            for year, month, parameter in order
            for places in (result[year, month, parameter],)
        ]

    def _when(self, day: date) -> tuple[int, int]:
        """Return year and month of a row; month 0 where the methodology calculates by year."""
        return day.year, day.month if self.methodology.monthly else 0

    def _by_line(self, entries: Sequence[Gap | Deduction]) -> dict[_Key, list[int]]:
        """Return indices of gaps or deductions by year, month and parameter."""
        serving: dict[str, list[tuple[int, int, int]]] = {}
        for place, item in enumerate(self.parameters):
            begin, end = (instant_us(edge, "UTC") for edge in (item.from_, item.to))
            serving.setdefault(item.device, []).append((place, begin, end))
        result: dict[_Key, list[int]] = {}
        for place, entry in enumerate(entries):
            begin = instant_us(entry.from_, "UTC")
            year, month = self._when(local_date(begin, self.timezone))
            whose = [p for p, first, last in serving[entry.device] if first <= begin < last]
            for parameter in whose[:1]:
                result.setdefault((_year_named(entry) or year, month, parameter), []).append(place)
        return result

    def adjusted(self, line: Line) -> Fraction:
        """Return the adjustment of a row by meter errors, design and rules. [base units]"""
        side = self.parameters[line.parameter].side
        subset = (self.subject.deductions[i].adjusts(side) for i in line.deductions)
        return sum(subset, start=Fraction(0))

    def substituted(self, line: Line) -> Fraction:
        """Return the quantity substituted for a row's gaps. [base units]"""
        return sum((Fraction(self.subject.gaps[i].substituted) for i in line.gaps), Fraction(0))

    def counted(self, line: Line) -> Fraction:
        """Return the quantity of a row used in the equation. [base units]"""
        return line.metered + self.adjusted(line) + self.substituted(line)
