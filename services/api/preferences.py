"""What a caller prefers (RFC 7240): to be answered at once with a job, or to wait so long."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,5})"?')


class Preferences(NamedTuple):
    """
    The preferences that are known here; others are ignored, as the standard asks.

    Attributes
    ----------
    respond_async : bool
        Answer 202 with the address of a job.
    longest_s : float or None
        Wait no longer than this. [s]
    """

    respond_async: bool
    longest_s: float | None

    def wait_s(self, most_s: float) -> float:
        """Return how long to wait, at most `most_s`. [s]"""
        return most_s if self.longest_s is None else min(self.longest_s, most_s)

    @staticmethod
    def of(headers: Iterable[str]) -> Preferences:
        """Read `Prefer` headers; of a preference that is said twice the first counts."""
        said = [
            part.partition(";")[0].strip().lower() for line in headers for part in line.split(",")
        ]
        waits = [match for one in said if (match := _WAIT.fullmatch(one))]
        return Preferences("respond-async" in said, float(waits[0][1]) if waits else None)
