"""Fields of registry entries as their types declare them: keys of files, and their values there."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from mrv.registry.keys import Key

EMPTY: tuple[Any, ...] = (None, {}, [], ())


class Field(NamedTuple):
    """
    Field of an entry.

    `hint` is its type without annotation and None, `item` that of the rows of a list.  A
    `required` field has no default, and is never None.
    """

    name: str
    key: str
    hint: Any
    item: Any
    mark: Key
    required: bool
    default: Any


def fields_of(kind: Any) -> tuple[Field, ...]:
    """Return the fields of an entry or of a row of it, in the order of files."""
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
            if len(some) > 1:  # kinds of numbers
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
    """Return the keys of an entry in files, without those of flat mappings."""
    return tuple(
        field.key
        for field in fields_of(kind)
        if field.mark.form != "derived" and (field.mark.form != "flat" or field.mark.name)
    )


def plain(entry: Any, **own: Any) -> dict[str, Any]:
    """
    Return an entry, or a row of it, with the keys of files, without empty and default values.

    Parameters
    ----------
    own : by name of the field
        Values in the form of files, where that is not the stored one.
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
