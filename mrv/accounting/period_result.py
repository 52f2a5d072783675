"""
What a closed monitoring period says: plain text and whole numbers.

Everything here goes into a statement as it stands (`dataclasses.asdict`).
Tonnes are decimal text with six places, each rounded against the claimant:
baseline and reduction down, project and leakage up.  The credit comes from the
exact reduction, not from these texts.
"""

from __future__ import annotations

from dataclasses import dataclass

from mrv.model import Side
from mrv.parameters.evidence import Grade
from mrv.texts import RELEASE_0_1_0, Text, Texts, joined, text, texts_of

# kinds of what meters are compared with
METER, INVOICE = "check meter", "invoice"
# kinds of what carries a reduction
METERED, PARAMETER = "meter", "parameter"


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of CO2e, as text in tonnes and as whole micrograms."""

    t: str
    ug: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Both sides of the account and what is left."""

    baseline: Amount
    project: Amount
    leakage: Amount
    reduction: Amount


@dataclass(frozen=True, slots=True)
class Coverage:
    """A device's time in the period; shares are of its time in service, six places, down."""

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
    A gap and what it cost.

    `cost_t` is what was charged for it; `forgone_at_most_t` is what a gap on the
    baseline side could have earned at the device's highest rate, None where that
    is not known or the gap is on the project side.
    """

    device: str
    start_us: int
    end_us: int
    kind: str
    time_us: int
    rule: str
    substituted: str
    cost_t: str
    forgone_at_most_t: str | None


@dataclass(frozen=True, slots=True)
class Deduction:
    """
    What an error of a meter, own use, the design or a rule took off or added, and what it cost.

    `quantity` is what is added to the metered quantity, below zero where it was taken off; by rule
    set 1 above zero on either side. [base units]  `kind` is the rule's id where it is a rule.
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
class FactorUse:
    """
    A factor that the figures rest on.

    `provisional`: its year has no official value yet.  `accepted`: the project
    accepts by name a factor that is unverified; None for any other factor.
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
    accepted: bool | None
    sha256: str


@dataclass(frozen=True, slots=True)
class ParameterUse:
    """
    A parameter that was fixed ex ante; `device` None: of the whole project.

    `option` is the JCM monitoring option that its value was taken by, empty for
    a choice of the project design.

    `certainty` is that of what the methodology's file says of it, not of its value.
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
    """A local calendar year's part: its reduction, and the whole tonnes credited to it."""

    year: int
    reduction_t: str
    credit_t: int


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """
    What a rule takes off the reduction, as decimal text with six places. [tCO2e]

    `deducted_alone_t`: with this rule and no other; `returns_if_resolved_t`: by how much the
    reduction rises if this rule alone is resolved.
    Where two rules bind one quantity, the latter is 0 for both.  `applied` is false for a rule
    that would raise the reduction: of two figures the one that costs the claimant counts.
    """

    rule: str
    deducted_alone_t: str
    returns_if_resolved_t: str
    applied: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What a rule or a condition of the methodology found, and whether it holds.

    `rule` is an id of `mrv/rules/rules.toml`, or the clause of the methodology's condition;
    `severity` is empty where it holds, and by rule set 1.  `tonnes` is what comes back if its rule
    is settled, or what that takes alone; empty where it takes nothing off. [tCO2e]
    """

    rule: str
    holds: bool
    texts: Texts
    severity: str = ""
    tonnes: str = ""
    devices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Take words that have no code as well."""
        object.__setattr__(self, "texts", texts_of(self.texts))

    @property
    def lines(self) -> tuple[Text, ...]:
        """Its texts."""
        return texts_of(self.texts)

    @property
    def signed_by_0_1_0(self) -> str:
        """Its texts as tonne 0.1.0 signed them."""
        return joined(self.lines, RELEASE_0_1_0)

    @property
    def detail(self) -> str:
        """Its texts in English."""
        return joined(self.lines, tonnes=self.tonnes)


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    What was expected, pro rata of the period's length, and what came.

    `basis` is `design`, a year of 365 days, or the statement of another period.
    `roles` are those whose energy it is, where the project meters other energy too.
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
    What meters say, compared with another witness of the same energy. [base unit]

    `ours` and `theirs` are of the time that both witness, `coverage` its share of
    the span.  `effect_t` is by how much the reduction would be too high if the other
    one were right, negative where too low.  `holds` is None where nothing could be
    compared; `detail` says why.  `outside` is the part of `ours` that an invoice's meters
    metered outside the period.
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
    def ours_within(self) -> int:
        """What the meters say of the period. [base units]"""
        return int(self.ours) - self.outside

    @property
    def theirs_within(self) -> int:
        """What an invoice leaves for the period. [base units]"""
        return max(0, int(self.theirs) - self.outside)

    @property
    def witness(self) -> Text:
        """The check meter or the invoice, as a text names it."""
        kind = text("cross_check.invoice" if self.kind == INVOICE else "cross_check.meter")
        return text("cross_check.witness", kind=kind, against=self.against)


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """
    What a meter's quantity or an entered value carries of the account, and what shows it.

    Attributes
    ----------
    kind : str
        `METERED` or `PARAMETER`.
    name : str
        The device's id, or the parameter's name.
    role : str
        Of a meter, or of the devices that a parameter belongs to; empty of the project's own.
    tonnes : str
        Emissions of the quantity on its side, of a project-side meter at its highest plausible
        rate; of a value, by how much the reduction would be another one without it. The last two
        are at most the whole reduction. [tCO2e]
    shown_by : tuple of str
        Certificates, invoices, documents or reports.
    """

    kind: str
    name: str
    role: str
    grade: Grade
    tonnes: str
    shown_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeriodResult:
    """
    A closed monitoring period.

    `gross` is before deductions and substitutions, `net` after them.
    `carried_ug` came from earlier periods with a negative reduction, `carry_ug`
    goes to the next; both are 0 or negative.  `credit_t` is whole tonnes.  `before_evidence_ug`
    is the reduction without what documents and invoices that are lacking take off.  `compared`
    are kinds of factors that were looked at, by conditions and by values that were tried
    and do not count, beside those of the figures.
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
    covered_share: str
    vintages: tuple[Vintage, ...]
    devices: tuple[DeviceOutcome, ...]
    gaps: tuple[GapOutcome, ...]
    deductions: tuple[Deduction, ...]
    factors: tuple[FactorUse, ...]
    parameters: tuple[ParameterUse, ...]
    applicability: tuple[Finding, ...]
    comparisons: tuple[Comparison, ...]
    cross_checks: tuple[CrossCheck, ...]
    compared: tuple[str, ...] = ()
    rules: tuple[RuleEffect, ...] = ()
    evidence: tuple[EvidenceItem, ...] = ()
