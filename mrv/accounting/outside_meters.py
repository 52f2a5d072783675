"""
Meters of a project's site that are left out of it, though a role of its project side takes them.

A third charger "for the cars of the office", a reserve pump's own meter: what a project uses can be
metered beside it.  The reason is the owner's free text.  So what such a meter measured in the
period is said, and what it would cost as the project's.  A rule of tonne's own, of the sixth
version.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ingest.model import Device
from mrv.accounting.factor_acceptance import parameters_of
from mrv.methodologies import find, unit_reductions
from mrv.model import Factors
from mrv.registry.project import Project
from mrv.rounding import decimal_text

CLAUSE = "tonne: a meter that is left out serves something else than the project"
_IN = {"Wh": ("kWh", 1000), "mL": ("L", 1000), "g": ("kg", 1000), "m": ("km", 1000)}


def counted(project: Project, device: Device) -> frozenset[str]:
    """Return the quantities of a device that roles of the project's side would count."""
    roles = find(project.methodology, project.version).roles.values()
    return frozenset(
        needs.quantity
        for needs in roles
        if needs.side == "project" and device.class_id in needs.classes
    )


def left_out(
    project: Project, device: Device, measured: Mapping[str, int], factors: Factors, year: int
) -> str:
    """
    Say what a meter measured that roles of the project's side count; empty where nothing.

    Parameters
    ----------
    measured : mapping of str to int
        By quantity, in the period. [base units]
    year : int
        Local year by whose factors it is priced.
    """
    methodology = find(project.methodology, project.version)
    parameters = parameters_of(methodology, project.parameters, f"project {project.id}")
    params = {bound.role: bound.params for bound in project.devices}
    most: dict[str, tuple[Fraction, str]] = {}
    for role, needs in methodology.roles.items():
        value = measured.get(needs.quantity, 0)
        if needs.side != "project" or device.class_id not in needs.classes or value <= 0:
            continue
        if needs.params and role not in params:
            continue
        unit = unit_reductions(
            methodology, role, params.get(role, {}), parameters, factors, year
        ).project_t
        name, scale = _IN.get(needs.unit, (needs.unit, 1))
        text = (
            f"{value / scale:,.1f} {name}, which as {role} of the project would emit"
            f" {decimal_text(unit * value, 3, 'up')} t"
        )
        most[needs.quantity] = max(most.get(needs.quantity, (unit, text)), (unit, text))
    return " and ".join(text for _, text in most.values())
