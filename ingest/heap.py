"""
Memory settings of Python and of the C library.

glibc returns large freed arrays to the kernel, which must clear the pages of the next array.  This
takes a quarter of the time of `tonne verify`.  Arrow's own allocator does the same with each column
that it reads.  `keep_freed` is only for short-lived processes, as memory is not returned.  Source:
mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD; Apache Arrow, ARROW_DEFAULT_MEMORY_POOL.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST = 1 << 30  # [bytes]
_SELDOM = 20_000


def collect_seldom() -> None:
    """
    Make Python's cycle collector run rarely and skip modules loaded so far.

    Messages and rows create no cycles; the default rate took a seventh of a storing process's time,
    and a fifteenth of a verification's.
    """
    gc.freeze()
    gc.set_threshold(_SELDOM)


def keep_freed() -> None:
    """Keep freed memory for later arrays (glibc only), and run the cycle collector rarely."""
    collect_seldom()
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_MMAP_THRESHOLD, _MOST)
    mallopt(_TRIM_THRESHOLD, _MOST)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if (arrow := sys.modules.get("pyarrow")) is not None:  # Arrow reads the variable only once
        arrow.set_memory_pool(arrow.system_memory_pool())
