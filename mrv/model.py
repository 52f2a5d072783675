"""
Types of the account: factors, methodologies, activities, reductions.

NOMENCLATURE.md lists the symbols of the methodologies with these names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any, Literal, NamedTuple, Protocol

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from mrv.errors import MethodologyError
from mrv.limits import Table
from mrv.parameters import Inputs, ParameterSpec, Spec
from mrv.service_bounds import Capacity, Consumption, Range, Related
from mrv.steps import BASELINE, LEAKAGE, PROJECT, REDUCTION, Steps
from mrv.texts import Text

# Conservative direction of a factor: a factor of avoided electricity is chosen low, one of consumed
# electricity high.  Physical properties are for both.
Direction = Literal["avoided", "consumed", "either"]
Side = Literal["baseline", "project"]
# Prefix of a parameter that a device's own meter measures, in place of an entered value
MEASURED = "measured_"
# Role of emissions that depend on time only: its value is the part of a year. [1]
PERIOD = "period"
# Parameter of `PERIOD`: the part of the year in which all project emissions are metered. [1]
GAINING = "gaining"
# Parameter of every role of a methodology that accounts by months: the month. [1-12]
MONTH = "month"
# Parameter of `PERIOD` in such a methodology: length of the month as a part of the year. [1]
LENGTH = "length"
# The energy source of a role is stated by a parameter of its device; 1 is the sun.
DECLARED = "declared"
TECHNOLOGY = "technology"
SOLAR, WATER = 1, 2
# key of a project's `documents` for the diagram with each monitoring point
LINE_DIAGRAM = "line_diagram"
# a third party's list of the public keys of meters, or record of their labels
METER_KEYS = "meter_keys"


class Stated(NamedTuple):
    """The document that states a value: title, issuer, date, SHA-256 of its file."""

    document: str
    by: str
    issued: str
    sha256: str


class Calculation(NamedTuple):
    """Calculation of a factor: tool, result and inputs, with numbers as decimal text."""

    tool: str
    result: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Factor:
    """
    A published value with the data that a verifier checks.

    `valid_from`, `valid_to`: half-open local dates; None: no limit.
    `verified`: whether a person compared the value with the primary text.
    `sha256`: hash of the canonical JSON of all fields, without `provisional`, `brought` and
    `documented`.
    `provisional`: whether the value of an earlier year is used, as that of the year is not yet
    published.
    `bound`: "lower" or "upper" for an end of a confidence interval; empty for its centre.
    `brought`, `documented`: whether the factor is from a registry file, and whether its document is
    a third party's.
    """

    id: str
    kind: str
    value: Fraction
    text: str
    unit: str
    direction: Direction
    valid_from: date | None
    valid_to: date | None
    source: str
    certainty: str
    verified: bool
    sha256: str
    provisional: bool = False
    bound: str = ""
    supersedes: str | None = None
    document: Stated | None = None
    brought: bool = False
    documented: bool = False
    calculation: Calculation | None = None


class Factors(Protocol):
    """Interface of a factor book, as far as methodologies use it."""

    def select(self, kind: str, direction: Direction, at: date | None = None) -> Factor:
        """Return the factor of a kind for a direction on a local date (None: the newest)."""
        ...

    def __iter__(self) -> Iterator[Factor]: ...


@dataclass(frozen=True, slots=True)
class ClassLimit:
    """
    Highest plausible quantity of one device of a role in an hour and in a local day. [base units]

    `source`: the reference; `per_day_as_mean`: the highest daily mean over a period, 0 if unknown.
    """

    per_hour: int
    per_day: int
    source: str
    per_day_as_mean: int = 0


@dataclass(frozen=True, slots=True)
class RoleNeeds:
    """
    Requirements on a device in a role of a project.

    `less`: another quantity of the device that is deducted, such as a plant's import.
    `cap`: parameter of the yearly maximum of all devices of the role, and base units per its unit.
    `costs`: for a quantity that also causes project emissions: its maximum rate without a class
    limit [base units/h].  In a gap the quantity is then 0 or its maximum, whichever is
    conservative.
    `class_limit`: maximum of a device of the role by the project's parameters; more is a fault.
    `draws`: energy quantity of the same device, consumed during operation, and the parameters whose
    product is its power [kW]; the last is the power of one piece, the others are numbers of pieces.
    `delivers`: energy that the device delivers with its electricity, the parameter of its
    efficiency, and that of the reference.
    `made_from`: energy source of a baseline role: `SUN`, "heat", or `DECLARED` for the device's
    `technology`.
    """

    classes: tuple[str, ...]
    quantity: str
    side: Side
    required: bool = True
    params: Mapping[str, ParameterSpec] = field(default_factory=dict)
    cap: tuple[str, int] | None = None
    symbol: str = ""
    source: str = ""
    less: str = ""
    frequency: str = ""
    costs: int | None = None
    class_limit: Callable[[Inputs], ClassLimit | None] | None = None
    draws: tuple[str, tuple[str, ...]] | None = None
    delivers: tuple[str, str, str] | None = None
    made_from: str = ""

    @property
    def beside(self) -> str:
        """Return the energy quantity of the same device for comparison; empty if there is none."""
        if self.draws is not None:
            return self.draws[0]
        return self.delivers[0] if self.delivers is not None else ""

    @property
    def quantities(self) -> tuple[str, ...]:
        """Return the names of all quantities of a device that the role uses."""
        return (self.quantity, self.less) if self.less else (self.quantity,)

    @property
    def unit(self) -> str:
        """Return the base unit of the quantity."""
        return QUANTITIES[QUANTITY_INDEX[self.quantity]].unit


@dataclass(frozen=True, slots=True)
class Activity:
    """Quantities of one device in one local calendar year of a period. [base units]"""

    role: str
    params: Mapping[str, Any]
    value: Fraction


@dataclass(frozen=True, slots=True)
class Reductions:
    """Emissions by side, exact [tCO2e]; `extra`: further results of the methodology."""

    baseline_t: Fraction
    project_t: Fraction
    leakage_t: Fraction
    reduction_t: Fraction
    extra: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CandidateDevice:
    """
    A project's device as input of an applicability check.

    `nets`: whether the quantity `less` of its role is metered.  `technology`: declared energy
    source.
    """

    id: str
    role: str
    class_id: str
    certificates: int
    nets: bool = True
    technology: Any = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A project as input of an applicability check."""

    parameters: Mapping[str, Any]
    devices: tuple[CandidateDevice, ...]
    first_year: int
    reduction_t_per_year: Fraction | None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """
    One applicability condition: `test` returns None, or the text on the condition not met.

    `clause`: its id in documents, titled `clause.CLAUSE` in the word files.  `refuses`: whether a
    project that does not meet it is outside the methodology; otherwise it can be corrected.
    `quiet`: whether a condition that is met is not listed.
    """

    clause: str
    test: Callable[[Candidate], Text | None]
    refuses: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One condition on the inputs of a methodology.

    `test` takes inputs and results, and returns None, or the text on the condition not met, with
    its remedy.  `first`: whether it applies in rule set 1 only.  `severity`: CL if evidence must be
    clarified.
    """

    clause: str
    test: Callable[[Inputs, Reductions], Text | None]
    first: bool = False
    severity: Literal["CL", "CAR"] = "CAR"


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    Two independently measured quantities that must agree.

    `test` returns None, or a text on the disagreement with its remedy, and upper limits by
    parameter that apply until it is resolved.
    """

    test: Callable[[Inputs, Factors], tuple[Text, Mapping[str, Fraction]] | None]


