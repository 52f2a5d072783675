"""
Time of a measurement, corrected by uptime where the gateway's clock is wrong.

Beside the wall clock each message keeps the machine's uptime and the name of its
boot.  Once tonne has said what time it is, the true time of everything recorded in
this boot follows from the uptime, whatever the wall clock said or was set to since.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

# a clock within this is trusted: the way there and back takes its time too
TRUSTED_MS = 120_000


class Moment(NamedTuple):
    """Wall clock, uptime, and the boot that the uptime counts from. [ms]"""

    wall_ms: int
    uptime_ms: int
    boot: str


def boot_id() -> str:
    """Return the name of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class Clock:
    """The clock of this machine, and what tonne said of it."""

    def __init__(self) -> None:
        self.boot = boot_id()
        self._true_minus_uptime: int | None = None

    def now(self) -> Moment:
        """Return this moment, as this machine sees it."""
        uptime = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        return Moment(time.time_ns() // 1_000_000, uptime, self.boot)

    def correct(self, true_ms: int) -> int:
        """
        Take the time from tonne; return how far this machine is ahead of it. [ms]

        Within `TRUSTED_MS` our own clock goes on to count.
        """
        now = self.now()
        ahead = now.wall_ms - true_ms
        wrong = abs(ahead) > TRUSTED_MS
        self._true_minus_uptime = true_ms - now.uptime_ms if wrong else None
        return ahead

    def true_ms(self, moment: Moment) -> int:
        """Return the best that is known of when a moment was. [ms UTC]"""
        if self._true_minus_uptime is None or moment.boot != self.boot:
            return moment.wall_ms
        return self._true_minus_uptime + moment.uptime_ms
