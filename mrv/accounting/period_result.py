"""
Types of a closed period's result: text and whole numbers.

All of it is copied into the statement (`dataclasses.asdict`).  Tonnes are decimal text with six
places, each rounded conservatively: baseline and reduction down, project and leakage up.  The
credit is calculated from the exact reduction, not from these texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from mrv.documents.period_account import EvidenceItem, FactorUsed, RuleEffect
from mrv.model import Side
from mrv.texts import RELEASE_0_1_0, Text, Texts, joined, signed_by_0_1_0, text, texts_of

# sources that meters are compared with
METER, INVOICE = "check meter", "invoice"
# detail of a differing invoice that others offset
OFFSET = "cross_check.offset"
# a check meter read rarely differs only in its first and last register step
EDGES = "cross_check.edges"
# treatment of a gap: that of its side, the more conservative of both sides, or by the analyser's
# other days
GapRule = Literal["baseline", "project", "both", "analyser"]
# kinds of values on which a reduction depends
METERED: Final = "meter"
PARAMETER: Final = "parameter"


@dataclass(frozen=True, slots=True)
class Amount:
    """Amount of CO2e, as text in tonnes and as whole micrograms."""

    t: str
    ug: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Both sides of the account and the reduction."""

    baseline: Amount
    project: Amount
    leakage: Amount
    reduction: Amount


@dataclass(frozen=True, slots=True)
class Coverage:
    """
    A device's time in the period; shares of its time in service have six places,
    rounded down.
    """

    period_us: int
    installed_us: int
    measured_us: int
    estimated_us: int
    unknown_us: int
    missing_us: int
    calibrated_us: int
    installed_share: str
    measured_share: str
    estimated_share: str
    unknown_share: str
    missing_share: str
    calibrated_share: str


@dataclass(frozen=True, slots=True)
class DeviceOutcome:
    """
    One device's monitored parameter. [base unit]

    `counted` = `metered` less `deducted` on the baseline side, and plus
    `deducted` plus `substituted` on the project side; `outside_service` was
    metered while the device was not installed or not in this project.
    """

    device: str
    role: str
    side: Side
    quantity: str
    unit: str
    symbol: str
    source: str
    option: str
    from_us: int
    to_us: int
    metered: int
    outside_service: int
    deducted: str
    substituted: str
    counted: str
    emissions_t: str
    certificates: tuple[str, ...]
    replacements: int
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class GapOutcome:
    """
    Gap of a device's data, and its effect on the reduction.

    `rule`: its side, `both` or `analyser`.  `parameters`: those that the analyser did not measure.
    `cost_t`: deduction for the gap.  `forgone_at_most_t`: highest reduction that a gap on the
    baseline side may have lost; None if unknown or on the project side.
    """

    device: str
    start_us: int
    end_us: int
    kind: str
    time_us: int
    rule: GapRule
    substituted: str
    cost_t: str
    forgone_at_most_t: str | None
    parameters: tuple[str, ...] = ()

    @property
    def signed_by_0_1_0(self) -> str:
        """Return the gap's rule in the words that tonne 0.1.0 signed."""
        return signed_by_0_1_0(f"gap_{self.rule}")


@dataclass(frozen=True, slots=True)
class Deduction:
    """
    Adjustment for an error of a meter, own use, the design or a rule, and its effect.

    `quantity` is added to the metered quantity: negative for a deduction; in rule set 1 positive on
    either side [base units].  `kind` is the id of the rule, if a rule made the adjustment.
    """

    device: str
    start_us: int
    end_us: int
    kind: str
    reason: Text | str
    percent: str
    quantity: str
    cost_t: str


@dataclass(frozen=True, slots=True)
class ParameterUse:
    """
    Ex-ante parameter; `device` is None for one of the whole project.

    `option` is the JCM monitoring option of its value, empty for a choice of the project design.
    `certainty` is that of the methodology's reference, not of the value.
    """

    device: str | None
    name: str
    symbol: str
    value: str
    unit: str
    meaning: str
    source: str
    certainty: str
    option: str


