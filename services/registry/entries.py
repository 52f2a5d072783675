"""Data types of registry entries; an import writes an entry only if changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from math import cos, radians
from typing import Annotated, Any, ClassVar

from mrv.calendar import joined
from mrv.exports.entered import Acceptance, Authorization, Facility, Submission
from mrv.exports.registration import Registration
from mrv.registry import (
    MAX_EXPECTED,
    MAX_WATT,
    YEARS,
    Calibration,
    Declared,
    Default,
    Design,
    Event,
    Id,
    Key,
    Sample,
    Sha256,
    SharedMeter,
    Survey,
)
from mrv.registry.calibration_interval import MAX_MONTHS
from mrv.registry.monitoring_plan import Version
from mrv.registry.programme_systems import TransferClass

EntryKey = tuple[str, str]  # kind and id of an entry
CHECK_PERCENT = 2
_NEAR_DEG = 0.001  # about a hundred metres [degrees of latitude]
CALIBRATION_EVERY = "calibration_every"  # attribute: months between calibrations
ARRAY_KEYS = ("dc_power_w", "tilt", "azimuth", "temperature_coefficient_percent")
_Names = Annotated[Mapping[str, str] | None, Key(form="names")]
_Latitude = Annotated[float, Key(lacks="decimal degrees", low=-90, high=90)]
_Longitude = Annotated[float, Key(lacks="decimal degrees", low=-180, high=180)]
_Watt = Annotated[int | None, Key(low=1, high=MAX_WATT)]
_Tilt = Annotated[Decimal | int | None, Key(high=90)]
_Azimuth = Annotated[Decimal | int | None, Key(high=360)]
# crystalline silicon has -0.26 to -0.5 %/K, thin film -0.2 to -0.32 %/K
_PerKelvin = Annotated[Decimal | int | None, Key(low=-1, high=0)]
# a kWh costs about 3,000 VND or 1,500 IDR; a price above the limit has a wrong unit
_Price = Annotated[Decimal | int | None, Key(high=1_000_000)]
_Kilotonnes = Annotated[Decimal | int | None, Key(high=MAX_EXPECTED)]
_Since = Annotated[datetime, Key("from")]


def calibration_every(value: object) -> int | None:
    """Return a calibration interval [months]; None if the attribute is not one."""
    return value if type(value) is int and 1 <= value <= MAX_MONTHS else None


# keys of a document: title and number, issuer, date, hash of the file
DOCUMENT = ("document", "by", "issued", "sha256")
STATED = "value"  # key of the parameter's value in its unit; a mapping by device if values differ
SIGNED = "signed"  # key of the issuer's signature
UNTIL = "valid_until"  # key of the first day on which the document no longer applies


@dataclass(frozen=True, slots=True)
class LaterZone:
    """A site's time zone from its first local date on."""

    begins: Annotated[date, Key("from", form="year")]
    timezone: str


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices of a kWh at a site from a local day on, in one currency; no effect on tonnes."""

    begins: Annotated[date, Key("from", "the first local day of the prices")]
    currency: str
    import_per_kwh: _Price = None
    export_per_kwh: _Price = None
    feed_in_per_kwh: _Price = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """
    A site: a location with its time zone; `park` is the id of its group of sites.

    `names` are names in other languages.  `timezones` are changes after `timezone`; None if a file
    omits them.  `country` is an ISO 3166-1 alpha-2 code; without it the time zone's country
    applies.  `grid` is the electricity grid in a country with several.
    """

    kind: ClassVar[str] = "site"
    id: Id
    name: str
    latitude: _Latitude
    longitude: _Longitude
    timezone: str
    park: Id | None = None
    names: _Names = None
    timezones: Annotated[tuple[LaterZone, ...] | None, Key(order=("begins",))] = None
    country: str | None = None
    tariffs: Annotated[tuple[Tariff, ...] | None, Key(order=("begins",))] = None
    grid: str | None = None

    @property
    def clock(self) -> str:
        """Return all time zones of the site, in the format of `mrv.calendar`."""
        return joined(self.timezone, ((z.begins, z.timezone) for z in self.timezones or ()))


@dataclass(frozen=True, slots=True)
class Replacement:
    """
    Replacement of a device's physical meter.

    `channel`: column of the device class; the values are in its base units.
    `same_meter`: the meter was not replaced; only its register was reset.
    """

    at: datetime
    channel: str
    last: Annotated[int, Key(column="last_value")]
    first: Annotated[int, Key(column="first_value")]
    reason: str
    document: str | None = None
    same_meter: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    Two registers of a device whose readings were sent under each other's name for some time.

    `channel` and `other` are columns of the device class.
    """

    channel: str
    other: Annotated[str, Key("with")]
    begins: _Since
    ends: Annotated[datetime, Key("to")]
    reason: str
    document: str


