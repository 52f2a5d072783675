"""
The factor book: published numbers with direction, validity and source.

One TOML a publisher in this folder.  Values are decimal text, so that no
binary float ever stands between the page they were read on and the account.

A row is never changed.  One that was wrong, or that its publisher corrected, is
followed by a row that names it in `supersedes`: the new one counts from the begin of
its own validity on, the old one stays for the time before and for the packs that
name it.  A property of a fuel stands in up to three rows of one kind: the centre for
either direction, and the ends of its interval of confidence (`bound`) for the
directions whose tools ask for them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from fractions import Fraction
from functools import cache, cached_property
from hashlib import sha256
from importlib import resources
from typing import Any, get_args

import rfc8785

from mrv.errors import FactorError
from mrv.factors.superseded import InForce, begin, in_force
from mrv.model import Direction, Factor
from mrv.rounding import decimal_of

_TEXTS = ("id", "kind", "value", "unit", "direction", "source", "certainty")
_BOUNDS = ("lower", "upper")
_KEYS = {*_TEXTS, "valid_from", "valid_to", "verified", "bound", "supersedes"}


class FactorBook:
    """
    All factors, found by kind, direction and date.

    Kinds whose factors follow each other year by year are series: after their
    last year the latest value goes on, marked provisional.
    """

    def __init__(self, factors: Iterable[Factor]) -> None:
        self._by_kind: dict[str, list[Factor]] = {}
        for factor in factors:
            self._by_kind.setdefault(factor.kind, []).append(factor)
        # what counts when, by kind and direction: what was superseded ends there
        self._valid: dict[tuple[str, Direction], list[InForce]] = {}
        for kind in self._by_kind:
            self._order(kind)

    def _order(self, kind: str) -> None:
        group = self._by_kind[kind]
        group.sort(key=begin)
        for direction in get_args(Direction):
            same = [f for f in group if f.direction == direction]
            if same:
                self._valid[kind, direction] = in_force(kind, same)

    def __iter__(self) -> Iterator[Factor]:
        """All factors, by kind and then by begin of validity."""
        for kind in sorted(self._by_kind):
            yield from self._by_kind[kind]

    def with_more(self, more: Iterable[Factor]) -> FactorBook:
        """
        Return a book that holds others too; one whose id is here already stays out.

        Raises
        ------
        FactorError
            If two of one kind are valid on the same day.
        """
        own = list(self)
        known = {factor.id for factor in own}
        others = [factor for factor in more if factor.id not in known]
        return FactorBook([*own, *others]) if others else self

    def with_factor(self, factor: Factor) -> FactorBook:
        """
        Return a book that holds one more; all other kinds are as they are here.

        Raises
        ------
        FactorError
            If another of its kind is valid on the same day.
        """
        book = FactorBook(())
        book._by_kind = {
            **self._by_kind,
            factor.kind: [*self._by_kind.get(factor.kind, ()), factor],
        }
        book._valid = dict(self._valid)
        book._order(factor.kind)
        return book

    @cached_property
    def published(self) -> FactorBook:
        """The book without what registry files brought."""
        if not any(factor.brought for factor in self):
            return self
        return FactorBook(factor for factor in self if not factor.brought)

    def kinds(self) -> list[str]:
        """Return all kinds there are."""
        return sorted(self._by_kind)

    def select(self, kind: str, direction: Direction, at: date | None = None) -> Factor:
        """
        Return the factor of a kind for a direction on a local date.

        Parameters
        ----------
        kind : str
            Such as `grid.vn`.
        direction : "avoided" or "consumed"
            What it is to be used for.
        at : date, optional
            None asks for the newest.

        Raises
        ------
        FactorError
            If there is no such kind, if it stands for the other direction, or if
            none was valid on that date.
        """
        group = self._by_kind.get(kind)
        if group is None:
            known = ", ".join(sorted(self._by_kind))
            raise FactorError(f"no factor of kind {kind!r}; known kinds: {known}")
        # what is published for one direction goes before what serves both
        right = self._valid.get((kind, direction)) or self._valid.get((kind, "either"))
        if not right:
            raise FactorError(
                f"factor {kind!r} is for {group[0].direction} emissions and must not be used"
                f" for {direction} ones: it would overstate the reduction;"
                f" choose a kind whose direction is {direction}"
            )
        return right[-1].factor if at is None else _valid(kind, right, at)


@cache
def load() -> FactorBook:
    """
    Read every factor file of this package.

    Raises
    ------
    FactorError
        Names the file, the factor and the key that is wrong.
    """
    files = [f for f in resources.files(__name__).iterdir() if f.name.endswith(".toml")]
    factors: dict[str, Factor] = {}
    for file in sorted(files, key=lambda f: f.name):
        for factor in read(file.read_text("utf-8"), file.name):
            if factor.id in factors:
                raise FactorError(f"{file.name}: factor id {factor.id!r} is taken; choose another")
            factors[factor.id] = factor
    return FactorBook(factors.values())


def read(text: str, name: str) -> list[Factor]:
    """Read the factors of one TOML text; `name` stands in errors (see `load`)."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FactorError(f"{name}: {error}") from None
    return [parse_entry(entry, name) for entry in document.get("factor", [])]


