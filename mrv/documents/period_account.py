"""
The account in a statement: tonnes, factors, gaps, deductions, conditions, comparisons.

Quantities are decimal text in the unit of their name, else in the base unit given with them (Wh, m,
kg).  Tonnes are of CO2 equivalent.  Fields that may be `UNSET` were added after tonne 0.1.0, and
are absent in its statements.
"""

from fractions import Fraction
from typing import Any, Literal

from mrv.documents import (
    UNSET,
    Coded,
    Form,
    Hex,
    Number,
    Time,
    UnsetType,
    Whole,
    field,
    text_in,
    words_of,
)
from mrv.parameters import Grade
from mrv.rounding import UG_PER_T, decimal_text
from mrv.texts import Text, joined, text

# what resolves a finding
Remedy = Literal["meter_correction", "value_correction", "restored_value", "year_value",
                 "official_value", "clock_correction", "separate_meter", "output_meter",
                 "single_id", "hash_correction", "boundary_entry", "readings", "power_15min",
                 "power_measurement", "performance_test",
                 "check_meter", "invoice", "weather_data", "dated_document", "design_document",
                 "data_sheet", "nameplate", "type_approval", "licence", "maintenance_record",
                 "end_of_service", "replacement_record", "calibration_certificate",
                 "laboratory_report", "regression_data", "line_diagram", "logger_files",
                 "site_visit", "issuer_confirmation", "approval", "publication", "withdrawal",
                 "earlier_statement", "plan_version", "registration"]  # fmt: skip


class Amount(Form):
    """An amount of CO2e: tonnes with six places, and whole micrograms."""

    t: Number
    ug: Whole


class Totals(Form):
    """Both sides of the account, and the reduction."""

    baseline: Amount
    project: Amount
    leakage: Amount
    reduction: Amount

    def limit(self) -> Text | None:
        """Return a text on a limit of the reduction itself; None if it is BE - PE - LE."""
        of_sides = int(self.baseline.ug) - int(self.project.ug) - int(self.leakage.ug)
        amount = Fraction(of_sides - int(self.reduction.ug), UG_PER_T)
        if amount < Fraction(1, 1_000_000):  # rounding of the four amounts
            return None
        return text("account.limited", amount=decimal_text(amount, 6, "down"))


class Carried(Form):
    """Negative balance of earlier periods and of this one, and the statements concerned."""

    from_: str | None
    in_ug: Whole
    out_ug: Whole


class Vintage(Form):
    """Reduction and credit of a local calendar year within the period."""

    year: int
    reduction_t: Number
    credited_t: Whole


class Credited(Form):
    """Whole tonnes credited, rounded down once."""

    t: Whole
    rounding: Literal["down"]
    vintages: tuple[Vintage, ...]


class WarmingPotentials(Form):
    """The set of global warming potentials, and the values used."""

    set: str
    co2: Number = field(name="CO2")


class FactorCalculated(Form):
    """Calculation of a factor by a project: tool, result and inputs."""

    tool: str
    result: str
    inputs: dict[str, Any]


class FactorUsed(Form):
    """
    An emission factor used in the account.

    `provisional`: whether its year has no official value yet.  `accepted_by_project`: whether the
    project accepts this factor of certainty M (unverified) by name; None for any other factor.
    """

    id: str
    kind: str
    value: str
    unit: str
    direction: str
    valid_from: str | None
    valid_to: str | None
    source: str
    certainty: str
    verified: bool
    provisional: bool
    accepted_by_project: bool | UnsetType | None = UNSET
    sha256: Hex
    calculation: FactorCalculated | UnsetType = UNSET

    @property
    def accepted(self) -> bool | None:
        """Return `accepted_by_project`; None where a statement does not state it."""
        return None if self.accepted_by_project is UNSET else self.accepted_by_project


class MeasuredDay(Form):
    """
    Mean of a parameter by the plant's analyser on a local day, and the flow, its weight.

    `max_error_percent`: permissible error of the analyser, if it has no valid certificate;
    `channel`: inlet or outlet, where the parameter is the share that is removed between them.
    """

    day: str
    flow: Whole
    mean: Number
    max_error_percent: Number | UnsetType = field(default=UNSET, name="maxErrorPercent")
    channel: str | UnsetType = UNSET


class FixedParameter(Form):
    """
    A parameter fixed ex ante, or measured or surveyed according to its monitoring option.

    `device`: None for a parameter of the whole project.  `days`: days of an analyser whose mean is
    the value.
    """

    device: str | None
    parameter: str
    symbol: str | UnsetType = UNSET
    value: str
    unit: str
    meaning: str
    source: str
    certainty: str
    monitoring_option: str | UnsetType | None = UNSET
    days: tuple[MeasuredDay, ...] | UnsetType = UNSET


class Gap(Form):
    """
    A gap, its cause, its rule, its deduction, and the maximum reduction not credited.

    `rule`: baseline (counted as 0), project (at the highest plausible rate, or as invoiced if
    less), both (the less favourable of the two) or analyser (the less favourable of 0 and the
    highest daily value).  tonne 0.1.0 wrote no cause, and `rule` in words.
    """

    device: str
    from_: Time
    to: Time
    kind: str
    cause: Coded | UnsetType = UNSET
    time_s: Number
    rule: str
    substituted: Number
    cost_t: Number
    forgone_at_most_t: Number | None

    def why(self, language: str = "en") -> str:
        """Return the cause of the gap in a language; empty for a gap of tonne 0.1.0."""
        return "" if self.cause is UNSET else words_of(self.cause, language)


