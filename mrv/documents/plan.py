"""
The registry extract of a period, as in `plan.json`; see `mrv.statement.plan_extract`.

Empty values are omitted, except for the oldest keys.  Entered numbers are unchanged.
"""

from typing import Any, Literal

from mrv.documents import UNSET, Coded, Form, Number, Time, UnsetType, Whole, field
from mrv.documents.monitoring import (
    CalibrationShown,
    DesignDocument,
    FactorAccepted,
    LaboratoryResult,
    PlanApproval,
)
from mrv.documents.period_account import EvidenceAsked
from mrv.documents.statement import Digests
from mrv.registry import Declared
from mrv.registry.monitoring_plan import Kind as VersionKind
from mrv.registry.project import Doubt

Parameters = dict[str, Any]


class BoundDevice(Form):
    """A device in a role of the project, with start and end."""

    device: str
    role: str
    params: Parameters
    from_: Time
    to: Time | None


class ProjectExtract(Form):
    """
    The project as in the registry.

    A number with decimals among its parameters is `{"$decimal": "0.97"}`, so that no
    reader rounds it.
    """

    id: str
    name: str
    methodology: str
    version: str
    timezone: str
    from_: Time
    to: Time
    parameters: Parameters
    expected: Parameters
    action: str | None
    devices: tuple[BoundDevice, ...]
    # added in 0.2.0
    country: str | UnsetType = UNSET
    grid: str | UnsetType = UNSET


class MeterReplaced(Form):
    """
    A meter replacement: last value of the old register, first of the new. [base units]

    `same_meter`: whether only the register was reset; the certificate then remains valid.
    """

    channel: str
    at: Time
    last: Whole
    first: Whole
    same_meter: Literal[True] | UnsetType = UNSET


class ChannelsExchanged(Form):
    """Two registers of a device whose readings arrived under each other's name in [from, to)."""

    channel: str
    with_: str
    from_: Time
    to: Time


class PlaceExtract(Form):
    """Location of a device in decimal degrees, north and east positive."""

    latitude: str
    longitude: str


class RatedFrom(Form):
    """A rated power [W] from a time on."""

    from_: Time
    rated_power_w: Whole


class QualityLimited(Form):
    """Limits of the quality tests for one channel of a device, from a time on."""

    channel: str
    from_: Time
    limits: Parameters


class InputValue(Form):
    """An input fixed ex ante or entered manually, under a fixed name."""

    name: str
    value: str


class DeviceExtract(Form):
    """
    A device as in the registry, with certificates and meter replacements.

    Its location gives the position of the sun, used from metering version 2 on.
    `calibration_every`: calibration interval in the registry; the shorter one if it was lengthened
    after the period began [months].  `point`: monitoring point.  `feeds`: loads (devices, bus bars,
    consumers, the grid).  `gas_basis`: whether it measures gas `dry` or `wet`.
    """

    id: str
    site: str
    class_: str
    profile: str
    gateway: str | None
    rated_power_w: Whole | None
    place: PlaceExtract | UnsetType = UNSET
    installed: Time
    removed: Time | None
    serial: str | None
    replacements: tuple[MeterReplaced, ...]
    calibrations: tuple[CalibrationShown, ...]
    maker: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    ratings: tuple[RatedFrom, ...] | UnsetType = UNSET
    quality: tuple[QualityLimited, ...] | UnsetType = UNSET
    calibration_every: int | UnsetType = UNSET
    point: str | UnsetType = UNSET
    feeds: tuple[str, ...] | UnsetType = UNSET
    gas_basis: str | UnsetType = UNSET
    exchanged_channels: tuple[ChannelsExchanged, ...] | UnsetType = UNSET


class CarriedIn(Form):
    """Negative balance of earlier periods, and their statements."""

    ug: Whole
    from_: str | None


class CheckMeterNamed(Form):
    """A check meter, its meter, and their permitted difference."""

    meter: str
    of: str
    tolerance_percent: str


class PlanLine(Form):
    """
    A version of the monitoring plan for one parameter.

    `error_percent`: correction of the reading by the plan, in the conservative direction.
    """

    parameter: str
    device: str | None
    channel: str | None
    option: str
    frequency: str
    accuracy_class: str | None
    qa_qc: str
    responsible: str
    error_percent: Number | UnsetType = UNSET