@dataclass(frozen=True, slots=True)
class Rating:
    """
    A rated power [W] that applies from a time on, with its document and the file's hash.

    A row with a hash corrects the previous one of the same time.
    """

    begins: _Since
    rated_power_w: Annotated[int, Key(lacks="whole watts", low=1, high=MAX_WATT)]
    document: str | None
    sha256: Sha256 | None = None


@dataclass(frozen=True, slots=True)
class PvArray:
    """
    PV modules on an inverter from a time on.

    `dc_power_w` is their nameplate at standard test conditions [W], `tilt` from the horizontal
    and `azimuth` clockwise from north [degrees], the temperature coefficient that of power [%/K].
    """

    begins: _Since
    dc_power_w: _Watt
    tilt: _Tilt
    azimuth: _Azimuth
    temperature_coefficient_percent: _PerKelvin
    document: str | None


@dataclass(frozen=True, slots=True)
class MeterKey:
    """Public key of a meter or gateway from a time on, and its source; `key` is hex or `ended`."""

    begins: _Since
    key: str
    document: str | None


@dataclass(frozen=True, slots=True)
class Outside:
    """Meter at a project's site outside its boundary: the reason, and the meters it supplies."""

    device: Id
    reason: str
    upstream_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quality:
    """
    Limits of the quality tests for one channel (or `time`) from a time on, with the reason.
    Null disables a test; for an omitted key the profile's limit applies.
    """

    channel: str
    begins: _Since
    limits: Annotated[Mapping[str, Any], Key(form="flat")]
    reason: str


@dataclass(frozen=True, slots=True)
class Device:
    """
    A field device.

    A list is None if a file omits it.  A check meter has `check_of`, its main meter, and
    `check_percent`, the permitted difference.  `maker`, `model` and `serial` identify the physical
    meter.  The data of PV modules equal those of the last row of `arrays`.  Data are expected from
    the local day `commissioned` on, or else from the first reading that arrives on time.
    """

    kind: ClassVar[str] = "device"
    id: Id
    site: Id
    class_id: Annotated[str, Key("class", column="class")]
    profile: str
    gateway: Id | None
    rated_power_w: _Watt
    installed: datetime
    removed: datetime | None
    commissioned: Annotated[date | None, Key(form="year")] = field(default=None, kw_only=True)
    serial: str | None
    attributes: Mapping[str, Any]
    calibrations: Annotated[tuple[Calibration, ...] | None, Key(order=("performed", "certificate"))]
    replacements: Annotated[tuple[Replacement, ...] | None, Key(order=("channel", "at"))]
    quality: Annotated[tuple[Quality, ...] | None, Key(order=("channel", "begins"))] = None
    maker: str | None = None
    model: str | None = None
    ratings: Annotated[tuple[Rating, ...] | None, Key(order=("begins", "sha256"))] = None
    meter_keys: Annotated[tuple[MeterKey, ...] | None, Key(order=("begins",))] = None
    dc_power_w: _Watt = None
    tilt: _Tilt = None
    azimuth: _Azimuth = None
    temperature_coefficient_percent: _PerKelvin = None
    arrays: Annotated[tuple[PvArray, ...] | None, Key(order=("begins",))] = None
    exchanged_channels: Annotated[tuple[Exchange, ...] | None, Key(order=("channel", "begins"))] = (
        None
    )
    check_of: Id | None = None
    check_percent: Decimal | int = CHECK_PERCENT


