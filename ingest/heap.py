"""
Memory of freed arrays stays in the process for the next arrays (C library heap).

A process that goes through a month of readings makes and frees arrays of the same few sizes
thousands of times.  glibc gives each large one back to the kernel, which has to clear the pages
of the next: a quarter of the time of `tonne verify`.  For processes that end with their work; one
that runs for years gives back what a busy hour took.
Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST = 1 << 30  # [bytes]


def keep_freed() -> None:
    """Keep freed memory for later arrays; no effect on systems without glibc."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_MMAP_THRESHOLD, _MOST)
    mallopt(_TRIM_THRESHOLD, _MOST)
