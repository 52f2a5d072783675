"""
Signed values, forward actions and archived files of a case, and its evidence as pack files.

Of signed values the first and last of each device's day are taken: two signed registers bound the
energy between them, and a pack stays small.  Only values are taken that verify with the registry's
keys and state an energy register at a synchronised time.

A forward action of the validation or of an earlier verification is open until a verifier closes it:
by an event of its own statement, or by the reason signed with a later issued statement.

The same case gives identical files.  An archived file is used unchanged if every device-day in it
belongs to the statement, leaf for leaf. Other data (days still in the database, readings beside the
period) are in the pack's own file of the class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from ingest.model import Device, Fleet, Frame
from mrv.calendar import days, utc_text
from mrv.documents.plan import (
    ForwardAction,
    SignedExtract,
    SignedRegister,
    SignedValueKept,
    SigningKeyNamed,
)
from mrv.errors import SignedValueError
from mrv.exports.registration import Registration
from mrv.packs import tables
from mrv.packs.pack import DIAGRAM, DIGESTS, FACTORS, INTERVALS, PLAN, READINGS
from mrv.signatures import canonical
from mrv.signed_values import VERIFIED, Checked, Item, check_items, plain
from mrv.statement.conditions import forward_of, reasons_of
from mrv.statement.credentials import verification_of
from mrv.statement.diagram import diagram
from mrv.statement.evidence_case import Case
from mrv.statement.signed_energy import energy_registers, keys_of, kind_of
from services import vault_table
from services.registry.entries import Device as Entry
from services.store import archive_catalog as archived
from services.store import signed_values as store
from services.store.registry import programme
from services.store.registry.entries_from_rows import METER_KEYS
from services.store.signed_values import Candidate
from services.store.statements import evidence
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
            for part in reversed(parts):  # the last one made counts
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

    `reused`: archived files included unchanged, so that none of their data is written here.
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


_Tried = tuple[Candidate, Checked, Item]

# of all values of a pack; a batch of a minute's readings has some hundreds
MOST_BYTES = 8 << 20
_LONGEST = 16_384


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
    kept = list(_bounded(_taken(checked, devices, period)))
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


def _taken(
    checked: Iterable[_Tried], devices: Sequence[Device], period: tuple[int, int]
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
    checked: Iterable[_Tried], devices: Sequence[Device], period: tuple[int, int]
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
        if ends and len(item.text) <= _LONGEST:
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
    """Yield signed values, without the middle days if there are too many; the ends are needed."""
    kept = list(every)
    step, whole = 1, sum(len(value.data) for value in kept)
    while whole > MOST_BYTES * step:
        step += 1
    by_device: dict[tuple[str, str], list[SignedValueKept]] = {}
    for item in kept:
        by_device.setdefault((item.device, item.kind), []).append(item)
    for of in by_device.values():
        ends = {0, len(of) - 1}
        yield from (value for place, value in enumerate(of) if place in ends or not place % step)
