"""Short in `make test`, long in `make soak`: FAULT_ROUNDS above 1 is the soak."""

import os

ROUNDS = float(os.environ.get("FAULT_ROUNDS", "1"))
SOAK = ROUNDS > 1


def often(short: int, long: int) -> int:
    """How often a test does it: `short`, or `long` times FAULT_ROUNDS in the soak."""
    return int(long * ROUNDS) if SOAK else short
