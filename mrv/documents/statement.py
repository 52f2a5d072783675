"""
The statement of a monitoring period, field by field.

Quantities are decimal text in the unit that their name carries, those without one in
the base unit beside them (Wh, m, kg).  Tonnes are of CO2 equivalent.  Shares have six
places, rounded down.  Times are half-open spans.

Fields that may be `UNSET` came after tonne 0.1.0's first statements, in which they are
absent; none of them changes what the others mean.
"""

from collections.abc import Mapping
from typing import Any, Literal

from mrv.documents.credential import Credential, Issuer, Proof
from mrv.documents.form import (
    UNSET,
    Form,
    Hex,
    LocalTime,
    Number,
    Time,
    UnsetType,
    Whole,
    field,
    read,
)

Side = Literal["baseline", "project"]


class Period(Form):
    """A span of time, in UTC and in the project's time zone."""

    from_: Time
    to: Time
    local_from: LocalTime
    local_to: LocalTime
    timezone: str


class ProjectNamed(Form):
    """The project: its crediting period, and its mitigation action where it has one."""

    id: str
    name: str
    crediting_period: Period
    action: str | None


class MethodologyNamed(Form):
    """The methodology and version that the account was made by."""

    id: str
    version: str
    title: str
    reference: str


class Amount(Form):
    """An amount of CO2e: tonnes with six places, and whole micrograms."""

    t: Number
    ug: Whole


class Totals(Form):
    """Both sides of the account, and what is left."""

    baseline: Amount
    project: Amount
    leakage: Amount
    reduction: Amount


class Carried(Form):
    """What earlier periods left below zero, and what this one leaves; from which statements."""

    from_: str | None
    in_ug: Whole
    out_ug: Whole


class Vintage(Form):
    """A local calendar year's part."""

    year: int
    reduction_t: Number
    credited_t: Whole


class Credited(Form):
    """Whole tonnes, rounded down once."""

    t: Whole
    rounding: Literal["down"]
    vintages: tuple[Vintage, ...]


class WarmingPotentials(Form):
    """The set of global warming potentials, and the values that were used."""

    set: str
    co2: Number = field(name="CO2")


class FactorUsed(Form):
    """
    An emission factor that the figures rest on.

    `provisional`: its year has no official value yet.  `accepted_by_project`: the project
    accepts by name a factor of certainty M (from memory); None for any other.
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

    @property
    def accepted(self) -> bool | None:
        """`accepted_by_project`, None where a statement does not say it."""
        return None if self.accepted_by_project is UNSET else self.accepted_by_project


class FixedParameter(Form):
    """A parameter that was fixed ex ante; `device` None: of the whole project."""

    device: str | None
    parameter: str
    symbol: str | UnsetType = UNSET
    value: str
    unit: str
    meaning: str
    source: str
    certainty: str
    monitoring_option: str | UnsetType | None = UNSET


class PlanVersion(Form):
    """A version of the project's monitoring plan in force, with its digest."""

    version: str
    from_: str
    responsible: str
    sha256: Hex


class Rated(Form):
    """A rated power [W], and from when on it counts."""

    from_: Time
    rated_power_w: Whole


class Meter(Form):
    """
    The meter of a device: its class and profile, serial number and accuracy class.

    `ratings` are its rated powers in order of time, the first for all time before.
    """

    class_: str
    profile: str
    serial: str | None
    accuracy_class: str | None
    replacements: int
    maker: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    ratings: tuple[Rated, ...] | UnsetType = UNSET


class CalibrationShown(Form):
    """A calibration certificate."""

    certificate: str
    performed: str
    valid_until: str
    accuracy_class: str | None
    max_error_percent: str | None = field(name="maxErrorPercent")
    serial: str | UnsetType = UNSET


class Planned(Form):
    """What the newest version of the monitoring plan says of a device in a role."""

    version: str
    channel: str | None
    option: str
    frequency: str
    accuracy_class: str | None
    qa_qc: str
    responsible: str


class ReadingsReach(Form):
    """How many readings, the first and the last, and how many lie outside of the period."""

    count: int
    first: Time | None
    last: Time | None
    outside_period: int


class CoverageShown(Form):
    """Where a device's time went, in seconds and as shares of its time in service."""

    installed_s: Number
    measured_s: Number
    estimated_s: Number
    unknown_s: Number
    missing_s: Number
    substituted_s: Number | UnsetType = UNSET
    calibrated_s: Number
    installed_share: Number
    measured_share: Number
    estimated_share: Number
    unknown_share: Number
    missing_share: Number
    calibrated_share: Number


