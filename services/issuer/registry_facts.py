"""
Registry data of a period's meters, documents and other meters of the site, for the registry rules.

`mrv.rules` evaluates metered data; `registry_rules` evaluates these data without a database.

Also detects disguised copies of meters: days in another order, with added noise, or a sum of
meters.  Daily sums are compared in any order; where most are similar, the 15-minute intervals
distinguish added noise from similar weather.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from psycopg import Connection

from ingest.model import Int32, Int64
from mrv.accounting.disguised_series import (
    MIN_DAYS,
    Noise,
    in_order,
    in_step,
    likely_noisy,
    may_be_parts,
    noisy,
    parts_of,
    shuffled,
    summed,
)
from mrv.accounting.twin_series import MEASURED
from mrv.calendar import local_date
from mrv.countries import grid_of
from mrv.method_lives import Life
from mrv.methodologies import find
from mrv.model import Factors, Methodology
from mrv.registry.calibration_interval import Lengthened, lengthened
from mrv.registry.project import Certified, Project
from mrv.rules import Severity
from mrv.rules.effects import RuleReport
from mrv.signatures.organisations import stem
from mrv.texts import MAX_LINES, Text, lines
from services.issuer import trust
from services.issuer.doubted_invoices import Invoices, invoices_of
from services.issuer.left_out_meters import Span, unbound
from services.issuer.left_out_use import LeftOut, left_out
from services.issuer.repeated_days import (
    MeterDays,
    Others,
    copy_of,
    groups,
    near_days,
    near_in_any_order,
    repeated_elsewhere,
)
from services.issuer.same_series import Agreeing, Copy, Energy, Same, same_elsewhere
from services.registry import meters
from services.registry.authority import entered_records, life_of
from services.registry.entries import CALIBRATION_EVERY, Device, Rating, Registry, calibration_every
from services.registry.entries import Project as Entry
from services.store.registry.entries_from_rows import load_ratings, load_registry
from services.store.registry.load import attribute_versions, load_book
from services.store.statements import statements
from services.store.statements.account_spans import owed_at_site
from services.store.statements.units import beside, certified
from services.store.timeseries.measured_energy import Beyond, all_series, beyond_rating

# maximum relative difference of a copy's days: noise of 4 % per interval is below 2 % per day
_DAY_TOLERANCE = 2.5e-2
# up to this number of pairs, the intervals of each pair are compared: about two seconds
_PAIRS = 2_000
# number of series whose days are compared in any order together: a few megabytes
_SERIES_AT_ONCE = 100
# number of days whose intervals are compared; microseconds of a day
_DAYS, _DAY_US = 62, 86_400_000_000


def disguised(energy: Energy, same: Same, repeated: Sequence[Copy]) -> list[Copy]:
    """
    Return meters whose data copy other meters' data: in another order of days, with added noise,
    or as the sum of several meters.

    `same`: result of comparing 15-minute intervals.  `repeated`: result of comparing days in order.
    """
    known = same.pairs | {(copy.device, copy.other) for copy in repeated}
    excluded = same.excluded() | {copy.device for copy in repeated if copy.excluded}
    copies = list[Copy]()
    for quantity, names in energy.meters(MEASURED):
        at = MeterDays.of(energy, quantity, names)
        own = at.sums(names, [0])[:, 0]
        if np.count_nonzero(own, axis=1).max() < MIN_DAYS:
            continue
        for copy in (*_sums(names, own, excluded), *_sums_elsewhere(at, own, excluded)):
            excluded |= {copy.device} if copy.excluded else set()
            copies.append(copy)
        for others in groups(at, own):
            for copy in (*_in_any_order(at, own, others), *_under_noise(at, own, others)):
                name, other = copy.device, copy.other
                if name in excluded or {(name, other), (other, name)} & known:
                    continue
                if copy.equal and copy.project is not None and not energy.is_second(name, other):
                    continue
                known.add((name, other))
                copies.append(copy._replace(excluded=copy.equal))
                if copy.equal:
                    excluded.add(name)
    return copies


def _sums(names: Sequence[str], own: Int64, excluded: Collection[str]) -> list[Copy]:
    """Return meters of the project that are the sum of others of the project."""
    remaining = [i for i, name in enumerate(names) if name not in excluded]
    copies = []
    for item in summed(own[remaining]):
        parts = tuple(names[remaining[i]] for i in item.others)
        copies.append(
            Copy(names[remaining[item.first]], parts[0], None, True, excluded=True, parts=parts)
        )
    return copies


def _sums_elsewhere(at: MeterDays, own: Int64, excluded: Collection[str]) -> Iterator[Copy]:
    """Yield meters of the project that are a sum of meters, at least one of another project."""
    beside, energy = at.energy.others(at.quantity, at.names), at.energy
    names = [*at.names, *sorted(beside)]
    sums = np.concatenate([own, at.sums(names[len(own) :], [0])[:, 0]]) if beside else own
    span_us = _span(at, own)
    for i, name in enumerate(at.names):
        subset = [j for j in may_be_parts(own[i], sums) if names[j] not in {name, *excluded}]
        if not any(names[j] in beside for j in subset):
            continue
        read = all_series(energy.conn, [name, *(names[j] for j in subset)], at.quantity, span_us)
        indices, equal = parts_of(own[i], sums[subset], read[0], read[1:])
        parts = [names[subset[k]] for k in indices]
        theirs = [part for part in parts if part in beside]
        if theirs:
            second = equal and any(energy.is_second(name, their) for their in theirs)
            yield Copy(name, theirs[0], beside[theirs[0]], equal, second, parts=tuple(parts))


def _in_any_order(at: MeterDays, own: Int64, others: Others) -> Iterator[Copy]:
    for item in shuffled(own, others.sums, others.pairs):
        days = Agreeing(item.days, item.known, 1 / item.ratio, ordered=False)
        yield copy_of(at, others, item.first, item.other, days, equal=item.equal)


def _under_noise(at: MeterDays, own: Int64, others: Others) -> Iterator[Copy]:
    """Yield meters with nearly equal days whose intervals differ by uniform noise."""
    if np.count_nonzero(others.pairs) <= _PAIRS:  # few pairs: compare the intervals of each pair
        near = others.pairs
    else:
        near = near_days(own, others.sums, _DAY_TOLERANCE)
        near |= near_in_any_order(own, others.sums, _DAY_TOLERANCE)
        near &= others.pairs
    mine, theirs = (np.flatnonzero(near.any(axis=axis)).tolist() for axis in (1, 0))
    if not mine:
        return
    span_us = _span(at, own)
    names = [at.names[i] for i in mine], [others.names[j] for j in theirs]
    # the series of each device is read once, for all its pairs
    every = {name: k for k, name in enumerate(sorted({*names[0], *names[1]}))}
    read = all_series(at.energy.conn, [*every], at.quantity, span_us)
    own_read, read = (read[[every[name] for name in some]] for some in names)
    for item, i in zip(own_read, mine, strict=True):
        subset = np.flatnonzero(near[i, theirs])
        for k, noise, moved in _noises(item, read[subset]):
            j = theirs[subset[k]]
            known = int(np.count_nonzero((own[i] > 0) & (others.sums[j] > 0)))
            days = Agreeing(known, known, 1 / noise.ratio, not moved, noise.deviation)
            yield copy_of(at, others, i, j, days, equal=False)


def _noises(item: Int32, others: Int32) -> Iterator[tuple[int, Noise, bool]]:
    """
    Yield index and noise of meters that are equal except for noise, and whether days were
    moved.
    """
    remaining = np.arange(len(others))
    for moved in (others, in_step(item, others)):
        for k in remaining[likely_noisy(item, moved[remaining])].tolist():
            noise = noisy(item, moved[k])
            if noise is not None:
                remaining = remaining[remaining != k]
                yield k, noise, moved is not others
    for subset in np.array_split(remaining, len(remaining) // _SERIES_AT_ONCE + 1):
        for k, ordered in in_order(item, others[subset]):
            noise = noisy(item, ordered)
            if noise is not None:
                yield int(subset[k]), noise, True


def _span(at: MeterDays, own: Int64) -> tuple[int, int]:
    """Return the days to be compared: at most `_DAYS`, chosen by a checksum. [us UTC]"""
    begin_us, end_us = at.energy.span_us
    spare = max(0, (end_us - begin_us) // _DAY_US - _DAYS)
    begin_us += crc32(own.tobytes()) % (spare + 1) * _DAY_US
    return begin_us, begin_us + min(_DAYS, (end_us - begin_us) // _DAY_US) * _DAY_US


# rated powers of a device in order of time, each with its time of entry
Ratings = list[tuple[Rating, datetime]]
# validity of a methodology in the programme that registered the project, and day of registration
Validity = tuple[Life, date | None]


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """
    Immutable input of a registry rule: a period with its registry data.

    `project`: project with the devices of the period.
    `registry`: registry of all projects.
    `devices`: the project's, by id.
    `ratings`: ratings of these devices, each with its time of entry.
    `same`, `alike`: pairs with equal, and with similar serial numbers; the later device second.
    `beyond`: devices whose registers rise many times faster than their rated power.
    `copies`: meters with the data series of another meter, or of an earlier time.
    `operators`: organisations with an operator's key.
    `accepted`: acceptances by programmes.
    `owed`: statements at the project's site with a negative reduction. [ug CO2e]
    `lives`: validity of the methodology in the programmes that registered the project, with the
    day of registration.
    `certified`: certificates of energy, by device and quantity.
    `certified_elsewhere`: other meters at the site with certificates of energy, and their
    quantities.
    `left_out`: excluded meters that could have a project emissions role, and their quantities.
    `unbound`: such meters of the site that are in no project, without a registered reason.
    `factors`: factors for the emissions of `left_out`.
    `issued`: calibration certificates of these devices in issued statements.
    `lengthened`: calibration intervals that were lengthened after the period began, by device.
    `revoked`: revoked statements that claimed these devices within the period.
    `intervals`: own calibration intervals of these devices in their last issued statements.
    `designs`: registered designs by earlier issued statements of the project.
    `placed`: earlier monitoring points of these devices: of the last issued statement, or in the
    registry when the period began.
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
    accepted: trust.Accepted
    owed: tuple[tuple[str, int], ...]
    lives: tuple[Validity, ...]
    certified: Mapping[tuple[str, str], tuple[Certified, ...]]
    certified_elsewhere: tuple[tuple[str, str], ...]
    left_out: tuple[LeftOut, ...]
    unbound: tuple[Device, ...]
    factors: Factors
    issued: tuple[statements.IssuedCertificate, ...] = ()
    lengthened: Mapping[str, Lengthened] = field(default_factory=dict)
    placed: Mapping[str, statements.IssuedPoint] = field(default_factory=dict)
    designs: Sequence[statements.IssuedDesign] = ()
    revoked: Sequence[statements.Revoked] = ()
    intervals: Mapping[str, statements.IssuedInterval] = field(default_factory=dict)

    @property
    def entry(self) -> Entry:
        """Return the project's entry as in a registry file."""
        return self.registry.projects[self.project.id]

    def own(self, name: str) -> bool:
        """Return whether an issuer operates the plant, or is affiliated with its operator."""
        return stem(name) in self.operators or self.invoices.by_operator(name)

    @property
    def calibrated_every(self) -> dict[str, int]:
        """
        Return calibration intervals by device. [months]

        An interval that was lengthened after the period began is returned as it was before.
        """
        own = {d.id: calibration_every(d.attributes.get(CALIBRATION_EVERY)) for d in self.devices}
        before = {name: lengthened.before for name, lengthened in self.lengthened.items()}
        return {name: months for name, months in own.items() if months} | before

    @property
    def methodology(self) -> Methodology:
        """Return the project's methodology."""
        return find(self.project.methodology, self.project.version)


