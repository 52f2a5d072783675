"""
`make bench`: drain, raw COPY, latency, verification; one line of JSON at the end.

The module of each part explains its figures; docs/benchmarks.md has the newest results.
"""

import argparse
import sys
from pathlib import Path

from tests.bench.parts import PARTS, run


def main() -> int:
    """Measure the requested parts; return 1 if a part that could run failed."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--home", type=Path, default=Path(".tonne/bench"))
    options = parser.parse_args()
    return run(options.parts or list(PARTS), options.home)


if __name__ == "__main__":
    sys.exit(main())
