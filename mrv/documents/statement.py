"""
The statement of a monitoring period, field by field; and the changes of a correction.

Quantities are decimal text in the unit of their name, else in the base unit given with them (Wh, m,
kg).  Tonnes are of CO2 equivalent.  Shares have six decimals, rounded down.  Times are half-open
spans.

Fields that may be `UNSET` were added after tonne 0.1.0, and are absent in its statements; none of
them changes the meaning of the others.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mrv.documents import (
    UNSET,
    Coded,
    Credential,
    Form,
    Hex,
    Issuer,
    LocalTime,
    Number,
    Proof,
    Time,
    UnsetType,
    Whole,
    read,
)
from mrv.documents.monitoring import (
    Arrival,
    CrossCheck,
    DesignDocument,
    FactorAccepted,
    LaboratoryResult,
    MonitoredParameter,
    PlanVersion,
    SignedEnergy,
    UnusualReadings,
)
from mrv.documents.period_account import (
    Carried,
    Comparison,
    Condition,
    Credited,
    Deduction,
    Evidence,
    FactorUsed,
    FixedParameter,
    Gap,
    Misstatements,
    PeriodComparison,
    RuleEffect,
    Totals,
    WarmingPotentials,
)
from mrv.registry import Declared


class DeviceDifference(Form):
    """Metered and counted quantity of a device, before and now; None: absent."""

    device: str
    role: str
    metered_before: Whole | None
    metered_now: Whole | None
    counted_before: Number | None
    counted_now: Number | None


class InputDifference(Form):
    """An input with another value than in the statement before; None: absent."""

    name: str
    before: str | None
    now: str | None


class Difference(Form):
    """
    Changes of a correction against the statement that it replaces.

    `inputs` are registry entries: parameters, ratings, certificates, serials.
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


# findings that replace an entered value because evidence is missing
_BELOW_GRADE = {"PAR-05.asked_applied", "PAR-05.asked_negative", "PAR-05.asked_nothing"}


class Period(Form):
    """A span of time, in UTC and in the project's time zone."""

    from_: Time
    to: Time
    local_from: LocalTime
    local_to: LocalTime
    timezone: str


class ProjectNamed(Form):
    """The project: its crediting period, and its mitigation action if it has one."""

    id: str
    name: str
    crediting_period: Period
    action: str | None


class MethodologyNamed(Form):
    """The methodology and version of the account."""

    id: str
    version: str
    title: str
    reference: str


class Digests(Form):
    """Merkle roots of readings and intervals, digests of plan and factors; all in hex."""

    readings: Hex
    intervals: Hex
    plan: Hex
    factors: Hex


class Supersedes(Form):
    """The statement that this one replaces, and the reason."""

    statement: str
    reason: str | None
    difference: Difference | UnsetType = UNSET


class Claims(Form):
    """
    Claims of a statement for its period: the credential's subject.

    `accounting`: version of the accounting rules; 1 if absent.  `arrival`, `signed_energy`: absent
    in older statements.  `issue_signatures`: number of required approvals; 1 if absent.
    `declared`: surveys, events and the registered design, as entered by the operator.
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
    design_documents: tuple[DesignDocument, ...] | UnsetType = UNSET
    accepted_factors: tuple[FactorAccepted, ...] | UnsetType = UNSET
    declared: Declared | UnsetType = UNSET
    monitored_parameters: tuple[MonitoredParameter, ...]
    coverage: Number
    gaps: tuple[Gap, ...]
    deductions: tuple[Deduction, ...]
    applicability: tuple[Condition, ...]
    rules: tuple[RuleEffect, ...] | UnsetType = UNSET
    evidence: Evidence | UnsetType = UNSET
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


class FixedExAnte(Form):
    """The claims of a statement that state values fixed ex ante."""

    fixed_parameters: tuple[FixedParameter, ...] | UnsetType = UNSET
    applicability: tuple[Condition, ...]


def fixed_ex_ante(claims: Claims | FixedExAnte) -> Iterator[tuple[str | None, str, str]]:
    """
    Yield the values fixed ex ante: device (None: whole project), parameter and value.

    If a programme does not accept a value because evidence is missing, the original value is
    yielded, not the one that replaces it in the account.
    """
    awaiting: dict[tuple[object, object], str] = {}
    for item in (text for condition in claims.applicability for text in condition.texts or ()):
        whose, amount = item.values.get("subject"), item.values.get("amount")
        if item.code in _BELOW_GRADE and isinstance(whose, Coded) and isinstance(amount, Coded):
            devices = whose.values.get("devices", (None,))
            for device in devices if isinstance(devices, tuple) else ():
                awaiting[device, whose.values["parameter"]] = str(amount.values["value"])
    for fixed in claims.fixed_parameters or ():
        key = fixed.device, fixed.parameter
        yield *key, awaiting.get(key, fixed.value)


class StatusEntry(Form):
    """Index of a statement in its project's status list (W3C Bitstring Status List)."""

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
    Return the claims of a statement from its JSON, signed or not.

    Raises CanonicalError, naming the path of the first field that is missing, unknown or of another
    type.
    """
    return read(Statement, document, name).credential_subject
