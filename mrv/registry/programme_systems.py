"""
The systems of the programme: the methodology of each, or the reason for none.

A system without a methodology has no tonnes: null, never 0.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class System:
    """
    A pilot or project of the programme.

    `reason`: why there is no methodology; `annex`: the measure in Annex I of Decree 112/2026, if
    listed.
    """

    id: str
    title: str
    methods: tuple[str, ...]
    reason: str | None = None
    annex: str | None = None
    note: str | None = None


@cache
def load() -> Mapping[str, System]:
    """Return all systems by id."""
    text = (resources.files(__package__) / "programme_systems.toml").read_text("utf-8")
    entries = tomllib.loads(text)["system"]
    return MappingProxyType(
        {entry["id"]: System(**{**entry, "methods": tuple(entry["methods"])}) for entry in entries}
    )
