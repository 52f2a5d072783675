"""
Evidence of a case besides readings: signed values, forward actions, archived files, and quantities
outside the period.

Of the signed values, the first and last of each device's day are included: two signed registers
determine the energy between them.  A value is included only if it verifies with the registry's keys
and states an energy register at a synchronised time.

A forward action of the validation or of an earlier verification is open until a verifier closes it:
by an event of its own statement, or by the reason signed with a later issued statement.

The same case gives identical files.  An archived file is included unchanged if each of its
device-days equals one of the statement.  Other readings (days still in the database, readings
before and after the period) are in the pack's own file of the class.

Part of an invoice may lie outside the period, and users of a common meter may belong to another
project.  The quantities compared with them are stored in the statement's plan, so that the
comparison can be repeated without the database; an audit compares them with the database.  An
invoice is not compared if intervals are missing or outdated, or if it also covers another project's
meter without a valid certificate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from functools import reduce
from io import BytesIO
from itertools import groupby
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from ingest.model import INTERVAL_US, Device, Fleet, Frame, Int64
from mrv.accounting.cross_checks import Rows, outside
from mrv.accounting.evidenced_time import TOLERANCE
from mrv.calendar import days, period_us, utc_text
from mrv.documents import UNSET, UnsetType
from mrv.documents.plan import (
    CommonMetered,
    ForwardAction,
    SignedExtract,
    SignedRegister,
    SignedValueKept,
    SigningKeyNamed,
)
from mrv.errors import PeriodError, SignedValueError
from mrv.exports.registration import Registration
from mrv.methodologies import find
from mrv.packs import tables
from mrv.packs.pack import DIAGRAM, DIGESTS, FACTORS, INTERVALS, PLAN, READINGS
from mrv.registry import SharedMeter
from mrv.registry.calibration import uncovered
from mrv.registry.project import Invoice, MeteredOutside
from mrv.rounding import exact_sum, exact_text, share_text
from mrv.signatures import canonical
from mrv.signed_values import VERIFIED, Checked, Item, check_items, plain
from mrv.statement.conditions import forward_of, reasons_of
from mrv.statement.credentials import verification_of
from mrv.statement.diagram import diagram
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.plan_reader import read_plan
from mrv.statement.signed_energy import energy_registers, keys_of, kind_of
from services import vault_table
from services.registry.entries import Device as Entry
from services.store import archive_catalog as archived
from services.store import signed_values as store
from services.store.registry import load as registry
from services.store.registry import programme
from services.store.registry.entries_from_rows import CALIBRATIONS, METER_KEYS
from services.store.signed_values import Candidate
from services.store.statements import evidence, statements
from services.store.timeseries import remake_requests
from services.store.timeseries.interval_rows import intervals_of, older_rows
from services.vault import Part


class Reused(NamedTuple):
    """Archived file and its bytes."""

    part: Part
    data: bytes


def fitting(conn: Connection, case: Case) -> list[Reused]:
    """
    Return the archived files that contain only a case's evidence, no device-day twice.

    Raises DamagedError or VaultError if a file was changed, or cannot be reached.
    """
    wanted = {leaf.key: leaf for leaf in case.readings.leaves}
    ids = [device.id for device in case.fleet.devices]
    reused: list[Reused] = []
    with conn.cursor() as cursor:
        for class_id in sorted({device.class_id for device in case.fleet.devices}):
            parts = archived.parts(cursor, class_id, ids, case.from_us, case.to_us)
            for part in reversed(parts):  # the newest file first
                leaves = part.leaves.values()
                if all(wanted.get(leaf.key) == leaf for leaf in leaves):
                    reused.append(Reused(part, vault_table.whole(archived.place_of(cursor), part)))
                    for leaf in leaves:
                        del wanted[leaf.key]
    return reused


def without(frame: Frame, fleet: Fleet, reused: Iterable[Reused]) -> Frame:
    """Return the readings that are in no reused file."""
    kept: NDArray[np.bool_] = np.ones(len(frame), dtype=np.bool_)
    for part in (file.part for file in reused if file.part.class_id == frame.class_id):
        devices = [fleet.by_id[name] for name in part.leaves]
        inside = (frame.time_us >= part.day.from_us) & (frame.time_us < part.day.to_us)
        kept &= ~(inside & np.isin(frame.device, devices))
    return frame.take(kept)


def files(case: Case, reused: Sequence[Reused] = ()) -> dict[str, bytes]:
    """
    Return a case's plan, factors, digests and tables: bytes by name in the pack.

    `reused`: archived files included unchanged; their readings are left out of the tables.
    """
    result = {
        PLAN: canonical.legible(case.plan.to_json()),
        FACTORS: canonical.legible(case.factor_records),
        DIGESTS: canonical.legible(case.leaves()),
        DIAGRAM: diagram(case.plan).encode(),
    }
    for every in case.frames:
        frame = without(every, case.fleet, reused)
        if not len(frame):
            continue
        out = BytesIO()
        tables.write_readings(out, case.fleet, frame)
        result[f"{READINGS}/{frame.class_id}.parquet"] = out.getvalue()
    out = BytesIO()
    tables.write_intervals(out, case.fleet, case.rows)
    result[f"{INTERVALS}.parquet"] = out.getvalue()
    return result


def by_name(reused: Sequence[Reused]) -> dict[str, Reused]:
    """Return archived files by their name in a pack."""
    return {
        f"{READINGS}/{file.part.class_id}/{file.part.path.rpartition('/')[2]}": file
        for file in reused
    }


def open_actions(conn: Connection, project: str, from_us: int) -> tuple[ForwardAction, ...]:
    """Return a project's open forward actions of the validation and of statements before a time."""
    actions = [
        ForwardAction(statement=None, finding=forward_action.id, text=forward_action.text)
        for entered in programme.load_entered(conn)
        if isinstance(entered.record, Registration) and entered.record.project == project
        for forward_action in entered.record.validation.forward_actions
    ]
    actions += [
        ForwardAction(statement=statement, finding=finding, text=text)
        for statement, finding, text in evidence.forward_actions(conn, project, from_us)
    ]
    if not actions:
        return ()
    closed = {
        forward_of(texts)
        for document in evidence.conclusions(conn, project)
        for _, texts in reasons_of(
            verification_of(canonical.parse_object(document)).credential_subject
        )
    }
    return tuple(action for action in actions if (action.statement, action.finding) not in closed)


