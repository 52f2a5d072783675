"""
The tools: published procedures whose result is a factor, one small file each.

A file declares `TOOL`; nothing else has to know its name.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from mrv.model import Tool

__all__ = ["load"]


@cache
def load() -> Mapping[str, Tool]:
    """All tools by id."""
    modules = (
        import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
    )
    found: list[Tool] = [module.TOOL for module in modules]
    return MappingProxyType({tool.id: tool for tool in sorted(found, key=lambda t: t.id)})
