"""
Acceptances by a programme: of factors from registry files, and of projects that do not take over an
earlier project's negative reduction.

An entered acceptance (person, date, letter) fulfils no requirement, as the importer of a registry
file can enter it; it names the letter that the verifier must see.  An acceptance signed by the
programme (`tonne trust accept`) is checked by `tonne verify` against the programme's root keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import Connection

from ingest.errors import RegistryError
from mrv.documents.form import UNSET
from mrv.documents.monitoring import AcceptanceSigned, FactorAccepted
from mrv.exports.entered import Acceptance
from mrv.factors.records import factor_of
from mrv.methodologies import find
from mrv.registry.project import Project
from mrv.signatures.keys import SigningKey
from mrv.signatures.organisations import organisation_of, stem
from mrv.signatures.signed_acceptance import sign
from mrv.texts import Text, text
from services.registry.authority import entered_records
from services.registry.entries import Registry
from services.registry.files import Incoming
from services.store.registry import signing_keys

# by subject, id and project
Accepted = dict[tuple[str, str, str | None], Acceptance]


def acceptances(conn: Connection, registry: Registry) -> Accepted:
    """
    Return the acceptances by subject, id and project.

    Acceptances entered in the name of an operator's own organisation are omitted.
    """
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

    Raises
    ------
    RegistryError
        If a row is wrong, or the file accepts no factor or one that it does not contain.
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
                "file; give the file that contains it, because the signature covers its value "
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
