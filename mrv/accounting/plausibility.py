"""
What a period is held against by the rules of accounting from version 2 on.

Each device against what its kind and its rated power allow, each service against what
it takes.  What does not pass counts by the bound that costs the claimant, and is a
condition that does not hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ingest.model import INTERVAL_US, Fleet
from mrv.accounting.agreeing_quantities import agreed
from mrv.accounting.design_capacity import consumption_of, too_large, within_design, within_load
from mrv.accounting.device_clocks import within_time
from mrv.accounting.device_period import Bounds, Monitored
from mrv.accounting.invoiced_amounts import as_invoiced
from mrv.accounting.own_electricity import within_electricity
from mrv.accounting.owner_inputs import (
    MEASURED,
    bounded,
    brought,
    compared_kinds,
    listed,
    means,
    measured,
    own_factors,
    unlisted,
    weak,
)
from mrv.accounting.period_result import Finding, ParameterUse
from mrv.accounting.plausible_service import raised, stretches
from mrv.accounting.regression_range import within_ranges
from mrv.accounting.service_evidence import NOT_SHOWN, as_before, built_for, laboratory, not_counted
from mrv.accounting.service_history import limited
from mrv.accounting.shown_energy import cause
from mrv.accounting.thinned_water import counting
from mrv.accounting.twin_series import NEARLY, NEARLY_BEFORE, NEARLY_INSIDE, Twins, twins
from mrv.accounting.unmeasured import raised_to, settled
from mrv.calendar import local_date, utc_text
from mrv.factors.brought import bounded as bounded_book
from mrv.model import Factors, Methodology, RoleNeeds
from mrv.parameters.inputs import Inputs
from mrv.registry.calibration import of_meter
from mrv.registry.project import (
    BOUNDED,
    DESIGNED,
    DOCUMENTED,
    FIRST,
    INVOICED,
    Besides,
    Calibration,
    ProjectDevice,
)
from mrv.rounding import exact_text

_Pair = tuple[Monitored, Monitored, Twins]

_SHOWN = 5
_MEASURED = ("Wh", "mL", "m", "g")
UNCOUNTED = "tonne: what counts for the baseline is one meter, known and rated"
BEYOND = "plausibility of devices"
UNSHOWN = "tonne: no energy beyond what a device's other channels show"
UNLIFTED = "tonne: no water beyond what a pump's power lifts to its head"
UNCREDITED = "tonne: what counts is of the crediting period"
ALIKE = "tonne: no two meters move as one"
TWICE = "tonne: no certificate is of more energy than counts"


@dataclass(frozen=True, slots=True)
class Plausibility:
    """The bounds of one period: methodology, parameters, and what the registry says."""

    methodology: Methodology
    parameters: Inputs
    besides: Besides
    edges: tuple[int, ...]
    timezone: str
    period_us: tuple[int, int]

    @staticmethod
    def of(
        methodology: Methodology,
        parameters: Inputs,
        besides: Besides,
        period_us: tuple[int, int],
        timezone: str,
    ) -> Plausibility:
        """Return the bounds of a period; the first version of the rules had none."""
        first, last = (us // INTERVAL_US for us in period_us)
        edges = () if besides.accounting == FIRST else stretches(first, last)
        return Plausibility(methodology, parameters, besides, edges, timezone, period_us)

    def bounds(self, bound: ProjectDevice, needs: RoleNeeds) -> Bounds:
        """Return what a device in a role can have done at most."""
        certified = self.besides.certified.get((bound.device, needs.quantity), ())
        if not self.edges:
            return Bounds(certified=certified)
        most = needs.most_of({**bound.params, **self.parameters}, self.besides.accounting)
        shown = self.besides.unshown.get((bound.device, needs.quantity), ())
        ratings = self.besides.ratings.get(bound.device, ())
        first = local_date(self.period_us[0], self.timezone)
        per_day = built_for(self.methodology, self.parameters, self.besides, bound.role, first)
        fed = self.besides.accounting >= INVOICED
        return Bounds(most, ratings, self.edges, shown, certified, per_day, fed)

    def certificates(
        self, fleet: Fleet, calibrations: Mapping[str, Sequence[Calibration]]
    ) -> Mapping[str, Sequence[Calibration]]:
        """Return the certificates of the meters that were there, each as far as it covers one."""
        if not self.edges:
            return calibrations
        return {
            name: of_meter(
                papers,
                [r.at_us for r in fleet.devices[fleet.by_id[name]].replacements],
                self.besides.serials.get(name),
                self.timezone,
                mounted=self.besides.accounting >= INVOICED,
            )
            for name, papers in calibrations.items()
            if name in fleet.by_id
        }

    def hold(self, monitored: Sequence[Monitored]) -> tuple[list[Monitored], list[Finding]]:
        """Count by the bound what does not pass, and say so."""
        if not self.edges:
            return list(monitored), [*_twice(monitored)]
        pairs = list(_pairs(monitored, self.besides.accounting))
        uncounted = {**dict(self._unrated(monitored)), **dict(_copied(pairs))}
        uncounted |= self.besides.uncounted
        alone, _ = self._not_shown()
        uncounted |= {name: why for name, why in alone.items() if name not in uncounted}
        whole = self.besides.accounting >= INVOICED
        known = [_counted(one, uncounted, whole=whole) for one in monitored]
        found, said = raised(
            known, self.methodology, self.parameters, self.edges, self.timezone,
            self.besides.accounting,
        )  # fmt: skip
        if self.besides.accounting >= BOUNDED:
            found, more = limited(
                found, self.methodology, self.parameters, self.besides.history, self.edges,
                self.timezone, accounting=self.besides.accounting,
                strictly=self._strictly(found),
            )  # fmt: skip
            said += more
        if self.besides.accounting >= DESIGNED:
            laboratory = means(self.besides.samples, self.methodology)
            found, more = within_design(
                found, self.methodology, self.parameters, self.edges, self.timezone,
                accounting=self.besides.accounting,
                channels=counting(self.besides.channels, laboratory),
            )  # fmt: skip
            said += more
        if self.besides.accounting >= INVOICED:
            found, more = within_time(found, self.besides.clocks)
            said += more
            found, more = within_electricity(found, self.besides.drawn, self.edges, self.timezone)
            said += more
            found, more = within_ranges(
                found, self.methodology, self.parameters, self.edges, self.timezone
            )
            found = as_invoiced(found, self.besides.billed or {}, self.edges, self.timezone)
            said += more
        if self.besides.bare:
            found = as_before(
                found, self.methodology, self.parameters, self.besides.bare, self.edges,
                self.timezone,
            )  # fmt: skip
        return found, [
            *_beyond(self.methodology, found, uncounted),
            *_unshown(found, uncounted, self.besides.accounting),
            *_uncounted(found, {k: v for k, v in uncounted.items() if k not in alone}),
            *_alike(pairs),
            *_twice(found),
            *said,
        ]

    def _not_shown(self) -> tuple[dict[str, str], frozenset[str]]:
        """Devices that count nothing, and parameters that count 0, since nothing shows them."""
        return not_counted(self.methodology, self.besides.bare or {})

    def _strictly(self, monitored: Sequence[Monitored]) -> frozenset[str]:
        """Electricity of designs of which the capacity bounds nothing."""
        now = self.besides.accounting
        if now < DOCUMENTED:
            return frozenset()
        large = too_large(monitored, self.methodology, self.parameters, accounting=now)
        held = (
            consumption_of(self.methodology, one)
            for one in self.methodology.capacities
            if one.parameter in large
        )
        return frozenset(one.by_design for one in held if one is not None)

    def measured(
        self, parameters: Inputs, reduction: Callable[[Inputs], Fraction]
    ) -> tuple[Inputs, dict[str, str]]:
        """Return the parameters by what was measured of them, and how each was come by."""
        if self.besides.accounting < BOUNDED:
            return parameters, {}
        found = means(self.besides.samples, self.methodology)
        return settled(self.methodology, parameters, found, self.besides.channels, reduction)

    def loaded(
        self,
        parameters: Inputs,
        how: Mapping[str, str],
        monitored: Sequence[Monitored],
        reduction: Callable[[Inputs], Fraction],
    ) -> tuple[Inputs, dict[str, str], list[Finding]]:
        """Hold parameters against the load that the plant was built for."""
        if self.besides.accounting < DESIGNED:
            return parameters, dict(how), []
        _, zero = self._not_shown()
        if zero:
            parameters = {**parameters, **dict.fromkeys(zero, Fraction(0))}
            how = {**how, **dict.fromkeys(zero, NOT_SHOWN)}
        used, more, said = within_load(
            monitored, self.methodology, parameters, reduction, accounting=self.besides.accounting,
            analysed=laboratory(self.besides.samples),
        )  # fmt: skip
        return used, {**how, **more}, said

    def credited(self, parameters: Inputs, from_us: int) -> tuple[Inputs, list[Finding]]:
        """Count 0 of what is of time before the crediting period."""
        if self.besides.accounting < BOUNDED:
            return parameters, []
        first = local_date(from_us, self.timezone).year
        early = sorted(self.methodology.uncredited(parameters, first))
        told = [
            f"{name} = {exact_text(Fraction(parameters[name]))}"
            f" {self.methodology.parameters[name].unit} is of a year before the crediting period,"
            f" which begins in {first}: it counts 0"
            for name in early
        ]
        if not told:
            return parameters, []
        said = Finding(UNCREDITED, False, "; ".join(told))
        return {**parameters, **dict.fromkeys(early, Fraction(0))}, [said]

    def shown(
        self,
        parameters: Inputs,
        how: Mapping[str, str],
        inputs: Callable[[Inputs], Mapping[int, Inputs]],
        reduction: Callable[[Inputs], Fraction],
        factors: Factors,
    ) -> tuple[Inputs, dict[str, str], list[Finding]]:
        """Hold parameters against what the metered quantities show of them, in each year."""
        methodology = self.methodology
        if self.besides.accounting < BOUNDED:
            return parameters, dict(how), []
        used, told, said = agreed(
            methodology, parameters, how, inputs, reduction, factors, self.besides.accounting
        )
        least = {
            name: max((test(one, factors) for one in inputs(used).values()), default=Fraction(0))
            for name, test in methodology.shown.items()
        }
        used, told, beyond = raised_to(methodology, used, told, least)
        if beyond:
            said.append(Finding(MEASURED, False, "; ".join(beyond)))
        return used, told, said

    def typed(
        self,
        parameters: Inputs,
        factors: Factors,
        begin_us: int,
        reduction: Callable[[Inputs], Fraction],
        how: Mapping[str, str],
    ) -> tuple[Inputs, list[Finding]]:
        """Count by official factors where the owner's own would leave more; say what is typed."""
        if not self.edges:
            return parameters, []
        own = own_factors(self.methodology, parameters, factors, begin_us, self.timezone)
        used, said = bounded(own, parameters, reduction)
        said += unlisted(self.methodology, used, factors, self.besides.accounting)
        samples, strict = self.besides.samples, self.besides.accounting >= BOUNDED
        if strict:
            used = listed(self.methodology, used, factors, reduction, self.besides.accounting)
        shown = measured(
            self.methodology, used, samples, self.period_us, self.timezone, how,
            sourced=self.besides.accounting >= INVOICED,
            reduction=reduction if self.besides.accounting >= INVOICED else None,
        )  # fmt: skip
        vague = weak(self.methodology, samples, self.besides.channels, how) if strict else ()
        return used, [*said, *shown, *vague]

    def brought(
        self, factors: Factors, reduction: Callable[[Factors], Fraction]
    ) -> tuple[Factors, list[Finding]]:
        """Count by the published factors where those of a registry file would leave more."""
        if self.besides.accounting < BOUNDED:
            return factors, []
        book, choices = bounded_book(factors, reduction)
        return book, list(brought(choices, self.besides.accepted))

    def compared(self, factors: Factors) -> tuple[str, ...]:
        """Return the kinds of factors that conditions look at."""
        if not self.edges:
            return ()
        return compared_kinds(self.methodology, self.parameters, factors, self.besides.accounting)

    def rated(self, monitored: Sequence[Monitored]) -> Iterator[ParameterUse]:
        """Rated powers as parameters that were fixed ex ante, each from its time on."""
        for name in dict.fromkeys(m.device.id for m in monitored) if self.edges else ():
            for begin_us, watt in self.besides.ratings.get(name, ()):
                if begin_us < self.period_us[1]:
                    yield ParameterUse(
                        device=name,
                        name="rated_power_w",
                        symbol="P",
                        value=str(watt),
                        unit="W",
                        meaning=f"rated power from {utc_text(begin_us)} on",
                        source="registry",
                        certainty="R",
                        option="",
                    )

    def _unrated(self, monitored: Sequence[Monitored]) -> Iterator[tuple[str, str]]:
        """What of the baseline has no bound at all, and so no evidence of any step."""
        for one in monitored:
            if (
                one.needs.side == "baseline"
                and one.needs.unit == "Wh"
                and one.device.rated_power_w is None
            ):
                yield one.device.id, "has no rated_power_w to hold its register against; add it"


