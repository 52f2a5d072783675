"""
The only place where a process reads the wall clock.

Stored times are whole microseconds since 1970-01-01 UTC.  Calculations get times as arguments, so
that a rebuild gives the same rows.
"""

import time


def now_us() -> int:
    """Return the wall clock in UTC. [us since 1970-01-01]"""
    return time.time_ns() // 1_000
