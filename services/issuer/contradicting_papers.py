"""
Papers that contradict each other, or come from the plant's own operator: they are no evidence.

One file is one paper: invoices of several meters or months may share it where issuer, number and
date are the same, and values of a design where giver and date are: chapters of one study may be
cited by titles of their own.  An invoice is by another than who may sign for the project.  A
correction is by who wrote the invoice.  Each paper that fails stays in the plan with the reason,
and still says where a meter is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

from psycopg import Connection

from mrv.calendar import local_date
from mrv.registry.project import Invoice, Project
from mrv.signatures.affiliated_names import affiliated
from mrv.signatures.keys import EnrolledKey
from mrv.signatures.organisations import normalised, organisation_of, stem
from services.registry.entries import Registry
from services.store.registry import invoices as stored
from services.store.registry import signing_keys

RULE = "EVD-09"
OWN_INVOICES = "EVD-08"
_OWN = "is by who operates the plant"
_ONE_FILE = "names the file of another paper"
_FOREIGN = "corrects an invoice of another issuer"
_DIGITS = 12  # of a hash that is named


class Papers(NamedTuple):
    """
    What a period's papers come to.

    Attributes
    ----------
    contradicting, own : list of str
        What is wrong with papers that contradict others, and with the operator's own invoices.
    invoices : tuple of Invoice
        That touch the period; those that are no evidence say why (`doubt`).
    parameters : frozenset of str
        Of which the project's documents are no evidence.
    replaced : tuple of (Invoice, Invoice, str)
        Invoices that touch the period and another one corrects, that one, and the reason given.
    """

    contradicting: list[str]
    own: list[str]
    invoices: tuple[Invoice, ...]
    parameters: frozenset[str]
    replaced: tuple[tuple[Invoice, Invoice, str], ...] = ()


class _Paper(NamedTuple):
    """A paper that names a file: who gave it, what stands on it; None where that is not said."""

    name: str
    kind: str
    project: str
    giver: str | None
    issued: date | None
    number: str
    sha256: str
    key: str
    imported: datetime | None = None


def papers(
    conn: Connection, registry: Registry, project: Project, from_us: int, to_us: int
) -> Papers:
    """
    Hold a period's invoices and its project's documents against each other and those of others.

    Parameters
    ----------
    project : Project
        With the devices of the period.
    from_us, to_us : int
        Half-open. [us UTC]
    """
    every = stored.every(conn, project.id, corrected=True)
    counting, foreign = standing(every)
    touching = [
        one
        for one in (*counting, *(new for new, _ in foreign))
        if one.from_us < to_us and one.to_us > from_us
    ]
    shown = {one.id for one in touching}
    bad = {new.id: _FOREIGN for new, _ in foreign}
    told = [
        f"{_named(new)} corrects {_named(old)}: only {old.issuer} corrects that, and it counts as"
        f" it was. Give the issuer's own correction (`corrects: {new.id}`), or where the issuer was"
        " mistyped the `number` and `sha256` of the same file"
        for new, old in foreign
        if new.id in shown
    ]
    mine = [
        *(_of_invoice(one, project, shown) for one in counting if one.sha256),
        *_of_documents(registry, project.id, own=True),
    ]
    files = {one.sha256 for one in mine}
    held = stored.of_files(conn, files)
    others = [
        *(_elsewhere(*one) for one in held if one[0] != project.id),
        *(p for name in registry.projects if name != project.id
          for p in _of_documents(registry, name) if p.sha256 in files),
    ]  # fmt: skip
    imported = {one.id: when for _, one, when in held}
    mine = [one._replace(imported=imported.get(one.key)) for one in mine]
    alone = set[str]()
    for sha256, some in same_file(mine, others).items():
        ours = [p for p in some if p.project == project.id]
        alone |= {p.key for p in ours if p.kind == "document"}
        bad |= {p.key: _ONE_FILE for p in ours if p.kind == "invoice"}
        if any(p.kind == "document" or p.key in shown for p in ours):
            told.append(_one_file(sha256, some))
    keys = _operators(conn, project.id)
    own = [one for one in touching if any(_by(one.issuer, key) for key in keys)]
    bad |= {one.id: _OWN for one in own}
    return Papers(
        told,
        [
            f"{_named(one)}: {one.issuer} operates the plant; it shows nothing. Give the invoice"
            " or the record of the other side: who supplied it, or who bought it"
            for one in own
        ],
        tuple(replace(one, doubt=bad.get(one.id)) for one in sorted(touching, key=lambda i: i.id)),
        frozenset(alone),
        tuple(
            (
                replace(old, doubt=_OWN if any(_by(old.issuer, key) for key in keys) else None),
                new,
                why,
            )
            for old, new, why in replaced(every)
            if old.from_us < to_us and old.to_us > from_us
        ),
    )


def standing(
    every: Iterable[tuple[str, Invoice, str | None, str | None]],
) -> tuple[list[Invoice], list[tuple[Invoice, Invoice]]]:
    """
    Return the invoices that count, and corrections by another issuer with what they correct.

    A correction counts in place of the first invoice where it is by the same issuer, or is the
    same paper, so that a mistyped issuer is corrected.

    Parameters
    ----------
    every : iterable of (project, invoice, corrects, reason)
        All of a project.
    """
    chains = [*_chains(every)]
    counting = [counted[-1] for counted, _ in chains]
    return counting, [(last, counted[-1]) for counted, last in chains if counted[-1] is not last]


def replaced(
    every: Sequence[tuple[str, Invoice, str | None, str | None]],
) -> list[tuple[Invoice, Invoice, str]]:
    """
    Return the invoices that counted once, the one that counts in the place of each, and its reason.

    Parameters
    ----------
    every : sequence of (project, invoice, corrects, reason)
        All of a project.
    """
    reasons = {one.id: reason or "" for _, one, _, reason in every}
    return [
        (old, counted[-1], reasons[counted[-1].id])
        for counted, _ in _chains(every)
        for old in counted[:-1]
    ]


def _chains(
    every: Iterable[tuple[str, Invoice, str | None, str | None]],
) -> Iterator[tuple[list[Invoice], Invoice]]:
    """Invoices each in the place of the one before, as far as they count, and the last one."""
    known, after = dict[str, Invoice](), dict[str, str]()
    for _, one, corrects, _ in every:
        known[one.id] = one
        if corrects is not None:
            after[corrects] = one.id
    for first in (one for name, one in known.items() if name not in {*after.values()}):
        counted, last = [first], first
        while last.id in after:
            last = known[after[last.id]]
            if affiliated(first.issuer, last.issuer) or _same_paper(first, last):
                counted.append(last)
        yield counted, last


def _same_paper(one: Invoice, other: Invoice) -> bool:
    numbers = {normalised(one.number), normalised(other.number)}
    return one.sha256 is not None and one.sha256 == other.sha256 and len(numbers) == 1


def same_file(mine: Sequence[_Paper], others: Sequence[_Paper]) -> dict[str, list[_Paper]]:
    """
    Return the papers that name one file and are not one paper, by the file's SHA-256.

    Of two projects the one whose invoice was imported first keeps it; documents were there before.
    """
    found = defaultdict[str, list[_Paper]](list)
    for at, one in enumerate(mine):
        for other in (*mine[:at], *mine[at + 1 :], *(o for o in others if not _first(one, o))):
            if one.sha256 == other.sha256 and not _one_paper(one, other):
                found[one.sha256] += [p for p in (one, other) if p not in found[one.sha256]]
    return dict(found)


def _first(one: _Paper, other: _Paper) -> bool:
    """Whether a paper was there before another project's."""
    if other.kind == "document":
        return False
    if one.imported is None:
        return True
    return other.imported is not None and one.imported < other.imported


