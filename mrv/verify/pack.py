"""
An evidence pack as it was read: the bytes of its documents, its tables as columns.

    statement.json       with the operator's proof, once submitted
    verification.json    the verifier's credential, once verified
    plan.json            registry extract: project, devices, certificates, meter swaps
    factors.json         all factors of the kinds that were used
    keys.json            public keys of who signed
    digests.json         ordered leaves under the two roots in the statement
    readings/<class>     raw readings (Parquet)
    intervals            interval quantities (Parquet)
    receipt.txt          place in the transparency log, once issued
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import Frame, IntervalRows
from mrv.errors import CanonicalError
from mrv.statement.evidence import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ingest.model import Fleet, Int32, Int64

STATEMENT, VERIFICATION, RECEIPT = "statement.json", "verification.json", "receipt.txt"
PLAN, FACTORS, KEYS, DIGESTS = "plan.json", "factors.json", "keys.json", "digests.json"
EVIDENCE = (PLAN, FACTORS, KEYS, DIGESTS)
INTERVALS = "intervals"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a Parquet file: device ids, times, and columns as the pipeline holds them."""

    device: NDArray[np.object_]
    time_us: Int64
    columns: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Pack:
    """
    What stands under a path.

    Attributes
    ----------
    files : mapping of str to bytes
        Documents by name; a statement alone has only `statement.json`.
    readings : mapping of str to Table
        By device class.
    intervals : Table or None
    damaged : mapping of str to str
        Files that could not be read, and why.
    """

    files: Mapping[str, bytes]
    readings: Mapping[str, Table] = field(default_factory=dict)
    intervals: Table | None = None
    damaged: Mapping[str, str] = field(default_factory=dict)

    @property
    def bare(self) -> bool:
        """Whether it is a statement without evidence."""
        return not self.readings and self.intervals is None and set(self.files) <= {STATEMENT}


def frames_of(pack: Pack, fleet: Fleet) -> list[Frame]:
    """Return the readings as the pipeline takes them; CanonicalError for an unknown device."""
    return [
        Frame(
            class_id,
            _indices(table, fleet, f"readings/{class_id}"),
            table.time_us,
            np.zeros(len(table.time_us), dtype=np.int32),
            dict(table.columns),
        )
        for class_id, table in sorted(pack.readings.items())
    ]


def rows_of(pack: Pack, fleet: Fleet) -> IntervalRows:
    """Return the interval rows; CanonicalError for an unknown device or quantity."""
    table = pack.intervals
    if table is None:
        raise CanonicalError("the pack has no intervals; get it again")
    names = table.columns["quantity"].tolist()
    unknown = sorted(set(names) - set(QUANTITY_INDEX))
    if unknown:
        raise CanonicalError(f"intervals hold the unknown quantity {unknown[0]!r}")
    return IntervalRows(
        _indices(table, fleet, INTERVALS),
        np.array([QUANTITY_INDEX[name] for name in names], dtype=np.int16),
        table.time_us,
        *(table.columns[name] for name in FIELDS),
    )


def _indices(table: Table, fleet: Fleet, where: str) -> Int32:
    names = table.device.tolist()
    unknown = sorted(set(names) - set(fleet.by_id))
    if unknown:
        raise CanonicalError(f"{where} hold rows of {unknown[0]!r}, which plan.json does not list")
    return np.array([fleet.by_id[name] for name in names], dtype=np.int32)