def registry_facts(conn: Connection, project: Project, period_us: Span) -> RegistryFacts:
    """
    Return the registry data of a period.

    `project`: with the devices of the period.  `period_us`: end excluded. [us UTC]
    """
    registry, recorded = load_registry(conn), load_ratings(conn)
    mains = sorted({d.device for d in project.devices})
    # stored in a variable, as the property builds a new mapping at each access
    every = registry.devices
    since = {name: rows[0][1] for name, rows in recorded.items() if rows}
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
        operators=trust.operators(conn),
        accepted=trust.acceptances(conn, registry),
        owed=tuple(owed_at_site(conn, project.id, mains, *period_us)),
        lives=lives_of(registry, project),
        certified=certified(conn, mains, *period_us),
        certified_elsewhere=tuple(beside(conn, mains, *period_us)),
        left_out=tuple(left_out(conn, registry, project, period_us)),
        unbound=tuple(unbound(conn, registry, project, period_us)),
        factors=load_book(conn).within(grid_of(project)),
        issued=tuple(statements.certificates_of_devices(conn, mains)),
        lengthened=_lengthened(conn, mains, period_us[0]),
        placed=_placed(conn, mains, project, period_us),
        designs=statements.designs_of_project(conn, project.id),
        revoked=statements.revoked_of_devices(conn, mains, *period_us),
        intervals=statements.intervals_of_devices(conn, mains, period_us[0]),
    )


