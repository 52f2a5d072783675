"""
What a period is held against by the rules of accounting from version 2 on.

Each device against what its kind and its rated power allow, each service against what
it takes.  What does not pass counts by the bound that costs the claimant, and is a
condition that does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Bounds
from mrv.accounting.period_result import Finding
from mrv.accounting.plausible_service import raised, stretches
from mrv.registry.calibration import of_meter
from mrv.registry.project import FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ingest.model import Fleet
    from mrv.accounting.device_period import Monitored
    from mrv.model import Methodology, RoleNeeds
    from mrv.parameters.inputs import Inputs
    from mrv.registry.project import Besides, Calibration, ProjectDevice

_SHOWN = 5
UNCOUNTED = "tonne: what counts for the baseline is one meter, known and rated"
BEYOND = "plausibility of devices"


@dataclass(frozen=True, slots=True)
class Plausibility:
    """The bounds of one period: methodology, parameters, and what the registry says."""

    methodology: Methodology
    parameters: Inputs
    besides: Besides
    edges: tuple[int, ...]
    timezone: str

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
        return Plausibility(methodology, parameters, besides, edges, timezone)

    def bounds(self, bound: ProjectDevice, needs: RoleNeeds) -> Bounds:
        """Return what a device in a role can have done at most."""
        if not self.edges:
            return Bounds()
        most = None if needs.most is None else needs.most(self.parameters)
        return Bounds(most, self.besides.ratings.get(bound.device, ()), self.edges)

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
            )
            for name, papers in calibrations.items()
            if name in fleet.by_id
        }

    def hold(self, monitored: Sequence[Monitored]) -> tuple[list[Monitored], list[Finding]]:
        """Count by the bound what does not pass, and say so."""
        if not self.edges:
            return list(monitored), []
        known = [self._counted(one) for one in monitored]
        found, said = raised(known, self.methodology, self.parameters, self.edges, self.timezone)
        return found, [*_beyond(self.methodology, found), *self._uncounted(found), *said]

    def _counted(self, one: Monitored) -> Monitored:
        """Count nothing of a device of the baseline whose registry has to be mended first."""
        if one.needs.side == "project" or one.device.id not in self.besides.uncounted:
            return one
        return replace(one, parts=tuple(replace(p, beyond=p.metered) for p in one.parts))

    def _uncounted(self, monitored: Sequence[Monitored]) -> Iterator[Finding]:
        told = [
            f"{m.device.id}: {self.besides.uncounted[m.device.id]}"
            for m in monitored
            if m.device.id in self.besides.uncounted
        ]
        if told:
            yield Finding(UNCOUNTED, False, _listed(told))


def _beyond(methodology: Methodology, monitored: Sequence[Monitored]) -> Iterator[Finding]:
    """Name the devices that counted more than their kind or their rating allows."""
    told = []
    for one in monitored:
        beyond = sum(p.beyond for p in one.parts)
        if beyond:
            bound = "its rated power" if one.most is None else one.most.what
            told.append(f"{one.device.id}: {beyond:,} {one.needs.unit} above it count 0 ({bound})")
    if told:
        yield Finding(f"{methodology.id}, {BEYOND}", False, _listed(told))


def _listed(told: Sequence[str]) -> str:
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return "; ".join(told[:_SHOWN]) + more
