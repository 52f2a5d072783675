"""
What the database has of a period's meters, documents and neighbours, read once.

`mrv.rules` judges what was metered; the rules of `registry_rules` judge these facts, and need no
database.  What such a rule may yield is here as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from psycopg import Connection

from mrv.calendar import local_date
from mrv.countries import country_of
from mrv.method_lives import Life
from mrv.methodologies import find
from mrv.model import Factors, Methodology
from mrv.registry.calibration_interval import Lengthened, lengthened
from mrv.registry.project import Certified, Project
from mrv.rules import Severity
from mrv.rules.effects import Said
from mrv.signatures.organisations import stem
from mrv.texts import MOST_LINES, Text, lines
from services.issuer import acceptances
from services.issuer.disguised_copies import disguised
from services.issuer.doubted_invoices import Invoices, invoices_of
from services.issuer.left_out_meters import Span, unbound
from services.issuer.left_out_use import LeftOut, left_out
from services.issuer.repeated_days import repeated_elsewhere
from services.issuer.same_series import Copy, Energy, same_elsewhere
from services.registry import meters
from services.registry.authority import entered_records, life_of
from services.registry.entries import CALIBRATION_EVERY, Device, Rating, Registry, calibration_every
from services.registry.entries import Project as Entry
from services.store.registry.entries_from_rows import load_ratings, load_registry
from services.store.registry.factors import load_book
from services.store.registry.project_versions import attribute_versions
from services.store.statements.carry_over import owed_at_site
from services.store.statements.energy_certificates import beside, certified
from services.store.statements.statements import (
    IssuedCertificate,
    IssuedPoint,
    certificates_of_devices,
    points_of_devices,
)
from services.store.timeseries.beyond_rating import Beyond, beyond_rating

# rated powers of a device, each with when it was recorded, in order
Ratings = list[tuple[Rating, datetime]]
# a methodology in the programme that registered the project, and the registration's day
Lived = tuple[Life, date | None]


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """
    A period as a rule of the registry sees it; nothing in it can be changed.

    Attributes
    ----------
    project : Project
        With the devices of the period.
    registry : Registry
        Of all projects.
    devices : tuple of Device
        The project's, by id.
    ratings : mapping of str to sequence of (Rating, datetime)
        Of these devices, with when each was recorded.
    same, alike : tuple of (Device, Device)
        Ids of one serial, and of serials that read alike; the second of each pair came later.
    beyond : tuple of Beyond
        Devices whose registers rise many times faster than their rated power allows.
    copies : tuple of Copy
        Meters whose energy is that of others, or of an earlier time.
    operators : frozenset of str
        Organisations that hold an operator's key.
    accepted : mapping
        What programmes accepted.
    owed : tuple of (str, int)
        Statements at the project's site that left something below zero. [ug CO2e]
    lives : tuple of (Life, date or None)
        Of the methodology in the programmes that registered the project, with the day.
    certified : mapping of (str, str) to tuple of Certified
        What certificates of energy certify, by device and quantity.
    certified_beside : tuple of (str, str)
        Certificates of energy of other meters at the site, and these.
    left_out : tuple of LeftOut
        Meters that a role of the project's side would count, and what they measured.
    unbound : tuple of Device
        Meters of the site of such a role's class that are in no project, without a reason.
    factors : Factors
        By which `left_out` is priced.
    issued : tuple of IssuedCertificate
        Calibration certificates of these devices as issued statements have them.
    lengthened : mapping of str to Lengthened
        Intervals of calibration that became longer after the period began, by device.
    placed : mapping of str to IssuedPoint
        Where these devices measured before: by the last issued statement, or in the registry when
        the period began.
    """

    project: Project
    period_us: Span
    registry: Registry
    devices: tuple[Device, ...]
    ratings: Mapping[str, Ratings]
    same: tuple[tuple[Device, Device], ...]
    alike: tuple[tuple[Device, Device], ...]
    beyond: tuple[Beyond, ...]
    copies: tuple[Copy, ...]
    invoices: Invoices
    operators: frozenset[str]
    accepted: acceptances.Accepted
    owed: tuple[tuple[str, int], ...]
    lives: tuple[Lived, ...]
    certified: Mapping[tuple[str, str], tuple[Certified, ...]]
    certified_beside: tuple[tuple[str, str], ...]
    left_out: tuple[LeftOut, ...]
    unbound: tuple[Device, ...]
    factors: Factors
    issued: tuple[IssuedCertificate, ...] = ()
    lengthened: Mapping[str, Lengthened] = field(default_factory=dict)
    placed: Mapping[str, IssuedPoint] = field(default_factory=dict)

    @property
    def entry(self) -> Entry:
        """The project as its registry file has it."""
        return self.registry.projects[self.project.id]

    def own(self, name: str) -> bool:
        """Whether who gave a paper operates the plant, or is affiliated with who does."""
        return stem(name) in self.operators or self.invoices.by_operator(name)

    @property
    def methodology(self) -> Methodology:
        """Of the project."""
        return find(self.project.methodology, self.project.version)


def registry_facts(conn: Connection, project: Project, period_us: Span) -> RegistryFacts:
    """
    Read what the registry and its neighbours say of a period.

    Parameters
    ----------
    project : Project
        With the devices of the period.
    period_us : tuple of int
        Half-open. [us UTC]
    """
    registry, recorded = load_registry(conn), load_ratings(conn)
    mains = sorted({d.device for d in project.devices})
    every = registry.devices  # made anew at each look
    since = {name: held[0][1] for name, held in recorded.items() if held}
    energy = Energy(conn, registry, project, period_us, since)
    same = same_elsewhere(energy)
    days = repeated_elsewhere(energy, same)
    days += disguised(energy, same, days)
    return RegistryFacts(
        project=project,
        period_us=period_us,
        registry=registry,
        devices=tuple(every[name] for name in mains),
        ratings={name: recorded[name] for name in mains},
        same=tuple(p for p in meters.same_meters(registry) if p[1].id in mains),
        alike=tuple(p for p in meters.alike_meters(registry) if {p[0].id, p[1].id} & {*mains}),
        beyond=tuple(beyond_rating(conn, *period_us, mains)),
        copies=(*same.copies, *days),
        invoices=invoices_of(conn, registry, project, period_us),
        operators=acceptances.operators(conn),
        accepted=acceptances.acceptances(conn, registry),
        owed=tuple(owed_at_site(conn, project.id, mains, *period_us)),
        lives=lives_of(registry, project),
        certified=certified(conn, mains, *period_us),
        certified_beside=tuple(beside(conn, mains, *period_us)),
        left_out=tuple(left_out(conn, registry, project, period_us)),
        unbound=tuple(unbound(registry, project, period_us)),
        factors=load_book(conn).within(country_of(project)),
        issued=tuple(certificates_of_devices(conn, mains)),
        lengthened=_lengthened(conn, mains, period_us[0]),
        placed=_placed(conn, mains, project, period_us),
    )


def _placed(
    conn: Connection, devices: list[str], project: Project, period_us: Span
) -> dict[str, IssuedPoint]:
    said = {key: attribute_versions(conn, devices, key) for key in ("point", "feeds")}
    first = local_date(period_us[0], project.timezone)

    def at_begin(device: str, key: str) -> Any:
        values = (one for us, one in said[key].get(device, ()) if us <= period_us[0])
        return next(reversed([one for one in values if one is not None]), None)

    found = {}
    for device in devices:
        point, feeds = at_begin(device, "point"), at_begin(device, "feeds")
        if point is not None:
            found[device] = IssuedPoint(device, str(point), tuple(feeds or ()), "", first)
    return found | points_of_devices(conn, devices, period_us[1])


def _lengthened(conn: Connection, devices: list[str], from_us: int) -> dict[str, Lengthened]:
    said = attribute_versions(conn, devices, CALIBRATION_EVERY)
    found = {
        name: lengthened(((us, calibration_every(one)) for us, one in values), from_us)
        for name, values in said.items()
    }
    return {name: one for name, one in found.items() if one is not None}


def lives_of(registry: Registry, project: Project) -> tuple[Lived, ...]:
    """Return the lives of a project's methodology in the programmes that registered it."""
    found = (
        (life_of(one, project.methodology, project.version), one.registered)
        for one in entered_records(registry).registrations
        if one.project == project.id
    )
    return tuple((life, day) for life, day in found if life is not None)


class Barred(NamedTuple):
    """A meter of which nothing counts for the baseline, and why."""

    device: str
    reason: Text


Judged = Said | Barred


def listed(
    texts: Iterable[Text],
    *,
    holds: bool = False,
    most: int | None = MOST_LINES,
    severity: Severity | None = None,
) -> Iterator[Said]:
    """Report one finding of some texts, of the rule's severity or another; of none no finding."""
    found = tuple(texts)
    if found:
        yield Said(holds, found if most is None else lines(found, most), severity)