def _counted(one: Monitored, uncounted: Mapping[str, str], *, whole: bool) -> Monitored:
    """Count nothing of a device of the baseline whose registry has to be mended first."""
    if one.needs.side == "project" or one.device.id not in uncounted:
        return one
    # what counts nothing has no error that counts
    exact = whole and one.needs.costs is None
    parts = (replace(p, errors=() if exact else p.errors, limited=()) for p in one.parts)
    return replace(
        one,
        uncounted=uncounted[one.device.id],
        parts=tuple(
            replace(p, beyond=p.metered, unshown=(), elsewhere=(), above=Fraction(0)) for p in parts
        ),
        stretches=tuple(replace(s, value=0) for s in one.stretches),
    )


def _uncounted(monitored: Sequence[Monitored], uncounted: Mapping[str, str]) -> Iterator[Finding]:
    told = dict.fromkeys(
        f"{m.device.id}: {uncounted[m.device.id]}" for m in monitored if m.device.id in uncounted
    )
    if told:
        yield Finding(UNCOUNTED, False, _listed(list(told)))


def _pairs(monitored: Sequence[Monitored], accounting: int) -> Iterator[_Pair]:
    """Devices of the baseline whose series move as one, by quantity."""
    groups: defaultdict[tuple[str, int, int], list[Monitored]] = defaultdict(list)
    for one in monitored:
        # lamps of a street burn the same hours; no two meters measure the same energy
        measured = one.needs.side == "baseline" and one.needs.unit in _MEASURED
        if measured and one.series is not None:
            groups[one.needs.quantity, one.service.first, len(one.series)].append(one)
    nearly = NEARLY_INSIDE if accounting >= INVOICED else NEARLY
    nearly = nearly if accounting >= DOCUMENTED else NEARLY_BEFORE
    for group in groups.values():
        for found in twins([one.series for one in group if one.series is not None], nearly):
            yield group[found.one], group[found.other], found


