"""Charts: their figures are those of the page, and the served code is built from pinned sources."""

import gzip
import html
import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import RegistryError
from mrv.report.blocks import steps as axis_steps
from mrv.report.blocks import unit_for
from services.api.console import maps, render
from services.api.console.charts import (
    QUARTER_US,
    Amount,
    Bar,
    Flow,
    Step,
    apart,
    bars,
    cumulative_chart,
    days_chart,
    flows,
    hours_chart,
    hours_title,
    sparkline,
    steps,
)
from services.api.console.maps import month_calendar, week_of
from services.api.console.project_charts import ProjectRow, Row, avoided_chart, parts_of_bar, summed
from services.api.console.routes import sewers
from services.api.console.routes.devices import _charts
from services.api.console.routes.projects import _first_of, _reached
from services.api.console.routes.year import shortfalls
from services.api.console.translations import Words
from services.extras import shipped
from services.store.views.coverage import ProjectYear
from tests.fix_node import CHARTS, built_charts

WORDS = Words("vi")
# a first visit of the overview, compressed: script, styles, icon and the page itself
MAX_BYTES, MOST_OF_A_PAGE = 250_000, 30_000


def figures(drawn):
    """Return the figures of a chart."""
    return json.loads(html.unescape(re.search(r'data-figures="([^"]*)"', drawn)[1]))


def test_what_is_served_is_what_the_pinned_sources_build(tmp_path):
    """A reader would run a script that no one can read, or one that was changed by hand."""
    assert built_charts(tmp_path / "charts.js") == render.load()["vendor/charts.js"].plain
    lock = (CHARTS / "package-lock.json").read_text("utf-8")
    assert "://" not in re.sub(r'"(url|funding)": .*', "", lock)  # no host in any file
    licence = render.load()["vendor/charts.LICENSE.txt"].plain.decode()
    assert all(one in licence for one in ("Apache ECharts", "zrender", "BSD", "tslib"))


def test_a_first_visit_is_light():
    """A citizen on a phone would pay for a chart library with half a megabyte."""
    loaded = ("vendor/charts.js", "console.css", "tables.mjs", "icon.svg")
    weight = sum(len(gzip.compress(render.load()[name].plain, 9)) for name in loaded)
    assert weight + MOST_OF_A_PAGE < MAX_BYTES


@given(st.fractions(-(10**9), 10**9), st.fractions(-(10**9), 10**9))
def test_an_axis_holds_its_values_and_zero(one, other):
    """A bar would leave its chart, or begin at another figure than zero."""
    low, high = sorted((one, other))
    found = axis_steps(low, high)
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
        Bar("1", "one", "4 t", (("measured", Fraction(4)),), Fraction(1, 3), "?day=1"),
        Bar("2", "two", "0 t", (("measured", Fraction(0)),)),
        Bar("3", "three", "missing", None),
    ]
    one, none, gone = figures(bars(found, "t", "alt", "x", Words("en")))["bars"]
    assert (one["parts"], one["expected"], one["href"]) == ([["measured", 4]], 0.333333, "?day=1")
    assert (none["parts"], gone["parts"]) == ([["measured", 0]], None)


def test_the_title_of_hours_is_their_finding():
    """A reader would search the darkest of 700 cells to learn when the plant works."""
    t, day = Words("en"), date(2026, 3, 1)

    def title(*shares, first=0):
        at = datetime.combine(day, time(first), UTC)
        hours = [(at + timedelta(hours=n), Fraction(share)) for n, share in enumerate(shares)]
        return hours_title(hours, t)

    assert title(1, 3, 4, 2, 0, 0, first=9) == "90\u00a0% of the total from 10:00 to 13:00"
    # a night's hours lie on both sides of midnight
    assert title(*[1] * 8, first=22) == "87\u00a0% of the total from 23:00 to 06:00"
    assert title(0, 0, 7, first=21) == "100\u00a0% of the total from 23:00 to 24:00"
    assert (
        title(*[1] * 24)
        == "Distributed evenly over the day: at most 5\u00a0% of the total in one hour"
    )
    # a share of a sum with negative hours would be of nothing
    assert title(9, -1) is None
    assert hours_title([], t) is None


