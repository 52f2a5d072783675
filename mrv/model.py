"""
Types of the account: factors, methodologies, activities, reductions.

Symbols of the methodologies stand beside these names in NOMENCLATURE.md.
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
from mrv.parameters.inputs import Inputs, ParameterSpec, Spec
from mrv.service_bounds import Capacity, Consumption, Range, Related
from mrv.steps import BASELINE, LEAKAGE, PROJECT, REDUCTION, Steps
from mrv.texts import Text

# Which way an error of the factor would hurt: a factor for electricity that the
# project keeps from being generated is chosen low, one for electricity that it
# uses is chosen high.  Physical properties serve both.
Direction = Literal["avoided", "consumed", "either"]
Side = Literal["baseline", "project"]
# Begin of the name of what a device's own meter shows of a parameter, in place of a typed value
MEASURED = "measured_"
# The role of what goes by time alone: its value is the part of a year. [1]
PERIOD = "period"
# Its parameter: the part of the year in which everything that costs is metered. [1]
GAINING = "gaining"
# Its parameter, and that of every role, where a methodology goes by months: which one. [1-12]
MONTH = "month"
# Its parameter there: the part of the year that the month is. [1]
LENGTH = "length"
# What makes the energy of a role is what its device's parameter tells, 1 being the sun.
DECLARED = "declared"
TECHNOLOGY = "technology"
SOLAR = 1
# Key of a project's `documents` for the diagram that shows where each meter measures.
LINE_DIAGRAM = "line_diagram"


class Stated(NamedTuple):
    """The document that states a value: title, issuer, date, SHA-256 of its file."""

    document: str
    by: str
    issued: str
    sha256: str


class Calculation(NamedTuple):
    """
    Calculation of a factor: tool, result and inputs.

    Numbers of `inputs` are decimal text.
    """

    tool: str
    result: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Factor:
    """
    A published number with the data that a verifier checks.

    `valid_from` and `valid_to` are half-open local dates, None is unbounded.
    `verified` says that a person has compared the value with the primary text.
    `sha256` covers the canonical JSON of every field that is given, but for
    `provisional`, which tells of one use: the year asked for has no published value yet.
    `bound` is "lower" or "upper" where it is an end of an interval of confidence and no
    centre.  `supersedes` names the factor that this one takes the place of from the
    begin of its own validity on.  `document` is what states the value, where a registry file
    gives it.  `brought` says that a registry file gave the factor, and not tonne, and `documented`
    that its document is a third party's; no hash covers these two, since neither is a field of the
    factor itself.  `calculation` is how a project calculated it.
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
    """The part of the factor book that a methodology uses."""

    def select(self, kind: str, direction: Direction, at: date | None = None) -> Factor:
        """Return the factor of a kind for a direction on a local date (None: the newest)."""
        ...

    def __iter__(self) -> Iterator[Factor]:
        """All factors."""
        ...


@dataclass(frozen=True, slots=True)
class Most:
    """
    Maximum of one device of a role in an hour and in a local day. [base units]

    `source` is where it is read.  `per_day_as_mean` is the highest mean of a day over a period, 0
    where none is known.
    """

    per_hour: int
    per_day: int
    source: str
    per_day_as_mean: int = 0


