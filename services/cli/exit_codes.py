"""
What a command's end says: 0 done, 1 the thing checked is false, 2 bad input, 3 no server,
4 consistent, and not enough to rely on (`verify`, `signed verify`, `log monitor`).
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FALSE = 1
    INPUT = 2
    SERVER = 3
    NOT_ENOUGH = 4
    INTERRUPTED = 130  # as shells say it after Ctrl-C
    PIPE = 141  # whoever read our output went away, as shells say it of `yes | head`
