"""
Environmental standards: limits, curves and bands, one TOML file each.

Standards are in the folder of their country, such as `mrv/countries/vn/limits/qcvn_05_2023.toml`.
Values are decimal text.  Each file states its source and certainty.  A standard whose table was not
available has no file; a user with the table can write one in the same form.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from mrv.errors import IndicatorError

_LIMIT_KEYS = {
    "parameter", "value", "lowest", "unit", "certainty", "valid_from", "valid_to",
    "flow_up_to_m3_d",
}  # fmt: skip
_KEYS = {"id", "title", "source", "certainty", "verified", "limit", "curve", "band", "note"}


@dataclass(frozen=True, slots=True)
class Limit:
    """
    One limit: not above `value`, and not below `lowest` if given.

    `select`: conditions such as column, averaging time or time of day; dates are half-open.
    `flow_up_to`: flow of the largest plant to which it applies; None for any plant. [m3/d]
    """

    parameter: str
    value: Fraction
    lowest: Fraction | None
    select: Mapping[str, str]
    valid_from: date | None
    valid_to: date | None
    flow_up_to: Fraction | None

    def exceeded(self, measured: Fraction) -> bool:
        """Return whether a measured value exceeds the limit."""
        return measured > self.value or (self.lowest is not None and measured < self.lowest)


@dataclass(frozen=True, slots=True)
class Curve:
    """Piecewise linear curve; beyond its ends a constant (`before`, `beyond`) or no value."""

    points: tuple[Fraction, ...]
    values: tuple[Fraction, ...]
    before: Fraction | None
    beyond: Fraction | None

    def at(self, x: Fraction) -> Fraction | None:
        """Return the value at x; None where the standard defines none."""
        if x < self.points[0]:
            return self.before
        if x > self.points[-1]:
            return self.beyond
        i = bisect_left(self.points, x)
        if x == self.points[i]:
            return self.values[i]
        share = (x - self.points[i - 1]) / (self.points[i] - self.points[i - 1])
        return self.values[i - 1] + share * (self.values[i] - self.values[i - 1])


@dataclass(frozen=True, slots=True)
class Band:
    """A class of results up to `up_to`: its name and colour in the standard."""

    up_to: Fraction
    name: str
    rgb: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """All limits, curves and bands of one standard."""

    id: str
    source: str
    limits: tuple[Limit, ...]
    curves: Mapping[str, Curve]
    bands: tuple[Band, ...]

    def limit(
        self,
        parameter: str,
        select: Mapping[str, str],
        on: date | None = None,
        flow: Fraction | None = None,
    ) -> Limit | None:
        """
        Return the limit of a parameter; None if the standard has none.

        `on`: day; None for the limit without an end date.  `flow`: flow of the plant, for the limit
        with the smallest `flow_up_to` that is not exceeded. [m3/d]
        """
        limits = [
            limit
            for limit in self.limits
            if limit.parameter == parameter
            and limit.select == select
            and _holds(limit, on)
            and (limit.flow_up_to is None or (flow is not None and flow <= limit.flow_up_to))
        ]
        banded = [limit for limit in limits if limit.flow_up_to is not None]
        if banded:
            return min(banded, key=lambda limit: limit.flow_up_to or 0)
        return limits[0] if limits else None

    def band(self, result: Fraction) -> Band:
        """Return the class of a result; the last band has no upper end."""
        return next((b for b in self.bands if result <= b.up_to), self.bands[-1])


NONE = Table("", "", (), {}, ())


@cache
def load(name: str) -> Table:
    """Return the standard of a name, from the folder of any country."""
    return read(standards()[name].read_text("utf-8"), f"{name}.toml")


@cache
def standards() -> Mapping[str, Traversable]:
    """Return the files of the countries' standards by name."""
    countries = [path for path in (resources.files("mrv") / "countries").iterdir() if path.is_dir()]
    folders = [country / "limits" for country in countries if (country / "limits").is_dir()]
    return {
        file.name.removesuffix(".toml"): file for folder in folders for file in folder.iterdir()
    }


