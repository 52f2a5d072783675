"""
Rounding: once, and conservatively; quantities as text in usual units (kWh, not Wh).

All calculation before the rounding is exact, in `Fraction` or whole micrograms.  Credited amounts
are rounded down, deducted amounts up; displayed numbers half to even, and figures printed by a
standard half up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrv.texts import Text, text

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

Mode = Literal["down", "up", "half_even", "half_up"]

UG_PER_T = 10**12
# the sum of two numbers below this limit fits in int64
LIMIT = 2**62
_MAX_PLACES = 60
_WRITTEN = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?")


def floor_credit(reduction_t: Fraction) -> int:
    """Return the whole tonnes credited for a reduction: rounded down, 0 for a negative one. [t]"""
    return max(0, reduction_t.numerator // reduction_t.denominator)


def to_integer(value: Fraction, mode: Mode) -> int:
    """
    Return a fraction rounded to an integer.

    Modes: towards minus infinity, towards plus infinity, half to even, or half away from zero: 0.5
    to 1 and -0.5 to -1.
    """
    if mode == "down":
        return value.numerator // value.denominator
    if mode == "up":
        return -(-value.numerator // value.denominator)
    if mode == "half_up":
        size = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
        return -size if value < 0 else size
    return round(value)


def half_up(value: Fraction, places: int = 0) -> Fraction:
    """Return a value rounded half up to a number of decimals, as in standards."""
    return Fraction(to_integer(value * 10**places, "half_up"), 10**places)


def decimal_text(value: Fraction, places: int, mode: Mode) -> str:
    """
    Return a fraction as decimal text with exactly `places` decimals.

    No binary float is involved.
    """
    scaled = to_integer(value * 10**places, mode)
    sign = "-" if scaled < 0 else ""
    digits = str(abs(scaled)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def six_places(value: Fraction, mode: Mode = "up") -> str:
    """Return a fraction as decimal text with the six decimals of a statement."""
    return decimal_text(value, 6, mode)


def tonnes_text(ug: int) -> str:
    """Return micrograms as tonnes with six decimals, rounded up."""
    return six_places(Fraction(ug, UG_PER_T))


def figure(value: Fraction, digits: int = 4) -> str:
    """Return a fraction as plain decimal text with limited significant digits."""
    with localcontext(prec=digits):
        return f"{(Decimal(value.numerator) / Decimal(value.denominator)).normalize():f}"


def exact_text(value: Fraction) -> str:
    """
    Return a fraction as exact decimal text.

    Raises ValueError if no decimal has that value, such as one third.
    """
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
        if places > _MAX_PLACES:
            raise ValueError(f"{value} has no exact decimal text of at most {_MAX_PLACES} places")
    return decimal_text(value, places, "down")


def decimal_of(text: object) -> Decimal:
    """
    Return a decimal from untrusted text.

    The number of digits is limited, as a short text can denote a number with a hundred million
    digits.

    Raises ValueError if it is not a decimal number, or one of more than 60 digits before or after
    the point.
    """
    if not isinstance(text, str) or not _WRITTEN.fullmatch(text):
        raise ValueError(
            f"{str(text)[:40]!r} is not a decimal number of at most {_MAX_PLACES} digits before "
            "and after the point"
        )
    return Decimal(text)


def share_text(part: int, whole: int) -> str:
    """Return a share with six decimals, rounded down; 0 if the whole is 0."""
    return decimal_text(Fraction(part, whole) if whole else Fraction(0), 6, "down")


def exact_sum(values: Int64) -> int:
    """Return the sum of whole numbers as a Python integer, without overflow at 2**63."""
    if len(values) == 0:
        return 0
    largest = max(abs(int(values.max())), abs(int(values.min())))
    if largest * len(values) < LIMIT:
        return int(values.sum())
    return sum(values.tolist())


class Rates:
    """
    Multiplication of many whole numbers by exact rates.

    `n * rate` is `n * whole + n * rest / denominator`, which fits in int64 for every n up to
    `limit`.  For larger n Python integers are used, so that every result is exact.

    `rates`: not negative.
    """

    __slots__ = ("_denominator", "_exact", "_limit", "_rest", "_whole", "any")

    def __init__(self, rates: Sequence[Fraction]) -> None:
        parts = [(divmod(r.numerator, r.denominator), r.denominator) for r in rates]
        limits = [
            LIMIT // max(whole + 1, rest, 1) if max(whole, denominator) < LIMIT else 0
            for (whole, rest), denominator in parts
        ]
        usable = [limit > 0 for limit in limits]
        table = [
            (whole, rest, denominator) if ok else (0, 0, 1)
            for ((whole, rest), denominator), ok in zip(parts, usable, strict=True)
        ]
        columns = np.array(table, dtype=np.int64).reshape(-1, 3)
        self._whole, self._rest, self._denominator = columns[:, 0], columns[:, 1], columns[:, 2]
        self._limit = np.array(limits, dtype=np.int64)
        self._exact = np.array([[r.numerator, r.denominator] for r in rates], dtype=object)
        self.any = any(r > 0 for r in rates)

    def apply(self, values: Int64, index: Int32, mode: Literal["down", "up"]) -> Int64:
        """
        Return each value times the rate of its index, rounded to a whole number.

        A result beyond int64 cannot be a measurement: it becomes 0 when rounding down (credited),
        and 2**62 when rounding up (deducted).

        Parameters
        ----------
        values : int64 array, n
            Not negative.
        index : integer array, n
            Index of the rate of each value.
        mode : "down" or "up"

        Returns
        -------
        int64 array, n
        """
        large = values > self._limit[index]
        small = np.where(large, 0, values)
        part = small * self._rest[index]
        denominator = self._denominator[index]
        part = part // denominator if mode == "down" else -(-part // denominator)
        result: Int64 = small * self._whole[index] + part
        if large.any():
            result[large] = self._apply_large(values[large], index[large], mode)
        return result

    def _apply_large(self, values: Int64, index: Int32, mode: str) -> NDArray[np.object_]:
        product = values.astype(object) * self._exact[index, 0]
        denominator = self._exact[index, 1]
        scaled = product // denominator if mode == "down" else -(-product // denominator)
        return np.where(scaled < LIMIT, scaled, 0 if mode == "down" else LIMIT)


_IN = {"Wh": ("kWh", 1000), "mL": ("L", 1000), "g": ("kg", 1000), "m": ("km", 1000)}
_PLACES = 3


def amount_text(value: int | Fraction, unit: str) -> Text:
    """Return a quantity in base units as exact text in its usual unit."""
    name, scale = _IN.get(unit, (unit, 1))
    return text("text.amount", value=plain_text(Fraction(value) / scale, _PLACES), unit=name)


def significant(value: Fraction, digits: int = 6) -> str:
    """Return decimal text with a number of significant digits, without exponent."""
    return format(Decimal(f"{float(value):.{digits}g}"), "f")


def plain_text(value: Fraction, places: int) -> str:
    """Return decimal text with at most `places` decimals."""
    label = decimal_text(value, places, "half_even")
    return label.rstrip("0").rstrip(".") if "." in label else label


def amount(value: int | Fraction, unit: str) -> dict[str, str]:
    """
    Return a quantity in its usual unit as the values of a text: `quantity`, `unit`.

    At most 3 decimals, rounded up.
    """
    name, scale = _IN.get(unit, (unit, 1))
    written = decimal_text(Fraction(value) / scale, _PLACES, "up")
    return {"quantity": written.rstrip("0").rstrip("."), "unit": name}
