"""
The factor book: published factors with direction, validity and source.

One TOML file per publisher in this folder.  Values are decimal text, so that no binary float is
involved.

A row is never changed.  A correction is a new row that names the old one in `supersedes`: the new
row is valid from its own start, the old row remains for earlier times and existing packs.  The kind
of a national factor ends with the country, as `grid.vn`, and with the grid if there are several, as
`grid.id.jamali`.  An account selects `grid`; a book `within` a grid returns the factor of that
grid, else of the country.  A fuel property has up to three rows: the central value, and the bounds
of its confidence interval (`bound`) for the directions that require them.

A row of a registry file with a third party's document takes precedence over tonne's rows that begin
on the same day or earlier; a row without such a document applies only on days on which tonne has no
row.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from fractions import Fraction
from functools import cache, cached_property
from hashlib import sha256
from importlib import resources
from itertools import pairwise
from typing import Any, NamedTuple, get_args

import rfc8785

from mrv.errors import CountryFactorError, FactorError
from mrv.model import Calculation, Direction, Factor, Stated
from mrv.rounding import decimal_of


class InForce(NamedTuple):
    """A factor with the local days on which it is valid, end excluded."""

    factor: Factor
    begin: date
    end: date


def in_force(kind: str, group: Sequence[Factor]) -> list[InForce]:
    """
    Return the factors in order of time, each with the days on which it is valid.

    `kind`: kind of factor, for errors.
    `group`: factors of one kind and direction, in order of time.
    Raises FactorError if a factor supersedes an unknown one or itself, starts before the one it
    supersedes, or if two factors of one publisher are valid on one day.
    """
    by_id = {factor.id: factor for factor in group}
    ends: dict[str, date] = {}
    for factor in group:
        if factor.supersedes is None:
            continue
        old = by_id.get(factor.supersedes)
        if old is None or old is factor:
            known = ", ".join(name for name in by_id if name != factor.id) or "none"
            raise FactorError(
                f"factor {factor.id!r} supersedes {factor.supersedes!r}, which is not another "
                f"factor of kind {kind!r} for {factor.direction}; known: {known}"
            )
        if old.id in ends:
            raise FactorError(
                f"factor {factor.id!r} supersedes {old.id!r}, which is already superseded; "
                "name the newest factor"
            )
        if begin(factor) < begin(old):
            raise FactorError(
                f"factor {factor.id!r} supersedes {old.id!r} and is valid from {begin(factor)}, "
                f"before {begin(old)}; set valid_from to that date or later"
            )
        ends[old.id] = begin(factor)
    kept = [
        InForce(factor, begin(factor), min(_end(factor), ends.get(factor.id, date.max)))
        for factor in group
    ]
    forces = _without_overlaps([force for force in kept if force.begin < force.end])
    for earlier, later in pairwise(forces):
        if later.begin < earlier.end:
            raise FactorError(
                f"factors {earlier.factor.id!r} and {later.factor.id!r} of kind {kind!r} are both "
                f"valid on {later.begin}; end the earlier one at that date, or name it in "
                "`supersedes` of the later one"
            )
    return forces


def _without_overlaps(rows: list[InForce]) -> list[InForce]:
    """Return the rows of registry files and of tonne, shortened where they overlap."""
    ours = [row for row in rows if not row.factor.brought]
    theirs = [row for row in rows if row.factor.brought]
    for brought in theirs:
        if brought.factor.documented:
            begin = brought.begin
            ours = [our._replace(end=min(our.end, begin)) if our.begin <= begin else our
                    for our in ours]  # fmt: skip
    whole = [our for our in ours if our.begin < our.end]
    cut = [_before(their, whole) for their in theirs]
    return sorted((force for force in (*whole, *cut) if force.begin < force.end), key=_first_day)


def _before(brought: InForce, ours: list[InForce]) -> InForce:
    """Return a registry file's row without the days of tonne's rows."""
    for our in ours:
        if our.begin <= brought.begin < our.end:
            brought = brought._replace(begin=our.end)
        elif brought.begin < our.begin < brought.end:
            return brought._replace(end=our.begin)
    return brought


def _first_day(force: InForce) -> date:
    return force.begin


def begin(factor: Factor) -> date:
    """Return the first local day of a factor's validity."""
    return factor.valid_from or date.min


def _end(factor: Factor) -> date:
    return factor.valid_to or date.max


_TEXTS = ("id", "kind", "value", "unit", "direction", "source", "certainty")
_BOUNDS = ("lower", "upper")
_KEYS = {*_TEXTS, "valid_from", "valid_to", "verified", "bound", "supersedes", "document",
         "calculation"}  # fmt: skip
