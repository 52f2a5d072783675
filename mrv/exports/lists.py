"""Closed lists of the formats, and countries, from their sources."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def cdop() -> dict[str, Any]:
    """Return enumerations of the Carbon Data Open Protocol's schemas."""
    return _table("cdop_lists.toml")


@cache
def cad_trust() -> dict[str, dict[str, list[str]]]:
    """Return picklists of CAD Trust: `whole` ones, and those of which only a `part` is known."""
    return _table("cad_trust_lists.toml")


def country(code: str) -> str | None:
    """Return the name of a country by its ISO 3166-1 alpha-3 code; None if unknown."""
    name = _countries()["names"].get(code)
    return None if name is None else str(name)


def is_party(code: str) -> bool:
    """Return whether a country is a Party to the Paris Agreement."""
    found = _countries()
    return code in found["names"] and code not in found["not_parties"]


@cache
def _countries() -> dict[str, Any]:
    return _table("countries.toml")


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files(__package__) / name).read_text("utf-8"))