class MonitoredParameter(Form):
    """
    What one device in one role metered, and what of it counts. [base unit]

    `counted` = `metered` less `deducted` on the baseline side, and plus `deducted` plus
    `substituted` on the project side.
    """

    device: str
    role: str
    side: Side
    parameter: str
    symbol: str | UnsetType = UNSET
    unit: str
    source: str | UnsetType = UNSET
    monitoring_option: str
    from_: Time
    to: Time
    metered: Whole
    outside_service: Whole
    deducted: Number
    substituted: Number
    counted: Number
    emissions_t: Number
    meter: Meter
    calibrations: tuple[CalibrationShown, ...]
    plan: Planned | UnsetType | None = UNSET
    readings: ReadingsReach
    coverage: CoverageShown


class Gap(Form):
    """A gap, the rule for it, and what it cost; what it could have earned at most."""

    device: str
    from_: Time
    to: Time
    kind: str
    time_s: Number
    rule: str
    substituted: Number
    cost_t: Number
    forgone_at_most_t: Number | None


class Deduction(Form):
    """What was taken off for a meter's error or a design, why, and what it cost."""

    device: str
    from_: Time
    to: Time
    reason: str
    percent: Number
    quantity: Number
    cost_t: Number


class Condition(Form):
    """A condition of the methodology or of tonne, and what of it does not hold."""

    clause: str
    holds: bool
    detail: str


class Comparison(Form):
    """
    What was expected, pro rata of the period's length, and what came.

    `roles` are those whose energy it is; absent where it is all energy that is metered.
    """

    what: str
    expected: Number
    actual: Number
    difference_percent: Number | UnsetType | None = UNSET
    roles: tuple[str, ...] | UnsetType = UNSET


class PeriodComparison(Comparison):
    """A comparison with the statement of another period."""

    statement: str


class CrossCheck(Form):
    """
    What meters say, held against a check meter or an invoice of the same energy.

    `effect_t` is by how much the reduction would be too high if the other one were right.
    `holds` is None where nothing could be compared; `detail` says why.
    """

    kind: str
    against: str
    devices: tuple[str, ...]
    parameter: str
    unit: str
    from_: Time
    to: Time
    compared_share: Number
    metered: Number
    witnessed: Number
    difference_percent: Number | None
    tolerance_percent: str
    effect_t: Number
    holds: bool | None
    detail: str
    readings: ReadingsReach | None


class UnusualReadings(Form):
    """
    What a quality test found unusual in a period, and what stands in those quarter hours.

    `energy_Wh` is what meters of energy metered in them, `emissions_t` what all meters did, on
    either side of the account.
    """

    test: str
    readings: Whole
    devices: Whole
    quarter_hours: Whole
    energy_wh: Whole = field(name="energy_Wh")
    emissions_t: Number


class Misstatements(Form):
    """Errors that stand, net and absolute, beside the share from which they are material."""

    threshold_percent: Number
    net_misstatement_t: Number
    absolute_misstatement_t: Number
    net_share_percent: Number | None
    absolute_share_percent: Number | None
    material: bool


class Digests(Form):
    """Merkle roots of readings and intervals, digests of plan and factors; all in hex."""

    readings: Hex
    intervals: Hex
    plan: Hex
    factors: Hex


class DeviceDifference(Form):
    """What a device metered and what of it counted, before and now; None: it was not there."""

    device: str
    role: str
    metered_before: Whole | None
    metered_now: Whole | None
    counted_before: Number | None
    counted_now: Number | None


class InputDifference(Form):
    """An input that is another value than in the statement before; None: it was not there."""

    name: str
    before: str | None
    now: str | None


class Difference(Form):
    """
    What a correction changes of the statement that it replaces.

    `inputs` are what the registry said: parameters, ratings, certificates, serials.
    """

    reduction_t: Number
    credited_t: Whole
    coverage_before: Number
    coverage_now: Number
    evidence: tuple[str, ...]
    factors_before: tuple[str, ...]
    factors_now: tuple[str, ...]
    devices: tuple[DeviceDifference, ...]
    inputs: tuple[InputDifference, ...] | UnsetType = UNSET


class Supersedes(Form):
    """The statement that this one replaces, and why."""

    statement: str
    reason: str | None
    difference: Difference | UnsetType = UNSET


class LaboratoryResult(Form):
    """What a laboratory found in a sample, in the parameter's unit."""

    parameter: str
    sample: str
    taken: str
    value: str
    method: str
    laboratory: str
    sha256: Hex | None


