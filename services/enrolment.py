"""
Issue and revocation of credentials of devices, idempotent, for one or thousands.

An issued credential is recorded in the database before it can be used; keys are only in the
identity folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from psycopg import Connection

from ingest.errors import RegistryError
from services.identity.authority import Authority
from services.identity.principals import IdentityFolder, is_ours
from services.registry.entries import Device
from services.store.registry import signing_keys
from services.store.registry.signing_keys import Credential, Kind

DAYS = 1_825
# one that ends within this time is issued anew without being asked for
ENDING = timedelta(days=30)
Outcome = Literal["issued", "renewed", "unchanged", "revoked", "none"]


@dataclass(frozen=True, slots=True)
class Result:
    """Result for one principal; `folder` has the files for it."""

    principal: str
    result: Outcome
    kind: Kind | None = None
    expires: datetime | None = None
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """Options of issuing: kind, days, and whether to replace a valid one."""

    kind: Kind = "certificate"
    days: int = DAYS
    renew: bool = False


def principals(devices: dict[str, Device], names: Sequence[str], *, every: bool) -> list[str]:
    """
    Return the principals that can have a credential: the named ones, or all that publish
    themselves.

    Raises
    ------
    RegistryError
        Naming each that cannot, and why.
    """
    now = datetime.now(UTC)
    here = {n: d for n, d in devices.items() if d.removed is None or d.removed > now}
    speakers = [n for n, device in here.items() if device.gateway is None]
    wrong = [_why(n, here, devices) for n in names if n not in speakers or is_ours(n)]
    if every:
        wrong += [_why(n, here, devices) for n in speakers if is_ours(n)]
    if wrong:
        raise RegistryError("\n".join(wrong))
    return speakers if every else list(dict.fromkeys(names))


def _why(name: str, here: dict[str, Device], devices: dict[str, Device]) -> str:
    if name not in devices:
        return f"{name!r} is not registered; `tonne registry import` it first"
    if name not in here:
        return f"{name!r} was removed on {devices[name].removed}; it needs no credential"
    if here[name].gateway is not None:
        gateway = here[name].gateway
        return (
            f"{name!r} is connected through {gateway!r}, which publishes for it; "
            f"issue a credential for {gateway!r}"
        )
    return f"{name!r} is reserved for tonne's own services; give the device another id"


def issue(
    conn: Connection,
    folder: IdentityFolder,
    names: Iterable[str],
    wish: Wish,
    author: str,
    watch: Callable[[], None] = lambda: None,
) -> list[Result]:
    """
    Issue a credential to each principal without a valid one; return the results.

    A renewed certificate stays valid until it expires or is revoked, to give time for its delivery;
    a password is replaced at once.

    Parameters
    ----------
    conn : Connection
        In no transaction.
    watch : callable, optional
        Called after each principal.
    """
    with conn.transaction():
        signing_keys.lock(conn)
        in_use = signing_keys.in_use(conn)
        authority = folder.authority()
        rows = []
        for name in names:
            rows.append(_issue_one(conn, folder, authority, name, in_use.get(name), wish, author))
            watch()
        # in the database last: what it does not know was never handed to anyone
        signing_keys.record(conn, (row for _, row in rows if row is not None), author)
    return [result for result, _ in rows]


_Row = tuple[str, "Kind", str | None, str | None, datetime | None]


def _issue_one(
    conn: Connection,
    folder: IdentityFolder,
    authority: Authority,
    name: str,
    credential: Credential | None,
    wish: Wish,
    author: str,
) -> tuple[Result, _Row | None]:
    where = folder.device(name)
    if (
        credential is not None
        and credential.kind == wish.kind
        and not wish.renew
        and _lasts(credential)
    ):
        return Result(name, "unchanged", credential.kind, credential.expires, where), None
    outcome: Outcome = "issued" if credential is None else "renewed"
    if credential is not None and (credential.kind == "password" or wish.kind == "password"):
        signing_keys.revoke_credential(conn, name, author, f"replaced by another {wish.kind}")
    if wish.kind == "password":
        folder.hand_out_password(name, authority)
        return Result(name, outcome, wish.kind, None, where), (name, wish.kind, None, None, None)
    issued = authority.issue(name, wish.days)
    folder.hand_out(where, authority, issued)
    row = (name, wish.kind, issued.serial, issued.fingerprint, issued.expires)
    return Result(name, outcome, wish.kind, issued.expires, where), row


def _lasts(credential: Credential) -> bool:
    return credential.expires is None or credential.expires - datetime.now(UTC) > ENDING


def revoke(
    conn: Connection,
    folder: IdentityFolder,
    names: Iterable[str],
    author: str,
    reason: str,
    *,
    older: bool = False,
) -> list[Result]:
    """
    Revoke credentials and return the results; open connections end once the broker is updated.

    Parameters
    ----------
    older : bool
        Keep each principal's last issued credential.
    """
    results: list[Result] = []
    with conn.transaction():
        signing_keys.lock(conn)
        for name in names:
            count = signing_keys.revoke_credential(conn, name, author, reason, but_newest=older)
            results.append(Result(name, "revoked" if count else "none"))
            if not older:
                folder.forget(name)
        folder.authority().write_crl(signing_keys.revoked_certificates(conn))
    return results
