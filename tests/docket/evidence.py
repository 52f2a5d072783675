"""
`python -m tests.docket.evidence`: a true paper or channel costs no more than its accuracy.

Each plant is closed as it is, and again without each of its invoices, gauges and second registers.
Whatever is there and true may lower the tonnes by no more than the meters' accuracy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from ingest import classes
from mrv.methodologies import find
from tests.docket.cases import cases
from tests.docket.closing import close, server
from tests.docket.world import plant

# of the truth: two meters of class 0.5, and what tonnes are rounded by
NEAR = 0.01
Step = dict[str, dict[str, Any]]


def lacking(name: str) -> Iterator[tuple[str, Step]]:
    """Yield what a plant may lack, and the distortion that takes it away."""
    said = plant(name)
    method = find(said["methodology"], said["version"])
    for one in (one for one in said["devices"] if "role" in one):
        channels = classes.load()[one["class"]].channels
        needs = method.roles[one["role"]]
        if "invoice" in one:
            yield f"invoice of {one['id']}", {"no_invoices": {"of": [one["id"]]}}
        for channel in (*one.get("makes", {}), *one.get("shows", {})):
            # what a methodology needs is no evidence beside it
            if channels[channel].quantity not in (needs.quantity, needs.less) or (
                channel in one.get("shows", {})
            ):
                on = f"{one['id']}.{channel}"
                yield on, {"without": {"on": on}}


def lowered(url: str, name: str) -> Iterator[tuple[str, float, float, float]]:
    """Yield what lowers a plant's tonnes by being there: tonnes without, with, and the truth."""
    case = cases()[f"{name}/as-it-is"]
    whole = close(url, f"{name}/as-it-is", case)
    for what, step in lacking(name):
        # the same month: its seed is of its name
        bare = close(url, f"{name}/as-it-is", {**case, "do": [step]})
        if bare.t > whole.t + NEAR * abs(whole.truth_t):
            yield what, bare.t, whole.t, whole.truth_t


def main() -> None:
    """Close plants without each of their papers and channels, and print what lowers them."""
    known = argparse.ArgumentParser(prog="python -m tests.docket.evidence", description=__doc__)
    known.add_argument("plants", nargs="*", help="names of plants; all without one")
    asked = known.parse_args()
    every = sorted({case["plant"] for case in cases().values()})
    with server() as database:
        for name in asked.plants or every:
            sys.stderr.write(f"{name}\n")
            for what, bare, whole, truth in lowered(database.url, name):
                sys.stdout.write(
                    f"{name}: {what} lowers {bare:.3f} t to {whole:.3f} t of {truth:.3f} t\n"
                )


if __name__ == "__main__":
    main()
