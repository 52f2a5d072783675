"""
Invoices and documents that are no evidence: they contradict others, or the operator wrote them.

One file is one document. Several invoices may share a file if issuer, number and date are equal;
several parameters if issuer and date are equal.  An invoice must not be issued by an organisation
that signs for the project.  A correction must be by the issuer of the invoice.  An invoice that
fails stays in the plan with the reason, and still shows errors of a meter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import NamedTuple

from psycopg import Connection

from mrv.registry.project import Doubt, Invoice, Project
from mrv.signatures.keys import EnrolledKey
from mrv.signatures.organisations import affiliated, normalised, organisation_of, stem
from services.registry.entries import Registry
from services.store.registry import invoices as stored
from services.store.registry import signing_keys


class Cited(NamedTuple):
    """
    Document that refers to a file: issuer and number; None where unknown.

    `name` is the invoice's id or the parameter.  `invoice` is None for a parameter's document.
    """

    kind: str
    project: str
    name: str
    giver: str | None
    issued: date | None
    number: str
    sha256: str
    invoice: Invoice | None = None
    imported: datetime | None = None


@dataclass(frozen=True)
class Invoices:
    """
    Invoices of a project, and other documents that refer to their files.

    `every`: (project, invoice, corrects, reason) of all invoices, including corrected ones.
    `elsewhere`: invoices and documents of other projects with a file of this project.
    `documents`: documents of the project's parameters.
    `imported`: time of import by invoice.
    `operators`: keys of operators that may sign for the project.
    """

    project: Project
    period_us: tuple[int, int]
    every: Sequence[tuple[str, Invoice, str | None, str | None]]
    documents: tuple[Cited, ...]
    elsewhere: tuple[Cited, ...]
    imported: Mapping[str, datetime]
    operators: tuple[EnrolledKey, ...]

    @cached_property
    def _standing(self) -> tuple[list[Invoice], list[tuple[Invoice, Invoice]]]:
        return standing(self.every)

    @cached_property
    def touching(self) -> tuple[Invoice, ...]:
        """
        Return the invoices that overlap the period: valid ones, and corrections by another
        issuer.
        """
        counting, foreign = self._standing
        return tuple(i for i in (*counting, *(new for new, _ in foreign)) if self._touches(i))

    def _touches(self, invoice: Invoice) -> bool:
        return invoice.from_us < self.period_us[1] and invoice.to_us > self.period_us[0]

    @cached_property
    def foreign(self) -> list[tuple[Invoice, Invoice]]:
        """Return the corrections by another issuer, each with the corrected invoice."""
        return self._standing[1]

    @cached_property
    def shared(self) -> dict[str, list[Cited]]:
        """Return, by SHA-256 of a file, documents that refer to it but contradict each other."""
        number = self.project.id
        mine = [
            _of_invoice(invoice, number)._replace(imported=self.imported.get(invoice.id))
            for invoice in self._standing[0]
            if invoice.sha256
        ]
        return same_file([*mine, *self.documents], self.elsewhere)

    @cached_property
    def unsupported(self) -> frozenset[str]:
        """Return the parameters whose document is not evidence."""
        return frozenset(
            item.name
            for cited in self.shared.values()
            for item in cited
            if item.kind == "document" and item.project == self.project.id
        )

    @cached_property
    def own(self) -> tuple[Invoice, ...]:
        """Return the invoices of the period issued by the operator itself."""
        return tuple(invoice for invoice in self.touching if self.by_operator(invoice.issuer))

    def by_operator(self, issuer: str) -> bool:
        """Return whether an issuer is an operator of the project or an affiliate."""
        return any(_by(issuer, key) for key in self.operators)

    def doubted(self) -> tuple[Invoice, ...]:
        """Return the period's invoices by id; those that are no evidence have the reason."""
        doubts: dict[str, Doubt] = {new.id: "other_issuer" for new, _ in self.foreign}
        for cited in self.shared.values():
            doubts |= {c.name: "one_file" for c in cited
                       if c.invoice is not None and c.project == self.project.id}  # fmt: skip
        doubts |= {invoice.id: "operator" for invoice in self.own}
        return tuple(
            replace(invoice, doubt=doubts.get(invoice.id))
            for invoice in sorted(self.touching, key=lambda i: i.id)
        )

    def replaced(self) -> tuple[tuple[Invoice, Invoice, str], ...]:
        """Return corrected invoices of the period, each with its correction and the reason."""
        return tuple(
            (replace(old, doubt="operator" if self.by_operator(old.issuer) else None), new, why)
            for old, new, why in replaced(self.every)
            if self._touches(old)
        )


def invoices_of(
    conn: Connection, registry: Registry, project: Project, period_us: tuple[int, int]
) -> Invoices:
    """
    Return a period's invoices, its project's documents, and those of other projects with the same
    files.

    `project`: with the devices of the period.  `period_us`: end excluded. [us UTC]
    """
    every = stored.every(conn, project.id, corrected=True)
    documents = tuple(_of_documents(registry, project.id))
    files = {i.sha256 for i in standing(every)[0] if i.sha256} | {d.sha256 for d in documents}
    rows = stored.of_files(conn, files)
    others = [
        *(_of_invoice(invoice, name)._replace(imported=when)
          for name, invoice, when in rows if name != project.id),
        *(of_document for name in registry.projects if name != project.id
          for of_document in _of_documents(registry, name) if of_document.sha256 in files),
    ]  # fmt: skip
    keys = (e.key for e in signing_keys.load(conn) if e.key.role == "operator")
    return Invoices(
        project, period_us, every, documents, tuple(others),
        {invoice.id: when for _, invoice, when in rows},
        tuple(k for k in keys if k.bounds.projects is None or project.id in k.bounds.projects),
    )  # fmt: skip


