"""
Entries of the log other than issued statements: sealed days, and digests of tables.

    data        a project's local day: Merkle roots over the device-days of its
                readings, intervals and emissions (see mrv/signatures/day_digests), and
                in which hours its readings arrived (see mrv/statement/device_days)
    registry, plan, calibration, keys, claims
                digests of the tables of that kind, after each change
    records     rows that append-only tables got since the entry before
    factors     the factors that this version of the program publishes
    evidence    the manifest of an issued statement's evidence pack

A table's root is that of RFC 6962 over JCS [key, SHA-256 of the row], by key. The data below the
roots are stored next to the entry, and are verified by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mrv.errors import LogError
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf, Digest
from mrv.signatures.merkle_tree import leaf_hash, root_hash

DATA, RECORDS, FACTORS, EVIDENCE = "data", "records", "factors", "evidence"
PARTS = ("readings", "intervals", "emissions")
RowHash = tuple[str, str]


class Day(NamedTuple):
    """A day to seal: project, local day, time zone, and edges as RFC 3339."""

    project: str | None
    day: str
    timezone: str
    begin: str
    end: str


def data_entry(
    day: Day,
    sequence: int,
    registry_version: int,
    parts: Mapping[str, Digest],
    reason: str | None,
    arrival: Mapping[str, Any] | None = None,
) -> bytes:
    """
    Return the log entry that seals a project's local day.

    Parameters
    ----------
    sequence : int
        1 for the first seal of a day; later data are sealed with the next number.
    registry_version : int
        Registry version of the derived rows.
    parts : mapping of str to Digest
        `readings`, `intervals`, `emissions`.
    reason : str or None
        Reason for sealing a day again.
    arrival : mapping, optional
        From `arrival_part`; absent for days sealed by tonne 0.1.0.
    """
    more = {} if arrival is None else {"arrival": dict(arrival)}
    return canonical.encode(
        {
            "event": DATA,
            "project": day.project,
            "day": day.day,
            "timezone": day.timezone,
            "from": day.begin,
            "to": day.end,
            "sequence": sequence,
            "registryVersion": registry_version,
            "reason": reason,
            **{name: _part(parts[name].root, parts[name].leaves) for name in PARTS},
            **more,
        }
    )


def arrival_part(
    rows: Sequence[RowHash], counts: tuple[int, int], hours: Mapping[str, int], sealed: str
) -> dict[str, Any]:
    """
    Return the part of a day's log entry on the arrival of its readings.

    Parameters
    ----------
    rows : sequence of (str, str)
        Hash of each device's record (`mrv.statement.device_days`), under one root.
    counts : tuple of int
        Number of readings, and of late ones.
    hours : mapping of str to int
        Number of readings by hour of arrival (UTC).
    sealed : str
        Time of the seal by the clock of the log.
    """
    readings, late = counts
    return {
        "root": rows_root(rows),
        "readings": str(readings),
        "late": str(late),
        "hours": {hour: str(count) for hour, count in hours.items()},
        "sealed": sealed,
    }


def _part(root: str, leaves: Sequence[DayLeaf]) -> dict[str, str]:
    return {"root": root, "rows": str(sum(leaf.rows for leaf in leaves))}


def evidence_entry(statement: str, manifest: bytes) -> bytes:
    """Return the entry that names the files of an issued statement's pack."""
    return canonical.encode(
        {
            "event": EVIDENCE,
            "statement": statement,
            "manifestSha256": canonical.sha256_hex(manifest),
        }
    )


def tables_entry(kind: str, tables: Mapping[str, Sequence[RowHash]], **more: Any) -> bytes:
    """Return the log entry of the digests of some tables, with the fields of `more`."""
    return canonical.encode(
        {
            "event": kind,
            "tables": {
                name: {"root": rows_root(rows), "rows": str(len(rows))}
                for name, rows in sorted(tables.items())
            },
            **more,
        }
    )


def rows_root(rows: Iterable[RowHash]) -> str:
    """Return the Merkle root, in hex, of rows ordered by key."""
    return root_hash(leaf_hash(canonical.encode(list(row))) for row in rows).hex()


def tables_detail(tables: Mapping[str, Sequence[RowHash]]) -> bytes:
    """Return the data below the roots of `tables_entry`."""
    return canonical.encode({name: [list(r) for r in rows] for name, rows in tables.items()})


def read_tables(entry: Mapping[str, Any], detail: bytes) -> dict[str, dict[str, str]]:
    """
    Return the rows of a `tables_entry`: table to key to hash.

    Raises
    ------
    LogError
        If the detail does not lead to the entry's roots.
    """
    result = canonical.parse_object(detail)
    content = {name: table["root"] for name, table in entry["tables"].items()}
    roots = {name: rows_root((key, value) for key, value in rows) for name, rows in result.items()}
    if roots != content:
        raise LogError(
            "the rows stored with the log entry do not match its root hash; they were changed: "
            "restore them from a backup"
        )
    return {name: dict(rows) for name, rows in result.items()}
