"""Rules of documents and invoices: which are evidence, by who gave them and what they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mrv.calendar import local_date
from mrv.registry.project import Document
from mrv.signatures.organisations import stem
from mrv.texts import Text, text
from services.issuer.doubted_invoices import Cited
from services.issuer.registry_facts import Judged, RegistryFacts, listed
from services.registry.entries import document_of

_DIGITS = 12  # of a hash that is named


def documented_values(facts: RegistryFacts) -> Iterator[Judged]:
    """PAR-07: numbers that were typed once and for all, of which no document is named."""
    method, given = facts.methodology, facts.entry.documents or {}
    typed = {n: spec for n, spec in method.parameters.items() if n in facts.project.parameters}
    for bound in facts.project.devices:
        specs = method.roles[bound.role].params
        typed |= {name: spec for name, spec in specs.items() if name in bound.params}
    texts = [
        text("PAR-07.no_document", parameter=name)
        for name, spec in typed.items()
        if not (spec.option or spec.published or spec.factor is not None) and name not in given
    ]
    for name in method.documented:
        held = given.get(name)
        by = held.get("by") if isinstance(held, Mapping) else None
        if by is not None and stem(by) in facts.operators:
            texts.append(text("PAR-07.own_document", parameter=name, by=by))
    yield from listed(texts)


def design(facts: RegistryFacts) -> Iterator[Document]:
    """Documents of values that were entered; one that the plant's operator wrote is none."""
    given = facts.entry.documents or {}
    known = {*facts.project.parameters}.union(*(bound.params for bound in facts.project.devices))
    for name in dict.fromkeys((*facts.methodology.documented, *given)):
        if name in known and name in given and name not in facts.invoices.unsupported:
            one = document_of(name, given[name])
            if one.by is None or stem(one.by) not in facts.operators:
                yield one


def own_invoices(facts: RegistryFacts) -> Iterator[Judged]:
    """EVD-08: invoices by who operates the plant."""
    yield from listed(
        text("EVD-08.own_invoice", invoice=one.id, issuer=one.issuer, number=one.number)
        for one in facts.invoices.own
    )


def contradicting_documents(facts: RegistryFacts) -> Iterator[Judged]:
    """EVD-09: corrections by another issuer, and documents that name one file and differ."""
    of_period = {one.id for one in facts.invoices.touching}
    texts = [
        text(
            "EVD-09.other_issuer",
            invoice=new.id,
            issuer=new.issuer,
            number=new.number,
            first=old.id,
            first_issuer=old.issuer,
            first_number=old.number,
        )
        for new, old in facts.invoices.foreign
        if new.id in of_period
    ]
    for sha256, some in facts.invoices.shared.items():
        mine = [one for one in some if one.project == facts.project.id]
        if any(one.kind == "document" or one.name in of_period for one in mine):
            names = dict.fromkeys(_cited(one, facts, of_period) for one in some)
            texts.append(
                text("EVD-09.one_file", documents=tuple(names), sha256=f"{sha256[:_DIGITS]}...")
            )
    yield from listed(texts)


def _cited(one: Cited, facts: RegistryFacts, of_period: set[str]) -> Text:
    """Name a document; an invoice of other time by its days, one of another project by that."""
    own = one.project == facts.project.id
    if one.invoice is None:
        if own:
            return text("EVD-09.document", parameter=one.name)
        return text("EVD-09.document_elsewhere", parameter=one.name, project=one.project)
    if not own:
        return text("EVD-09.invoice_elsewhere", project=one.project)
    given = one.invoice
    if one.name in of_period:
        return text("EVD-09.invoice", invoice=given.id, issuer=given.issuer, number=given.number)
    zone = facts.project.timezone
    begin, end = (str(local_date(us, zone)) for us in (given.from_us, given.to_us))
    return text("EVD-09.invoice_of", begin=begin, end=end)
