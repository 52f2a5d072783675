"""
Registry data for an account: projects, calibrations, plans, systems, and a project's declarations.

The operator declares surveys, events, design and phases.  Registry file, database, plan and
statement use the same types.  Days are local; spans are half-open.  The precision of a sample
follows CDM "Standard: Sampling and surveys for CDM project activities and programmes of
activities"; where it is not sufficient, the conservative bound is used.

`Key` annotates a field of a registry entry with its form in registry files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import isqrt
from typing import Annotated, Literal, NamedTuple

# maximum of an annual amount
MAX_EXPECTED = 10**15
MAX_WATT = 10**12
YEARS = 1990, 2200
Form = Literal["", "id", "sha256", "names", "year", "flat", "derived"]


class Key(NamedTuple):
    """
    Annotation of a field: its key in files, and what a file may give.

    `name`: key, if it is not the name of the field.
    `lacks`: text that states what to enter if a required value is missing.
    `low`, `high`: limits of a number, inclusive.
    `form`: form of a text or date; `flat` for a mapping whose keys are listed with those of the
    other fields, `derived` for a field that a file does not have.
    `order`: fields by which rows of a list are sorted; two rows cannot be equal in all of them.
    `column`: column in the database, if it is not the name of the field.
    """

    name: str = ""
    lacks: str = ""
    low: float = 0
    high: float | None = None
    form: Form = ""
    order: tuple[str, ...] = ()
    column: str = ""


Id = Annotated[str, Key(form="id")]
Sha256 = Annotated[str, Key(form="sha256")]


Side = Literal["baseline", "project", "leakage"]
Method = Literal["visit", "measurement", "telephone", "internet", "records"]
Happening = Literal["outage", "overhaul", "accident", "increase", "moved", "anomaly"]
_MAX_MEAN = 10**12


@dataclass(frozen=True, slots=True)
class Stratum:
    """
    A part of a population that is sampled separately, such as an age group or a country.

    `mean`, `sd`: of its own sample; without `sd` the mean is a share of answers.
    """

    name: str
    population: Annotated[int, Key(lacks="how many there are", low=1)]
    n: Annotated[int, Key(lacks="how many were asked, 2 or more", low=2)]
    mean: Annotated[Decimal, Key(lacks="the mean of its sample", high=_MAX_MEAN)]
    sd: Annotated[Decimal | None, Key(high=_MAX_MEAN)] = None


@dataclass(frozen=True, slots=True)
class Survey:
    """
    A sample survey of a population that estimates a parameter.

    `parameter`: parameter of the project.
    `population`, `n`: size of the population and of the sample.
    `mean`: mean of the sample in the parameter's unit, or a share.
    `drawn`: how the sample was drawn.
    `taken`: last day of the survey.
    `sd`: standard deviation of the sample; without one the mean is a share of answers.
    `confidence`, `precision`: requirement of the plan, where stricter than that of the methodology.
    [%]
    `sha256`: SHA-256 of the data, which are stored elsewhere.
    `strata`: separately sampled parts; the mean is weighted by their population.
    `method`: how the units were examined.
    `participants`: number of households or sites of the population.
    `replaced`: number of drawn units that were replaced or gave no answer.
    `clusters`: number of clusters in the sample, such as wells or villages, if clusters were drawn.
    """

    parameter: str
    population: Annotated[int, Key(lacks="how many there are", low=1)]
    n: Annotated[int, Key(lacks="how many were asked, 2 or more", low=2)]
    mean: Annotated[Decimal, Key(lacks="the mean of the sample", high=_MAX_MEAN)]
    drawn: str
    taken: Annotated[date, Key(lacks="the last local day of the survey")]
    sd: Annotated[Decimal | None, Key(high=_MAX_MEAN)] = None
    confidence: Annotated[Decimal | None, Key(low=50, high=99)] = None
    precision: Annotated[Decimal | None, Key(low=0.1, high=50)] = None
    sha256: Sha256 | None = None
    strata: tuple[Stratum, ...] = ()
    method: Method | None = None
    participants: Annotated[int | None, Key(low=1)] = None
    replaced: int | None = None
    clusters: Annotated[int | None, Key(low=2)] = None


@dataclass(frozen=True, slots=True)
class Event:
    """
    An event at a plant, with its first day and the first day after it (absent if it continues).

    `what`: `increase` explains a reduction above the design estimate, `moved` means that meters
    were moved to another monitoring point, `anomaly` explains unusual readings.
    `by`: investigator.
    `resolved`: day on which it was resolved.
    """

    begins: Annotated[date, Key("from", "the first local day")]
    ends: Annotated[date | None, Key("to")] = field(default=None, kw_only=True)
    what: Happening
    found: str
    document: str | None = None
    devices: tuple[str, ...] = ()
    by: str | None = None
    resolved: date | None = None

    def covers(self, device: str | None, first: date, last: date) -> bool:
        """Return whether the event concerns a device on all days from `first` to `last`."""
        mine = not self.devices or device in self.devices
        return mine and self.begins <= last and (self.ends is None or first < self.ends)

    def settles(self, device: str, day: date) -> bool:
        """
        Return whether the event explains a day's data: it has an investigator, and was resolved on
        that day or later.
        """
        done = self.resolved is not None and day <= self.resolved
        return bool(self.by) and done and self.covers(device, day, day)


@dataclass(frozen=True, slots=True)
class DesignedDevice:
    """Equipment of the registered design: number of a make and model, location and rated power."""

    make: str
    model: str
    number: Annotated[int, Key(lacks="how many there are", low=1)]
    place: str | None = None
    rated_power_w: Annotated[int | None, Key(low=1)] = None


@dataclass(frozen=True, slots=True)
class DesignedPopulation:
    """
    Number of units in the registered design for the parameter of a survey.

    `participants`: number of households or sites that have these units.
    """

    parameter: str
    number: Annotated[int, Key(lacks="how many units there are", low=1)]
    participants: Annotated[int | None, Key(low=1)] = None


@dataclass(frozen=True, slots=True)
class EmissionSource:
    """
    A source of emissions in the registered design, such as an additional fuel.

    `counted_by`: role or parameter of the methodology that includes it; for an excluded source
    `reason` states why, with its `document`.
    """

    name: str
    gas: str
    side: Side
    counted_by: str | None = None
    reason: str | None = None
    document: str | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of the implementation: planned and actual commissioning."""

    name: str
    planned: Annotated[date, Key(lacks="the day that the design names")]
    commissioned: date | None = None
    document: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """
    The registered design document, with its equipment and phases.

    `latitude` and `longitude`: location of the plant by the document. [deg]  `replaced_until`:
    first day on which replaced equipment would have been replaced without the project as well (CDM
    TOOL10); no crediting period extends beyond it.
    """

    document: str
    version: str
    issued: Annotated[date, Key("date", "the date of the document")]
    sha256: Annotated[str, Key(lacks="the SHA-256 of its file", form="sha256")]
    devices: tuple[DesignedDevice, ...] = ()
    phases: tuple[Phase, ...] = ()
    latitude: Annotated[Decimal | None, Key(low=-90, high=90)] = None
    longitude: Annotated[Decimal | None, Key(low=-180, high=180)] = None
    populations: tuple[DesignedPopulation, ...] = ()
    sources: tuple[EmissionSource, ...] = ()
    replaced_until: date | None = None


