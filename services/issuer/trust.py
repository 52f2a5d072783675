"""
The programme's trust root, stored with the keys: it names the permitted verifiers.

Without it an operator could enrol a verifier's key and verify their own statements.  If a root is
pinned in `TONNE_HOME/trust-root.json`, only the verifiers it names are enrolled; a newer root must
follow the rules of the pinned one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg import Connection

from ingest.errors import RegistryError
from mrv.documents import UNSET
from mrv.documents.monitoring import AcceptanceSigned, FactorAccepted
from mrv.errors import EnrolmentError
from mrv.exports.entered import Acceptance
from mrv.factors.ledger import factor_of
from mrv.methodologies import find
from mrv.parameters import USUAL, RequiredGrades
from mrv.registry.project import Project
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.signatures.organisations import organisation_of, stem
from mrv.signatures.trust_root import (
    TrustRoot,
    read_next,
    read_pinned,
    read_root,
    read_trusted,
    sign,
)
from mrv.statement.signed_rows import ROLE
from mrv.texts import Text, text
from services.clock import now_us
from services.registry.authority import entered_records
from services.registry.entries import Registry
from services.registry.files import Incoming
from services.settings import Settings
from services.store.registry import signing_keys


def pinned(home: Path) -> Path:
    """Return the path of the pinned trust root."""
    return Settings().trust_root or home / "trust-root.json"


def pin(home: Path, data: bytes) -> TrustRoot:
    """
    Store a trust root and return it.

    The first one is checked for form and validity; each later one must also be signed by the rules
    of the stored one.

    Raises EnrolmentError if it does not follow from the stored one, or is invalid.
    """
    path, mine = pinned(home), kept_trust_root(home)
    root = read_root(data, _now()) if mine is None else read_next(mine, data, _now())
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
    """Return the grades of evidence that the programme requires; defaults without a trust root."""
    data = kept_trust_root(home)
    root = None if data is None else read_pinned(data).evidence
    return USUAL if root is None else root


def third_parties(home: Path, keys: Iterable[EnrolledKey]) -> list[EnrolledKey]:
    """
    Return the keys except those of third parties that the pinned trust root does not name.
    Otherwise the operator could enrol a key of its own under a supplier's name.
    """
    data = kept_trust_root(home)
    root = () if data is None else read_pinned(data).keys
    named = {key.multikey for key in root if key.role == ROLE}
    return [key for key in keys if key.role != ROLE or key.multikey in named]


def check_not_older(home: Path, data: bytes) -> None:
    """
    Refuse a file of trusted keys that is older than the pinned trust root.

    Raises EnrolmentError if it belongs to the same programme and is not a newer version.
    """
    mine = kept_trust_root(home)
    if mine is None or mine == data or "signed" not in canonical.parse_object(data):
        return
    own, trust_root = read_pinned(mine), read_pinned(data)
    if trust_root.programme != own.programme or trust_root.signed() == own.signed():
        return
    if trust_root.version <= own.version:
        raise EnrolmentError(
            f"version {trust_root.version} of the trust root of {trust_root.programme} is not newer"
            f" than the stored version {own.version} in {pinned(home)}, and differs from it: an old"
            " version may name keys that are no longer valid; use the stored or a newer version"
        )
    read_next(mine, data, _now())


def checked(data: bytes) -> TrustRoot:
    """Return a trust root valid now; EnrolmentError if it is invalid or expired."""
    return read_root(data, _now())


def named(home: Path, data: bytes) -> tuple[EnrolledKey, ...]:
    """Return the keys to enrol from a file; a trust root must be the pinned one."""
    trust, mine = read_trusted(data, _now()), kept_trust_root(home)
    if "signed" in canonical.parse_object(data) and mine != data:
        state = (
            f"no trust root is stored in {pinned(home)}; store"
            if mine is None
            else f"{trust.source} differs from the one stored in {pinned(home)}; if it is the newer"
            " version, store"
        )
        raise EnrolmentError(f"{state} it with `tonne trust pin FILE`")
    return trust.keys


def check(home: Path, keys: Iterable[EnrolledKey]) -> None:
    """Refuse a verifier or third party not named in the trust root; EnrolmentError."""
    data = kept_trust_root(home)
    if data is None:
        return
    root = checked(data)
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
                f" {pinned(home)}`"
            )


def _now() -> datetime:
    return datetime.fromtimestamp(now_us() / 1e6, UTC)


# by subject, id and project
Accepted = dict[tuple[str, str, str | None], Acceptance]


def acceptances(conn: Connection, registry: Registry) -> Accepted:
    """Return acceptances by subject, id and project, without those of operators' organisations."""
    own = operators(conn)
    return {
        (acceptance.subject, acceptance.id, acceptance.project): acceptance
        for acceptance in entered_records(registry).acceptances
        if stem(acceptance.by) not in own
    }


