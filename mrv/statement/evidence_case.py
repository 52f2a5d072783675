"""The evidence of a period, and the figures calculated from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ingest.model import Fleet, Frame, IntervalRows
from ingest.pipeline import METERING
from mrv.accounting.corroborated_energy import CorroboratedEnergy
from mrv.accounting.entered_values import undocumented
from mrv.accounting.period_result import PeriodResult
from mrv.accounting.register_scan import FallenRegisters
from mrv.accounting.unreported_use import UnreportedUse
from mrv.calendar import local_date, midnight_us, utc_text
from mrv.countries import grid_of
from mrv.documents.statement import Digests
from mrv.errors import PeriodError
from mrv.factors import FactorBook
from mrv.factors.ledger import centres, records_of
from mrv.methodologies import find
from mrv.model import SOLAR, TECHNOLOGY
from mrv.registry import Calibration
from mrv.registry.calibration import of_meters
from mrv.registry.calibration_interval import Interval, intervals_of
from mrv.registry.project import FIRST, Lit, Measured, SupportingData
from mrv.rules import closing
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf, Digest
from mrv.statement import evidence
from mrv.statement.analysers import Wanted, flames, measured, wanted
from mrv.statement.device_days import intervals_digest
from mrv.statement.evidence_pass import (
    Judge,
    Reach,
    ReadingChecks,
    Recheck,
    Scanned,
    Unusual,
    scan,
    undercounted,
    windows,
)
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.signed_energy import RegisterComparison, registers_of


@dataclass(frozen=True)
class Case:
    """
    Evidence and inputs of a statement.

    `plan`: plan; the positions of its devices are the fleet indices of `frames` and `rows`.
    `frames`: all rows of a device in one frame; iterated once for the digests.
    `rows`: interval rows of the period, from `evidence.select`.
    `from_us`, `to_us`: half-open, on the grid. [us UTC]
    `recheck`: whether the readings are metered again, in the pass that digests them.
    `metering`: version of the rules by which the rows were metered.
    `check_leaves`: with `recheck`: called with the leaves of some devices at a time.
    """

    plan: MonitoringPlan
    frames: Iterable[Frame]
    rows: IntervalRows
    from_us: int
    to_us: int
    factors: FactorBook
    recheck: bool = False
    metering: int = METERING
    check_leaves: Callable[[Sequence[DayLeaf]], None] | None = None

    @cached_property
    def fleet(self) -> Fleet:
        """Return the devices of the plan."""
        return self.plan.fleet()

    @cached_property
    def book(self) -> FactorBook:
        """Return factors of the project's country by the plan's rules; rule set 1 has no bounds."""
        own = self.factors.within(grid_of(self.plan.project))
        return own if self.plan.accounting > FIRST else centres(own)

    @cached_property
    def calibration_intervals(self) -> dict[str, Interval]:
        """Return the calibration interval by device; empty in rule set 1."""
        if self.plan.accounting == FIRST:
            return {}
        project = self.plan.project
        roles = find(project.methodology, project.version).roles
        return intervals_of(project, roles, self.plan.calibrated_every)

    @cached_property
    def result(self) -> PeriodResult:
        """Return the closed period; errors as `mrv.rules.closing.close`."""
        return closing.close(
            self.plan.project,
            self.fleet,
            self.plan.calibrations,
            self.rows,
            self.from_us,
            self.to_us,
            self.book,
            self.plan.carried_ug,
            self._reference_data(),
        )

    def _reference_data(self) -> SupportingData:
        """Return data for comparison with the period; from rule set 2 on also from its readings."""
        result = replace(self.plan.supporting(), channels=self.channels, lit=self._lit())
        if self.plan.accounting == FIRST:
            return result
        compared, unrecorded, fleet = (
            self._scanned.other_channels,
            self._scanned.unrecorded,
            self.fleet,
        )
        return replace(
            result,
            uncorroborated={
                key: comparison.beyond for key, comparison in compared.items() if comparison.beyond
            },
            alone={
                key: comparison.alone
                for key, comparison in compared.items()
                if comparison.alone is not None
            },
            left_out={
                k: comparison.left_out
                for k, comparison in compared.items()
                if comparison.left_out is not None
            },
            unrecorded={k: u.more for k, u in unrecorded.items() if u.more is not None},
            gauged={key: unreported.share for key, unreported in unrecorded.items()},
            drawn={fleet.devices[i].id: d for i, d in evidence.drawn(self._scanned.drawn)},
            fallen=self._scanned.fallen,
            swapped=self._scanned.swapped,
        )

    def _reading_checks(self) -> ReadingChecks | None:
        plan, period = self.plan, (self.from_us, self.to_us)
        if plan.accounting == FIRST:
            return None
        first = local_date(self.from_us, plan.project.timezone)
        lacks = undocumented(TECHNOLOGY, {TECHNOLOGY: SOLAR}, plan.documents, first)
        energy = CorroboratedEnergy.of(
            plan.project, self.fleet, self.rows, plan.ratings, period,
            documented=lacks is None,
        )  # fmt: skip
        signed = None
        if plan.signed is not None and plan.signed.values:
            signed = RegisterComparison(self.fleet, registers_of(plan.signed))
        return ReadingChecks(
            energy,
            Judge(self.fleet, *period),
            self._analysers,
            signed,
            drawn=evidence.drawing(plan.project, self.fleet),
            unrecorded=UnreportedUse.of(plan.project, self.fleet, self.rows, period),
            fallen=FallenRegisters.of(plan.project, self.fleet, period),
        )

    @cached_property
    def channels(self) -> dict[str, Measured]:
        """Return values of parameters by the plant's own analysers, where the rules use them."""
        analysers = self._analysers
        if analysers is None or not analysers.channels:
            return {}
        return measured(
            self.plan.project, self.fleet, self.rows, analysers, self._scanned.gauged,
            self._certificates,
        )  # fmt: skip

    def _lit(self) -> dict[str, Lit]:
        """Return flow to a flare, and flow with a flame, by parameter."""
        analysers = self._analysers
        if analysers is None or not analysers.lit:
            return {}
        return flames(
            self.plan.project, self.fleet, self.rows, analysers, self._scanned.gauged,
            self._certificates,
        )  # fmt: skip

    @cached_property
    def _certificates(self) -> dict[str, tuple[Calibration, ...]]:
        """Return the certificates of the devices' meters, each limited to its own meter."""
        plan = self.plan
        return of_meters(
            plan.calibrations, self.calibration_intervals, self.fleet, plan.serials,
            plan.project.timezone,
        )  # fmt: skip

    @cached_property
    def _analysers(self) -> Wanted | None:
        if self.plan.accounting == FIRST:
            return None
        return wanted(self.plan.project, self.fleet, self.from_us, self.to_us)

    @cached_property
    def _scanned(self) -> Scanned:
        plan = self.plan
        again = None
        if self.recheck:
            pairs = evidence.monitored(plan.project, self.fleet, plan.checks)
            again = Recheck(pairs, self.rows, self.check_leaves)
        period, zone = (self.from_us, self.to_us), plan.project.timezone
        looked = windows(plan.project, self.fleet, *period)
        checks = self._reading_checks()
        return scan(self.fleet, self.frames, *period, zone, again, looked, self.metering, checks)

    @property
    def unusual(self) -> Unusual:
        """Return the period's readings with quality flags; empty if the rules do not use them."""
        return self._scanned.unusual

    @property
    def readings(self) -> Digest:
        """Return the digest of the readings."""
        return self._scanned.readings

    @property
    def metered(self) -> IntervalRows:
        """Return interval rows metered from the readings; only for a case with `recheck`."""
        if self._scanned.rows is None:
            raise ValueError("this evidence was loaded without raw readings; pass recheck=True")
        return self._scanned.rows

    @property
    def fitting(self) -> set[int]:
        """Return the indices of the plan's signed registers that agree with the readings."""
        return self._scanned.fitting

    def check_counted(self) -> None:
        """
        Check that counted project-side quantities are not below the rise of their registers.

        Raises PeriodError, naming device, figures and remedy.
        """
        result = list(undercounted(self._scanned.risen, self.result.devices))
        if result:
            raise PeriodError("; ".join(result))

    @cached_property
    def intervals(self) -> Digest:
        """Return the digest of the interval rows."""
        return intervals_digest(self.fleet, self.rows, self.plan.project.timezone)

    @property
    def reaches(self) -> list[Reach]:
        """Return number, first and last reading of each device, by fleet index."""
        return self._scanned.reaches

    @cached_property
    def factor_records(self) -> list[dict[str, Any]]:
        """Return all factors of the kinds used or compared in the result."""
        kinds = {use.kind for use in self.result.factors} | {*self.result.compared}
        return records_of(kinds, self.book)

    def digests(self) -> Digests:
        """Return the digests that identify a statement's evidence: roots and hashes in hex."""
        return Digests(
            readings=self.readings.root,
            intervals=self.intervals.root,
            plan=canonical.sha256_hex(canonical.encode(self.plan.to_json())),
            factors=canonical.sha256_hex(canonical.encode(self.factor_records)),
        )

    def leaves(self) -> dict[str, list[dict[str, Any]]]:
        """Return the leaves of `readings` and `intervals`, in order, as in a pack."""
        result: dict[str, tuple[DayLeaf, ...]] = {
            "readings": self.readings.leaves,
            "intervals": self.intervals.leaves,
        }
        return {name: [leaf.to_json() for leaf in leaves] for name, leaves in result.items()}


def identifier(project: str, from_us: int, to_us: int, timezone: str, sequence: int) -> str:
    """
    Return the id of a statement: `TN-<project>-<from>-<to>-<seq>`.

    The times are local dates for a period of whole local days, else UTC times.
    """
    first, last = local_date(from_us, timezone), local_date(to_us, timezone)
    if (midnight_us(first, timezone), midnight_us(last, timezone)) == (from_us, to_us):
        edges = [first.isoformat(), last.isoformat()]
    else:
        edges = [utc_text(us) for us in (from_us, to_us)]
    short = "-".join(edge.replace("-", "").replace(":", "") for edge in edges)
    return f"TN-{project}-{short}-{sequence}"