def test_a_day_of_zeros_has_no_chart():
    """At night an inverter's chart would show an empty scale up to 1 Wh."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    today = {"quantity": "energy_export", "start": start, "unit": "Wh"}
    days = {**today, "day": date(2026, 3, 1), "value": 5, "measured_h": 1, "unknown_h": 0}
    found = {"id": "inv-1", "timezone": "UTC", "days": [days], "hours": []}
    for value, drawn in ((0, False), (7, True)):
        shown = _charts({**found, "today": [{**today, "value": value}]}, WORDS)["energy_export"]
        assert (shown["today"] is not None, shown["so_far"]) == (drawn, f"{value}\u00a0Wh")
        assert (shown["hours"], shown["most"]) == (None, None)


def test_a_sum_is_compared_with_what_was_expected():
    """Two lines that end apart would leave the reader to subtract."""
    t = Words("en")
    pairs = [(Decimal(4), Decimal(6)), (Decimal(3), Decimal(2))]
    assert apart(pairs, t.tonnes, t) == "1\u00a0t below the expected amount"
    assert apart([(b, a) for a, b in pairs], t.tonnes, t) == "1\u00a0t above the expected amount"
    assert apart([], t.tonnes, t) is None


def test_days_without_a_value_are_drawn_until_today():
    """A device that fell silent would look as if it were heard until the chart's end."""
    one = Amount(5_000, QUARTER_US, 0, 0)
    drawn = days_chart(
        {date(2026, 2, 1): one, date(2026, 2, 3): one, date(2026, 2, 5): one},
        date(2026, 2, 5),
        "Wh",
        "energy",
        Words("en"),
    )
    assert [(bar["long"], bar["shown"]) for bar in figures(drawn)["bars"]] == [
        ("1 February 2026", "5 kWh, measured"),
        ("2 February 2026", "missing"),
        ("3 February 2026", "5 kWh, measured"),
        ("4 February 2026", "missing"),
        ("5 February 2026", "So far: 5 kWh, measured"),
    ]
    assert figures(drawn)["bars"][4]["parts"] == [["so_far", 5.0]]
    assert [bar["label"] for bar in figures(drawn)["bars"]] == ["Feb", "2", "3", "4", "5"]


def test_the_worst_of_a_quarter_hour_names_it():
    """Half an hour that no one knows would be drawn as measured."""
    kinds = [Amount(1, *of).kind for of in ((9, 0, 0), (9, 1, 0), (9, 1, 1), (0, 0, 9))]
    assert kinds == ["measured", "estimated", "unknown", "none"]


def test_a_step_begins_where_the_one_before_ended():
    """The way from the baseline to the credit would not add up to the eye."""
    found = [
        Step("a", Fraction(10), "10", total=True),
        Step("b", Fraction(-4), "-4", total=False),
        Step("c", Fraction(6), "6", total=True),
    ]
    rects = [ET.fromstring(one.bar).find("rect") for one in steps(found)]  # noqa: S314 - our own
    spans = [(float(r.get("x")[:-1]), float(r.get("width")[:-1])) for r in rects]
    assert spans == [(0, 100), (60, 40), (0, 60)]
    assert [r.get("class") for r in rects] == ["total", "cost", "total"]


def test_a_hostile_name_stays_text():
    """Anyone who names a member of a park could put a script into its picture."""
    hostile = '"><script>alert(1)</script>\u202e'
    drawn = flows([Flow(hostile, "x", 1.0, hostile)], "kWh", "energy", hostile, "x", Words("en"))
    assert "<script" not in drawn
    assert "\u202e" not in drawn
    assert figures(drawn)["flows"][0]["giver"] == '"><script>alert(1)</script>[U+202E]'


def test_a_chart_without_script_has_the_declared_values():
    """The drawing would show other amounts than the figures behind it."""
    items = [
        Bar("1", "1", "2 t", (("measured", Fraction(2)), ("estimated", Fraction(1))), Fraction(4)),
        Bar("2", "2", "-1 t", (("measured", Fraction(-1)),), Fraction(4)),
        Bar("3", "3", "missing", None, None),
    ]
    drawn = bars(items, "t", "x", "x", Words("de"))
    svg = ET.fromstring(re.search(r"<svg.*</svg>", drawn)[0])  # noqa: S314 - our own
    texts = {one.text: float(one.get("y")[:-1]) for one in svg.iter("text") if one.text != "t"}
    a_tonne = (texts["0"] - texts["4"]) * 10 / 4
    columns = {
        (path.get("fill"), path.get("stroke")): [
            (int(x), round((float(y) - texts["0"] * 10) / a_tonne, 2), round(float(h) / a_tonne, 2))
            for x, y, h in re.findall(r"M(\d)\.13 (\d+)h.74v(\d+)", path.get("d"))
        ]
        for path in svg.iter("path")
    }
    assert columns["var(--acc3)", "var(--acc2)"] == [(0, -2, 2), (1, 0, 1)]
    assert columns["var(--acc3)", "var(--gold)"] == [(0, -3, 1)]
    assert [x for x, *_ in columns["var(--hair)", "var(--hair)"]] == [2]