_CheckedValue = tuple[Candidate, Checked, Item]

# maximum size of all signed values of a pack; one batch per minute has some hundreds [bytes]
MAX_BYTES = 8 << 20
_MAX_TEXT_LENGTH = 16_384


def signed_of(
    conn: Connection,
    devices: Sequence[Device],
    entries: Mapping[str, Entry],
    period: tuple[int, int],
    timezone: str,
) -> SignedExtract:
    """
    Return a period's signed values, and the keys of their signers.

    `devices`: those of the project, and their check meters.  `entries`: all of the registry.
    `period`: end excluded. [us UTC]
    """
    ids = [device.id for device in devices]
    every = sorted({*ids, *(d.gateway for d in devices if d.gateway)})
    serials = {name: entries[name].serial for name in every}
    named = list(_keys(conn, every, serials))
    begin, end = period
    inside = [(day, max(a, begin), min(b, end)) for day, a, b in days(*period, timezone)]
    candidates = store.candidates(conn, ids, inside)
    items = [Item(plain(candidate.data), received=candidate.received) for candidate in candidates]
    keys = keys_of(named, devices, serials)
    checked = zip(candidates, check_items(items, keys), items, strict=True)
    kept = list(_bounded(_first_and_last(checked, devices, period)))
    signers = {value.signer for value in kept}
    return SignedExtract(
        keys=tuple(key for key in named if key.device in signers),
        values=tuple(kept),
        stored=str(store.count(conn, ids, *period)),
    )


