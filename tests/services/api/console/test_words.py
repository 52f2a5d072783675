"""The texts of the pages."""

import re
import time
import tomllib
from decimal import Decimal
from importlib import resources
from pathlib import Path

import jinja2
import pytest

from ingest import classes
from mrv.environment.kinds import KINDS
from mrv.registry import programme_systems as systems
from mrv.report.words import LANGUAGES, punctuated
from services.api.app import Memory
from services.api.console import render as page
from services.api.console.maps import sites_map, within
from services.api.console.render import own
from services.api.console.routes import live, overview
from services.api.console.routes.statement_days import _sums
from services.api.console.translations import Words, preferred, texts
from services.store.views.console import Site
from services.store.views.programme_report import DAILY

TEMPLATES = Path(page.__file__).parent / "templates"
_USED = re.compile(r"""\bt\("([a-z_. ']+?)"[),]""")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_time_has_one_zone(language):
    """A project would be silent since a local time with its offset, and then called UTC."""
    silent = page._environment().from_string(
        '{% from "macros.html" import silence %}{{ silence(t, one) }}'
    )
    one = {"silent_since": "2026-01-31T16:00:00+00:00", "timezone": "Asia/Ho_Chi_Minh"}
    text = silent.render(t=Words(language), one=one)
    assert "23:00" in text
    assert Words(language).day("2026-01-31") in text
    assert "UTC" not in text
    # each time is written with its offset: no word names a zone for what is put into it
    reports = tomllib.loads(
        resources.files("mrv.report.words").joinpath(f"{language}.toml").read_text("utf-8")
    )
    said = {**texts(language), "report": str(reports)}
    assert [k for k, v in said.items() if re.search(r"\}[^{]{0,3}(UTC|GMT)", v)] == []


@pytest.mark.parametrize("file", sorted(TEMPLATES.glob("*.html")), ids=lambda one: one.name)
def test_every_word_of_a_template_is_there(file):
    """A page would fail once someone opens it."""
    used = set(_USED.findall(file.read_text("utf-8")))
    assert used <= texts("en").keys()
    jinja2.Environment(autoescape=True).parse(file.read_text("utf-8"))


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("vi-VN,vi;q=0.9,en;q=0.8", "vi"),
        ("ja", "ja"),
        ("fr,ko;q=0.5", "en"),
        ("fr, ja;q=0.3, vi;q=0.7", "vi"),
        ("en;q=0, vi;q=0.1", "vi"),
        ("x;q=y,;;", "en"),
    ],
)
def test_the_browser_chooses_the_language(header, language):
    """A reader in Hai Phong would be met in English."""
    assert preferred(header) == language


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        ("/console/vi/programme?year=2026", True),
        ("/console/en/statements/TN-pv-1/days/2026-03-02", True),
        ("https://elsewhere.example/console/en/", False),
        ("//elsewhere.example/console/en/", False),
        ("/console/en//elsewhere.example", False),
        ("/console/en/..//elsewhere.example", False),
        ("/console/en/\\elsewhere.example", False),
        ("/console/en/live\r\nSet-Cookie: x=1", False),
        ("/console/en/live\n", False),
        ("/console/en/sign-in?next=/console/en/", False),
        ("/console/en/live/events", False),
        ("/v1/keys", False),
        ("/console/en/" + "x" * 500, False),
        ("", False),
    ],
)
def test_a_sign_in_leads_to_pages_of_ours_alone(address, ours):
    """Another site could send someone through our sign-in to a page that looks like ours."""
    assert own(address) == (address if ours else None)


def test_numbers_keep_their_digits():
    """One tonne would be read as a thousand, by the decimal mark of another language."""
    assert Words("vi")
    assert [Words(one).number("-1234567.890100") for one in ("en", "vi", "ja")] == [
        "\N{MINUS SIGN}1,234,567.890100",
        "\N{MINUS SIGN}1.234.567,890100",
        "\N{MINUS SIGN}1,234,567.890100",
    ]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        ("0.000532899", "t", "0.5328 kg"), ("0.5", "t", "500 kg"), ("1234.5678", "t", "1234 t"),
        ("9999.99", "t", "9999 t"), ("12349.9", "t", "12.34 kt"), ("-3.00001", "t", "-3.001 t"),
        ("0", "t", "0 kg"), (1500, "Wh", "1.5 kWh"), (12_345_678, "Wh", "12.34 MWh"),
        ("98765432100", "Wh", "98.76 GWh"), (999, "Wh", "999 Wh"), (2_500, "m", "2.5 km"),
        (1_500_000, "mL", "1.5 m³"), (7, "1", "7 1"), (0.00000001, "t", "0.00001 kg"),
    ],
)  # fmt: skip
def test_an_amount_has_four_digits_and_a_unit_that_fits(value, unit, shown):
    """A citizen would read 10.975812 t, or a tonne more than there is."""
    said = Words("en").amount(value, unit)
    plain = said.replace("\N{NO-BREAK SPACE}", " ").replace(",", "")
    assert plain.replace("\N{MINUS SIGN}", "-") == shown
    assert Words("vi").amount("1234.5") == "1.234\N{NO-BREAK SPACE}t"
    assert Words("de").amount("0.0123456") == "12,34\N{NO-BREAK SPACE}kg"


