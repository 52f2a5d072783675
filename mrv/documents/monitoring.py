"""
Monitoring in a statement: meters, calibrations, coverage, cross-checks, quality of readings.

Quantities are decimal text in the unit of their name, else in the base unit given with them (Wh, m,
kg).  Tonnes are of CO2 equivalent.  Fields that may be `UNSET` were added after tonne 0.1.0, and
are absent in its statements.
"""

from typing import Literal

from mrv.documents import UNSET, Coded, Form, Hex, Number, Time, UnsetType, Whole, field
from mrv.registry.monitoring_plan import Kind

Side = Literal["baseline", "project"]


class PlanApproval(Form):
    """A programme's decision on a monitoring plan version; `sha256` is that of its document."""

    by: str
    date: str
    reference: str
    sha256: Hex | UnsetType = UNSET


class PlanVersion(Form):
    """
    A version of the project's monitoring plan in force, with its digest.

    `to`: first day after a temporary deviation.  `differs`: differences from the previous version.
    All fields but the oldest four are absent in tonne 0.1.0.
    """

    version: str
    from_: str
    responsible: str
    sha256: Hex
    kind: Kind | UnsetType = UNSET
    to: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    entered: Time | UnsetType = UNSET
    approval: PlanApproval | UnsetType = UNSET
    differs: tuple[Coded, ...] | UnsetType = UNSET


class Rated(Form):
    """A rated power [W], and the time from which it applies."""

    from_: Time
    rated_power_w: Whole


class CalibrationEvery(Form):
    """An interval of calibration, and the rule that requires it; null: the registry's own."""

    months: int
    source: str | None


class Meter(Form):
    """
    The meter of a device: class, profile, serial number and accuracy class.

    `ratings`: rated powers in order of time; the first applies to all time before.
    `calibration_every`: longest time from one calibration to the next.  `point`: monitoring point.
    `feeds`: its loads.  `gas_basis`: whether it measures gas `dry` or `wet`.
    """

    class_: str
    profile: str
    serial: str | None
    accuracy_class: str | None
    replacements: int
    maker: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    ratings: tuple[Rated, ...] | UnsetType = UNSET
    calibration_every: CalibrationEvery | UnsetType = UNSET
    point: str | UnsetType = UNSET
    feeds: tuple[str, ...] | UnsetType = UNSET
    gas_basis: str | UnsetType = field(default=UNSET, name="gasBasis")


class CalibrationShown(Form):
    """
    A calibration certificate, as listed in a statement.

    `due`: first day not covered, if the calibration interval ends before `valid_until`.  `channel`:
    the instrument, if the device has several.  `found_error_percent`: error before adjustment.
    `last_test`: test of a removed meter, which covers no time.  `laboratory`, `accreditation`: who
    calibrated it, and the number of its accreditation (ISO/IEC 17025).
    """

    certificate: str
    performed: str
    valid_until: str
    accuracy_class: str | None
    max_error_percent: str | None = field(name="maxErrorPercent")
    serial: str | UnsetType = UNSET
    due: str | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    found_error_percent: str | UnsetType = field(default=UNSET, name="foundErrorPercent")
    last_test: Literal[True] | UnsetType = UNSET
    laboratory: str | UnsetType = UNSET
    # hidden in a public version with the laboratory's name, unlike the verifier's own accreditation
    accreditation: str | UnsetType = field(default=UNSET, name="laboratory_accreditation")


class Planned(Form):
    """
    Line of the newest version of the monitoring plan for a device in a role.

    `error_percent`: correction of the reading by the plan, in the conservative direction.
    """

    version: str
    channel: str | None
    option: str
    frequency: str
    accuracy_class: str | None
    qa_qc: str
    responsible: str
    error_percent: Number | UnsetType = UNSET


class ReadingsReach(Form):
    """Number of readings, first and last reading, and number outside the period."""

    count: int
    first: Time | None
    last: Time | None
    outside_period: int


class CoverageShown(Form):
    """Measured, estimated, unknown and missing time of a device, in seconds and shares."""

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
    Metered and counted quantity of one device in one role. [base units]

    `counted` = `metered` + `adjusted` + `substituted`.  tonne 0.1.0 wrote `deducted` in place of
    `adjusted`: deducted on the baseline side, added on the project side.
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
    deducted: Number | UnsetType = UNSET
    adjusted: Number | UnsetType = UNSET
    substituted: Number
    counted: Number
    emissions_t: Number
    meter: Meter
    calibrations: tuple[CalibrationShown, ...]
    plan: Planned | UnsetType | None = UNSET
    readings: ReadingsReach
    coverage: CoverageShown


