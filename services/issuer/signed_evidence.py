"""
Signed values that go into a period's evidence: the first and the last of each device's day.

Two registers that a meter signed bound the energy between them, so these are enough, whether
it signed every minute or at each charge, and a pack stays small.  Only what verifies with the
registry's keys and tells a register of energy at a synchronised time is taken.

Forward actions that earlier verifications and the validation left to the next statement.

One is open until a verifier closed it: by an event of its own statement, or by the reason that the
verifier of a later issued statement signed over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from psycopg import Connection

from ingest.model import Device
from mrv.calendar import days, utc_text
from mrv.documents.plan import (
    ForwardAction,
    SignedExtract,
    SignedRegister,
    SignedValueKept,
    SigningKeyNamed,
)
from mrv.errors import SignedValueError
from mrv.exports.entered import Registration
from mrv.signatures import canonical
from mrv.signed_values.packaging import Item, plain
from mrv.signed_values.verification import VERIFIED, Checked, check_items
from mrv.statement.conditions import forward_of, reasons_of
from mrv.statement.credentials import verification_of
from mrv.statement.signed_energy import energy_registers, keys_of, kind_of
from services.store.messages import signed_values as store
from services.store.messages.signed_values import Candidate
from services.store.registry import authority
from services.store.registry.entries_from_rows import load_meter_keys
from services.store.statements import findings
from services.store.statements.period_evidence import load_serials


def open_actions(conn: Connection, project: str, from_us: int) -> tuple[ForwardAction, ...]:
    """Return a project's open forward actions of the validation and of statements before a time."""
    found = [
        ForwardAction(statement=None, finding=forward_action.id, text=forward_action.text)
        for entered in authority.load(conn)
        if isinstance(entered.record, Registration) and entered.record.project == project
        for forward_action in entered.record.validation.forward_actions
    ]
    found += [
        ForwardAction(statement=statement, finding=finding, text=text)
        for statement, finding, text in findings.forward(conn, project, from_us)
    ]
    if not found:
        return ()
    closed = {
        forward_of(texts)
        for document in findings.conclusions(conn, project)
        for _, texts in reasons_of(
            verification_of(canonical.parse_object(document)).credential_subject
        )
    }
    return tuple(one for one in found if (one.statement, one.finding) not in closed)


_Tried = tuple[Candidate, Checked, Item]

# of all values of a pack; a batch of a minute's readings has some hundreds
MOST_BYTES = 8 << 20
_LONGEST = 16_384


def signed_of(
    conn: Connection, devices: Sequence[Device], period: tuple[int, int], timezone: str
) -> SignedExtract:
    """
    Collect a period's signed values, and the keys of who signed them.

    Parameters
    ----------
    devices : sequence of Device
        Those of the project, and their check meters.
    period : (int, int)
        Half-open. [us UTC]
    """
    ids = [device.id for device in devices]
    every = sorted({*ids, *(d.gateway for d in devices if d.gateway)})
    serials = load_serials(conn, every)
    named = list(_keys(conn, every, serials))
    begin, end = period
    inside = [(day, max(a, begin), min(b, end)) for day, a, b in days(*period, timezone)]
    found = store.candidates(conn, ids, inside)
    items = [Item(plain(one.data), received=one.received) for one in found]
    keys = keys_of(named, devices, serials)
    checked = zip(found, check_items(items, keys), items, strict=True)
    kept = list(_bounded(_taken(checked, devices, period)))
    signers = {one.signer for one in kept}
    return SignedExtract(
        keys=tuple(one for one in named if one.device in signers),
        values=tuple(kept),
        stored=str(store.count(conn, ids, *period)),
    )


def _keys(
    conn: Connection, ids: Sequence[str], serials: Mapping[str, str | None]
) -> Iterator[SigningKeyNamed]:
    every = load_meter_keys(conn)
    for device in ids:
        for one in every.get(device, ()):
            begins = utc_text(_us(one.begins))
            yield SigningKeyNamed(
                device=device, serial=serials.get(device), from_=begins, key=one.key
            )


def _us(moment: datetime) -> int:
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


def _taken(
    checked: Iterable[_Tried], devices: Sequence[Device], period: tuple[int, int]
) -> Iterator[SignedValueKept]:
    """Yield of each device, kind and day the first value that holds, and the last."""
    for _, group in groupby(checked, key=lambda one: (one[0].device, one[0].cose, one[0].day)):
        of_day = list(group)
        first = _first(of_day, devices, period)
        last = _first(of_day[::-1], devices, period)
        yield from dict.fromkeys(filter(None, (first, last)))


def _first(
    checked: Iterable[_Tried], devices: Sequence[Device], period: tuple[int, int]
) -> SignedValueKept | None:
    by_id = {device.id: device for device in devices}
    for one, found, item in checked:
        if found.outcome != VERIFIED or found.device != one.device or not found.holder:
            continue
        try:
            tells = sorted(
                t
                for t in set(energy_registers(found, by_id[one.device]))
                if period[0] <= t[0] <= period[1]
            )
        except SignedValueError:
            continue
        channels = {channel: [t for t in tells if t[1] == channel] for _, channel, _ in tells}
        ends = sorted({end for of in channels.values() for end in (of[0], of[-1])})
        if ends and len(item.text) <= _LONGEST:
            return SignedValueKept(
                device=one.device,
                kind=kind_of(found, devices),
                signer=found.holder,
                received=utc_text(_us(one.received)),
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
    """Leave out days in the middle where all together are too long; a chain needs its ends."""
    found = list(every)
    step, whole = 1, sum(len(one.data) for one in found)
    while whole > MOST_BYTES * step:
        step += 1
    by_device: dict[tuple[str, str], list[SignedValueKept]] = {}
    for one in found:
        by_device.setdefault((one.device, one.kind), []).append(one)
    for of in by_device.values():
        ends = {0, len(of) - 1}
        yield from (one for place, one in enumerate(of) if place in ends or not place % step)