@dataclass(frozen=True, slots=True)
class JointReading:
    """
    Joint reading of a common meter by users and utility, for local days.

    `value`: in base units of the quantity; `by`: issuer of the record, whose file has `sha256`.
    """

    begins: Annotated[date, Key("from", "the first local day that was read")]
    ends: Annotated[date, Key("to", "the first local day after those")]
    quantity: str
    value: Annotated[int, Key("amount", form="flat")]
    document: str
    by: str
    sha256: Annotated[str, Key(lacks="the SHA-256 of the record's file", form="sha256")]


@dataclass(frozen=True, slots=True)
class SharedMeter:
    """
    A common meter of several users, and the meters of each user.

    `lost`: tolerance for losses and storage between the meters [%].  `readings`: joint readings;
    the lower quantity of these and of the meter's own readings is used.
    """

    main: Id
    users: tuple[str, ...]
    lost: Annotated[Decimal | None, Key(high=50)] = None
    readings: Annotated[tuple[JointReading, ...], Key(order=("quantity", "begins"))] = ()


@dataclass(frozen=True, slots=True)
class Default:
    """
    Reason for using a published default instead of a supplier's, measured or national value.

    `factor`: its kind, such as `diesel.ncv`; `reason`: why no better value is available (CDM
    TOOL03: options a to d, in this order).
    """

    factor: str
    reason: str
    document: str | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """All declarations of a project."""

    surveys: tuple[Survey, ...] = ()
    events: tuple[Event, ...] = ()
    design: Design | None = None
    shared_meters: tuple[SharedMeter, ...] = ()
    defaults: tuple[Default, ...] = ()

    def __bool__(self) -> bool:
        return self != Declared()

    def until(self, last: date) -> Declared:
        """Return the declarations for days up to the last day of a period."""
        return Declared(
            tuple(survey for survey in self.surveys if survey.taken <= last),
            tuple(event for event in self.events if event.begins <= last),
            self.design,
            self.shared_meters,
            self.defaults,
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """
    A calibration certificate of a device's meter, valid from `performed` to its due date.

    The due date, `valid_until`, is the first local day that it does not cover.
    `max_error_percent`: None if the certificate states only a class.
    `serial`: serial number of the meter in the certificate.
    `channel`: instrument of a device with several; without it the certificate covers all.
    `found_error_percent`: error found before adjustment.
    `last_test`: test of a removed meter, which covers no time.
    `laboratory`, `accreditation`: who calibrated it, and the number of its accreditation
    (ISO/IEC 17025).
    """

    performed: Annotated[date, Key(lacks="a date")]
    valid_until: date
    certificate: str
    accuracy_class: str | None = None
    max_error_percent: Annotated[Decimal | int | float | None, Key(high=100)] = None
    serial: str | None = None
    channel: str | None = None
    found_error_percent: Annotated[Decimal | int | float | None, Key(high=100)] = None
    last_test: bool = False
    laboratory: str | None = None
    accreditation: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """
    Laboratory result of a sample: the value of a parameter in the methodology's unit.

    `parameter`: parameter of the methodology.
    `sample`: number of the sample at the laboratory.
    `taken`: local day on which it was taken.
    `method`: such as ISO 6060.
    `laboratory`: name of the laboratory, and its accreditation.
    `sha256`: SHA-256 of the report, which is stored elsewhere.
    `signed`: the laboratory's own signature under the row (`mrv.statement.signed_rows`).
    """

    parameter: str
    sample: str
    taken: Annotated[date, Key(lacks="the local day on which it was taken")]
    value: Annotated[Decimal | int, Key(lacks="what was found", high=MAX_EXPECTED)]
    method: str
    laboratory: str
    sha256: Sha256 | None = None
    signed: str | None = None


# minimum confidence and precision, of small-scale and large-scale projects [%]
SMALL, LARGE = (90, 10), (95, 10)
# t of 1 to 30 degrees of freedom, then of more than 30, 40, 60 and 120 (Fisher and Yates)
_T = {
    90: "6.314 2.920 2.353 2.132 2.015 1.943 1.895 1.860 1.833 1.812 1.796 1.782 1.771 1.761 1.753"
        " 1.746 1.740 1.734 1.729 1.725 1.721 1.717 1.714 1.711 1.708 1.706 1.703 1.701 1.699"
        " 1.697 1.697 1.684 1.671 1.658",
    95: "12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262 2.228 2.201 2.179 2.160 2.145"
        " 2.131 2.120 2.110 2.101 2.093 2.086 2.080 2.074 2.069 2.064 2.060 2.056 2.052 2.048"
        " 2.045 2.042 2.042 2.021 2.000 1.980",
    99: "63.657 9.925 5.841 4.604 4.032 3.707 3.499 3.355 3.250 3.169 3.106 3.055 3.012 2.977"
        " 2.947 2.921 2.898 2.878 2.861 2.845 2.831 2.819 2.807 2.797 2.787 2.779 2.771 2.763"
        " 2.756 2.750 2.750 2.704 2.660 2.617",
}  # fmt: skip
_STEPS = (30, 40, 60, 120)
_SCALE = 10**9


class Precision(NamedTuple):
    """Half-width of a confidence interval in the unit of the mean, and precision. [%]"""

    half: Fraction
    percent: Fraction | None
    confidence: int
    required: Fraction

    @property
    def holds(self) -> bool:
        """Return whether the precision meets the requirement."""
        return self.percent is not None and self.percent <= self.required


def required(methodology: str, programme: str) -> tuple[int, int]:
    """Return confidence and precision required by a methodology's programme. [%]"""
    large = programme == "CDM" and not methodology.startswith("ams-")
    return LARGE if large else SMALL


def of_survey(survey: Survey, least: tuple[int, int]) -> Precision:
    """
    Return the precision of a survey; a stricter requirement of the plan applies.

    In a cluster sample each cluster is one unit, as the units of a cluster may be correlated.

    `least`: required confidence and precision. [%]
    """
    mean, parts = Fraction(survey.mean), survey.strata or (survey,)
    square = sum((_square(part) * part.population**2 for part in parts), start=Fraction(0))
    size = survey.n if survey.clusters is None else min(survey.n, survey.clusters)
    square = square * survey.n / size
    # each stratum has its own mean, so its number of degrees of freedom is reduced by one
    n = max(2, size - len(parts) + 1)
    confidence = max(least[0], *(int(c) for c in (survey.confidence,) if c is not None), 0)
    required = min(Fraction(survey.precision or least[1]), Fraction(least[1]))
    return _precision(mean, square / survey.population**2, n, confidence, required)


def _square(item: Survey | Stratum) -> Fraction:
    """
    Return the squared standard error of a sample's mean, for a finite population. [unit of the
    mean, squared]
    """
    mean = Fraction(item.mean)
    variance = mean * (1 - mean) if item.sd is None else Fraction(item.sd) ** 2
    remaining = Fraction(max(0, item.population - item.n), max(1, item.population - 1))
    return max(Fraction(0), variance) * remaining / item.n


def of_samples(values: Sequence[Fraction], least: tuple[int, int]) -> Precision | None:
    """
    Return the precision of the mean of some samples; None for fewer than two.

    `least`: required confidence and precision. [%]
    """
    n = len(values)
    if n < 2:  # noqa: PLR2004 - one sample has no spread
        return None
    mean = sum(values, start=Fraction(0)) / n
    variance = sum(((v - mean) ** 2 for v in values), start=Fraction(0)) / (n - 1)
    return _precision(mean, variance / n, n, least[0], Fraction(least[1]))


def _precision(
    mean: Fraction, square: Fraction, n: int, confidence: int, required: Fraction
) -> Precision:
    table = next(level for level in _T if level >= min(confidence, max(_T)))
    half = student(table, n - 1) * _root(square)
    return Precision(half, 100 * half / abs(mean) if mean else None, table, required)


def student(confidence: int, freedom: int) -> Fraction:
    """Return the two-sided quantile of Student's t at a tabulated confidence. [%]"""
    rows = _T[confidence].split()
    place = freedom - 1
    if freedom > _STEPS[0]:
        place = _STEPS[0] + sum(freedom > step for step in _STEPS) - 1
    return Fraction(rows[max(0, place)])


def _root(square: Fraction) -> Fraction:
    """Return the square root, rounded up to nine places."""
    scaled = -(-square.numerator * _SCALE**2 // square.denominator)
    root = isqrt(scaled)
    return Fraction(root if root * root == scaled else root + 1, _SCALE)
