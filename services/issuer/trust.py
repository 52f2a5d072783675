"""
The programme's trust root, kept beside the keys: it says who may verify.

An operator who could enrol verifiers could verify their own statements under another
name.  Where a root is pinned in `TONNE_HOME/trust-root.json`, verifiers are enrolled as
it names them; each newer one is taken by the rules of the one that is pinned.
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
    """Path of the trust root that this installation keeps."""
    return Settings().trust_root or home / "trust-root.json"


def pin(home: Path, data: bytes) -> TrustRoot:
    """
    Keep a trust root: the first on a person's word, each next by the rules of the last.

    Raises
    ------
    EnrolmentError
        If it does not follow from the one that is kept, or does not hold.
    """
    path = pinned(home)
    root = read_next(path.read_bytes(), data, _now()) if path.exists() else read_root(data, _now())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)
    return root


def kept_trust_root(home: Path) -> bytes | None:
    """Return the trust root that is kept here, if one is."""
    path = pinned(home)
    return path.read_bytes() if path.exists() else None


def required_grades(home: Path) -> RequiredGrades:
    """Return the grades of evidence that the programme asks for; the usual ones without a root."""
    data = kept_trust_root(home)
    root = None if data is None else read_pinned(data).evidence
    return USUAL if root is None else root


def third_parties(home: Path, keys: Iterable[EnrolledKey]) -> list[EnrolledKey]:
    """
    Return keys without those of third parties that the pinned trust root does not name.

    Without a trust root the operator may enrol a key of its own in a supplier's name.
    """
    data = kept_trust_root(home)
    root = () if data is None else read_pinned(data).keys
    named = {key.multikey for key in root if key.role == ROLE}
    return [key for key in keys if key.role != ROLE or key.multikey in named]


def check_not_older(home: Path, data: bytes) -> None:
    """
    Refuse a file of trusted keys that the trust root which is kept here has replaced.

    Raises
    ------
    EnrolmentError
        If it is another file of the same programme, and not a newer one that follows.
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
    """Read a trust root as of now; EnrolmentError where it does not hold, or has expired."""
    return read_root(data, _now())


def named(home: Path, data: bytes) -> tuple[EnrolledKey, ...]:
    """Keys of a file to enrol; a trust root must be the one that is kept."""
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
    """Refuse a verifier or third party whom the trust root does not name so; EnrolmentError."""
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
