"""Tables of standards: their content, and rejected files."""

from datetime import date
from fractions import Fraction

import pytest

from mrv import limits
from mrv.errors import IndicatorError

TEXT = """
id = "x"
source = "s"
certainty = "M"
[[limit]]
parameter = "cod"
column = "A"
value = "75"
unit = "mg/L"
[curve.c]
points = ["1", "2"]
values = ["0", "10"]
[[band]]
up_to = "5"
name = "good"
[[band]]
up_to = "10"
name = "poor"
rgb = [255, 0, 0]
"""


def test_a_limit_is_found_by_what_it_depends_on():
    """A plant of column A would be judged by column B."""
    table = limits.read(TEXT, "x.toml")
    assert table.limit("cod", {"column": "A"}).value == 75
    assert table.limit("cod", {"column": "B"}) is None
    dust = limits.load("qcvn_05_2023")
    assert dust.limit("pm2_5", {"mean": "24h"}).value == 45
    assert dust.limit("pm2_5", {"mean": "24h"}, date(2025, 1, 1)).value == 50


def test_curves_and_bands():
    """Between two points an index would jump."""
    table = limits.read(TEXT, "x.toml")
    curve = table.curves["c"]
    assert [curve.at(Fraction(x)) for x in ("0.5", "1", "1.25", "2", "2.5")] == [
        None,
        0,
        Fraction(5, 2),
        10,
        None,
    ]
    assert [table.band(Fraction(x)).name for x in (0, 5, 6, 99)] == ["good", "good", "poor", "poor"]


@pytest.mark.parametrize(
    ("swap", "says"),
    [
        (('id = "x"', "id = 5"), "id = 5 must be text"),
        (('source = "s"', ""), "source = None must be text"),
        (('value = "75"', "value = 75"), "limit 'cod': value = 75 must be text"),
        (('value = "75"', 'value = "many"'), "'many' must be a decimal"),
        (('value = "75"', 'value = "inf"'), "'inf' must be a decimal"),
        (('unit = "mg/L"', 'valid_from = "2026"'), "valid_from = '2026' must be a date"),
        (('parameter = "cod"', ""), "'parameter' is missing"),
        (('points = ["1", "2"]', 'points = ["2", "1"]'), "points in ascending order"),
        (('points = ["1", "2"]', 'points = ["1"]'), "one value per point"),
        (('id = "x"', 'id = "x"\ncolour = "red"'), "unknown key 'colour'"),
        (('id = "x"', "id = x"), "x.toml: "),
    ],
)
def test_a_wrong_table_is_refused_by_name(swap, says):
    """A slip in a limit would go unseen into every judgement."""
    with pytest.raises(IndicatorError, match=says):
        limits.read(TEXT.replace(*swap), "x.toml")