def not_metered(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Raise MethodologyError: a methodology without meters is only evaluated with given inputs."""
    del parameters, factors
    raise MethodologyError(
        f"{len(activities)} devices were bound in {year} to a methodology that uses no devices; "
        "evaluate its inputs with `tonne evaluate`"
    )


@dataclass(frozen=True, slots=True)
class Methodology:
    """
    One methodology, as declared in its file.

    `programme`, `countries`: its programme, and countries of its projects (ISO 3166-1 alpha-2;
    empty: any).
    `additive`: whether rows of intervals are exact micrograms that add up to the period's result;
    else they are a live view, rounded conservatively.
    `roles`: roles of devices; empty for a methodology that is evaluated and not accounted live.
    `inputs_of`: inputs of `steps` from a calendar year's activities.
    `plausible`: rejects implausible inputs that raise the reduction.
    `odd`: rejects implausible inputs that do not (in rule set 1 only; later a warning).
    `timed`: whether a close has an activity of the role `PERIOD`.
    `monthly`: whether activities are by local month.
    `by_time`: whether most of the baseline depends on time only.
    `rules`: conservative rules and caps, in words.
    `uses`: prefixes of its kinds of factors.
    `consumptions`, `capacities`: energy use of its services; their design capacities.
    `lower_limits`: lower limits of parameters by metered quantities.
    `agreement`: quantities that have to agree.
    `uncredited`: parameters for time before the crediting period, which are set to 0, by its first
    year.
    `billed`: roles that only invoices corroborate; without invoices there is no reduction.
    `ranges`: ranges of the variables of a regressed baseline.
    `related`: limits of a parameter by others.
    `baseline_documents`: baseline parameters; without a document for them there is no reduction.
    `dated`: parameters for which a condition requires dated documents.
    `apart`: pairs of roles that may claim the same energy twice, unless a dated `LINE_DIAGRAM`
    exists.
    `asks`: subjects that the verifier has to describe: equipment `replaced`, sludge and other
    `residues`.
    `implied`: parameters that apply without an entry, such as a country's: value, meaning and
    source.
    `draw_meters`: optional role that measures the own use of a plant, by role of the baseline.
    `drained`: role and channel of the water level of fields; the parameters of the project's and
    the baseline's water regime.
    """

    id: str
    versions: tuple[str, ...]
    title: str
    reference: str
    notes: str
    additive: bool
    inputs: Spec
    steps: Steps
    programme: str
    countries: tuple[str, ...] = ()
    roles: Mapping[str, RoleNeeds] = field(default_factory=dict)
    parameters: Mapping[str, ParameterSpec] = field(default_factory=dict)
    applicability: tuple[Check, ...] = ()
    inputs_of: Callable[[Sequence[Activity], Inputs, Factors, int], Inputs] = not_metered
    plausible: Callable[[Inputs], None] = lambda _: None
    odd: Callable[[Inputs], None] = lambda _: None
    conditions: tuple[Condition, ...] = ()
    rules: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    timed: bool = False
    monthly: bool = False
    by_time: bool = False
    consumptions: tuple[Consumption, ...] = ()
    capacities: tuple[Capacity, ...] = ()
    billed: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    baseline_documents: tuple[str, ...] = ()
    dated: tuple[str, ...] = ()
    related: tuple[Related, ...] = ()
    apart: tuple[tuple[str, str], ...] = ()
    draw_meters: Mapping[str, str] = field(default_factory=dict)
    drained: tuple[str, str, str, str] | None = None
    asks: tuple[str, ...] = ()
    implied: Callable[[Inputs, Factors], Mapping[str, tuple[int, str, str]]] = lambda *_: {}
    lower_limits: Mapping[str, Callable[[Inputs, Factors], Fraction]] = field(default_factory=dict)
    agreement: tuple[Agreement, ...] = ()
    uncredited: Callable[[Inputs, int], frozenset[str]] = lambda *_: frozenset()

    def reductions(self, inputs: Inputs, factors: Factors) -> Reductions:
        """Return the emissions that the steps calculate from complete inputs. [tCO2e]"""
        result = self.steps.values(inputs, factors)
        return Reductions(
            result[BASELINE],
            result[PROJECT],
            result[LEAKAGE],
            result[REDUCTION],
            {name: result[name] for name in self.steps.reported(inputs)},
        )

    @property
    def symbols(self) -> dict[str, str]:
        """Return symbols by name, of inputs, factors and steps."""
        return self.steps.symbols(self.inputs)

    @property
    def version(self) -> str:
        """Return the version of the methodology for new projects."""
        return self.versions[0]

    @property
    def diagrams(self) -> frozenset[str]:
        """Return keys of a project's `documents` whose documents are diagrams, not values."""
        return frozenset([LINE_DIAGRAM] if self.apart else ())

    @property
    def by_period(self) -> bool:
        """
        Return whether emissions can be calculated for a period only, not for a 15-minute interval.

        Live rows would contain project emissions only, as a negative reduction.
        """
        return self.by_time or any(s.unmeasured is not None for s in self.parameters.values())

    @property
    def invoiced(self) -> frozenset[str]:
        """Return roles that require invoices, of their quantity or of their electricity."""
        by_design = {r for c in self.consumptions if c.by_design for r in c.serves}
        served = {r for capacity in self.capacities for r in capacity.serves}
        return frozenset({*self.billed, *(by_design & served)})

    @property
    def powering(self) -> tuple[str, ...]:
        """Return the electricity roles whose invoices also corroborate a service."""
        taken = (r for c in self.consumptions if c.by_design for r in c.uses)
        return tuple(dict.fromkeys(taken))

    @property
    def designed(self) -> tuple[str, ...]:
        """Return parameters of the design of a plant, or of its baseline."""
        return self.designed_of(self.roles)

    @property
    def documented(self) -> tuple[str, ...]:
        """Return all parameters that require dated documents."""
        subset = (
            n for n, s in self.parameters.items() if s.undocumented is not None or s.by_publication
        )
        return tuple(dict.fromkeys((*self.designed, *self.dated, *subset)))

    def spec_of(self, name: str) -> ParameterSpec:
        """Return the specification of a parameter of the project, or of one of its devices."""
        devices = {k: spec for needs in self.roles.values() for k, spec in needs.params.items()}
        return {**devices, **self.parameters}[name]

    def designed_of(self, roles: Iterable[str]) -> tuple[str, ...]:
        """Return the design parameters of the services that some roles meter."""
        subset = {*roles}
        result = [capacity.parameter for capacity in self.capacities if subset & {*capacity.serves}]
        result += [
            consumption.by_design
            for consumption in self.consumptions
            if consumption.by_design and subset & {*consumption.serves}
        ]
        earning = {role for role, needs in self.roles.items() if needs.side == "baseline"}
        result += self.baseline_documents if subset & earning else ()
        return tuple(dict.fromkeys(result))


@dataclass(frozen=True, slots=True)
class Tool:
    """
    A published tool whose result is a factor or a series of factors, not a reduction.

    `compute` returns the reported results of its `steps`.
    """

    id: str
    version: str
    title: str
    reference: str
    notes: str
    inputs: Spec
    compute: Callable[[Inputs, Factors], Mapping[str, Fraction | list[Fraction]]]
    steps: Steps
    uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Indicator:
    """
    An environmental indicator, without effect on tonnes.

    `table`: the standard's table in `mrv/countries`; `configured`: whether it must be entered.  The
    standard's classes (good, poor) apply to the result `banded`.
    """

    id: str
    title: str
    reference: str
    notes: str
    inputs: Spec
    compute: Callable[[Inputs, Table], Mapping[str, Any]]
    table: str | None = None
    configured: bool = False
    banded: str | None = None
