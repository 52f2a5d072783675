"""`python -m tests.closes`: show golden closes, add some, write again what they come to, pin."""

import argparse
import json
import sys
from pathlib import Path

from tests.closes import corpus

_SPAN = 6  # facts of a column that a reader sees of each end


def show(name):
    """Print what a close is given and what is expected of it; a part of a name is enough."""
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
    """Add what `tests.closes.capture` kept in a folder."""
    closes, books = corpus.read() if corpus.FACTS.exists() else ({}, {})
    for file in sorted(folder.glob("*.json")):
        found = json.loads(file.read_text("utf-8"))
        books |= found["books"]
        closes[corpus.name_of(found["facts"])] = found["facts"]
    corpus.write(closes, books)
    write()


def write():
    """Close all again and keep what they come to; say which come to something else."""
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
    """Pin a rule set: its release is tagged, and from now on it stays as it is."""
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
