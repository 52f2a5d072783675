"""
Verification of the archive against database and log, its contents, and temporary restoring.

Database rows of parts are compared with the log's sealed leaves, manifests with the rows, files
with both; unknown files are reported.

A marker file at the location and a row in the database refer to each other, so that an unmounted
disk or another archive is recognised, and not written to.

When readings are restored into the database, existing rows stay; missing ones are added, one part
per transaction.  The archive keeps its copy, and a hold prevents the next run from dropping the
rows. An interrupted command can be repeated.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from psycopg import Connection

from ingest.errors import InputError
from mrv.calendar import utc_text
from mrv.errors import CanonicalError
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf
from services import vault as parts
from services import vault_table
from services.issuer.log_differences import sealed_leaves
from services.settings import Settings
from services.store import archive_catalog as archived
from services.store import archived_readings as cold
from services.store.archive_catalog import snapshot
from services.store.archived_readings import ReadingSpan
from services.store.postgres.columnstore import lift_limit
from services.store.postgres.pool import FAR_US
from services.store.registry import load as registry
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log
from services.store.statements.sealed_days import Seal
from services.vault import FORMAT, MANIFEST, MARKER, PARQUET, DamagedError, Part, Place


class Archive(NamedTuple):
    """An archive's id and location."""

    id: str
    place: Place


def find(conn: Connection, url: str | None = None) -> Archive:
    """
    Return the database's archive at the location in the settings or the database.

    Raises InputError if there is none yet.
    Raises DamagedError if the location has another archive.
    """
    with conn.cursor() as cursor:
        home = archived.home(cursor)
    if home is None:
        raise InputError("this database has no archive yet; `tonne archive run` creates it")
    place = archived.opened(url or Settings().archive_url or home.url)
    _check(home.id, place)
    return Archive(home.id, place)


def find_or_make(conn: Connection, url: str | None) -> Archive:
    """
    Return the database's archive, created at a location if there is none.

    Raises InputError if no location is given the first time.
    Raises DamagedError if the location has another archive, or this database has one elsewhere.
    """
    with conn.cursor() as cursor:
        home = archived.home(cursor)
    if home is not None:
        return find(conn, url)
    url = url or Settings().archive_url
    if url is None:
        raise InputError(
            "no location is set for the archive; set TONNE_ARCHIVE_URL to a folder or an s3:// "
            "URL, or use --url"
        )
    place = archived.opened(url)
    place.make()
    result = _marker(place)
    if result is not None and result.get("database") != archived.identity(conn):
        raise DamagedError(
            f"archive {url} belongs to another database ({result.get('database')}); "
            "name an empty location"
        )
    # a marker without a row in the database: the first archive run was interrupted
    name = str(uuid.uuid4()) if result is None else str(result["archive"])
    if result is None:
        _mark(conn, name, place)
    with conn.transaction(), conn.cursor() as cursor:
        archived.add_home(cursor, archived.Home(name, url))
    return Archive(name, place)


def _mark(conn: Connection, name: str, place: Place) -> None:
    marker = {"format": FORMAT, "archive": name, "database": archived.identity(conn)}
    place.keep(MARKER, canonical.encode(marker))


def _marker(place: Place) -> dict[str, object] | None:
    data = place.find(MARKER)
    if data is None:
        return None
    try:
        result = canonical.parse_object(data)
    except CanonicalError as error:
        raise DamagedError(
            f"archive {place.url}: {MARKER} is damaged: {error}; restore the file from a copy"
        ) from error
    if result.get("format") != FORMAT or not isinstance(result.get("archive"), str):
        raise DamagedError(
            f"archive {place.url}: {MARKER} has format {result.get('format')!r}, not {FORMAT!r}; "
            "use the version of tonne that wrote it"
        )
    return result


def _check(name: str, place: Place) -> None:
    result = _marker(place)
    if result is None:
        raise DamagedError(
            f"archive {place.url} has no {MARKER}: it is not the archive {name} "
            "of this database; check that its disk is mounted. If it was moved, "
            "set TONNE_ARCHIVE_URL to its new location"
        )
    if result["archive"] != name:
        raise DamagedError(
            f"archive {place.url} is {result['archive']}, but this database's is "
            f"{name}: a database has one archive; set TONNE_ARCHIVE_URL to its location"
        )


