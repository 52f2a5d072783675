"""
Digests in the log of all tables besides readings that statements depend on.

Registry, plan and certificates change only by imports, and each import is a new registry version: a
change without one is manual and is not entered.  Append-only tables may only grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import NamedTuple

from psycopg import Connection

from mrv import factors
from mrv.factors.ledger import to_record
from mrv.log.entries import FACTORS, RECORDS, RowHash, read_tables, tables_detail, tables_entry
from mrv.model import Factor
from mrv.signatures import canonical
from services.issuer.close import snapshot
from services.issuer.documents import Signer
from services.store.messages.dead_letter_query import removed_of
from services.store.postgres.row_hashes import IMPORTED, STATES, WRITTEN, hashes, older_than, tables
from services.store.registry import load as registry
from services.store.statements import transparency_log as log
from services.store.statements.transparency_log import Entry

Rows = dict[str, dict[str, str]]


class State(NamedTuple):
    """Current tables of a kind, and those in the log's last entry."""

    now: dict[str, list[RowHash]]
    last: Entry | None
    sealed: Rows


def state_of(conn: Connection, kind: str) -> State:
    """
    Return the current row digests of a kind's tables, and those of the log's last entry.

    Raises LogError if the digests stored with the entry do not lead to its roots.
    """
    now = hashes(conn, STATES[kind])
    result = log.details(conn, kind)
    if not result:
        return State(now, None, {})
    entry, detail = result[-1]
    return State(now, entry, read_tables(canonical.parse_object(entry.body), detail or b"{}"))


def changes(sealed: Mapping[str, Mapping[str, str]], now: Mapping[str, list[RowHash]]) -> list[str]:
    """Return texts on the rows that differ."""
    result = []
    for name in sorted({*sealed, *now}):
        was, is_ = sealed.get(name, {}), dict(now.get(name, []))
        for key in sorted(was.keys() | is_.keys()):
            if key not in is_:
                result.append(f"{name} {key!r} is missing")
            elif key not in was:
                result.append(f"{name} {key!r} was added")
            elif was[key] != is_[key]:
                result.append(f"{name} {key!r} was changed")
    return result


def expected(conn: Connection, kind: str, last: Entry, what: str) -> bool:
    """
    Return whether a change since the last entry can be explained by a command.

    An import is a new registry version; enrolling a key adds a row, revoking it sets its end, and
    its limits can be replaced.  The next seal enters such changes.
    """
    if kind in IMPORTED:
        versions = canonical.parse_object(last.body)["registryVersion"]
        return registry.registry_version(conn) > int(versions)
    if kind != "keys":
        return False
    key = what.split("'")[1]
    if what.endswith("was added"):
        return not older_than(conn, "enrolled_key", "valid_from", last.appended, [key])
    *_, detail = log.at(conn, last.index)
    sealed = read_tables(canonical.parse_object(last.body), detail or b"{}")["enrolled_key"]
    bare = dict(hashes(conn, ("enrolled_key",), without=("valid_until", "bounds"))["enrolled_key"])
    return what.endswith("was changed") and sealed.get(key) == bare.get(key)


def records_of(conn: Connection) -> Rows:
    """Return all digested rows of append-only tables, except those deleted after retention."""
    records: Rows = {}
    for entry, detail in log.details(conn, RECORDS):
        for name, rows in read_tables(canonical.parse_object(entry.body), detail or b"{}").items():
            records.setdefault(name, {}).update(rows)
    _without_expired(conn, records)
    return records


def _without_expired(conn: Connection, rows: Rows) -> None:
    """Remove dead letters whose deletion is recorded in the log."""
    gone = removed_of(conn, [int(key) for key in rows.get("dead_letter", {})])
    for name in ("dead_letter", "dead_letter_replay"):
        kept = rows.get(name, {})
        for key in [key for key in kept if int(key.split(" ", 1)[0]) in gone]:
            del kept[key]


def lost(sealed: Rows, now: Mapping[str, list[RowHash]]) -> list[str]:
    """Return texts on digested rows that are missing or changed."""
    return [what for what in changes(sealed, now) if not what.endswith("was added")]


def backdated(conn: Connection, sealed: Rows, now: Mapping[str, list[RowHash]]) -> list[str]:
    """Return texts on rows that are not digested, although dated before the last digest."""
    last = log.last(conn, RECORDS)
    if last is None:
        return []
    result = []
    for name, rows in now.items():
        new = [key for key, _ in rows if key not in sealed.get(name, {})]
        if new and name in WRITTEN:
            older = older_than(conn, name, WRITTEN[name], last.appended, new)
            result += [f"{name} {key!r} was added after the seal" for key in older]
    return result


def append_changes(
    conn: Connection, signer: Signer, done: list[str], refused: list[str], accept: str | None = None
) -> None:
    """Enter changes of registry, plan, certificates, keys, claims and factors in the log."""
    for kind in STATES:
        with snapshot(conn):
            state = state_of(conn, kind)
            version = registry.registry_version(conn)
        result = changes(state.sealed, state.now)
        if state.last is not None and not result:
            continue
        stated = {} if state.last is None else canonical.parse_object(state.last.body)
        by_hand = kind in IMPORTED and stated and stated["registryVersion"] == version
        if by_hand and accept is None:
            refused += [f"{what}, and no import made this change" for what in result]
            continue
        entry = tables_entry(kind, state.now, registryVersion=version, reason=accept)
        _append(conn, signer, kind, entry, tables_detail(state.now))
        done.append(kind)
    entry = factors_entry()
    last = log.last(conn, FACTORS)
    if last is None or last.body != entry:
        _append(conn, signer, FACTORS, entry, None)
        done.append(FACTORS)


def append_records(
    conn: Connection, signer: Signer, done: list[str], refused: list[str], accept: str | None = None
) -> None:
    """Enter new rows of append-only tables in the log."""
    with snapshot(conn):
        sealed = records_of(conn)
        now = hashes(conn, tables(conn).records)
    refused += lost(sealed, now)
    new = {
        name: [row for row in rows if row[0] not in sealed.get(name, {})]
        for name, rows in now.items()
    }
    new = {name: rows for name, rows in new.items() if rows}
    if new:
        _append(
            conn, signer, RECORDS, tables_entry(RECORDS, new, reason=accept), tables_detail(new)
        )
        done.append(RECORDS)


def factors_entry(book: Iterable[Factor] | None = None) -> bytes:
    """Return the log entry of the factors published by this version, or of some of them."""
    listed = [to_record(factor) for factor in (factors.load() if book is None else book)]
    return canonical.encode(
        {
            "event": FACTORS,
            "codeVersion": f"tonne {version('tonne')}",
            "factors": str(len(listed)),
            "sha256": canonical.sha256_hex(canonical.encode(listed)),
        }
    )


def _append(
    conn: Connection, signer: Signer, kind: str, entry: bytes, detail: bytes | None
) -> None:
    with conn.transaction():
        log.lock(conn)
        log.append(conn, kind, None, entry, detail)
        log.sign_head(conn, signer.holder.name, signer.key)
