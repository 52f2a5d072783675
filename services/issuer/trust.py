"""
The programme's trust root, stored with the keys: it names the permitted verifiers.

Without it an operator could enrol a verifier's key and verify their own statements.  If a root is
pinned in `TONNE_HOME/trust-root.json`, only the verifiers it names are enrolled; a newer root must
follow the rules of the pinned one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from mrv.errors import EnrolmentError
from mrv.parameters.evidence import USUAL, RequiredGrades
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from mrv.signatures.trust_root import TrustRoot, read_next, read_pinned, read_root, read_trusted
from mrv.statement.signed_rows import ROLE
from services.clock import now_us
from services.settings import Settings


def pinned(home: Path) -> Path:
    """Return the path of the pinned trust root."""
    return Settings().trust_root or home / "trust-root.json"


def pin(home: Path, data: bytes) -> TrustRoot:
    """
    Store a trust root: the first without check, each later one by the rules of the last.

    Raises
    ------
    EnrolmentError
        If it does not follow from the stored one, or is invalid.
    """
    path = pinned(home)
    root = read_next(path.read_bytes(), data, _now()) if path.exists() else read_root(data, _now())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)
    return root


def kept_trust_root(home: Path) -> bytes | None:
    """Return the pinned trust root's bytes, if there is one."""
    path = pinned(home)
    return path.read_bytes() if path.exists() else None


def required_grades(home: Path) -> RequiredGrades:
    """
    Return the grades of evidence required by the programme; default grades without a trust
    root.
    """
    data = kept_trust_root(home)
    root = None if data is None else read_pinned(data).evidence
    return USUAL if root is None else root


def third_parties(home: Path, keys: Iterable[EnrolledKey]) -> list[EnrolledKey]:
    """
    Return keys without those of third parties that the pinned trust root does not name.

    Without a trust root the operator could enrol a key of its own under a supplier's name.
    """
    data = kept_trust_root(home)
    root = () if data is None else read_pinned(data).keys
    named = {key.multikey for key in root if key.role == ROLE}
    return [key for key in keys if key.role != ROLE or key.multikey in named]


def check_not_older(home: Path, data: bytes) -> None:
    """
    Refuse a file of trusted keys that is older than the pinned trust root.

    Raises
    ------
    EnrolmentError
        If it belongs to the same programme and is not a newer version.
    """
    mine = kept_trust_root(home)
    if mine is None or mine == data or "signed" not in canonical.parse_object(data):
        return
    own, trust_root = read_pinned(mine), read_pinned(data)
    if trust_root.programme != own.programme or trust_root.signed() == own.signed():
        return
    if trust_root.version <= own.version:
        raise EnrolmentError(
            f"this is version {trust_root.version} of the trust root of"
            f" {trust_root.programme}, and version {own.version} of another text is kept in"
            f" {pinned(home)}: an old version may name keys that are no longer valid;"
            " give the stored one"
        )
    read_next(mine, data, _now())


def checked(data: bytes) -> TrustRoot:
    """Return a trust root valid now; EnrolmentError if it is invalid or expired."""
    return read_root(data, _now())


def named(home: Path, data: bytes) -> tuple[EnrolledKey, ...]:
    """Return the keys to enrol from a file; a trust root must be the pinned one."""
    trust = read_trusted(data, _now())
    path = pinned(home)
    is_root = "signed" in canonical.parse_object(data)
    if is_root and (not path.exists() or path.read_bytes() != data):
        raise EnrolmentError(
            f"{trust.source} differs from the one stored in {path}; accept it with `tonne "
            "trust pin`"
        )
    return trust.keys


def check(home: Path, keys: Iterable[EnrolledKey]) -> None:
    """Refuse a verifier or third party not named in the trust root; EnrolmentError."""
    path = pinned(home)
    if not path.exists():
        return
    root = read_root(path.read_bytes(), _now())
    known = {(key.multikey, key.role): key for key in root.keys}
    for key in keys:
        if key.role not in ("verifier", "third-party"):
            continue
        other = known.get((key.multikey, key.role))
        if other != key or other.bounds != key.bounds:
            raise EnrolmentError(
                f"{key.name!r} ({key.multikey}) is not named as a {key.role} by version"
                f" {root.version} of the trust root of {root.programme}: the programme names"
                " verifiers, with their accreditation, and third parties who sign rows; enrol from"
                " its file, `tonne keys enroll"
                f" {path}`"
            )


def _now() -> datetime:
    return datetime.fromtimestamp(now_us() / 1e6, UTC)