class Wanted(NamedTuple):
    """Selection of device-days; empty names select all devices. [us UTC]"""

    devices: frozenset[str] = frozenset()
    from_us: int = -FAR_US
    to_us: int = FAR_US

    @property
    def everything(self) -> bool:
        """Return whether all device-days are selected."""
        return self == Wanted()

    def takes(self, part: Part) -> bool:
        """Return whether a part has selected device-days."""
        inside = part.day.from_us < self.to_us and part.day.to_us > self.from_us
        return inside and (not self.devices or not self.devices.isdisjoint(part.leaves))

    def of(self, result: Sequence[Part]) -> list[Part]:
        """
        Return the parts with selected device-days.

        Raises InputError if a named device is in no part.
        """
        strange = self.devices.difference(*(part.leaves for part in result))
        if strange:
            raise InputError(
                f"device {min(strange)!r} has no data in the archive; `tonne archive "
                "list` shows its contents"
            )
        return [part for part in result if self.takes(part)]


@dataclass
class Report:
    """
    Results of a check of the archive.

    `parts`, `device_days`, `rows`, `bytes`: numbers read.
    `breaks`: errors.
    `notes`: remarks.
    """

    parts: int = 0
    device_days: int = 0
    rows: int = 0
    bytes: int = 0
    breaks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(
    conn: Connection,
    url: str | None = None,
    wanted: Wanted = Wanted(),  # noqa: B008 - a tuple, never changed
    step: Callable[[str], None] = lambda _: None,
) -> Report:
    """
    Return the result of checking a database's archive.

    For selected device-days their rows are compared with the log; for the whole archive every byte
    is read and unknown files are reported.

    `conn`: connection in autocommit, as `tonne_archive`.
    Raises InputError if there is no archive.
    Raises VaultError if its location cannot be used.
    """
    report = Report()
    try:
        archive = find(conn, url)
    except DamagedError as error:
        report.breaks.append(str(error))
        return report
    # one snapshot, so that a running archive run is seen completely or not at all
    with snapshot(conn):
        result, done, latest = archived.every(conn), archived.done(conn), seals.latest(conn)
    sealed = _Sealed(conn)
    for part in wanted.of(result):
        step(part.path)
        _part(archive, part, wanted, sealed, report)
    if wanted.everything:
        _sealed_days(conn, result, sorted(done), latest, report)
        _strangers(archive.place, result, report)
    return report


class _Sealed:
    """Leaves of sealed days by log index, loaded one day at a time."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._at: tuple[int, Collection[DayLeaf]] = (-1, ())

    def of(self, index: int) -> Collection[DayLeaf]:
        """Return the leaves of the readings sealed by the entry `index` of the log."""
        if self._at[0] != index:
            entry, detail = log.at(self._conn, index)
            body = canonical.parse_object(entry.body)
            self._at = index, frozenset(sealed_leaves(body, detail)["readings"])
        return self._at[1]


def _part(archive: Archive, part: Part, wanted: Wanted, sealed: _Sealed, report: Report) -> None:
    report.parts += 1
    try:
        leaves = sealed.of(part.day.seal)
        for leaf in part.leaves.values():
            if leaf not in leaves:
                report.breaks.append(
                    f"{part.path}: {leaf.device} on {leaf.day} is recorded with another "
                    f"digest than in log entry {part.day.seal}"
                )
        if wanted.everything:
            _whole(archive, part, report)
        else:
            names = wanted.devices or part.leaves.keys()
            _count(vault_table.read(archive.place, part, names), report)
    except InputError as error:
        report.breaks.append(str(error))


def _whole(archive: Archive, part: Part, report: Report) -> None:
    """Check every byte of a file and of its manifest."""
    place = archive.place
    data = place.get(part.path)
    report.bytes += len(data)
    if hashlib.sha256(data).hexdigest() != part.sha256:
        report.breaks.append(
            f"{part.path} was changed: it has {len(data)} bytes with another SHA-256 "
            f"than the {part.bytes} bytes written"
        )
    _count(vault_table.read_bytes(part, data, part.path), report)
    manifest = place.get(parts.manifest_path(part.path))
    report.bytes += len(manifest)
    parts.check_manifest(archive.id, part, manifest)


def _count(read: vault_table.Stored, report: Report) -> None:
    report.device_days += len(read.devices)
    report.rows += len(read.frame)


def _sealed_days(
    conn: Connection,
    result: Sequence[Part],
    done: Sequence[tuple[str, date, int]],
    latest: Mapping[tuple[str, date], Seal],
    report: Report,
) -> None:
    """Check that completely archived days are recorded in parts."""
    have: dict[tuple[str, str, str], DayLeaf] = {}
    for part in result:
        for leaf in part.leaves.values():
            have[part.day.project, part.class_id, leaf.device + " " + leaf.day] = leaf
    for project, day, index in done:
        seal = latest.get((project, day))
        if seal is None or seal.entry != index:
            continue
        entry, detail = log.at(conn, index)
        for leaf in sealed_leaves(canonical.parse_object(entry.body), detail)["readings"]:
            class_id = leaf.table.removeprefix("reading_")
            if have.get((project, class_id, leaf.device + " " + leaf.day)) != leaf:
                report.breaks.append(
                    f"{leaf.device} on {leaf.day} is recorded as archived, but is in no part"
                )


def _strangers(place: Place, result: Sequence[Part], report: Report) -> None:
    """Report files that belong to no part."""
    known = {MARKER} | {p.path for p in result} | {parts.manifest_path(p.path) for p in result}
    for name, size in sorted(place.names().items()):
        if name in known:
            continue
        stem, digest = name.rsplit(".", 1)[0], ""
        if name.endswith((PARQUET, MANIFEST)):
            digest = stem.rpartition("_")[2]
        if name.endswith(PARQUET) and _is_named(place, name, digest):
            report.notes.append(
                f"{name} ({size} bytes) is complete but not recorded, as a run ended "
                "early; the next run uses it, or it may be removed"
            )
        elif name.endswith(MANIFEST) and f"{stem}{PARQUET}" in place.names():
            report.notes.append(f"{name} is the manifest of a file that is not recorded")
        else:
            report.breaks.append(
                f"{name} ({size} bytes) is not a file of this archive; it may be removed"
            )


def _is_named(place: Place, name: str, digest: str) -> bool:
    return bool(digest) and hashlib.sha256(place.get(name)).hexdigest().startswith(digest)


class Month(NamedTuple):
    """Archived readings of a class in a month: days, files, readings, bytes."""

    month: str
    class_id: str
    days: int
    files: int
    rows: int
    bytes: int


def months(conn: Connection, wanted: Wanted) -> list[Month]:
    """Return the archive's contents by month and class."""
    by: dict[tuple[str, str], list[Any]] = {}
    for part in wanted.of(archived.every(conn)):
        by.setdefault((f"{part.day.day:%Y-%m}", part.class_id), []).append(part)
    return [
        Month(
            *key,
            len({p.day.day for p in some}),
            len(some),
            sum(p.rows for p in some),
            sum(p.bytes for p in some),
        )
        for key, some in sorted(by.items())
    ]