def _one_paper(one: _Paper, other: _Paper) -> bool:
    """Whether two papers that name one file say the same of it."""
    given = one.giver is None or other.giver is None or affiliated(one.giver, other.giver)
    dated = one.issued is None or other.issued is None or one.issued == other.issued
    return one.kind == other.kind and given and dated and one.number == other.number


def _named(one: Invoice) -> str:
    return f"{one.id} ({one.issuer}, {one.number})"


def _of_invoice(one: Invoice, project: Project, shown: set[str]) -> _Paper:
    """Return an invoice of the project as a paper; those outside of the period by their days."""
    days = (local_date(us, project.timezone) for us in (one.from_us, one.to_us))
    name = _named(one) if one.id in shown else f"an invoice of {' to '.join(map(str, days))}"
    return _paper_of(one, name, project.id)


def _elsewhere(project: str, one: Invoice, imported: datetime) -> _Paper:
    return _paper_of(one, f"an invoice of project {project}", project)._replace(imported=imported)


def _paper_of(one: Invoice, name: str, project: str) -> _Paper:
    number = normalised(one.number)
    sha256 = one.sha256 or ""
    return _Paper(name, "invoice", project, one.issuer, one.issued, number, sha256, one.id)


def _of_documents(registry: Registry, project: str, *, own: bool = False) -> Iterator[_Paper]:
    for parameter, given in (registry.projects[project].documents or {}).items():
        if not isinstance(given, Mapping) or given.get("sha256") is None:
            continue
        issued = given.get("issued")
        yield _Paper(
            f"the document of {parameter}" + ("" if own else f" of project {project}"),
            "document",
            project,
            given.get("by"),
            None if issued is None else date.fromisoformat(issued),
            "",
            given["sha256"],
            parameter,
        )


def _one_file(sha256: str, some: Sequence[_Paper]) -> str:
    names = " and ".join(dict.fromkeys(p.name for p in some))
    return (
        f"{names} name one file (SHA-256 {sha256[:_DIGITS]}...) and are not one paper: they show"
        " nothing. Give each the hash of its own file, or, where they are one paper, the same"
        " issuer, number and date (an invoice by another one that `corrects` it), or giver and date"
    )


def _operators(conn: Connection, project: str) -> list[EnrolledKey]:
    """Keys of operators that may sign for a project."""
    return [
        one.key
        for one in signing_keys.load(conn)
        if one.key.role == "operator"
        and (one.key.bounds.projects is None or project in one.key.bounds.projects)
    ]


def _by(issuer: str, key: EnrolledKey) -> bool:
    """Whether a holder of a key wrote an invoice; a key's own name is no part of another name."""
    if key.bounds.organisation is None:
        return stem(issuer) == stem(organisation_of(key))
    return affiliated(issuer, key.bounds.organisation)