def _keys(
    conn: Connection, ids: Sequence[str], serials: Mapping[str, str | None]
) -> Iterator[SigningKeyNamed]:
    every = METER_KEYS.load(conn)
    for device in ids:
        for meter_key in every.get(device, ()):
            begins = utc_text(_us(meter_key.begins))
            yield SigningKeyNamed(
                device=device, serial=serials.get(device), from_=begins, key=meter_key.key
            )


def _us(moment: datetime) -> int:
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


def _first_and_last(
    checked: Iterable[_CheckedValue], devices: Sequence[Device], period: tuple[int, int]
) -> Iterator[SignedValueKept]:
    """Yield the first and last valid signed value of each device, kind and day."""
    for _, group in groupby(
        checked, key=lambda value: (value[0].device, value[0].cose, value[0].day)
    ):
        of_day = list(group)
        first = _first(of_day, devices, period)
        last = _first(of_day[::-1], devices, period)
        yield from dict.fromkeys(filter(None, (first, last)))


def _first(
    checked: Iterable[_CheckedValue], devices: Sequence[Device], period: tuple[int, int]
) -> SignedValueKept | None:
    by_id = {device.id: device for device in devices}
    for candidate, result, item in checked:
        if result.outcome != VERIFIED or result.device != candidate.device or not result.holder:
            continue
        try:
            registers = sorted(
                t
                for t in set(energy_registers(result, by_id[candidate.device]))
                if period[0] <= t[0] <= period[1]
            )
        except SignedValueError:
            continue
        channels = {
            channel: [t for t in registers if t[1] == channel] for _, channel, _ in registers
        }
        ends = sorted({end for of in channels.values() for end in (of[0], of[-1])})
        if ends and len(item.text) <= _MAX_TEXT_LENGTH:
            return SignedValueKept(
                device=candidate.device,
                kind=kind_of(result, devices),
                signer=result.holder,
                received=utc_text(_us(candidate.received)),
                data=item.text,
                registers=tuple(
                    SignedRegister(
                        channel=channel, time=utc_text(at), value=f"{value.normalize():f}"
                    )
                    for at, channel, value in ends
                ),
            )
    return None


