"""
The archive of a database: found, or made the first time.

A marker at the place and a row in the database name each other.  So a disk that
is not mounted, another database's archive and a second archive of the same
database are recognised, and none of them is written to.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

from psycopg import Connection

from ingest.errors import InputError
from mrv.errors import CanonicalError
from mrv.signatures import canonical
from services.settings import Settings
from services.store.archive import catalog as archived
from services.vault.part import FORMAT, MARKER, DamagedError
from services.vault.place import Place


class Archive(NamedTuple):
    """An archive's id and place."""

    id: str
    place: Place


def find(conn: Connection, url: str | None = None) -> Archive:
    """
    Open the database's archive where the settings or the database say that it is.

    Raises
    ------
    InputError
        If there is none yet.
    DamagedError
        If what is at the place is not this database's archive.
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
    Open the database's archive, or make it at a place.

    Raises
    ------
    InputError
        If no place is named the first time.
    DamagedError
        If the place is another's archive, or this database has one elsewhere.
    """
    with conn.cursor() as cursor:
        home = archived.home(cursor)
    if home is not None:
        return find(conn, url)
    url = url or Settings().archive_url
    if url is None:
        raise InputError(
            "no location is set for the archive; set TONNE_ARCHIVE_URL to a folder or an s3:// "
            "URL, or give --url"
        )
    place = archived.opened(url)
    place.make()
    found = _marker(place)
    if found is not None and found.get("database") != archived.identity(conn):
        raise DamagedError(
            f"archive {url} belongs to another database ({found.get('database')}); "
            "name an empty location"
        )
    # a marker of ours without a row: a first run that was interrupted between the two
    name = str(uuid.uuid4()) if found is None else str(found["archive"])
    if found is None:
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
        found = canonical.parse_object(data)
    except CanonicalError as error:
        raise DamagedError(f"archive {place.url}: {MARKER} is damaged: {error}") from error
    if found.get("format") != FORMAT or not isinstance(found.get("archive"), str):
        raise DamagedError(
            f"archive {place.url}: {MARKER} has format {found.get('format')!r}, not {FORMAT!r}"
        )
    return found


def _check(name: str, place: Place) -> None:
    found = _marker(place)
    if found is None:
        raise DamagedError(
            f"archive {place.url} has no {MARKER}: it is not the archive {name} "
            "of this database; check that its disk is mounted. If it was moved, "
            "set TONNE_ARCHIVE_URL to its new location"
        )
    if found["archive"] != name:
        raise DamagedError(
            f"archive {place.url} is {found['archive']}, but this database's is "
            f"{name}: a database has one archive; set TONNE_ARCHIVE_URL to its location"
        )