def operators(conn: Connection) -> frozenset[str]:
    """Return the organisations with an operator's key, in the normalised spelling of `stem`."""
    return frozenset(
        stem(organisation_of(enrolment.key))
        for enrolment in signing_keys.load(conn)
        if enrolment.key.role == "operator"
    )


def signed_rows(incoming: Incoming, name: str, key: SigningKey) -> list[dict[str, Any]]:
    """
    Return the acceptances of factors in a file as signed rows of a registry file.

    Raises RegistryError if a row is wrong, or the file accepts no factor or one that it does not
    contain.
    """
    wrong = [
        f"{incoming.places.get(k, name)}: {t}" for k, v in incoming.problems.items() for t in v
    ]
    if wrong:
        raise RegistryError("; ".join(wrong))
    result = entered_records(incoming.registry).acceptances
    rows = []
    for acceptance in result:
        if acceptance.subject != "factor":
            continue
        if acceptance.id not in incoming.registry.factors:
            raise RegistryError(
                f"{name}: {acceptance.id} is accepted but not listed under `factors` of the "
                "file; pass the file that contains it, because the signature covers its value "
                "too"
            )
        accepted = acceptance.of(factor_of(incoming.registry.factors[acceptance.id].record).sha256)
        multikey, value = sign(accepted, key)
        row = {n: v for n, v in accepted._asdict().items() if n not in {"factor", "factor_sha256"}}
        kept = {n: v for n, v in row.items() if v is not None}
        signature = {"key": multikey, "value": value}
        rows.append({"subject": "factor", "id": acceptance.id, **kept, "signature": signature})
    if not rows:
        raise RegistryError(f"{name}: the file accepts no factor; add it under `acceptances`")
    return rows


def acceptance_of(acceptance: Acceptance) -> Text:
    """Return an acceptance's text: organisation, date, document, signing key."""
    values = {
        "by": acceptance.by,
        "date": acceptance.date.isoformat(),
        "document": acceptance.document,
    }
    result = (
        text("acceptance.entered", **values)
        if acceptance.sha256 is None
        else text("acceptance.hashed", **values, sha256=acceptance.sha256)
    )
    if acceptance.signature is None:
        return result
    return text("acceptance.signed", acceptance=result, key=acceptance.signature.key)


def factors_accepted(
    project: Project, registry: Registry, accepted: Accepted
) -> Iterator[FactorAccepted]:
    """Yield the entered acceptances of the factors that a project's methodology requires."""
    uses = find(project.methodology, project.version).uses
    for factor in registry.factors.values():
        by = accepted.get(("factor", factor.id, None))
        if by is not None and str(factor.record["kind"]).startswith(uses):
            yield FactorAccepted(
                factor=factor.id,
                value=str(factor.record["value"]),
                unit=str(factor.record["unit"]),
                by=by.by,
                date=by.date.isoformat(),
                document=by.document,
                sha256=by.sha256,
                signature=UNSET
                if by.signature is None
                else AcceptanceSigned(key=by.signature.key, value=by.signature.value),
            )