def files(conn: Connection, wanted: Wanted) -> list[dict[str, Any]]:
    """Return a row for every file of the archive."""
    return [
        {
            "path": part.path,
            "class": part.class_id,
            "site": part.site,
            "project": part.day.project or None,
            "day": part.day.day.isoformat(),
            "from": utc_text(part.day.from_us),
            "to": utc_text(part.day.to_us),
            "seal": part.day.seal,
            "devices": len(part.leaves),
            "rows": part.rows,
            "bytes": part.bytes,
            "sha256": part.sha256,
        }
        for part in wanted.of(archived.every(conn))
    ]


@dataclass
class Restored:
    """Number of parts (files of the archive) read, and of readings restored."""

    parts: int = 0
    rows: int = 0


def restore(
    conn: Connection,
    wanted: Wanted,
    days: int,
    reason: str,
    step: Callable[[str], None] = lambda _: None,
) -> Restored:
    """
    Restore archived readings into the database; return their number.

    `conn`: connection in autocommit, as `tonne_ingest`, like the pipeline.
    `wanted`: a time span, and devices if not all.
    `days`: number of days for which the readings stay in the database.
    `reason`: reason for the restoration, which is recorded.
    Raises DamagedError or VaultError if the archived readings differ from their seal, or cannot be
    read.
    """
    out = Restored()
    lift_limit(conn)
    find(conn)
    ids = [device.id for device in registry.load_fleet(conn).devices]
    parts = archived.newest(wanted.of(archived.every(conn)))
    archived.keep_restored(conn, wanted.from_us, wanted.to_us, days, reason)
    for part in parts:
        step(part.path)
        out.parts += 1
        out.rows += _put_back(conn, part, wanted, frozenset(ids))
    return out


def _put_back(conn: Connection, part: Part, wanted: Wanted, known: frozenset[str]) -> int:
    names = sorted((wanted.devices or part.leaves.keys()) & part.leaves.keys() & known)
    begin, end = max(wanted.from_us, part.day.from_us), min(wanted.to_us, part.day.to_us)
    requests = [ReadingSpan(name, number, begin, end) for number, name in enumerate(names)]
    with conn.transaction(), conn.cursor() as cursor:
        archived.guard(cursor)
        result = cold.fetch(cursor, part.class_id, requests)
        if not result.frames:
            return 0
        name = cold.thaw(cursor, part.class_id, dict(enumerate(names)), result)
        cursor.execute(
            f"INSERT INTO reading_{part.class_id} SELECT * FROM {name} ON CONFLICT DO NOTHING"
        )
        return cursor.rowcount