def _copied(pairs: Sequence[_Pair]) -> Iterator[tuple[str, str]]:
    """Second of two devices that say the same in each quarter hour: one meter counts once."""
    for one, other, found in pairs:
        if found.equal:
            yield other.device.id, f"says what {one.device.id} says, quarter hour by quarter hour"


def _alike(pairs: Sequence[_Pair]) -> Iterator[Finding]:
    told = [
        f"{other.device.id} moves as {one.device.id} does"
        + (f", {abs(found.lag) * 15} minutes apart" if found.lag else "")
        for one, other, found in pairs
        if not found.equal
    ]
    if told:
        yield Finding(ALIKE, False, _listed(told))


def _beyond(
    methodology: Methodology, monitored: Sequence[Monitored], uncounted: Mapping[str, str]
) -> Iterator[Finding]:
    """Name the devices that counted more than their kind or their rating allows."""
    told = []
    for one in monitored:
        beyond = sum(p.beyond for p in one.parts)
        if beyond and one.device.id not in uncounted:
            bound = "its rated power" if one.most is None else one.most.what
            told.append(f"{one.device.id}: {beyond:,} {one.needs.unit} above it count 0 ({bound})")
    if told:
        yield Finding(f"{methodology.id}, {BEYOND}", False, _listed(told))