@dataclass(frozen=True, slots=True)
class RoleNeeds:
    """
    Requirements for a device to take a role in a project.

    `less` names another quantity of the same device that is taken off, such as what
    a plant's meter imports.  `cap` names the project's parameter that says how much
    all devices of the role may count for in a year, and how many base units one of
    its units is.  `costs` says that what a role of the baseline measures emits in the
    project too: what is lost of it then counts as nothing or as the most that it may
    have been, whichever gives the lower reduction; the number is that most where no device of the
    class has a limit of its own. [base units/h]
    `symbol` and `source` are what the methodology calls the quantity, and where it is
    read; `frequency` is how often it asks for it.  `most` gives the most that a device
    of the role can count for, from the project's parameters; what is above it is no
    service but a fault.  `draws` names a quantity of energy of the same device that its time of
    operation takes, and the device's parameters whose product is the power [kW] it takes it at;
    the last is the power of one piece, the others say how many.  `delivers` names a quantity of
    energy that the same device delivers for its electricity, the project's parameter that says how
    much for each unit, and the one that says it of the reference.
    `made_from` says what makes the energy that a role of the baseline delivers, whatever class of
    meter counts it: `SUN`, "heat", or `DECLARED` where a device's `technology` tells.
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
    most: Callable[[Inputs], Most | None] | None = None
    draws: tuple[str, tuple[str, ...]] | None = None
    delivers: tuple[str, str, str] | None = None
    made_from: str = ""

    @property
    def beside(self) -> str:
        """Return the quantity of the same device for comparison; empty without one."""
        if self.draws is not None:
            return self.draws[0]
        return self.delivers[0] if self.delivers is not None else ""

    @property
    def quantities(self) -> tuple[str, ...]:
        """Return all quantities of a device that the role uses."""
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
    """Emissions by side, exact. [tCO2e]; `extra` has further results of the methodology."""

    baseline_t: Fraction
    project_t: Fraction
    leakage_t: Fraction
    reduction_t: Fraction
    extra: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CandidateDevice:
    """A project's device as input of an applicability check; `nets`: its `less` is metered."""

    id: str
    role: str
    class_id: str
    certificates: int
    nets: bool = True


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
    One applicability condition: `test` returns None, or the unmet condition.

    `clause` is its id in documents; the word files have its title, as `clause.CLAUSE`.
    `refuses` says that the project is none of the methodology's while it does not;
    else it can be mended as the project goes, as a missing certificate can.  `quiet`:
    a statement names it only where it does not hold.
    """

    clause: str
    test: Callable[[Candidate], Text | None]
    refuses: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One condition for the inputs of the methodology.

    `test` sees the inputs and what they come to, and returns None, or what does
    not hold and what to do.  `first` is one of the first rules alone: what leaves no more is
    refused no longer.  `severity` is CL where evidence is to be clarified, and nothing is shown to
    be wrong.
    """

    clause: str
    test: Callable[[Inputs, Reductions], Text | None]
    first: bool = False
    severity: Literal["CL", "CAR"] = "CAR"


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    Two independently measured quantities that must agree.

    `test` returns None, or what does not agree and what to do, and by parameter what counts
    at most until it does.
    """

    test: Callable[[Inputs, Factors], tuple[Text, Mapping[str, Fraction]] | None]


def not_metered(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """
    Raise an error in place of `inputs_of`, for quantities from documents only.

    Raises
    ------
    MethodologyError
        Always: such a methodology has no role that a device could take.
    """
    del parameters, factors
    raise MethodologyError(
        f"{len(activities)} devices were bound in {year} to a methodology that uses no devices; "
        "evaluate its inputs with `tonne evaluate`"
    )


@dataclass(frozen=True, slots=True)
class Methodology:
    """
    One methodology, as declared in its file.

    `versions` starts with the current one.  `additive` says that rows per
    interval are exact whole micrograms, so that their sum is the period's
    result; otherwise they are a live view, each rounded against the claimant.
    `steps` are its equations; `reductions` is these steps.
    `inputs_of` turns a calendar year's activities into the inputs that
    they take; `plausible` refuses inputs that no real project has and that leave
    more, which is how a slip of a unit shows; `odd` names such as leave no more, which are
    warned of and never refused, though the first rules did; `conditions` are the applicability
    conditions that inputs alone can break.  Without `roles` no device delivers
    its quantities: it is evaluated, not accounted live.  `timed` asks for an activity
    of the role `PERIOD` beside the devices' when a period closes; `monthly` asks for all
    of them by local months, each with its `MONTH`.  `by_time` says that most of what the
    baseline gains goes by time alone.  `rules` say what is
    conservative about it and what caps it, `uses` how the kinds of its factors
    begin, `consumptions` what its services take.  `shown` gives, by parameter, the least of it
    that the metered quantities show, and `agreement` what of them is to agree when a period
    closes; `uncredited` names, by the crediting period's first year, the parameters that are of
    time before it: they count 0.
    `capacities` bound what it delivers by what the plant was built for.
    `billed` are roles that no other quantity of the project holds: nothing is reduced without their
    invoices.
    `ranges` are those of what a baseline was regressed on, `documents` the parameters of a baseline
    that stand in a document: without it nothing is reduced.  `dated`
    are those of which a condition asks for it, and `related` what others say of a value at most.
    `apart` names two roles that may claim one energy twice, unless a dated `LINE_DIAGRAM` shows
    them apart;
    `asks` are what a verifier words beside the requirements of all: what became of equipment that
    was `replaced`, of sludge, compost and other `residues`.
    `draw_meters`, by role of the baseline, the optional one that measures what the plant draws.
    `notes` is the file's own text: where each equation and default comes from, and how certain
    it is.  `programme` is whose methodology it is, `countries` where its projects stand, by
    ISO 3166-1 alpha-2; empty for any country.
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
    papers: tuple[str, ...] = ()
    dated: tuple[str, ...] = ()
    related: tuple[Related, ...] = ()
    apart: tuple[tuple[str, str], ...] = ()
    draw_meters: Mapping[str, str] = field(default_factory=dict)
    asks: tuple[str, ...] = ()
    shown: Mapping[str, Callable[[Inputs, Factors], Fraction]] = field(default_factory=dict)
    agreement: tuple[Agreement, ...] = ()
    uncredited: Callable[[Inputs, int], frozenset[str]] = lambda *_: frozenset()

    def reductions(self, inputs: Inputs, factors: Factors) -> Reductions:
        """Return the results of the steps. [tCO2e]."""
        found = self.steps.values(inputs, factors)
        return Reductions(
            found[BASELINE],
            found[PROJECT],
            found[LEAKAGE],
            found[REDUCTION],
            {name: found[name] for name in self.steps.reported(inputs)},
        )

    @property
    def symbols(self) -> dict[str, str]:
        """Return symbols by name, of inputs, factors and steps."""
        return self.steps.symbols(self.inputs)

    @property
    def version(self) -> str:
        """Return the version for new projects."""
        return self.versions[0]

    @property
    def diagrams(self) -> frozenset[str]:
        """Return keys of a project's `documents` that do not concern a value."""
        return frozenset([LINE_DIAGRAM] if self.apart else ())

    @property
    def by_quarter_hours(self) -> bool:
        """Return whether quarter hours add up to a period's account, before deductions."""
        return self.additive and not any(needs.less for needs in self.roles.values())

    @property
    def by_period(self) -> bool:
        """
        Return whether emissions exist only for a period, not for a quarter hour.

        Its rows would show the project's side without it, a loss that is none.
        """
        return self.by_time or any(s.unmeasured is not None for s in self.parameters.values())

    @property
    def invoiced(self) -> frozenset[str]:
        """Return roles that require invoices, of their quantity or of their electricity."""
        held = {r for one in self.consumptions if one.by_design for r in one.serves}
        served = {r for one in self.capacities for r in one.serves}
        return frozenset({*self.billed, *(held & served)})

    @property
    def powering(self) -> tuple[str, ...]:
        """Return roles of electricity whose invoices also corroborate a service."""
        taken = (r for one in self.consumptions if one.by_design for r in one.uses)
        return tuple(dict.fromkeys(taken))

    @property
    def designed(self) -> tuple[str, ...]:
        """Return parameters of the design of a plant, or of its baseline."""
        return self.designed_of(self.roles)

    @property
    def documented(self) -> tuple[str, ...]:
        """Return all parameters that require dated documents."""
        some = (
            n for n, s in self.parameters.items() if s.undocumented is not None or s.by_publication
        )
        return tuple(dict.fromkeys((*self.designed, *self.dated, *some)))

    def spec_of(self, name: str) -> ParameterSpec:
        """Return the specification of a parameter of the project, or of one of its devices."""
        devices = {k: spec for needs in self.roles.values() for k, spec in needs.params.items()}
        return {**devices, **self.parameters}[name]

    def designed_of(self, roles: Iterable[str]) -> tuple[str, ...]:
        """Return design parameters of the services metered by some roles."""
        some = {*roles}
        found = [one.parameter for one in self.capacities if some & {*one.serves}]
        found += [
            one.by_design for one in self.consumptions if one.by_design and some & {*one.serves}
        ]
        earning = {role for role, needs in self.roles.items() if needs.side == "baseline"}
        found += self.papers if some & earning else ()
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Tool:
    """
    A published tool whose result is a factor or a series of them, not a reduction.

    `compute` takes of its `steps` what the tool reports.
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
    An environmental figure, which is not part of any tonnes.

    `table` names the standard's numbers in `mrv/countries`, None where the figure
    needs none; `configured` says that they could not be read, so that anyone who
    has them must give them.  `banded` is the result that the standard's words
    (good, poor) go by.
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