class CrossCheck(Form):
    """
    Meters compared with a check meter or an invoice of the same energy.

    `effect_t`: overstatement of the reduction if the other value is correct.  `holds`: whether they
    agree; None if they could not be compared, with the reason in `detail`.
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
    detail: str | Coded
    readings: ReadingsReach | None


class UnusualDays(Form):
    """Consecutive local days with unusual readings of a device; `to` is the day after."""

    device: str
    from_: str
    to: str
    quarter_hours: Whole


class UnusualReadings(Form):
    """
    Readings flagged by a quality test in a period, and the quantities of their 15-minute intervals.

    `energy_Wh`: energy metered in them, `emissions_t`: emissions of all meters on either side.
    `days`: devices and days.
    """

    test: str
    readings: Whole
    devices: Whole
    quarter_hours: Whole
    energy_wh: Whole = field(name="energy_Wh")
    emissions_t: Number
    days: tuple[UnusualDays, ...] | UnsetType = UNSET


class LaboratoryResult(Form):
    """Laboratory result of a sample, in the parameter's unit; `signed`: its signature."""

    parameter: str
    sample: str
    taken: str
    value: str
    method: str
    laboratory: str
    sha256: Hex | None
    signed: str | UnsetType = UNSET


class DesignDocument(Form):
    """
    Document that supports an ex-ante parameter: title, issuer, date, file hash.

    `value`: the stated value, decimal text in the unit of the parameter; `by_device`: the values of
    devices, where they differ; `signed`: the signature of its issuer; `valid_until`: the first day
    on which the value no longer applies.
    """

    parameter: str
    document: str
    by: str | None
    issued: str | None
    sha256: Hex | None
    value: str | UnsetType = UNSET
    by_device: dict[str, str] | UnsetType = UNSET
    signed: str | UnsetType = UNSET
    valid_until: str | UnsetType = UNSET


def acceptance_text(
    by: str, date: str, document: str, sha256: str | None, key: str | None = None
) -> str:
    """Return the text of an acceptance in a registry file, and of the key that signed it."""
    file = f", SHA-256 {sha256}" if sha256 else ""
    signed = f", signed by {key}" if key else ""
    return f"entered as accepted by {by} on {date}, {document}{file}{signed}"


class AcceptanceSigned(Form):
    """Signature of an acceptance: the programme's key [Multikey], and the signature [base58]."""

    key: str
    value: str


class FactorAccepted(Form):
    """
    A factor from a registry file: who accepted it, when, by which document.

    `signature` is by a key of the programme, where it signed the acceptance.
    """

    factor: str
    value: str
    unit: str
    by: str
    date: str
    document: str
    sha256: Hex | None
    signature: AcceptanceSigned | UnsetType = UNSET

    @property
    def acceptance(self) -> str:
        """Return who accepted it, when, by which document, and with which key."""
        key = None if self.signature is UNSET else self.signature.key
        return acceptance_text(self.by, self.date, self.document, self.sha256, key)


class Arrival(Form):
    """
    Arrival of the period's readings, as counted by tonne.

    `late`: readings that arrived 36 hours or more after the end of their day; `at_once_days`:
    device-days with readings of six hours or more that arrived within two; `not_noted`: readings of
    unknown arrival, stored by an earlier version or by hand.
    """

    readings: Whole
    late: Whole
    late_percent: Number
    at_once_days: Whole
    device_days: Whole
    not_noted: Whole


class SignedShare(Form):
    """Energy with one kind of signature, and its share of all. [%]"""

    kind: Literal["ocmf", "cose-meter", "cose-gateway", "none"]
    energy_wh: Whole = field(name="energy_Wh")
    share_percent: Number


class SignedEnergy(Form):
    """
    Share of signed energy (mrv/statement/signed_energy).

    `energy_Wh`: metered energy of the period; `shares`: share by kind of signature (a meter's
    value, OCMF; a meter's batch, COSE_Sign1; a gateway's; none); `signers`: devices whose keys
    signed; `values`: number of signed values in the evidence; `contradicted`: number of signed
    registers that contradict the readings; `stored`: number of signed values that the operator
    stores.
    """

    energy_wh: Whole = field(name="energy_Wh")
    shares: tuple[SignedShare, ...]
    signers: tuple[str, ...]
    values: Whole
    contradicted: Whole
    stored: Whole