class FactorAccepted(Form):
    """A factor that a registry file brought: who of the programme accepted it, when, by what."""

    factor: str
    value: str
    unit: str
    by: str
    date: str
    document: str
    sha256: Hex | None

    @property
    def told(self) -> str:
        """Who accepted it, when, by which document."""
        file = f", SHA-256 {self.sha256}" if self.sha256 else ""
        return f"accepted by {self.by} on {self.date}, {self.document}{file}"


class Arrival(Form):
    """
    When the period's readings arrived, as tonne counted them by the hour.

    `late` are those that arrived 36 hours after their day's end or later, `at_once_days`
    device-days whose readings of six hours or more came within two, `not_noted` readings
    whose arrival nobody counted: they were stored before tonne counted, or by hand.
    """

    readings: Whole
    late: Whole
    late_percent: Number
    at_once_days: Whole
    device_days: Whole
    not_noted: Whole


class SignedShare(Form):
    """Energy that one kind of signature backs, and its share of all, in percent."""

    kind: Literal["ocmf", "cose-meter", "cose-gateway", "none"]
    energy_wh: Whole = field(name="energy_Wh")
    share_percent: Number


class SignedEnergy(Form):
    """
    How much of the energy is backed by a signature (mrv/statement/signed_energy).

    `energy_Wh` is what the period's meters of energy metered, `shares` a kind of signature
    each: a meter's own value (OCMF), a meter's batch (COSE_Sign1), a gateway's, none.
    `signers` are the devices whose keys signed, `values` how many signed values the evidence
    holds, `contradicted` how many registers in them do not fit the readings beside them, and
    `stored` how many signed values of the period the operator has.
    """

    energy_wh: Whole = field(name="energy_Wh")
    shares: tuple[SignedShare, ...]
    signers: tuple[str, ...]
    values: Whole
    contradicted: Whole
    stored: Whole


class Claims(Form):
    """
    What a statement says of its period: the credential's subject.

    `accounting` is the version of the rules that the period was closed by; where it is
    absent, the first.  `arrival` and `signed_energy` are absent where tonne did not count them
    yet, and `issue_signatures`, how many have to approve the issue, where it is one.
    """

    id: str
    statement: str
    sequence: int
    project: ProjectNamed
    methodology: MethodologyNamed
    monitoring_period: Period
    metering: int | UnsetType = UNSET
    accounting: int | UnsetType = UNSET
    emissions: Totals
    emissions_before_deductions: Totals
    carried: Carried
    credited: Credited
    gwp: WarmingPotentials
    factors: tuple[FactorUsed, ...]
    fixed_parameters: tuple[FixedParameter, ...] | UnsetType = UNSET
    monitoring_plan: tuple[PlanVersion, ...] | UnsetType = UNSET
    laboratory: tuple[LaboratoryResult, ...] | UnsetType = UNSET
    accepted_factors: tuple[FactorAccepted, ...] | UnsetType = UNSET
    monitored_parameters: tuple[MonitoredParameter, ...]
    coverage: Number
    gaps: tuple[Gap, ...]
    deductions: tuple[Deduction, ...]
    applicability: tuple[Condition, ...]
    comparisons: tuple[Comparison, ...]
    other_periods: tuple[PeriodComparison, ...] | UnsetType = UNSET
    cross_checks: tuple[CrossCheck, ...] | UnsetType = UNSET
    unusual_readings: tuple[UnusualReadings, ...] | UnsetType = UNSET
    materiality: Misstatements | UnsetType = UNSET
    arrival: Arrival | UnsetType = UNSET
    signed_energy: SignedEnergy | UnsetType = UNSET
    issue_signatures: int | UnsetType = UNSET
    digests: Digests
    code_version: str
    supersedes: Supersedes | None


class StatusEntry(Form):
    """Place of a statement in its project's status list (W3C Bitstring Status List)."""

    id: str
    type: str
    status_purpose: str
    status_list_index: Whole
    status_list_credential: str


class Statement(Credential):
    """An emission reduction statement: a draft, or with the operator's issuer and proof."""

    credential_subject: Claims
    credential_status: StatusEntry | UnsetType = UNSET
    issuer: Issuer | UnsetType = UNSET
    proof: Proof | tuple[Proof, ...] | UnsetType = UNSET


def claims_of(document: Mapping[str, Any], name: str = "the statement") -> Claims:
    """
    Return what a statement says, signed or not, from its JSON.

    Raises
    ------
    CanonicalError
        Naming the path of the first field that is missing, unknown or of another type.
    """
    return read(Statement, document, name).credential_subject
