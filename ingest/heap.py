"""
Memory setting of the C library: freed arrays stay in the process for the next arrays.

glibc returns large freed arrays to the kernel, which must clear the pages of the next: a quarter of
the time of `tonne verify`.  Only for short-lived processes, as memory is not returned. Source:
mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
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
