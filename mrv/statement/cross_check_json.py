"""
Gaps, cross-checks, unusual readings and registry data, as JSON of a statement.

A correction names each input that differs from the statement that it replaces.  Meters, ratings,
certificates and ex-ante values are in the statement itself; installation, service, replacements,
location, entered constants, laboratory results, invoices and check meters are in the plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from ingest import classes
from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US, Int64
from ingest.pipeline.quality_limits import TESTS
from mrv.accounting.period_result import (
    INVOICE,
    METER,
    CrossCheck,
    DeviceOutcome,
    GapOutcome,
    PeriodResult,
)
from mrv.calendar import days, local_date, utc_text
from mrv.documents import UNSET, coded, coded_or_words, copied
from mrv.documents.monitoring import CrossCheck as CrossCheckShown
from mrv.documents.monitoring import ReadingsReach, UnusualDays, UnusualReadings
from mrv.documents.period_account import Gap
from mrv.registry.monitoring_plan import REGISTERED
from mrv.registry.project import FIRST
from mrv.rounding import exact_sum, six_places
from mrv.signatures import canonical
from mrv.statement.conditions import Materiality
from mrv.statement.evidence_case import Case
from mrv.statement.evidence_pass import Reach, Unusual
from mrv.statement.plan_extract import PREFIX, MonitoringPlan
from mrv.statement.sampling import rate
from mrv.texts import Text, text

# kinds of events that explain a gap
_STANDSTILLS = ("outage", "overhaul", "accident")
# fields of a device that the statement itself contains
_IN_STATEMENT = ("id", "serial", "maker", "model", "ratings", "calibrations")
_LISTS = {
    "laboratory": "sample",
    "invoices": "id",
    "checkMeters": "check",
    "designDocuments": "parameter",
}


def registry_inputs(plan: MonitoringPlan) -> dict[str, str]:
    """Return the digests of a plan's data, by name."""
    record = plan.to_json()
    return {f"{PREFIX}{name}": value for name, value in _named(record)}