# kinds with a value per country: emission factor of the grid, its losses, its build margin
GRID, LOSSES, BUILD = NATIONAL = ("grid", "grid.losses", "grid.build")
UNITS = {GRID: "tCO2/MWh", LOSSES: "1", BUILD: "tCO2/MWh"}
# `area`: name of one of a country's grids
_OF_A_GRID = re.compile(
    rf"(?P<what>{'|'.join(map(re.escape, NATIONAL))})"
    r"\.(?P<country>[a-z]{2})(?P<area>(\.[a-z0-9-]+)?)"
)
DIRECTIONS: dict[str, Direction] = {GRID: "consumed", LOSSES: "consumed", BUILD: "avoided"}


class FactorBook:
    """
    A set of emission factors, selected by kind, direction and date.

    Kinds with a factor for each year are series: after the last year the latest value remains
    valid, marked provisional.  `grid` is the grid of the project, as in `mrv.countries.grid_of`:
    `DE`, `ID.jamali`; None if it has none.
    """

    def __init__(self, factors: Iterable[Factor], grid: str | None = None) -> None:
        self.grid = grid
        self._within: dict[str | None, FactorBook] = {}
        self._by_kind: dict[str, list[Factor]] = {}
        for factor in factors:
            self._by_kind.setdefault(factor.kind, []).append(factor)
        # factors and their days of validity, by kind and direction; the validity of a superseded
        # one ends
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
        for kind in sorted(self._by_kind):
            yield from self._by_kind[kind]

    def with_more(self, more: Iterable[Factor]) -> FactorBook:
        """
        Return a factor book with further factors, except those whose id is already in this book.

        Raises FactorError if two of one kind are valid on the same day.
        """
        own = list(self)
        known = {factor.id for factor in own}
        others = [factor for factor in more if factor.id not in known]
        return FactorBook([*own, *others], self.grid) if others else self

    @property
    def country(self) -> str | None:
        """Return the country of its grid (ISO 3166-1 alpha-2)."""
        return self.grid and self.grid[:2]

    def within(self, grid: str | None) -> FactorBook:
        """Return a factor book of a grid's factors: international, of its country, its own."""
        if grid not in self._within:
            whose = (None, grid and grid[:2], grid)
            kept = (factor for factor in self if national(factor.kind)[1] in whose)
            self._within[grid] = FactorBook(kept, grid)
        return self._within[grid]

    @cached_property
    def published(self) -> FactorBook:
        """
        Return the factor book without registry files' factors that have no third party's
        document.
        """
        every = list(self)
        kept = [factor for factor in every if not factor.brought or factor.documented]
        return self if len(kept) == len(every) else FactorBook(kept, self.grid)

    def with_factor(self, factor: Factor) -> FactorBook:
        """
        Return a factor book with one more factor; other kinds are unchanged.

        Raises FactorError if another of its kind is valid on the same day.
        """
        book = FactorBook((), self.grid)
        book._by_kind = {
            **self._by_kind,
            factor.kind: [*self._by_kind.get(factor.kind, ()), factor],
        }
        book._valid = dict(self._valid)
        book._order(factor.kind)
        return book

    def kinds(self) -> list[str]:
        """Return all kinds in the factor book."""
        return sorted(self._by_kind)

    def select(self, kind: str, direction: Direction, at: date | None = None) -> Factor:
        """
        Return the factor of a kind for a direction on a local date.

        `kind`: such as `diesel.co2`, or one of `NATIONAL`.
        `direction`: "avoided" for emissions avoided, "consumed" for those of consumption.
        `at`: None: the newest factor.
        Raises FactorError if the kind is unknown, is for the other direction only, or has no factor
        valid on that date.
        Raises CountryFactorError: the same for a factor of a country's grid.
        """
        if kind in NATIONAL:
            return self._national(kind, direction, at)
        return self._select(kind, direction, at)

    def _national(self, kind: str, direction: Direction, at: date | None) -> Factor:
        for own in kinds_in(kind, self.grid):
            with suppress(FactorError):
                return self._select(own, direction, at)
        if kind in self._by_kind:  # a default for all countries
            return self._select(kind, direction, at)
        raise CountryFactorError(_no_national(kind, self.grid, at))

    def _select(self, kind: str, direction: Direction, at: date | None) -> Factor:
        group = self._by_kind.get(kind)
        if group is None:
            known = ", ".join(sorted(self._by_kind))
            raise FactorError(f"no factor of kind {kind!r}; known kinds: {known}")
        # a factor for one direction has precedence over one for both
        right = self._valid.get((kind, direction)) or self._valid.get((kind, "either"))
        if not right:
            raise FactorError(
                f"factor {kind!r} is for {group[0].direction} emissions; used for {direction} "
                "emissions it would overstate the reduction; choose a kind whose direction "
                f"is {direction}"
            )
        return right[-1].factor if at is None else _valid(kind, right, at)


def within(book: Iterable[Factor], grid: str | None) -> FactorBook:
    """Return a factor book of the given factors that apply in a grid."""
    whole = book if isinstance(book, FactorBook) else FactorBook(book)
    return whole.within(grid)


