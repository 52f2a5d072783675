"""
System account that a local server runs as.

PostgreSQL refuses to run as root, and a broker has no need to.  Where we are
root, each server runs as the account that its Debian package made, over a
folder that this account owns; otherwise it runs as us.
"""

import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import InputError


@dataclass(frozen=True)
class Account:
    """A Unix account to run a server as."""

    name: str
    uid: int
    gid: int


def service_account(name: str) -> Account | None:
    """
    Account that a package made, or None where we are not root and stay ourselves.

    Raises
    ------
    InputError
        When we are root and the account does not exist.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise InputError(
            f"user {name!r} does not exist, though its package makes it; "
            f"reinstall the package, or `adduser --system --group {name}`"
        ) from error
    return Account(name, entry.pw_uid, entry.pw_gid)


def own_folder(folder: Path, account: Account | None) -> None:
    """
    Make `folder` with everything in it belong to `account`, closed to others.

    Raises
    ------
    InputError
        When the file system does not let files change hands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        folder.chmod(0o700)
        if account is not None:
            for path in (folder, *folder.rglob("*")):
                # children of a killed server may still be clearing up after it
                with suppress(FileNotFoundError):
                    os.chown(path, account.uid, account.gid, follow_symlinks=False)
    except PermissionError as error:
        raise InputError(
            f"{folder} cannot be given to {account.name if account else 'us'}: {error.strerror}; "
            "set TONNE_HOME to a folder on a local disk"
        ) from error