def _placed(
    conn: Connection, devices: list[str], project: Project, period_us: Span
) -> dict[str, statements.IssuedPoint]:
    versions = {key: attribute_versions(conn, devices, key) for key in ("point", "feeds")}
    first = local_date(period_us[0], project.timezone)

    def at_begin(device: str, key: str) -> Any:
        values = (value for us, value in versions[key].get(device, ()) if us <= period_us[0])
        return next(reversed([value for value in values if value is not None]), None)

    issued_points = {}
    for device in devices:
        point, feeds = at_begin(device, "point"), at_begin(device, "feeds")
        if point is not None:
            fed = tuple(feeds or ())
            issued_points[device] = statements.IssuedPoint(device, str(point), fed, "", first)
    return issued_points | statements.points_of_devices(conn, devices, period_us[1])


def _lengthened(conn: Connection, devices: list[str], from_us: int) -> dict[str, Lengthened]:
    versions = attribute_versions(conn, devices, CALIBRATION_EVERY)
    result = {
        name: lengthened(
            ((us, calibration_every(attributes)) for us, attributes in values), from_us
        )
        for name, values in versions.items()
    }
    return {name: change for name, change in result.items() if change is not None}


def lives_of(registry: Registry, project: Project) -> tuple[Validity, ...]:
    """Return the validity of a project's methodology in the programmes that registered it."""
    result = (
        (life_of(registration, project.methodology, project.version), registration.registered)
        for registration in entered_records(registry).registrations
        if registration.project == project.id
    )
    return tuple((life, day) for life, day in result if life is not None)


class Barred(NamedTuple):
    """Meter that is not included in the baseline, and the reason."""

    device: str
    reason: Text


Judged = RuleReport | Barred


def listed(
    texts: Iterable[Text],
    *,
    holds: bool = False,
    maximum: int | None = MAX_LINES,
    severity: Severity | None = None,
) -> Iterator[RuleReport]:
    """
    Yield one finding with the texts, with the rule's or another severity; none without texts.

    `holds`: the condition is met.  `maximum`: maximum number of texts; the rest is counted.
    """
    result = tuple(texts)
    if result:
        yield RuleReport(holds, result if maximum is None else lines(result, maximum), severity)
