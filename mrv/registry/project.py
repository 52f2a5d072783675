"""
A project as registered: devices, calibrations, grid; and the supporting data of its periods.

Quantities are counted in whole 15-minute intervals.  An interval in which a device is assigned to
the project or released is excluded from the baseline, and counted completely for project emissions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ingest.model import INTERVAL_US, Device, Int64
from mrv.parameters import RequiredGrades
from mrv.registry import Sample, Survey
from mrv.registry.monitoring_plan import Version
from mrv.texts import Text

if TYPE_CHECKING:
    from mrv.model import Side


# Versions of the accounting rules, one per release that changed them: 1 of 0.1.0, 2 of 0.2.0.  A
# plan names the version of its period; without one it is the first.  Every version can still be
# calculated.
FIRST, ACCOUNTING = VERSIONS = (1, 2)


@dataclass(frozen=True, slots=True)
class ProjectDevice:
    """A device in a role, for half-open time; `to_us` None: until the end of the project."""

    device: str
    role: str
    params: Mapping[str, Any] = field(default_factory=dict)
    from_us: int = 0
    to_us: int | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """
    A project: methodology, crediting period (half-open, UTC), parameters, devices.

    `timezone`, `country` and `grid`: those of its first site.  The time zone determines calendar
    years and vintages; electricity is of that grid (`mrv.countries.grid_of`).  `expected`:
    `energy_kwh_per_year` and `reduction_t_per_year` of the project design, if stated.
    """

    id: str
    name: str
    methodology: str
    version: str
    timezone: str
    from_us: int
    to_us: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    expected: Mapping[str, Any] = field(default_factory=dict)
    action: str | None = None
    devices: tuple[ProjectDevice, ...] = ()
    country: str | None = None
    grid: str | None = None


def service_intervals(
    project: Project, bound: ProjectDevice, device: Device, side: Side
) -> tuple[int, int]:
    """
    Return the intervals in which a device serves a project, as a half-open range of numbers.

    The device must be assigned and installed, and the project in its crediting period.  Numbers
    count intervals since the epoch; the range may be empty.
    """
    begin = max(project.from_us, bound.from_us, device.installed_us)
    ends = [project.to_us, bound.to_us, device.removed_us]
    end = min(e for e in ends if e is not None)
    if side == "baseline":
        return -(-begin // INTERVAL_US), end // INTERVAL_US
    return begin // INTERVAL_US, -(-end // INTERVAL_US)


@dataclass(frozen=True, slots=True)
class Document:
    """
    Document of a value fixed ex ante.

    `parameter`: parameter of the project.
    `document`: its title and number.
    `by`: issuer, such as an authority or the manufacturer of the pumps.
    `issued`: date of issue on the document.
    `sha256`: SHA-256 of its file, which is stored elsewhere.
    `value`: stated value, in the unit of the parameter.
    `by_device`: stated values of devices, where they differ.
    `signed`: signature of the issuer over the row; adding one does not change the document.
    `valid_until`: the first day on which the value no longer applies, by the document.
    """

    parameter: str
    document: str
    by: str | None = None
    issued: date | None = None
    sha256: str | None = None
    value: Fraction | None = None
    by_device: Mapping[str, Fraction] = field(default_factory=dict)
    signed: str | None = field(default=None, compare=False)
    valid_until: date | None = None

    def stated(self, device: str | None = None) -> Fraction | None:
        """Return the stated value of the project or of a device; None where unknown."""
        return self.value if device is None else self.by_device.get(device, self.value)


@dataclass(frozen=True, slots=True)
class Earlier:
    """
    Contents of another statement of the project, for comparison.

    `energy_wh`: energy of its meters, or of the compared roles (`SupportingData.energy`). [Wh]
    """

    statement: str
    from_us: int
    to_us: int
    energy_wh: int
    reduction_t: Fraction


@dataclass(frozen=True, slots=True)
class Usage:
    """
    Consumption and delivered service of an issued statement. [base units]

    `served` excludes implausible quantities.
    """

    statement: str
    from_us: int
    to_us: int
    used: int
    served: int


@dataclass(frozen=True, slots=True)
class FixedBefore:
    """
    A value fixed ex ante, as an issued statement states it.

    `device` None: a value of the whole project.
    """

    device: str | None
    parameter: str
    value: str
    statement: str


@dataclass(frozen=True, slots=True)
class ChangedLate:
    """
    A value fixed ex ante that was changed in the registry after the period began.

    `device`: None: a value of the whole project.
    `before`: value in force when the period began, or the first one; None where there was none.
    `changed_us`: import of the current value. [us UTC]
    `by`: person who imported it.
    `was`, `document`: documents of the earlier and of the current value.
    `paper_only`: whether only the document was changed; `before` is then None.
    """

    device: str | None
    parameter: str
    before: str | None
    changed_us: int
    by: str
    was: Document | None = None
    document: Document | None = None
    paper_only: bool = False


@dataclass(frozen=True, slots=True)
class SupportingData:
    """
    Data of a period other than its own readings: evidence, documents and limits.

    `meters`, `invoices`, `samples`: check meters, invoices and laboratory samples of the period.
    `earlier`, `history`: earlier statements of the project, and their energy use for its service.
    `energy`: roles whose energy is compared with other periods; empty: all.
    `ratings`: rated powers by device, each from a time on. [us UTC, W]
    `excluded`: baseline devices that are not credited until the registry is corrected.
    `channels`: values of parameters by the plant's own analysers.
    `fixed`: ex-ante parameters that differ from the last statement.  `late`: ex-ante parameters
    that were changed ex post.
    `uncorroborated`: quantities that other channels of the device contradict.  `alone`: quantities
    that only the register measures.  `left_out`: the part of `alone` in time without power data.
    All three are by device and quantity.
    `unrecorded`: excess of measured power or flow over a project-side register.  `gauged`: shares
    of time in which power or flow corroborates a project-side register.
    `certified`: certificates of energy of other schemes, by device and quantity.
    `documents`: design and dated documents of the plant.  `accepted`: acceptances of factors in
    registry files.
    `clocks`: devices whose clock is ahead of the arrival of their readings.  `drawn`: electricity
    use by device.
    `replaced`: corrected invoices, each with its correction and the reason.  `fallen`: breaks of a
    register's sequence.  `swapped`: register steps across entered meter replacements. [us UTC]
    `outside`: metered quantities of invoiced time outside the period.
    `required`: grades of evidence that the programme requires; None without a statement.
    `at_published`: parameters at the conservative end of their published range.
    `uncorroborated_values`: parameters with a large effect and without a published range.
    `lit`: flow to flares, and with a flame, by parameter.
    `common`: meters shared with other users.  `versions`: versions of the monitoring plan.
    """

    meters: tuple[CheckMeter, ...] = ()
    invoices: tuple[Invoice, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    energy: tuple[str, ...] = ()
    accounting: int = FIRST
    ratings: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    excluded: tuple[Excluded, ...] = ()
    serials: Mapping[str, str | None] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    history: tuple[Usage, ...] = ()
    channels: Mapping[str, Measured] = field(default_factory=dict)
    fixed: tuple[FixedBefore, ...] = ()
    uncorroborated: Mapping[tuple[str, str], tuple[Uncorroborated, ...]] = field(
        default_factory=dict
    )
    alone: Mapping[tuple[str, str], Uncorroborated] = field(default_factory=dict)
    left_out: Mapping[tuple[str, str], Uncorroborated] = field(default_factory=dict)
    certified: Mapping[tuple[str, str], tuple[Certified, ...]] = field(default_factory=dict)
    accepted: Mapping[str, str] = field(default_factory=dict)
    documents: tuple[Document, ...] = ()
    clocks: Mapping[str, Clocked] = field(default_factory=dict)
    drawn: Mapping[str, Drawn] = field(default_factory=dict)
    unrecorded: Mapping[tuple[str, str], Uncorroborated] = field(default_factory=dict)
    gauged: Mapping[tuple[str, str], Fraction] = field(default_factory=dict)
    late: tuple[ChangedLate, ...] = ()
    replaced: tuple[tuple[Invoice, Invoice, str], ...] = ()
    fallen: Mapping[tuple[str, str], tuple[Fallen, ...]] = field(default_factory=dict)
    swapped: Mapping[tuple[str, str], tuple[tuple[int, int], ...]] = field(default_factory=dict)
    outside: tuple[MeteredOutside, ...] = ()
    calibrated_every: Mapping[str, int] = field(default_factory=dict)
    required: RequiredGrades | None = None
    at_published: frozenset[str] = frozenset()
    uncorroborated_values: tuple[str, ...] = ()
    lit: Mapping[str, Lit] = field(default_factory=dict)
    surveys: tuple[Survey, ...] = ()
    common: tuple[Common, ...] = ()
    versions: tuple[Version, ...] = ()


class Excluded(NamedTuple):
    """A device excluded from the baseline, the rule and the reason."""

    device: str
    rule: str
    reason: Text


class Clocked(NamedTuple):
    """Hours according to a device's readings, and hours elapsed while they arrived."""

    reported_h: int
    passed_h: int


