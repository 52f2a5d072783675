"""
The only place where a process reads the wall clock.

Stored times are whole microseconds since 1970-01-01 UTC.  Calculations get times as arguments, so
that a rebuild gives the same rows.
"""

import time


def now_us() -> int:
    """
    Return the wall clock in UTC. [us]

    Returns: time since 1970-01-01T00:00:00Z. [us]
    """
    return time.time_ns() // 1_000
