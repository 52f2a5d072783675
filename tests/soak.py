"""Sizes of tests: short in `make test`, long in `make soak` (FAULT_ROUNDS above 1)."""

import os
from collections.abc import Sequence

ROUNDS = float(os.environ.get("FAULT_ROUNDS", "1"))
SOAK = ROUNDS > 1


def pairs(names: Sequence[str], kinds: Sequence[str]) -> list[tuple[str, str]]:
    """Pair names with kinds: a third of all, in turns; all in the soak."""
    return [
        (name, kind)
        for i, name in enumerate(names)
        for j, kind in enumerate(kinds)
        if SOAK or (i + j) % 3 == 0
    ]


def often(short: int, long: int) -> int:
    """Return the number of repetitions: `short`, or `long` times FAULT_ROUNDS in the soak."""
    return int(long * ROUNDS) if SOAK else short
