"""Options that both verify commands share: time of verification, trusted keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ingest.errors import InputError
from mrv.errors import MrvError
from mrv.log.policy import Policy, read_policy
from mrv.packs.reader import is_part_of, read_file
from mrv.signatures import canonical
from mrv.signatures.authorities import StampRule, read_authorities
from mrv.signatures.data_integrity import time_of
from mrv.signatures.trust_root import Trust, read_trusted
from mrv.signed_values.meter_keys import OwnKeys, read_own_keys
from mrv.statement.status import lasts

# how far the clock that somebody read may be ahead of this machine's
_AHEAD = timedelta(minutes=5)


def asked_at(text: str | None) -> datetime:
    """
    Return the time of `--at`, in UTC; now where absent.

    Raises
    ------
    InputError
        If it is not a time with an offset, none that UTC has, or one that has not come.
    """
    now = datetime.now(UTC)
    if text is None:
        return now
    try:
        at = time_of(text, "--at").astimezone(UTC)
    except OverflowError as error:
        raise InputError(
            f"--at is {text!r}, which is not between the years 1 and 9999 in UTC; pass another time"
        ) from error
    if at > now + _AHEAD:
        raise InputError(
            f"--at is {text}, but now it is {now:%Y-%m-%dT%H:%M:%SZ}: the time is "
            "in the future; omit --at for the present, or pass a past time"
        )
    return at


def own_keys(file: str, pack: str, at: datetime) -> Trust:
    """
    Return the keys that a reader trusts; keys inside the pack are refused.

    Raises
    ------
    InputError
        If the file is in the pack under verification, cannot be read, is neither a trust root nor a
        keyring, or contains an invalid status list.
    """
    if is_part_of(file, pack):
        raise InputError(
            f"--keys {file} is part of the pack, so its maker chose the keys; pass "
            "keys that you obtained from operator, verifier and log, or omit --keys "
            "to check the pack alone"
        )
    trust = read_trusted(given(file, "--keys"), at)
    if trust.log_policy is not None:
        _policy(trust.log_policy.encode("utf-8", "surrogatepass"), f"--keys {file}, logPolicy")
    for place, kept in enumerate(trust.status_lists):
        try:
            lasts(canonical.parse_object(kept))
        except InputError as error:
            raise InputError(
                f"--keys {file}: statusLists[{place}] is not a status list: {error}; remove it, or "
                "replace it by the newest from the operator"
            ) from error
    return trust


def own_policy(file: str, pack: str) -> Policy:
    """
    Return the policy of `--policy`: witnesses whose cosignatures the reader requires.

    Raises
    ------
    InputError
        If the file is in the pack under verification, or is not a policy.
    """
    if is_part_of(file, pack):
        raise InputError(
            f"--policy {file} is part of the pack, so its maker chose the witnesses; pass your own "
            "policy"
        )
    return _policy(given(file, "--policy"), f"--policy {file}")


def _policy(data: bytes, where: str) -> Policy:
    try:
        return read_policy(data)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def own_authorities(file: str, pack: str) -> StampRule:
    """
    Return the time-stamp authorities that a reader trusts; those inside the pack are refused.

    Raises
    ------
    InputError
        If the file is in the pack under verification, cannot be read, or holds none.
    """
    if is_part_of(file, pack):
        raise InputError(
            f"--authorities {file} is part of the pack, so its maker chose the authorities; pass "
            "certificates that you obtained from the authorities"
        )
    try:
        return read_authorities(given(file, "--authorities"))
    except MrvError as error:
        raise InputError(f"--authorities {file}: {error}") from error


def own_meter_keys(file: str, pack: str) -> OwnKeys:
    """
    Return the keys of `--meter-keys`: public keys of meters and gateways.

    Raises
    ------
    InputError
        If the file is in the pack under verification, or a line is not a name with a key.
    """
    if is_part_of(file, pack):
        raise InputError(
            f"--meter-keys {file} is part of the pack, so its maker chose the keys; pass the keys "
            "on the meters' labels or in the manufacturers' lists"
        )
    try:
        return read_own_keys(given(file, "--meter-keys").decode("utf-8", "replace"))
    except MrvError as error:
        raise InputError(f"--meter-keys {file}: {error}") from error


def given(file: str, option: str) -> bytes:
    """Return the bytes of an option's file; InputError where it cannot be read."""
    try:
        return read_file(file)
    except OSError as error:
        raise InputError(f"{option} {file}: {error.strerror}; pass a file to read") from error
