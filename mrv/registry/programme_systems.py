"""
The systems of the programme: which methodology counts each, or why none does.

A system without a methodology has no tonnes: null, never 0.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from mrv.methodologies import find as methodology

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class System:
    """
    A pilot or project of the programme.

    `reason` says why there is no methodology, where there is none; `annex` is the
    measure of Decree 112/2026 where its Annex I names one.
    """

    id: str
    title: str
    methods: tuple[str, ...]
    reason: str | None = None
    annex: str | None = None
    note: str | None = None


@cache
def load() -> Mapping[str, System]:
    """
    Read all systems.

    Raises
    ------
    MethodologyError
        If one names a methodology that is not there.
    """
    text = (resources.files(__package__) / "programme_systems.toml").read_text("utf-8")
    found: dict[str, System] = {}
    for entry in tomllib.loads(text)["system"]:
        one = System(**{**entry, "methods": tuple(entry["methods"])})
        for identifier in one.methods:
            methodology(identifier)
        found[one.id] = one
    return MappingProxyType(found)


def goes_by_time(identifier: str) -> bool:
    """Whether a methodology's baseline goes by time, so that no interval has tonnes."""
    return methodology(identifier).by_time