class PlanVersionWhole(Form):
    """
    A version of the project's monitoring plan, in force from a local day.

    `kind`: absent for the plan as registered.  `to`: first day after a temporary deviation.
    `entered`: when the version was entered in the registry.
    """

    version: str
    kind: VersionKind | UnsetType = UNSET
    from_: str
    to: str | UnsetType = UNSET
    entered: Time | UnsetType = UNSET
    approval: PlanApproval | UnsetType = UNSET
    responsible: str
    reason: str
    procedures: dict[str, str]
    lines: tuple[PlanLine, ...]


class InvoiceNamed(Form):
    """An invoice: quantity bought or sold in a time span. [base units]"""

    id: str
    issuer: str
    number: str
    issued: str
    devices: tuple[str, ...]
    quantity: str
    from_: Time
    to: Time
    value: Whole
    tolerance_percent: str
    sha256: str | None
    doubt: Doubt | UnsetType = UNSET
    signed: str | UnsetType = UNSET


class DeviceFigure(Form):
    """Metered and counted quantity of a device in another statement. [base units]"""

    device: str
    role: str
    from_: Time
    metered: Whole
    counted: Number


class StatementFigures(Form):
    """Figures of another statement; the last three fields only for one that is corrected."""

    statement: str
    from_: Time
    to: Time
    energy_wh: Whole = field(name="energy_Wh")
    reduction_ug: Whole
    credited_t: Whole
    coverage: Number
    devices: tuple[DeviceFigure, ...] | UnsetType = UNSET
    factors: tuple[str, ...] | UnsetType = UNSET
    digests: Digests | UnsetType = UNSET
    inputs: tuple[InputValue, ...] | UnsetType = UNSET


class Span(Form):
    """A half-open time span."""

    from_: Time
    to: Time


class RegistryCondition(Form):
    """
    A finding of the registry on a period's meters, and whether it is met.

    `severity`: where it differs from the rule's.
    """

    rule: str
    holds: bool
    texts: tuple[Coded, ...]
    severity: str | UnsetType = UNSET


class ExcludedDevice(Form):
    """A device excluded until the registry is corrected, the rule and the reason."""

    device: str
    rule: str
    reason: Coded


class ClockAhead(Form):
    """Hours reported by a device's readings, and the fewer hours in which they arrived."""

    device: str
    told_h: Whole
    passed_h: Whole


class OutsidePeriod(Form):
    """
    Quantity metered in an invoice's time before or after the period. [base units]

    `known_us`: the time of its complete intervals.
    """

    device: str
    quantity: str
    from_: Time
    to: Time
    metered: Whole
    known_us: Whole


class CertifiedRun(Form):
    """Certified energy of consecutive intervals from a time on. [Wh]"""

    from_: Time
    energy_wh: tuple[Whole, ...] = field(name="energy_Wh")


class EnergyCertified(Form):
    """Energy of a device in a certificate of energy, by interval."""

    certificate: str
    scheme: str
    device: str
    quantity: str
    runs: tuple[CertifiedRun, ...]


class UsageBefore(Form):
    """Consumption and delivered service of an issued statement. [base units]"""

    statement: str
    from_: Time
    to: Time
    used: Whole
    served: Whole


class FixedAsIssued(Form):
    """A value fixed ex ante that differs from that of an issued statement."""

    device: str | None
    parameter: str
    value: Number
    statement: str


class ChangedAfterwards(Form):
    """
    A value fixed ex ante that was changed in the registry after the period began.

    `before`: null if there was no value, absent if only the document differs; `was` and `document`:
    the documents of the earlier and the present value.
    """

    device: str | None
    parameter: str
    changed: Time
    by: str
    before: Number | UnsetType | None = UNSET
    was: DesignDocument | UnsetType = UNSET
    document: DesignDocument | UnsetType = UNSET


class InvoiceReplaced(Form):
    """An invoice, the one that replaces it, in this order, and the reason given."""

    invoices: tuple[InvoiceNamed, InvoiceNamed]
    reason: str


class ArrivedDay(Form):
    """Readings of a local day: number, late ones, hours of arrival, hours of measurement."""

    day: str
    readings: Whole
    late: Whole
    hours: Whole
    span: Whole


class ArrivedDevice(Form):
    """Arrival of a device's readings by local day (`mrv.statement.device_days`)."""

    device: str
    days: tuple[ArrivedDay, ...]


class SignedRegister(Form):
    """A register in a signed value: channel, time and value. [base units]"""

    channel: str
    time: Time
    value: Number


