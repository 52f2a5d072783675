"""
Resources that a fleet needs, from measured costs, and its delay after a failure.

    python -m tests.bench stages | tail -1 > costs.json
    python -m tests.bench.capacity --costs costs.json

Without --costs, the figures of measured.json are used, as in docs/cells.md.
"""

import argparse
import json
from pathlib import Path

from tests.bench.capacity_tables import tables

MEASURED = Path(__file__).with_name("measured.json")


def main() -> None:
    """Print the tables of docs/cells.md."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.capacity", description=__doc__)
    parser.add_argument("--costs", type=Path, default=MEASURED)
    print(tables(json.loads(parser.parse_args().costs.read_text())))


if __name__ == "__main__":
    main()
