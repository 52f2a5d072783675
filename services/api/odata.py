"""
Query options of OGC SensorThings (a part of OData 4.0), parsed to values.

Unknown options are refused by name, and lengths are limited.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from ingest.errors import InputError

MAX_TOP = 1_000
PAGE = 100
_MAX_TOKENS, _MAX_DEPTH, _MAX_SKIP = 200, 20, 100_000
_DEEPEST = 3
_ORDERS = 5
COMPARISONS = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
FUNCTIONS = {"substringof": 2, "startswith": 2, "endswith": 2}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')"
    r"|(?P<time>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2}))"
    r"|(?P<number>-?\d{1,18}(?:\.\d{1,18})?)"
    r"|(?P<name>@?[A-Za-z_][A-Za-z0-9_.]*(?:/@?[A-Za-z_][A-Za-z0-9_.]*)*)"
    r"|(?P<mark>[(),]))"
)
_OPTIONS = ("$filter", "$expand", "$orderby", "$select", "$top", "$skip", "$count")


class Property(NamedTuple):
    """Property by its path, such as `Datastream/id`."""

    path: str


class Compare(NamedTuple):
    """Comparison of a property with a value: text, number, time, or None."""

    sign: str
    left: Property
    right: str | Decimal | datetime | None


class Match(NamedTuple):
    """Function of a property and a text."""

    function: str
    of: Property
    text: str


class Logic(NamedTuple):
    """`and` or `or` of two conditions, or `not` of one."""

    word: str
    parts: tuple[Condition, ...]


Condition = Compare | Match | Logic


@dataclass(frozen=True, slots=True)
class Query:
    """
    Options of one request, or of one expansion.

    `top`: maximum number of entities per page.
    `order`: properties, and whether descending.
    `expand`: nested queries by navigation property.
    """

    where: Condition | None = None
    order: tuple[tuple[str, bool], ...] = ()
    select: tuple[str, ...] = ()
    expand: Mapping[str, Query] = field(default_factory=dict)
    top: int = PAGE
    skip: int = 0
    count: bool = False


def read(options: Mapping[str, str], depth: int = 0) -> Query:
    """
    Return the options of a query.

    Raises InputError, naming the option, the unknown part, and the known ones.
    """
    for name in options:
        if name not in _OPTIONS:
            raise InputError(f"{name[:60]!r} is not an option; options: {', '.join(_OPTIONS)}")
    count = options.get("$count", "false")
    if count not in {"true", "false"}:
        raise InputError(f"$count={count[:20]!r}: send true or false")
    return Query(
        _read_filter(options["$filter"]) if "$filter" in options else None,
        _orders(options.get("$orderby", "")),
        tuple(_words("$select", options.get("$select", ""))),
        _expansions(options.get("$expand", ""), depth),
        _number("$top", options.get("$top", str(PAGE)), MAX_TOP),
        _number("$skip", options.get("$skip", "0"), _MAX_SKIP),
        count == "true",
    )


def _number(name: str, text: str, maximum: int) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) > maximum:
        raise InputError(f"{name}={text[:20]!r}: send a whole number from 0 to {maximum:,}")
    return int(text)


def _words(name: str, text: str) -> Iterator[str]:
    for word in filter(None, (part.strip() for part in text.split(","))):
        if not re.fullmatch(r"@?[A-Za-z_][A-Za-z0-9_./]{0,80}", word):
            raise InputError(
                f"{name}: {word[:60]!r} is not a property; write names separated by commas"
            )
        yield word


def _orders(text: str) -> tuple[tuple[str, bool], ...]:
    result = []
    for value in filter(None, (part.strip() for part in text.split(","))):
        name, *lines = value.split()
        direction = [word.lower() for word in lines]  # clients write DESC and desc
        if len(direction) > 1 or (direction and direction[0] not in {"asc", "desc"}):
            raise InputError(f"$orderby: {value[:60]!r}; write a property, and asc or desc")
        result.append((next(_words("$orderby", name), name), direction == ["desc"]))
    if len(result) > _ORDERS:
        raise InputError(
            f"$orderby has {len(result)} properties, and {_ORDERS} is the maximum; remove some"
        )
    return tuple(result)


def _expansions(text: str, depth: int) -> dict[str, Query]:
    """Return the expansions in `A,B($top=5;$expand=C),D/E`."""
    if text and depth >= _DEEPEST:
        raise InputError(f"$expand goes deeper than {_DEEPEST}; request the rest by its link")
    expansions: dict[str, Query] = {}
    for value in _split(text, ","):
        name, mark, rest = value.partition("(")
        if mark and not rest.endswith(")"):
            raise InputError(f"$expand: {value[:60]!r} lacks a closing bracket; add it")
        name, slash, below = name.strip().partition("/")
        if not re.fullmatch("[A-Za-z]{1,40}", name):
            raise InputError(f"$expand: {name[:60]!r} is not a navigation property; write its name")
        if slash:  # D/E means D($expand=E)
            options = {"$expand": below + mark + rest}
        else:
            options = dict(_option(part) for part in _split(rest[:-1], ";"))
        if name in expansions:
            raise InputError(f"$expand names {name} twice; put its options in one bracket")
        expansions[name] = read(options, depth + 1)
    return expansions


def _option(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark:
        raise InputError(f"$expand: {text[:60]!r} is not an option; write for example $top=5")
    return name.strip(), value


def _split(text: str, mark: str) -> Iterator[str]:
    """Yield the parts of a text between marks outside of brackets and quotes."""
    depth, quoted, begin = 0, False, 0
    for at, char in enumerate(text):
        if char == "'":
            quoted = not quoted
        elif not quoted and char in "()":
            depth += 1 if char == "(" else -1
        elif char == mark and not quoted and depth == 0:
            yield text[begin:at].strip()
            begin = at + 1
    if quoted or depth:
        raise InputError(f"brackets or quotes of {text[:60]!r} do not match; close each")
    if text[begin:].strip():
        yield text[begin:].strip()


class _Token(NamedTuple):
    kind: str
    text: str


def _read_filter(text: str) -> Condition:
    if "\0" in text:
        raise InputError("$filter contains a NUL character, which no property has; remove it")
    tokens: list[_Token] = []
    at = 0
    while at < len(text) and text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or len(tokens) >= _MAX_TOKENS:
            raise InputError(f"$filter cannot be read at {text[at : at + 40]!r}; correct it there")
        kind = match.lastgroup or ""
        tokens.append(_Token(kind, match[kind]))
        at = match.end()
    reader = _Filter(tokens)
    condition = reader.either()
    reader.end()
    return condition


class _Filter:
    """Parser of a condition: or, and, not, brackets, comparisons, functions."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    def either(self) -> Condition:
        """Return conditions joined by `or`."""
        return self._joined("or", lambda: self._joined("and", self._condition))

    def end(self) -> None:
        """Raise an error if a part of the filter is not parsed."""
        if self._at < len(self._tokens):
            raise InputError(
                f"$filter: {self._next().text[:40]!r} was not expected; correct it there"
            )

    def _joined(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._at < len(self._tokens) and self._tokens[self._at] == ("name", word):
            self._at += 1
            parts.append(part())
        return parts[0] if len(parts) == 1 else Logic(word, tuple(parts))

    def _condition(self) -> Condition:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise InputError(f"$filter has more than {_MAX_DEPTH} nested brackets; simplify it")
        try:
            token = self._next()
            if token == ("name", "not"):
                return Logic("not", (self._condition(),))
            if token == ("mark", "("):
                logic = self.either()
                self._mark(")")
                return logic
            if token.kind == "name" and token.text in FUNCTIONS:
                return self._function(token.text)
            return self._comparison(token)
        finally:
            self._depth -= 1

    def _function(self, name: str) -> Match:
        self._mark("(")
        first = self._next()
        self._mark(",")
        second = self._next()
        self._mark(")")
        if name == "substringof":  # in this function the text precedes the property
            first, second = second, first
        if first.kind != "name" or second.kind != "text":
            raise InputError(f"$filter: {name} needs a property and a text in '..'")
        match = Match(name, Property(first.text), _text(second.text))
        if self._at < len(self._tokens) and self._tokens[self._at] == ("name", "eq"):
            self._at += 1
            if self._next() != ("name", "true"):
                raise InputError(f"$filter: compare {name}(..) with true, or omit the comparison")
        return match

    def _comparison(self, token: _Token) -> Compare:
        sign, right = self._next(), self._next()
        if sign.kind != "name" or sign.text not in COMPARISONS:
            known = ", ".join((*COMPARISONS, *FUNCTIONS))
            raise InputError(f"$filter: {sign.text[:40]!r} is not an operator; operators: {known}")
        word = sign.text
        if token.kind != "name" and right.kind == "name":
            token, right = right, token
            word = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}.get(word, word)
        if token.kind != "name":
            raise InputError(f"$filter: {token.text[:40]!r} {word} ..: name a property on one side")
        return Compare(word, Property(token.text), _value(right))

    def _mark(self, mark: str) -> None:
        token = self._next()
        if token != ("mark", mark):
            raise InputError(
                f"$filter: {token.text[:40]!r} is in the place of {mark!r}; write {mark!r} there"
            )

    def _next(self) -> _Token:
        if self._at >= len(self._tokens):
            raise InputError("$filter ends too early; complete the comparison")
        self._at += 1
        return self._tokens[self._at - 1]


def _text(quoted: str) -> str:
    return quoted[1:-1].replace("''", "'")


def _value(token: _Token) -> str | Decimal | datetime | None:
    if token.kind == "text":
        return _text(token.text)
    if token.kind == "number":
        return Decimal(token.text)
    if token.kind == "time":
        try:
            return datetime.fromisoformat(token.text).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise InputError(
                f"$filter: {token.text!r} is not a time: {error}; write it as 2026-01-31T00:00:00Z"
            ) from None
    if token == ("name", "null"):
        return None
    raise InputError(
        f"$filter: {token.text[:40]!r} is not a value; write a text in '..', a number or a time "
        "with its offset"
    )
