"""
Part of the archive: a file of readings with its manifest, and its checks.

Errors:

    ServerError
      VaultError     the location cannot be reached, is full or refuses access: try again later
    InputError
      DamagedError   a file is not what was written: it must not be used

The manifest names the file's sealed day and the leaves of its devices in the log, so that the file
can be checked without a database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from ingest.errors import InputError, ServerError
from mrv.calendar import utc_text
from mrv.errors import CanonicalError
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf

FORMAT = "tonne-archive-1"
MARKER = "tonne-archive.json"
PARQUET, MANIFEST = ".parquet", ".json"
_HASH_SHOWN = 16


class VaultError(ServerError):
    """The archive's storage is not available."""


class DamagedError(InputError):
    """A file of the archive is missing, changed or foreign."""


class Day(NamedTuple):
    """Sealed day: project ('' for none), start and end, and log index of its seal."""

    project: str
    day: date
    timezone: str
    from_us: int
    to_us: int
    seal: int


class Part(NamedTuple):
    """
    File of the archive.

    Attributes
    ----------
    leaves : mapping of str to DayLeaf
        Sealed leaves by device, in the file's order.
    sha256, manifest : str
        Digests of the file and of its manifest, in hex.
    """

    day: Day
    class_id: str
    site: str
    path: str
    bytes: int
    sha256: str
    manifest: str
    leaves: Mapping[str, DayLeaf]

    @property
    def rows(self) -> int:
        """Return the number of readings."""
        return sum(leaf.rows for leaf in self.leaves.values())


def of(
    archive: str, day: Day, class_id: str, site: str, data: bytes, leaves: Mapping[str, DayLeaf]
) -> tuple[Part, bytes]:
    """Return an archive part named by the SHA-256 of its content, and its manifest's bytes."""
    sha256 = hashlib.sha256(data).hexdigest()
    stem = f"{day.day}_{site}_{day.project or '-'}_{sha256[:_HASH_SHOWN]}"
    path = f"{class_id}/{day.day:%Y/%m}/{stem}{PARQUET}"
    part = Part(day, class_id, site, path, len(data), sha256, "", leaves)
    manifest = canonical.encode(_manifest_of(archive, part))
    return part._replace(manifest=hashlib.sha256(manifest).hexdigest()), manifest


def manifest_path(path: str) -> str:
    """Return the name of a file's manifest."""
    return path.removesuffix(PARQUET) + MANIFEST


def _manifest_of(archive: str, part: Part) -> dict[str, Any]:
    day = part.day
    return {
        "format": FORMAT,
        "archive": archive,
        "class": part.class_id,
        "site": part.site,
        "project": day.project or None,
        "day": day.day.isoformat(),
        "timezone": day.timezone,
        "from": utc_text(day.from_us),
        "to": utc_text(day.to_us),
        "seal": day.seal,
        "file": {"bytes": part.bytes, "rows": part.rows, "sha256": part.sha256},
        "leaves": [leaf.to_json() for leaf in part.leaves.values()],
    }


def check_manifest(archive: str, part: Part, data: bytes) -> None:
    """
    Refuse a manifest that differs from the database's record of its file.

    Raises
    ------
    DamagedError
        Naming the difference.
    """
    name = manifest_path(part.path)
    try:
        result = canonical.parse_object(data)
    except CanonicalError as error:
        raise DamagedError(
            f"{name}: not a manifest: {error}; restore the file from a copy"
        ) from error
    expected = _manifest_of(archive, part)
    wrong = [
        key
        for key in sorted(expected.keys() | result.keys())
        if expected.get(key) != result.get(key)
    ]
    if wrong:
        raise DamagedError(
            f"{name}: {', '.join(wrong)} differ from the record; restore the file from a copy"
        )
