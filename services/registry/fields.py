"""
Fields of registry files: values as written, and keys as types declare them.

All errors of a row are collected, so that a large file can be corrected at once.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from ingest.classes import QUANTITIES, QUANTITY_INDEX, factor
from ingest.errors import InputError
from mrv.registry import Key
from services.registry.located import NULLS, NUMBER, Plain, Table, Value, native, number

SHA256 = re.compile("[0-9a-f]{64}")
ID = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
# 100.000 is 100 in some countries and 100,000 in others: such numbers, and numbers with a unit or
# decimal comma, are quoted when a file is written
SEPARATED = re.compile(r"^[-+]?\d[\d.,' \u00a0\u202f]*[^\d\s]*$")
GROUPED = re.compile(r"^\d{1,3}([.,]\d{3})+$")
MAX_WHOLE = 2**62
MAX_TEXT = 1_000
# beginning of the placeholders in example files
PLACEHOLDER = "REPLACE-WITH-"

# default unit of an amount, by base unit
_DEFAULT_UNITS = {"Wh": "kWh", "m": "km", "mL": "m3", "g": "t", "s": "h", "K s": "K d"}


class Row:
    """Row of a file, with its errors."""

    def __init__(self, value: Value, file: str, path: str, line: int = 0) -> None:
        self.file, self.path = file, path
        self.problems: list[str] = []
        self.table = value if isinstance(value, Table) else Table(line, {}, {})
        if not isinstance(value, Table):
            self.problem(None, "must be a mapping of keys to values")

    def problem(self, key: str | None, text: str, line: int | None = None) -> None:
        """Record an error of a key, or of the whole row."""
        if line is None:
            line = self.table.lines.get(key, self.table.line) if key else self.table.line
        path = f"{self.path}.{key}" if key else self.path
        message = f"{self.file}:{line}: {path}: {text}"
        if message not in self.problems:
            self.problems.append(message)

    def only(self, *known: str) -> None:
        """Record an error for each unknown key."""
        for key in self.table.cells:
            if key not in known:
                self.problem(key, f"unknown key; known here: {', '.join(known)}")

    def has(self, key: str) -> bool:
        """Return whether the key is present and not null."""
        value = self.table.cells.get(key)
        return value is not None and not (isinstance(value, Plain) and value in NULLS)

    def text(self, key: str) -> str:
        """Return the text of a required key."""
        result = self.optional(key)
        return str(self.required(key, result, "text") or "")

    def optional(self, key: str) -> str | None:
        """Return the text of a key; None if it is absent."""
        if not self.has(key):
            return None
        value = self.table.cells[key]
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
            self.problem(key, f"must be text of 1 to {MAX_TEXT} characters")
            return None
        if not value.isprintable():
            self.problem(key, f"{str(value)!r} contains control characters; remove them")
            return None
        if self._has_placeholder(key, value):
            return None
        return str(value)

    def _has_placeholder(self, key: str, value: Value, line: int | None = None) -> bool:
        """Record an error for each placeholder in a value; return whether there are any."""
        if isinstance(value, Table):
            cells = value.cells.items()
            inside = [self._has_placeholder(f"{key}.{k}", v, value.lines[k]) for k, v in cells]
            return any(inside)
        if isinstance(value, list):
            inside = [self._has_placeholder(f"{key}[{i}]", v, line) for i, v in enumerate(value)]
            return any(inside)
        if value.startswith(PLACEHOLDER):
            text = f"{str(value)!r} is a placeholder of the example; write your own value"
            self.problem(key, text, line)
        return value.startswith(PLACEHOLDER)

    def identifier(self, key: str) -> str:
        """Return the id in a required key."""
        result = self.text(key)
        if result and not ID.match(result):
            self.problem(
                key, f"{result!r} is not an id; use 1 to 64 letters, digits, '_' or '-', no spaces"
            )
        return result

    def identifiers(self, key: str) -> tuple[str, ...]:
        """Return the ids of a list, or of a single value; empty if the key is absent."""
        if not self.has(key):
            return ()
        value = self.table.cells[key]
        if not isinstance(value, list):
            return (self.identifier(key),)
        if self._has_placeholder(key, value):
            return ()
        if not all(isinstance(item, str) and ID.match(item) for item in value):
            self.problem(key, f"{native(value)!r} must be the id of a meter, or a list of ids")
            return ()
        return tuple(dict.fromkeys(map(str, value)))

    def sha256(self, key: str) -> str | None:
        """Return the SHA-256 of a file, as hex; None if the key is absent."""
        result = self.optional(key)
        if result is not None and not SHA256.fullmatch(result):
            self.problem(key, f"{result!r} is not a SHA-256 of a file: 64 digits 0-9 a-f")
        return result

    def one_of(self, key: str, known: Sequence[str]) -> str | None:
        """Return a value that must be one of `known`; None if the key is absent."""
        result = self.optional(key)
        if result is not None and result not in known:
            self.problem(key, f"{result!r} must be one of {', '.join(known)}")
        return result

    def number(self, key: str, low: float, high: float) -> int | Decimal | None:
        """Return a number within inclusive bounds; None if the key is absent."""
        if not self.has(key):
            return None
        value = self.table.cells[key]
        if self._has_placeholder(key, value):
            return None
        if not isinstance(value, Plain) or not NUMBER.match(value):
            wrong = f"{native(value)!r} must be a number, written without quotes"
            if not NUMBER.match(str(value)) and SEPARATED.match(str(value)):
                wrong = (
                    f"{native(value)!r} must be a number alone: no unit, a point before decimals,"
                    " no separators of thousands"
                )
            self.problem(key, wrong)
            return None
        result = number(value)
        if not low <= result <= high:
            self.problem(key, f"{result} must be from {low} to {high}")
        return result

    def whole(self, key: str, low: int, high: int = MAX_WHOLE) -> int | None:
        """Return a whole number within inclusive bounds; None if the key is absent."""
        text = self.table.cells.get(key, "")
        if isinstance(text, str) and GROUPED.match(text):
            self.problem(key, f"{str(text)!r} can mean two numbers; write it without separators")
            return None
        result = self.number(key, low, high)
        if result is None or isinstance(result, int):
            return result
        self.problem(key, f"{result} must be a whole number")
        return None

    def flag(self, key: str) -> bool | None:
        """Return true or false; None if the key is absent."""
        if not self.has(key):
            return None
        value = self.table.cells[key]
        if not isinstance(value, Plain) or value not in ("true", "false"):
            self.problem(key, f"{native(value)!r} must be true or false, without quotes")
        return value == "true"

    def required(self, key: str, value: Any, what: str) -> Any:
        """Return the value; a missing one is recorded as an error if the key is absent."""
        if value is None and not self.has(key):
            self.problem(key, f"is missing; enter {what}")
        return value

    def day(self, key: str) -> date | None:
        """Return a date; None if the key is absent."""
        if not self.has(key):
            return None
        value = self.table.cells[key]
        try:
            return date.fromisoformat(value if isinstance(value, str) else "")
        except ValueError:
            self.problem(key, f"{native(value)!r} is not a date; write it as 2026-01-31")
            return None

    def moment(self, key: str) -> datetime | None:
        """Return a time in UTC; None if the key is absent."""
        if not self.has(key):
            return None
        value = self.table.cells[key]
        try:
            time = datetime.fromisoformat(value if isinstance(value, str) else "")
            if time.tzinfo is not None:
                return time.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        self.problem(
            key, f"{native(value)!r} must be a time with its offset, 2026-01-31T08:00:00+01:00"
        )
        return None

    def mapping(self, key: str) -> dict[str, Any]:
        """Return a mapping with any keys, in JSON form."""
        if not self.has(key):
            return {}
        value = self.table.cells[key]
        if isinstance(value, Table):
            return {} if self._has_placeholder(key, value) else dict(native(value))
        self.problem(key, "must be a mapping of keys to values")
        return {}

    def all(self) -> dict[str, Any]:
        """Return every key and value of the row, in JSON form."""
        for key, value in self.table.cells.items():
            self._has_placeholder(key, value)
        return dict(native(self.table))

    def row(self, key: str) -> Row:
        """Return a mapping as a separate row; its absence is recorded as an error of that row."""
        line = self.table.lines.get(key, self.table.line)
        return Row(self.table.cells.get(key, ""), self.file, f"{self.path}.{key}", line)

    def gather(self, *inner: Row) -> None:
        """Record the errors of inner rows."""
        for row in inner:
            self.problems.extend(row.problems)

    def rows(self, key: str) -> list[Row] | None:
        """Return the rows of a list; None if the key is absent."""
        if not self.has(key):
            return None
        value = self.table.cells[key]
        if not isinstance(value, list):
            self.problem(key, "must be a list")
            return None
        line = self.table.lines.get(key, self.table.line)
        return [Row(v, self.file, f"{self.path}.{key}[{i}]", line) for i, v in enumerate(value)]


def amount(row: Row, quantity: str) -> int:
    """
    Return the `amount` of a row in whole base units of the quantity.

    An amount in a unit that is no decimal multiple of the base unit (GJ, base unit Wh) is rounded.
    """
    entered = row.required("amount", row.number("amount", 0, MAX_WHOLE), "what the document states")
    if quantity not in QUANTITY_INDEX:
        known = ", ".join(q.name for q in QUANTITIES)
        row.problem("quantity", f"{quantity!r} is not a metered quantity; known: {known}")
    if row.problems or entered is None:
        return 0
    base = QUANTITIES[QUANTITY_INDEX[quantity]].unit
    try:
        numerator, denominator, _ = factor(
            row.optional("unit") or _DEFAULT_UNITS.get(base, base), base
        )
    except InputError as error:
        row.problem("unit", str(error))
        return 0
    digit = Decimal(1).scaleb(int(Decimal(entered).as_tuple().exponent))
    if digit * numerator < denominator:  # its last digit is less than one base unit
        row.problem("amount", f"{entered} is finer than one {base}; round it as the document does")
    return int((Decimal(entered) * numerator / denominator).to_integral_value())


EMPTY: tuple[Any, ...] = (None, {}, [], ())


class Field(NamedTuple):
    """
    Field of an entry.

    `hint`: its type without annotation and None.  `item`: type of a list's rows.  `required`: it
    has no default and is never None.
    """

    name: str
    key: str
    hint: Any
    item: Any
    mark: Key
    required: bool
    default: Any


def fields_of(kind: Any) -> tuple[Field, ...]:
    """Return the fields of an entry, or of a row in one, in the order of files."""
    return _fields_of(kind)


@cache
def _fields_of(kind: Any) -> tuple[Field, ...]:
    hints = get_type_hints(kind, include_extras=True)
    result = []
    for field in fields(kind):
        mark, hint, optional = Key(), hints[field.name], False
        while get_origin(hint) in (Annotated, Union, types.UnionType):
            if get_origin(hint) is Annotated:
                marks = [item for item in hint.__metadata__ if isinstance(item, Key)]
                mark, hint = marks[0] if marks else mark, get_args(hint)[0]
                continue
            some = [part for part in get_args(hint) if part is not type(None)]
            optional = optional or len(some) < len(get_args(hint))
            if len(some) > 1:  # several types of numbers
                hint = tuple(some)
                break
            hint = some[0]
        default = field.default
        item = get_args(hint)[0] if get_origin(hint) is tuple else None
        result.append(
            Field(
                field.name,
                mark.name or field.name,
                hint,
                item if is_dataclass(item) else None,
                mark,
                not optional and default is MISSING,
                None if default is MISSING else default,
            )
        )
    return tuple(result)


def keys(kind: Any) -> tuple[str, ...]:
    """Return the keys that an entry may have in files; keys inside a flat mapping are omitted."""
    return tuple(
        field.key
        for field in fields_of(kind)
        if field.mark.form != "derived" and (field.mark.form != "flat" or field.mark.name)
    )


def plain(entry: Any, **own: Any) -> dict[str, Any]:
    """
    Return an entry, or a row of it, with the keys of files, without empty and default values.

    `own` (by name of the field): values whose form in files differs from the stored one.
    """
    result: dict[str, Any] = {}
    for field in fields_of(type(entry)):
        if field.mark.form == "derived":
            continue
        value = own[field.name] if field.name in own else getattr(entry, field.name)
        if field.mark.form == "flat":
            result |= value
        elif value not in EMPTY and (field.required or value != field.default):
            result[field.key] = _value(value)
    return result


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, tuple | list):
        return [_value(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return plain(value) if is_dataclass(value) else value