class Deduction(Form):
    """
    A change of a metered quantity, its reason and its deduction, in order of application.

    `kind` is the rule's id, or calibration, own use or design; `adjustment` is added to the metered
    quantity [base unit]; `cost_t` is its effect on the reduction, additive over all lines and gaps.

    In a statement of tonne 0.1.0, `kind` is absent, `reason` is in words, `quantity` is the amount
    deducted on the baseline side or added on the project side, and `cost_t` is the emissions of
    that amount.
    """

    device: str
    kind: str | UnsetType = UNSET
    from_: Time
    to: Time
    reason: str | Coded
    percent: Number
    quantity: Number | UnsetType = UNSET
    adjustment: Number | UnsetType = UNSET
    cost_t: Number

    def adjusts(self, side: Literal["baseline", "project"]) -> Fraction:
        """Return the amount added to the metered quantity of a side. [base units]"""
        if self.adjustment is not UNSET:
            return Fraction(self.adjustment)
        return Fraction(self.quantity or 0) * (-1 if side == "baseline" else 1)


class Condition(Form):
    """
    Finding of a rule or of a methodology's condition, and whether it is met.

    `rule`: id in the catalogue of rules, or the clause of the methodology's condition.
    `texts`: codes with values, rendered in the reader's language.
    `severity`: of a requirement that is not met: observation, CL (clarification request) or CAR
    (corrective action request).
    `tonnes`: `returnsIfResolved_t` of its rule, or `deductedAlone_t` if that is 0. [tCO2e]
    `remedy`: codes of the evidence or entries that resolve it; the texts of a methodology's
    condition state its remedy instead.
    tonne 0.1.0 wrote words: `clause` and `detail`.
    """

    rule: str | UnsetType = UNSET
    clause: str | UnsetType = UNSET
    holds: bool
    detail: str | UnsetType = UNSET
    texts: tuple[Coded, ...] | UnsetType = UNSET
    severity: str | UnsetType = UNSET
    tonnes: Number | UnsetType = UNSET
    devices: tuple[str, ...] | UnsetType = UNSET
    remedy: tuple[Remedy, ...] | UnsetType = UNSET

    @property
    def name(self) -> str:
        """Return the rule's id, or the clause written by tonne 0.1.0."""
        return self.clause or "" if self.rule is UNSET else self.rule

    def words(self, language: str = "en") -> str:
        """Return the finding's texts in a language; texts of tonne 0.1.0 unchanged."""
        if self.texts is UNSET:
            return self.detail or ""
        return joined([text_in(text) for text in self.texts], language, tonnes=self.tonnes or "0")


class RuleEffect(Form):
    """
    Deduction of a rule, as decimal text with six places. [tCO2e]

    `deductedAlone_t`: deduction if no other rule applied.  `returnsIfResolved_t`: increase of the
    reduction if this rule alone is resolved; where two rules limit one quantity, it is 0 for both.
    `applied`: false for a rule that would raise the reduction: the conservative value is applied.
    """

    rule: str
    deducted_alone_t: Number
    returns_if_resolved_t: Number
    applied: bool


class EvidenceItem(Form):
    """
    Evidence of a meter's quantity or an entered value, and the emissions that depend on it.

    `name`: the device's id, or the parameter's name.  `role`: role of the meter or of the
    parameter's devices; empty for a parameter of the project.  `tonnes`: for a meter, the emissions
    of its quantity (on the project side at its highest plausible rate); for a value, the change of
    the reduction without it; at most the whole reduction [tCO2e].  `shownBy`: certificates,
    invoices, documents or reports.
    """

    kind: Literal["meter", "parameter"]
    name: str
    role: str
    grade: Grade
    tonnes: Number
    shown_by: tuple[str, ...]


class EvidenceAsked(Form):
    """
    Grades of evidence that a programme requires; omitted if they are the default.

    The default is C for quantities, and B for parameters on which more than 5 % (`above_percent`)
    of the reduction depends.
    """

    quantities: Literal["B", "C", "D"]
    parameters: Literal["B", "C", "D"]
    above_percent: Number


class Evidence(Form):
    """
    Share of the reduction by grade of evidence, and by meter and value.

    A: signed by a key that the project participant does not hold; B: a third party's document
    with the hash of its file; C: an instrument under valid calibration; D: the project
    participant's own statement, or an instrument without calibration.
    """

    shares: dict[Literal["A", "B", "C", "D"], Number]
    items: tuple[EvidenceItem, ...]
    asked: EvidenceAsked | UnsetType = UNSET


class Comparison(Form):
    """
    Expected amount, in proportion to the period's length, and actual amount.

    `roles`: roles of the energy; absent for all metered energy.
    """

    what: str
    expected: Number
    actual: Number
    difference_percent: Number | UnsetType | None = UNSET
    roles: tuple[str, ...] | UnsetType = UNSET


class PeriodComparison(Comparison):
    """A comparison with the statement of another period."""

    statement: str


class Misstatements(Form):
    """Uncorrected misstatements, net and absolute, and the materiality threshold."""

    threshold_percent: Number
    net_misstatement_t: Number
    absolute_misstatement_t: Number
    net_share_percent: Number | None
    absolute_share_percent: Number | None
    material: bool
