"""A reader that went away, such as `head`: no error, and nothing more to say to it."""

from __future__ import annotations

import os
import select
import sys

_STDOUT = 1


def reader_is_gone() -> bool:
    """Tell whether our own output has no reader, and no connection to a server broke."""
    poll = select.poll()
    poll.register(_STDOUT, 0)  # errors and hang-ups are always told
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def say_no_more() -> None:
    """Send what is still in buffers to nowhere, so that Python does not complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDOUT)
    os.close(nowhere)
    sys.stdout.flush()
