"""Registered data of authorities and registries for exports, combined with a file's."""

from __future__ import annotations

from psycopg import Connection

from mrv.errors import ExportError
from mrv.exports.entered import Authority, merged
from services.registry.authority import changed_after_filing, entered_records
from services.registry.entries import Registry
from services.store.registry import authority


def registered(conn: Connection, given: Authority) -> Authority:
    """
    Return the registered entries with a file's in place of those of the same name.

    Raises
    ------
    ExportError
        If a filed submission differs in the file.
    """
    stored = entered_records(Registry.of(authority.load(conn)))
    for text in changed_after_filing(stored, given):
        raise ExportError(text)
    return merged(stored, given)
