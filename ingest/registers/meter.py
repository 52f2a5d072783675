"""Limits of one register, its steps, and which of them need no decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ingest.model import HOUR_US, Int64, Replacement

# a rise is believed at once up to what the device makes in this time
AT_ONCE_US = HOUR_US
# inverters may run at 110 % of their rated power; a class's own highest rate has 20 % of room
MARGIN_RATED, MARGIN = 1.1, 1.2
INF = float("inf")
KNOWN, UNKNOWN = 0, 1
# what a register may do besides rising
EVENTS = ("jitter", "catch_up", "rollover", "glitch", "reset", "impossible", "replacement")
JITTER, CATCH_UP, ROLLOVER, GLITCH, RESET, IMPOSSIBLE, REPLACEMENT = EVENTS


class Step(NamedTuple):
    """
    A step of `value` base units over [from_us, to_us).

    Where `kind` is UNKNOWN, `value` is the least that it can be.
    """

    from_us: int
    to_us: int
    value: int
    kind: int


@dataclass(frozen=True, slots=True)
class Meter:
    """
    Limits of one register.

    Attributes
    ----------
    rate : float
        Highest plausible base units a microsecond, margin included; inf where
        no bound is known.
    tolerance : int
        A step back this small is jitter. [base units]
    moduli : tuple of int
        Values at which the register may wrap to zero, ascending.
    exact : bool
        The first modulus is this model's own, not a candidate.
    replacements : tuple of Replacement
        Meter swaps, in time order.
    lit_us : callable, optional
        Time with light between two times, where the sun makes what is counted. [us]
    """

    rate: float = INF
    tolerance: int = 0
    moduli: tuple[int, ...] = ()
    exact: bool = False
    replacements: tuple[Replacement, ...] = ()
    lit_us: Callable[[int, int], int] | None = None

    def allowance(self, elapsed_us: int) -> float:
        """Return the largest step that the meter could make in a time. [base units]"""
        if self.rate == INF:
            return INF
        return self.tolerance + self.rate * elapsed_us

    def most(self, from_us: int, to_us: int) -> float:
        """Return the largest step that the meter could make between two times. [base units]"""
        lit_us = to_us - from_us if self.lit_us is None else self.lit_us(from_us, to_us)
        return self.allowance(lit_us)

    def at_once(self, elapsed_us: int) -> float:
        """Return the largest step that is accepted without another reading. [base units]"""
        return self.allowance(min(elapsed_us, AT_ONCE_US))

    def takes_us(self, amount: float) -> float:
        """Return the time that an amount takes at rated power, without margin. [us]"""
        return INF if self.rate == INF else amount * MARGIN / self.rate


def wrap(meter: Meter, before: int, after: int, elapsed_us: int) -> int | None:
    """
    Return the step across a rollover to zero; None where a rollover is not certain.

    Only a model's own modulus tells, and a step that the rated power allows; a
    candidate modulus is as near to a reset as to a wrap.
    """
    if after >= before or not meter.exact:
        return None
    for modulus in meter.moduli:
        if modulus > before:
            step = modulus - before + after
            return step if step <= min(meter.allowance(elapsed_us), modulus / 2) else None
    return None


def clean(rate: np.ndarray, tolerance: int, elapsed_us: Int64, rise: Int64) -> np.ndarray:
    """
    Mark steps that need no decision: a rise within the immediately accepted limit.

    Same comparison as `Reader` makes for a register without jitter, on columns.

    Parameters
    ----------
    rate : float64 array, n
        Highest plausible base units a microsecond, margin included.
    tolerance : int
    elapsed_us, rise : int64 array, n
    """
    with np.errstate(invalid="ignore", over="ignore"):
        allowance = tolerance + rate * np.minimum(elapsed_us, AT_ONCE_US)
    return (rise >= 0) & (rise <= allowance)


def rates(limits: Sequence[float | None], margin: float) -> np.ndarray:
    """
    Return the highest plausible base units per microsecond, with margin, from hourly limits.

    The margin leaves room for devices that may run above their rating for a while;
    an impossible step is far outside it.
    """
    hourly = np.array([np.inf if limit is None else limit for limit in limits], dtype=np.float64)
    return hourly * margin / 3.6e9
