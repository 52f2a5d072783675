"""
Factors in an evidence pack: every field, and the hash named by a statement.

A pack contains all factors of each kind used, so that the selection (year, provisional or not) can
be repeated from the pack alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from mrv.errors import FactorError
from mrv.factors import FactorBook, kinds_in, load, national, parse_entry
from mrv.model import Factor

_DATES = ("valid_from", "valid_to")
_NUMBERS = ("value", "unit", "direction", *_DATES)
# fields that most factors do not have
_MORE = ("bound", "supersedes")
# whose it is and whose its document, which no hash of a factor covers
_MARKS = ("brought", "documented")


def records_of(kinds: Iterable[str], book: Iterable[Factor]) -> list[dict[str, Any]]:
    """Return the records of all factors of some kinds, in the factor book's order."""
    required, grid = set(kinds), getattr(book, "grid", None)
    wanted = required.union(*(kinds_in(national(kind)[0], grid) for kind in required))
    return [to_record(factor) for factor in book if factor.kind in wanted]


def to_record(factor: Factor) -> dict[str, Any]:
    """Return a factor as JSON: the hashed fields, and the hash."""
    texts = {"id", "kind", "unit", "direction", "source", "certainty", "verified", "sha256"}
    record = {name: getattr(factor, name) for name in sorted(texts)}
    record["value"] = factor.text
    for name in _DATES:
        day = getattr(factor, name)
        if day is not None:
            record[name] = day.isoformat()
    for name in (*_MORE, *_MARKS):
        if getattr(factor, name):
            record[name] = getattr(factor, name)
    if factor.document is not None:
        record["document"] = factor.document._asdict()
    if factor.calculation is not None:
        record["calculation"] = factor.calculation._asdict()
    return record


def factor_of(record: Mapping[str, Any], name: str = "registry") -> Factor:
    """
    Return a factor from fields with dates as text and without hash; errors mention `name`.

    Raises
    ------
    FactorError
        If a field is missing or malformed.
    """
    entry = {key: value for key, value in record.items() if key != "sha256"}
    for key in _DATES:
        if key in entry:
            entry[key] = _date(entry[key], record)
    return parse_entry(entry, name)


def from_record(record: Mapping[str, Any]) -> Factor:
    """
    Return the factor that `to_record` wrote.

    Raises
    ------
    FactorError
        If a field is missing or malformed, or the hash is not of these fields.
    """
    marked = {name: record.get(name, False) for name in _MARKS}
    for name, mark in marked.items():
        if not isinstance(mark, bool):
            raise FactorError(
                f"factors.json: factor {record.get('id')!r}: {name} = {mark!r} must be true or"
                " false"
            )
    fields = {key: value for key, value in record.items() if key not in _MARKS}
    factor = replace(factor_of(fields, "factors.json"), **marked)
    if factor.sha256 != record.get("sha256"):
        raise FactorError(
            f"factor {factor.id!r} has hash {factor.sha256}, but its record has "
            f"{record.get('sha256')!r}: a field was changed; obtain the pack again from its sender"
        )
    return factor


def _date(text: object, record: Mapping[str, Any]) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise FactorError(
            f"factor {record.get('id')!r} has the date {text!r}; write 2026-01-31"
        ) from None


def book_of(records: Iterable[Mapping[str, Any]]) -> FactorBook:
    """Return the factor book of a pack; raises FactorError as `from_record`."""
    return FactorBook(from_record(record) for record in records)


def unpublished(factors: Iterable[Factor]) -> list[str]:
    """
    Return the ids of factors not published by this version of tonne but read from a registry
    file.
    """
    return sorted(factor.id for factor in _unknown(factors))


def unmarked(factors: Iterable[Factor]) -> list[str]:
    """Return the ids of factors that this version does not publish and no registry file states."""
    return sorted(factor.id for factor in _unknown(factors) if not factor.brought)


def _unknown(factors: Iterable[Factor]) -> list[Factor]:
    own = {factor.id for factor in load()}
    return [factor for factor in factors if factor.id not in own]


def departures(factors: Iterable[Factor]) -> list[str]:
    """
    Return the factors of a pack that differ from those published by this version of tonne.

    The text of a source may differ; number, unit, direction and validity must be equal.
    """
    own = {factor.id: factor for factor in load()}
    result = []
    for factor in factors:
        published = own.get(factor.id)
        if published is None:
            continue
        parameters, known = to_record(factor), to_record(published)
        result += [
            f"factor {factor.id!r}: {name} is {parameters.get(name)!r}, published:"
            f" {known.get(name)!r}"
            for name in _NUMBERS
            if parameters.get(name) != known.get(name)
        ]
    return result
