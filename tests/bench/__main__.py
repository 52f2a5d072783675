"""
`make bench`: drain, raw COPY, latency, verification; one line of JSON at the end.

What each figure means stands in the module of its part; docs/benchmarks.md has the newest.
"""

import argparse
import sys
from pathlib import Path

from tests.bench.parts import PARTS, run


def main() -> int:
    """Measure the parts asked for; 1 where one failed that could run."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--home", type=Path, default=Path(".tonne/bench"))
    options = parser.parse_args()
    return run(options.parts or list(PARTS), options.home)


if __name__ == "__main__":
    sys.exit(main())
