"""
What an operator declares of a project beside its meters: surveys, events, the design, its phases.

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
    A part of a population that was sampled by itself, such as an age or a country.

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
    A sample of a population, by which a parameter is estimated.

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
    Event at a plant: its first day and the first day after it, which an event that lasts has not.

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
        """Whether it is of a device, and of days with both ends among them."""
        mine = not self.devices or device in self.devices
        return mine and self.begins <= last and (self.ends is None or first < self.ends)

    def settles(self, device: str, day: date) -> bool:
        """Whether someone investigated a device's day, and was done with it no earlier."""
        done = self.resolved is not None and day <= self.resolved
        return bool(self.by) and done and self.covers(device, day, day)


@dataclass(frozen=True, slots=True)
class DesignedDevice:
    """Equipment of the registered design: how many of a make and model, and where."""

    make: str
    model: str
    number: int
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of the implementation: when it was planned, and when it was commissioned."""

    name: str
    planned: date
    commissioned: date | None = None
    document: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """
    The registered design document, with the equipment and the phases that it has.

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
    A meter that several users share, and the meters of each user.

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
    Why a published default applies in place of a supplier's, a measured or a national value.

    `factor` is the kind, such as `diesel.ncv`; `reason` says why none of those was to be had (CDM
    TOOL03: options a to d, in this order).
    """

    factor: str
    reason: str
    document: str | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """All of it, of a project."""

    surveys: tuple[Survey, ...] = ()
    events: tuple[Event, ...] = ()
    design: Design | None = None
    shared_meters: tuple[SharedMeter, ...] = ()
    defaults: tuple[Default, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is declared."""
        return self != Declared()

    def until(self, last: date) -> Declared:
        """Return what is of days up to the last of a period."""
        return Declared(
            tuple(one for one in self.surveys if one.taken <= last),
            tuple(one for one in self.events if one.begins <= last),
            self.design,
            self.shared_meters,
            self.defaults,
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """
    A certificate of a device's meter: good from `performed` up to its due date.

    The due date, `valid_until`, is the first local day that it does not cover.
    `max_error_percent` is None where the certificate names only a class.  `serial` is the
    meter that it names, `channel` the instrument of a device that has several; without it the
    certificate is of all.  `found_error_percent` is the error as it was found, before adjustment;
    a `last_test` is of a meter that was removed, and covers nothing.
    """

    performed: date
    valid_until: date
    certificate: str
    accuracy_class: str | None = None
    max_error_percent: Decimal | int | float | None = None
    serial: str | None = None
    channel: str | None = None
    found_error_percent: Decimal | int | float | None = None
    last_test: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """
    Laboratory result of a sample: the parameter's value in the methodology's unit.

    Attributes
    ----------
    parameter : str
        Of the methodology.
    sample : str
        The laboratory's number of it.
    taken : date
        Local day on which it was taken.
    method : str
        Such as ISO 6060.
    laboratory : str
        Its name, and its accreditation.
    sha256 : str or None
        Of the report, kept elsewhere.
    signed : str or None
        The laboratory's own signature under the row (`mrv.statement.signed_rows`).
    """

    parameter: str
    sample: str
    taken: date
    value: Decimal | int
    method: str
    laboratory: str
    sha256: str | None = None
    signed: str | None = None
