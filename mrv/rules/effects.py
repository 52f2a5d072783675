"""
What a rule may do: bounds on quantities, values of parameters, findings.  Nothing else.

A bound is "at most" (baseline side) or "at least" (project side).  Of two bounds on one
node the tighter one counts, whichever rule gave it: rules of a stage need no order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import NamedTuple

from ingest.model import Int64
from mrv.parameters.inputs import Inputs
from mrv.rules import Severity
from mrv.texts import Text, Texts, text

# how a parameter was come by that counts otherwise than entered
LABORATORY, CHANNELS = text("how.laboratory"), text("how.channels")
LOWER, CONSTANT = text("how.lower"), text("how.constant")
UNMEASURED, UNSHOWN = text("how.unmeasured"), text("how.not_corroborated")
SHOWN, AGREED = text("how.quantities"), text("how.agreed")
BUILT_FOR, CARRIED = text("how.design"), text("how.electricity")


class Level(IntEnum):
    """Nodes of quantities, solved from the lowest level up."""

    WEEK = 1  # devices in one stretch of about a week
    MONTH = 2  # devices in about four weeks
    PERIOD = 3  # devices in the period, before errors of meters
    DEVICE = 4  # one device's counted quantity
    ROLE = 5  # counted quantity of the devices of a role


class Node(NamedTuple):
    """
    Quantities that a cap bounds together.

    Attributes
    ----------
    of : tuple of int
        Places of the devices in `Facts.metered`.
    weeks : (int, int)
        Half-open run of stretches, of levels below `PERIOD`.
    """

    level: Level
    of: tuple[int, ...]
    weeks: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Cap:
    """
    At most so much of a node of the baseline's side, and why. [base units]

    `moves_weeks` False: other rules read the weeks without it, as hours of dimmed lamps.
    """

    node: Node
    at_most: Fraction
    reason: Text | str
    moves_weeks: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class CapEach:
    """
    At most so much of each interval of a device. [base units]

    Attributes
    ----------
    at_most : int64 array, intervals of the device
    plausible : bool
        Whether it bounds what such a device can do at all.
    """

    of: int
    at_most: Int64
    reason: Text | str
    plausible: bool = False


@dataclass(frozen=True, slots=True)
class Exclude:
    """No quantity of a device of the baseline's side counts."""

    of: int
    reason: Text | str


@dataclass(frozen=True, slots=True, eq=False)
class SetAside:
    """So much of each interval belongs to a certificate of another scheme. [Wh]"""

    of: int
    certificate: str
    scheme: str
    value: Int64


@dataclass(frozen=True, slots=True)
class Floor:
    """
    At least so much more than its register reports, of a device's part of a year. [base units]

    Attributes
    ----------
    part : int
        Place of the part among the device's parts.
    week : int, optional
        Of that stretch alone; else of the whole part.
    invoiced : bool
        Beyond what counts, with gaps and errors, as an invoice states it.
    span_us : (int, int)
        Time of it. [us UTC]
    """

    of: int
    part: int
    more: Fraction
    reason: Text | str
    span_us: tuple[int, int]
    week: int | None = None
    invoiced: bool = False


@dataclass(frozen=True, slots=True)
class Fix:
    """A parameter of the project counts as this value, since no evidence supports another."""

    parameter: str
    value: Fraction
    how: Text | None = UNSHOWN


@dataclass(frozen=True, slots=True)
class Bound:
    """A parameter of the project counts as this value where that leaves less."""

    parameter: str
    value: Fraction
    how: Text | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Least:
    """A parameter of the project counts as no less than the quantities show by the others."""

    parameter: str
    at_least: Callable[[Inputs], Fraction]
    how: Text | None = SHOWN


@dataclass(frozen=True, slots=True)
class Withheld:
    """A factor that a registry file brought does not count; the published one does."""

    factor: str


@dataclass(frozen=True, slots=True)
class NoReduction:
    """The reduction is at most 0; a loss remains."""


Effect = Cap | CapEach | Exclude | SetAside | Floor | Fix | Bound | Least | Withheld | NoReduction


@dataclass(frozen=True, slots=True)
class Said:
    """
    What a rule reports.

    `{tonnes:number}` in words is what the rule takes off the reduction.  `severity` where it is
    another than the rule's own.  `priced`: whether the rule's
    tonnes say how much it weighs; where None, only of the rule's own severity.
    """

    holds: bool
    texts: Texts = ()
    severity: Severity | None = None
    priced: bool | None = None