@cache
def load() -> FactorBook:
    """
    Return the factor book of all factor files of this package.

    Raises FactorError that names the file, the factor and the key that is wrong.
    """
    files = [f for f in resources.files(__name__).iterdir() if f.name.endswith(".toml")]
    factors: dict[str, Factor] = {}
    for file in sorted(files, key=lambda f: f.name):
        for factor in read(file.read_text("utf-8"), file.name):
            if factor.id in factors:
                raise FactorError(
                    f"{file.name}: factor id {factor.id!r} is already used; choose another"
                )
            factors[factor.id] = factor
    return FactorBook(factors.values())


def read(text: str, name: str) -> list[Factor]:
    """Return the factors of a TOML text; `name` is the file in errors (see `load`)."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FactorError(f"{name}: {error}; write valid TOML") from None
    entries = [*document.get("factor", []), *_by_country(document.get("national", []))]
    return [parse_entry(entry, name) for entry in entries]


def _by_country(tables: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a factor for each country of a table; only id, kind and value differ."""
    for table in tables:
        for country, value in table["values"].items():
            whose = {key: f"{table[key]}.{country.lower()}" for key in ("id", "kind")}
            alike = {key: value for key, value in table.items() if key != "values"}
            yield {**alike, **whose, "value": value}


def parse_entry(entry: dict[str, Any], name: str) -> Factor:
    """
    Return a factor from an entry of a TOML file or evidence pack; `name` is the file in errors.

    Raises FactorError that names the file, the factor and the key that is wrong.
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
            f"{where}: supersedes = {entry['supersedes']!r} must be the id of the factor that it "
            "replaces, in quotes"
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
        document=_stated(entry.get("document"), where),
        calculation=_calculation(entry.get("calculation"), where),
    )


def _calculation(value: object, where: str) -> Calculation | None:
    if value is None:
        return None
    keys = Calculation._fields
    if (
        not isinstance(value, dict)
        or set(value) != set(keys)
        or not isinstance(value["inputs"], dict)
        or not all(isinstance(value[key], str) for key in keys[:2])
    ):
        raise FactorError(
            f"{where}: calculation = {value!r:.80} must have `tool`, as tool07, `result`, as"
            " ef_cm_t_per_mwh, and `inputs`; `tonne evaluate tool07 --describe` lists both"
        )
    return Calculation(**value)


def _stated(value: object, where: str) -> Stated | None:
    if value is None:
        return None
    if (
        not isinstance(value, dict)
        or set(value) != set(Stated._fields)
        or not all(isinstance(text, str) for text in value.values())
    ):
        raise FactorError(
            f"{where}: document = {value!r} must have the texts {', '.join(Stated._fields)}: its"
            " title and number, who gave it, its date, the SHA-256 of its file"
        )
    return Stated(**value)


def kinds_in(kind: str, grid: str | None) -> list[str]:
    """Return the kinds to look up for a factor: of the grid, of its country, general."""
    if kind not in NATIONAL or grid is None:
        return [kind]
    return [f"{kind}.{area.lower()}" for area in dict.fromkeys((grid, grid[:2]))]


def national(kind: str) -> tuple[str, str | None]:
    """
    Return the general kind and the grid of a national kind of factor; of others,
    the kind and None.
    """
    match = _OF_A_GRID.fullmatch(kind)
    if match is None:
        return kind, None
    return match["what"], match["country"].upper() + match["area"]


def country_of(kind: str) -> str | None:
    """Return the country of a kind of factor; None for an international kind."""
    grid = national(kind)[1]
    return grid and grid[:2]


def is_of_banks(factor: Factor) -> bool:
    """
    Return whether a factor is the default of the development banks for
    grids (`ifi_grid.toml`).
    """
    return factor.id.startswith("ifi-")


def row_to_write(kind: str, at: date) -> str:
    """Return a template of the registry file's row for a grid factor that begins on a day."""
    what, _ = national(kind)
    return (
        f"{{id: .., kind: {kind}, value: .., unit: {UNITS[what]}, direction:"
        f" {DIRECTIONS[what]}, valid_from: {at},"
        " source: .., certainty: R, verified: true, document: {document: title and number, by:"
        " publisher, issued: date of the document, sha256: SHA-256 of its file}}"
    )


def _no_national(kind: str, grid: str | None, at: date | None) -> str:
    if grid is None:
        return (
            f"no factor of kind {kind!r}: the country of the project is not known; enter"
            " `country` of its site, such as DE, or use `--country DE` of a command"
        )
    return (
        f"no factor of the grid of {grid} is known{(f' for {at}' if at else '')}, "
        "and a factor of another country is not accepted; enter the factor "
        f"that its authority publishes under `factors` of a registry file: "
        f"{row_to_write(kinds_in(kind, grid)[0], at or date(2026, 1, 1))}"
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
    # a country's latest earlier value applies to a year without one
    before = [force.factor for force in group if force.end <= at] if country_of(kind) else []
    if before:
        return replace(before[-1], provisional=True)
    raise FactorError(
        f"no factor of kind {kind!r} is valid on {at}; known: "
        f"{', '.join(f'{f.id} from {first} to {end}' for f, first, end in group)}"
    )
