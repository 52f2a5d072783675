"""Inputs of a calculation: a JSON file with exact numbers, each key once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ingest.json_faults import describe_fault
from mrv.errors import MethodologyError


def name_of(file: Any) -> str:
    """Return the name of an open file; not every standard input has one."""
    return str(getattr(file, "name", "<stdin>"))


def read_json(file: Any, wanted: Mapping[str, Any], asked: str) -> object:
    """
    Read a file of inputs.

    Parameters
    ----------
    file : binary file
    wanted : mapping
        Specification of the inputs, by key.
    asked : str
        Id of what is to be computed, for the error.

    Raises
    ------
    MethodologyError
        If it is not JSON, holds a key twice, or wraps the inputs once more.
    """
    name = name_of(file)
    try:
        document: object = json.loads(
            file.read().decode("utf-8-sig"),
            parse_float=Decimal,
            parse_constant=Decimal,
            object_pairs_hook=_once,
        )
    except MethodologyError as error:
        raise MethodologyError(f"{name}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise MethodologyError(f"{name}: not JSON in UTF-8: {describe_fault(error)}") from None
    if isinstance(document, dict) and "inputs" in document and "inputs" not in wanted:
        raise MethodologyError(
            f"{name}: 'inputs' is no key of {asked}; give the object that stands under"
            " 'inputs', without what is around it"
        )
    return document


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise MethodologyError(f"key {twice!r} comes twice; give it once")
    return result
