"""
An evidence pack as read: bytes of its documents, tables as columns.

    statement.json       with the operator's proof, once submitted
    verification.json    the verifier's credential, once verified
    findings.json        signed events of the verification's findings, if there are any
    sampling.json        device-days to be examined by the verifier, if drawn
    approvals.json       approvals of the issue, if more than one is required
    plan.json            registry extract: project, devices, certificates, meter replacements,
                         check meters, monitoring plan, invoices, compared statements
    diagram.svg          the monitoring diagram, drawn from plan.json
    factors.json         all factors of the kinds used
    keys.json            public keys of the signers
    digests.json         ordered leaves of the two Merkle roots in the statement
    readings/<class>     raw readings (Parquet); below it the archive's own files of whole days
    intervals            interval quantities (Parquet)
    dead_letters         messages rejected in the period (Parquet)
    seals.json           proofs that the log sealed these readings, day by day
    VERIFY.md            instructions for verification
    manifest.json        the digest of each of these files
    receipt.txt          inclusion of the statement in the transparency log, once issued
    manifest.txt         inclusion of the manifest in the log, once issued
    timestamps.json      tokens of time-stamp authorities, if there are any
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.classes import QUANTITY_INDEX
from ingest.model import MARK_FIELDS, Fleet, Frame, Int32, Int64, IntervalRows, absent
from mrv.calendar import utc_text
from mrv.errors import CanonicalError
from mrv.packs import MAX_YEARS, USUAL, Budget
from mrv.signatures.canonical import legible, parse_object
from mrv.statement.device_days import FIELDS

STATEMENT, VERIFICATION, RECEIPT = "statement.json", "verification.json", "receipt.txt"
PLAN, FACTORS, KEYS, DIGESTS = "plan.json", "factors.json", "keys.json", "digests.json"
SEALS, GUIDE, MANIFEST, MANIFEST_RECEIPT = (
    "seals.json",
    "VERIFY.md",
    "manifest.json",
    "manifest.txt",
)
DIAGRAM = "diagram.svg"
DOCUMENTS = (PLAN, FACTORS, KEYS, DIGESTS, SEALS, DIAGRAM, GUIDE, MANIFEST)
FINDINGS, SAMPLING, APPROVALS = "findings.json", "sampling.json", "approvals.json"
TIMESTAMPS = "timestamps.json"
FORMAT = 2
_MAX_US = MAX_YEARS * 366 * 86_400_000_000
README = "README.txt"  # only in packs of tonne 0.1.0
READINGS, INTERVALS, DEAD_LETTERS = "readings", "intervals", "dead_letters"
# files not listed in the manifest: the manifest itself, and files written after it
UNLISTED = (MANIFEST, MANIFEST_RECEIPT, RECEIPT, TIMESTAMPS)


@dataclass(frozen=True, slots=True)
class Table:
    """
    Rows of a Parquet file or of a part of it.

    Attributes
    ----------
    names : tuple of str
        Device ids.
    device : int32 array, n
        Index into `names`.
    time_us : int64 array, n
    columns : mapping of str to array, n
        In the form of the pipeline; `quantity` is an index of `quantities`.
    quantities : tuple of str
        Names of quantities, for intervals.
    """

    names: tuple[str, ...]
    device: Int32
    time_us: Int64
    columns: Mapping[str, NDArray[Any]]
    quantities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pack:
    """
    Contents of an evidence pack, or of a statement's file alone.

    `files`: documents by name; a statement alone has only `statement.json`.
    `readings`: by device class; read during iteration, all rows of a device in one table.
    `intervals`: the table, or a function that reads it.
    `budget`: size limits.
    `letters`: function that checks the rejected messages; InputError if invalid.
    `damaged`: files that could not be read, and why.
    `hashes`: SHA-256 of every file, in hex, by its name in the pack.
    """

    files: Mapping[str, bytes]
    readings: Mapping[str, Iterable[Table]] = field(default_factory=dict)
    intervals: Table | Callable[[], Table] | None = None
    damaged: Mapping[str, str] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    letters: Callable[[], None] | None = None
    budget: Budget = USUAL

    @property
    def bare(self) -> bool:
        """Return whether the pack is a statement without evidence."""
        return not self.readings and self.intervals is None and set(self.files) <= {STATEMENT}


class PackReadings:
    """
    The readings of a pack in the form of the pipeline, a few devices at a time.

    Each iteration reads the files again.

    Raises CanonicalError while iterating: for an unknown device, for rows that do not ascend
    strictly by device and time, or that are too far from the period.
    """

    def __init__(self, pack: Pack, fleet: Fleet, period_us: tuple[int, int]) -> None:
        self._pack, self._fleet = pack, fleet
        self._first_us, self._last_us = period_us[0] - _MAX_US, period_us[1] + _MAX_US

    def __iter__(self) -> Iterator[Frame]:
        for class_id, tables in sorted(self._pack.readings.items()):
            where = f"readings/{class_id}"
            last = (-1, 0)
            for table in tables:
                device = _indices(table, self._fleet, where)
                last = _in_order(where, self._fleet, (device, table.time_us), last)
                self._check_age(where, table.time_us)
                nobody = np.zeros(len(device), dtype=np.int32)
                yield Frame(class_id, device, table.time_us, nobody, dict(table.columns))

    def _check_age(self, where: str, time_us: Int64) -> None:
        """Raise CanonicalError for readings too far from the period."""
        if not len(time_us):
            return
        first, last = int(time_us.min()), int(time_us.max())
        if first < self._first_us or last > self._last_us:
            raise CanonicalError(
                f"{where} contain times from {first} to {last} us UTC, more than {MAX_YEARS} "
                "years from the period; obtain the pack again from its sender"
            )


def rows_of(pack: Pack, fleet: Fleet) -> IntervalRows:
    """Return the interval rows; CanonicalError for an unknown device or quantity."""
    table = pack.intervals() if callable(pack.intervals) else pack.intervals
    if table is None:
        raise CanonicalError("the pack has no intervals; download it again")
    unknown = sorted(set(table.quantities) - set(QUANTITY_INDEX))
    if unknown:
        raise CanonicalError(
            f"intervals contain the unknown quantity {unknown[0]!r}; obtain the pack again"
            f" from its sender"
        )
    numbers = np.array([QUANTITY_INDEX[name] for name in table.quantities], dtype=np.int16)
    quantity = table.columns["quantity"]
    return IntervalRows(
        _indices(table, fleet, INTERVALS),
        numbers[quantity] if len(numbers) else quantity.astype(np.int16),
        table.time_us,
        *(table.columns[name] for name in FIELDS),
        *(absent(len(quantity)) for _ in MARK_FIELDS),
    )


def manifest_of(hashes: Mapping[str, str], issued: str | None = None) -> bytes:
    """
    Return the bytes of the manifest of a pack's files: name to SHA-256 in hex.

    `issued`: time of issue, UTC, by the clock of the log, which signs the manifest.
    """
    listed = {name: digest for name, digest in hashes.items() if name not in UNLISTED}
    more = {} if issued is None else {"issued": issued}
    return legible({"format": FORMAT, "files": listed, **more})


def issued_at(manifest: bytes | None) -> str | None:
    """Return the time of issue in a manifest; None before the issue, and for tonne 0.1.0."""
    issued = None if manifest is None else parse_object(manifest).get("issued")
    return issued if isinstance(issued, str) else None


def check_order(rows: IntervalRows, fleet: Fleet) -> None:
    """
    Check that interval rows ascend strictly by device, quantity and start.

    Raises CanonicalError otherwise.
    """
    place = rows.device.astype(np.int64) * len(QUANTITY_INDEX) + rows.quantity
    later = (place[1:] > place[:-1]) | (
        (place[1:] == place[:-1]) & (rows.start_us[1:] > rows.start_us[:-1])
    )
    if not later.all():
        k = int(np.flatnonzero(~later)[0]) + 1
        raise CanonicalError(
            f"intervals: the row of {fleet.devices[rows.device[k]].id} on "
            f"{utc_text(int(rows.start_us[k]))} appears twice or out of order (rows are ordered "
            "by device, quantity and time); obtain the pack again from its sender"
        )


def _in_order(
    where: str, fleet: Fleet, rows: tuple[Int32, Int64], last: tuple[int, int]
) -> tuple[int, int]:
    """
    Return the last row, after a check that rows ascend strictly by device and time.

    Raises CanonicalError otherwise.  `last`: last row of the part before.
    """
    device, time_us = rows
    if not len(device):
        return last
    wrong = np.empty(len(device), dtype=np.bool_)
    wrong[0] = (int(device[0]), int(time_us[0])) <= last
    wrong[1:] = device[1:] <= device[:-1]
    wrong[1:] &= (device[1:] < device[:-1]) | (time_us[1:] <= time_us[:-1])
    if wrong.any():
        k = int(np.flatnonzero(wrong)[0])
        raise CanonicalError(
            f"{where}: the row of {fleet.devices[device[k]].id} on {utc_text(int(time_us[k]))} "
            "appears twice or out of order (rows are ordered by device and time); get the pack "
            "again"
        )
    return int(device[-1]), int(time_us[-1])


def _indices(table: Table, fleet: Fleet, where: str) -> Int32:
    unknown = sorted(set(table.names) - set(fleet.by_id))
    if unknown:
        raise CanonicalError(
            f"{where} contain rows of {unknown[0]!r}, which plan.json does not list; get the "
            "pack again"
        )
    index: Int32 = np.array([fleet.by_id[name] for name in table.names], dtype=np.int32)
    return index[table.device] if len(index) else table.device