def read(text: str, where: str) -> Table:
    """
    Return the table of one standard.

    Raises IndicatorError that names the file, the entry and the key that is wrong.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise IndicatorError(f"{where}: {error}; write valid TOML") from None
    if unknown := sorted(set(document) - _KEYS):
        known = ", ".join(sorted(_KEYS))
        raise IndicatorError(f"{where}: unknown key {unknown[0]!r}; known: {known}")
    for key in ("id", "source", "certainty"):
        if not isinstance(document.get(key), str):
            raise IndicatorError(f"{where}: {key} = {document.get(key)!r} must be text in quotes")
    return Table(
        id=document["id"],
        source=document["source"],
        limits=tuple(_limit(entry, where) for entry in document.get("limit", [])),
        curves={
            key: _curve(entry, f"{where}: curve.{key}")
            for key, entry in document.get("curve", {}).items()
        },
        bands=tuple(
            Band(_number(entry.get("up_to"), where), entry["name"], tuple(entry.get("rgb", ())))
            for entry in document.get("band", [])
        ),
    )


def _limit(entry: Mapping[str, Any], where: str) -> Limit:
    name = f"{where}: limit {entry.get('parameter')!r}"
    for key, value in entry.items():
        wanted = date if key.startswith("valid_") else str
        if type(value) is not wanted:
            kind = "a date without quotes" if wanted is date else "text in quotes"
            raise IndicatorError(f"{name}: {key} = {value!r} must be {kind}")
    if "parameter" not in entry:
        raise IndicatorError(f"{name}: 'parameter' is missing; name the limited quantity")
    return Limit(
        parameter=entry["parameter"],
        value=_number(entry.get("value"), name),
        lowest=_optional(entry, "lowest", name),
        select={key: value for key, value in entry.items() if key not in _LIMIT_KEYS},
        valid_from=entry.get("valid_from"),
        valid_to=entry.get("valid_to"),
        flow_up_to=_optional(entry, "flow_up_to_m3_d", name),
    )


def _curve(entry: Mapping[str, Any], where: str) -> Curve:
    points = tuple(_number(x, where) for x in entry.get("points", ()))
    values = tuple(_number(x, where) for x in entry.get("values", ()))
    if not points or len(points) != len(values) or list(points) != sorted(set(points)):
        raise IndicatorError(f"{where}: enter one value per point, and points in ascending order")
    return Curve(
        points, values, _optional(entry, "before", where), _optional(entry, "beyond", where)
    )


def _optional(entry: Mapping[str, Any], key: str, where: str) -> Fraction | None:
    return _number(entry[key], where) if key in entry else None


def _number(text: object, where: str) -> Fraction:
    try:
        number = Decimal(text) if isinstance(text, str) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise IndicatorError(f"{where}: {text!r} must be a decimal number in quotes")
    return Fraction(number)


def _holds(limit: Limit, on: date | None) -> bool:
    if on is None:
        return limit.valid_to is None
    begin, end = limit.valid_from or date.min, limit.valid_to or date.max
    return begin <= on < end


def judge(
    table: Table,
    scaled: Mapping[str, Fraction],
    unscaled: Mapping[str, Fraction],
    scale: Fraction,
    select: Mapping[str, str],
    flow: Fraction | None = None,
) -> dict[str, Any]:
    """
    Return the comparison of a water sample with its limits.

    `scaled` (mapping of parameter to measured value): parameters with limits multiplied by
    `scale`.  [mg/L]
    `unscaled` (mapping of parameter to measured value): parameters with unscaled limits, such as
    pH.
    `scale`: Kq * Kf, or K. [1]
    `select`: column and other conditions of the limits.
    `flow`: flow of the plant, where limits depend on it. [m3/d]
    Raises IndicatorError if the standard has no limit for one of the parameters under these
    conditions.
    """
    limits: dict[str, Fraction] = {}
    plain: dict[str, Any] = {}
    exceeded = []
    for name, value in scaled.items():
        limits[name] = _limit_of(table, name, select, flow).value * scale
        if value > limits[name]:
            exceeded.append(name)
    for name, value in unscaled.items():
        limit = _limit_of(table, name, select, flow)
        plain[name] = limit.value if limit.lowest is None else [limit.lowest, limit.value]
        if limit.exceeded(value):
            exceeded.append(name)
    apart = {"limit_unscaled": plain} if plain else {}
    return {"limit_mg_l": limits, **apart, "exceeded": exceeded}


def _limit_of(table: Table, name: str, select: Mapping[str, str], flow: Fraction | None) -> Limit:
    limit = table.limit(name, select, flow=flow)
    if limit is None:
        where = ", ".join(f"{key} {value}" for key, value in select.items())
        raise IndicatorError(f"{table.id} has no limit of {name} for {where}; omit it")
    return limit
