"""Waiting until a condition is true, never for a fixed time."""

import time


def until(holds, patience_s=180.0, what="", pause_s=0.1):
    """
    Ask until the answer is true, and return it.

    Parameters
    ----------
    holds : callable
    patience_s : float
        After which the test fails. [s]
    what : str or callable
        What to say then; else what the answer still is.
    pause_s : float
        Between two questions. [s]
    """
    end = time.monotonic() + patience_s
    while not (found := holds()):
        assert time.monotonic() < end, (what() if callable(what) else what) or f"still {found!r}"
        time.sleep(pause_s)
    return found
