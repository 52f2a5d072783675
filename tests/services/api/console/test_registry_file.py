"""A registry file tried out in the console: what an import would do, and nothing done."""

import html

import pytest

from mrv.report.words import LANGUAGES
from services.store.postgres.pool import connect
from services.store.registry.load import registry_version
from tests.services.api import plain
from tests.services.api.console.test_pages import foreign_parts, get, session

GOOD = """
sites:
  - {id: new-roof, name: New roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh,
     country: VN}
devices:
  - {id: new-inv, site: new-roof, class: pv_inverter, profile: generic, rated_power_w: 1000,
     installed: 2026-01-01T00:00:00Z}
"""
BAD = GOOD.replace("site: new-roof", "site: no-roof")


def _tried(served, text, who="auditor", language="en", **fields):
    return plain.post(
        f"{served.url}/console/{language}/registry",
        data={"text": text, "form": "yaml", **fields},
        cookies=session(served, who),
    )


def _version(served):
    with connect(served.database_url) as conn:
        return registry_version(conn)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_is_shown_with_what_it_would_change(served, language):
    """An officer would learn of a slip once it is in the registry."""
    before = _version(served)
    answer = _tried(served, GOOD, language=language)
    assert answer.status_code == 200, answer.text
    assert "new-inv" in answer.text
    assert foreign_parts(answer.text) == []
    assert 'class="alarm"' not in answer.text
    assert _version(served) == before
    with connect(served.database_url) as conn:
        assert conn.execute("SELECT FROM site WHERE id = 'new-roof'").fetchone() is None


def test_what_is_wrong_is_named_with_its_line(served):
    """A file would be refused on the server, after everybody went home."""
    text = html.unescape(_tried(served, BAD).text)
    assert "would be refused" in text
    assert "registry.yaml:6" in text
    assert "no-roof" in text
    assert (
        "<b>x</b>" not in _tried(served, GOOD.replace("New roof", "<b>x</b>") + "x: <b>x</b>").text
    )
    assert "would be refused" not in _tried(served, GOOD).text
    broken = html.unescape(_tried(served, "sites: [").text)
    assert "registry.yaml" in broken
    assert "tmp" not in broken.partition("registry.yaml")[0][-40:]


def test_devices_come_as_csv(served):
    """A list from a spreadsheet could not be looked at."""
    text = "id,site,class,profile,installed\nx-1,nowhere,pv_inverter,generic,2026-01-01T00:00:00Z\n"
    answer = html.unescape(_tried(served, text, form="csv").text)
    assert "devices.csv:2" in answer
    assert _tried(served, text, form="exe").status_code == 422


def test_it_is_for_those_who_see_all(served):
    """The registry of others could be asked out by what an import would change."""
    page = "/console/en/registry"
    assert get(served, page).status_code == 401
    assert get(served, page, session(served, "scoped")).status_code == 403
    assert _tried(served, GOOD, "scoped").status_code == 403
    assert plain.post(f"{served.url}{page}", data={"text": GOOD}).status_code == 401
    shown = get(served, page, session(served, "auditor"))
    assert shown.status_code == 200
    foreign = plain.post(
        f"{served.url}{page}",
        data={"text": GOOD},
        cookies=session(served, "auditor"),
        headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"},
    )
    assert foreign.status_code == 403
