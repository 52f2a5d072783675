"""
The parts of `make bench`, and their requirements besides the servers of `tonne local`.

A part that cannot run here, or fails, is null in the line of JSON, and is named with its reason on
standard error; the others continue.
"""

import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from services.local import brokers
from tests.apache_kafka import APACHE
from tests.bench.alone import Figures, servers, tell


def _kafka() -> str | None:
    found = APACHE or brokers.binary()
    return None if found else "the Kafka-compatible broker is missing; run: make tools"


class Part(NamedTuple):
    """A module with a function `measure`, and a function that says why it cannot run here."""

    module: str
    lacks: Callable[[], str | None] = lambda: None


PARTS = {
    "drain": Part("tests.bench.drain"),
    "drain_kafka": Part("tests.bench.drain_kafka", _kafka),
    "latency": Part("tests.bench.latency"),
    "latency_kafka": Part("tests.bench.latency_kafka", _kafka),
    "growth": Part("tests.bench.growth"),
    "sealing": Part("tests.bench.sealing"),
    "steady": Part("tests.bench.steady", _kafka),
    "returning": Part("tests.bench.returning"),
    "verification": Part("tests.bench.verification"),
    "accounting": Part("tests.bench.accounting"),
    "codecs": Part("tests.bench.codecs"),
    "api": Part("tests.bench.api"),
    "closing": Part("tests.bench.closing"),
    "stages": Part("tests.bench.stages", _kafka),
    "year": Part("tests.bench.year"),
}


class CannotRunError(Exception):
    """The machine lacks a requirement of a part."""


def run(names: Sequence[str], home: Path, parts: dict[str, Part] = PARTS) -> int:
    """Measure parts one after another and print their figures; return 1 if one failed."""
    figures: dict[str, float | None] = {}
    failed = 0
    try:
        for name in names:
            try:
                figures |= measured(parts[name], (home / name).resolve())
            except CannotRunError as reason:
                figures[name] = None
                print(f"{name} cannot run here: {reason}", file=sys.stderr, flush=True)
            except Exception:  # noqa: BLE001 - the parts behind it have figures of their own
                figures[name], failed = None, 1
                traceback.print_exc()
                print(f"{name} failed", file=sys.stderr, flush=True)
    finally:
        tell(figures)
    return failed


def measured(part: Part, home: Path) -> dict[str, float]:
    """
    Return the figures of a part, on separate servers that are removed afterwards.

    Raises
    ------
    CannotRunError
        When the machine lacks a program or a package that it needs.
    """
    lacking = part.lacks()
    if lacking is not None:
        raise CannotRunError(lacking)
    try:
        module = import_module(part.module)
    except ImportError as error:
        raise CannotRunError(f"{error}; run `make setup`") from error
    with servers(home) as pipeline:
        figures: Figures = module.measure(pipeline)
    return figures