def test_tonnes_and_shares_are_written_one_way():
    """One project would have 45.67 kt on its page and 45,678 t on the first screen."""
    t = Words("en")
    said = [
        t.tonnes(one).replace("\N{NO-BREAK SPACE}", " ") for one in ("0", "0.5", "9.99", "12345.9")
    ]
    assert said == ["0 t", "500 kg", "9.9 t", "12,345 t"]
    shares = [(7_947, 4_643_000), (99_999, 100_000), (12, 100)]
    assert [t.share(*map(Decimal, one)) for one in shares] == ["0.17", "99", "12"]


def test_a_span_of_an_address_is_written_for_people():
    """A reader in Hai Phong would take 03/02 for the second of March."""
    spans = ("2026", "2026-02", "2026-02-03", "10:15")
    assert [Words("vi").span(one) for one in spans] == [
        "2026", "tháng 2 năm 2026", "03/02/2026", "10:15",
    ]  # fmt: skip
    assert Words("ja").span("2026-02-03") == "2026年2月3日"


def test_names_are_shown_legibly():
    """A name could turn the direction of the figures beside it."""
    assert page.legible("a\u202eb\x00c\nd") == "a[U+202E]b[U+0000]c d"
    assert len(page.legible("x" * 5_000, 80)) == 80


def test_nothing_is_fetched_from_elsewhere():
    """A page would load files from another server, or fail without a network."""
    own = {k: v for k, v in page.load().items() if not k.startswith("vendor/")}
    for name, one in own.items():  # what others wrote is held by the pages' policy
        outside = set(re.findall(rb"https?://[\w./-]+", one.plain))
        known = {b"http://www.w3.org/2000/svg"}
        assert outside <= known or name.startswith("check/"), (name, outside)
    for file in TEMPLATES.glob("*.html"):
        assert "http" not in file.read_text("utf-8")


def test_the_map_tells_land_from_sea():
    """Sites would be drawn without a map, or in the sea."""
    (inland,) = within(105.8, 21.0, 105.9, 21.1)
    assert inland.min(axis=0) == pytest.approx([105.8, 21.0])
    assert inland.max(axis=0) == pytest.approx([105.9, 21.1])
    assert within(107.4, 20.2, 107.6, 20.4) == []
    coast = within(106.4, 20.5, 107.3, 21.1)
    assert sum(len(one) for one in coast) > 100
    assert all(one[:, 0].min() > 106.399 and one[:, 1].max() < 21.101 for one in coast)


def test_a_far_site_does_not_shrink_the_city():
    """Beside one plant abroad, or on an island, all of a city would be one point."""
    sites = [Site(f"s-{i}", "", 20.8 + i / 50, 106.6, 1, 1, 1) for i in range(5)]
    island = Site("island", "", 20.13, 107.72, 1, 1, 1)
    drawn = sites_map([*sites, island, Site("far", "", 39.7, -105.2, 1, 1, 1)])
    assert [one.id for one in drawn.elsewhere] == ["far"]
    assert drawn.box == pytest.approx((106.59, 20.8, 106.61, 20.88))
    assert drawn.far_km == {"island": pytest.approx(138, abs=3)}
    assert drawn.land
    assert sites_map([Site("alone", "", 20.9, 106.6, 1, 1, 1)]).far_km == {}


def test_no_answer_is_kept_into_the_next_quarter_hour(monkeypatch):
    """The page would show what was expected until the last one, the API until this one."""
    memory, asked = Memory(), []
    for now_s, answer in ((899.0, 1), (899.9, 1), (900.0, 2), (901.0, 2), (1800.0, 3)):
        monkeypatch.setattr(time, "time", lambda now_s=now_s: now_s)
        assert memory.get("a", lambda: asked.append(1) or len(asked)) == answer


