"""
Meters of a project's site that are left out of it, though a role of its project side takes them.

A third charger "for the cars of the office", a reserve pump's own meter: what a project uses can be
metered beside it.  The reason is the owner's free text.  So what such a meter measured in the
period is said, and what it would cost as the project's.  A rule of tonne's own, whatever class,
site or time of service it is registered with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from ingest import classes
from mrv.accounting.factor_acceptance import parameters_of
from mrv.countries import country_of
from mrv.factors import within
from mrv.methodologies import find, unit_reductions
from mrv.model import Factors, RoleNeeds
from mrv.quantity_text import quantity_text
from mrv.registry.project import Project
from mrv.rounding import decimal_text

RULE = "BND-01"
_ELECTRICITY = "energy_import"


def counted(project: Project, class_id: str, *, left_out: bool) -> frozenset[str]:
    """
    Return the quantities of a class that roles of the project's side would count.

    Parameters
    ----------
    left_out : bool
        Whether each register of imported electricity counts, whatever the class: a charger that
        is entered as a pump takes the same electricity.
    """
    return frozenset(needs.quantity for _, needs in _roles(project, class_id, left_out=left_out))


def _roles(project: Project, class_id: str, *, left_out: bool) -> Iterator[tuple[str, RoleNeeds]]:
    told = {one.quantity for one in classes.load()[class_id].registers}
    for role, needs in find(project.methodology, project.version).roles.items():
        alike = left_out and needs.quantity in told & {_ELECTRICITY}
        fits = class_id in needs.classes or alike
        if needs.side == "project" and fits:
            yield role, needs


def left_out(
    project: Project, class_id: str, measured: Mapping[str, int], factors: Factors, year: int
) -> str:
    """
    Say what a meter measured that roles of the project's side count; empty where nothing.

    Parameters
    ----------
    measured : mapping of str to int
        By quantity, in the time in which it is left out. [base units]
    year : int
        Local year by whose factors it is priced.
    """
    factors = within(factors, country_of(project))
    methodology = find(project.methodology, project.version)
    parameters = parameters_of(methodology, project.parameters, f"project {project.id}")
    params = {bound.role: bound.params for bound in project.devices}
    most: dict[str, tuple[Fraction, str]] = {}
    for role, needs in _roles(project, class_id, left_out=True):
        value = measured.get(needs.quantity, 0)
        if value <= 0 or (needs.params and role not in params):
            continue
        unit = unit_reductions(
            methodology, role, params.get(role, {}), parameters, factors, year
        ).project_t
        text = (
            f"{quantity_text(value, needs.unit)}, which as {role} of the project would emit"
            f" {decimal_text(unit * value, 3, 'up')} t"
        )
        most[needs.quantity] = max(most.get(needs.quantity, (unit, text)), (unit, text))
    return " and ".join(text for _, text in most.values())
