"""
Loggers: JSON lines for machines, colours in a terminal.

Lines go to standard error.  Loggers are passed as arguments; nothing is configured globally.
"""

import logging
import sys
import threading
import time
from typing import Self, TextIO, cast

import structlog
from structlog.dev import plain_traceback
from structlog.typing import FilteringBoundLogger, Processor


def get_logger(part: str, *, stream: TextIO | None = None, **bound: object) -> FilteringBoundLogger:
    """
    Return the logger of one part of a process.

    `part`: name such as `run` or `local`; the field `part` of each line.
    `stream`: output; standard error by default.
    `**bound`: further fields of every line.

    Returns: `info("stored", rows=12)` and similar; debug lines are dropped.
    """
    out = sys.stderr if stream is None else stream
    logger = structlog.wrap_logger(
        structlog.WriteLogger(out),
        processors=_processors(out),
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    ).bind(part=part, **bound)
    return cast("FilteringBoundLogger", logger)


LIBRARIES = ("aiokafka", "kafka", "faust", "mode", "asyncio")
# time in which a repeated message of a library is logged once, with the number of repetitions [s]
SAME_S = 30.0
BURST, A_SECOND = 5.0, 0.5  # maximum lines of libraries at once, and per second on average


class LibraryLog(logging.Handler):
    """
    Log lines of libraries in tonne's form, each message at limited frequency.

    A Kafka client logs each failed connection attempt, thousands of lines a minute while a broker
    is unreachable.  Messages are equal if they differ only in values.

    `names`: loggers handled while the block runs.
    """

    def __init__(self, log: FilteringBoundLogger, names: tuple[str, ...] = LIBRARIES) -> None:
        super().__init__(logging.WARNING)
        self._log, self._names = log, names
        self._logged_s: dict[tuple[str, str], float] = {}
        self._suppressed: dict[tuple[str, str], int] = {}
        self._left, self._last_s = BURST, time.monotonic()
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        """Attach to the loggers."""
        for name in self._names:
            logging.getLogger(name).addHandler(self)
            logging.getLogger(name).propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        """Detach from the loggers."""
        for name in self._names:
            logging.getLogger(name).removeHandler(self)
            logging.getLogger(name).propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        """Log a message, unless an equal one was logged recently."""
        key = (record.name, str(record.msg)[:200])
        with self._guard:
            now_s = time.monotonic()
            self._left = min(BURST, self._left + (now_s - self._last_s) * A_SECOND)
            self._last_s = now_s
            if now_s - self._logged_s.get(key, float("-inf")) < SAME_S or self._left < 1:
                self._suppressed[key] = self._suppressed.get(key, 0) + 1
                return
            self._logged_s[key] = now_s
            self._left -= 1
            count = self._suppressed.pop(key, 0) + 1
        error = record.exc_info[1] if record.exc_info else None
        more: dict[str, object] = {} if error is None else {"error": repr(error)[:300]}
        write = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        write(" ".join(record.getMessage().split())[:500], logger=record.name, count=count, **more)


def _processors(out: TextIO) -> list[Processor]:
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # plain tracebacks, since formatted ones print local variables and so passwords
    if out.isatty():
        return [*shared, structlog.dev.ConsoleRenderer(exception_formatter=plain_traceback)]
    # bytes and times have no JSON form; an unusual field must not stop a process
    renderer = structlog.processors.JSONRenderer(default=repr, ensure_ascii=False)
    return [*shared, structlog.processors.format_exc_info, renderer]