def _bounded(every: Iterable[SignedValueKept]) -> Iterator[SignedValueKept]:
    """
    Yield signed values; if they exceed `MAX_BYTES` together, only the first and the last of each
    device and kind, and every n-th between these; n is the total size by `MAX_BYTES`, rounded up.
    """
    kept = list(every)
    step = max(1, -(-sum(len(value.data) for value in kept) // MAX_BYTES))
    by_device: dict[tuple[str, str], list[SignedValueKept]] = {}
    for item in kept:
        by_device.setdefault((item.device, item.kind), []).append(item)
    for of in by_device.values():
        ends = {0, len(of) - 1}
        yield from (value for place, value in enumerate(of) if place in ends or not place % step)


# default tolerance of the difference: two meters of class 2 (IEC 62053-21) [%]
_DEFAULT_LOSS_PERCENT = 2


def with_common(conn: Connection, plan: MonitoringPlan, span_us: tuple[int, int]) -> MonitoringPlan:
    """Return a plan with the quantities of its common meters and of the meters of their users."""
    if not plan.declared.shared_meters:
        return plan
    roles = find(plan.project.methodology, plan.project.version).roles
    bound = [(device.device, roles[device.role].quantity) for device in plan.project.devices]
    common_metered = []
    for shared in plan.declared.shared_meters:
        for quantity in sorted({quantity for device, quantity in bound if device in shared.users}):
            joint = [r for r in shared.readings if r.quantity == quantity]
            arguments = conn, shared, quantity, span_us, plan.project.timezone
            own = _metered(*arguments)
            # a meter that is read manually has no intervals
            if not joint or Fraction(own.compared_share):
                common_metered.append(own)
            if joint:
                common_metered.append(_jointly(*arguments))
    return replace(plan, common=tuple(common_metered))


def _compared(
    shared: SharedMeter, quantity: str, main: int, users: int, share: str,
    above: Iterable[str] = (), joint: Literal[True] | UnsetType = UNSET,
) -> CommonMetered:  # fmt: skip
    return CommonMetered(
        main=shared.main, users=shared.users, quantity=quantity,
        main_metered=str(main), users_metered=str(users), compared_share=share,
        lost_percent=exact_text(_lost(shared)), days_above=tuple(above), joint=joint,
    )  # fmt: skip


def _lost(shared: SharedMeter) -> Fraction:
    return Fraction(_DEFAULT_LOSS_PERCENT if shared.lost is None else shared.lost)


def _jointly(
    conn: Connection, shared: SharedMeter, quantity: str, span_us: tuple[int, int], timezone: str
) -> CommonMetered:
    """Return a common meter's joint readings compared with the sum of its users' meters."""
    fleet = registry.load_fleet(conn)
    main = together = covered_us = 0
    with conn.cursor() as cursor:
        for reading in shared.readings:
            begin, end = period_us(reading.begins, reading.ends, timezone)
            inside = min(end, span_us[1]) - max(begin, span_us[0])
            if reading.quantity != quantity or inside <= 0:
                continue
            users = [*shared.users]
            rows = Rows(intervals_of(cursor, fleet, begin, end, users, marks=False), fleet)
            together += sum(exact_sum(rows.known(name, quantity).value) for name in users)
            main += reading.value
            covered_us += inside
    share = share_text(covered_us, span_us[1] - span_us[0])
    return _compared(shared, quantity, main, together, share, joint=True)


def _metered(
    conn: Connection, shared: SharedMeter, quantity: str, span_us: tuple[int, int], timezone: str
) -> CommonMetered:
    fleet = registry.load_fleet(conn)
    names = [shared.main, *shared.users]
    with conn.cursor() as cursor:
        rows = Rows(intervals_of(cursor, fleet, *span_us, names, marks=False), fleet)
    known = [rows.known(name, quantity) for name in names]
    number = reduce(np.intersect1d, (series.number for series in known))
    main, *users = (series.value[np.searchsorted(series.number, number)] for series in known)
    together: Int64 = sum(users, start=np.zeros(len(number), dtype=np.int64))
    above = []
    for day, begin_us, end_us in days(*span_us, timezone):
        begin, end = np.searchsorted(number, [begin_us // INTERVAL_US, end_us // INTERVAL_US])
        sums = exact_sum(main[begin:end]), exact_sum(together[begin:end])
        if sums[1] * 100 > sums[0] * (100 + _lost(shared)):
            above.append(day.isoformat())
    share = share_text(len(number), (span_us[1] - span_us[0]) // INTERVAL_US)
    return _compared(shared, quantity, exact_sum(main), exact_sum(together), share, above)


# number of devices whose intervals are read in one query
_DEVICES_PER_QUERY = 100
# device, quantity, begin and end [us UTC]
_Part = tuple[str, str, int, int]


def metered_outside(
    conn: Connection, plan: MonitoringPlan, from_us: int, to_us: int
) -> tuple[MeteredOutside, ...]:
    """
    Return the metered quantities of a plan's invoices outside the period, and of other projects'
    meters on these invoices.

    Raises PeriodError if intervals are still to be recalculated.
    """
    fleet = _fleet_of(conn, plan)
    corrected = (invoice for old, new, _ in plan.replaced for invoice in (old, new))
    every = [*plan.invoices, *corrected]
    parts = sorted(
        {*_parts(every, plan.fleet(), (from_us, to_us)), *_other_meters(conn, every, plan)}
    )
    names = sorted({device for device, *_ in parts})
    with conn.cursor() as cursor:
        waiting = remake_requests.with_underived(
            cursor, names, max((end for *_, end in parts), default=0)
        )
    if waiting:
        raise PeriodError(
            f"intervals of {', '.join(sorted(waiting))} are not calculated yet; close again when "
            "`tonne run` has calculated them"
        )
    return tuple(sorted(stored(conn, fleet, parts)))


def _parts(
    invoices: Iterable[Invoice], fleet: Fleet, period_us: tuple[int, int]
) -> Iterator[_Part]:
    for invoice in invoices:
        for span in outside(invoice, period_us) or ():
            for device in set(invoice.devices) & fleet.by_id.keys():
                yield device, invoice.quantity, *span


def _fleet_of(conn: Connection, plan: MonitoringPlan) -> Fleet:
    """Return the plan's devices; all of the registry if its invoices name others."""
    named = {name for invoice in plan.invoices for name in invoice.devices}
    if named | {quantity.device for quantity in plan.outside} <= plan.fleet().by_id.keys():
        return plan.fleet()
    return registry.load_fleet(conn)


def _other_meters(
    conn: Connection, invoices: Sequence[Invoice], plan: MonitoringPlan
) -> Iterator[_Part]:
    """
    Yield other projects' calibrated meters on a plan's invoices, with quantity and time of the
    invoice.
    """
    mine = plan.fleet().by_id.keys()
    named = sorted({name for invoice in invoices for name in invoice.devices} - mine)
    certificates = CALIBRATIONS.load(conn, named)
    zone = plan.project.timezone
    for invoice in invoices:
        first, last = invoice.from_us // INTERVAL_US, invoice.to_us // INTERVAL_US
        for name in set(invoice.devices) - mine:
            bare = uncovered(certificates[name], invoice.quantity, zone, first, last)
            if sum(span.last - span.first for span in bare) <= TOLERANCE * (last - first):
                yield name, invoice.quantity, invoice.from_us, invoice.to_us


def stored(conn: Connection, fleet: Fleet, parts: Iterable[_Part]) -> Iterator[MeteredOutside]:
    """
    Yield stored quantities of devices in given times.

    Devices with rows of older metering rules are left out.
    """
    of_span = defaultdict[tuple[int, int], dict[str, list[str]]](lambda: defaultdict(list))
    for device, quantity, begin, end in parts:
        of_span[begin, end][device].append(quantity)
    for (begin, end), quantities in sorted(of_span.items()):
        names = sorted(quantities)
        for subset in (
            names[k : k + _DEVICES_PER_QUERY] for k in range(0, len(names), _DEVICES_PER_QUERY)
        ):
            with conn.cursor() as cursor:
                older = older_rows(cursor, subset, begin, end) is not None
                mine = [n for n in subset if not older or not older_rows(cursor, [n], begin, end)]
                rows = Rows(intervals_of(cursor, fleet, begin, end, mine, marks=False), fleet)
            for device in mine:
                for quantity in quantities[device]:
                    known = rows.known(device, quantity)
                    time_us = len(known.number) * INTERVAL_US
                    if time_us:
                        value = exact_sum(known.value)
                        yield MeteredOutside(device, quantity, begin, end, value, time_us)


def changed(conn: Connection) -> Iterator[str]:
    """
    Yield issued statements whose signed quantities outside the period differ from the
    stored ones.
    """
    for item in statements.all_of(conn):
        if item.state != "issued":
            continue
        plan = read_plan(statements.detail(conn, item.id)["plan"])
        now = {
            rows[:4]: rows
            for rows in stored(conn, _fleet_of(conn, plan), (o[:4] for o in plan.outside))
        }
        for was in plan.outside:
            result = now.get(was[:4])
            if result != was:
                begin, end = utc_text(was.from_us), utc_text(was.to_us)
                is_now = "nothing" if result is None else str(result.value)
                yield (
                    f"statement {item.id}: it compares invoices with {was.value} of"
                    f" {was.quantity} that {was.device} metered from {begin} to {end}, and"
                    f" {is_now} is stored now; close its period again"
                )
