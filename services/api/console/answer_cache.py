"""
Cache of answers, so that many readers cause one database query.

Results of slow queries are kept longer, at most until the end of the current quarter of an hour, as
expected values to date change then.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_T = TypeVar("_T")
_LEAST_S = 10.0
_TIMES = 20.0
_QUARTER_S = 900
_MOST = 256
_LOCKS = 64


class Memory:
    """Cache of answers by question; the oldest are dropped."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        # questions share locks, so that those which nobody can answer leave none behind
        self._asking = [threading.Lock() for _ in range(_LOCKS)]
        self._lock = threading.Lock()

    def get(self, question: Hashable, find: Callable[[], _T]) -> _T:
        """Return the cached answer, or compute it, one caller at a time."""
        question = (int(time.time() // _QUARTER_S), question)
        with self._asking[hash(question) % _LOCKS]:
            until_s, answer = self._kept.get(question, (0.0, None))
            if time.monotonic() < until_s:
                return answer  # type: ignore[no-any-return]  # of the same question
            began_s = time.monotonic()
            result = find()
            took_s = time.monotonic() - began_s
            with self._lock:
                self._kept[question] = (time.monotonic() + max(_LEAST_S, _TIMES * took_s), result)
                self._kept.move_to_end(question)
                while len(self._kept) > _MOST:
                    self._kept.popitem(last=False)
            return result
