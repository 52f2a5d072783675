"""
The public twin of an issued statement, as files: document, PDF, workbook, receipt.

Readings, intervals and the plan extract stay out: they name the meters.  Their digests stand
in the statement.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from mrv.documents.form import read, write
from mrv.documents.verification import FindingShown
from mrv.errors import SignatureError
from mrv.exports import public
from mrv.exports.source import check_issued
from mrv.report import LANGUAGES, Facts, make
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof, verify_proof
from mrv.signatures.keys import EnrolledKey
from mrv.statement.plan_reader import read_plan
from mrv.statement.states import CONTEXT, issuer, related, valid_from
from services.issuer.documents import Signer

README = """\
Public version of {name}.

public.json      the statement and its verification, with marks in place of what is hidden,
                 salted digests of what is hidden, and the SHA-256 of the signed originals;
                 signed by the operator
statement-*.pdf  the same, for people; public.json is attached
statement-*.xlsx the same, as a workbook
receipt.txt      receipt of the transparency log for the original

{hidden} texts are hidden: {categories}.
tonne export check-public . --keys trusted.json
tonne export check-public . --keys trusted.json --disclosures disclosures.json
The second command is for a recipient of the disclosures: it restores the original.
"""


class PublicTwin(NamedTuple):
    """Public files by name, and the disclosures, which are not public."""

    files: dict[str, bytes]
    disclosures: bytes
    hidden: int


def public_twin(
    facts: Facts,
    receipt: str | None,
    signer: Signer,
    created: datetime,
    categories: Collection[str],
    more: Iterable[str] = (),
) -> PublicTwin:
    """
    Return the public twin of a statement.

    Parameters
    ----------
    facts : Facts
        Of an issued statement.
    receipt : str or None
        Of the log.
    signer : Signer
        An operator's key.
    created : datetime
        With a time zone.
    categories : collection of str
        Of `mrv.exports.public.CATEGORIES`, what is hidden.
    more : iterable of str
        Names of further fields to hide.

    Raises
    ------
    ExportError
        If the statement is not issued, or what is to be hidden names it.
    """
    check_issued(facts.name, facts.state, facts.superseded_by)
    plan = facts.plan.to_json()
    originals: dict[str, Any] = {"statement": facts.statement, "verification": facts.verification}
    marks = public.secrets_of([*originals.values(), plan], categories, more)
    subject = facts.subject
    shown = {subject.project.id: "project's id", facts.name: "statement's id",
             subject.project.name: "project's name"}  # fmt: skip
    public.check_hideable(marks, shown)
    twin = public.hide(originals, marks, lambda: secrets.token_urlsafe(16))
    document = public.twin_document(twin, originals, categories, CONTEXT)
    document["issuer"] = issuer(signer.holder)
    document["validFrom"] = valid_from(created)
    signed = create_proof(document, signer.key, created)
    told = replace(
        facts,
        statement=twin.documents["statement"],
        verification=twin.documents["verification"],
        plan=read_plan(public.redacted(plan, marks)),
        raised=tuple(
            read(FindingShown, public.redacted(write(one), marks), "a finding")
            for one in facts.raised
        ),
        sampling=None if facts.sampling is None else public.redacted(dict(facts.sampling), marks),
        twin=signed,
    )
    files = {"public.json": canonical.encode(signed)}
    for language in LANGUAGES:
        for form in ("pdf", "xlsx"):
            files[f"statement-{language}.{form}"] = make(told, form, language)
    if receipt is not None:
        files["receipt.txt"] = receipt.encode()
    count = len(twin.hidden)
    readme = README.format(name=facts.name, hidden=count, categories=", ".join(sorted(categories)))
    files["README.txt"] = readme.encode()
    opened = json.dumps(public.disclosures(twin), indent=2, ensure_ascii=False) + "\n"
    return PublicTwin(files, opened.encode(), count)


def check_public(
    document: Mapping[str, Any],
    trusted: Sequence[EnrolledKey],
    opened: Sequence[Mapping[str, str]] | None,
) -> tuple[EnrolledKey, dict[str, Any] | None]:
    """
    Return who signed a twin, and the originals where disclosures are given.

    Raises
    ------
    SignatureError, EnrolmentError
        If the twin's proof, a disclosure or an original's proof does not hold.
    """
    operators = [one for one in trusted if one.role == "operator"]
    holder = verify_proof(document, operators)
    if opened is None:
        return holder, None
    originals = public.restored(document, opened)
    statement, verification = originals["statement"], originals["verification"]
    verify_proof(statement, operators)
    verify_proof(verification, [one for one in trusted if one.role == "verifier"])
    named = [related(statement["id"], canonical.encode(statement))]
    if verification["relatedResource"] != named:
        raise SignatureError("the verification is of another statement than this one")
    return holder, originals
