"""No input is rejected that gives at most the former reduction, such as higher consumption."""

from copy import deepcopy
from fractions import Fraction

import pytest

from mrv import factors, methodologies
from mrv.errors import MethodologyError
from tests.golden import NAMES, case

TIMES = ("0", "0.5", "0.95", "1.05", "2", "10", "1000")
# what a calendar or a list says is of a form, and no quantity
FORM = {"year", "month", "days", "months", "part"}


def _inputs(name):
    return case(name)["inputs"]


def _places(value, path=()):
    """Yield the path of each number that is a quantity."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in FORM:
                yield from _places(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _places(one, (*path, number))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def _with(given, path, times):
    found = deepcopy(given)
    at = found
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = float(Fraction(str(at[path[-1]])) * Fraction(times))
    return found


GIVEN = [name for name in methodologies.load() if name in NAMES]


@pytest.mark.parametrize("name", GIVEN)
def test_what_leaves_no_more_is_not_refused(name):
    """A plant that used more than before would get no answer, as if its owner had cheated."""
    method, book, given = methodologies.find(name), factors.load().within("VN"), _inputs(name)
    usual = methodologies.evaluate(method, given, book, name).reduction_t
    refused = []
    for path in _places(given):
        for times in TIMES:
            changed = _with(given, path, times)
            try:
                left = methodologies.hypothetical(method, changed, book, name).reduction_t
            except (MethodologyError, ZeroDivisionError):  # a number out of the bounds of its form
                continue
            if left > usual:
                continue
            try:
                methodologies.evaluate(method, changed, book, name)
            except MethodologyError as error:
                refused.append(f"{path} times {times}: {error}")
    assert not refused
