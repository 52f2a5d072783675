"""
`python -m tests.docket.evidence`: a true document or channel lowers the tonnes by no more than its
accuracy.

Each honest case is closed unchanged, and again without each of its plant's invoices, documents,
laboratory results, check meters, gauges and second registers, and without each that the case itself
adds.  A true item may lower the tonnes by no more than the meters' accuracy.  Items that the case
distorts are not true.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ingest import classes
from mrv.methodologies import find
from mrv.rules.plausible_values import is_monitored
from tests.docket.cases import cases
from tests.docket.closing import close, server
from tests.docket.world import plant

# of the truth: two meters of class 0.5, and what tonnes are rounded by
NEAR = 0.01
Step = dict[str, dict[str, Any]]
# what of a case is more evidence, and nothing else
_MORE = {"checked", "billed_too", "documented", "diagram"}


def lacking(case: Mapping[str, Any]) -> Iterator[tuple[str, list[Step]]]:
    """Yield items that a case can do without, and its distortions without each."""
    do, names = case["do"], _distorted(case)
    for place, step in enumerate(do):
        if step.keys() <= _MORE:
            yield f"{step}", [*do[:place], *do[place + 1 :]]
    for what, step in _of_plant(case["plant"]):
        if what not in names:
            yield what, [*do, step]


def _distorted(case: Mapping[str, Any]) -> set[str]:
    """Return the channels, values and documents that a case's distortions name."""
    found = set[str]()
    for word, given in (pair for step in case["do"] for pair in step.items()):
        for key in ("on", "of"):
            some = given.get(key) or ()
            found |= {some} if isinstance(some, str) else {*some}
        found |= given.keys() if word in ("typed", "typed_later") else set()
    return found


def _of_plant(name: str) -> Iterator[tuple[str, Step]]:
    """
    Yield items of a plant that its methodology does not require, and the distortion that removes
    each.
    """
    said = plant(name)
    method = find(said["methodology"], said["version"])
    values = dict.fromkeys(said.get("parameters", {}))
    for one in said["devices"]:
        values |= dict.fromkeys(one.get("bound", {}))
        if "check_of" in one:
            yield one["id"], {"unchecked": {"device": one["id"]}}
        if "role" not in one:
            continue
        channels = classes.load()[one["class"]].channels
        needs = method.roles[one["role"]]
        if "invoice" in one:
            yield f"invoice of {one['id']}", {"no_invoices": {"of": [one["id"]]}}
        for channel in (*one.get("makes", {}), *one.get("shows", {})):
            # what a methodology needs is not evidence beside it
            if channels[channel].quantity not in (needs.quantity, needs.less) or (
                channel in one.get("shows", {})
            ):
                on = f"{one['id']}.{channel}"
                yield on, {"without": {"on": on}}
    for value in (one for one in values if one != "accept_factors"):
        yield value, {"documents": {"of": [value]}}
        if value in method.parameters and is_monitored(method.parameters[value]):
            yield f"results of {value}", {"laboratory": {"of": [value]}}


def honest() -> list[str]:
    """
    Return the honest cases in which every document is true, and for
    which no verifier would ask.
    """
    return [n for n, one in cases().items() if one["label"] == "honest" and not one["asked"]]


def lowered(
    url: str, name: str, most: int | None = None, seed: int = 0
) -> Iterator[tuple[str, float, float, float]]:
    """
    Yield items whose presence lowers a case's tonnes: tonnes without, with, and the truth.

    `most` items are tried, drawn by a seed; all if None.
    """
    case = cases()[name]
    some = [*lacking(case)]
    if most is not None and len(some) > most:
        some = random.Random(f"{seed} {name}").sample(some, most)  # noqa: S311
    whole = close(url, name, case)
    for what, do in some:
        # the same month: its seed is of its name
        bare = close(url, name, {**case, "do": do})
        if bare.t > whole.t + NEAR * abs(whole.truth_t):
            yield what, bare.t, whole.t, whole.truth_t


def main() -> None:
    """
    Close cases without each of their documents and channels, and print the items that lower the
    tonnes.
    """
    known = argparse.ArgumentParser(prog="python -m tests.docket.evidence", description=__doc__)
    known.add_argument("names", nargs="*", help="parts of names of honest cases; all without one")
    known.add_argument("--most", type=int, metavar="N", help="try so many of each case")
    known.add_argument("--seed", type=int, default=0, help="by which these are drawn")
    asked = known.parse_args()
    parts = asked.names or [""]
    with server() as database:
        for name in (one for one in honest() if any(part in one for part in parts)):
            sys.stderr.write(f"{name}\n")
            for what, bare, whole, truth in lowered(database.url, name, asked.most, asked.seed):
                sys.stdout.write(
                    f"{name}: {what} lowers {bare:.3f} t to {whole:.3f} t of {truth:.3f} t\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
