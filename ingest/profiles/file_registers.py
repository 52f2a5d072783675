"""
Names of register channels in registry files: `energy_export_kwh`, not Wh.

They are those of the class's generic profile for every model, so that meter replacements are
entered uniformly.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from ingest import classes, profiles
from ingest.units import factor

# of a base unit: what a value with six decimals, such as one third of an hour, may be off by
_ROUNDED = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Register:
    """A register: column, name and unit in files; base = file * numerator / denominator."""

    column: str
    name: str
    unit: str
    numerator: int
    denominator: int

    def to_base(self, value: Decimal) -> int | None:
        """Return whole base units; None where the value has a fraction of one, beyond rounding."""
        base = value * self.numerator / self.denominator
        whole = base.to_integral_value()
        return int(whole) if abs(base - whole) <= _ROUNDED else None

    def to_file(self, base: int) -> Decimal:
        """Return base units in the unit of registry files, with at most six decimals."""
        exact = Decimal(base) * self.denominator / self.numerator
        rounded = round(exact, 6)
        return exact if exact == rounded else rounded


@cache
def registers(class_id: str) -> dict[str, Register]:
    """Return the registers of a class by their name in files; none where it is unknown."""
    device_class = classes.load().get(class_id)
    generic = profiles.load().get((class_id, "generic"))
    if device_class is None or generic is None:
        return {}
    result = {}
    for source in generic.channels.values():
        channel = device_class.channels[source.channel]
        if channel.kind == "register":
            numerator, denominator, _ = factor(source.unit, channel.unit)
            result[source.path] = Register(
                channel.name, source.path, source.unit, numerator, denominator
            )
    return result


@cache
def named(column: str) -> str:
    """Return the name of a register's column in files; other names are unchanged."""
    every = (r for class_id in classes.load() for r in registers(class_id).values())
    return next((register.name for register in every if register.column == column), column)


def of_column(class_id: str, column: str) -> Register:
    """Return the register of a class in a column."""
    return next(r for r in registers(class_id).values() if r.column == column)
