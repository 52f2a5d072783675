"""
Files of the archive that a pack takes as they are.

A file fits where every device-day in it is one that the statement rests on, leaf
for leaf.  Then the pack holds the archive's own bytes, anyone who has both sees by
one digest that they are the same, and nothing is written or compressed again.
What no file holds whole (days still in the database, the readings beside the
period) stands in the pack's own file of the class.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from ingest.model import Fleet, Frame
from mrv.statement.evidence_case import Case
from services.store.archive import catalog as archived
from services.vault import table
from services.vault.part import Part


class Reused(NamedTuple):
    """A file of the archive, and its bytes."""

    part: Part
    data: bytes


def fitting(conn: Connection, case: Case) -> list[Reused]:
    """
    Return the archived files that hold nothing but what a case rests on, no device-day twice.

    Raises
    ------
    DamagedError, VaultError
        If one of them is not as it was recorded, or cannot be reached.
    """
    wanted = {leaf.key: leaf for leaf in case.readings.leaves}
    ids = [device.id for device in case.fleet.devices]
    found: list[Reused] = []
    with conn.cursor() as cursor:
        for class_id in sorted({device.class_id for device in case.fleet.devices}):
            parts = archived.parts(cursor, class_id, ids, case.from_us, case.to_us)
            for part in reversed(parts):  # the last one made counts
                leaves = part.leaves.values()
                if all(wanted.get(leaf.key) == leaf for leaf in leaves):
                    found.append(Reused(part, table.whole(archived.place_of(cursor), part)))
                    for leaf in leaves:
                        del wanted[leaf.key]
    return found


def without(frame: Frame, fleet: Fleet, reused: Iterable[Reused]) -> Frame:
    """Readings that no reused file holds."""
    kept: NDArray[np.bool_] = np.ones(len(frame), dtype=np.bool_)
    for part in (one.part for one in reused if one.part.class_id == frame.class_id):
        devices = [fleet.by_id[name] for name in part.leaves]
        inside = (frame.time_us >= part.day.from_us) & (frame.time_us < part.day.to_us)
        kept &= ~(inside & np.isin(frame.device, devices))
    return frame.take(kept)
