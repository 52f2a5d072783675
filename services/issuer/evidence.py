"""
A case's evidence as the files of a pack, the same bytes each time.

Whole days that are archived come as the archive's own files, under the archive's names.

Files of the archive that a pack takes as they are.

A file fits where every device-day in it is one that the statement rests on, leaf
for leaf.  Then the pack holds the archive's own bytes, anyone who has both sees by
one digest that they are the same, and nothing is written or compressed again.
What no file holds whole (days still in the database, the readings beside the
period) stands in the pack's own file of the class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from ingest.model import Fleet, Frame
from mrv.packs import tables
from mrv.packs.pack import DIAGRAM, DIGESTS, FACTORS, INTERVALS, PLAN, READINGS
from mrv.signatures import canonical
from mrv.statement.diagram import diagram
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


def files(case: Case, reused: Sequence[Reused] = ()) -> dict[str, bytes]:
    """
    Plan, factors, digests and tables of a case: name in the pack to bytes.

    Parameters
    ----------
    reused : sequence of Reused
        Files of the archive that the pack takes as they are, so that nothing of them is
        written here.
    """
    found = {
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
        found[f"{READINGS}/{frame.class_id}.parquet"] = out.getvalue()
    out = BytesIO()
    tables.write_intervals(out, case.fleet, case.rows)
    found[f"{INTERVALS}.parquet"] = out.getvalue()
    return found


def by_name(reused: Sequence[Reused]) -> dict[str, Reused]:
    """Name files of the archive as a pack does."""
    return {
        f"{READINGS}/{one.part.class_id}/{one.part.path.rpartition('/')[2]}": one for one in reused
    }