class SignedValueKept(Form):
    """
    A signed value as received, and the part that is counted.

    `device`: the metered device; `signer`: owner of the key; `received`: time of receipt; `data` is
    OCMF's text, or a COSE_Sign1 in base64.
    """

    device: str
    kind: Literal["ocmf", "cose-meter", "cose-gateway"]
    signer: str
    received: Time
    data: str
    registers: tuple[SignedRegister, ...]


class SigningKeyNamed(Form):
    """
    A public key of a device from a time on, in hex; `ended`: no key from then on.

    `serial`: serial number of the device, which its values may use.
    """

    device: str
    serial: str | None
    from_: Time
    key: str


class SignedExtract(Form):
    """
    Signed values of a period, with the keys for verification.

    `stored`: number of values that the operator stores.  Only the first and last value of each
    device's local day are listed, as these limit its energy.
    """

    keys: tuple[SigningKeyNamed, ...]
    values: tuple[SignedValueKept, ...]
    stored: Whole


class RowSigner(Form):
    """A supplier, laboratory or manufacturer that signed rows of the period, with its Multikey."""

    name: str
    organisation: str
    key: str


class CommonMetered(Form):
    """
    Quantities of a common meter and all its users, in intervals with data of all.

    `days_above`: local days on which the sum of the users exceeds it by more than `lost_percent`.
    `joint`: whether the quantities are from joint meter readings, which may extend beyond the
    period; `comparedShare`: share of the period that these cover.  `point`, `feeds`: those of the
    common meter.
    """

    main: str
    users: tuple[str, ...]
    quantity: str
    main_metered: Whole
    users_metered: Whole
    compared_share: Number
    lost_percent: Number
    days_above: tuple[str, ...]
    joint: Literal[True] | UnsetType = UNSET
    point: str | UnsetType = UNSET
    feeds: tuple[str, ...] | UnsetType = UNSET


class ForwardAction(Form):
    """An open forward action request; `statement` is null for a request of the validation."""

    statement: str | None
    finding: str
    text: str


class PlanExtract(Form):
    """
    All contents of `plan.json`.

    `arrivals` and `signed` are absent in older statements; an empty list means none.
    """

    project: ProjectExtract
    devices: tuple[DeviceExtract, ...]
    carried: CarriedIn
    check_meters: tuple[CheckMeterNamed, ...] | UnsetType = UNSET
    monitoring: tuple[PlanVersionWhole, ...] | UnsetType = UNSET
    monitoring_before: tuple[PlanVersionWhole, ...] | UnsetType = UNSET
    invoices: tuple[InvoiceNamed, ...] | UnsetType = UNSET
    earlier: tuple[StatementFigures, ...] | UnsetType = UNSET
    corrected: StatementFigures | UnsetType = UNSET
    energy_roles: tuple[str, ...] | UnsetType = UNSET
    unclaimed: tuple[Span, ...] | UnsetType = UNSET
    changed_parameters: tuple[str, ...] | UnsetType = UNSET
    accounting: int | UnsetType = UNSET
    registry: tuple[RegistryCondition, ...] | UnsetType = UNSET
    excluded: tuple[ExcludedDevice, ...] | UnsetType = UNSET
    certified: tuple[EnergyCertified, ...] | UnsetType = UNSET
    declared: Declared | UnsetType = UNSET
    common_meters: tuple[CommonMetered, ...] | UnsetType = UNSET
    laboratory: tuple[LaboratoryResult, ...] | UnsetType = UNSET
    history: tuple[UsageBefore, ...] | UnsetType = UNSET
    fixed_before: tuple[FixedAsIssued, ...] | UnsetType = UNSET
    arrivals: tuple[ArrivedDevice, ...] | UnsetType = UNSET
    signed: SignedExtract | UnsetType = UNSET
    issue_signatures: int | UnsetType = UNSET
    evidence_asked: EvidenceAsked | UnsetType = UNSET
    public_url: str | UnsetType = UNSET
    accepted_factors: tuple[FactorAccepted, ...] | UnsetType = UNSET
    design_documents: tuple[DesignDocument, ...] | UnsetType = UNSET
    clocks: tuple[ClockAhead, ...] | UnsetType = UNSET
    changed_late: tuple[ChangedAfterwards, ...] | UnsetType = UNSET
    replaced_invoices: tuple[InvoiceReplaced, ...] | UnsetType = UNSET
    outside_period: tuple[OutsidePeriod, ...] | UnsetType = UNSET
    forward_actions: tuple[ForwardAction, ...] | UnsetType = UNSET
    row_signers: tuple[RowSigner, ...] | UnsetType = UNSET