def _twice(monitored: Sequence[Monitored]) -> Iterator[Finding]:
    """Name the certificates of more energy than was left of their intervals."""
    more: defaultdict[tuple[str, str], int] = defaultdict(int)
    for one in monitored:
        for part in one.parts:
            for some in part.elsewhere:
                more[one.device.id, some.certificate] += some.certified - some.taken
    told = [
        f"{device}: certificate {name} is of {wh:,} Wh more than its intervals hold"
        for (device, name), wh in more.items()
        if wh
    ]
    if told:
        yield Finding(TWICE, False, _listed(told))


def _unshown(
    monitored: Sequence[Monitored], uncounted: Mapping[str, str], accounting: int
) -> Iterator[Finding]:
    """Name the devices whose registers rose by more than their other channels show."""
    told: dict[str, list[str]] = {UNSHOWN: [], UNLIFTED: []}
    for one in monitored:
        sums: defaultdict[str, int] = defaultdict(int)
        for part in one.parts:
            for more in part.unshown:
                sums[more.reason] += more.quantity
        if one.device.id not in uncounted:
            told[UNSHOWN if one.needs.unit == "Wh" else UNLIFTED] += [
                f"{one.device.id}: {n:,} {one.needs.unit} {why} count 0"
                + (cause(one, why, n) if accounting >= INVOICED else "")
                for why, n in sums.items()
            ]
    for clause, texts in told.items():
        if texts:
            yield Finding(clause, False, _listed(texts))


def _listed(told: Sequence[str]) -> str:
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return "; ".join(told[:_SHOWN]) + more