def standing(
    every: Iterable[tuple[str, Invoice, str | None, str | None]],
) -> tuple[list[Invoice], list[tuple[Invoice, Invoice]]]:
    """
    Return the valid invoices, and corrections by another issuer with the corrected ones.

    A correction replaces an invoice if it has the same issuer, or is the same document (so that a
    mistyped issuer can be corrected).

    `every`: (project, invoice, corrects, reason) of all invoices of a project.
    """
    chains = [*_chains(every)]
    counting = [counted[-1] for counted, _ in chains]
    return counting, [(last, counted[-1]) for counted, last in chains if counted[-1] is not last]


def replaced(
    every: Sequence[tuple[str, Invoice, str | None, str | None]],
) -> list[tuple[Invoice, Invoice, str]]:
    """
    Return each invoice that was replaced, the one now valid, and the reason.

    `every`: (project, invoice, corrects, reason) of all invoices of a project.
    """
    reasons = {invoice.id: reason or "" for _, invoice, _, reason in every}
    return [
        (old, counted[-1], reasons[counted[-1].id])
        for counted, _ in _chains(every)
        for old in counted[:-1]
    ]


def _chains(
    every: Iterable[tuple[str, Invoice, str | None, str | None]],
) -> Iterator[tuple[list[Invoice], Invoice]]:
    """Yield chains of corrections: the invoices in order, and the last valid one."""
    known, after = dict[str, Invoice](), dict[str, str]()
    for _, invoice, corrects, _ in every:
        known[invoice.id] = invoice
        if corrects is not None:
            after[corrects] = invoice.id
    for first in (invoice for name, invoice in known.items() if name not in {*after.values()}):
        counted, last = [first], first
        while last.id in after:
            last = known[after[last.id]]
            if affiliated(first.issuer, last.issuer) or _same_document(first, last):
                counted.append(last)
        yield counted, last


def _same_document(invoice: Invoice, other: Invoice) -> bool:
    numbers = {normalised(invoice.number), normalised(other.number)}
    return invoice.sha256 is not None and invoice.sha256 == other.sha256 and len(numbers) == 1


def same_file(mine: Sequence[Cited], others: Sequence[Cited]) -> dict[str, list[Cited]]:
    """
    Return, by SHA-256 of a file, documents that refer to it but contradict each other.

    Between two projects the one whose invoice was imported first keeps the file; documents of
    parameters come before invoices.
    """
    cited = defaultdict[str, list[Cited]](list)
    for at, item in enumerate(mine):
        for other in (*mine[:at], *mine[at + 1 :], *(o for o in others if not _first(item, o))):
            if item.sha256 == other.sha256 and not _agree(item, other):
                cited[item.sha256] += [p for p in (item, other) if p not in cited[item.sha256]]
    return dict(cited)


def _first(cited: Cited, other: Cited) -> bool:
    """Return whether a document was registered before the other project's document."""
    if other.kind == "document":
        return False
    if cited.imported is None:
        return True
    return other.imported is not None and cited.imported < other.imported


def _agree(cited: Cited, other: Cited) -> bool:
    """Return whether two documents with one file agree in issuer, number and date."""
    same_giver = cited.giver is None or other.giver is None or affiliated(cited.giver, other.giver)
    dated = cited.issued is None or other.issued is None or cited.issued == other.issued
    numbered = cited.number == other.number or _same_content(cited.invoice, other.invoice)
    return cited.kind == other.kind and same_giver and dated and numbered


def _same_content(invoice: Invoice | None, other: Invoice | None) -> bool:
    """Return whether two invoices state the same amount for the same time and meters."""
    paper, two = (
        paper and replace(paper, id="", number="", issuer="") for paper in (invoice, other)
    )  # fmt: skip
    return paper is not None and paper == two


def _of_invoice(invoice: Invoice, project: str) -> Cited:
    number, sha256 = normalised(invoice.number), invoice.sha256 or ""
    return Cited(
        "invoice", project, invoice.id, invoice.issuer, invoice.issued, number, sha256, invoice
    )


def _of_documents(registry: Registry, project: str) -> Iterator[Cited]:
    for parameter, entry in (registry.projects[project].documents or {}).items():
        if isinstance(entry, Mapping) and entry.get("sha256") is not None:
            issued = entry.get("issued")
            day = None if issued is None else date.fromisoformat(issued)
            yield Cited("document", project, parameter, entry.get("by"), day, "", entry["sha256"])


def _by(issuer: str, key: EnrolledKey) -> bool:
    """Return whether a key's holder issued an invoice; both names must be equal as a whole."""
    if key.bounds.organisation is None:
        return stem(issuer) == stem(organisation_of(key))
    return affiliated(issuer, key.bounds.organisation)