def parse_entry(entry: dict[str, Any], name: str) -> Factor:
    """
    Read one factor as a TOML file or an evidence pack holds it; `name` stands in errors.

    Raises
    ------
    FactorError
        Names the file, the factor and the key that is wrong.
    """
    where = f"{name}: factor {entry.get('id')!r}"
    if unknown := sorted(set(entry) - _KEYS):
        raise FactorError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(_KEYS))}")
    for key in _TEXTS:
        if not isinstance(entry.get(key), str):
            raise FactorError(f"{where}: {key} = {entry.get(key)!r} must be text in quotes")
    if entry["direction"] not in get_args(Direction):
        known = ", ".join(get_args(Direction))
        raise FactorError(f"{where}: direction = {entry['direction']!r} must be one of {known}")
    if not isinstance(entry.get("verified"), bool):
        raise FactorError(f"{where}: verified = {entry.get('verified')!r} must be true or false")
    for key in ("valid_from", "valid_to"):
        if key in entry and type(entry[key]) is not date:
            raise FactorError(f"{where}: {key} = {entry[key]!r} must be a date without quotes")
    if entry.get("bound", _BOUNDS[0]) not in _BOUNDS:
        raise FactorError(f"{where}: bound = {entry['bound']!r} must be lower or upper")
    if not isinstance(entry.get("supersedes", ""), str):
        raise FactorError(
            f"{where}: supersedes = {entry['supersedes']!r} must be the id of the factor that it"
            " takes the place of, in quotes"
        )
    return Factor(
        **{key: entry[key] for key in _TEXTS if key != "value"},
        value=_value(entry["value"], where),
        text=entry["value"],
        valid_from=entry.get("valid_from"),
        valid_to=entry.get("valid_to"),
        verified=entry["verified"],
        sha256=_digest(entry),
        bound=entry.get("bound", ""),
        supersedes=entry.get("supersedes"),
    )


def _value(text: str, where: str) -> Fraction:
    try:
        number = decimal_of(text)
    except ValueError as error:
        raise FactorError(f"{where}: value: {error}") from error
    if number < 0:
        raise FactorError(f"{where}: value = {text!r} must be a decimal number, not negative")
    return Fraction(number)


def _digest(entry: dict[str, Any]) -> str:
    dates = {k: v.isoformat() if isinstance(v, date) else v for k, v in entry.items()}
    return sha256(rfc8785.dumps(dates)).hexdigest()


def _valid(kind: str, group: list[InForce], at: date) -> Factor:
    for factor, first, end in group:
        if first <= at < end:
            return factor
    latest = group[-1]
    if len(group) > 1 and at >= latest.end:
        return replace(latest.factor, provisional=True)
    raise FactorError(
        f"no factor of kind {kind!r} is valid on {at}; known are"
        f" {', '.join(f'{f.id} from {first} to {end}' for f, first, end in group)}"
    )
