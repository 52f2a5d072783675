"""
Limits of a service: consumption, design capacity, baseline range, and values derived from
others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from mrv.parameters import Inputs


@dataclass(frozen=True, slots=True)
class Consumption:
    """
    Required consumption of a service: charging for distance, electricity for castings.

    `uses`, `serves`: roles of the consumption, and roles of the service.
    `unit`: unit of the specific consumption, such as kWh/km.
    `per_base`: conversion from base units of consumption per base unit of service to `unit`.
    `keys`: methodology inputs of the consumption, and of the service.
    `per_input`: conversion from the units of the inputs to `unit`.
    `span`: lowest and highest plausible specific consumption, from the parameters [unit].  If
    unknown, only a standstill of the meter is detected.
    `source`: source of the span.
    `range`: the span in words, if it depends on parameters.
    `by_history`: whether the service may be too high, and is compared with the earlier specific
    consumption.
    `by_model`: parameter of a device: specific consumption of its type approval [unit], for
    comparison from the first day on; empty if none.
    `by_design`: parameter of the project: specific consumption of the design [unit], for the same
    comparison.
    `lowest`, `highest`: shares of the earlier, type-approved or design specific consumption.  Below
    `lowest` only the service that the consumption permits is credited; above `highest` a finding is
    reported.  `lowest` 0: the earlier value is not comparable, as for a line with more passengers
    than before.
    `closer`: share of the design value used in place of `lowest`.
    `driven`: share of the type-approved value used in place of `lowest` where invoices agree with
    the consumption.
    `sure`: share of the design value below which a condition is not met, though the service is
    credited; 0: none.
    `before`: parameter of the project: specific consumption before the project [unit], at which the
    reduction is 0.
    """

    uses: tuple[str, ...]
    serves: tuple[str, ...]
    unit: str
    per_base: Fraction
    keys: tuple[str, str] | None = None
    per_input: Fraction | int = 1
    span: Callable[[Inputs], tuple[Fraction, Fraction]] | None = None
    source: str = ""
    range: str = ""
    by_history: bool = False
    by_model: str = ""
    by_design: str = ""
    lowest: Fraction = Fraction(9, 10)
    # in operation a vehicle consumes up to half more than its type approval; twice is implausible
    highest: Fraction = Fraction(2)
    closer: Fraction | None = None
    driven: Fraction = Fraction(0)
    sure: Fraction = Fraction(0)
    before: str = ""


@dataclass(frozen=True, slots=True)
class Capacity:
    """
    Design capacity of a plant: the highest service in a day.

    `parameter`: parameter of the design capacity, fixed ex ante from a document.
    `serves`: roles whose quantity is the service.
    `base_units`: base units of the service per unit of the parameter.
    `of`: parameter whose product with the service is limited, such as the COD of the inflow; empty:
    the service itself.
    `years`: parameters with the service of an earlier year, in the parameter's unit without its
    `per day`.
    `each`: whether the capacity is per device, not of all devices together.
    """

    parameter: str
    serves: tuple[str, ...]
    base_units: int
    of: str = ""
    years: tuple[str, ...] = ()
    each: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """
    Range in which a baseline regression is valid.

    `role`: role of the quantity.
    `lowest`, `highest`: parameters of the project: its lowest and its highest month before the
    project.
    `base_units`: base units of the quantity per unit of these parameters.
    """

    role: str
    lowest: str
    highest: str
    base_units: int


@dataclass(frozen=True, slots=True)
class Related:
    """
    Range of a value calculated from other values; outside it, the conservative bound applies.

    `parameter`: parameter of the project or of a device.
    `test`: returns the lowest and highest value from the other parameters and the measured ones;
    None if undetermined. [unit of the parameter]
    `source`: reason and source.
    `usual`: share of the highest value above which a condition is not met, though the value is
    applied.
    """

    parameter: str
    test: Callable[[Inputs, Mapping[str, Fraction]], tuple[Fraction, Fraction] | None]
    source: str
    usual: Fraction = Fraction(1)
