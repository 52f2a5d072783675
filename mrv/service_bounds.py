"""
Limits of a service: consumption, design capacity, baseline range, and values derived from
others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from mrv.parameters.inputs import Inputs


@dataclass(frozen=True, slots=True)
class Consumption:
    """
    Required consumption of a service: charging for distance, electricity for castings.

    Attributes
    ----------
    uses, serves : tuple of str
        Roles of the consumption, and roles of the service.
    unit : str
        Of the specific consumption, such as kWh/km.
    per_base : Fraction
        How many of `unit` one base unit used for each base unit of service is.
    keys : (str, str), optional
        Methodology inputs of the consumption, and of the service.
    per_input : Fraction
        How many of `unit` one of the inputs' own units is.
    span : callable, optional
        Lowest and highest specific consumption that there is, from the parameters. [unit]
        Where no one knows them, only a meter that stands still shows.
    source : str
        Where the span is read.
    by_history : bool
        The service itself may be claimed too high: it is compared with what the project
        used for it before.
    by_model : str
        Parameter of a device that serves: what its model takes by its type approval [unit].
        The service is compared with that from the first day on; empty where there is none.
    by_design : str
        Parameter of the project: what the service takes by the plant's design [unit]; compared with
        likewise, as is the plant's history.
    least, most : Fraction
        Shares of what a service took before, or takes by model or design, below which it counts
        what its use carries, and above which that figure is in doubt.  A `least` of 0: what it
        took before says nothing, as of a line that more people ride than before.
    closer : Fraction, optional
        Share of what it takes by design that is in place of `least`.
    driven : Fraction
        Share of what its model takes below which it counts what its use carries, though invoices
        agree with the use: where calibrated meters alone say that the service took less.
    sure : Fraction
        Share of what it takes by design below which it counts and a condition does not hold;
        0 where a service may take less for a while.
    before : str
        Parameter of the project: what the service took before the project [unit].  By that, what
        its use carries earns nothing.
    """

    uses: tuple[str, ...]
    serves: tuple[str, ...]
    unit: str
    per_base: Fraction
    keys: tuple[str, str] | None = None
    per_input: Fraction | int = 1
    span: Callable[[Inputs], tuple[Fraction, Fraction]] | None = None
    source: str = ""
    by_history: bool = False
    by_model: str = ""
    by_design: str = ""
    least: Fraction = Fraction(9, 10)
    # in service a vehicle takes up to half more than its approval says; twice that is another one
    most: Fraction = Fraction(2)
    closer: Fraction | None = None
    driven: Fraction = Fraction(0)
    sure: Fraction = Fraction(0)
    before: str = ""


@dataclass(frozen=True, slots=True)
class Capacity:
    """
    Design capacity of a plant: the highest service in a day.

    Attributes
    ----------
    parameter : str
        Of the project, fixed ex ante from a document: the design capacity.
    serves : tuple of str
        Roles whose quantity is the service.
    base_units : int
        How many base units of the service one unit of the parameter is.
    of : str
        Parameter whose product with the service is bounded, such as the COD of the inflow;
        empty where the service itself is.
    years : tuple of str
        Parameters that hold the service of an earlier year, in the parameter's unit but for
        its day.
    each : bool
        Whether it is of each device that serves, and not of all of them.
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
    Range of a baseline regression, outside which it is not valid.

    Attributes
    ----------
    role : str
        Whose quantity it is.
    least, most : str
        Parameters of the project: its lowest and its highest month before the project.
    base_units : int
        How many base units of the quantity one unit of these is.
    """

    role: str
    least: str
    most: str
    base_units: int


@dataclass(frozen=True, slots=True)
class Related:
    """
    Range of a value derived from other values; outside it, the conservative bound applies.

    Attributes
    ----------
    parameter : str
        Of the project, or of a device.
    test : callable
        From the parameters (with those of the device), and from what the plant's
        channels measured by parameter: lowest and highest value, or None where the others say
        nothing. [unit of the parameter]
    source : str
        Why, and where it is read.
    usual : Fraction
        Share of the highest value from which on a condition does not hold, though it counts.
    """

    parameter: str
    test: Callable[[Inputs, Mapping[str, Fraction]], tuple[Fraction, Fraction] | None]
    source: str
    usual: Fraction = Fraction(1)
