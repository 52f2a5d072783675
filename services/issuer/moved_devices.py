"""
Devices that left a project, or joined it, since a day was sealed: no row was changed for it.

A day is compared with the devices that it was sealed with, whatever the registry binds now.  The
readings of one that joined since stand under other seals, of another project or of none: where
those hold the same as before over all of the day, nobody added a row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import NamedTuple

from psycopg import Connection

from ingest.model import Fleet
from mrv.calendar import instant_us
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf, Difference
from services.issuer.changes import Changes, sealed_leaves
from services.issuer.late_rows import noted, without_late
from services.issuer.sealed_day_contents import Job, parts_of
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log
from services.store.statements.sealed_days import Seal

_Leaves = Mapping[str, tuple[DayLeaf, ...]]
_READINGS = "readings"


class Moved(NamedTuple):
    """What changed of a day without what the registry moved, and the devices that joined it."""

    found: Changes
    joined: tuple[str, ...]


def as_sealed(job: Job, leaves: _Leaves) -> Job:
    """Return a day with the devices that it is about now, and those that it was sealed with."""
    devices = {*job.devices, *(leaf.device for part in leaves.values() for leaf in part)}
    return job._replace(devices=tuple(sorted(devices)))


def job_of(body: Mapping[str, str], devices: Collection[str]) -> Job:
    """Return a sealed day as its entry says it, with some devices."""
    begin, end = (instant_us(body[edge], "UTC") for edge in ("from", "to"))
    day, whose = date.fromisoformat(body["day"]), body["project"] or ""
    return Job(whose, day, body["timezone"], begin, end, tuple(sorted(devices)))


def without_joined(
    conn: Connection, fleet: Fleet, job: Job, sealed: _Leaves, found: Changes
) -> Moved:
    """
    Leave out readings of devices that joined, where other seals hold them and nothing changed.

    Parameters
    ----------
    sealed : mapping
        Leaves under the day's seal.
    """
    known = {leaf.device for leaf in sealed[_READINGS]}
    others = {one.device for one in found.by_hand} - known
    if not others:
        return Moved(found, ())
    over = [one for one in seals.over(conn, job.from_us, job.to_us) if one.project != job.project]
    joined = {name for name in others if _held_elsewhere(conn, fleet, over, job, name)}
    by_hand: list[Difference] = [one for one in found.by_hand if one.device not in joined]
    return Moved(found._replace(by_hand=by_hand), tuple(sorted(joined)))


def _held_elsewhere(
    conn: Connection, fleet: Fleet, over: Collection[Seal], job: Job, device: str
) -> bool:
    """Whether other seals cover a device's day; what they hold, without late ones, is as it was."""
    spans = []
    for seal in over:
        entry, detail = log.at(conn, seal.entry)
        body = canonical.parse_object(entry.body)
        was = [one for one in sealed_leaves(body, detail)[_READINGS] if one.device == device]
        if was == _before(conn, fleet, job_of(body, (device,))):
            spans.append((_us(seal.begin), _us(seal.end)))
    reached = job.from_us
    for begin, end in sorted(spans):
        if begin > reached:
            break
        reached = max(reached, end)
    return reached >= job.to_us


def _before(conn: Connection, fleet: Fleet, job: Job) -> list[DayLeaf]:
    """Leaves of a sealed day's readings, without late ones."""
    with conn.cursor() as cursor:
        (now,) = parts_of(cursor, fleet, [job])
        return without_late(cursor, fleet, job, now[_READINGS].leaves, noted(cursor, job).late)


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
