"""A case's evidence as the files of a pack, the same bytes each time."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

from mrv.verify.pack import DIGESTS, FACTORS, INTERVALS, PLAN
from services.issuer import parquet

if TYPE_CHECKING:
    from mrv.statement.case import Case

READINGS = "readings"


def files(case: Case) -> dict[str, bytes]:
    """Plan, factors, digests and tables of a case: name in the pack to bytes."""
    found = {
        PLAN: _for_people(case.plan.to_json()),
        FACTORS: _for_people(case.factor_records),
        DIGESTS: _for_people(case.leaves()),
    }
    for frame in case.frames:
        out = BytesIO()
        parquet.write_readings(out, case.fleet, frame)
        found[f"{READINGS}/{frame.class_id}.parquet"] = out.getvalue()
    out = BytesIO()
    parquet.write_intervals(out, case.fleet, case.rows)
    found[f"{INTERVALS}.parquet"] = out.getvalue()
    return found


def _for_people(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