@pytest.mark.parametrize(
    ("kind", "name", "shown"),
    [
        ("year", "2026-01", ()),  # before its crediting period
        ("month", "2026-02-09", ()),
        ("year", "2026-02", None),
        ("month", "2026-02-10", None),
        ("month", "2026-03-06", ()),  # ahead
        ("year", "2036-02", ()),
        ("day", "05:15", None),
    ],
)
def test_nothing_is_missing_where_nothing_is_asked_for(kind, name, shown):
    """A project would open on months of missing data before it began."""
    sums = SimpleNamespace(
        today=date(2026, 3, 5), crediting_from=date(2026, 2, 10), crediting_to=date(2036, 2, 10)
    )
    found = ProjectRow(sums, kind, "", sums.today, sums.today, [], [], [], [], [])
    leads = None if kind == "day" else "?"
    assert parts_of_bar(found, Row(name, leads, None, None, None, "0.1", None)) == shown


def test_what_is_near_its_expected_amount_is_no_fault():
    """An officer would be sent to a plant that is on its way, or whose account is not made yet."""
    usual = {"system": None, "ahead_t": None, "issued_t": 0, "counted": True}
    years = [
        ProjectYear(project=f"p-{made}", name="P", expected_t=Decimal(100),
                    avoided_t=made and Decimal(made), **usual)
        for made in (94, 95, None)
    ]  # fmt: skip
    found = shortfalls(years, {}, {}, "", Words("en"), lambda *said: said[-1], lambda *_: "")
    assert [(one.href, one.amount) for one in found] == [
        ("/projects/p-94", "6\N{NO-BREAK SPACE}t"), ("/projects/p-None", None),
    ]  # fmt: skip


def test_a_gap_leaves_its_place_empty():
    """Weeks without a reading would be drawn as if they were known."""
    drawn = ET.fromstring(sparkline([1, 2, None, 4], "alt"))  # noqa: S314 - our own
    paths = [p.get("d") for p in drawn.iter("path")]
    assert len(paths) == 3
    assert paths[2].startswith("M12.0 0.0")


@pytest.mark.parametrize("colour", ["light", "dark"])
def test_colours_of_actions_stand_out(colour):
    """Someone who sees few colours could not tell one action from the page, or from another."""
    sheet = render.load()["console.css"].plain.decode()
    blocks = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[0]))
    if colour == "dark":
        named |= dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[1]))
    for mark in ("a1", "a2", "a3", "a4", "a5", "a6", "acc", "acc2", "crit", "maj", "min"):
        assert contrast(named[mark], named["bg"]) >= 3, mark
    for text in ("ink", "muted", "link", "crit", "maj", "min", "ok"):
        assert contrast(named[text], named["bg"]) >= 4.5, text
    for k in range(6):  # conditions of sewers, on the map's land
        assert contrast(named[f"k{k}"], named["land"]) >= 3, k