def array_fields(array: Device | PvArray) -> dict[str, Any]:
    """Return the stated data of PV modules, by key."""
    return {key: getattr(array, key) for key in ARRAY_KEYS}


@dataclass(frozen=True, slots=True)
class Topic:
    """A template of a fleet's own topics; tonne does not subscribe to an inactive one."""

    kind: ClassVar[str] = "topic"
    id: Id
    template: str
    active: bool


@dataclass(frozen=True, slots=True)
class ProjectDevice:
    """A device in a role; enter local dates only if they differ from the crediting period's."""

    device: Id
    role: str
    params: Annotated[Mapping[str, Any], Key(form="flat")]
    from_date: Annotated[date | None, Key("from")] = None
    to_date: Annotated[date | None, Key("to")] = None


@dataclass(frozen=True, slots=True)
class Modules:
    """Number of PV modules, and rated power of each. [W]"""

    count: Annotated[int, Key(lacks="the number of modules", low=1)]
    watt: Annotated[Decimal | int, Key(lacks="the rated power of one in W", low=1, high=10_000)]


@dataclass(frozen=True, slots=True)
class Project:
    """
    A project; its dates are local to the first device's site, and ends are excluded.

    `system` is an entry of `mrv/registry/programme_systems.toml`.  `monitoring` holds the versions
    of its monitoring plan; None if a file omits them.  `boundary` lists the meters of its sites
    outside the project, with reasons; `laboratory` the laboratory results, which never change;
    `documents` the document of each ex-ante parameter, as text or as a mapping with the keys of
    `DOCUMENT`.
    """

    kind: ClassVar[str] = "project"
    id: Id
    name: str
    names: _Names = field(default=None, kw_only=True)
    methodology: str
    version: str
    crediting_from: Annotated[date, Key("crediting_period")]
    crediting_to: Annotated[date, Key(form="derived")]
    devices: tuple[ProjectDevice, ...]
    parameters: Mapping[str, Any]
    expected: Mapping[str, Any]
    modules: Modules | None
    action: str | None
    system: Id | None = None
    transfer: TransferClass | None = None
    monitoring: tuple[Version, ...] | None = None
    boundary: Annotated[tuple[Outside, ...] | None, Key(order=("device",))] = None
    documents: Mapping[str, str | Mapping[str, Any]] | None = None
    laboratory: Annotated[
        tuple[Sample, ...] | None, Key(order=("laboratory", "sample", "parameter"))
    ] = None
    surveys: Annotated[tuple[Survey, ...] | None, Key(order=("parameter", "taken"))] = None
    events: Annotated[tuple[Event, ...] | None, Key(order=("begins", "what", "found"))] = None
    shared_meters: Annotated[tuple[SharedMeter, ...] | None, Key(order=("main",))] = None
    defaults: Annotated[tuple[Default, ...] | None, Key(order=("factor",))] = None
    design: Design | None = None

    @property
    def declared(self) -> Declared:
        """Return the project's surveys, events and design as declared by the operator."""
        return Declared(
            self.surveys or (),
            self.events or (),
            self.design,
            self.shared_meters or (),
            self.defaults or (),
        )


@dataclass(frozen=True, slots=True)
class Reported:
    """Reduction of an action in a year by the city's model. [kt CO2e]"""

    year: Annotated[int, Key(lacks="a calendar year", low=YEARS[0], high=YEARS[1])]
    kt: Annotated[Decimal | int, Key(lacks="the reduction in kt CO2e", high=MAX_EXPECTED)]
    source: str


@dataclass(frozen=True, slots=True)
class Action:
    """
    An action of the programme, and its yearly target if it has one. [kt CO2e]

    Target and `reported` are the city's modelled account, separate from projects.
    """

    id: Id
    name: str
    names: _Names = field(default=None, kw_only=True)
    target_kt: _Kilotonnes
    target_year: Annotated[int | None, Key(low=YEARS[0], high=YEARS[1])] = None
    reported: Annotated[tuple[Reported, ...], Key(order=("year",))] = ()


