"""
Inputs of a close as plain JSON, and back.

A dataclass is an object of its fields by name, without fields of default value.  A column of
numbers is its first number and the differences from each to the next, `[difference, times]` for
repeated ones.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import groupby

import numpy as np

from ingest import model as ingested
from ingest.model import MARK_FIELDS, Fleet, IntervalRows
from mrv import model, registry, texts
from mrv.registry import project

_TYPES = {
    name: kind
    for module in (registry, ingested, model, project, texts)
    for name, kind in vars(module).items()
    if is_dataclass(kind) or hasattr(kind, "_fields")
} | {"Fleet": Fleet}

# names in the stored facts where the code has others
_STORED = {
    "SupportingData": "Besides",
    "SupportingData.required": "asked",
    "SupportingData.uncorroborated": "unshown",
    "SupportingData.uncorroborated_values": "unshown_values",
    "SupportingData.unrecorded": "untold",
    "Uncorroborated": "Unshown",
    "RequiredGrades": "Asked",
    "Measured.text": "told",
    "Clocked.reported_h": "told_h",
}
# by kind ("" for kinds themselves) and stored name
_OWN = {
    ("" if "." not in own else own.partition(".")[0], stored): own.rpartition(".")[2]
    for own, stored in _STORED.items()
}


def plain(value):
    """Return an input as JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    for kind, write in _WRITTEN.items():
        if isinstance(value, kind):
            return write(value)
    if type(value).__name__ in _TYPES:
        return _record(value)
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    raise TypeError(f"{value!r} has no plain form; give it one in tests/closes/plain.py")


def _mapping(value):
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: plain(one) for key, one in value.items()}
    return {"$map": [[plain(key), plain(one)] for key, one in value.items()]}


def _record(value):
    names = value._fields if isinstance(value, tuple) else [f.name for f in fields(value)]
    usual = {} if isinstance(value, tuple) else {f.name: _default(f) for f in fields(value)}
    left_out = MARK_FIELDS if isinstance(value, IntervalRows) else ()  # metering's, not a close's
    kind = type(value).__name__
    return {"$": _STORED.get(kind, kind)} | {
        _STORED.get(f"{kind}.{name}", name): plain(getattr(value, name))
        for name in names
        if name not in left_out and not _same(getattr(value, name), usual.get(name, MISSING))
    }


def _default(field):
    return field.default if field.default_factory is MISSING else field.default_factory()


def _same(one, other):
    return not isinstance(one, np.ndarray) and type(one) is type(other) and one == other


def _column(array):
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"a column of {array.dtype}; give it a plain form in tests/closes/plain.py")
    steps = []
    for step, same in groupby(np.diff(array.astype(np.int64)).tolist()):
        times = len(list(same))
        steps += [step] if times == 1 else [[step, times]]
    kept = {"$ints": [int(array[0]), *steps] if len(array) else []}
    return kept if array.dtype == np.int64 else {**kept, "as": str(array.dtype)}


def fact(value):
    """Return the input from `plain`."""
    if isinstance(value, list):
        return tuple(fact(one) for one in value)
    if not isinstance(value, dict):
        return value
    if "$ints" in value:
        return _numbers(value["$ints"], value.get("as", "int64"))
    if "$" in value:
        kind = _OWN.get(("", value["$"]), value["$"])
        fields = {_OWN.get((kind, k), k): fact(v) for k, v in value.items() if k != "$"}
        return _TYPES[kind](**fields)
    tag = next(iter(value), "")
    return _READ[tag](value[tag]) if tag in _READ else {k: fact(one) for k, one in value.items()}


def _numbers(steps, kind):
    if not steps:
        return np.zeros(0, dtype=kind)
    pairs = [step if isinstance(step, list) else (step, 1) for step in steps]
    rises, times = np.array(pairs, dtype=np.int64).T
    return np.cumsum(np.repeat(rises, times)).astype(kind)


_WRITTEN = {
    Decimal: lambda one: {"$decimal": str(one)},
    Fraction: lambda one: {"$fraction": str(one)},
    date: lambda one: {"$date": str(one)},
    np.ndarray: _column,
    np.integer: int,
    Fleet: lambda one: {"$": "Fleet", "devices": plain(tuple(one.devices))},
    frozenset: lambda one: {"$set": [plain(each) for each in sorted(one)]},
    list: lambda one: {"$list": [plain(each) for each in one]},
    Mapping: _mapping,
}
_READ = {
    "$decimal": Decimal,
    "$fraction": Fraction,
    "$date": date.fromisoformat,
    "$set": lambda found: frozenset(fact(found)),
    "$list": lambda found: list(fact(found)),
    "$map": lambda found: {fact(key): fact(one) for key, one in found},
}
