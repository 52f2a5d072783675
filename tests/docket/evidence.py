"""
`python -m tests.docket.evidence`: a true paper or channel costs no more than its accuracy.

Each honest case is closed as it is, and again without each of its plant's invoices, gauges and
second registers.  Whatever is there and true may lower the tonnes by no more than the meters'
accuracy.  A channel that the case distorts is not true.
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


def honest() -> list[str]:
    """Return the honest cases of which every paper is true: none for which a verifier asks."""
    return [n for n, one in cases().items() if one["label"] == "honest" and not one["asked"]]


def lowered(url: str, name: str) -> Iterator[tuple[str, float, float, float]]:
    """Yield what lowers a case's tonnes by being there: tonnes without, with, and the truth."""
    case = cases()[name]
    given = [one.get("on") or () for step in case["do"] for one in step.values()]
    distorted = {name for on in given for name in ([on] if isinstance(on, str) else on)}
    whole = close(url, name, case)
    for what, step in lacking(case["plant"]):
        if what in distorted:
            continue
        # the same month: its seed is of its name
        bare = close(url, name, {**case, "do": [*case["do"], step]})
        if bare.t > whole.t + NEAR * abs(whole.truth_t):
            yield what, bare.t, whole.t, whole.truth_t


def main() -> None:
    """Close cases without each of their papers and channels, and print what lowers them."""
    known = argparse.ArgumentParser(prog="python -m tests.docket.evidence", description=__doc__)
    known.add_argument("names", nargs="*", help="parts of names of honest cases; all without one")
    asked = known.parse_args()
    parts = asked.names or [""]
    with server() as database:
        for name in (one for one in honest() if any(part in one for part in parts)):
            sys.stderr.write(f"{name}\n")
            for what, bare, whole, truth in lowered(database.url, name):
                sys.stdout.write(
                    f"{name}: {what} lowers {bare:.3f} t to {whole:.3f} t of {truth:.3f} t\n"
                )


if __name__ == "__main__":
    main()