@dataclass(frozen=True, slots=True)
class PersonRole:
    """Role that monitoring plans name as responsible, and its names in other languages."""

    name: str
    names: _Names = None


@dataclass(frozen=True, slots=True)
class Area:
    """Bounding box of a city. [degrees]"""

    south: _Latitude
    north: _Latitude
    west: _Longitude
    east: _Longitude


@dataclass(frozen=True, slots=True)
class Programme:
    """
    The programme of the projects.

    `target_kt` is the sum of its actions' targets; sites outside `area` give a warning.
    `issue_signatures` is the number of operators who must approve an issue, each with their own
    key; with None the preparer's signature is sufficient.  `public_url` is the address at which the
    API states whether a statement is valid; reports contain it.
    """

    kind: ClassVar[str] = "programme"
    name: str
    target_kt: _Kilotonnes = None
    area: Area | None = None
    issue_signatures: Annotated[int | None, Key(low=1, high=9)] = None
    public_url: str | None = None
    actions: tuple[Action, ...] = ()
    roles: Annotated[tuple[PersonRole, ...], Key(order=("name",))] = ()

    @property
    def id(self) -> str:
        """Return the id of the programme; there is only one."""
        return "programme"


@dataclass(frozen=True, slots=True)
class Published:
    """Emission factor of a registry file, with the keys of the factor files."""

    kind: ClassVar[str] = "factor"
    id: str
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entered:
    """
    Entry whose data come from an authority or a carbon registry, such as an authorisation.

    `kind` is the section of the registry file.  The record has the keys of
    `mrv/exports/entered.py`.
    """

    kind: str
    id: str
    record: Registration | Authorization | Submission | Facility | Acceptance


Entry = Site | Device | Topic | Published | Project | Programme | Entered


@dataclass(frozen=True, slots=True)
class Registry:
    """All entries by kind and id, in the order of the file."""

    entries: dict[EntryKey, Entry] = field(default_factory=dict)

    @staticmethod
    def of(entries: Iterable[Entry]) -> Registry:
        """Return a registry of entries; the last one of equal kind and id is kept."""
        return Registry({(e.kind, e.id): e for e in entries})

    @property
    def sites(self) -> dict[str, Site]:
        """Return the sites by id."""
        return {e.id: e for e in self.entries.values() if isinstance(e, Site)}

    @property
    def devices(self) -> dict[str, Device]:
        """Return the devices by id."""
        return {e.id: e for e in self.entries.values() if isinstance(e, Device)}

    @property
    def topics(self) -> dict[str, Topic]:
        """Return the topic templates by id."""
        return {e.id: e for e in self.entries.values() if isinstance(e, Topic)}

    @property
    def factors(self) -> dict[str, Published]:
        """Return the published factors by id."""
        return {e.id: e for e in self.entries.values() if isinstance(e, Published)}

    @property
    def projects(self) -> dict[str, Project]:
        """Return the projects by id."""
        return {e.id: e for e in self.entries.values() if isinstance(e, Project)}

    @property
    def entered(self) -> list[Entered]:
        """Return entries of authorities and registries."""
        return [e for e in self.entries.values() if isinstance(e, Entered)]

    @property
    def programme(self) -> Programme | None:
        """Return the programme, if registered."""
        return next((e for e in self.entries.values() if isinstance(e, Programme)), None)

    def around(self, ids: Iterable[str]) -> set[str]:
        """Return the ids of given sites, and of all sites within about 100 metres of them."""
        sites = self.sites
        known = [sites[name] for name in ids if name in sites]
        return {
            site.id
            for site in sites.values()
            for at in known
            if abs(site.latitude - at.latitude) < _NEAR_DEG
            and abs(site.longitude - at.longitude) * cos(radians(at.latitude)) < _NEAR_DEG
        }


def place(sample: Sample) -> tuple[str, str, str]:
    """Return the key of a laboratory sample: laboratory, number of the sample there, parameter."""
    return sample.laboratory, sample.sample, sample.parameter
