"""Documents on which values of a project's parameters rest, and factors of a country."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

from services.registry.entries import DOCUMENT, SIGNED, STATED
from services.registry.fields import Row

_DIGITS = 18  # of a stated value, before or after the point


def read(row: Row) -> dict[str, str | dict[str, Any]] | None:
    """
    Read the documents of a project's parameters, by parameter; None where it names none.

    Each is a text, or `document`, `by`, `issued`, `sha256` and `value` by themselves; what is wrong
    becomes a problem of the row.
    """
    if not row.has("documents"):
        return None
    found: dict[str, str | dict[str, Any]] = {}
    for key, given in row.mapping("documents").items():
        if isinstance(given, str) and given.strip():
            found[key] = given
        elif isinstance(given, dict):
            found[key] = _read(row, key, given, known=(*DOCUMENT, STATED, SIGNED))
        else:
            row.problem("documents", f"{key} = {given!r} must be text: number and place of it")
    return found


def stated(row: Row) -> dict[str, str] | None:
    """Read the document of a factor; None where it names none."""
    if not row.has("document"):
        return None
    found = _read(row, "document", row.mapping("document"), "document")
    lacking = [name for name in DOCUMENT if name not in found]
    if lacking and not row.problems:
        row.problem("document", f"{', '.join(lacking)} is missing; a factor's document needs all")
    return found


def _read(
    row: Row,
    key: str,
    given: dict[str, Any],
    column: str = "documents",
    known: tuple[str, ...] = DOCUMENT,
) -> dict[str, Any]:
    for name in sorted(given.keys() - set(known), key=str):
        row.problem(column, f"{key}: unknown key {name!r}; known: {', '.join(known)}")
    issued = given.get("issued")
    texts = {k: v.isoformat() if isinstance(v, date) else v for k, v in given.items()}
    values: dict[str, Any] = {}
    if STATED in known and STATED in texts:
        values[STATED] = _numbers(row, key, texts.pop(STATED), column)
    for name, value in texts.items():
        if not isinstance(value, str) or not value.strip():
            row.problem(column, f"{key}: {name} = {value!r} must be text")
            return {}
    if "document" not in texts:
        row.problem(column, f"{key}: document is missing; give its title and number")
    if issued is not None and not _is_day(texts["issued"]):
        row.problem(column, f"{key}: issued = {issued!r} is not a date such as 2025-03-01")
    if "sha256" in texts and not re.fullmatch("[0-9a-f]{64}", texts["sha256"]):
        row.problem(column, f"{key}: sha256 = {texts['sha256']!r} is no SHA-256: 64 digits 0-9 a-f")
    return {name: texts[name] for name in known if name in texts} | values


def _numbers(row: Row, key: str, given: object, column: str) -> str | dict[str, str]:
    """Return a stated value, or one for each device, as exact decimal text."""
    if isinstance(given, dict):
        return {str(device): _number(row, key, one, column) for device, one in given.items()}
    return _number(row, key, given, column)


def _number(row: Row, key: str, given: object, column: str) -> str:
    """Return a stated value as exact decimal text; what is not a number becomes a problem."""
    with suppress(ArithmeticError):
        number = Decimal(str(given))
        if number.is_finite() and abs(number.adjusted()) <= _DIGITS:
            return format(number.normalize(), "f")
    row.problem(column, f"{key}: value = {given!r} is not a number; give what the document states")
    return "0"


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