def _named(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    project = record["project"]
    keys = ("from", "to", "timezone", "country", "grid", "methodology", "version")
    yield from ((f"project {key}", project[key]) for key in keys if key in project)
    for name, value in project["parameters"].items():
        yield f"parameter {name}", _text(value)
    for bound in project["devices"]:
        yield (
            f"{bound['device']} as {bound['role']} from {bound['from']}",
            _text({"to": bound["to"], **bound["params"]}),
        )
    for device in record["devices"]:
        for key, value in device.items():
            if key not in _IN_STATEMENT:
                yield f"{device['id']} {key}", _text(value)
    yield from map(_of_version, record.get("monitoring", ()))
    for what, by in _LISTS.items():
        for item in record.get(what, ()):
            yield f"{what} {item[by]}", _text(item)
    for item in record.get("outsidePeriod", ()):
        yield f"{item['device']} {item['quantity']} {item['from']} to {item['to']}", item["metered"]
    declared = record.get("declared", {})
    yield from ((f"declared {key}", _text(value)) for key, value in declared.items() if value)
    for item in record.get("certified", ()):
        energy = sum(int(wh) for run in item["runs"] for wh in run["energy_Wh"])
        yield (
            f"{item['device']} certificate {item['certificate']}",
            f"{energy} Wh, {item['scheme']}",
        )


def _of_version(item: Mapping[str, Any]) -> tuple[str, str]:
    name = f"monitoring plan from {item['from']}, version {item['version']}"
    digest = canonical.sha256_hex(canonical.encode(item))
    entered = item.get("entered", "before 0.2.0")
    kind = item.get("kind", REGISTERED)
    return name, f"{kind}, entered {entered}: {item['reason']} (SHA-256 {digest})"


def _text(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"$decimal"}:
        return str(value["$decimal"])
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def gap_out(gap: GapOutcome, case: Case) -> Gap:
    """Return a gap; from rule set 2 on with its cause."""
    first = case.plan.accounting == FIRST
    return copied(
        Gap,
        gap,
        from_=utc_text(gap.start_us),
        to=utc_text(gap.end_us),
        cause=UNSET if first else coded(_cause(gap, case)),
        time_s=seconds(gap.time_us),
        rule=gap.signed_by_0_1_0 if first else gap.rule,
    )


def seconds(us: int) -> str:
    """Return microseconds as decimal text in seconds. [s]"""
    whole, rest = divmod(us, 1_000_000)
    return f"{whole}.{rest:06d}" if rest else str(whole)


def _cause(gap: GapOutcome, case: Case) -> Text:
    """Return a text on the known cause of a gap, or the event entered for its days."""
    device, zone = case.fleet.devices[case.fleet.by_id[gap.device]], case.plan.project.timezone
    registers = classes.load()[device.class_id].registers
    if gap.parameters:
        result = text("gap.analyser", parameters=gap.parameters)
    elif any(gap.start_us <= change.at_us <= gap.end_us for change in device.replacements):
        result = text("gap.replaced")
    elif gap.kind == "missing":
        result = text("gap.no_readings")
    elif not device.rated_power_w and any(c.limit == "rated_power" for c in registers):
        result = text("gap.no_rating")
    else:
        result = text("gap.register")
    first, last = (local_date(us, zone) for us in (gap.start_us, gap.end_us - 1))
    for event in case.plan.declared.events:
        during = event.begins <= first and (event.ends is None or last < event.ends)
        if event.what in _STANDSTILLS and during and event.covers(gap.device, first, last):
            return text("gap.during", cause=result, event=text(f"gap.{event.what}"))
    return result


def unusual_out(case: Case) -> tuple[UnusualReadings, ...]:
    """Return the flags of each quality test, in order; tests without flags are omitted."""
    result = ((test, case.unusual.of(test)) for test in TESTS)
    key = case.rows.device.astype(np.int64) * len(QUANTITY_INDEX) + case.rows.quantity
    return tuple(_test(case, test, u, key) for test, u in result if len(u.interval))


def _test(case: Case, test: str, unusual: Unusual, key: Int64) -> UnusualReadings:
    energy, emissions = 0, Fraction(0)
    for device in case.result.devices:
        value = _metered(case, device, unusual, key)
        energy += value if device.unit == "Wh" else 0
        emissions += value * rate(device)
    return UnusualReadings(
        test=test,
        readings=str(exact_sum(unusual.readings)),
        devices=str(len(np.unique(unusual.device))),
        quarter_hours=str(len(unusual.interval)),
        energy_wh=str(energy),
        emissions_t=six_places(emissions),
        days=tuple(_runs(case, unusual)),
    )


def _runs(case: Case, unusual: Unusual) -> Iterator[UnusualDays]:
    """Yield runs of consecutive local days with unusual readings, device after device."""
    every = [*days(case.from_us, case.to_us, case.plan.project.timezone)]
    names = {index: name for name, index in case.fleet.by_id.items()}
    edges = [begin for _, begin, _ in every]
    place = np.searchsorted(edges, unusual.interval * INTERVAL_US, side="right") - 1
    cells, count = np.unique(np.stack([unusual.device, place]), axis=1, return_counts=True)
    # a run ends where the device changes or a day is missing
    ends = np.flatnonzero((np.diff(cells[0]) != 0) | (np.diff(cells[1]) != 1)) + 1
    for first, last in pairwise([0, *ends.tolist(), cells.shape[1]]):
        device, begin = cells[:, first].tolist()
        until = every[begin + last - first - 1][0] + timedelta(days=1)
        yield UnusualDays(
            device=names[device],
            from_=every[begin][0].isoformat(),
            to=until.isoformat(),
            quarter_hours=str(int(count[first:last].sum())),
        )


def _metered(case: Case, outcome: DeviceOutcome, unusual: Unusual, key: Int64) -> int:
    """Return the quantity of a device in 15-minute intervals with unusual readings. [base units]"""
    index, rows = case.fleet.by_id[outcome.device], case.rows
    first, last = np.searchsorted(unusual.device, [index, index + 1])
    at = unusual.interval[first:last] * INTERVAL_US
    at = at[(at >= outcome.from_us) & (at < outcome.to_us)]
    if not len(at):
        return 0
    whose = index * len(QUANTITY_INDEX) + QUANTITY_INDEX[outcome.quantity]
    begin, end = np.searchsorted(key, [whose, whose + 1])
    inside = np.isin(rows.start_us[begin:end], at)
    return exact_sum(rows.value[begin:end][inside])


# Materiality threshold, unless the verifier states another: tonne's default, and that of Viet Nam
# (Circular 38/2023/TT-BCT). [%]
MATERIAL_PERCENT = 5


def cross_check_out(cross_check: CrossCheck, case: Case) -> CrossCheckShown:
    """Return a cross-check; for a check meter with number and times of its readings."""
    meter = cross_check.kind == METER
    return copied(
        CrossCheckShown,
        cross_check,
        parameter=cross_check.quantity,
        from_=utc_text(cross_check.from_us),
        to=utc_text(cross_check.to_us),
        compared_share=cross_check.coverage,
        metered=cross_check.ours,
        witnessed=cross_check.theirs,
        detail=coded_or_words(cross_check.detail),
        readings=readings_out(case.reaches[case.fleet.by_id[cross_check.against]])
        if meter
        else None,
    )


def readings_out(reach: Reach) -> ReadingsReach:
    """Return the number of readings, and the first and last of them."""
    return ReadingsReach(
        count=reach.readings,
        first=None if reach.first_us is None else utc_text(reach.first_us),
        last=None if reach.last_us is None else utc_text(reach.last_us),
        outside_period=reach.outside,
    )


def indicated(result: PeriodResult) -> Materiality:
    """
    Return the potential overstatement of failed cross-checks, net and absolute.

    Check meters and invoices may concern the same energy: only the kind with the larger effect
    counts.
    """
    by_kind = [
        [Fraction(c.effect_t) for c in result.cross_checks if c.kind == kind and c.holds is False]
        for kind in (METER, INVOICE)
    ]
    worst = max(by_kind, key=lambda effects: sum(map(abs, effects), start=Fraction(0)))
    return Materiality(
        Fraction(MATERIAL_PERCENT),
        sum(worst, start=Fraction(0)),
        sum(map(abs, worst), start=Fraction(0)),
        Fraction(result.net.reduction.t),
    )
