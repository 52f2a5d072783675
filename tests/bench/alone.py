"""A benchmark run separately: its own servers, and its figures as one line of JSON."""

import argparse
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.running import Pipeline

Figures = dict[str, float]


class Measured(Pipeline):
    """Servers and commands whose time and memory are measured."""

    anew = True


@contextmanager
def servers(home: Path) -> Iterator[Pipeline]:
    """Yield servers in an empty folder, which is removed after success."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    pipeline = Measured(home.resolve())
    try:
        yield pipeline
    finally:
        pipeline.close()
    shutil.rmtree(home, ignore_errors=True)


def tell(figures: Mapping[str, float | None]) -> None:
    """Print figures as one line of JSON."""
    print(json.dumps({k: v if v is None else round(v, 3) for k, v in figures.items()}))


def options(name: str, doc: str | None) -> argparse.ArgumentParser:
    """Return the options of `python -m tests.bench.NAME`: `--home`, and those of the caller."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.bench.{name}", description=doc)
    parser.add_argument("--home", type=Path, default=Path(f".tonne/bench/{name}"))
    return parser


def alone(
    parser: argparse.ArgumentParser, run: Callable[[Pipeline, argparse.Namespace], Figures]
) -> None:
    """Read the options, measure, print the figures."""
    asked = parser.parse_args()
    with servers(asked.home) as pipeline:
        figures = run(pipeline, asked)
    tell(figures)