def test_answers_are_kept_and_questions_without_one_leave_nothing(monkeypatch):
    """A page that everyone may open would fill the memory, or keep the database busy."""
    memory, asked = Memory(), []
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert [memory.get("a", lambda: asked.append(1) or len(asked)) for _ in range(3)] == [1, 1, 1]

    def nothing():
        raise LookupError

    for number in range(1_000):
        with pytest.raises(LookupError):
            memory.get(number, nothing)
        memory.get(("b", number), list)
    assert len(memory._kept) <= 256
    assert len(memory._asking) == 64


def test_every_system_indicator_and_grade_has_a_name():
    """A citizen would read `leq_night_dba` and `Kem`, or a system's name in another language."""
    said = texts("en")
    for one in systems.load().values():
        assert said[f"system.{one.id}"] == one.title
        assert (one.reason is None) == (f"no_tonnes.{one.id}" not in said)
    shown = {*overview._CHOSEN, *DAILY}
    assert {f"indicator.{name}" for name in shown} <= said.keys()
    assert shown <= {kind.name for kind in KINDS}
    bands = [b["name"] for file in ("vn_aqi", "vn_wqi") for b in _limits(file)["band"]]
    assert {f"grade.{name}" for name in (*bands, "within", "exceeded", "not judged")} <= said.keys()


def test_what_the_live_view_shows_has_a_name():
    """An operator would read `nh4_n_in_mg_l` of a `waterworks` in every language."""
    said = texts("en")
    for class_id, channel in live.live_channels().items():
        assert {f"class.{class_id}", f"channel.{channel}"} <= said.keys()
    assert {f"quantity.{one.name}" for one in classes.QUANTITIES} <= said.keys()


def test_an_interval_of_two_quantities_avoids_its_tonnes_once():
    """A device that delivers and draws would seem to avoid twice what it did."""
    rows = [("t1", q, v, 60, 0, 0, 700) for q, v in (("energy_export", 10), ("energy_import", 3))]
    found = _sums([*rows, ("t2", "energy_export", 5, 60, 0, 0, 30)], {r[1] for r in rows})
    assert found["reduction_ug"] == 730
    assert [(one["quantity"], one["value"], one["unit"]) for one in found["lines"]] == [
        ("energy_export", 15, "Wh"),
        ("energy_import", 3, "Wh"),
    ]
    assert _sums([], {"energy_export"}) == {"lines": [], "reduction_ug": None}
    assert [page.percent(x) for x in ("0.998655", "0.999999", "1", "0")] == [
        "99.86",
        "99.99",
        "100.00",
        "0.00",
    ]
    assert [page.plain(x) for x in ("10.500000", "7.000", "100", None)] == [
        "10.5",
        "7",
        "100",
        None,
    ]


def test_signs_between_texts_are_those_of_the_language():
    """A Japanese page would mix half-width and full-width signs, which reads as a fault."""
    shown = (
        '<p title="状態: x">機器: 2; 受信なし.</p> サイト: A. 日 <a href="x.y: z">1. 概要, 値</a>'
    )
    assert punctuated(shown, "vi") == shown
    wide = punctuated(shown, "ja")
    assert re.findall("[\uff1a\uff1b\u3001\u3002]", wide) == list(
        "\uff1a\uff1a\uff1b\u3002\uff1a\u3002\u3001"
    )
    assert 'href="x.y: z">1. ' in wide
    assert punctuated("<a>発電</a>, <a>受電</a>; 7 t, <b>見込み</b>", "ja") == (
        "<a>発電</a>\u3001<a>受電</a>\uff1b7 t\u3001<b>見込み</b>"
    )
    for code in ("`case: {document: 題名, by: 発行者}`", "<code>by: 発行者</code>"):
        assert punctuated(f"登録: {code}", "ja") == f"登録\N{FULLWIDTH COLON}{code}"
    assert punctuated("inv-1 (発電); a (b) (発電 [t])", "ja") == (
        "inv-1\uff08発電\uff09\uff1ba (b) (発電 [t])"
    )


def test_days_in_a_text_are_in_the_readers_form():
    """The page of what is due would give a period as a machine writes it."""
    assert Words("vi").dated("2026-03-02 .. 2026-03-05") == "02/03\N{EN DASH}05/03/2026"
    assert Words("de").dated("2026-03-02 ..") == "seit 2. März 2026"
    assert Words("en").dated("cert-2026-03-02, 2026-03-03") == "cert-2026-03-02, 3 March 2026"


def _limits(file):
    return tomllib.loads(
        (resources.files("mrv") / f"countries/vn/limits/{file}.toml").read_text("utf-8")
    )