class Uncorroborated(NamedTuple):
    """
    Intervals of a device, and the quantity that another of its channels does not corroborate.

    `number`: interval numbers, ascending; `value`: quantity. [base units]
    """

    reason: Text | str
    number: Int64
    value: Int64


class Fallen(NamedTuple):
    """
    A break in the sequence of a cumulative register: readings before and after it. [us UTC, base
    units]

    `brief`: whether the register returned to the earlier value within a few readings; `taken_off`:
    whether it returned within half a day.  `crossed`: register of the same device with which it was
    interchanged; `entered`: whether this is the start or end of an interchange entered in the
    registry.
    `stood_us`: time for which the register had not advanced before the fall, according to its
    readings.
    """

    channel: str
    since_us: int
    at_us: int
    before: int
    after: int
    brief: bool = False
    taken_off: bool = False
    crossed: str = ""
    entered: bool = False
    stood_us: int = 0


class MeteredOutside(NamedTuple):
    """
    Quantity of a device outside the period [base units], and the time of its complete
    intervals.
    """

    device: str
    quantity: str
    from_us: int
    to_us: int
    value: int
    known_us: int


class Drawn(NamedTuple):
    """Energy of a device in its complete intervals [Wh]; interval numbers ascend."""

    number: Int64
    value: Int64


