"""
`python -m tests.closes`: show or add golden closes, update their
results, or freeze a rule set.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.closes import corpus

_SPAN = 6  # facts of a column that a reader sees of each end


def show(name):
    """Print the inputs and the expected result of a close; a part of its name is sufficient."""
    closes, _ = corpus.read()
    outcomes = corpus.expected()
    for one in [n for n in closes if name in n] or sys.exit(f"no golden close has {name!r} in it"):
        _tell(json.dumps({**_short(closes[one]), **outcomes[one]}, indent=1, ensure_ascii=False))


def _tell(text):
    sys.stdout.write(f"{text}\n")


def _short(value):
    if isinstance(value, list):
        return [_short(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "$ints" in value:
        found = value["$ints"]
        steps = [f"{one[0]:+}, {one[1]} times" if isinstance(one, list) else f"{one:+}"
                 for one in found[1:]]  # fmt: skip
        left = len(steps) - 2 * _SPAN
        if left > 0:
            steps = [*steps[:_SPAN], f"{left} more steps", *steps[-_SPAN:]]
        return "; ".join([*map(str, found[:1]), *steps])
    return {key: _short(one) for key, one in value.items()}


def add(folder):
    """Add the closes that `tests.closes.capture` stored in a folder."""
    closes, books = corpus.read() if corpus.FACTS.exists() else ({}, {})
    for file in sorted(folder.glob("*.json")):
        found = json.loads(file.read_text("utf-8"))
        books |= found["books"]
        closes[corpus.name_of(found["facts"])] = found["facts"]
    corpus.write(closes, books)
    write()


def write():
    """Close all periods again and store the results; print the closes with another result."""
    closes, found = corpus.read()
    before = corpus.expected() if corpus.OUTCOMES.exists() else {}
    books = corpus.books_of(found)
    lines = {name: corpus.closed(name, closes, books) for name in closes}
    for name, one in lines.items():
        if one != before.get(name):
            was = before.get(name, {"ug": {"reduction": None}})["ug"]["reduction"]
            _tell(f"{name}: {was} -> {one['ug']['reduction']} ug")
    corpus.keep(lines)


def release(rules):
    """Freeze a rule set: its release is tagged, and it must not change any more."""
    kept = {**corpus.released(), rules: ""}
    corpus.RELEASED.write_text(f"{json.dumps(kept, indent=1)}\n", "utf-8")
    write()
    kept[rules] = corpus.set_digest(rules, corpus.expected())
    corpus.RELEASED.write_text(f"{json.dumps(kept, indent=1)}\n", "utf-8")


def _asked():
    parser = argparse.ArgumentParser(prog="python -m tests.closes", description=__doc__)
    to_do = parser.add_subparsers(dest="what", required=True)
    to_do.add_parser("show", help=show.__doc__).add_argument("name")
    to_do.add_parser("add", help=add.__doc__).add_argument("folder", type=Path)
    to_do.add_parser("write", help=write.__doc__)
    to_do.add_parser("release", help=release.__doc__).add_argument("rules")
    return parser.parse_args()


if __name__ == "__main__":
    asked = vars(_asked())
    globals()[asked.pop("what")](**asked)
