"""
Specifications of inputs: numbers with unit and bounds, words, dates, lists.

Used by `mrv.parameters.inputs` for reading, and by the command line for descriptions.
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

    `source` is the reference.  A value outside is replaced by the nearest limit, or with `either`
    by the limit that gives the lower reduction.  A value below `rare` is used, with a finding that
    states the reason `why`.
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

    Attributes
    ----------
    minimum, maximum, below : str
        Limits as decimal text in `unit`, inclusive but for `below`.
    places : int
        Allowed decimals.
    factor : tuple
        Kind and direction of the published number that is the default.
    published : str
        Prefix of the kinds of published numbers to choose from.
    option : str
        JCM monitoring option (A public data, B transactions, C own meters); empty: fixed ex ante.
    frequency, side : str
        Monitoring frequency, and side of the account.
    certainty : str
        Of the reference: [R] primary text, [T] transcription, [r] second-hand, [B] back-solved, [M]
        unverified.
    channels, per : tuple, str
        Role and channels that measure it, by the mean over `per`; of two channels, the share of the
        first that the second leaves.
    unmeasured : str
        Value without measurement: a number, or the name of another parameter.
    lower_of : bool
        Whether the entered value applies where it is below the measured one.
    plausible : Plausible or None
        Outside of it, the limit with the lower reduction applies.
    undocumented : str
        Value that applies without a dated document.
    lit : tuple
        Role and channels that show a flame, each with its lowest reading and the parameter of its
        highest: the value applies to the flow with a flame, 0 to the rest.
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
