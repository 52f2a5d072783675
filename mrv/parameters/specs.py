"""
Specifications of inputs: numbers with unit and bounds, words, dates, lists.

Data only; `mrv.parameters.inputs` reads by it, and the command line describes by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# published values in place of which no other counts, unless it leaves less
_OFFICIAL = ("grid", "gwp")
# published lists beside which a national or measured value may be documented
_OPEN = "rice."


@dataclass(frozen=True, slots=True)
class Plausible:
    """
    Plausible ranges of a value: ascending, inclusive, decimal text in its unit.

    `source` is where they are read.  Outside of them the nearest bound counts; where that says
    nothing of the true value (`either`), that end of the nearest range which gives the lower
    reduction. Below `rare` a value counts, and is a condition that does not hold, for the reason
    `why`.
    """

    ranges: tuple[tuple[str, str], ...]
    source: str
    either: bool = False
    rare: str = "0"
    why: str = ""


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """
    Specification of one number of a methodology.

    `minimum` and `maximum` are inclusive, `below` is exclusive; all are decimal
    text in `unit`, and `places` is the most decimals that it may have.
    `factor` names the kind and direction of the published number that stands in
    where none is given; `published` the beginning of the kinds to choose from.
    `option` is the JCM monitoring option (A public data, B transactions, C own
    meters), empty where the number is fixed ex ante; `frequency` how often it is
    taken; `side` where in the account it counts.  `certainty` of what is said
    here: [R] read in the primary text, [T] in a transcription, [r] second-hand,
    [B] back-solved, [M] unverified.
    `channels` are the role and the channels of its devices that measure it, whose mean
    over `per` is the value; of two, it is the share of the first that the second leaves
    out.  `unmeasured` counts where neither they nor a laboratory measured it: a number, or
    the name of another parameter.  `lower_of` says that what was given counts where it is
    less than what was measured.  Outside of what is `plausible` a bound of it counts that gives the
    lower reduction; `undocumented` is what counts while no dated document shows the value given.
    `lit` are a role and channels of its devices, each with the least reading that shows a flame and
    the parameter that has the highest, if any: the value counts for what flowed while one of them
    showed it, and 0 for the rest.
    """

    unit: str
    meaning: str
    required: bool = True
    default: str | None = None
    minimum: str = "0"
    maximum: str | None = None
    below: str | None = None
    integer: bool = False
    choices: tuple[int, ...] = ()
    places: int | None = None
    source: str = ""
    certainty: str = "[M]"
    symbol: str = ""
    option: Literal["", "A", "B", "C"] = ""
    frequency: str = ""
    side: Literal["", "baseline", "project", "both"] = ""
    factor: tuple[str, Literal["avoided", "consumed", "either"]] | None = None
    published: str = ""
    channels: tuple[str, ...] = ()
    per: int = 1
    unmeasured: str | None = None
    lower_of: bool = False
    plausible: Plausible | None = None
    undocumented: str | None = None
    lit: tuple[str, tuple[tuple[str, str, str], ...]] | None = None

    @property
    def by_publication(self) -> bool:
        """Return whether a published value applies unless a third party states another."""
        default = self.factor is not None and not self.published.startswith(_OFFICIAL)
        return default or self.published.startswith(_OPEN)


@dataclass(frozen=True, slots=True)
class ListSpec:
    """A list of records with the same keys, such as one per PV system."""

    meaning: str
    fields: Mapping[str, ParameterSpec | ChoiceSpec]
    required: bool = True


@dataclass(frozen=True, slots=True)
class NumbersSpec:
    """A list of numbers; with `gaps`, null is a missing number."""

    meaning: str
    item: ParameterSpec
    length: tuple[int, int]
    gaps: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True)
class RecordSpec:
    """An object with known keys, such as the tonnes of each polymer."""

    meaning: str
    fields: Spec
    required: bool = True


@dataclass(frozen=True, slots=True)
class MapSpec:
    """An object whose keys the user chooses, each with a record of the same keys."""

    meaning: str
    fields: Mapping[str, ParameterSpec]
    required: bool = True


@dataclass(frozen=True, slots=True)
class ChoiceSpec:
    """One of a few words."""

    meaning: str
    choices: tuple[str, ...]
    source: str
    default: str | None = None

    @property
    def required(self) -> bool:
        """Return whether it is required."""
        return self.default is None


@dataclass(frozen=True, slots=True)
class DateSpec:
    """A local date, as text: 2026-01-31."""

    meaning: str
    source: str
    required: bool = True


AnySpec = ParameterSpec | ListSpec | NumbersSpec | RecordSpec | MapSpec | ChoiceSpec | DateSpec
Spec = Mapping[str, AnySpec]