class Certified(NamedTuple):
    """Energy of a device in a certificate of energy [Wh]; interval numbers ascend."""

    certificate: str
    scheme: str
    number: Int64
    value: Int64


@dataclass(frozen=True, slots=True)
class Measured:
    """
    Value of a parameter by the plant's own analysers, in its unit, and its text.

    `hours`, `of`: hours with a reading, and hours of the period.
    `silent`: days with flow and without readings.
    `read`: mean of the days with readings.  `most`: value if the missing days equalled the best
    day.
    `days`: flow and load of each day.
    `off`: values with the permissible errors of uncertified channels, in both directions.
    `uncovered`: texts on the uncertified times.
    """

    value: Fraction
    text: str
    hours: int = 0
    of: int = 0
    silent: tuple[Silent, ...] = ()
    most: Fraction | None = None
    days: tuple[Loaded, ...] = ()
    off: tuple[Fraction, ...] = ()
    uncovered: tuple[Text, ...] = ()
    read: Fraction | None = None


class Common(NamedTuple):
    """
    Quantities of a common meter and all its users, in intervals with data of all. [base units]

    `share`: share of these intervals in the period.  `lost`: tolerance [%].  `days_above`: days on
    which the users exceed the common meter by more than that.  `joint`: whether from joint
    readings.
    """

    main: str
    users: tuple[str, ...]
    quantity: str
    main_value: int
    users_value: int
    share: Fraction
    lost: Fraction
    days_above: tuple[str, ...]
    joint: bool = False


class Lit(NamedTuple):
    """
    Flow to a flare, the part of it with a flame, and the channels that detect the flame.  For rice
    fields: number of fields, number of drained fields, and ids of the other fields' tubes.
    """

    flow: int
    with_flame: int
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    A local day [us UTC], its flow, and the flow times the mean concentration. [base units]

    `error`: part of the load due to the permissible error of a channel without a certificate.
    `left`, `left_error`: load and error of a second channel, at the outlet.
    """

    from_us: int
    to_us: int
    flow: int
    load: Fraction
    error: Fraction = Fraction(0)
    left: Fraction = Fraction(0)
    left_error: Fraction = Fraction(0)


class Silent(NamedTuple):
    """Consecutive days with flow but without data of a device's analyser. [us UTC, base units]"""

    device: str
    from_us: int
    to_us: int
    flow: int


@dataclass(frozen=True, slots=True)
class CheckMeter:
    """A second meter of a main meter's energy; `percent`: permitted difference."""

    main: str
    check: str
    percent: Decimal | int


# why an invoice is no evidence: issued by the operator, file of another document, correction of
# another issuer's invoice
Doubt = Literal["operator", "one_file", "other_issuer"]


@dataclass(frozen=True, slots=True)
class Invoice:
    """
    Quantity bought or sold according to a document (monitoring option B), half-open.

    `id`: id in the registry.
    `issuer`, `number`: issuer and number of the document.
    `devices`: main meters whose sum is invoiced.
    `quantity`: `energy_export`, `energy_import` or another quantity of registers.
    `value`: quantity in whole base units of the quantity.
    `percent`: permitted difference of the meters.
    `sha256`: SHA-256 of the document, which is stored elsewhere.
    `doubt`: why it is not accepted as evidence; it may still reveal a meter error.
    `signed`: the issuer's own signature over the row.
    """

    id: str
    issuer: str
    number: str
    issued: date
    devices: tuple[str, ...]
    quantity: str
    from_us: int
    to_us: int
    value: int
    percent: Decimal | int
    sha256: str | None = None
    doubt: Doubt | None = None
    signed: str | None = None
