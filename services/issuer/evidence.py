"""
A case's evidence as the files of a pack, the same bytes each time.

Whole days that are archived come as the archive's own files, under the archive's names.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from mrv.packs import tables
from mrv.packs.pack import DIAGRAM, DIGESTS, FACTORS, INTERVALS, PLAN, READINGS
from mrv.signatures import canonical
from mrv.statement.diagram import diagram
from mrv.statement.evidence_case import Case
from services.issuer.archived_parts import Reused, without


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
