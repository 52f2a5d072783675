"""A case's evidence as the files of a pack, the same bytes each time."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from mrv import canonical
from mrv.statement.diagram import diagram
from mrv.verify.pack import DIAGRAM, DIGESTS, FACTORS, INTERVALS, PLAN
from services.issuer import parquet

if TYPE_CHECKING:
    from mrv.statement.case import Case

READINGS = "readings"


def files(case: Case) -> dict[str, bytes]:
    """Plan, factors, digests and tables of a case: name in the pack to bytes."""
    found = {
        PLAN: canonical.legible(case.plan.to_json()),
        FACTORS: canonical.legible(case.factor_records),
        DIGESTS: canonical.legible(case.leaves()),
        DIAGRAM: diagram(case.plan).encode(),
    }
    for frame in case.frames:
        out = BytesIO()
        parquet.write_readings(out, case.fleet, frame)
        found[f"{READINGS}/{frame.class_id}.parquet"] = out.getvalue()
    out = BytesIO()
    parquet.write_intervals(out, case.fleet, case.rows)
    found[f"{INTERVALS}.parquet"] = out.getvalue()
    return found
