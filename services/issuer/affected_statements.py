"""
Statements that would use other factors under a newer factor book.

Issued ones never change: they are listed for supersession.  Others can be closed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from psycopg import Connection

from mrv.accounting.coverage import role_needs
from mrv.accounting.entered_values import parameters_of
from mrv.calendar import local_text
from mrv.countries import grid_of
from mrv.documents import write
from mrv.documents.statement import Claims
from mrv.factors import within
from mrv.factors.ledger import Change, bounded, centres, changes, used_by
from mrv.methodologies import find, unit_reductions
from mrv.model import Factors, Reductions
from mrv.parameters import read
from mrv.registry.project import FIRST, Project, ProjectDevice
from mrv.statement.plan_reader import read_plan
from services.store.statements import statements
from services.store.statements.statements import Stored

# What still counts, or may come to count.
_LIVE = ("draft", "submitted", "under_verification", "verified", "issued")


@dataclass(frozen=True, slots=True)
class Affected:
    """Statement with the factors that have changed since, and the remedy."""

    statement: Stored
    changes: tuple[Change, ...]
    todo: str


def affected(conn: Connection, book: Factors) -> Iterator[Affected]:
    """
    Yield the statements that would use other factors today.

    `book`: `services.store.registry.factors.load_book(conn)`.
    """
    newest: dict[tuple[str, int, int], Stored] = {}
    for stored in statements.all_of(conn):
        newest[stored.project, stored.from_us, stored.to_us] = stored
    for stored in statements.all_of(conn):
        last = newest[stored.project, stored.from_us, stored.to_us]
        # an issued statement counts until its successor is issued too
        if stored.state not in _LIVE or (stored.state != "issued" and stored != last):
            continue
        plan = read_plan(statements.detail(conn, stored.id)["plan"])
        used = [write(factor) for factor in stored.claims.factors]
        span = stored.from_us, stored.to_us
        asker = _Asker(plan.project)
        own = within(book, grid_of(plan.project))
        factors: Factors = centres(own)
        if plan.accounting > FIRST:
            factors, _ = bounded(own, partial(asker.comes_to, stored.claims))
        now = used_by(asker, span, plan.project.timezone, factors)
        result = tuple(changes(used, now))
        if result:
            yield Affected(stored, result, _todo(stored, plan.project.timezone))


class _Asker:
    """Calculates the reduction of a base unit of each device, to find the factors used."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._methodology = find(project.methodology, project.version)
        where = f"project {project.id}: parameters"
        self._parameters = parameters_of(self._methodology, project.parameters, where)

    def __call__(self, factors: Factors, year: int) -> None:
        for bound in self._project.devices:
            self._unit(bound, factors, year)

    def comes_to(self, claims: Claims, factors: Factors) -> Fraction:
        """
        Return the reduction of a statement's quantities with given factors. [tCO2e]

        It is correct for an additive methodology only.
        """
        counted = {(p.device, p.role): Fraction(p.counted) for p in claims.monitored_parameters}
        year = int(claims.monitoring_period.local_from[:4])
        return sum(
            (
                self._unit(bound, factors, year).reduction_t * counted[bound.device, bound.role]
                for bound in self._project.devices
                if (bound.device, bound.role) in counted
            ),
            start=Fraction(0),
        )

    def _unit(self, bound: ProjectDevice, factors: Factors, year: int) -> Reductions:
        where = f"project {self._project.id}: device {bound.device}"
        needs = role_needs(self._methodology, bound, where)
        params = read(needs.params, bound.params, where)
        return unit_reductions(
            self._methodology, bound.role, params, self._parameters, factors, year
        )


def _todo(stored: Stored, timezone: str) -> str:
    if stored.state == "issued":
        return f'tonne statement supersede {stored.id} --reason "official factors of its years"'
    begin, end = (local_text(us, timezone) for us in (stored.from_us, stored.to_us))
    return f"tonne period close {stored.project} --from {begin} --to {end}"
