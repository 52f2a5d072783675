"""Options that both verify commands share: time of verification, trusted keys."""

from __future__ import annotations

from datetime import UTC, datetime

from ingest.errors import InputError
from mrv.packs.reader import read_file, stands_in
from mrv.signatures.proof_form import time_of
from mrv.signatures.trust_root import Trust, read_trusted


def asked_at(text: str | None) -> datetime:
    """
    Read `--at`, in UTC; now where it is absent.

    Raises
    ------
    InputError
        If it is no time with an offset, or none that UTC has.
    """
    if text is None:
        return datetime.now(UTC)
    try:
        return time_of(text, "--at").astimezone(UTC)
    except OverflowError as error:
        raise InputError(
            f"--at is {text!r}, which no year from 1 to 9999 of UTC holds; name another time"
        ) from error


def own_keys(file: str, pack: str, at: datetime) -> Trust:
    """
    Read the keys that a reader trusts; a pack's own keys are nobody's trust.

    Raises
    ------
    InputError
        If the file stands in the pack that it is to judge, cannot be read, or is neither
        a trust root nor a keyring.
    """
    if stands_in(file, pack):
        raise InputError(
            f"--keys {file} came with the pack, so that whoever made the pack chose the keys;"
            " give keys that you got from operator, verifier and log themselves, or leave --keys"
            " out to see what the pack alone shows"
        )
    return read_trusted(given(file, "--keys"), at)


def given(file: str, option: str) -> bytes:
    """Bytes of the file that an option names; InputError where it cannot be read."""
    try:
        return read_file(file)
    except OSError as error:
        raise InputError(f"{option} {file}: {error.strerror}; give a file to read") from error
