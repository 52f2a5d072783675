"""
Declarations of an operator for a project: surveys, events, design, phases.

One type each in registry file, database, plan and statement.  Days are local; spans half-open.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, get_args

Happening = Literal["outage", "overhaul", "accident", "increase", "moved", "anomaly"]
HAPPENINGS: tuple[Happening, ...] = get_args(Happening)


@dataclass(frozen=True, slots=True)
class Stratum:
    """
    A separately sampled part of a population, such as an age or a country.

    `mean` and `sd` are of its own sample; without an `sd` the mean is a share of answers.
    """

    name: str
    population: int
    n: int
    mean: Decimal
    sd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """
    A sample of a population for the estimate of a parameter.

    Attributes
    ----------
    parameter : str
        Of the project.
    population, n : int
        How many there are, and how many of them were asked.
    mean : Decimal or int
        Of the sample, in the parameter's unit; of a share, the share.
    drawn : str
        How the sample was drawn.
    taken : date
        Last day of the survey.
    sd : Decimal or int, optional
        Standard deviation of the sample; without one the mean is a share of answers.
    confidence, precision : Decimal or int, optional
        What the plan asks for, where that is more than the methodology does. [%]
    sha256 : str, optional
        Of the data, kept elsewhere.
    strata : tuple of Stratum
        Parts that were sampled by themselves; the mean is theirs, weighted by population.
    """

    parameter: str
    population: int
    n: int
    mean: Decimal
    drawn: str
    taken: date
    sd: Decimal | None = None
    confidence: Decimal | None = None
    precision: Decimal | None = None
    sha256: str | None = None
    strata: tuple[Stratum, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """
    An event at a plant: first day and first day after it, None if it continues.

    `increase` explains a reduction above the estimate of the design, `moved` is of meters that
    measure at another point, `anomaly` of unusual readings.  `by` is who investigated it, and
    `resolved` the day on which it was done with.
    """

    begins: date
    what: Happening
    found: str
    ends: date | None = None
    document: str | None = None
    devices: tuple[str, ...] = ()
    by: str | None = None
    resolved: date | None = None

    def covers(self, device: str | None, first: date, last: date) -> bool:
        """Return whether it concerns a device and includes both ends of some days."""
        mine = not self.devices or device in self.devices
        return mine and self.begins <= last and (self.ends is None or first < self.ends)

    def settles(self, device: str, day: date) -> bool:
        """Return whether a device's day was investigated, on that day or later."""
        done = self.resolved is not None and day <= self.resolved
        return bool(self.by) and done and self.covers(device, day, day)


@dataclass(frozen=True, slots=True)
class DesignedDevice:
    """Equipment of the registered design: number of a make and model, and location."""

    make: str
    model: str
    number: int
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of the implementation: planned and actual commissioning."""

    name: str
    planned: date
    commissioned: date | None = None
    document: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """
    The registered design document, with its equipment and phases.

    `latitude` and `longitude` are those of the plant by the document. [deg]
    """

    document: str
    version: str
    issued: date
    sha256: str
    devices: tuple[DesignedDevice, ...] = ()
    phases: tuple[Phase, ...] = ()
    latitude: Decimal | None = None
    longitude: Decimal | None = None


@dataclass(frozen=True, slots=True)
class JointReading:
    """
    Joint reading of a common meter for local days, the last day excluded.

    `value` is in base units of the quantity; `by` gave the record, whose file has `sha256`.
    """

    begins: date
    ends: date
    quantity: str
    value: int
    document: str
    by: str
    sha256: str


@dataclass(frozen=True, slots=True)
class SharedMeter:
    """
    A meter shared by several users, and the meters of each user.

    `lost` is by how much the two may differ: what is lost or stored between them. [%]  `readings`
    are joint meter readings; the lower of these and of the meter's own readings applies.
    """

    main: str
    users: tuple[str, ...]
    lost: Decimal | None = None
    readings: tuple[JointReading, ...] = ()


@dataclass(frozen=True, slots=True)
class Default:
    """
    Reason for a published default in place of a supplier's, measured or national value.

    `factor` is the kind, such as `diesel.ncv`; `reason` says why none of those was to be had (CDM
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
        """Whether anything is declared."""
        return self != Declared()

    def until(self, last: date) -> Declared:
        """Return the declarations for days up to the last of a period."""
        return Declared(
            tuple(one for one in self.surveys if one.taken <= last),
            tuple(one for one in self.events if one.begins <= last),
            self.design,
            self.shared_meters,
            self.defaults,
        )
