"""
All pages of a city outside Viet Nam, and the texts of the boards,
without anything of Viet Nam.
"""

import html
import re
import signal
from pathlib import Path

import pytest

from mrv.report.words import LANGUAGES
from services.api.console.translations import Words
from services.processing import pv_outlook
from services.store import api_keys
from services.store import registry as known
from services.store.postgres.pool import connect
from tests.fix_timescale import _fresh
from tests.grafana.macros import boards, panels
from tests.ports import free_port
from tests.registering import imported
from tests.services.api import plain
from tests.services.api.conftest import start
from tests.services.api.console.languages import SHOWN
from tests.services.api.console.visiting import session
from tests.services.issuer import plant
from tests.waiting import until

FREIBURG = Path(__file__).parents[4] / "deploy" / "catalog" / "freiburg"
# in every language of the pages; the name of a language is none of a country
_VIETNAMESE = re.compile(
    r"viet ?nam|việt nam|ベトナム|hai ?phong|hải phòng|ハイフォン|decree|dekret|nghị định|政令"
    r"|qcvn|\bvn[-_ ]?[aw]qi|\bVND\b|₫|ho_chi_minh|nam cau kien|cat ba|\b2204\b",
    re.IGNORECASE,
)
_LINK = re.compile(r'href="(/console/[a-z-]+/[^"#]*)"')


class _Served:
    """An API over a separate database, and the token of an auditor."""

    def __init__(self, url, database_url, token):
        self.url, self.database_url, self.tokens = url, database_url, {"auditor": token}


@pytest.fixture(scope="module")
def freiburg(timescale, migrated_template, tmp_path_factory):
    """Serve the example city with a day of its solar roof."""
    home = tmp_path_factory.mktemp("freiburg")
    for database_url in _fresh(timescale, migrated_template):
        planned = imported(database_url, FREIBURG)
        assert not planned.refused, [r.messages for r in planned.results]
        begin = plant.instant_us("2026-06-01", "Europe/Berlin")
        times = [begin + i * 10 * plant.MINUTE_US for i in range(144)]
        energy = [1000 * max(0, i - 40) for i in range(144)]
        plant.send(database_url, "rathaus-pv", times, energy_export_wh=energy)
        with connect(database_url, role="tonne_api", autocommit=True) as conn:
            _, token = api_keys.create(conn, "an auditor", "auditor", None, "test")
        address = f"127.0.0.1:{free_port()}"
        with (home / "api.log").open("wb") as log:
            process = start(database_url, home, address, log)
            yield _Served(f"http://{address}", database_url, token)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0


def _page(served, path):
    """Return a page as the auditor sees it."""
    return plain.get(f"{served.url}/console/{path}", cookies=session(served, "auditor")).text


@pytest.fixture
def owner(freiburg):
    """Return a connection that may change the city; a page is kept for ten seconds."""
    with connect(freiburg.database_url, autocommit=True) as conn:
        yield conn


@pytest.mark.parametrize("language", SHOWN)
def test_no_page_of_another_country_speaks_of_viet_nam(freiburg, language):
    """An officer in Freiburg would read rules, limits or prices of another country."""
    cookies = session(freiburg, "auditor")
    waiting, seen, found = [f"/console/{language}/"], set(), {}
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = plain.get(freiburg.url + path, cookies=cookies)
        assert answer.status_code == 200, (path, answer.text[:300])
        if "html" not in answer.headers["content-type"]:
            continue
        text = html.unescape(answer.text)
        if here := _VIETNAMESE.findall(text):
            found[path] = here
        own = (html.unescape(link) for link in _LINK.findall(answer.text))
        waiting += [one for one in own if one.startswith(f"/console/{language}/")]
    assert found == {}
    assert {f"/console/{language}/projects/rathaus-solar", f"/console/{language}/programme"} <= {
        one.split("?")[0] for one in seen
    }


