"""Service without consumption, and what no device can have done: it earns nothing."""

import json
from pathlib import Path

import pytest

from mrv import factors
from mrv.errors import MethodologyError
from mrv.methodologies import evaluate, find

BOOK = factors.load()


@pytest.mark.parametrize("kwh", [0, 1_000])
def test_evaluation_refuses_charging_that_moves_no_bus(kwh):
    """`tonne evaluate` would give 2,702.7 t for buses that charge nothing."""
    case = json.loads(Path("tests/golden/ams-iii-c.json").read_text("utf-8"))
    inputs = {**case["inputs"], "charging_mwh": kwh / 1000}
    with pytest.raises(MethodologyError, match=r"kWh/km, and such services take 0\.6 to 2"):
        evaluate(find("ams-iii-c"), inputs, BOOK, "in.json")
