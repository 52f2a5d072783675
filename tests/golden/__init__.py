"""The golden cases, one per line in cases.jsonl."""

import json
from pathlib import Path

_LINES = Path(__file__).with_name("cases.jsonl").read_text("utf-8").splitlines()
_BY_NAME = {json.loads(line)["id"]: line for line in _LINES}
NAMES = tuple(_BY_NAME)


def case(name, parse_float=float):
    """Return a new copy of a case, so that a test may change it."""
    return json.loads(_BY_NAME[name], parse_float=parse_float)


def of_kind(*kinds, parse_float=float):
    """Return all cases of some kinds, by id."""
    found = {name: case(name, parse_float) for name in NAMES}
    return {name: one for name, one in found.items() if one["kind"] in kinds}
