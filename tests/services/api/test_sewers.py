"""Sewers over the API: a window of the map, page by page, and one asset's history."""

from pathlib import Path

import psycopg
import pytest

from services.sewers.files import read
from services.store.registry import sewers

CATALOG = Path(__file__).parents[3] / "deploy" / "catalog" / "haiphong" / "sewers"


@pytest.fixture(scope="module")
def network(served):
    """Register the catalog's network, without its sensors' devices."""
    found = read(sorted(CATALOG.iterdir()))
    with psycopg.connect(served.database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO device (id, site, class, profile, installed) SELECT 'sw-level-' || n,"
            " (SELECT id FROM site LIMIT 1), 'sewer_level', 'generic', '2026-01-01'"
            " FROM generate_series(1, 3) n"
        )
        sewers.write(conn, found.assets.values(), found.events, "test")
    return found


def test_a_window_holds_what_meets_it(served, network):
    """The map would show pipes that are elsewhere, or leave some out."""
    answer = served.ask("/v1/sewers?bbox=106.6549,20.8498,106.6562,20.8503", "auditor")
    assert answer.headers["content-type"] == "application/geo+json"
    names = {f["id"] for f in answer.json()["features"]}
    assert names == {"MH-100", "MH-101", "MH-102", "P-001", "P-002", "P-003"}
    assert answer.json()["next"] is None


def test_pages_hold_every_asset_once(served, network):
    """A network larger than a page would end in the middle of a street."""
    found, after = [], ""
    while after is not None:
        page = served.ask(f"/v1/sewers?limit=10&after={after}", "auditor").json()
        found += [f["id"] for f in page["features"]]
        after = page["next"]
    assert found == sorted(network.assets)


def test_an_asset_tells_its_history(served, network):
    """A crew would dig without knowing that the pipe was relined."""
    found = served.ask("/v1/sewers/P-004", "auditor").json()
    assert found["geometry"]["type"] == "LineString"
    assert [e["day"] for e in found["history"]] == ["2024-09-02", "2024-05-14"]


@pytest.mark.parametrize("bbox", ["1,2,3", "a,b,c,d", "10,0,5,1", "0,0,0,nan", "0,-91,0,0"])
def test_a_window_that_is_none_is_refused(served, bbox):
    """A slip of a map would be answered with the whole city, or with nothing."""
    answer = served.ask(f"/v1/sewers?bbox={bbox}", "auditor")
    assert answer.status_code == 422
    assert "west,south,east,north" in answer.json()["detail"]
