"""
Functions that turn a plant into a case: other events, or false data.

Each is a function of a world and of values in the case's file.  Those of `HAPPENED` are applied
first and are part of the truth; the others change readings, registry or documents.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from tests.docket import (  # noqa: F401 - they list themselves
    distorted_gateways,
    distorted_owners,
    distorted_papers,
    distorted_projects,
    distorted_readings,
    distorted_registry,
    distorted_slips,
    distorted_spans,
    happenings,
)
from tests.docket.distorting import HAPPENED, SAID, Distortion
from tests.docket.world import World

__all__ = ["HAPPENED", "SAID", "apply"]


def apply(
    world: World, steps: list[dict[str, dict[str, Any]]], kinds: dict[str, Distortion]
) -> None:
    """Apply those distortions of a case that are of some kinds, in their order."""
    for name, values in chain.from_iterable(one.items() for one in steps):
        if name in kinds:
            kinds[name](world, **values)
        elif name not in HAPPENED | SAID:
            raise ValueError(
                f"no distortion is called {name!r}; tests/docket/distortions.py has them"
            )
