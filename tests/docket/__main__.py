"""
`python -m tests.docket`: every rule against labelled honest and fraudulent cases.

Parts of names select cases.  Their results are written to `results.json`, from which
docs/rules/docket.md is made.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.docket.cases import cases
from tests.docket.closing import run, server
from tests.docket.shapes import NotThereError
from tests.docket.table import RESULTS, results, shown, stored

_PLACES = 3


def tell(text):
    """Print a line."""
    sys.stdout.write(f"{text}\n")


def plain(found):
    """Return a result in the form of `results.json`."""
    costs = {rule: [round(value, _PLACES) for value in cost] for rule, cost in found.costs.items()}
    one = {
        "t": round(found.t, _PLACES),
        "truth_t": round(found.truth_t, _PLACES),
        "findings": dict(sorted(found.findings.items())),
        "costs": {rule: cost for rule, cost in sorted(costs.items()) if any(cost)},
    }
    rests = {grade: round(share, _PLACES) for grade, share in (found.rests or {}).items() if share}
    remedied = found.remedied and plain(found.remedied)
    more = {"refused": found.refused, "rests": rests, "listed": found.listed, "remedied": remedied}
    return one | {key: value for key, value in more.items() if value}


def main():
    """Close cases, and print their results."""
    known = argparse.ArgumentParser(prog="python -m tests.docket", description=__doc__)
    known.add_argument("names", nargs="*", help="parts of names of cases; all without one")
    known.add_argument("--json", action="store_true", help="results as JSON")
    known.add_argument("--details", action="store_true", help="what the findings say")
    known.add_argument("--statements", type=Path, metavar="FOLDER", help="keep each as JSON there")
    asked = known.parse_args()
    every = cases()
    names = [n for n in every if not asked.names or any(part in n for part in asked.names)]
    if not names:
        sys.exit(
            f"no case has {' or '.join(asked.names)} in its name; tests/docket/labelled has them"
        )
    before = stored() if RESULTS.exists() else {}
    found = {}
    try:
        with server() as database:
            for number, name in enumerate(names, 1):
                try:
                    outcome = run(database.url, name)
                except NotThereError as error:
                    tell(f"{name} is left out: {error}")
                    continue
                found[name] = plain(outcome)
                sys.stderr.write(f"{number}/{len(names)} {name}: {found[name]['t']} t\n")
                if asked.statements:
                    save(asked.statements, name, outcome.statements)
                if asked.details:
                    for closed in filter(None, (outcome, outcome.remedied)):
                        for rule, texts in closed.details.items():
                            tell(f"{name} {rule}: {' / '.join(texts)}")
    finally:
        keep(found, every)
    if asked.json:
        tell(json.dumps(found, indent=1))
    else:
        for line in shown(
            results({n: every[n] for n in names}, {**before, **found}), whole=not asked.names
        ):
            tell(line)


def save(folder, name, statements):
    """Write the statements of a case, one per project."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(statements, 1):
        file = folder / f"{name.replace('/', '-')}-{number}.json"
        file.write_text(json.dumps(one, indent=1, ensure_ascii=False) + "\n", "utf-8")


def keep(found, every):
    """Write results, one line per case; results of other cases stay."""
    before = stored() if RESULTS.exists() else {}
    found = {name: one for name, one in {**before, **found}.items() if name in every}
    lines = ",\n".join(f"{json.dumps(n)}: {json.dumps(found[n])}" for n in sorted(found))
    RESULTS.write_text(f"{{\n{lines}\n}}\n", "utf-8")


if __name__ == "__main__":
    main()
