"""Charts: what is drawn is as large as what is said."""

import re
import xml.etree.ElementTree as ET
from datetime import date
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.report.axis import steps, unit_for
from services.api.console.charts.bars import Bar, bars
from services.api.console.charts.quantities import QUARTER_US, Amount, days_chart
from services.api.console.charts.sankey import Flow, sankey
from services.api.console.charts.sparkline import sparkline
from services.api.console.charts.waterfall import Step, waterfall
from services.api.console.translations import Words

WORDS = Words("vi")


def wide(drawn):
    """Return the elements of a chart's wide form."""
    root = ET.fromstring(f"<all>{drawn}</all>")  # noqa: S314 - our own
    return next(one for one in root if one.get("class").endswith("broad"))


def height(path):
    """Return the height of a rectangle. [px]"""
    return float(re.search(r"v(-?[\d.]+)", path.get("d"))[1])


@given(st.fractions(-(10**9), 10**9), st.fractions(-(10**9), 10**9))
def test_an_axis_holds_its_values_and_zero(one, other):
    """A bar would leave its chart, or begin at another figure than zero."""
    low, high = sorted((one, other))
    found = steps(low, high)
    assert found[0] <= min(low, 0)
    assert found[-1] >= max(high, 0)
    assert 0 in found
    assert 2 <= len(found) <= 18
    assert len({b - a for a, b in pairwise(found)}) == 1


def test_a_thousand_is_written_as_the_reader_writes_it():
    """Beside decimal commas "1,000 km" is one kilometre."""
    most = Fraction(5 * 10**6)
    assert unit_for("m", most, WORDS.number)[0] == "1.000 km"
    assert unit_for("m", most, Words("en").number)[0] == "1,000 km"


def test_missing_is_no_bar_of_zero():
    """A day on which nothing came would look like one on which nothing was saved."""
    found = [
        Bar("1", "one", (("measured", Fraction(4)),)),
        Bar("2", "two", (("measured", Fraction(-2)),)),
        Bar("3", "none", (("measured", Fraction(0)),)),
        Bar("4", "gone", None),
    ]
    paths = {p[0].text: p for p in wide(bars(found, "t", "alt", WORDS)).iter("path") if len(p)}
    assert height(paths["one"]) == pytest.approx(2 * height(paths["two"]), abs=0.2)
    assert height(paths["none"]) == 0
    assert paths["gone"].get("class") == "none"
    assert height(paths["gone"]) > height(paths["one"])


def test_days_without_a_value_are_drawn_until_today():
    """A device that fell silent would look as if it were heard until the chart's end."""
    one = Amount(5_000, QUARTER_US, 0, 0)
    drawn = days_chart(
        {date(2026, 2, 1): one, date(2026, 2, 3): one},
        date(2026, 2, 5),
        "Wh",
        "energy",
        Words("en"),
    )
    told = re.findall(r"2026-02-0(\d): (missing|5 kWh)", str(drawn))
    assert list(dict.fromkeys(told)) == [
        ("1", "5 kWh"),
        ("2", "missing"),
        ("3", "5 kWh"),
        ("4", "missing"),
        ("5", "missing"),
    ]


def test_the_worst_of_a_quarter_hour_names_it():
    """Half an hour that nobody knows would be drawn as measured."""
    kinds = [Amount(1, *of).kind for of in ((9, 0, 0), (9, 1, 0), (9, 1, 1), (0, 0, 9))]
    assert kinds == ["measured", "estimated", "unknown", "none"]


def test_a_waterfall_begins_where_the_step_before_ended():
    """The way from the baseline to the credit would not add up to the eye."""
    found = [
        Step("a", Fraction(10), "10", total=True),
        Step("b", Fraction(-4), "-4", total=False),
        Step("c", Fraction(6), "6", total=True),
    ]
    a, b, c = (p for p in wide(waterfall(found, "t", "alt", WORDS)).iter("path") if len(p))
    assert height(a) == pytest.approx(height(b) + height(c), abs=0.2)
    assert [one.get("class") for one in (a, b, c)] == ["total", "cost", "total"]


def test_bands_are_as_wide_as_what_flows():
    """A trickle would look like the river."""
    found = [Flow("grid", "steel", 30.0, "30"), Flow("grid", "food", 10.0, "10")]
    drawn = wide(sankey(found, "alt"))
    widths = [float(p.get("stroke-width")) for p in drawn.iter("path") if p.get("stroke-width")]
    assert max(widths) == pytest.approx(3 * min(widths), rel=0.01)


def test_a_hostile_name_stays_text():
    """Whoever names a member of a park could put a script into its picture."""
    hostile = '"><script>alert(1)</script>\u202e'
    drawn = sankey([Flow(hostile, "x", 1.0, hostile)], hostile)
    assert "<script" not in drawn
    assert "\u202e" not in drawn
    wide(drawn)


def test_a_gap_breaks_the_line():
    """Weeks without a reading would be drawn as if they were known."""
    drawn = ET.fromstring(sparkline([1, 2, None, 3], "alt"))  # noqa: S314 - our own
    assert drawn.find("path").get("d").count("M") == 2
