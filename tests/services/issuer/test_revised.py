"""An official factor is published after periods were closed with a provisional one."""

import json
from functools import partial

import pytest

from services.issuer import transitions as life
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from services.store.statements import statements
from tests import holders
from tests.invoked import tonne as invoke
from tests.planted import planted
from tests.services.issuer import logged, plant, sealed
from tests.services.issuer.logged import issuer
from tests.services.issuer.sealed import close_period

OFFICIAL = """
factors:
  - id: vn-grid-2026
    kind: grid.vn
    value: 0.7100
    unit: tCO2/MWh
    direction: consumed
    valid_from: 2026-01-01
    valid_to: 2027-01-01
    source: Department of Climate Change, a letter made up for this test
    certainty: R
    verified: true
"""
FIRST = ("2026-03-01", "2026-03-02")
SECOND = ("2026-03-02", "2026-03-03")


@pytest.fixture
def tonne(database_url, monkeypatch):
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    return partial(invoke, code=0)


@pytest.fixture
def closed(database_url, tmp_path):
    """Return one issued statement of the buses, and the next day's draft."""
    return planted(_closed, database_url, tmp_path)


def _closed(url, home):
    plant.register(url, home, plant.documented())
    plant.fill_buses(url)
    with issuer(url) as conn:
        for role in ("operator", "verifier"):
            enrolled.enroll(conn, holders.create(home, f"the-{role}", role))
        issued = close_period(conn, "bus", *map(plant.us, FIRST), "test").statement
        logged.signed(conn, issued, logged.held(home), "unmodified", "limited")
        life.issue(conn, issued, sealed.log_of(conn, home), "test")
        draft = close_period(conn, "bus", *map(plant.us, SECOND), "test")
    uses = {f.id: f.provisional for f in draft.result.factors}
    assert uses["vn-grid-2023"]
    return issued, draft.statement


def _emissions(url):
    with connect(url) as conn:
        return conn.execute(
            "SELECT factor, sum(project_ug) FROM interval_emission"
            " WHERE device_id = 'ch-1' GROUP BY factor"
        ).fetchall()


def _affected(tonne, *more):
    return json.loads(tonne("factors", "affected", "--json", *more).stdout)


def test_the_official_value_takes_over(database_url, tmp_path, tonne, closed):
    """Last year's factor would stay in periods that are not issued, unseen."""
    issued, draft = closed
    assert _affected(tonne)["statements"] == []
    ((before, ug),) = _emissions(database_url)
    file = tmp_path / "grid.yaml"
    file.write_text(OFFICIAL)
    assert "created   factor    vn-grid-2026" in tonne("registry", "import", file).stdout
    found = {s["statement"]: s for s in _affected(tonne)["statements"]}
    assert set(found) == {issued, draft}
    (change,) = found[issued]["changes"]
    assert change == {
        "kind": "grid.vn",
        "was": ["vn-grid-2023 = 0.6592 tCO2/MWh"],
        "now": ["vn-grid-2026 = 0.7100 tCO2/MWh"],
        "provisional": True,
    }
    assert found[issued]["to_do"].startswith(f"tonne statement supersede {issued}")

    with issuer(database_url) as conn:
        body = statements.find(conn, issued).body
    document = _affected(tonne, "--recompute")
    again = {s["statement"]: s["closed_again_as"] for s in document["statements"]}
    assert document["emission_rows_made_again"] > 0
    assert again[issued] is None
    assert again[draft] is not None
    ((after, less),) = _emissions(database_url)
    assert "vn-grid-2023" in before
    assert "vn-grid-2026" in after
    # each row is rounded up by itself, once before and once now
    assert float(less) == pytest.approx(float(ug) * 0.71 / 0.6592, rel=1e-9)
    span = ("--from", "2026-02-28", "--to", "2026-03-05")
    tonne("rebuild", *span, "--check")
    with issuer(database_url) as conn:
        assert statements.find(conn, issued).body == body
    # the issued one stays on the list until it is superseded, the draft is done
    left = _affected(tonne, "--recompute")
    assert [s["statement"] for s in left["statements"]] == [issued]
    assert left["emission_rows_made_again"] == 0
    told = tonne("factors", "affected").stdout
    assert f"{issued}  issued" in told
    assert "provisional vn-grid-2023 = 0.6592 tCO2/MWh -> vn-grid-2026 = 0.7100" in told


def test_an_earlier_official_value_goes_on_as_provisional(tmp_path, tonne, closed):
    """2024's value would be taken for that of 2026."""
    file = tmp_path / "grid.yaml"
    file.write_text(OFFICIAL.replace("2026", "2024").replace("2027", "2025"))
    tonne("registry", "import", file)
    found = _affected(tonne)["statements"]
    assert {s["changes"][0]["now"][0] for s in found} == {"vn-grid-2024 = 0.7100 tCO2/MWh"}
    listed = json.loads(tonne("factors", "list", "--kind", "grid.vn", "--json").stdout)
    assert listed[-1]["id"] == "vn-grid-2024"
    assert "vn-grid-2024" in tonne("factors", "list", "--kind", "grid.vn").stdout
    exported = tonne("registry", "export").stdout
    assert "value: 0.7100" in exported
    again = tmp_path / "again.yaml"
    again.write_text(exported)
    rows = json.loads(tonne("registry", "import", again, "--json").stdout)
    assert {r["result"] for r in rows} == {"unchanged"}