@dataclass(frozen=True, slots=True)
class Vintage:
    """Part of a local calendar year: its reduction, and the whole tonnes credited."""

    year: int
    reduction_t: str
    credit_t: int


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Result of a rule or of a methodology's condition, and whether it is met.

    `rule`: id in `mrv/rules/rules.toml`, or the clause of the condition.  `severity`: empty if it
    is met, and in rule set 1.  `tonnes`: increase of the reduction if its rule is resolved, or the
    rule's deduction alone; empty without deduction. [tCO2e]
    """

    rule: str
    holds: bool
    texts: Texts
    severity: str = ""
    tonnes: str = ""
    devices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", texts_of(self.texts))

    @property
    def lines(self) -> tuple[Text, ...]:
        """Return the texts of the finding, rendered later in the reader's language."""
        return texts_of(self.texts)

    @property
    def signed_by_0_1_0(self) -> str:
        """Return the finding's texts in the form that tonne 0.1.0 signed."""
        return joined(self.lines, RELEASE_0_1_0)

    @property
    def detail(self) -> str:
        """Return the finding's texts in English."""
        return joined(self.lines, tonnes=self.tonnes)


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Actual quantity, and the expected one in proportion to the period's length.

    `basis`: `design` (a year of 365 days) or the statement of another period.  `roles`: roles of
    the energy, if the project also meters other energy.
    """

    basis: str
    what: str
    expected: str
    actual: str
    difference_percent: str | None
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """
    Quantity of meters compared with a check meter or an invoice. [base units]

    `ours` (metered) and `theirs` (check meter or invoice): quantities of the common time;
    `coverage`: its share of the span.  `effect_t`: overstatement of the reduction if `theirs` is
    correct, negative for an understatement.  `holds`: whether they agree; None if they could not be
    compared, with the reason in `detail`.  `outside`: part of `ours` outside the period.
    """

    kind: str
    against: str
    devices: tuple[str, ...]
    quantity: str
    unit: str
    from_us: int
    to_us: int
    coverage: str
    ours: str
    theirs: str
    difference_percent: str | None
    tolerance_percent: str
    effect_t: str
    holds: bool | None
    detail: Text | str
    outside: int = 0

    @property
    def is_offset(self) -> bool:
        """Return whether the quantities differ, but other invoices offset the difference."""
        return isinstance(self.detail, Text) and self.detail.code == OFFSET

    @property
    def ours_within(self) -> int:
        """Return the metered quantity within the period. [base units]"""
        return int(self.ours) - self.outside

    @property
    def theirs_within(self) -> int:
        """Return the invoiced quantity within the period. [base units]"""
        return max(0, int(self.theirs) - self.outside)

    @property
    def witness(self) -> Text:
        """Return the text naming the check meter or the invoice."""
        kind = text("cross_check.invoice" if self.kind == INVOICE else "cross_check.meter")
        return text("cross_check.witness", kind=kind, against=self.against)


@dataclass(frozen=True, slots=True)
class PeriodResult:
    """
    Result of the accounting of a monitoring period: reductions, deductions, gaps, findings,
    credits.

    `gross`: before deductions and substitutions; `net`: after them.  `carried_ug`: negative
    reduction carried from earlier periods; `carry_ug`: carried to the next; both are 0 or negative.
    `credit_t`: whole tonnes.  `before_evidence_ug`: reduction before deductions for missing
    documents and invoices.  `claimed_t`: reduction that the evidence is graded for, before EVD-03
    or PAR-05 sets it to 0.  `compared`: kinds of factors that conditions and rejected values used.
    """

    project: str
    methodology: str
    version: str
    timezone: str
    from_us: int
    to_us: int
    gross: Totals
    net: Totals
    carried_ug: int
    carry_ug: int
    credit_t: int
    before_evidence_ug: int
    claimed_t: str
    covered_share: str
    vintages: tuple[Vintage, ...]
    devices: tuple[DeviceOutcome, ...]
    gaps: tuple[GapOutcome, ...]
    deductions: tuple[Deduction, ...]
    factors: tuple[FactorUsed, ...]
    parameters: tuple[ParameterUse, ...]
    applicability: tuple[Finding, ...]
    comparisons: tuple[Comparison, ...]
    cross_checks: tuple[CrossCheck, ...]
    compared: tuple[str, ...] = ()
    rules: tuple[RuleEffect, ...] = ()
    evidence: tuple[EvidenceItem, ...] = ()
