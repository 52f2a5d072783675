"""
Log lines: JSON for machines, colours for a person at a terminal.

Lines go to standard error, so that standard output stays data.  A logger is
made and handed on; nothing global is configured, and a test or a second
pipeline in the same process may log elsewhere.
"""

import sys
from typing import TextIO, cast

import structlog
from structlog.dev import plain_traceback
from structlog.typing import FilteringBoundLogger, Processor


def get_logger(part: str, *, stream: TextIO | None = None, **bound: object) -> FilteringBoundLogger:
    """
    Logger of one part of a process.

    Parameters
    ----------
    part : str
        Who speaks, such as `run` or `local`; the field `part` of each line.
    stream : TextIO, optional
        Where lines go; standard error unless given.
    **bound
        Further fields of every line.

    Returns
    -------
    FilteringBoundLogger
        `info("stored", rows=12)` and its kin; debug lines are dropped.
    """
    out = sys.stderr if stream is None else stream
    logger = structlog.wrap_logger(
        structlog.WriteLogger(out),
        processors=_processors(out),
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    ).bind(part=part, **bound)
    return cast("FilteringBoundLogger", logger)


def _processors(out: TextIO) -> list[Processor]:
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # plain tracebacks: the fancy ones print local variables, and so passwords
    if out.isatty():
        return [*shared, structlog.dev.ConsoleRenderer(exception_formatter=plain_traceback)]
    # bytes and times have no JSON form of their own; an odd field must not stop a process
    renderer = structlog.processors.JSONRenderer(default=repr, ensure_ascii=False)
    return [*shared, structlog.processors.format_exc_info, renderer]
