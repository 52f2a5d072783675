"""Every key of every golden case, spoilt: refused by name, never a traceback, never a figure."""

import copy
import json
from pathlib import Path

from tests.every import every
from tests.invoked import tonne

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = {f.stem: json.loads(f.read_text()) for f in sorted(GOLDEN.glob("*.json"))}
SPOILT = [None, True, "7", -1, [], {}, [[]], {"x": 1}, float("nan"), float("inf"), 10**40, "é"]


def _leaves(node, at=()):
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in pairs:
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from _leaves(value, (*at, key))


def _changed(inputs, path, value):
    changed = copy.deepcopy(inputs)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


def _run(case, inputs):
    command = "indicator" if case["kind"] == "indicator" else "evaluate"
    return tonne(command, case["id"], "-", input=json.dumps(inputs))


def test_a_spoilt_value_is_refused_by_its_key():
    """A script would go on with a number that nobody meant, or a user read a traceback."""

    @every(CASES)
    def _(name):
        case = CASES[name]
        for path in _leaves(case["inputs"]):
            named = [str(key) for key in path if not isinstance(key, int)][-1]
            for value in SPOILT:
                told = _run(case, _changed(case["inputs"], path, value))
                if told.exit_code == 0:
                    # null where a series may have gaps, an empty record of optional keys
                    assert value is None or value == {}, (path, value, told.stdout)
                    continue
                assert told.exit_code == 2, (path, value, told.exception)
                assert told.stdout == ""
                assert named in told.stderr, (path, value, told.stderr)


def test_an_unknown_key_is_refused_anywhere():
    """A slip in an optional key would leave its default in place, unseen."""

    @every(CASES)
    def _(name):
        case = CASES[name]
        objects = [(), *(p for p in _leaves(case["inputs"]) if _is_object(case["inputs"], p))]
        for path in objects:
            spoilt = _changed({"": case["inputs"]}, ("", *path, "no_such_key"), 1)[""]
            told = _run(case, spoilt)
            assert told.exit_code == 2, (path, told.output)
            assert "no_such_key" in told.stderr


def test_a_missing_key_is_refused_or_has_a_published_default():
    """A figure would rest on a value that nobody chose and nobody can see."""

    @every(CASES)
    def _(name):
        case = CASES[name]
        command = "indicator" if case["kind"] == "indicator" else "evaluate"
        schema = json.loads(tonne(command, case["id"], "--describe").stdout)
        for key in case["inputs"]:
            told = _run(case, {k: v for k, v in case["inputs"].items() if k != key})
            if key in schema["required"]:
                assert (told.exit_code, key in told.stderr) == (2, True), (key, told.output)


def _is_object(inputs, path):
    node = inputs
    for key in path:
        node = node[key]
    return isinstance(node, dict)


def test_zero_and_tiny_and_large_numbers_never_end_in_a_traceback():
    """A month at rest would crash the command instead of counting nothing."""

    @every(CASES)
    def _(name):
        case = CASES[name]
        for path in _leaves(case["inputs"]):
            for value in (0, 1, 1e-30, 0.5, 10**6):
                told = _run(case, _changed(case["inputs"], path, value))
                assert told.exit_code in {0, 2}, (path, value, told.exception)