def contrast(one, other):
    """Return the contrast of two colours (WCAG 2.2)."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(k * p for k, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(
    ("last", "opened"),
    [
        ("2026-12-01", "2026-11-01"),  # today: the month has just begun
        ("2026-12-08", "2026-12-01"),
        ("2026-02-03", "2026-02-01"),  # silent since
        (None, "2026-12-01"),
    ],
)
def test_a_project_opens_on_a_month_with_something_to_see(last, opened):
    """On the first of a month each project would be one bar of some hours, below its plan."""
    today = date(2026, 12, 8 if last == "2026-12-08" else 1)
    heard = None if last is None else datetime.fromisoformat(f"{last}T05:00:00+00:00")
    sums = SimpleNamespace(
        last=heard, timezone="UTC", today=today,
        crediting_from=date(2026, 1, 1), crediting_to=date(2036, 1, 1),
    )  # fmt: skip
    assert _first_of(None, sums).isoformat() == opened


def test_the_current_day_is_neither_short_nor_missing():
    """At noon each plant would look as if it had failed since the morning."""
    sums = SimpleNamespace(
        id="p", today=date(2026, 12, 2),
        crediting_from=date(2026, 12, 1), crediting_to=date(2036, 1, 1),
    )  # fmt: skip
    rows = [
        Row(f"2026-12-0{i}", f"day=2026-12-0{i}", None, None, Decimal(made), Decimal(4), 100)
        for i, made in ((1, 4), (2, 1))
    ]
    month = ProjectRow(
        sums, "month", "2026-12", date(2026, 12, 1), date(2027, 1, 1), rows, [], [], [], []
    )
    assert _reached(month) == (1, 1)
    assert summed(month) == rows[:1]
    drawn = figures(avoided_chart(month, Words("en")))["bars"]
    assert [bar["parts"] for bar in drawn] == [[["measured", 4]], [["so_far", 1]], *[[]] * 29]
    ended = SimpleNamespace(**{**vars(sums), "today": date(2026, 12, 3)})
    assert _reached(month._replace(sums=ended)) == (1, 2)


@pytest.mark.parametrize(
    ("zone", "blanks"), [("Europe/Berlin", 0), ("Africa/Nairobi", 1), ("Africa/Cairo", 2)]
)
def test_a_calendar_begins_its_weeks_as_the_country_does(zone, blanks):
    """A planner in Nairobi would take Sunday for Monday: 1 June 2026 is a Monday."""
    weeks = month_calendar(2026, 6, [], zone)
    assert [cell for cell in weeks[0] if cell is None] == [None] * blanks
    assert weeks[0][blanks].day == date(2026, 6, 1)
    names = Words("en").weekdays(week_of(zone))
    assert names[blanks] == "Mon"
    assert sorted(names) == sorted(Words("en")("weekdays").split())
    assert [cell.day.day for week in weeks for cell in week if cell] == [*range(1, 31)]


def test_a_city_gives_the_base_of_its_maps(tmp_path):
    """A map would have no names but those of plants, and a wrong file be drawn as an empty one."""
    known = maps.load(shipped("catalog/haiphong/base.geojson"))
    assert {one.name_in("vi") for one in known.places} >= {"An Lão", "Kiến Thụy", "Cát Bà"}
    assert [one.name for one in known.within((106.5, 20.8, 106.6, 20.85)).places] == ["An Lao"]
    square, river = [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]], [[0, 0], [3, 3]]
    file = tmp_path / "city.geojson"

    source = "geoBoundaries, CC BY 4.0"

    def written(geometry, **properties):
        feature = {"type": "Feature", "geometry": geometry, "properties": properties}
        content = {"type": "FeatureCollection", "attribution": source, "features": [feature]}
        file.write_text(json.dumps(content), "utf-8")
        maps.load.cache_clear()
        return maps.load(file)

    polygon = {"type": "Polygon", "coordinates": [square]}
    district = written(polygon, name="D")
    assert district.places[0].name == "D"
    assert written(polygon, shapeName="Thuy Nguyen").places[0].name == "Thuy Nguyen"
    assert district.within((1, 1, 5, 5)).areas[0].max() == 2
    assert not district.within((3, 3, 5, 5)).areas
    assert len(written({"type": "MultiLineString", "coordinates": [river]}).water) == 1
    drawn = sewers.drawn(
        (0, 0, 4, 4), [], base=written({"type": "LineString", "coordinates": river})
    )
    assert drawn.base.water.startswith("M0.0 560.0L720.0 140.0")
    assert drawn.base.attribution == source  # as its licence asks
    assert drawn.base.scale == (pytest.approx(100_000 / (4 / 560 * 111_195)), 100_000)
    for bad in (
        {"type": "Point", "coordinates": [200, 95]},
        {"type": "Circle", "coordinates": []},
        None,
    ):
        with pytest.raises(RegistryError, match="feature 1 is not drawn"):
            written(bad)
    file.write_text("no json", "utf-8")
    maps.load.cache_clear()
    with pytest.raises(RegistryError, match="TONNE_CONSOLE_MAP="):
        maps.load(file)


def test_days_added_up_and_their_hours_stand_where_they_belong():
    """A day without data would be drawn as one of zero, and a morning's energy at night."""
    t, half = Words("en"), Fraction(1, 2)
    days = [date(2026, 3, 1), date(2026, 3, 2)]
    drawn = figures(
        hours_chart(
            [(datetime.fromisoformat("2026-03-02T07:00"), half)],
            days,
            "kWh",
            ("hours", "energy"),
            t,
            "h",
        )
    )
    assert drawn["cells"] == [[1, 7, 0.5]]
    assert drawn["hours"][7] == "07:00"
    rows = [
        ("1", "1 March", half, half),
        ("2", "2 March", None, half),
        ("3", "3 March", half, half),
    ]
    line = figures(cumulative_chart(rows, "t", "avoided", t, "c"))
    assert line["measured"] == [0.5, None, 1.0]
    assert line["expected"] == [0.5, 1.0, 1.5]
    assert cumulative_chart([(*row[:3], None) for row in rows], "t", "avoided", t, "c") is None