@pytest.mark.parametrize("language", SHOWN)
def test_tonnes_of_no_action_are_named_where_the_programme_has_none(freiburg, owner, language):
    """The page would say that there are no figures and no shortfall, above tonnes of a project."""
    query = "UPDATE project SET action = %s WHERE id = 'rathaus-solar' RETURNING action"
    (was,) = owner.execute("SELECT action FROM project WHERE id = 'rathaus-solar'").fetchone()
    owner.execute(query, [None])
    t = Words(language)

    def text_of(page):
        return html.unescape(_page(freiburg, f"{language}/{page}?year=2026"))

    def title(page):
        (said,) = re.findall("<h1[^>]*>([^<]*)", text_of(page))
        return said

    try:
        for page in ("", "programme"):
            outside = t("finding.outside", year=2026, tonnes="@", count="@").split("@")[1]
            until(lambda page=page, said=outside: said in title(page), 60)
            text = text_of(page)
            assert t("faults.none") not in text
            assert 'id="systems"' not in text, "an empty table of pilot systems, Hai Phong's"
    finally:
        owner.execute(query, [was])


def test_a_device_that_sends_and_is_not_registered_is_on_the_page_live(freiburg, owner):
    """A typing error in an id would be a day of readings that no one misses."""
    for device in ("pv-77", "rathaus-pv"):
        owner.execute(
            "INSERT INTO dead_letter (received, topic, principal, device_id, reason, detail,"
            " payload, sha256) VALUES (now(), %s, 'gw-9', %s, 'unknown_device', 'x', 'x', %s)",
            [f"tonne/v1/gw-9/{device}/telemetry", device, bytes(32)],
        )
    until(lambda: 'id="unregistered"' in _page(freiburg, "en/live"), 60)
    (table,) = re.findall('id="unregistered".*?</table>', _page(freiburg, "en/live"), re.DOTALL)
    assert re.findall('href="/console/en/devices/([^"]+)"', table) == ["pv-77"]
    assert "gw-9" in table


def test_a_page_says_that_the_months_of_an_estimate_are_the_suns(freiburg, owner):
    """A plant in a monsoon would be behind each July, and no page would say of what."""
    asked, said = "en/projects/rathaus-solar?month=2026-06", Words("en")("project.by_sun")
    assert said not in _page(freiburg, asked)
    query = "UPDATE project SET expected = expected - 'by_month' WHERE id = 'rathaus-solar'"
    owner.execute(query)
    with connect(freiburg.database_url, autocommit=True) as conn:
        assert pv_outlook.refresh_months(conn) == 1
    assert said in _page(freiburg, asked)


def test_forms_are_of_methodologies_of_the_country(freiburg):
    """An officer in Freiburg would plan a project by a methodology of another country."""
    offered = re.findall(r'<option value="([^"]+)">', _page(freiburg, "en/registry"))
    assert "ams-i-d" in offered
    assert [one for one in offered if one.startswith("jcm-vn")] == []


def test_a_city_begins_with_its_sites(database_url, tmp_path):
    """Its menu would lead to "page not found", its forms be of methods of every country."""
    imported(database_url, FREIBURG / "sites.yaml")
    with connect(database_url, role="tonne_api", autocommit=True) as conn:
        assert known.countries(conn) == {"DE"}
        _, token = api_keys.create(conn, "an auditor", "auditor", None, "test")
    address = f"127.0.0.1:{free_port()}"
    with (tmp_path / "api.log").open("wb") as log:
        process = start(database_url, tmp_path, address, log)
        page = _page(_Served(f"http://{address}", database_url, token), "en/programme")
        process.terminate()
        assert process.wait(120) == 0
    assert "No programme is registered" in page


def test_no_board_speaks_of_viet_nam_where_no_station_is_in_it():
    """A price or a limit of another country would be drawn beside a city's own readings."""
    for language in LANGUAGES:
        for board in boards(language):
            for panel in panels(board):
                text = f"{panel.get('title')} {panel.get('description')}"
                assert not _VIETNAMESE.search(text), (language, board["uid"], panel["title"])
